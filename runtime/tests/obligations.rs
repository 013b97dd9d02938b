//! What the implementation owes because of how the interface can be used, one test for each debt. The attacks at large are
//! in the `harmless_*` files.

mod common;

use common::{
    Gate, Ledger, OnDrop, Trap, block_here, caught, each_runtime, runtime, three_deep, throw, thrown, watched,
};
use std::cell::RefCell;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::thread;
use treescope::{JoinHandle, Runtime, Scope, yield_now};

/// A body whose future is `Unpin`, and which is polled, moved about and polled again while children hammer on its node.
fn unpin_body<'scope>(
    scope: &'scope Scope<'scope, '_>,
) -> Pin<Box<dyn Future<Output = u64> + Send + 'scope>> {
    Box::pin(async move {
        let counts = scope.alloc([0_u64; 8]);
        let children: Vec<_> = counts
            .iter_mut()
            .map(|count| {
                scope.spawn(async move {
                    for _ in 0..50 {
                        *count += scope.spawn(async { 1 }).await;
                        yield_now().await;
                    }
                    *count
                })
            })
            .collect();
        let mut sum = 0;
        for child in children {
            // What the compiler may take for unchanged if it believes that nobody else has a pointer to the node.
            assert!(!scope.is_aborted());
            sum += child.await;
            yield_now().await;
        }
        sum
    })
}

/// That the node is `!Unpin` is pinned by `compile_fail/scope_is_not_unpin.rs`; this is what it is for.
#[test]
fn obligation_01_a_scope_with_an_unpin_body_is_not_taken_for_unaliased() {
    each_runtime(|rt, _| {
        let sum =
            three_deep!(rt, async |scope| { scope.scope(unpin_body).await + scope.scope(unpin_body).await });
        assert_eq!(sum, 800);
    });
}

#[test]
fn obligation_02_the_root_drops_its_body_then_waits_then_drops_its_values() {
    fn fails_when_called<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        ledger: &'env Ledger,
    ) -> std::future::Ready<()> {
        let item = ledger.item("child");
        scope.alloc(ledger.item("value"));
        scope.spawn(async move {
            let _item = item;
            pending::<()>().await;
        });
        throw("call")
    }
    each_runtime(|rt, ledger| {
        rt.block_on(async |scope| {
            let gate = &*scope.alloc(Gate::new());
            let opens = OnDrop::new(move || gate.open());
            let item = ledger.item("child");
            scope.alloc(ledger.item("value"));
            // Only the drop of the body lets the child end, and only the child's end lets the value go.
            scope.spawn(async move {
                gate.pass().await;
                drop(item);
            });
            ledger.mark("body");
            drop(opens);
        });
        for (name, poll_first) in [("call", false), ("poll", true)] {
            let arrived = thrown(|| {
                rt.block_on(async |scope| {
                    if poll_first {
                        yield_now().await;
                        throw("poll");
                    }
                    fails_when_called(scope, ledger).await
                })
            });
            assert_eq!(arrived, name);
        }
        ledger.assert_settled();
        ledger.assert_order("body", "child");
    });
}

/// Panics in one of the four places where a child runs code of its user's.
#[derive(Clone, Copy)]
enum Fails {
    InPoll,
    InDrop,
}

impl Future for Fails {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        if matches!(*self, Self::InPoll) {
            throw("poll");
        }
        std::task::Poll::Ready(())
    }
}

/// [`Fails`] with a drop, which an enum that is `Copy` cannot have.
struct FailsInDrop(Fails);

