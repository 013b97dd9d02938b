//! What a task can ask about its own place in the tree, without being handed a scope.
//!
//! The *current scope* is the one whose body is being polled, or in which the child being polled was spawned. Outside a
//! runtime there is none, and the functions say so.

use std::time::Instant;

use crate::context;
use crate::tree::cause::Cause;

/// The path of what is running: the current scope's, and if it is a child and no body, the child's name or the place it
/// was spawned at.
///
/// ```
/// let path = treescope::block_on(async |scope| {
///     let server = scope.open().name("server").scope(async |scope| {
///         scope.spawn_named("reader", async { treescope::current::path() }).await
///     });
///     server.await
/// });
/// assert_eq!(path.as_deref(), Some("server/reader"));
/// ```
#[must_use]
pub fn path() -> Option<String> {
    let node = context::current_node()?;
    let scope = node.path();
    Some(match context::current_label() {
        Some(label) if node.parent().is_none() => label.to_string(),
        Some(label) => format!("{scope}/{label}"),
        None => scope,
    })
}

/// Whether a cancel has been requested of the current scope; `false` outside a runtime.
#[must_use]
pub fn is_cancelled() -> bool {
    context::current_node().is_some_and(|node| node.hears_of_cancel())
}

/// Why the current scope is being cancelled; `None` if it is not, or outside a runtime.
#[must_use]
pub fn cause() -> Option<Cause> {
    context::current_node().filter(|node| node.hears_of_cancel()).and_then(|node| node.cause())
}

/// [`cause`], told from where the current task stands: its path, who failed (`sibling writer`, if it was one), where, and
/// how.
#[must_use]
pub fn cancel_story() -> Option<String> {
    let node = context::current_node()?;
    Some(cause()?.told_to(&path()?, &node.path()))
}

/// The instant at which the current scope will be aborted by the least deadline of its own and those above.
#[must_use]
pub fn deadline() -> Option<Instant> {
    context::current_node().and_then(|node| node.deadline())
}
