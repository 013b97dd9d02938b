//! One slot: one work on one runtime for a fraction of a second, in a process of its own.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::options::Slot;
use super::stats::{median, summary};
use super::this_program;
use crate::client::{self, Load};
use crate::process;
use crate::runtimes::Peer;
use crate::works::{self, Manner, Size, served};

/// What a slot's process prints.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    /// The median over the slot's runs.
    pub(super) ns_per_op: f64,
    /// Over the slot's runs: of peaks the highest, of others the median.
    pub(super) metrics: BTreeMap<String, f64>,
}

/// Runs are not counted beyond that; more would only fill memory.
const MOST_RUNS: usize = 10_000;
/// The warm-up lasts at least so long: a run of a few microseconds warms nothing up.
const WARM_UP: Duration = Duration::from_millis(10);

/// The slot's process.
pub(super) fn child(slot: &Slot) -> Result<ExitCode, String> {
    let entry = works::find(&slot.work).ok_or("no such work")?;
    let peer = Peer::find(&slot.runtime).ok_or("no such runtime")?;
    if entry.manner == Manner::Network {
        process::allow_many_files().map_err(|error| format!("cannot open many files: {error}"))?;
        served::keep_apart().map_err(|error| format!("no processors: {error}"))?;
        served::measure_for(Duration::from_millis(slot.millis));
    }
    let runtime = peer.start(slot.workers).map_err(|error| format!("cannot start {}: {error}", peer.name))?;
    let work = (entry.make)(Size::Full);

    let mut samples = Vec::new();
    if matches!(entry.manner, Manner::Once | Manner::Network) {
        samples.push(runtime.run(&*work));
    } else {
        let start = Instant::now();
        while {
            runtime.run(&*work);
            start.elapsed() < WARM_UP
        } {}
        let start = Instant::now();
        while {
            samples.push(runtime.run(&*work));
            start.elapsed() < Duration::from_millis(slot.millis) && samples.len() < MOST_RUNS
        } {}
    }

    let times: Vec<_> =
        samples.iter().map(|sample| sample.elapsed.as_nanos() as f64 / sample.ops as f64).collect();
    let mut metrics = BTreeMap::<_, Vec<_>>::new();
    for &(name, value) in samples.iter().flat_map(|sample| &sample.metrics) {
        metrics.entry(name.to_owned()).or_default().push(value);
    }
    if let Some(bytes) = process::peak_resident_bytes() {
        metrics.insert("peak_MiB".to_owned(), vec![bytes as f64 / f64::from(1 << 20)]);
    }
    let report = Report {
        ns_per_op: median(&times).ok_or("no run")?,
        metrics: metrics
            .into_iter()
            .filter_map(|(name, values)| summary(&name, &values).map(|value| (name, value)))
            .collect(),
    };
    println!("{}", serde_json::to_string(&report).map_err(|error| error.to_string())?);
    Ok(ExitCode::SUCCESS)
}

/// The process of a client.
pub(super) fn client(processors: &[usize], load: &Load) -> Result<ExitCode, String> {
    process::allow_many_files().map_err(|error| format!("cannot open many files: {error}"))?;
    process::keep_to(processors).map_err(|error| format!("no processors: {error}"))?;
    client::run(load, std::io::stdout()).map_err(|error| format!("the client: {error}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Has this program run a slot, and waits for what it prints, at most `limit`.
///
/// # Errors
/// One line: that it hung, or how it ended and what it said last.
pub(super) fn run(slot: &Slot, limit: Duration) -> Result<Report, String> {
    let mut child = Command::new(this_program()?)
        .arg("__slot")
        .args([&slot.work, &slot.runtime, &slot.workers.to_string(), &slot.millis.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start a process: {error}"))?;
    let output = read_all(&mut child);
    let Ok((said, complained)) = output.recv_timeout(limit) else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("no answer in {} s", limit.as_secs()));
    };
    let status = child.wait().map_err(|error| error.to_string())?;
    if !status.success() {
        let reason = complained.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        return Err(format!("{status}: {reason}"));
    }
    serde_json::from_str(&said).map_err(|error| format!("unreadable report: {error}"))
}

/// Reads both pipes on threads of their own, for the child must not wait for us; and blocks, for polling would take
/// time from what is measured.
fn read_all(child: &mut Child) -> mpsc::Receiver<(String, String)> {
    let (sender, receiver) = mpsc::channel();
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    std::thread::spawn(move || {
        let complaints = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.as_mut().map(|pipe| pipe.read_to_end(&mut text));
            String::from_utf8_lossy(&text).into_owned()
        });
        let mut text = Vec::new();
        let _ = stdout.as_mut().map(|pipe| pipe.read_to_end(&mut text));
        let complaints = complaints.join().unwrap_or_default();
        // Nobody listens once the limit has passed.
        let _ = sender.send((String::from_utf8_lossy(&text).into_owned(), complaints));
    });
    receiver
}
