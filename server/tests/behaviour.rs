//! What clients that misbehave do to the designs that have no fault: nothing, in every cell of the comparison.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

#[test]
fn the_scoped_designs_are_clean_in_every_cell() {
    const SUBJECTS: [&str; 3] = ["scoped/treescope", "scoped/tokio", "scoped-local/treescope"];
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("behaviour");
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command.args(["compare", "--behaviour", "--quick", "--only", &SUBJECTS.join(","), "--out"]).arg(&dir);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json = fs::read_to_string(dir.join("behaviour.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    let rows = json["behaviour"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["subject"].as_str().unwrap()).collect::<Vec<_>>(), SUBJECTS);
    for row in rows {
        let seen = |cell: &str| {
            let seen = &row[cell]["Ok"];
            assert!(seen.is_object(), "{cell}: {row:#}");
            seen.clone()
        };
        let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("no number: {row:#}"));

        let flood = seen("flood");
        assert!(flood["stalls_others_after"].is_null() && flood["newcomers"] == true, "{row:#}");
        // 256 KiB may be queued; what else is taken the sockets hold, of which the system makes a few MiB.
        assert!(number(&flood["held_back_after"]) > 0.0 && number(&flood["grown"]) < 16.0, "{row:#}");

        let leaving = seen("leaving");
        assert_eq!(number(&leaving["sent"]), 500.0, "{row:#}");
        assert_eq!((&leaving["lost_by_close"], &leaving["lost_by_reset"]), (&0.into(), &0.into()), "{row:#}");
        assert!(number(&leaving["busy_after_close"]) < 20.0, "{row:#}");
        assert!(number(&leaving["busy_after_reset"]) < 20.0, "{row:#}");
        assert_eq!(leaving["others_talk"], true, "{row:#}");

        let burst = seen("burst");
        assert!(burst["faults"].as_object().unwrap().values().all(|fault| *fault == 0), "{row:#}");
        assert!(burst["stalled"] == false && number(&burst["ms"]) > 0.0, "{row:#}");
        // The burst itself takes tens of ms; half a second is for a busy machine.
        assert!(number(&burst["slowest_ms"]) < 500.0 && number(&burst["grown"]) < 16.0, "{row:#}");

        let idle = seen("idle");
        assert!(idle["stopped"].is_null() && idle["steps"].as_array().unwrap().len() == 2, "{row:#}");

        let stop = seen("stop");
        // All of it arrives, but on a busy machine: there the server may be told to stop before it has read what the kernel has taken.
        assert!(number(&stop["arrived"]) > 0.0 && stop["exit"] == "0", "{row:#}");
    }
}
