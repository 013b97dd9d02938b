//! Wakers are `'static` and outlive everything: fired, cloned and dropped anywhere and at any time, they touch no freed
//! memory and revive nothing.

mod common;

use common::{Gate, Ledger, Trap, block_here, each_runtime, poll_once, runtime, three_deep, watched};
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;
use treescope::{Runtime, yield_now};

/// Catches wakers of a child, a scope and the root, three levels deep, and lets the root end.
fn catch_wakers(rt: &Runtime, ledger: &Ledger) -> Vec<Waker> {
    let (of_child, of_scope, of_root) = (Trap::new(), Trap::new(), Trap::new());
    let gate = Gate::new();
    rt.block_on(async |root| {
        let (child, scope, gate) = (of_child.clone(), of_scope.clone(), &gate);
        root.scope(async move |one| {
            one.scope(async move |two| {
                let captured = ledger.item("child");
                let (mut child, mut scope) = (child, scope);
                two.spawn(async move {
                    assert!(poll_once(&mut child).await.is_pending());
                    gate.pass().await;
                    drop(captured);
                });
                two.alloc(ledger.item("value"));
                assert!(poll_once(&mut scope).await.is_pending());
                gate.pass().await;
            })
            .await;
        });
        let mut in_root = of_root.clone();
        assert!(poll_once(&mut in_root).await.is_pending());
        while of_child.polls() == 0 || of_scope.polls() == 0 {
            yield_now().await;
        }
        gate.open();
    });
    ledger.assert_settled();
    [of_child, of_scope, of_root].iter().flat_map(Trap::take).collect()
}

#[test]
fn wakers_fired_after_the_root_has_returned_do_nothing() {
    each_runtime(|rt, ledger| {
        let wakers = catch_wakers(rt, ledger);
        assert!(wakers.len() >= 3);
        wakers.iter().for_each(Waker::wake_by_ref);
        assert_eq!(rt.block_on(async |scope| scope.spawn(async { 1 }).await), 1, "the runtime still works");
        wakers.into_iter().for_each(Waker::wake);
    });
}

#[test]
fn wakers_fired_and_dropped_on_foreign_threads_after_the_runtime_is_gone_do_nothing() {
    for workers in [1, 2] {
        watched(|| {
            let rt = runtime(workers);
            let wakers = catch_wakers(&rt, &Ledger::new());
            drop(rt);
            thread::scope(|threads| {
                for _ in 0..3 {
                    let wakers = wakers.clone();
                    threads.spawn(move || {
                        wakers.iter().for_each(Waker::wake_by_ref);
                        wakers.into_iter().for_each(Waker::wake);
                    });
                }
            });
            thread::spawn(move || drop(wakers)).join().unwrap();
        });
    }
}

#[test]
fn wakers_dropped_last_by_a_thread_that_outlives_the_test() {
    each_runtime(|rt, ledger| {
        let wakers = catch_wakers(rt, ledger);
        thread::spawn(move || {
            thread::yield_now();
            drop(wakers);
        });
    });
}

/// Threads that fire, clone and drop whatever wakers a trap catches, until told to stop.
fn storm<'scope>(threads: &'scope thread::Scope<'scope, '_>, trap: &'scope Trap, stop: &'scope AtomicBool) {
    for _ in 0..2 {
        threads.spawn(|| {
            let mut kept = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                kept.extend(trap.take());
                kept.iter().for_each(Waker::wake_by_ref);
                if kept.len() > 8 {
                    kept.drain(..).for_each(Waker::wake);
                }
            }
            // The last of them are fired after the end.
            kept.into_iter().for_each(Waker::wake);
        });
    }
}

#[test]
fn a_storm_of_foreign_wakes_during_and_after_a_tree_loses_and_revives_nothing() {
    each_runtime(|rt, ledger| {
        for _ in 0..50 {
            let (trap, stop) = (Trap::new(), AtomicBool::new(false));
            thread::scope(|threads| {
                storm(threads, &trap, &stop);
                let trap = &trap;
                three_deep!(rt, async |scope| {
                    for _ in 0..4 {
                        let captured = ledger.item("child");
                        scope.spawn(async move {
                            let mut trapped = trap.clone();
                            for _ in 0..20 {
                                let _ = poll_once(&mut trapped).await;
                                yield_now().await;
                            }
                            drop(captured);
                        });
                    }
                });
                stop.store(true, Ordering::SeqCst);
            });
        }
        ledger.assert_settled();
    });
}

