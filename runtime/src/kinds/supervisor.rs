//! Supervisor scopes: a child's failure is a value, and its siblings go on.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::task::body::Kind;
use crate::task::child;
use crate::task::join::JoinHandle;
use crate::tree::body::ScopeBody;
use crate::tree::cause::{Cause, panic_message};
use crate::tree::failure::{Cancelled, Payload, guard};
use crate::tree::node::Node;
use crate::tree::scope::{Scope, closed};
use crate::tree::setup::Label;

/// Why a supervised child gave no value.
pub struct JoinError(Repr);

enum Repr {
    Panic(Box<dyn Any + Send>),
    Cancelled(Option<Cause>),
}

impl JoinError {
    /// Whether the child was dropped because its scope, or one above, was aborted.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0, Repr::Cancelled(_))
    }

    /// Whether the child panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.0, Repr::Panic(_))
    }

    /// The panic's payload, to be looked at or resumed.
    ///
    /// # Panics
    /// If the child was cancelled.
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(_) => panic!("the child was cancelled; it did not panic"),
        }
    }

    /// The panic's payload, or the error back if the child was cancelled.
    ///
    /// # Errors
    /// `self`, if the child was cancelled.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, Self> {
        match self.0 {
            Repr::Panic(payload) => Ok(payload),
            other => Err(Self(other)),
        }
    }

    /// Resumes the child's panic.
    ///
    /// # Panics
    /// Always.
    pub fn resume(self) -> ! {
        resume_unwind(self.into_panic())
    }

    /// Why the child was cancelled, where that is known.
    pub fn cause(&self) -> Option<&Cause> {
        match &self.0 {
            Repr::Cancelled(cause) => cause.as_ref(),
            Repr::Panic(_) => None,
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Panic(payload) => write!(f, "the child panicked: {}", panic_message(&**payload)),
            Repr::Cancelled(None) => f.write_str("the child was cancelled"),
            Repr::Cancelled(Some(cause)) => write!(f, "the child was cancelled: {cause}"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {}

/// The kind of a supervisor scope.
pub(crate) struct Supervisor<T>(PhantomData<fn() -> T>);

impl<T> Supervisor<T> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'scope, T: 'scope> Kind<'scope> for Supervisor<T> {
    type Arg = SupervisorScope<'scope, 'scope>;
    type Value = T;
    type Output = T;

    fn arg(&'scope self, scope: &'scope Scope<'scope, 'scope>) -> Self::Arg {
        SupervisorScope { scope }
    }

    fn finish(&self, _: &Node, value: Option<T>) -> Option<T> {
        value
    }
}

/// The kind of a plain scope whose failure is a value: a supervised child that has children of its own.
pub(crate) struct Supervised<T>(PhantomData<fn() -> T>);

impl<T> Supervised<T> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'scope, T: 'scope> Kind<'scope> for Supervised<T> {
    type Arg = &'scope Scope<'scope, 'scope>;
    type Value = T;
    type Output = Result<T, Payload>;

    fn arg(&'scope self, scope: &'scope Scope<'scope, 'scope>) -> Self::Arg {
        scope
    }

    fn finish(&self, _: &Node, value: Option<T>) -> Option<Self::Output> {
        value.map(Ok)
    }

    fn failed(&self, payload: Payload) -> Result<Self::Output, Payload> {
        Ok(Err(payload))
    }
}

/// A supervisor scope, as its body gets it. `Copy`: pass it to children that spawn.
///
/// See [`Scope::supervise`].
#[derive(Clone, Copy)]
pub struct SupervisorScope<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
}

impl<'scope, 'env> std::ops::Deref for SupervisorScope<'scope, 'env> {
    type Target = &'scope Scope<'scope, 'env>;

    fn deref(&self) -> &Self::Target {
        &self.scope
    }
}

