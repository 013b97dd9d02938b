//! The comparison as a program: short runs, and what it says when it cannot run.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_server");

/// A quick run is to take less than two minutes with everything in it; these have a part.
const LIMIT: Duration = Duration::from_secs(110);

/// A directory of a test's own.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("compare-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&fs::read_to_string(self.file(name)).unwrap()).unwrap()
    }
}

/// Runs it; fails if it takes too long.
#[track_caller]
fn compare(args: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("compare").args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let deadline = Instant::now() + LIMIT;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("it takes longer than {LIMIT:?}");
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

/// What a run says when it ends as it should not.
#[track_caller]
fn fails(args: &[&str], code: i32) -> String {
    let output = compare(args);
    let said = String::from_utf8(output.stderr).expect("it is text");
    // Beside what was told of the progress.
    let errors: Vec<_> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!((output.status.code(), errors.len()), (Some(code), 1), "{args:?}: {said}");
    errors.concat()
}

#[test]
fn a_quick_comparison_writes_tables_drawings_and_json() {
    let dir = Directory::new("load");
    let output = compare(&["--quick", "--only", "scoped", "--out", &dir.file("out")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    for text in [
        "### pairs",
        "(pairs-throughput.svg)",
        "scoped/treescope",
        "of tokio's best",
        "| 100 µs |",
        "pinned",
        "debug build",
        "of the best design on tokio | pairs",
    ] {
        assert!(printed.contains(text), "{text}: {printed}");
    }
    for (name, series, least) in [("load", false, 3), ("cost", true, 3)] {
        let json = dir.json(&format!("out/{name}.json"));
        let workloads = json["workloads"].as_array().unwrap();
        assert!(workloads.len() >= least && json["machine"]["commit"].is_string());
        for workload in workloads {
            assert_eq!(workload["series"], series, "{name}: {workload:#}");
            figures_are_plausible(workload);
        }
        assert!(printed.contains(&fs::read_to_string(dir.file(&format!("out/{name}.md"))).unwrap()));
    }
    for name in ["pairs-throughput.svg", "pairs-cpu.svg", "rate-latency.svg", "cost.svg"] {
        let svg = fs::read_to_string(dir.file(&format!("out/{name}"))).unwrap();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{name}");
        assert!(svg.contains("commit") && svg.contains("scoped/treescope"), "{name}");
    }
}

fn figures_are_plausible(workload: &Value) {
    for cell in workload["cells"].as_array().unwrap() {
        assert_eq!(cell["failure"], Value::Null, "{workload:#}");
        let round = &cell["rounds"][0];
        // A machine may be too busy to let anything arrive in so short a time.
        if !round.is_null() {
            assert!(round["messages_per_second"].as_f64().unwrap() > 0.0, "{workload:#}");
            assert!(round["cpu_us_per_message"].as_f64().unwrap() > 0.0, "{workload:#}");
            assert!(round["generator_late_p99_us"].is_f64(), "{workload:#}");
        }
    }
}

#[test]
fn one_part_of_a_comparison_leaves_the_files_of_the_other_alone() {
    let dir = Directory::new("parts");
    let run = |workload: &str| {
        let only = ["--quick", "--only", "floor", "--rounds", "1", "--workloads", workload];
        let output = compare(&[&only[..], &["--out", &dir.file("")]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run("cost-0");
    let cost = fs::read_to_string(dir.file("cost.json")).unwrap();
    assert!(!dir.0.join("load.json").exists() && dir.0.join("cost.svg").exists());
    run("pairs");
    assert_eq!(fs::read_to_string(dir.file("cost.json")).unwrap(), cost);
    assert_eq!(dir.json("load.json")["workloads"].as_array().unwrap().len(), 1);
}

#[test]
fn a_file_that_cannot_be_written_is_named_and_costs_no_other() {
    let dir = Directory::new("in-the-way");
    fs::create_dir_all(dir.0.join("pairs-cpu.svg/x")).unwrap();
    let only =
        ["--quick", "--only", "floor", "--rounds", "1", "--workloads", "pairs", "--out", &dir.file("")];
    assert!(fails(&only, 1).contains("pairs-cpu.svg: "));
    assert!(dir.0.join("pairs-throughput.svg").exists() && dir.0.join("load.json").exists());
}

#[test]
fn a_comparison_of_which_there_is_nothing_fails_and_says_why() {
    let dir = Directory::new("nothing");
    let only = ["--quick", "--only", "mutex-deadlock/tokio", "--workloads", "pairs", "--out", &dir.file("")];
    assert!(fails(&only, 1).contains("nothing could be measured of pairs"));
    assert!(fs::read_to_string(dir.file("load.md")).unwrap().contains("did not greet connection 2"));
}

#[test]
fn behaviour_is_seen_and_a_design_that_hangs_is_a_value_in_a_table() {
    let dir = Directory::new("behaviour");
    let only = "scoped/treescope,mutex/treescope,mutex-deadlock/treescope";
    let output = compare(&["--behaviour", "--quick", "--only", only, "--out", &dir.file("")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let json = dir.json("behaviour.json");
    let row = |name: &str| {
        let rows = json["behaviour"].as_array().unwrap();
        rows.iter().find(|row| row["subject"] == name).unwrap_or_else(|| panic!("{name}: {json:#}")).clone()
    };

    let hanging = row("mutex-deadlock/treescope");
    assert!(hanging["flood"]["Err"].as_str().unwrap().contains("did not greet"), "{hanging:#}");
    assert!(printed.contains("**the server did not greet connection 2"), "{printed}");

    let mutex = row("mutex/treescope");
    assert!(mutex["flood"]["Ok"]["stalls_others_after"].as_f64().unwrap() > 0.0, "{mutex:#}");

    let scoped = row("scoped/treescope");
    let flood = &scoped["flood"]["Ok"];
    assert!(flood["stalls_others_after"].is_null() && flood["newcomers"] == true, "{scoped:#}");
    assert!(flood["held_back_after"].as_f64().unwrap() > 0.0, "{scoped:#}");
    assert_eq!(scoped["burst"]["Ok"]["faults"]["lost"], 0, "{scoped:#}");
    assert_eq!(scoped["leaving"]["Ok"]["others_talk"], true, "{scoped:#}");
    assert_eq!(scoped["idle"]["Ok"]["steps"].as_array().unwrap().len(), 2, "{scoped:#}");
    let stop = &scoped["stop"]["Ok"];
    assert_eq!((&stop["arrived"], &stop["exit"]), (&stop["sent"], &Value::from("0")), "{scoped:#}");
}

/// Of a process that is there and not a zombie: its parent.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may contain anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    fields.next()?.parse().ok().filter(|_| state != "Z")
}

/// The server that a comparison has started.
fn server_of(pid: u32) -> Option<u32> {
    let processes = fs::read_dir("/proc").expect("/proc is there").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let serves = |child: &u32| {
        let command = fs::read_to_string(format!("/proc/{child}/cmdline"));
        command.is_ok_and(|command| command.split('\0').nth(1) == Some("serve"))
    };
    ids.filter(|&child| parent(child) == Some(pid)).find(serves)
}

/// Looks again and again until it is so.
#[track_caller]
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match look() {
            Some(seen) => return seen,
            None if Instant::now() > deadline => panic!("not in time: {what}"),
            None => thread::sleep(Duration::from_millis(5)),
        }
    }
}

#[test]
fn a_server_ends_with_whoever_measures_it_however_that_is_killed() {
    for signal in ["-TERM", "-KILL"] {
        let mut command = Command::new(PROGRAM);
        command.args(["compare", "--only", "scoped/treescope", "--workloads", "pairs", "--rounds", "1000"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut compare = command.spawn().expect("the program starts");
        let server = eventually("a server runs", || server_of(compare.id()));
        let status = Command::new("kill").args([signal, &compare.id().to_string()]).status();
        assert!(status.expect("there is a kill").success());
        assert!(!compare.wait().expect("it can be waited for").success());
        eventually("the server ends", || parent(server).is_none().then_some(()));
    }
}

#[test]
fn a_server_serves_until_its_stdin_is_closed() {
    let mut command = Command::new(PROGRAM);
    command.args(["serve", "--until-stdin-closes", "--addr", "127.0.0.1:0"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = command.spawn().expect("the program starts");
    let mut line = String::new();
    let mut stdout = BufReader::new(server.stdout.take().expect("it is piped"));
    stdout.read_line(&mut line).expect("it says where it listens");
    assert!(line.starts_with("listening on "), "{line}");
    assert!(server.try_wait().expect("it can be waited for").is_none());
    drop(server.stdin.take());
    let status = eventually("it ends", || server.try_wait().expect("it can be waited for"));
    assert_eq!(status.code(), Some(0));
}

#[test]
fn what_cannot_be_compared_is_said_in_one_line_before_anything_is_measured() {
    let dir = Directory::new("errors");
    let unmarked = dir.file("unmarked.md");
    fs::write(&unmarked, "No markers.").unwrap();
    let document = dir.file("document.md");
    let marks: Vec<_> = ["targets", "load", "cost", "behaviour"]
        .map(|name| format!("<!-- begin {name} --><!-- end {name} -->"))
        .into();
    fs::write(&document, marks.join("\n")).unwrap();
    let began = Instant::now();
    for (code, args) in [
        (2, &["--only", "none"][..]),
        (2, &["--only", "scoped/none"]),
        (2, &["--workloads", "none"]),
        (2, &["--rounds", "0"]),
        (2, &["--behaviour", "--rounds", "1"]),
        (2, &["--update", &unmarked]),
        (2, &["--update", &document, "--only", "scoped"]),
        (2, &["--update", &document, "--only", "scoped", "--behaviour"]),
        (2, &["--update", &document, "--workloads", "pairs,rate"]),
        (2, &["--update", &document, "--quick"]),
        (1, &["--update", &dir.file("nowhere.md")]),
        (1, &["--out", "/dev/null/out"]),
        (1, &["--out", "/proc"]),
    ] {
        let output = compare(args);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), errors.lines().count()), (Some(code), 1), "{args:?}: {errors}");
        assert!(errors.starts_with("error: ") && output.stdout.is_empty(), "{args:?}: {errors}");
    }
    assert_eq!(fs::read_to_string(&document).unwrap(), marks.join("\n"));
    assert!(began.elapsed() < Duration::from_secs(30));
}
