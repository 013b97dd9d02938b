//! Which program runs whose slots.
//!
//! This one runs all but async-executor's, unless it was built with that: it turns a feature of async-task on, and cargo
//! builds treescope with it. What has it is another program of this package, built before a run that needs it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::runtimes::Peer;

/// The paths of the programs.
#[derive(Debug)]
pub(super) struct Programs {
    own: PathBuf,
    /// Or why it cannot be had. Not asked for if all peers are in this program.
    async_executor: Result<PathBuf, String>,
}

impl Programs {
    /// Builds what `peers` need.
    ///
    /// # Errors
    /// If this program does not know where it is itself. What cannot be built costs its slots.
    pub(super) fn build<'a>(mut peers: impl Iterator<Item = &'a Peer>) -> Result<Self, String> {
        let own = this_program()?;
        let all_here = peers.all(Peer::is_here);
        let async_executor = if all_here { Ok(own.clone()) } else { build_async_executor() };
        Ok(Self { own, async_executor })
    }

    /// The program that runs the slots of `peer`.
    pub(super) fn of(&self, peer: &Peer) -> Result<&Path, String> {
        if peer.is_here() { Ok(&self.own) } else { self.async_executor.as_deref().map_err(String::clone) }
    }
}

/// The path of this program, which runs itself for each slot and for each count.
pub(super) fn this_program() -> Result<PathBuf, String> {
    env::current_exe().map_err(|error| format!("where is this program? {error}"))
}

fn build_async_executor() -> Result<PathBuf, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let allocator: &[_] = if cfg!(feature = "mimalloc") { &["--features", "mimalloc"] } else { &[] };
    let output = Command::new(cargo)
        .args(["build", "--release", "-p", "benches", "--bin", "async_executor"])
        .args(["--features", "async-executor", "--message-format", "json-render-diagnostics"])
        .args(allocator)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if !output.status.success() {
        return Err("cargo could not build the program with async-executor".to_owned());
    }
    // One message a line; only a program's has a path here.
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    };
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().find_map(executable).ok_or_else(|| "cargo names no program".to_owned())
}