impl<'scope> SupervisorScope<'scope, '_> {
    /// Runs `future` as a child. If it panics, its handle says so, and nothing else happens.
    ///
    /// A panic in the *drop* of the future or of its value fails the scope, as in any other: it comes too late to be
    /// a value.
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> SupervisedHandle<'scope, F::Output>
    where
        F: Future + Send + 'scope,
        F::Output: Send + 'scope,
    {
        // SAFETY: future and output are `Send`.
        unsafe { self.spawn_labelled(Label::here(), future) }
    }

    /// [`spawn`](Self::spawn), with a name for paths and causes.
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn spawn_named<F>(&self, name: &'static str, future: F) -> SupervisedHandle<'scope, F::Output>
    where
        F: Future + Send + 'scope,
        F::Output: Send + 'scope,
    {
        // SAFETY: future and output are `Send`.
        unsafe { self.spawn_labelled(Label { name: Some(name), ..Label::here() }, future) }
    }

    /// # Safety
    /// As for [`child::spawn`].
    #[track_caller]
    pub(crate) unsafe fn spawn_labelled<F>(
        &self,
        label: Label,
        future: F,
    ) -> SupervisedHandle<'scope, F::Output>
    where
        F: Future + 'scope,
        F::Output: 'scope,
    {
        let node = self.scope.node();
        // SAFETY: by contract.
        let handle = unsafe { child::spawn(node, label, Caught { future }) }.unwrap_or_else(|_| closed());
        SupervisedHandle::new(handle, node)
    }

    /// Opens a child scope. If its body or anything spawned in it panics, the scope is cancelled like any other, and once
    /// all in it have ended its handle says so, and nothing else happens.
    ///
    /// For settings, [`open`](Scope::open) it as [`supervised`](crate::ScopeBuilder::supervised).
    ///
    /// ```
    /// let outcome = treescope::block_on(async |scope| {
    ///     let supervisor = scope.supervise(async |supervisor| {
    ///         let connection = supervisor.scope(async |connection| {
    ///             connection.spawn(async { if true { std::panic::resume_unwind(Box::new("reader")) } });
    ///             connection.spawn(std::future::pending::<()>()).await;
    ///         });
    ///         connection.await
    ///     });
    ///     supervisor.await
    /// });
    /// assert!(outcome.unwrap_err().is_panic());
    /// ```
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn scope<B, T>(&self, body: B) -> SupervisedHandle<'scope, T>
    where
        B: for<'inner> AsyncFnOnce(&'inner Scope<'inner, 'scope>) -> T
            + for<'inner> ScopeBody<&'inner Scope<'inner, 'scope>, T>
            + 'scope,
        T: Send + 'scope,
    {
        self.scope.open().supervised(body)
    }
}

impl fmt::Debug for SupervisorScope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.scope.fmt(f)
    }
}

/// Turns a panic of its future's poll into a value.
#[pin_project]
struct Caught<F> {
    #[pin]
    future: F,
}

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, Box<dyn Any + Send>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match guard(|| self.project().future.poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(payload) => Poll::Ready(Err(payload)),
        }
    }
}

/// The handle of a supervised child: gives its value, or why there is none.
pub struct SupervisedHandle<'scope, T> {
    handle: JoinHandle<'scope, Result<T, Payload>>,
    /// The scope it is a child of.
    node: &'scope Node,
}

impl<'scope, T> SupervisedHandle<'scope, T> {
    pub(crate) fn new(handle: JoinHandle<'scope, Result<T, Payload>>, node: &'scope Node) -> Self {
        Self { handle, node }
    }

    /// Whether the child has ended.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}

impl<T> Future for SupervisedHandle<'_, T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(self.handle.poll_end(cx)) {
            Some(Ok(value)) => Ok(value),
            // It waited for what was cancelled, which is no panic of its own.
            Some(Err(payload)) if payload.is::<Cancelled>() => Err(JoinError(Repr::Cancelled(None))),
            Some(Err(payload)) => Err(JoinError(Repr::Panic(payload))),
            None => Err(JoinError(Repr::Cancelled(self.node.cause()))),
        })
    }
}

impl<T> fmt::Debug for SupervisedHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}
