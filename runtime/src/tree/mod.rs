//! Who owns whom: nodes, what they wait for, what they own, and the way in through the blocking root.
//!
//! ```text
//!   block_on ─▶ root::run ─ owns ─▶ Node ◀─ parent ─ Child (task/child.rs)
//!                                    ▲
//!                                    └──── parent ─ ScopeTask (task/scope_task.rs) ─ owns ─▶ Node ◀─ …
//! ```
//!
//! - [`node`]: one node: children counted, values owned, the end
//! - [`cancel`]: how a cancel goes down and a failure up
//! - [`state`]: the node's state word and the wait protocol
//! - [`watchers`]: who waits for a request, or drains
//! - [`parked`], [`listing`]: the list by which a cancel reaches parked children, and which scopes need not be on it
//! - [`values`]: what `alloc` gave to the node
//! - [`deferred`]: async cleanup at the end of a scope
//! - [`drain`], [`survivors`]: waiting for children from inside the body, and naming those that do not end
//! - [`scope`], [`builder`], [`setup`], [`key`]: the public face of a node, and what is laid down when it is opened
//! - [`cause`]: why a scope is being cancelled
//! - [`body`]: how "an async closure whose future is `Send`" is said on stable
//! - [`root`]: the blocking root
//! - [`failure`]: panics on their way up
//! - [`id`]: names for scopes

pub(crate) mod body;
pub(crate) mod builder;
pub(crate) mod cancel;
pub(crate) mod cause;
pub(crate) mod deferred;
pub(crate) mod drain;
pub(crate) mod failure;
pub(crate) mod id;
pub(crate) mod kept_waker;
pub(crate) mod key;
pub(crate) mod listing;
pub(crate) mod node;
pub(crate) mod parked;
pub(crate) mod root;
pub(crate) mod scope;
pub(crate) mod setup;
pub(crate) mod state;
pub(crate) mod survivors;
pub(crate) mod values;
pub(crate) mod watchers;
