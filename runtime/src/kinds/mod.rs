//! The kinds of scope beyond the plain one, and what is built from scopes.
//!
//! - [`fallible`]: the first error cancels the siblings
//! - [`supervisor`]: a child's failure is a value
//! - [`bounded`]: at most so many children at a time
//! - [`deadline`]: aborted when its time is up
//! - [`race`]: the first, the first good one, or all of several futures that run in parallel
//!
//! They are scopes whose children report: what `unsafe` there is passes on the contract of `task::child::spawn`, which is
//! that a future be `Send` or stay on its thread.

pub(crate) mod bounded;
pub(crate) mod deadline;
pub(crate) mod fallible;
pub(crate) mod race;
pub(crate) mod supervisor;
