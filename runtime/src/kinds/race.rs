//! The first, the first good one, or all of several futures that run in parallel.
//!
//! Each opens a child scope, spawns every future in it, and lets the body wait for the verdict. Losers are aborted, and,
//! a scope being a scope, have *ended* before the winner is handed out.

use std::future::{Future, poll_fn};
use std::task::{Poll, Waker};

use crate::sync::Mutex;
use crate::task::join::JoinHandle;
use crate::tree::scope::Scope;

/// What the children of a race report to.
pub(crate) struct Jury<V, R> {
    state: Mutex<State<V, R>>,
}

struct State<V, R> {
    verdict: Option<V>,
    /// What the losers left, in the order they came in.
    rest: Vec<R>,
    /// Children that have not reported.
    missing: usize,
    waker: Option<Waker>,
}

impl<V, R> Jury<V, R> {
    pub(crate) fn new(children: usize) -> Self {
        Self { state: Mutex::new(State { verdict: None, rest: Vec::new(), missing: children, waker: None }) }
    }

    /// Takes a child's report: a verdict, unless there is one already, or something for the rest.
    pub(crate) fn report(&self, report: Result<V, R>) {
        let mut state = self.state.lock();
        state.missing -= 1;
        let late = match report {
            Ok(verdict) if state.verdict.is_none() => {
                state.verdict = Some(verdict);
                None
            }
            Ok(late) => Some(late),
            Err(rest) => {
                state.rest.push(rest);
                None
            }
        };
        let waker = if state.verdict.is_some() || state.missing == 0 { state.waker.take() } else { None };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        drop(late);
    }

    /// Waits for the verdict, or for everybody to have reported without one.
    pub(crate) async fn decide(&self) -> Result<V, Vec<R>> {
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let mut state = self.state.lock();
            if let Some(verdict) = state.verdict.take() {
                return Poll::Ready(Ok(verdict));
            }
            if state.missing == 0 {
                return Poll::Ready(Err(std::mem::take(&mut state.rest)));
            }
            let old = state.waker.replace(waker);
            drop(state);
            drop(old);
            Poll::Pending
        })
        .await
    }
}

impl<V, T> Jury<V, (usize, T)> {
    /// The values in the order of their places.
    pub(crate) fn in_order(mut values: Vec<(usize, T)>) -> Vec<T> {
        values.sort_unstable_by_key(|(place, _)| *place);
        values.into_iter().map(|(_, value)| value).collect()
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Runs the futures in parallel and gives the value of the first to be ready; the others are aborted, and have
    /// ended when the handle gives the value.
    ///
    /// A future that panics fails the race, and the scope above.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let first = treescope::block_on(async |scope| {
    ///     let slow = async { treescope::time::sleep(Duration::from_secs(600)).await; "slow" };
    ///     let fast = async { "fast" };
    ///     let racers: [std::pin::Pin<Box<dyn Future<Output = &str> + Send>>; 2] = [Box::pin(slow), Box::pin(fast)];
    ///     scope.race(racers).await
    /// });
    /// assert_eq!(first, "fast");
    /// ```
    ///
    /// # Panics
    /// If there are no futures, or the scope is closed.
    #[track_caller]
    pub fn race<I, F>(&'scope self, futures: I) -> JoinHandle<'scope, F::Output>
    where
        I: IntoIterator<Item = F>,
        F: Future + Send + 'scope,
        F::Output: Send + 'scope,
    {
        let futures: Vec<F> = futures.into_iter().collect();
        assert!(!futures.is_empty(), "a race of nobody has no winner");
        self.open().scope(async move |scope| {
            let jury = &*scope.alloc(Jury::<F::Output, ()>::new(futures.len()));
            for future in futures {
                scope.spawn(async { jury.report(Ok(future.await)) });
            }
            let verdict = jury.decide().await;
            scope.abort_children();
            match verdict {
                Ok(winner) => winner,
                Err(_) => unreachable!("every report is a verdict"),
            }
        })
    }

    /// Runs the futures in parallel and gives the first `Ok`; the others are aborted, and have ended when the handle
    /// gives it. If all fail, gives all errors, in the order they came in.
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn first_ok<I, F, T, E>(&'scope self, futures: I) -> JoinHandle<'scope, Result<T, Vec<E>>>
    where
        I: IntoIterator<Item = F>,
        F: Future<Output = Result<T, E>> + Send + 'scope,
        T: Send + 'scope,
        E: Send + 'scope,
    {
        let futures: Vec<F> = futures.into_iter().collect();
        self.open().scope(async move |scope| {
            let jury = &*scope.alloc(Jury::<T, E>::new(futures.len()));
            for future in futures {
                scope.spawn(async { jury.report(future.await) });
            }
            let verdict = jury.decide().await;
            scope.abort_children();
            verdict
        })
    }

    /// Runs the futures in parallel and gives all their values, in the futures' order.
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn all<I, F>(&'scope self, futures: I) -> JoinHandle<'scope, Vec<F::Output>>
    where
        I: IntoIterator<Item = F>,
        F: Future + Send + 'scope,
        F::Output: Send + 'scope,
    {
        let futures: Vec<F> = futures.into_iter().collect();
        self.open().scope(async move |scope| {
            let handles: Vec<_> = futures.into_iter().map(|future| scope.spawn(future)).collect();
            let mut values = Vec::with_capacity(handles.len());
            for handle in handles {
                values.push(handle.await);
            }
            values
        })
    }

    /// Runs the futures in parallel and gives the values in all their `Ok`s, in the futures' order; or the first `Err`
    /// to come in, the others being aborted and ended by then.
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn try_all<I, F, T, E>(&'scope self, futures: I) -> JoinHandle<'scope, Result<Vec<T>, E>>
    where
        I: IntoIterator<Item = F>,
        F: Future<Output = Result<T, E>> + Send + 'scope,
        T: Send + 'scope,
        E: Send + 'scope,
    {
        let futures: Vec<F> = futures.into_iter().collect();
        self.open().scope(async move |scope| {
            let jury = &*scope.alloc(Jury::<E, (usize, T)>::new(futures.len()));
            for (place, future) in futures.into_iter().enumerate() {
                scope.spawn(async move {
                    jury.report(match future.await {
                        Ok(value) => Err((place, value)),
                        Err(error) => Ok(error),
                    });
                });
            }
            let verdict = jury.decide().await;
            scope.abort_children();
            verdict.map_or_else(|values| Ok(Jury::<E, (usize, T)>::in_order(values)), Err)
        })
    }
}
