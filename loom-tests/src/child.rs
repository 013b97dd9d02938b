//! One model in a process of its own: loom's deadlock report may abort, a wrong unsafe block may crash, and a model
//! may not end.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How a model ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// What became of it.
    pub outcome: Outcome,
    /// Executions explored, the failing one included; 0 if it died without a report.
    pub executions: u64,
    /// How long it took: processor time where the system tells it (Linux), else as the clock has it.
    pub time: Duration,
    /// Everything it printed, for people.
    pub output: String,
}

/// What became of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It ran to the end of its state space.
    Passed,
    /// It failed; the first line of why.
    Failed(String),
    /// It was stopped: nothing is known.
    TimedOut,
}

/// The line by which a model's process says how many executions it explored.
pub const EXECUTIONS: &str = "executions explored: ";

/// Runs the program `models` with the arguments `args`, which choose a model, and with `environment` set.
///
/// # Errors
/// If the process cannot be started or watched.
pub fn run(models: &Path, args: &[&str], environment: &[(&str, &str)], limit: Duration) -> io::Result<Ended> {
    let start = Instant::now();
    let mut child = Command::new(models)
        .args(args)
        .env_remove("TREESCOPE_FAULT")
        .env_remove("TREESCOPE_CALLER_BUG")
        // loom reports a deadlock on the stack of the thread that finds it, 32 KiB deep, which a backtrace with names overflows.
        .env("RUST_BACKTRACE", "0")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdout = reader(child.stdout.take());
    let stderr = reader(child.stderr.take());
    let mut time = None;
    let status = loop {
        time = processor_time(child.id()).or(time);
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let time = time.unwrap_or_else(|| start.elapsed());
    let output = stdout.join().unwrap_or_default() + &stderr.join().unwrap_or_default();
    let executions = output
        .lines()
        .find_map(|line| line.strip_prefix(EXECUTIONS))
        .and_then(|count| count.parse().ok())
        .unwrap_or(0);
    let outcome = match status {
        None => Outcome::TimedOut,
        // A model that explored nothing has shown nothing.
        Some(status) if status.success() && executions > 0 => Outcome::Passed,
        Some(status) => Outcome::Failed(reason(&output).unwrap_or_else(|| status.to_string())),
    };
    Ok(Ended { outcome, executions, time, output })
}

/// The processor time of the process `id` so far. loom's threads all run on the process's first one, which is the one
/// that the file is about.
fn processor_time(id: u32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{id}/schedstat")).ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// The panic's message: the line after `panicked at ..:`.
fn reason(output: &str) -> Option<String> {
    let mut lines = output.lines();
    lines.find(|line| line.contains("panicked at"))?;
    lines.map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

fn reader(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What could be read is reported; the exit status decides.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
