//! Scopes with at most so many children at a time.
//!
//! A child holds a *place* from before it is spawned until its future has been dropped. Who finds no place free waits in
//! a queue, first come first served: a freed place goes straight to the first in the queue (its entry is marked
//! `granted` before it is woken), so that a newcomer cannot overtake it. One that stops waiting hands its grant on.
//!
//! A child *scope* takes a place by owning it: [`BoundedScope::place`]. That was chosen over a second set of ways to open
//! scopes, because a place that is a value can be taken before there is anything to open, as an accept loop must.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use pin_project::pin_project;

use crate::sync::Mutex;
use crate::task::body::Kind;
use crate::task::child;
use crate::task::join::JoinHandle;
use crate::tree::node::Node;
use crate::tree::scope::{Scope, closed};
use crate::tree::setup::Label;

/// The kind of a bounded scope.
pub(crate) struct Bounded<T> {
    places: Places,
    _value: PhantomData<fn() -> T>,
}

impl<T> Bounded<T> {
    pub(crate) fn new(max_concurrency: usize) -> Self {
        assert!(max_concurrency > 0, "a scope for no children at all would never run one");
        Self { places: Places::new(max_concurrency), _value: PhantomData }
    }
}

impl<'scope, T: 'scope> Kind<'scope> for Bounded<T> {
    type Arg = BoundedScope<'scope, 'scope>;
    type Value = T;
    type Output = T;

    fn arg(&'scope self, scope: &'scope Scope<'scope, 'scope>) -> Self::Arg {
        BoundedScope { scope, places: &self.places }
    }

    fn finish(&self, _: &Node, value: Option<T>) -> Option<T> {
        value
    }
}

/// A scope's places.
pub(crate) struct Places(Mutex<Queue>);

struct Queue {
    free: usize,
    /// The next ticket.
    next: u64,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    ticket: u64,
    granted: bool,
    waker: Waker,
}

/// One of a bounded scope's places, taken; given back when this is dropped. See [`BoundedScope::place`].
#[must_use = "dropping a place gives it back"]
pub struct Place<'scope>(&'scope Places);

impl Places {
    pub(crate) fn new(free: usize) -> Self {
        Self(Mutex::new(Queue { free, next: 0, waiting: VecDeque::new() }))
    }

    /// Waits for a place.
    pub(crate) fn take(&self) -> Take<'_> {
        Take { places: self, ticket: None }
    }

    fn try_take(&self) -> Option<Place<'_>> {
        let mut queue = self.0.lock();
        // Those who wait come first, even those who have been granted a place and have not run yet.
        if queue.free == 0 {
            return None;
        }
        queue.free -= 1;
        Some(Place(self))
    }

    /// Takes a place, or waits in the queue for one; `ticket` is who asks.
    fn poll_take(&self, ticket: &mut Option<u64>, waker: &Waker) -> Poll<Place<'_>> {
        let waker = waker.clone();
        let mut queue = self.0.lock();
        let Some(number) = *ticket else {
            if queue.free > 0 {
                queue.free -= 1;
                return Poll::Ready(Place(self));
            }
            let number = queue.next;
            queue.next += 1;
            queue.waiting.push_back(Waiting { ticket: number, granted: false, waker });
            *ticket = Some(number);
            return Poll::Pending;
        };
        let Some(place) = queue.waiting.iter().position(|waiting| waiting.ticket == number) else {
            unreachable!("a ticket stays in the queue until its holder takes it out");
        };
        if queue.waiting[place].granted {
            let old = queue.waiting.remove(place);
            drop(queue);
            drop(old);
            *ticket = None;
            return Poll::Ready(Place(self));
        }
        let old = std::mem::replace(&mut queue.waiting[place].waker, waker);
        drop(queue);
        drop(old);
        Poll::Pending
    }

    /// Gives a place back: to the first who waits without a grant, or to be free.
    fn give_back(&self) {
        let mut queue = self.0.lock();
        let waker = match queue.waiting.iter_mut().find(|waiting| !waiting.granted) {
            Some(first) => {
                first.granted = true;
                Some(first.waker.clone())
            }
            None => {
                queue.free += 1;
                None
            }
        };
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Leaves the queue without a place; a grant that came meanwhile goes on to the next.
    fn leave(&self, number: u64) {
        let mut queue = self.0.lock();
        let place = queue.waiting.iter().position(|waiting| waiting.ticket == number);
        let left = place.and_then(|place| queue.waiting.remove(place));
        drop(queue);
        if left.is_some_and(|left| left.granted) {
            self.give_back();
        }
    }
}

impl fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

/// A bounded scope, as its body gets it. `Copy`: pass it to children that spawn; but a child that waits for a place
/// holds its own meanwhile.
///
/// See [`Scope::bounded`].
#[derive(Clone, Copy)]
pub struct BoundedScope<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    places: &'scope Places,
}

