//! The load generator: many clients in one thread, which check every message that they get.
//!
//! It runs on neither of the runtimes that it measures, but on a plain loop over [`mio`], in a thread that can
//! be pinned, and it measures itself: a server cannot be seen to be faster than who asks it, so a generator
//! that is busy nearly all of the time says so, and so does one that is late or does not reach its rate.
//!
//! It holds both ends of every conversation, so a message needs no answer: its latency is from when it was to be
//! sent to when it was read from the receiver's socket. There are two paces.
//!
//! - A *closed loop* keeps a number of messages under way for each sender. It finds out how much a server can
//!   do. Its latencies say little, for a slow server is asked less often.
//! - At a *fixed rate* a message is due by the clock, whatever became of the ones before, and its latency counts
//!   from then, though the server may have kept it from being sent. What could not be sent at all counts with
//!   the time that it has waited.
//!
//! ```text
//!   schedule ---> engine ---> connection ---> (server) ---> connection ---> payload ---> ledger ---> outcome
//!   who is due    the loop    bytes out                     frames          is it whole  is it next  figures
//! ```

mod alarm;
mod connection;
mod engine;
mod error;
mod figures;
mod ledger;
mod options;
mod outcome;
mod pattern;
mod payload;
mod progress;
mod schedule;
mod sender;
mod summary;
pub mod system;

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

pub use connection::greeted;
pub use error::LoadError;
pub use ledger::Faults;
pub use options::LoadArgs;
pub use outcome::Outcome;
pub use pattern::{GROUP, Pattern};
pub use payload::SHORTEST;
pub use progress::Progress;
pub use summary::Summary;

/// How many messages there may be, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Each sender has so many under way.
    Closed {
        /// How many.
        window: u32,
    },
    /// So many are due per second, from all senders together, who take turns.
    Rate(f64),
}

/// What to do to a server.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where it is.
    pub addr: SocketAddr,
    /// How many clients.
    pub connections: usize,
    /// Who sends to whom.
    pub pattern: Pattern,
    /// How often.
    pub pace: Pace,
    /// The length of each payload; at least [`SHORTEST`].
    pub payload: usize,
    /// How long to go before measuring.
    pub warm_up: Duration,
    /// How long to measure, more than zero; [`Duration::MAX`] for as long as it takes.
    pub duration: Duration,
    /// Stops earlier when each sender has sent so many and all have arrived. If the time is over before, that is a
    /// [failure](Outcome::failure).
    pub messages: Option<u64>,
    /// How long the server may take to greet, or deliver nothing while messages are under way, before it is
    /// given up.
    pub patience: Duration,
    /// The processors to keep to; none: as the system likes.
    pub processors: Vec<usize>,
}

/// Is told how it goes, from the generator's thread; whatever it does takes the generator's time.
pub trait Watch: Send {
    /// Measuring begins now.
    fn begins(&mut self) {}
    /// Measuring has ended.
    fn ends(&mut self) {}
    /// It has come so far. For every connection, and then about ten times a second.
    fn progress(&mut self, _progress: Progress) {}
}

/// Nobody watches.
impl Watch for () {}

/// Does it, in a thread of its own.
///
/// # Errors
///
/// [`LoadError`]. That messages were lost or changed is none: see [`Outcome::faults`].
pub fn run(plan: &Plan, watch: &mut dyn Watch) -> Result<Outcome, LoadError> {
    if plan.payload < SHORTEST {
        return Err(LoadError::Asked(format!("a payload needs at least {SHORTEST} bytes")));
    }
    if plan.duration.is_zero() {
        return Err(LoadError::Asked("in no time there is nothing to measure".to_owned()));
    }
    check_files(plan.connections)?;
    check_processors(&plan.processors)?;
    let run = || {
        if !plan.processors.is_empty() {
            system::keep_to(&plan.processors).map_err(|error| {
                LoadError::Asked(format!("cannot keep to processors {:?}: {error}", plan.processors))
            })?;
        }
        engine::Engine::new(plan, watch)?.run(watch)
    };
    thread::scope(|threads| {
        let thread = thread::Builder::new().name("load".to_owned()).spawn_scoped(threads, run)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Files besides the connections: the standard ones, the poll, the timer and whatever the process has open.
const OTHER_FILES: u64 = 32;

fn check_files(connections: usize) -> Result<(), LoadError> {
    let (limit, needed) = (system::allow_files(), connections as u64 + OTHER_FILES);
    if needed <= limit {
        return Ok(());
    }
    Err(LoadError::Asked(format!(
        "{connections} connections need {needed} file descriptors, with {OTHER_FILES} for everything else, and the \
         limit is {limit}; `ulimit -n {needed}` raises it if the system lets you"
    )))
}

/// The system leaves out of a set what it does not have, and refuses only a set of which nothing is left.
fn check_processors(wanted: &[usize]) -> Result<(), LoadError> {
    let allowed = system::processors();
    let no: Vec<_> = wanted.iter().copied().filter(|processor| !allowed.contains(processor)).collect();
    if no.is_empty() || allowed.is_empty() {
        // Where it is not known which there are, keeping to them fails.
        return Ok(());
    }
    let (no, allowed) = (system::ranges(&no), system::ranges(&allowed));
    Err(LoadError::Asked(format!("cannot keep to processors {no}: this process may use {allowed}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plan for a server that is nowhere.
    pub(super) fn plan() -> Plan {
        Plan {
            addr: SocketAddr::from(([127, 0, 0, 1], 1)),
            connections: 2,
            pattern: Pattern::Pairs,
            pace: Pace::Closed { window: 1 },
            payload: 64,
            warm_up: Duration::ZERO,
            duration: Duration::from_millis(100),
            messages: None,
            patience: Duration::from_secs(5),
            processors: Vec::new(),
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_is_connected() {
        for plan in [
            Plan { payload: SHORTEST - 1, ..plan() },
            Plan { connections: 3, ..plan() },
            Plan { connections: 1 << 30, ..plan() },
            Plan { processors: vec![1 << 20], ..plan() },
            Plan { duration: Duration::ZERO, ..plan() },
        ] {
            assert!(matches!(run(&plan, &mut ()), Err(LoadError::Asked(_))), "{plan:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn one_processor_too_many_is_refused_by_its_number() {
        let processors = vec![system::processors()[0], 1 << 20];
        let error = run(&Plan { processors, ..plan() }, &mut ()).unwrap_err();
        assert!(error.to_string().contains("processors 1048576: "), "{error}");
    }

    #[test]
    fn too_many_connections_are_refused_with_what_they_need() {
        let error = run(&Plan { connections: 1 << 30, ..plan() }, &mut ()).unwrap_err().to_string();
        assert!(error.contains("need 1073741856 file descriptors"), "{error}");
        assert!(error.contains("`ulimit -n 1073741856`"), "{error}");
    }

    #[test]
    fn a_server_that_is_not_there_is_an_error() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        drop(listener);
        let error = run(&Plan { addr, ..plan() }, &mut ()).unwrap_err();
        assert!(matches!(error, LoadError::Connect(_, 0, _)), "{error}");
    }
}
