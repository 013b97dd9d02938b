//! treescope is a small async runtime in which every task has a parent, no task outlives it, and children borrow.
//!
//! ```
//! let names = ["ash", "birch", "cedar"];
//! let mut lengths = [0; 3];
//!
//! treescope::block_on(async |scope| {
//!     for (name, length) in names.iter().zip(&mut lengths) {
//!         scope.spawn(async move { *length = name.len() });
//!     }
//! });
//!
//! assert_eq!(lengths, [3, 5, 5]);
//! ```
//!
//! No `Arc`, no `'static`, no lock: the children run in parallel on worker threads and write through plain references
//! into the stack frame below [`block_on`], which does not return before the last of them has been dropped.
//!
//! # Why this is sound
//!
//! A future may be leaked, so nothing that is borrowed by others may lie in one. Here children never borrow from a
//! future. They borrow from
//!
//! 1. the frame below the blocking root ([`Runtime::block_on`]), lifetime `'env`, or
//! 2. values that a node of the tree owns ([`Scope::alloc`]), lifetime `'scope`, which the runtime drops only after
//!    every descendant of that node has been dropped.
//!
//! A handle or a scope may be forgotten, kept in an `Arc` cycle or dropped half-way: the node lives in the runtime and
//! not in the future, so a leak leaks, and nothing dangles.
//!
//! # What it does not do
//!
//! Children cannot borrow the *locals* of their parent's body, only what the parent gave to its node. Freedom from
//! `'static` does not give two children `&mut` to one thing: shared mutation is still a lock, a channel, one task, or a
//! split (`split_at_mut`). There is no detached spawn.
//!
//! # The life of a task
//!
//! Every edge names the function that takes it, and the file that function is in.
//!
//! ```text
//!            Scope::spawn, Scope::scope, Scope::spawn_blocking                      tree/scope.rs
//!                                 │
//!                                 │ child::spawn: Node::child_added, new_child      task/child.rs, task/cell/
//!                                 │   (a child scope: scope_task::spawn, new_scope) task/scope_task.rs, task/cell/
//!                                 ▼
//!   ┌──────────────────────▶   queued    in a lane, or the remote queue             sched/deque.rs, sched/mod.rs
//!   │                             │
//!   │                             │ Worker::next picks, or Worker::steal            sched/worker.rs
//!   │ SchedRef::schedule_woken    ▼
//!   │   sched/mod.rs           polled    cell::run ─▶ Child::poll, ScopeTask::poll  task/
//!   │                             │
//!   │                             ├── Pending: Node::park ──▶ parked                tree/cancel.rs, tree/parked.rs
//!   │                             │                             │
//!   └──────── Runnable::schedule ◀── WakeState::wake ◀──────────┤ Waker::wake       task/cell/
//!                                 │        by a socket, a timer, a sibling: driver/, time/, net/
//!                                 │        by Node::request, Node::abort, which reach whoever is parked: tree/cancel.rs
//!                                 │
//!                                 │ ready, panicked, or aborted
//!                                 ▼
//!                           future dropped   Child::end, ScopeTask::drop_body       task/child.rs, task/scope_task.rs
//!                                 │
//!                                 │   (a child scope: ScopeTask::drain waits for its own children in
//!                                 │    Node::poll_drained, runs what was deferred,  tree/node.rs, tree/state.rs
//!                                 │    then Node::drop_values)                      tree/deferred.rs, tree/values.rs
//!                                 ▼
//!                           output stored, or dropped if no JoinHandle is left      task/outcome.rs, task/join.rs
//!                                 │
//!                                 │ cell::run, after the cell's own run has returned
//!                                 ▼
//!                           Node::children_ended ── the last one wakes ──▶ the parent   tree/node.rs
//! ```
//!
//! # Where to read on
//!
//! `tree/` who owns whom, `task/` one task's life, `sched/` who runs when, `driver/` what wakes. A reading order for
//! someone who came to study a scheduler is in `CONTRIBUTING.md`; the argument that no wake-up is lost in
//! `runtime/src/sched/README.md`.
//!
//! # Platforms
//!
//! Linux is first class. macOS goes through the same crates and is not run by this project's checks. Windows is not
//! supported.

// The same task cell with an atomic state that the models see. Here, and not in `sync.rs`, for an `extern crate` of the
// root is a name that all modules know: nothing else differs.
#[cfg(any(loom, shuttle))]
extern crate async_task_loom as async_task;

mod context;
pub mod current;
mod driver;
#[cfg(not(any(loom, shuttle)))]
pub mod guide;
mod kinds;
pub mod local;
#[cfg(loom)]
#[doc(hidden)]
pub mod model;
#[cfg(not(any(loom, shuttle)))]
pub mod net;
pub mod oneshot;
mod runtime;
mod sched;
#[cfg(not(any(loom, shuttle)))]
pub mod signal;
mod sync;
mod task;
pub mod time;
mod tree;

pub use kinds::bounded::{BoundedScope, Place};
pub use kinds::deadline::DeadlineElapsed;
pub use kinds::fallible::{Failed, TryHandle, TryScope};
pub use kinds::supervisor::{JoinError, SupervisedHandle, SupervisorScope};
pub use runtime::{Builder, Runtime, block_on};
pub use sched::budget::yield_now;
pub use sched::hand_over::hand_over;
pub use task::join::JoinHandle;
pub use tree::body::ScopeBody;
pub use tree::builder::ScopeBuilder;
pub use tree::cause::{Cause, CauseKind};
pub use tree::id::ScopeId;
pub use tree::key::ScopedKey;
pub use tree::scope::Scope;
pub use tree::survivors::Survivors;
pub use tree::watchers::Cancelled;

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