impl<'scope, 'env> BoundedScope<'scope, 'env> {
    /// Waits for a place, and runs `future` as a child in it.
    ///
    /// # Panics
    /// If the scope is closed, when a place is free.
    #[track_caller]
    pub fn spawn<F>(
        &self,
        future: F,
    ) -> impl Future<Output = JoinHandle<'scope, F::Output>> + Send + use<'scope, 'env, F>
    where
        F: Future + Send + 'scope,
        F::Output: Send + 'scope,
    {
        // SAFETY: future and output are `Send`.
        unsafe { self.spawn_labelled(Label::here(), future) }
    }

    /// Runs `future` as a child if there is a place for it.
    ///
    /// # Errors
    /// The future back, if there is no place, or the scope is closed.
    #[track_caller]
    pub fn try_spawn<F>(&self, future: F) -> Result<JoinHandle<'scope, F::Output>, F>
    where
        F: Future + Send + 'scope,
        F::Output: Send + 'scope,
    {
        // SAFETY: future and output are `Send`.
        unsafe { self.try_spawn_labelled(Label::here(), future) }
    }

    /// # Safety
    /// As for [`child::spawn`].
    pub(crate) unsafe fn spawn_labelled<F>(&self, label: Label, future: F) -> Spawn<'scope, F>
    where
        F: Future + 'scope,
        F::Output: 'scope,
    {
        let take = self.places.take();
        Spawn { node: self.scope.node(), label, take, future: Some(future), _gives: PhantomData }
    }

    /// # Safety
    /// As for [`child::spawn`].
    pub(crate) unsafe fn try_spawn_labelled<F>(
        &self,
        label: Label,
        future: F,
    ) -> Result<JoinHandle<'scope, F::Output>, F>
    where
        F: Future + 'scope,
        F::Output: 'scope,
    {
        let Some(place) = self.places.try_take() else { return Err(future) };
        // SAFETY: by contract.
        unsafe { child::spawn(self.scope.node(), label, Placed { future, _place: place }) }
            .map_err(|placed| placed.future)
    }

    /// Waits for a place without a child for it yet. Dropped before it is ready, it leaves the queue.
    ///
    /// [Alloc](Scope::alloc) it in a child scope, before anything else, and that scope holds the place until all of it
    /// has ended.
    ///
    /// ```
    /// use treescope::Scope;
    ///
    /// treescope::block_on(async |root| {
    ///     root.bounded(2, async |connections| {
    ///         for id in 0..10 {
    ///             let place = connections.place().await;
    ///             connections.scope().scope(async move |connection| {
    ///                 connection.alloc(place);
    ///                 connection.spawn(async move { println!("serving {id}") });
    ///             });
    ///         }
    ///     });
    /// });
    /// ```
    pub fn place(&self) -> impl Future<Output = Place<'scope>> + Send + use<'scope> {
        self.places.take()
    }

    /// A place, if one is free.
    pub fn try_place(&self) -> Option<Place<'scope>> {
        self.places.try_take()
    }

    /// How many places are free now.
    pub fn free_places(&self) -> usize {
        self.places.0.lock().free
    }

    /// The scope itself: for its values, child scopes and cancel. Child scopes opened in it take no
    /// place, unless they [own one](Self::place).
    pub fn scope(&self) -> &'scope Scope<'scope, 'env> {
        self.scope
    }
}

impl fmt::Debug for BoundedScope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedScope").field("scope", self.scope).field("free", &self.free_places()).finish()
    }
}

/// Waits for a place.
pub(crate) struct Take<'scope> {
    places: &'scope Places,
    ticket: Option<u64>,
}

impl<'scope> Future for Take<'scope> {
    type Output = Place<'scope>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Place<'scope>> {
        let places = self.places;
        places.poll_take(&mut self.ticket, cx.waker())
    }
}

impl Drop for Take<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.ticket {
            self.places.leave(number);
        }
    }
}

/// Waits for a place and spawns then. Made under [`child::spawn`]'s contract for the future.
///
/// `Send` only if the future *and its output* are: on whatever thread this is polled, the handle is given out there. In a
/// local scope neither need be.
pub(crate) struct Spawn<'scope, F: Future> {
    node: &'scope Node,
    label: Label,
    take: Take<'scope>,
    /// `None` once spawned.
    future: Option<F>,
    _gives: PhantomData<JoinHandle<'scope, F::Output>>,
}

// The future is not pinned before it is spawned.
impl<F: Future> Unpin for Spawn<'_, F> {}

impl<'scope, F> Future for Spawn<'scope, F>
where
    F: Future + 'scope,
    F::Output: 'scope,
{
    type Output = JoinHandle<'scope, F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let place = ready!(Pin::new(&mut self.take).poll(cx));
        let Some(future) = self.future.take() else { panic!("polled after it was ready") };
        // SAFETY: made under this contract.
        let spawned = unsafe { child::spawn(self.node, self.label, Placed { future, _place: place }) };
        Poll::Ready(spawned.unwrap_or_else(|_| closed()))
    }
}

/// A future in its place. The place is given back after the future has been dropped: fields drop in order.
#[pin_project]
struct Placed<'scope, F> {
    #[pin]
    future: F,
    _place: Place<'scope>,
}

impl<F: Future> Future for Placed<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}
