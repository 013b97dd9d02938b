//! What a random tree does.
//!
//! Two things keep a tree from hanging by its own fault, or ending otherwise than the oracle knows. A task waits for ever
//! only where a scope above is *doomed*, that is, sure to be aborted by its own body. And a handle that may give no value,
//! for its scope is aborted, is awaited only below a doomed scope, where the unwind that this causes does not matter.

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::thread;

use treescope::{JoinHandle, Scope, yield_now};

use super::Random;
use super::common::{OnDrop, throw};
use super::oracle::{Canary, Guard, Opened, Record, Root, did, leave_waker};

/// Distinct arguments of `did!` in this file.
pub(crate) const SORTS: usize = 22;

type Boxed<'scope, T> = Pin<Box<dyn Future<Output = T> + Send + 'scope>>;

/// What a scope is to do.
pub(crate) struct Plan<'outer> {
    root: &'outer Root,
    opened: Opened,
    seed: u64,
    nodes: u64,
    /// A scope above will be aborted.
    doomed: bool,
    /// This scope will be.
    aborts: bool,
}

impl<'outer> Plan<'outer> {
    pub(crate) fn of_root(root: &'outer Root, nodes: u64) -> Self {
        let opened = Opened::new(root.record().open());
        Self { root, opened, seed: root.seed, nodes, doomed: false, aborts: false }
    }
}

/// A child's output: borrows from the scope that it was spawned in.
pub(crate) struct Output<'scope> {
    _guard: Option<Guard<'scope>>,
    throws: Option<&'scope Root>,
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        if let Some(root) = self.throws {
            did!("panic in the drop of an output");
            throw_in_drop(root);
        }
    }
}

fn throw_in_drop(root: &Root) {
    // A second panic would end the process.
    if !thread::panicking() {
        root.threw.store(true, Ordering::SeqCst);
        throw("stress");
    }
}

enum Handle<'scope> {
    Child(JoinHandle<'scope, Output<'scope>>, Ends),
    Scope(JoinHandle<'scope, u64>, Arc<Record>, Ends),
    Blocking(JoinHandle<'scope, u64>),
}

/// How awaiting a handle ends.
#[derive(Clone, Copy, PartialEq)]
enum Ends {
    WithValue,
    /// Soon, but maybe without a value.
    MaybeWithout,
    /// Maybe not before a scope above is aborted.
    MaybeNever,
}

/// The body of a scope at work.
struct Body<'scope, 'outer> {
    scope: &'scope Scope<'scope, 'outer>,
    canary: &'scope Canary,
    root: &'outer Root,
    random: Random,
    /// This scope or one above is doomed.
    doomed: bool,
    aborts: bool,
    handles: Vec<Handle<'scope>>,
    nodes: u64,
}

/// The body of every scope: gives the number of nodes that it has awaited.
pub(crate) fn body<'scope, 'outer>(
    scope: &'scope Scope<'scope, 'outer>,
    plan: Plan<'outer>,
) -> Boxed<'scope, u64> {
    Box::pin(async move {
        let Plan { root, opened, seed, nodes, doomed, aborts } = plan;
        let canary = &*scope.alloc(Canary::new(opened.enter()));
        let guard = canary.guard();
        let random = Random(seed);
        let doomed = doomed || aborts;
        let mut body = Body { scope, canary, root, random, doomed, aborts, handles: Vec::new(), nodes };
        let mut awaited = 1;
        while body.nodes > 0 {
            awaited += body.step().await;
            guard.look();
        }
        awaited += body.settle().await;
        if body.aborts {
            did!("abort");
            scope.abort();
            if body.random.one_in(2) {
                pending::<()>().await;
            }
        }
        awaited
    })
}

impl<'scope, 'outer> Body<'scope, 'outer> {
    /// Does one thing.
    async fn step(&mut self) -> u64 {
        match self.random.below(100) {
            0..40 => self.spawn(),
            40..70 => self.open(),
            70..76 => yield_now().await,
            76..80 => self.give_value(),
            80..92 if !self.handles.is_empty() => return self.treat_a_handle().await,
            92..94 => self.spawn_blocking(),
            94..96 => wait_for_foreign_wake().await,
            96 if self.random.one_in(8) => self.spawn_from_threads(),
            97 if self.root.may_throw && self.random.one_in(6) => self.throw(),
            98 if self.random.one_in(10) => {
                treescope::time::sleep(std::time::Duration::from_micros(20)).await
            }
            _ => {}
        }
        0
    }

