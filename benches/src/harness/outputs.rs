//! The files that are asked for: tried before the run, so that a path that is wrong does not cost it, and written after.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use super::options::Options;
use super::results::Results;
use super::{plot, table};

/// Tries whether all files can be written, and leaves them as they are. Directories for plots are made.
///
/// # Errors
/// All that is wrong.
pub(super) fn probe(options: &Options) -> Result<(), String> {
    let mut failures = Failures::default();
    for file in [&options.json, &options.markdown].into_iter().flatten() {
        failures.note(file, probe_file(file));
    }
    if let Some(dir) = &options.plots {
        failures.note(dir, fs::create_dir_all(dir).and_then(|()| probe_file(&dir.join(plot::OVERVIEW))));
    }
    failures.done()
}

/// Prints the tables and writes the files. The JSON comes first, since all else can be made of it again; what fails
/// keeps nothing else from being written.
///
/// # Errors
/// All that failed.
pub(super) fn write(options: &Options, runs: &[Results]) -> Result<(), String> {
    let mut failures = Failures::default();
    if let (Some(file), [run]) = (&options.json, runs) {
        failures.note(file, run.json().map_err(io::Error::other).and_then(|text| fs::write(file, text)));
    }
    let text = table::markdown(runs);
    failures.note(Path::new("the terminal"), writeln!(io::stdout(), "{text}"));
    if let Some(file) = &options.markdown {
        failures.note(file, fs::write(file, &text));
    }
    if let Some(dir) = &options.plots {
        failures.note(dir, fs::create_dir_all(dir));
        for (name, svg) in plot::all(runs) {
            let file = dir.join(name);
            failures.note(&file, fs::write(&file, svg));
        }
    }
    failures.done()
}

fn probe_file(file: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).open(file) {
        Ok(_) => fs::remove_file(file),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            OpenOptions::new().append(true).open(file).map(drop)
        }
        Err(error) => Err(error),
    }
}

/// What went wrong so far, a line each.
#[derive(Default)]
struct Failures(Vec<String>);

impl Failures {
    fn note(&mut self, file: &Path, outcome: io::Result<()>) {
        self.0.extend(outcome.err().map(|error| format!("{}: {error}", file.display())));
    }

    fn done(self) -> Result<(), String> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0.join("\n")) }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::Parser;

    use super::*;
    use crate::machine::{Machine, Setting};

    /// A directory of this test's own, which ends with it.
    struct Dir(PathBuf);

    impl Dir {
        fn new(test: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("treescope-{test}-{}", std::process::id()));
            fs::create_dir_all(&dir).expect("the temporary directory can be written to");
            Self(dir)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn options(arguments: &[(&str, &Path)]) -> Options {
        let flat = arguments.iter().flat_map(|(name, file)| [name.as_ref(), file.as_os_str()]);
        Options::try_parse_from(std::iter::once("peers".as_ref()).chain(flat)).expect("they are options")
    }

    #[test]
    fn all_paths_that_are_wrong_are_named_before_the_run() {
        let dir = Dir::new("wrong-paths");
        let (json, markdown) = (dir.0.join("none/out.json"), dir.0.join("."));
        let error =
            probe(&options(&[("--json", &json), ("--markdown", &markdown)])).expect_err("neither is a file");
        assert_eq!(error.lines().count(), 2, "{error}");
    }

    #[test]
    fn a_probe_leaves_files_as_they_are() {
        let dir = Dir::new("probe");
        let (old, new) = (dir.0.join("old.json"), dir.0.join("new.md"));
        fs::write(&old, "old").expect("it can be written");
        probe(&options(&[("--json", &old), ("--markdown", &new)])).expect("both can be written");
        assert_eq!(fs::read_to_string(&old).expect("it is there"), "old");
        assert!(!new.exists());
    }

    #[test]
    fn a_table_that_cannot_be_written_does_not_keep_the_results_from_being_written() {
        let dir = Dir::new("failing");
        let (json, markdown) = (dir.0.join("out.json"), dir.0.join("none/out.md"));
        let results = Results::new(Machine::look(Setting { workers: 1, rounds: 1, slot_ms: 1 }));
        let error = write(&options(&[("--markdown", &markdown), ("--json", &json)]), &[results])
            .expect_err("the table has no directory");
        assert!(error.contains("out.md") && json.exists(), "{error}");
    }
}
