//! treescope

// The same task cell with an atomic state that the models see. Here, and not in `sync.rs`, for an `extern crate` of the
// root is a name that all modules know: nothing else differs.
#[cfg(loom)]
extern crate async_task_loom as async_task;

mod context;
mod driver;
#[cfg(loom)]
#[doc(hidden)]
pub mod model;
mod runtime;
mod sched;
mod sync;
mod task;
mod tree;

pub use runtime::{Builder, Runtime, block_on};
pub use sched::budget::yield_now;
pub use task::join::JoinHandle;
pub use tree::body::ScopeBody;
pub use tree::id::ScopeId;
pub use tree::scope::Scope;
