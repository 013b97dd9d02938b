//! What is laid down when a scope is opened, and never changes.

use std::borrow::Cow;
use std::panic::Location;
use std::time::{Duration, Instant};

use super::key::Binding;

/// A node's settings. `Default` is a plain scope without a name.
#[derive(Default, Debug)]
pub(crate) struct Setup {
    pub(crate) name: Option<Cow<'static, str>>,
    /// The scope's own deadline; the effective one is the least of all ancestors'.
    pub(crate) deadline: Option<Instant>,
    /// How long after a failure the children have before they are aborted.
    pub(crate) grace: Duration,
    /// Shielded: a cancel from above is not passed on, and an abort only after this.
    pub(crate) shield: Option<Duration>,
    /// Values that descendants look up.
    pub(crate) bindings: Vec<Binding>,
}

/// Where a child comes from: what stands for it in paths and causes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label {
    pub(crate) name: Option<&'static str>,
    pub(crate) location: &'static Location<'static>,
}

impl Label {
    /// A child without a name, spawned by the caller's caller.
    #[track_caller]
    #[inline]
    pub(crate) fn here() -> Self {
        Self { name: None, location: Location::caller() }
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name {
            Some(name) => f.write_str(name),
            None => write!(f, "{}:{}", file_name(self.location), self.location.line()),
        }
    }
}

/// The last part of a location's path: enough in a tree path, whose causes give the whole.
pub(crate) fn file_name(location: &Location<'static>) -> &'static str {
    let file = location.file();
    file.rsplit(['/', '\\']).next().unwrap_or(file)
}
