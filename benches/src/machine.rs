//! Where and with what a run was made: without that, times say nothing.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// See the [module](self). What cannot be found out is `unknown`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Machine {
    /// Its model.
    pub processor: String,
    /// How many of them this process may use.
    pub processors: usize,
    /// Name and release.
    pub kernel: String,
    /// The compiler.
    pub rustc: String,
    /// Of this repository; with a `+` if files differed from it.
    pub commit: String,
    /// Of all runtimes.
    pub allocator: &'static str,
    /// How the run was set up.
    #[serde(flatten)]
    pub setting: Setting,
    /// Of the peers.
    #[serde(borrow)]
    pub versions: BTreeMap<&'static str, &'static str>,
}

/// How a run is set up.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Setting {
    /// Of each runtime that has several.
    pub workers: usize,
    /// Per work.
    pub rounds: u32,
    /// How long each slot repeats its run.
    pub slot_ms: u64,
}

impl Machine {
    /// Looks round.
    pub fn look(setting: Setting) -> Self {
        let unknown = || "unknown".to_owned();
        let changed = said("git", &["status", "--porcelain", "--untracked-files=no"]).is_some();
        Self {
            processor: processor().unwrap_or_else(unknown),
            processors: std::thread::available_parallelism().map_or(1, Into::into),
            kernel: said("uname", &["-sr"]).unwrap_or_else(unknown),
            rustc: rustc().unwrap_or_else(unknown),
            commit: said("git", &["rev-parse", "--short=10", "HEAD"])
                .map_or_else(unknown, |commit| if changed { commit + "+" } else { commit }),
            allocator: if cfg!(feature = "mimalloc") { "mimalloc" } else { "system" },
            setting,
            versions: ["tokio", "async-executor", "rayon", "chili", "futures-util", "async-task", "mimalloc"]
                .into_iter()
                .filter_map(|name| Some((name, locked(name)?)))
                .collect(),
        }
    }
}

/// The compiler's name and version.
pub fn rustc() -> Option<String> {
    said("rustc", &["--version"])
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// What a command prints, in the repository; `None` for nothing.
fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// A crate's version, as the lock file that this program was built with says.
fn locked(name: &str) -> Option<&'static str> {
    let lock = include_str!("../../Cargo.lock");
    let mut lines = lock.lines();
    lines.find(|line| line.strip_prefix("name = ").is_some_and(|rest| rest.trim_matches('"') == name))?;
    lines.next()?.strip_prefix("version = ").map(|version| version.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    #[test]
    fn lock_file_names_the_peers_versions() {
        for peer in ["tokio", "rayon", "chili", "async-executor"] {
            let version = super::locked(peer).unwrap_or_default();
            assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{peer}: {version:?}");
        }
        assert_eq!(super::locked("no-such-crate"), None);
    }
}