impl Future for FailsInDrop {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl Drop for FailsInDrop {
    fn drop(&mut self) {
        throw("drop");
    }
}

#[test]
fn obligation_03_a_child_survives_the_call_the_polls_and_the_drop_of_its_body() {
    fn in_call(_: &Scope<'_, '_>) -> Fails {
        throw("call")
    }
    fn in_poll(_: &Scope<'_, '_>) -> Fails {
        Fails::InPoll
    }
    fn in_drop(_: &Scope<'_, '_>) -> FailsInDrop {
        FailsInDrop(Fails::InDrop)
    }
    each_runtime(|rt, _| {
        let surrounded = |open: for<'a, 'b> fn(&'a Scope<'a, 'b>)| {
            let ledger = &Ledger::new();
            let name = thrown(|| {
                three_deep!(rt, async |scope| {
                    scope.alloc(ledger.item("value"));
                    let item = ledger.item("sibling");
                    scope.spawn(async move {
                        let _item = item;
                        pending::<()>().await;
                    });
                    open(scope);
                    pending::<()>().await;
                })
            });
            ledger.assert_settled();
            ledger.assert_order("sibling", "value");
            name
        };
        assert_eq!(surrounded(|scope| drop(scope.scope(in_call))), "call");
        assert_eq!(surrounded(|scope| drop(scope.scope(in_poll))), "poll");
        assert_eq!(surrounded(|scope| drop(scope.scope(in_drop))), "drop");
        assert_eq!(surrounded(|scope| drop(scope.spawn(Fails::InPoll))), "poll");
        assert_eq!(surrounded(|scope| drop(scope.spawn(FailsInDrop(Fails::InDrop)))), "drop");
    });
}

#[test]
fn obligation_04_a_panicking_value_skips_neither_other_values_nor_the_count() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            throw("payload");
        }
    }
    each_runtime(|rt, ledger| {
        for _ in 0..10 {
            let payload = caught(|| {
                three_deep!(rt, async |outer| {
                    outer.scope(async move |scope| {
                        for _ in 0..3 {
                            scope.alloc(ledger.item("value"));
                            // Each loses against the newest, and panics again when it is discarded.
                            scope.alloc(OnDrop::new(|| std::panic::resume_unwind(Box::new(Bomb))));
                        }
                        scope.alloc(OnDrop::new(|| throw("newest")));
                    });
                })
            });
            assert_eq!(payload.downcast_ref(), Some(&common::Thrown("newest")));
        }
        ledger.assert_settled();
        assert_eq!(ledger.count("value"), 30);
    });
}

#[test]
fn obligation_05_drops_may_spawn_and_alloc_on_a_scope_that_ends_or_is_cancelled() {
    each_runtime(|rt, _| {
        for cancel in [false, true] {
            let ledger = &Ledger::new();
            rt.block_on(async |root| {
                root.scope(async move |scope| {
                    let late = |name| {
                        OnDrop::new(move || {
                            let value = scope.alloc(ledger.item("late value"));
                            let item = ledger.item(name);
                            scope.spawn(async move { drop((value, item)) });
                        })
                    };
                    let (captured, output, of_inner) =
                        (late("of capture"), late("of output"), late("of value"));
                    scope.spawn(async move {
                        let _captured = captured;
                        if cancel {
                            pending::<()>().await;
                        }
                    });
                    drop(scope.spawn(async move { output }));
                    scope.scope(async move |inner| {
                        inner.alloc(of_inner);
                    });
                    yield_now().await;
                    if cancel {
                        scope.abort();
                    }
                });
            });
            ledger.assert_settled();
            for name in ["of capture", "of output", "of value"] {
                assert_eq!(ledger.count(name), 1);
                ledger.assert_order(name, "late value");
            }
        }
    });
}

#[test]
fn obligation_06_a_handle_may_lie_in_its_own_node_and_outputs_go_before_values() {
    each_runtime(|rt, ledger| {
        rt.block_on(async |root| {
            root.scope(async move |scope| {
                let value = &*scope.alloc(ledger.item("value"));
                // Outputs that point at the value: taken, untaken, kept in an inner value.
                scope.spawn(async move { (value, ledger.item("taken")) }).await;
                drop(scope.spawn(async move { (value, ledger.item("untaken")) }));
                let kept = scope.spawn(async move { (value, ledger.item("kept in an inner value")) });
                scope.scope(async move |inner| {
                    inner.alloc(kept);
                });
            })
            .await;
            type Slot<'scope> = Mutex<Option<JoinHandle<'scope, common::Item<'scope>>>>;
            let (slot, gate) = (Arc::new(Slot::default()), Arc::new(Gate::new()));
            let (slot_there, gate_there) = (slot.clone(), gate.clone());
            let own = root.scope(async move |scope| {
                gate_there.pass().await;
                let own = slot_there.lock().unwrap().take();
                scope.alloc(own);
                ledger.item("output of the node that owned its own handle")
            });
            *slot.lock().unwrap() = Some(own);
            gate.open();
        });
        ledger.assert_settled();
        for output in ["taken", "untaken", "kept in an inner value"] {
            ledger.assert_order(output, "value");
        }
    });
}

#[repr(align(4096))]
struct Page(u8);

#[test]
fn obligation_07_threads_alloc_and_spawn_at_once_whatever_the_alignment_and_size() {
    each_runtime(|rt, ledger| {
        three_deep!(rt, async |scope| {
            thread::scope(|threads| {
                for n in 0..4_u8 {
                    threads.spawn(move || {
                        for _ in 0..100 {
                            let page = scope.alloc(Page(n));
                            let nothing = scope.alloc(());
                            let item = scope.alloc(ledger.item("value"));
                            assert_eq!(std::ptr::from_ref(page).addr() % 4096, 0);
                            scope.spawn(async move {
                                yield_now().await;
                                assert_eq!((page.0, &*nothing), (n, &()));
                                drop((item, ledger.item("child")));
                            });
                        }
                    });
                }
            });
        });
        ledger.assert_settled();
        ledger.assert_order("child", "value");
    });
}

