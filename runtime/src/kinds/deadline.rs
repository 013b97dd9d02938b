//! A scope that is aborted when its time is up.

use std::fmt;
use std::marker::PhantomData;

use crate::task::body::Kind;
use crate::tree::node::Node;
use crate::tree::scope::Scope;

/// A scope's deadline passed before the scope had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadlineElapsed(());

impl fmt::Display for DeadlineElapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the scope's deadline has passed")
    }
}

impl std::error::Error for DeadlineElapsed {}

/// The kind of a scope with a deadline; the deadline itself is in the node's setup.
pub(crate) struct Timed<T>(PhantomData<fn() -> T>);

impl<T> Timed<T> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'scope, T: 'scope> Kind<'scope> for Timed<T> {
    type Arg = &'scope Scope<'scope, 'scope>;
    type Value = T;
    type Output = Result<T, DeadlineElapsed>;

    fn arg(&'scope self, scope: &'scope Scope<'scope, 'scope>) -> Self::Arg {
        scope
    }

    fn finish(&self, node: &Node, value: Option<T>) -> Option<Self::Output> {
        match value {
            Some(value) => Some(Ok(value)),
            None if node.is_late() => Some(Err(DeadlineElapsed(()))),
            None => None,
        }
    }
}
