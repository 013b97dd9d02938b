//! One task's life, from spawn to "the parent has been told".
//!
//! Every task is one allocation: header, wrapped future, output ([`cell`]); a future of more than a KiB has another.
//!
//! ```text
//!            child::spawn / scope_task::spawn / blocking::spawn
//!                      │ child_added, cell::new_child, cell::new_scope
//!                      ▼
//!   queued ──cell::run──▶ polled ──Pending, Node::park──▶ parked ──wake, schedule──▶ queued
//!                           │
//!                           │ Ready, panic, or cancelled: future dropped, Node::unpark, context::note_ended
//!                           ▼
//!                     output stored, or dropped if no handle is left      (inside the cell's run)
//!                           │
//!                           ▼ cell::run, after that has returned
//!                     Node::children_ended ──last──▶ parent woken
//! ```
//!
//! The last arrow is the **last touch**: the parent's count falls only after the future *and the output, where
//! nobody will take it,* are gone, because both may borrow from the parent.
//!
//! - [`cell`]: making, scheduling and running a task
//! - [`child`]: the wrapper of a spawned future
//! - [`scope_task`]: the wrapper of a child scope's body, with the node inside
//! - [`body`]: the kinds of scope: what a body gets and what its value becomes
//! - [`blocking`]: a closure as a child, run on the blocking pool
//! - [`outcome`]: what a task leaves for its handle
//! - [`join`]: the handle

pub(crate) mod blocking;
pub(crate) mod body;
pub(crate) mod cell;
pub(crate) mod child;
pub(crate) mod join;
pub(crate) mod outcome;
pub(crate) mod scope_task;
