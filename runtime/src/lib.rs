//! treescope

mod context;
mod driver;
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
