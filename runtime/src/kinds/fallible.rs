//! Fallible scopes: body and children return `Result`, and the first error cancels the siblings.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::context;
use crate::sync::Mutex;
use crate::task::body::Kind;
use crate::task::child;
use crate::task::join::JoinHandle;
use crate::tree::cause::CauseKind;
use crate::tree::failure;
use crate::tree::node::Node;
use crate::tree::scope::{Scope, closed};
use crate::tree::setup::Label;

/// Errors kept beyond the first; more are counted.
const LATER_MAX: usize = 64;

/// What a fallible scope failed of: the first error, and those that came while the siblings were being cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed<E> {
    first: E,
    later: Vec<E>,
    later_count: usize,
}

impl<E> Failed<E> {
    /// The error that cancelled the scope.
    pub fn first(&self) -> &E {
        &self.first
    }

    /// The error that cancelled the scope; the others are dropped.
    pub fn into_first(self) -> E {
        self.first
    }

    /// Errors that came later, in their order; 64 are kept at most.
    pub fn later(&self) -> &[E] {
        &self.later
    }

    /// How many errors came later, kept or not.
    pub fn later_count(&self) -> usize {
        self.later_count
    }
}

impl<E: fmt::Display> fmt::Display for Failed<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        match self.later_count {
            0 => Ok(()),
            n => write!(f, " (and {n} later errors)"),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for Failed<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.first)
    }
}

/// The kind of a fallible scope: its errors so far.
pub(crate) struct Fallible<T, E> {
    errors: Errors<E>,
    _value: std::marker::PhantomData<fn() -> T>,
}

struct Errors<E>(Mutex<Option<Failed<E>>>);

impl<E: fmt::Display> Errors<E> {
    /// Takes an error in; the first one cancels `node`.
    fn report(&self, node: &Node, label: Option<Label>, error: E) {
        let message = error.to_string();
        let mut failed = self.0.lock();
        let surplus = match &mut *failed {
            None => {
                *failed = Some(Failed { first: error, later: Vec::new(), later_count: 0 });
                None
            }
            Some(failed) => {
                failed.later_count += 1;
                if failed.later.len() < LATER_MAX {
                    failed.later.push(error);
                    None
                } else {
                    Some(error)
                }
            }
        };
        drop(failed);
        // A user's type: dropped under no lock.
        drop(surplus);
        node.wind_up(|node| node.cause_here(CauseKind::Error, label, message));
    }
}

impl<T, E> Fallible<T, E> {
    pub(crate) fn new() -> Self {
        Self { errors: Errors(Mutex::new(None)), _value: std::marker::PhantomData }
    }
}

impl<'scope, T: 'scope, E: fmt::Display + 'scope> Kind<'scope> for Fallible<T, E> {
    type Arg = TryScope<'scope, 'scope, E>;
    type Value = Result<T, E>;
    type Output = Result<T, Failed<E>>;

    fn arg(&'scope self, scope: &'scope Scope<'scope, 'scope>) -> Self::Arg {
        TryScope { scope, errors: &self.errors }
    }

    fn body_ended(&self, node: &Node, value: Result<T, E>) -> Option<Result<T, E>> {
        match value {
            Ok(value) => Some(Ok(value)),
            Err(error) => {
                self.errors.report(node, None, error);
                None
            }
        }
    }

    fn finish(&self, _: &Node, value: Option<Result<T, E>>) -> Option<Self::Output> {
        let failed = self.errors.0.lock().take();
        match (failed, value) {
            (Some(failed), _) => Some(Err(failed)),
            (None, Some(Ok(value))) => Some(Ok(value)),
            (None, _) => None,
        }
    }
}

/// A fallible scope, as its body gets it. `Copy`: pass it to children that spawn.
///
/// See [`Scope::try_scope`].
pub struct TryScope<'scope, 'env, E> {
    scope: &'scope Scope<'scope, 'env>,
    errors: &'scope Errors<E>,
}

impl<E> Clone for TryScope<'_, '_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for TryScope<'_, '_, E> {}

impl<'scope, 'env, E> std::ops::Deref for TryScope<'scope, 'env, E> {
    type Target = &'scope Scope<'scope, 'env>;

    fn deref(&self) -> &Self::Target {
        &self.scope
    }
}

impl<'scope, E: fmt::Display + Send + 'scope> TryScope<'scope, '_, E> {
    /// Runs `future` as a child. Its `Err` fails the scope; awaiting the handle gives what is in its `Ok`.
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn spawn<F, T>(&self, future: F) -> TryHandle<'scope, T>
    where
        F: Future<Output = Result<T, E>> + Send + 'scope,
        T: Send + 'scope,
    {
        // SAFETY: future and output are `Send`.
        unsafe { self.spawn_labelled(Label::here(), future) }
    }

    /// [`spawn`](Self::spawn), with a name for paths and causes.
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn spawn_named<F, T>(&self, name: &'static str, future: F) -> TryHandle<'scope, T>
    where
        F: Future<Output = Result<T, E>> + Send + 'scope,
        T: Send + 'scope,
    {
        // SAFETY: future and output are `Send`.
        unsafe { self.spawn_labelled(Label { name: Some(name), ..Label::here() }, future) }
    }
}

impl<'scope, E: fmt::Display + 'scope> TryScope<'scope, '_, E> {
    /// # Safety
    /// As for [`child::spawn`].
    #[track_caller]
    pub(crate) unsafe fn spawn_labelled<F, T>(&self, label: Label, future: F) -> TryHandle<'scope, T>
    where
        F: Future<Output = Result<T, E>> + 'scope,
        T: 'scope,
    {
        let node = self.scope.node();
        let reporting = Reporting { future, errors: self.errors, node };
        // SAFETY: by contract.
        TryHandle(unsafe { child::spawn(node, label, reporting) }.unwrap_or_else(|_| closed()))
    }
}

impl<E> fmt::Debug for TryScope<'_, '_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.scope.fmt(f)
    }
}

/// Reports its future's error to the scope.
#[pin_project]
struct Reporting<'scope, F, E> {
    #[pin]
    future: F,
    errors: &'scope Errors<E>,
    node: &'scope Node,
}

impl<F, T, E> Future for Reporting<'_, F, E>
where
    F: Future<Output = Result<T, E>>,
    E: fmt::Display,
{
    /// `None`: reported.
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.project();
        Poll::Ready(match ready!(this.future.poll(cx)) {
            Ok(value) => Some(value),
            Err(error) => {
                // The child's own label: this future is polled by the child's task alone.
                this.errors.report(this.node, context::current_label(), error);
                None
            }
        })
    }
}

/// The handle of a child of a fallible scope: gives what is in its `Ok`.
///
/// # Panics
/// If the child ended without a value, a poll unwinds without a message of its own, as [`JoinHandle`]'s does, and for the
/// same reason: the scope is being cancelled.
#[derive(Debug)]
pub struct TryHandle<'scope, T>(JoinHandle<'scope, Option<T>>);

impl<T> Future for TryHandle<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match ready!(self.0.poll_end(cx)).flatten() {
            Some(value) => Poll::Ready(value),
            None => failure::unwind_cancelled(),
        }
    }
}
