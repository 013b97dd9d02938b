//! The models, one file per protocol.
//!
//! A model plays the threads of one protocol with the runtime's own code, asserts what must hold, and names a bug that
//! it catches.

use std::panic;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::child::EXECUTIONS;
use crate::seed::Seed;

mod abort;
mod blocking;
mod cancel;
mod cell;
mod clock;
mod closing;
mod counts;
mod deque;
mod driver;
mod foreign;
mod handle;
mod idle;
mod listing;
mod local;
mod node;
mod oneshot;
mod outcome;
mod places;
mod request;
mod root;
mod scope;
mod scope_handle;
mod visitors;
mod whole;
mod workers;

/// In place of a preemption bound: none, every interleaving.
pub const ALL: usize = usize::MAX;

/// A model and the bug it catches.
#[derive(Debug)]
pub struct Model {
    /// `file::model`.
    pub name: &'static str,
    /// What is checked, in a few words.
    pub checks: &'static str,
    /// Threads, the model's main thread included.
    pub threads: usize,
    /// Preemption bound of the quick set; `None`: not in it.
    pub quick: Option<usize>,
    /// Preemption bound of the full set.
    pub full: usize,
    /// One execution.
    pub body: fn(),
    /// A bug that makes the model fail, in words.
    pub bug: &'static str,
    /// The same for the machine.
    pub seed: Seed,
}

/// All models.
pub fn all() -> impl Iterator<Item = &'static Model> {
    [
        deque::MODELS,
        idle::MODELS,
        driver::MODELS,
        visitors::MODELS,
        root::MODELS,
        node::MODELS,
        cancel::MODELS,
        closing::MODELS,
        places::MODELS,
        workers::MODELS,
        handle::MODELS,
        scope::MODELS,
        cell::MODELS,
        scope_handle::MODELS,
        oneshot::MODELS,
        counts::MODELS,
        abort::MODELS,
        listing::MODELS,
        outcome::MODELS,
        foreign::MODELS,
        blocking::MODELS,
        clock::MODELS,
        request::MODELS,
        local::MODELS,
    ]
    .into_iter()
    .flatten()
}

static EXPLORED: AtomicU64 = AtomicU64::new(0);

/// Explores `model` and says how many executions it took. Any panic ends the process, on the spot: unwinding through
/// the runtime, which catches its users' panics, would hide it.
pub fn explore(model: &Model, bound: usize) {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        // What a user gets for aborting the root; models that do so expect it.
        if info.payload_as_str().is_some_and(|message| message.starts_with("the root scope was aborted")) {
            return;
        }
        report(info);
        for step in treescope::model::steps() {
            println!("  {step}");
        }
        println!("{EXECUTIONS}{}", EXPLORED.load(Ordering::Relaxed));
        process::exit(101);
    }));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = (bound != ALL).then_some(bound);
    // The longest models take a few thousand steps an execution; one that takes more goes round in circles.
    builder.max_branches = 20_000;
    let body = model.body;
    builder.check(move || {
        EXPLORED.fetch_add(1, Ordering::Relaxed);
        treescope::model::begin_execution();
        body();
    });
    println!("{EXECUTIONS}{}", EXPLORED.load(Ordering::Relaxed));
}

/// What `start` gives, its workers, one or two, being asleep. The way there is not explored: `workers.rs` has models of
/// it, and what three threads do beside it would not end.
fn asleep<T>(start: impl FnOnce() -> T) -> T {
    loom::stop_exploring();
    let started = start();
    // Without exploration a thread runs until it waits or, as a worker that searches does, yields.
    for _ in 0..3 {
        loom::thread::yield_now();
    }
    loom::explore();
    started
}

/// What comes is not explored until [`explored_from_here`], on whatever thread: the way to where the threads of a model
/// meet is others' matter. Each thread runs until it waits, or [lets others come](loom::thread::yield_now).
fn not_yet_explored() {
    loom::stop_exploring();
}

/// See [`not_yet_explored`].
fn explored_from_here() {
    loom::explore();
}

/// What comes is not explored: the model has shown what it is about, and how a runtime shuts down is others' matter. An
/// access that comes too late is found all the same, for what it collides with was explored.
fn all_is_shown() {
    loom::skip_branch();
}

/// Whether the bug `name` in the part that the models themselves play is seeded ([`Seed::Caller`]).
fn bug(name: &str) -> bool {
    static SEEDED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    SEEDED.get_or_init(|| std::env::var("TREESCOPE_CALLER_BUG").ok()).as_deref() == Some(name)
}