#[test]
fn a_foreign_wake_that_ends_the_last_task_races_the_runtimes_drop() {
    watched(|| {
        for round in 0..300 {
            let ledger = Ledger::new();
            let item = ledger.item("child");
            let trap = Trap::new();
            let rt = runtime(1 + round % 2);
            thread::scope(|threads| {
                threads.spawn(|| {
                    while trap.polls() == 0 {
                        thread::yield_now();
                    }
                    // This wake lets the root return and the runtime be dropped, while this thread is still in it.
                    trap.release();
                });
                let trapped = trap.clone();
                rt.block_on(async |scope| {
                    scope.scope(async move |inner| {
                        inner.spawn(async move {
                            trapped.await;
                            drop(item);
                        });
                    });
                });
                ledger.assert_settled();
                drop(rt);
            });
        }
    });
}

/// Counts its wakes, and notes its own drop.
struct Counting {
    wakes: AtomicUsize,
}

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_users_own_waker_on_a_handle_is_called_at_the_childs_end_and_released() {
    each_runtime(|rt, ledger| {
        let counting = Arc::new(Counting { wakes: AtomicUsize::new(0) });
        let waker = Waker::from(counting.clone());
        let waker = &waker;
        three_deep!(rt, async |scope| {
            let gate = &*scope.alloc(Gate::new());
            let captured = ledger.item("child");
            let mut handle = scope.spawn(async move {
                gate.pass().await;
                captured
            });
            assert!(pin!(&mut handle).poll(&mut Context::from_waker(waker)).is_pending());
            gate.open();
            drop(handle.await);
        });
        ledger.assert_settled();
        // The one it was polled with at last replaces the first, so that one may not have been called.
        assert!(counting.wakes.load(Ordering::SeqCst) <= 1);
        assert_eq!(Arc::strong_count(&counting), 2, "no clone is kept");
    });
}

#[test]
fn a_users_own_waker_left_on_a_dropped_handle_is_released_with_it() {
    each_runtime(|rt, ledger| {
        let counting = Arc::new(Counting { wakes: AtomicUsize::new(0) });
        let waker = Waker::from(counting.clone());
        let (waker, counting) = (&waker, &counting);
        three_deep!(rt, async |scope| {
            let gate = &*scope.alloc(Gate::new());
            let captured = ledger.item("child");
            let mut handle = scope.spawn(async move {
                gate.pass().await;
                drop(captured);
            });
            assert!(pin!(&mut handle).poll(&mut Context::from_waker(waker)).is_pending());
            drop(handle);
            assert_eq!(Arc::strong_count(counting), 2, "no clone is kept");
            gate.open();
        });
        ledger.assert_settled();
        assert_eq!(counting.wakes.load(Ordering::SeqCst), 0, "nobody awaits the child any more");
    });
}

#[test]
fn a_waker_in_an_output_a_value_and_a_capture_of_its_own_task_keeps_nothing_alive() {
    async fn own_waker() -> Waker {
        poll_fn(|cx| Poll::Ready(cx.waker().clone())).await
    }
    each_runtime(|rt, ledger| {
        three_deep!(rt, async |scope| {
            let slot = &*scope.alloc(Mutex::new(Vec::new()));
            for _ in 0..10 {
                let item = ledger.item("child");
                let handle = scope.spawn(async move {
                    let waker = own_waker().await;
                    slot.lock().unwrap().push(waker.clone());
                    waker.wake_by_ref();
                    yield_now().await;
                    (item, waker)
                });
                let inner = scope.scope(async move |inner| {
                    inner.alloc(own_waker().await);
                    own_waker().await
                });
                drop(handle);
                inner.await.wake();
            }
            scope.alloc(own_waker().await);
        });
        ledger.assert_settled();
    });
}

#[test]
fn a_wake_from_within_the_tasks_own_drop_does_nothing() {
    each_runtime(|rt, ledger| {
        three_deep!(rt, async |scope| {
            for aborted in [false, true] {
                let captured = ledger.item("child");
                scope.spawn(async move {
                    let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
                    let _wakes = common::OnDrop::new(move || {
                        waker.wake_by_ref();
                        waker.wake();
                    });
                    let _captured = captured;
                    if !aborted {
                        yield_now().await;
                    }
                });
            }
        });
        ledger.assert_settled();
    });
}

/// A waker that owns a runtime.
struct Owner {
    runtime: Mutex<Option<Arc<Runtime>>>,
    woken_by: Mutex<Option<thread::ThreadId>>,
    last: Gate,
    woken: Gate,
}

