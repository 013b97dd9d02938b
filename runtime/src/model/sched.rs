//! Workers without a tree, and who waits for them: `sched/mod.rs`, `sched/worker.rs`.

use std::future::Future;
use std::panic::Location;
use std::pin::pin;
use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Waker};

use super::{config, scheduler_without_workers};
use crate::sched::worker::{self, Worker};
use crate::sched::{self, RootRest, Scheduler};
use crate::sync::{Arc, thread};
use crate::task::cell;
use crate::tree::node;
use crate::tree::root::RootSignal;

pub struct Visitors(sched::Visitors);

impl Visitors {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(sched::Visitors::new())
    }

    pub fn enter(&self) {
        self.0.enter();
    }

    pub fn leave(&self) {
        self.0.leave();
    }

    pub fn wait_until_none(&self) {
        self.0.wait_until_none();
    }
}

pub struct AwakeRoots(sched::AwakeRoots);

impl AwakeRoots {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(sched::AwakeRoots::new())
    }

    pub fn enter(&self) {
        self.0.enter();
    }

    pub fn leave(&self) {
        self.0.leave();
    }

    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

/// A scheduler and its workers' threads.
pub struct Crew {
    scheduler: Arc<Scheduler>,
    /// Stands for the parent of tasks that have none.
    node: Box<node::Node>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Crew {
    pub fn start(workers: usize) -> Self {
        let (scheduler, workers) = worker::scheduler(&config(workers)).expect("no system resource is needed");
        let threads = workers.into_iter().map(|worker| thread::spawn(move || Worker::run(worker))).collect();
        // SAFETY: models stop the crew last.
        let sched = unsafe { scheduler.to_ref() };
        let node = Box::new(node::Node::root(sched, RootSignal::new(None), Location::caller()));
        Self { scheduler, node, threads }
    }

    /// A way in for tasks.
    pub fn entrance(&self) -> Entrance {
        // SAFETY: models stop the crew last.
        Entrance(unsafe { self.node.to_ref() })
    }

    /// Tells the workers to return and waits for them and for foreign threads.
    pub fn stop(self) {
        self.scheduler.shut_down();
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

#[derive(Clone, Copy)]
pub struct Entrance(node::NodeRef);

impl Entrance {
    /// Makes a task that belongs to no tree and queues it, as a spawn from the calling thread does.
    pub fn push(self, future: impl Future<Output = ()> + 'static) {
        // SAFETY: the future borrows nothing, and models stop the crew last.
        let (runnable, slot) = unsafe { cell::new_child(self.0, || future) };
        slot.let_go();
        self.0.sched().schedule_child(runnable);
    }
}

/// A waiting thread's flag alone.
pub struct Signal(StdArc<RootSignal>, Arc<Scheduler>);

impl Signal {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let scheduler = scheduler_without_workers();
        Self(RootSignal::new(None), scheduler)
    }

    pub fn waker(&self) -> Waker {
        Waker::from(self.0.clone())
    }

    /// Sleeps until woken since the last call.
    pub fn sleep(&self) {
        // SAFETY: `self` holds the scheduler.
        self.0.sleep(&RootRest::new(unsafe { self.1.to_ref() }));
    }

    /// Polls `future` on this thread until it is ready.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let waker = self.waker();
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return value;
            }
            self.sleep();
        }
    }
}
