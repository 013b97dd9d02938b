//! Ways to share the router's state between connections, one file each. The protocol, the limits, the sockets and the way in and
//! out of the program are the same for all.
//!
//! | the rules of routing are in | designs |
//! |---|---|
//! | [`machine`](crate::machine), which one owner drives | `sans_io`, `scoped_local`, `floor` |
//! | [`router`](crate::router), which many tasks share | `scoped`, `scoped_tokio` |
//! | the design itself: its rules, its bounds and its missing deadlines are its fault | the exhibits |
//!
//! The first two rows are the same rules, and a test holds them to the same deliveries. The exhibits frame with the same
//! [`protocol`](crate::protocol), but each writes as its kind is written: one frame at a time but for `race` and `poll`.
//!
//! Two of them are meant to be used, [`scoped`] and `scoped_local`. The others are exhibits: the ways that
//! programs without scopes take, each with a fault that is its own, is named at the head of its file and
//! is kept on purpose.
//!
//! What the designs with messages have in common is the crates for channels and locks, async-channel and
//! async-lock, on every runtime: then a comparison of runtimes is not one of channels. A frame costs
//! [`work`](crate::limits::Limits::work) where the design handles it: in the connection's own task, unless another
//! task owns the state. Only `mutex_deadlock` works under its lock, for it does everything under it.

pub mod actor;
pub mod dispatcher;
pub mod floor;
mod input;
pub mod mutex;
pub mod mutex_deadlock;
pub mod poll;
pub mod race;
pub mod sans_io;
pub mod scoped;
pub mod scoped_local;
pub mod scoped_tokio;
mod table;
mod tasks;
pub mod tokens;
pub mod writer_queues;

use std::fmt;

use clap::ValueEnum;

use crate::runtimes::RuntimeKind;

/// A way to share the router's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Design {
    /// One lock around all sockets, held while reading: deadlocks
    MutexDeadlock,
    /// One lock around all sending halves, held while writing: one full peer stalls everyone
    Mutex,
    /// One task owns all sending halves and writes: one full peer blocks the line
    Dispatcher,
    /// One task owns a queue to each connection's writer: a burst blocks the line
    WriterQueues,
    /// The same with a number of messages that each sender may have under way
    Tokens,
    /// One task owns everything and races all I/O: no parallelism
    Race,
    /// The same, polled by hand: I/O itself shares `&mut`
    Poll,
    /// Writer queues, and a log that is fed by every reply and waited for at the end
    Actor,
    /// A state machine without I/O owns everything, and one task drives it
    SansIo,
    /// Connections are scopes that borrow the state, on all workers
    #[default]
    Scoped,
    /// The same on one thread, without locks (treescope only)
    ScopedLocal,
    /// A loop around epoll, as a measure of what is possible (no runtime)
    Floor,
}

impl Design {
    /// What it can run on, what it runs on by default first.
    pub fn runtimes(self) -> &'static [RuntimeKind] {
        const BOTH: &[RuntimeKind] = &[RuntimeKind::Treescope, RuntimeKind::Tokio];
        match self {
            Design::MutexDeadlock | Design::Mutex | Design::Dispatcher | Design::WriterQueues => BOTH,
            Design::Tokens | Design::Actor | Design::Scoped => BOTH,
            Design::Race | Design::Poll | Design::SansIo => BOTH,
            Design::ScopedLocal => &[RuntimeKind::Treescope],
            Design::Floor => &[RuntimeKind::Bare],
        }
    }

    /// Whether it can run on `runtime`.
    pub fn runs_on(self, runtime: RuntimeKind) -> bool {
        self.runtimes().contains(&runtime)
    }

    /// Whether all of it runs on one thread, whatever the number of workers.
    pub fn is_on_one_thread(self) -> bool {
        matches!(self, Design::Race | Design::Poll | Design::SansIo | Design::ScopedLocal | Design::Floor)
    }
}

/// As on the command line.
impl fmt::Display for Design {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}
