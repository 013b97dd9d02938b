//! All designs on all runtimes, measured against each other and against clients that misbehave.
//!
//! Each server is a process of its own, a child of this one and the same program, so that its memory and its
//! processor time are its alone and its death or its hanging is a result and not an end. Speed is measured in
//! rounds, A B C A B C, and compared within a round, for a machine that is slow for a while is slow for all.
//!
//! ```text
//!   subject x workload ---> slot (process + load + usage) ---> rounds ---> report
//!   subject            ---> behaviour ----------------------------------> report
//! ```

mod behaviour;
mod machine;
mod options;
mod process;
mod progress;
mod report;
mod rounds;
mod slot;
mod stats;
mod subject;
mod usage;
mod workload;

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use behaviour::Extent;
use machine::{Machine, Placement};
use progress::Progress;
use report::document;

pub use options::CompareArgs;
pub use subject::Subject;

/// Why there is no comparison.
#[derive(Debug)]
pub enum CompareError {
    /// What was asked for makes no sense.
    Asked(String),
    /// A file cannot be read or written.
    File(PathBuf, io::Error),
}

impl fmt::Display for CompareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompareError::Asked(what) => f.write_str(what),
            CompareError::File(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for CompareError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CompareError::Asked(_) => None,
            CompareError::File(_, error) => Some(error),
        }
    }
}

/// A file to write: its name, and what is in it.
type Files = Vec<(String, String)>;

/// What was found: tables by the names of their places in the document, and files.
struct Findings {
    tables: Vec<(&'static str, String)>,
    files: Files,
}

/// Compares, prints the tables, and writes what was asked for.
///
/// # Errors
///
/// [`CompareError`]. What goes wrong with a server is none.
pub fn run(args: &CompareArgs) -> Result<(), CompareError> {
    let subjects = Subject::named(&args.only).map_err(CompareError::Asked)?;
    let placement = Placement::apart();
    let machine = Machine::look(&placement);
    // What cannot be written is better known before than after.
    if let Some(dir) = &args.out {
        fs::create_dir_all(dir).map_err(|error| CompareError::File(dir.clone(), error))?;
    }
    if let Some(path) = &args.update {
        let text = read(path)?;
        let names: &[_] = if args.behaviour { &["behaviour"] } else { &["targets", "load", "cost"] };
        names.iter().try_for_each(|name| renew(path, &text, name, "").map(|_| ()))?;
    }
    let findings = if args.behaviour {
        misbehave(args, &subjects, &placement, &machine)
    } else {
        race(args, &subjects, &placement, &machine)?
    };
    for (_, table) in &findings.tables {
        // Whoever closed stdout does not want to see it.
        let _ = writeln!(io::stdout(), "{table}");
    }
    if let Some(dir) = &args.out {
        for (name, content) in &findings.files {
            write(&dir.join(name), content)?;
        }
    }
    if let Some(path) = &args.update {
        // Read again: somebody may have written in it meanwhile.
        let mut text = read(path)?;
        for (name, table) in &findings.tables {
            text = renew(path, &text, name, table)?;
        }
        write(path, &text)?;
    }
    Ok(())
}

fn race(
    args: &CompareArgs,
    subjects: &[Subject],
    placement: &Placement,
    machine: &Machine,
) -> Result<Findings, CompareError> {
    let workloads = args.workloads().map_err(CompareError::Asked)?;
    let rounds = args.rounds();
    let progress = Progress::new(subjects.len() * workloads.len() * rounds as usize);
    let sections = rounds::run(subjects, &workloads, rounds, args.times(), placement, &progress);
    drop(progress);
    let note = format!(
        "{machine} {rounds} rounds of {} ms; medians. (!): the generator had hardly a pause, so the server may be \
         faster than this.\n\n",
        args.times().measured.as_millis()
    );
    let mut tables = Vec::new();
    for (name, table) in [
        ("targets", report::targets::markdown(&sections)),
        ("load", report::load::markdown(&sections, Some("comparison/"))),
        ("cost", report::cost::markdown(&sections, Some("comparison/"))),
    ] {
        if !table.is_empty() {
            tables.push((name, format!("{note}{table}")));
        }
    }
    let mut files = report::plot::all(&sections, machine);
    files.extend(tables.iter().map(|(name, table)| (format!("{name}.md"), table.clone())));
    let (series, others): (Vec<_>, Vec<_>) = sections.iter().partition(|section| section.workload.series);
    for (name, sections) in [("load.json", others), ("cost.json", series)] {
        if !sections.is_empty() {
            files.push((name.to_owned(), json(machine, "workloads", &sections)));
        }
    }
    Ok(Findings { tables, files })
}

fn misbehave(args: &CompareArgs, subjects: &[Subject], placement: &Placement, machine: &Machine) -> Findings {
    let progress = Progress::new(subjects.len() * behaviour::STEPS);
    let rows = behaviour::run(subjects, Extent { quick: args.quick }, placement, &progress);
    drop(progress);
    let table = format!("{machine}\n\n{}", report::behaviour::markdown(&rows));
    let json = json(machine, "behaviour", &rows);
    let files = vec![("behaviour.md".to_owned(), table.clone()), ("behaviour.json".to_owned(), json)];
    Findings { tables: vec![("behaviour", table)], files }
}

/// A document with a table in its place.
fn renew(path: &Path, text: &str, name: &str, table: &str) -> Result<String, CompareError> {
    document::replace(text, name, table)
        .map_err(|error| CompareError::Asked(format!("cannot update {}: {error}", path.display())))
}

fn json(machine: &Machine, name: &str, what: &impl Serialize) -> String {
    let value = serde_json::json!({ "machine": machine, name: what });
    format!("{value:#}\n")
}

fn read(path: &Path) -> Result<String, CompareError> {
    fs::read_to_string(path).map_err(|error| CompareError::File(path.to_owned(), error))
}

fn write(path: &Path, text: &str) -> Result<(), CompareError> {
    fs::write(path, text).map_err(|error| CompareError::File(path.to_owned(), error))
}
