//! The first, the first good one, or all of several futures on one thread. See [`crate::kinds::race`]: the verdicts are the
//! same, and so are the bodies but for what they ask of the futures.

use std::future::Future;

use super::Local;
use crate::kinds::race::Jury;
use crate::task::join::JoinHandle;
use crate::tree::scope::Scope;

impl<'scope> Local<&'scope Scope<'scope, '_>> {
    /// As [`Scope::race`].
    ///
    /// # Panics
    /// If there are no futures, or the scope is closed.
    #[track_caller]
    pub fn race<I, F>(&self, futures: I) -> JoinHandle<'scope, F::Output>
    where
        I: IntoIterator<Item = F>,
        F: Future + 'scope,
        F::Output: 'scope,
    {
        let futures: Vec<F> = futures.into_iter().collect();
        assert!(!futures.is_empty(), "a race of nobody has no winner");
        self.scope(async move |scope| {
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

    /// As [`Scope::first_ok`].
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn first_ok<I, F, T, E>(&self, futures: I) -> JoinHandle<'scope, Result<T, Vec<E>>>
    where
        I: IntoIterator<Item = F>,
        F: Future<Output = Result<T, E>> + 'scope,
        T: 'scope,
        E: 'scope,
    {
        let futures: Vec<F> = futures.into_iter().collect();
        self.scope(async move |scope| {
            let jury = &*scope.alloc(Jury::<T, E>::new(futures.len()));
            for future in futures {
                scope.spawn(async { jury.report(future.await) });
            }
            let verdict = jury.decide().await;
            scope.abort_children();
            verdict
        })
    }

    /// As [`Scope::all`].
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn all<I, F>(&self, futures: I) -> JoinHandle<'scope, Vec<F::Output>>
    where
        I: IntoIterator<Item = F>,
        F: Future + 'scope,
        F::Output: 'scope,
    {
        let futures: Vec<F> = futures.into_iter().collect();
        self.scope(async move |scope| {
            let handles: Vec<_> = futures.into_iter().map(|future| scope.spawn(future)).collect();
            let mut values = Vec::with_capacity(handles.len());
            for handle in handles {
                values.push(handle.await);
            }
            values
        })
    }

    /// As [`Scope::try_all`].
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn try_all<I, F, T, E>(&self, futures: I) -> JoinHandle<'scope, Result<Vec<T>, E>>
    where
        I: IntoIterator<Item = F>,
        F: Future<Output = Result<T, E>> + 'scope,
        T: 'scope,
        E: 'scope,
    {
        let futures: Vec<F> = futures.into_iter().collect();
        self.scope(async move |scope| {
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