#[test]
fn obligation_08_nested_roots_and_stray_park_tokens_neither_end_nor_lose_a_roots_wait() {
    each_runtime(|rt, ledger| {
        let root = &thread::current();
        for _ in 0..20 {
            rt.block_on(async |outer| {
                let item = ledger.item("outer child");
                let child = outer.spawn(async move {
                    root.unpark();
                    yield_now().await;
                    drop(item);
                });
                rt.block_on(async |inner| {
                    let item = ledger.item("inner child");
                    root.unpark();
                    inner.spawn(async move {
                        root.unpark();
                        yield_now().await;
                        drop(item);
                    });
                });
                // The outer child's end may have been told while the inner root slept.
                child.await;
                root.unpark();
                thread::park();
            });
        }
        ledger.assert_settled();
    });
}

type AtExit = OnDrop<Box<dyn FnOnce() + Send>>;

thread_local! {
    static AT_EXIT: RefCell<Option<AtExit>> = const { RefCell::new(None) };
}

/// `process::exit` in a child is in `aborts.rs`; the last handle dropped on a worker in `harmless_wakers.rs`, too.
#[test]
fn obligation_09_roots_in_destructors_of_thread_locals_and_a_runtime_dropped_by_its_own_thread() {
    watched(|| {
        let rt = Arc::new(runtime(1));
        let (there, done) = (rt.clone(), Arc::new(Gate::new()));
        let done_there = done.clone();
        let at_exit: Box<dyn FnOnce() + Send> = Box::new(move || {
            assert_eq!(there.block_on(async |scope| scope.spawn(async { 1 }).await), 1);
            drop(there);
            done_there.open();
        });
        thread::spawn(move || AT_EXIT.set(Some(OnDrop::new(at_exit)))).join().unwrap();
        assert!(done.is_open());
        // A waker that owns the runtime, fired by the runtime's own timer after the root has returned.
        struct Owner(Mutex<Option<Arc<Runtime>>>, Gate, Gate);
        impl std::task::Wake for Owner {
            fn wake(self: Arc<Self>) {
                self.1.pass_here();
                drop(self.0.lock().unwrap().take());
                self.2.open();
            }
        }
        let owner = Arc::new(Owner(Mutex::new(Some(rt.clone())), Gate::new(), Gate::new()));
        let waker = Waker::from(owner.clone());
        let mut sleep = Box::pin(treescope::time::sleep(std::time::Duration::from_millis(1)));
        let mut cx = std::task::Context::from_waker(&waker);
        rt.block_on(async |_| assert!(sleep.as_mut().poll(&mut cx).is_pending()));
        drop(rt);
        owner.1.open();
        owner.2.pass_here();
        assert!(owner.0.lock().unwrap().is_none());
    });
}

/// The seal itself is pinned by `compile_fail/body_*`; here, that nothing it forbids is needed.
#[test]
fn obligation_10_every_ordinary_body_passes_the_seal() {
    async fn named(scope: &Scope<'_, '_>) -> u32 {
        u32::from(scope.is_aborted())
    }
    fn returns_a_future<'scope>(
        _: &'scope Scope<'scope, '_>,
    ) -> impl Future<Output = u32> + Send + use<'scope> {
        std::future::ready(1)
    }
    each_runtime(|rt, _| {
        let (two, text) = (2, String::from("three"));
        let sum = rt.block_on(async |root| {
            let (two, text) = (&two, &text);
            root.scope(async move |scope| {
                scope.scope(named).await
                    + scope.scope(returns_a_future).await
                    + scope.scope(async move |_| *two).await
                    + scope.scope(async |inner| inner.spawn(async { text.len() as u32 }).await).await
            })
            .await
        });
        assert_eq!(sum, 8);
    });
}

/// Beside the ten: a wait for a cancelled child ends.
#[test]
fn a_cancelled_child_wakes_whoever_waits_for_it_with_a_quiet_panic() {
    each_runtime(|rt, ledger| {
        let trap = &Trap::new();
        let payload = caught(|| {
            rt.block_on(async |scope| {
                let item = ledger.item("child");
                let child = scope.spawn(async move {
                    let _item = item;
                    trap.clone().await;
                });
                thread::scope(|threads| {
                    let wait = threads.spawn(|| drop(caught(|| block_here(child))));
                    scope.abort();
                    wait.join().unwrap();
                });
                pending::<()>().await;
            })
        });
        drop(payload);
        ledger.assert_settled();
    });
}