    fn throw(&self) {
        did!("panic in a body");
        self.root.threw.store(true, Ordering::SeqCst);
        throw("stress")
    }

    fn throws(&mut self, one_in: u64) -> bool {
        self.root.may_throw && self.random.one_in(one_in)
    }

    fn spawn(&mut self) {
        did!("spawn");
        self.nodes -= 1;
        self.root.nodes.fetch_add(1, Ordering::Relaxed);
        let (root, guard) = (self.root, self.canary.guard());
        let output = Output {
            // A forgotten handle leaks its output, so few outputs are counted, and their handles are never forgotten.
            _guard: self.random.one_in(4).then(|| self.canary.guard()),
            throws: self.throws(200).then_some(root),
        };
        let late = self.random.one_in(20).then(|| self.late(2));
        let (yields, throws) = (self.random.below(4), self.throws(100));
        let never_ends = self.doomed && self.random.one_in(4);
        let foreign = self.random.one_in(20);
        let counted = output._guard.is_some();
        let child = self.scope.spawn(async move {
            let _late = late;
            for _ in 0..yields {
                guard.look();
                yield_now().await;
            }
            if foreign {
                wait_for_foreign_wake().await;
            }
            if throws {
                did!("panic in a child");
                root.threw.store(true, Ordering::SeqCst);
                throw("stress");
            }
            if never_ends {
                did!("child that never ends");
                pending::<()>().await;
            }
            guard.look();
            output
        });
        if self.aborts && self.random.one_in(30) {
            did!("abort by a child");
            let (scope, guard) = (self.scope, self.canary.guard());
            self.scope.spawn(async move {
                scope.abort();
                guard.look();
            });
        }
        match self.random.below(10) {
            0..3 => drop(child),
            3 if !counted => {
                did!("forget");
                std::mem::forget(child);
            }
            _ => {
                let ends = if never_ends { Ends::MaybeNever } else { Ends::WithValue };
                self.handles.push(Handle::Child(child, ends));
            }
        }
    }

    fn open(&mut self) {
        did!("scope");
        // Mostly broad; now and then all that is left goes down one path.
        let most = if self.random.one_in(8) { self.nodes } else { self.nodes.min(60) };
        let nodes = 1 + self.random.below(most);
        self.nodes -= nodes;
        self.root.nodes.fetch_add(1, Ordering::Relaxed);
        let aborts = self.random.one_in(12);
        let record = self.canary.record().open();
        let plan = Plan {
            root: self.root,
            opened: Opened::new(record.clone()),
            seed: self.random.next(),
            nodes: nodes - 1,
            doomed: self.doomed,
            aborts,
        };
        let handle = self.scope.scope(async move |inner| body(inner, plan).await);
        match self.random.below(10) {
            0..2 => drop(handle),
            2 => {
                did!("forget");
                std::mem::forget(handle);
            }
            _ => {
                let ends = match (self.doomed, aborts) {
                    (true, _) => Ends::MaybeNever,
                    (false, true) => Ends::MaybeWithout,
                    (false, false) => Ends::WithValue,
                };
                self.handles.push(Handle::Scope(handle, record, ends));
            }
        }
    }

    fn give_value(&mut self) {
        did!("value");
        if self.throws(30) {
            did!("panic in the drop of a value");
            let root = self.root;
            self.scope.alloc(OnDrop::new(move || throw_in_drop(root)));
        } else {
            self.scope.alloc([self.random.next(); 5]);
        }
    }

    /// Spawns on this scope when dropped, wherever that is.
    fn late(&self, depth: u32) -> Late<'scope, 'outer> {
        Late { scope: self.scope, canary: self.canary, depth, _guard: self.canary.guard() }
    }

    fn spawn_blocking(&mut self) {
        if !self.random.one_in(10) {
            return;
        }
        did!("blocking call");
        let guard = self.canary.guard();
        let call = self.scope.spawn_blocking(move || {
            guard.look();
            1
        });
        self.handles.push(Handle::Blocking(call));
    }

