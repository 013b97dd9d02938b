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
mod cover;
mod machine;
mod options;
mod process;
mod progress;
mod publish;
mod report;
mod rounds;
mod slot;
mod stats;
mod subject;
mod usage;
mod workload;

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::Serialize;

use behaviour::Extent;
use machine::{Machine, Placement};
use progress::Progress;
use publish::Publisher;
use rounds::Section;
use workload::Workload;

use crate::cli;

pub use options::CompareArgs;
pub use subject::Subject;

/// Why there is no comparison, or not all of it.
#[derive(Debug)]
pub enum CompareError {
    /// What was asked for makes no sense.
    Asked(String),
    /// A file cannot be read or written.
    File(PathBuf, io::Error),
    /// It was made, and this of it failed: files that cannot be written, something of which there are no figures.
    Incomplete(Vec<String>),
}

impl fmt::Display for CompareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompareError::Asked(what) => f.write_str(what),
            CompareError::File(path, error) => write!(f, "{}: {error}", path.display()),
            CompareError::Incomplete(what) => f.write_str(&what.join("; ")),
        }
    }
}

impl std::error::Error for CompareError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CompareError::Asked(_) | CompareError::Incomplete(_) => None,
            CompareError::File(_, error) => Some(error),
        }
    }
}

/// A table, by the name of its place in the document.
struct Table {
    name: &'static str,
    /// As it stands beside the drawings.
    beside: String,
    /// The same with links that lead from the document to the drawings.
    document: String,
}

/// What was found.
struct Findings {
    tables: Vec<Table>,
    /// Names of files, and what is in them.
    files: Vec<(String, String)>,
    /// Of what there are no figures at all.
    unmeasured: Vec<&'static str>,
}

/// Compares, prints the tables, and writes what was asked for.
///
/// # Errors
///
/// [`CompareError`]. What goes wrong with a server is none, unless nothing can be measured of any.
pub fn run(args: &CompareArgs) -> Result<(), CompareError> {
    let subjects = Subject::named(&args.only).map_err(CompareError::Asked)?;
    let workloads = args.workloads().map_err(CompareError::Asked)?;
    // What cannot be written is better known before than after.
    let renewed = match &args.update {
        Some(_) => cover::tables(args.behaviour, &subjects, &workloads).map_err(CompareError::Asked)?,
        None => Vec::new(),
    };
    let publisher = Publisher::new(args.out.as_deref(), args.update.as_deref(), renewed)?;
    let placement = Placement::apart();
    let machine = Machine::look(&placement);
    let findings = if args.behaviour {
        misbehave(args, &subjects, &placement, &machine)
    } else {
        race(args, &subjects, &workloads, &placement, &machine, &publisher)
    };
    let printed = findings.tables.iter().try_for_each(|table| cli::print(&table.beside));
    let mut failures = publisher.publish(&findings);
    if let Err(error) = printed {
        failures.push(format!("standard output: {error}"));
    }
    if !findings.unmeasured.is_empty() {
        failures.push(format!("nothing could be measured of {}", findings.unmeasured.join(", ")));
    }
    if failures.is_empty() { Ok(()) } else { Err(CompareError::Incomplete(failures)) }
}

fn race(
    args: &CompareArgs,
    subjects: &[Subject],
    workloads: &[Workload],
    placement: &Placement,
    machine: &Machine,
    publisher: &Publisher<'_>,
) -> Findings {
    let rounds = args.rounds();
    let progress = Progress::new(subjects.len() * workloads.len() * rounds as usize);
    let sections = rounds::run(subjects, workloads, rounds, args.times(), placement, &progress);
    drop(progress);
    let note = format!(
        "{machine} {rounds} rounds of {} ms; medians. (!): the generator had hardly a pause, so the server may be \
         faster than this.\n\n",
        args.times().measured.as_millis()
    );
    let [beside, document] = [publisher.drawings_beside(), publisher.drawings_from_document()]
        .map(|plots| tables(&sections, &note, plots));
    let tables: Vec<_> = beside
        .into_iter()
        .zip(document)
        .map(|((name, beside), (_, document))| Table { name, beside, document })
        .collect();
    let mut files = report::plot::all(&sections, machine);
    files.extend(tables.iter().map(|table| (format!("{}.md", table.name), table.beside.clone())));
    let (series, others): (Vec<_>, Vec<_>) = sections.iter().partition(|section| section.workload.series);
    for (name, sections) in [("load.json", others), ("cost.json", series)] {
        if !sections.is_empty() {
            files.push((name.to_owned(), json(machine, "workloads", &sections)));
        }
    }
    let unmeasured = sections.iter().filter(|section| !section.is_measured());
    Findings { tables, files, unmeasured: unmeasured.map(|section| section.workload.name).collect() }
}

/// Those of which there is something.
fn tables(sections: &[Section], note: &str, plots: Option<&str>) -> Vec<(&'static str, String)> {
    let all = [
        ("targets", report::targets::markdown(sections)),
        ("load", report::load::markdown(sections, plots)),
        ("cost", report::cost::markdown(sections, plots)),
    ];
    let some = all.into_iter().filter(|(_, table)| !table.is_empty());
    some.map(|(name, table)| (name, format!("{note}{table}"))).collect()
}

fn misbehave(args: &CompareArgs, subjects: &[Subject], placement: &Placement, machine: &Machine) -> Findings {
    let progress = Progress::new(subjects.len() * behaviour::STEPS);
    let rows = behaviour::run(subjects, Extent { quick: args.quick }, placement, &progress);
    drop(progress);
    let text = format!("{machine}\n\n{}", report::behaviour::markdown(&rows));
    let json = json(machine, "behaviour", &rows);
    let files = vec![("behaviour.md".to_owned(), text.clone()), ("behaviour.json".to_owned(), json)];
    let tables = vec![Table { name: "behaviour", beside: text.clone(), document: text }];
    let seen = [
        ("flood", rows.iter().any(|row| row.flood.is_ok())),
        ("leaving", rows.iter().any(|row| row.leaving.is_ok())),
        ("burst", rows.iter().any(|row| row.burst.is_ok())),
        ("idle", rows.iter().any(|row| row.idle.is_ok())),
        ("stop", rows.iter().any(|row| row.stop.is_ok())),
    ];
    let unmeasured = seen.into_iter().filter(|(_, seen)| !seen).map(|(name, _)| name).collect();
    Findings { tables, files, unmeasured }
}

fn json(machine: &Machine, name: &str, what: &impl Serialize) -> String {
    let value = serde_json::json!({ "machine": machine, name: what });
    format!("{value:#}\n")
}
