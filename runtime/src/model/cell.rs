//! Tasks, below a root without a body, that the model's own threads run: `task/cell/`.

use std::panic::Location;
use std::ptr::NonNull;

use crate::sched::{SchedRef, Scheduler};
use crate::sync::Arc;
use crate::task::cell::{self, Runnable};
use crate::tree::node;
use crate::tree::root::RootSignal;
use crate::tree::scope::Scope;

use super::scheduler_without_workers;

/// A root scope, and a queue that nobody but the model takes from.
pub struct Yard {
    /// From `Box::leak`, so that its end is a free that nobody may come after.
    scope: NonNull<Scope<'static, 'static>>,
    scheduler: Arc<Scheduler>,
}

/// The yard, for a thread that the model waits for.
#[derive(Clone, Copy)]
pub struct Way {
    scope: &'static Scope<'static, 'static>,
    sched: SchedRef,
}

/// A task that is to be run.
pub struct Run(Runnable);

impl Yard {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let scheduler = scheduler_without_workers();
        // SAFETY: the yard holds the scheduler.
        let sched = unsafe { scheduler.to_ref() };
        let node = node::Node::root(sched, RootSignal::new(None), Location::caller());
        Self { scope: NonNull::from(Box::leak(Box::new(Scope::over(node)))), scheduler }
    }

    pub fn way(&self) -> Way {
        Way {
            // SAFETY: models let the yard go last.
            scope: unsafe { self.scope.as_ref() },
            // SAFETY: as above.
            sched: unsafe { self.scheduler.to_ref() },
        }
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        // SAFETY: from `Box::leak`, and models let the yard go last.
        drop(unsafe { Box::from_raw(self.scope.as_ptr()) });
    }
}

impl Way {
    /// The root scope. What is spawned in it is queued in the yard.
    pub fn scope(self) -> &'static Scope<'static, 'static> {
        self.scope
    }

    /// Takes what has lain in the queue longest.
    pub fn next(self) -> Option<Run> {
        self.sched.take_remote().map(Run)
    }
}

impl Run {
    /// Runs the task once, as a worker does.
    pub fn run(self) {
        cell::run(self.0);
    }
}