    fn spawn_from_threads(&mut self) {
        did!("spawn from threads");
        let (scope, canary) = (self.scope, self.canary);
        thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    let guard = canary.guard();
                    scope.alloc(7_u64);
                    scope.spawn(async move { guard.look() });
                });
            }
        });
    }

    /// Picks a handle and awaits it, drops it, or gives it to somebody else.
    async fn treat_a_handle(&mut self) -> u64 {
        let picked = self.random.below(self.handles.len() as u64);
        let handle = self.handles.swap_remove(picked as usize);
        match self.random.below(10) {
            0..6 => return self.await_if_it_ends(handle).await,
            6 => {
                did!("handle dropped later");
                drop(handle);
            }
            7 => {
                did!("handle given to a sibling");
                let guard = self.canary.guard();
                self.scope.spawn(async move {
                    guard.look();
                    yield_now().await;
                    drop(handle);
                });
            }
            8 => {
                did!("handle as a value of a scope below");
                let canary = self.canary;
                let late = self.late(1);
                self.scope.scope(async move |inner| {
                    let guard = canary.guard();
                    inner.alloc((handle, late));
                    guard.look();
                });
            }
            9 if self.random.one_in(2) => {
                did!("look at a handle");
                if let Handle::Scope(scope, record, _) = &handle
                    && scope.is_finished()
                {
                    record.assert_over();
                }
                self.handles.push(handle);
            }
            _ => {
                did!("handle polled once");
                self.poll_and_keep(handle).await;
            }
        }
        0
    }

    async fn poll_and_keep(&mut self, handle: Handle<'scope>) {
        let handle = match handle {
            Handle::Scope(mut handle, record, ends) if ends == Ends::WithValue => {
                let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut handle).poll(cx))).await;
                if polled.is_ready() {
                    record.assert_over();
                    return;
                }
                Handle::Scope(handle, record, ends)
            }
            other => other,
        };
        self.handles.push(handle);
    }

    async fn await_if_it_ends(&mut self, handle: Handle<'scope>) -> u64 {
        let ends = match &handle {
            Handle::Child(_, ends) | Handle::Scope(_, _, ends) => *ends,
            Handle::Blocking(_) => Ends::WithValue,
        };
        let may = match ends {
            Ends::WithValue => true,
            Ends::MaybeWithout => self.doomed,
            // The one that is to abort must come to it.
            Ends::MaybeNever => self.doomed && !self.aborts,
        };
        if !may {
            return 0;
        }
        match handle {
            Handle::Child(child, _) => {
                did!("await of a child");
                drop(child.await);
                1
            }
            Handle::Scope(scope, record, _) => {
                did!("await of a scope");
                let awaited = scope.await;
                record.assert_over();
                awaited
            }
            Handle::Blocking(call) => call.await,
        }
    }

    /// Treats what handles are left.
    async fn settle(&mut self) -> u64 {
        let mut awaited = 0;
        while let Some(handle) = self.handles.pop() {
            if self.random.one_in(2) {
                awaited += self.await_if_it_ends(handle).await;
            }
        }
        awaited
    }
}

/// When dropped, spawns on a scope that may be ending or cancelled.
struct Late<'scope, 'outer> {
    scope: &'scope Scope<'scope, 'outer>,
    canary: &'scope Canary,
    depth: u32,
    _guard: Guard<'scope>,
}

impl Drop for Late<'_, '_> {
    fn drop(&mut self) {
        did!("late spawn");
        let Self { scope, canary, depth, .. } = *self;
        let guard = canary.guard();
        let again = (depth > 0).then(|| Late { scope, canary, depth: depth - 1, _guard: canary.guard() });
        scope.alloc(3_u8);
        scope.spawn(async move {
            guard.look();
            drop(again);
        });
    }
}

/// Ends when a thread that is no worker has woken it.
async fn wait_for_foreign_wake() {
    did!("foreign wake");
    let mut polls = 0;
    poll_fn(|cx| {
        polls += 1;
        if polls > 1 {
            return Poll::Ready(());
        }
        leave_waker(cx.waker().clone());
        Poll::Pending
    })
    .await;
}
