//! One fault at a time, seeded at one source location, so that a model can be shown to fail. Under loom and shuttle only.
//!
//! The environment names the fault (see [`Fault::parse`]); each operation of [`atomic`](super::atomic) asks, by the
//! location it was called from, whether it is the one. So one build of the models serves the shipped code, every
//! seeded bug and every weakened ordering, and the runtime's sources carry none of it.
//!
//! The same hook records which operations a model reaches, and with which orderings, for the list of mutants, and
//! keeps the steps of the execution under way, for whoever wants to read how it failed.

use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, OnceLock};

/// Names the fault.
const FAULT: &str = "TREESCOPE_FAULT";
/// If set, operations are recorded.
const RECORD: &str = "TREESCOPE_RECORD_SITES";

/// If set, the steps of an execution are kept.
const TRACE: &str = "TREESCOPE_TRACE";

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The ordering argument at this place (0, or 1 for the failure ordering) is weaker than written.
    Weaken(usize, Ordering),
    /// The operation does not take place: a store or a notification is lost, a fence is missing, a
    /// read-modify-write only reads, a load reads 0.
    Remove,
    /// A read-modify-write is a load and a store, with room for others in between.
    Split,
}

/// A fault and where it is.
#[derive(Debug)]
struct Fault {
    /// The end of the file's path.
    file: String,
    line: u32,
    column: u32,
    kind: Kind,
}

impl Fault {
    /// `<file>:<line>:<column>:remove`, `..:split`, `..:weaken:<argument>:<ordering>`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let file = parts.next()?.to_owned();
        let line = parts.next()?.parse().ok()?;
        let column = parts.next()?.parse().ok()?;
        let kind = match parts.next()? {
            "remove" => Kind::Remove,
            "split" => Kind::Split,
            "weaken" => Kind::Weaken(parts.next()?.parse().ok()?, parse_ordering(parts.next()?)?),
            _ => return None,
        };
        Some(Self { file, line, column, kind })
    }

    fn is_at(&self, place: &Location<'_>) -> bool {
        self.line == place.line() && self.column == place.column() && place.file().ends_with(&self.file)
    }
}

fn parse_ordering(name: &str) -> Option<Ordering> {
    [Ordering::Relaxed, Ordering::Acquire, Ordering::Release, Ordering::AcqRel, Ordering::SeqCst]
        .into_iter()
        .find(|ordering| format!("{ordering:?}") == name)
}

/// The fault that the environment asks for.
///
/// # Panics
/// If it cannot be read: a model that was meant to fail must not pass for that.
fn planned() -> Option<&'static Fault> {
    static PLANNED: OnceLock<Option<Fault>> = OnceLock::new();
    let planned = PLANNED.get_or_init(|| {
        let text = std::env::var(FAULT).ok()?;
        Some(Fault::parse(&text).unwrap_or_else(|| panic!("{FAULT}={text} names no fault")))
    });
    planned.as_ref()
}

static REACHED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn record(place: &Location<'_>, operation: &str, orderings: &[Ordering]) {
    static RECORDING: OnceLock<bool> = OnceLock::new();
    if *RECORDING.get_or_init(|| std::env::var_os(RECORD).is_some()) {
        let line = format!("{}:{}:{} {operation} {orderings:?}", place.file(), place.line(), place.column());
        if let Ok(mut reached) = REACHED.lock() {
            reached.insert(line);
        }
    }
}

/// Every operation reached so far: `<file>:<line>:<column> <operation> [<orderings>]`.
pub(crate) fn reached() -> Vec<String> {
    REACHED.lock().map(|reached| reached.iter().cloned().collect()).unwrap_or_default()
}

fn is_tracing() -> bool {
    static TRACING: OnceLock<bool> = OnceLock::new();
    *TRACING.get_or_init(|| std::env::var_os(TRACE).is_some())
}

/// What the execution under way has done so far: the thread, and the step in words.
static STEPS: Mutex<Vec<(super::checker::thread::ThreadId, String)>> = Mutex::new(Vec::new());

/// Forgets the steps of the last execution.
pub(crate) fn begin_execution() {
    if let Ok(mut steps) = STEPS.lock() {
        steps.clear();
    }
}

/// The steps of the execution under way, if `TREESCOPE_TRACE` is set.
pub(crate) fn steps() -> Vec<String> {
    let Ok(steps) = STEPS.lock() else { return Vec::new() };
    steps.iter().map(|(thread, step)| format!("{thread:?} {step}")).collect()
}

/// The calling thread does `what`.
#[track_caller]
pub(super) fn note(what: std::fmt::Arguments<'_>) {
    if is_tracing() {
        let place = Location::caller();
        let step = format!("{}:{} {what}", place.file(), place.line());
        let thread = super::checker::thread::current().id();
        if let Ok(mut steps) = STEPS.lock() {
            steps.push((thread, step));
        }
    }
}

/// The calling thread's last step came to `result`.
pub(super) fn came_to(result: &dyn std::fmt::Debug) {
    if is_tracing() {
        let thread = super::checker::thread::current().id();
        if let Ok(mut steps) = STEPS.lock()
            && let Some((_, step)) = steps.iter_mut().rev().find(|(of, _)| *of == thread)
        {
            step.push_str(&format!(" = {result:x?}"));
        }
    }
}

/// How the operation called at `place` is to be done.
pub(super) enum Plan<const N: usize> {
    Do([Ordering; N]),
    Remove,
    Split([Ordering; N]),
}

#[track_caller]
pub(super) fn plan<const N: usize>(operation: &str, mut orderings: [Ordering; N]) -> Plan<N> {
    let place = Location::caller();
    record(place, operation, &orderings);
    let fault = planned().filter(|fault| fault.is_at(place)).map(|fault| fault.kind);
    match fault {
        None => note(format_args!("{operation} {orderings:?}")),
        Some(kind) => note(format_args!("{operation} {orderings:?} SEEDED BUG: {kind:?}")),
    }
    match fault {
        None => Plan::Do(orderings),
        Some(Kind::Remove) => Plan::Remove,
        Some(Kind::Split) => Plan::Split(orderings),
        Some(Kind::Weaken(argument, ordering)) => {
            orderings[argument] = ordering;
            Plan::Do(orderings)
        }
    }
}
