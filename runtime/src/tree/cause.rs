//! Why a scope is being cancelled: the first cause, and where in the tree it arose.
//!
//! A cause is recorded once, on the node where it arose, before that node is marked. A node below that was reached by
//! the cancel has none of its own and finds it by walking up: its ancestors outlive it. So a cancel of a large subtree
//! allocates once, and every node in it can tell the same story.

use std::any::Any;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::setup::Label;

/// Why a scope was cancelled. Cheap to clone.
///
/// Its `Display` says where the asking task is, who failed, and how:
///
/// ```text
/// server/conn-17/reader: sibling writer failed at src/conn.rs:91: connection reset
/// ```
#[derive(Clone)]
pub struct Cause(Arc<Story>);

struct Story {
    kind: CauseKind,
    /// The path of the scope in which it arose.
    scope: String,
    /// The child of that scope whose doing it was, if it was a child's.
    child: Option<Label>,
    /// Where that child was spawned, or where `cancel` or `abort` was called.
    location: &'static Location<'static>,
    message: String,
}

/// What kind of cause a [`Cause`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CauseKind {
    /// A body or a child panicked.
    Panic,
    /// A body or a child of a fallible scope returned an error.
    Error,
    /// [`Scope::cancel`](crate::Scope::cancel) or [`Scope::abort`](crate::Scope::abort) was called.
    Requested,
    /// The scope's deadline passed.
    Deadline,
}

impl Cause {
    pub(crate) fn new(
        kind: CauseKind,
        scope: String,
        child: Option<Label>,
        location: &'static Location<'static>,
        message: String,
    ) -> Self {
        Self(Arc::new(Story { kind, scope, child, location, message }))
    }

    /// What kind of cause it is.
    pub fn kind(&self) -> CauseKind {
        self.0.kind
    }

    /// The path of the scope in which it arose, names from the root down, separated by `/`.
    pub fn scope_path(&self) -> &str {
        &self.0.scope
    }

    /// The child whose failure it was, by name or else by the place it was spawned; `None` if it was the scope's own
    /// body, a deadline or a request.
    pub fn child(&self) -> Option<String> {
        self.0.child.map(|label| label.to_string())
    }

    /// Where the failing child was spawned, or where `cancel` or `abort` was called.
    pub fn location(&self) -> &'static Location<'static> {
        self.0.location
    }

    /// The panic's message, the error's `Display`, or what was given as a reason.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The story as told to a task at `path` in the scope at `scope`.
    pub(crate) fn told_to(&self, path: &str, scope: &str) -> String {
        let story = &*self.0;
        let who = match (&story.child, story.scope == scope) {
            (Some(child), true) => format!("sibling {child}"),
            (Some(child), false) => format!("{}/{child}", story.scope),
            (None, true) => "the scope".to_owned(),
            (None, false) => story.scope.clone(),
        };
        let what = match story.kind {
            CauseKind::Panic => "panicked",
            CauseKind::Error => "failed",
            CauseKind::Requested => "was cancelled",
            CauseKind::Deadline => "ran out of time",
        };
        let (file, line) = (story.location.file(), story.location.line());
        let separator = if story.message.is_empty() { "" } else { ": " };
        format!("{path}: {who} {what} at {file}:{line}{separator}{}", story.message)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told_to(self.scope_path(), self.scope_path()))
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cause({self})")
    }
}

/// What a panic said, if it said it in words.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a payload that is no text".to_owned()
    }
}
