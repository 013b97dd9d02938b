//! Counts of instructions, by valgrind's callgrind: they repeat where times do not.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, process};

/// Whether there is a valgrind to ask.
pub fn is_there() -> bool {
    let version = Command::new("valgrind").arg("--version").stdin(Stdio::null()).output();
    version.is_ok_and(|output| output.status.success())
}

/// How many instructions `program` executes in user code, all threads together.
///
/// # Errors
/// If valgrind cannot be run, if the program fails under it, or if there is no count in what it writes.
pub fn instructions(program: &Path, args: &[String]) -> io::Result<u64> {
    let counts = Counts::new();
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", counts.0.display()))
        // Threads take turns by the clock otherwise, and a thread that spins does so for longer or shorter.
        .arg("--fair-sched=yes")
        .arg(program)
        .args(args)
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("valgrind: {}: {}", output.status, complaint.trim())));
    }
    let text = fs::read_to_string(&counts.0)?;
    let total = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
    total
        .and_then(|total| total.trim().parse().ok())
        .ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "callgrind wrote no total"))
}

/// The file that callgrind writes, until it has been read.
struct Counts(PathBuf);

impl Counts {
    fn new() -> Self {
        Self(env::temp_dir().join(format!("treescope-callgrind-{}", process::id())))
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        // It is not there if valgrind failed early.
        let _ = fs::remove_file(&self.0);
    }
}