impl Wake for Owner {
    fn wake(self: Arc<Self>) {
        *self.woken_by.lock().unwrap() = Some(thread::current().id());
        self.last.pass_here();
        // The runtime is dropped here, on a worker of its own.
        drop(self.runtime.lock().unwrap().take());
        self.woken.open();
    }
}

#[test]
fn the_last_handle_on_a_runtime_is_dropped_on_one_of_its_own_workers() {
    for workers in [1, 2] {
        watched(|| {
            let rt = Arc::new(runtime(workers));
            let owner = Arc::new(Owner {
                runtime: Mutex::new(Some(rt.clone())),
                woken_by: Mutex::new(None),
                last: Gate::new(),
                woken: Gate::new(),
            });
            let waker = Waker::from(owner.clone());
            // A timer that outlives its root and then wakes the owner, from whichever worker has the turn.
            let mut sleep = Box::pin(treescope::time::sleep(Duration::from_millis(200)));
            rt.block_on(async |_| {
                assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending())
            });
            drop(rt);
            owner.last.open();
            owner.woken.pass_here();
            assert_ne!(owner.woken_by.lock().unwrap().unwrap(), thread::current().id());
            assert!(owner.runtime.lock().unwrap().is_none());
            drop(sleep);
        });
    }
}

#[test]
fn wakers_fired_by_many_threads_at_the_moment_of_an_abort() {
    watched(|| {
        let rt = runtime(2);
        for _ in 0..200 {
            let ledger = Ledger::new();
            let (trap, together) = (Trap::new(), Barrier::new(3));
            thread::scope(|threads| {
                for _ in 0..2 {
                    threads.spawn(|| {
                        together.wait();
                        trap.take().into_iter().for_each(Waker::wake);
                    });
                }
                rt.block_on(async |root| {
                    let (ledger, trap, together) = (&ledger, &trap, &together);
                    root.scope(async move |scope| {
                        for _ in 0..8 {
                            let (captured, mut trapped) = (ledger.item("child"), trap.clone());
                            scope.spawn(async move {
                                let _captured = captured;
                                let _ = poll_once(&mut trapped).await;
                                pending::<()>().await;
                            });
                        }
                        while trap.polls() < 8 {
                            yield_now().await;
                        }
                        together.wait();
                        scope.abort();
                    });
                });
            });
            ledger.assert_settled();
        }
    });
}

/// The root learns that its last child has ended before the waker of who drained it has been called to its end.
#[test]
fn waker_of_a_drain_that_a_pool_thread_calls_may_be_the_last_owner_of_the_runtime() {
    #[derive(Default)]
    struct LastOwner {
        runtime: Mutex<Option<Arc<Runtime>>>,
        called: Gate,
        root_is_over: Gate,
        dropped: Gate,
    }
    impl Wake for LastOwner {
        fn wake(self: Arc<Self>) {
            self.called.open();
            block_here(self.root_is_over.pass());
            drop(self.runtime.lock().unwrap().take());
            // The thread is the runtime's still.
            let _ = treescope::time::now();
            self.dropped.open();
        }
    }
    watched(|| {
        let owner = Arc::new(LastOwner::default());
        let runtime = Arc::new(runtime(1));
        *owner.runtime.lock().unwrap() = Some(runtime.clone());
        let polled = &Gate::new();
        runtime.block_on(async |scope| {
            scope.spawn_blocking(|| block_here(polled.pass()));
            let mut drain = pin!(scope.drain(Duration::MAX));
            let waker = Waker::from(owner.clone());
            assert!(drain.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            polled.open();
            block_here(owner.called.pass());
        });
        drop(runtime);
        owner.root_is_over.open();
        block_here(owner.dropped.pass());
    });
}

/// A drain that nobody polls any more, and that is not dropped before the cleanup, leaves its waker behind.
#[test]
fn waker_of_a_drain_that_blocks_until_the_root_has_returned_does_not_keep_it() {
    struct Blocks(Arc<Gate>);
    impl Wake for Blocks {
        fn wake(self: Arc<Self>) {
            block_here(self.0.pass());
        }
    }
    watched(|| {
        let over = Arc::new(Gate::default());
        let runtime = runtime(1);
        let given_up = &Gate::new();
        runtime.block_on(async |scope| {
            scope.spawn(given_up.pass());
            let mut drain = Box::pin(scope.drain(Duration::MAX));
            let waker = Waker::from(Arc::new(Blocks(over.clone())));
            assert!(drain.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            scope.defer(Duration::MAX, async move { drop(drain) });
            given_up.open();
        });
        over.open();
    });
}
