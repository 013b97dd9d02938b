//! Handles and scopes forgotten, leaked, knotted into cycles, dropped at every moment, held by others: the scope waits all
//! the same, and everything that was not leaked is dropped exactly once before it returns.

mod common;

use common::{Gate, each_runtime, poll_once, three_deep};
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use treescope::{JoinHandle, yield_now};

/// Attacks that leak memory on purpose; the leak checker is told to overlook what this module allocates.
mod leaking {
    use super::*;

    #[test]
    fn a_forgotten_handle_of_a_child_detaches_nothing() {
        each_runtime(|rt, ledger| {
            three_deep!(rt, async |scope| {
                let captured = ledger.item("capture");
                std::mem::forget(scope.spawn(async move {
                    let _local = ledger.item("local");
                    yield_now().await;
                    drop(captured);
                    ledger.item("output")
                }));
                ledger.mark("body ends");
            });
            ledger.assert_settled_but(&["output"]);
            ledger.assert_order("body ends", "local");
        });
    }

    #[test]
    fn a_forgotten_handle_of_a_scope_detaches_nothing() {
        each_runtime(|rt, ledger| {
            three_deep!(rt, async |scope| {
                std::mem::forget(scope.scope(async move |inner| {
                    inner.alloc(ledger.item("value"));
                    inner.spawn(async move {
                        yield_now().await;
                        drop(ledger.item("grandchild"));
                    });
                    ledger.item("output")
                }));
            });
            ledger.assert_settled_but(&["output"]);
            ledger.assert_order("grandchild", "value");
        });
    }

    struct Knot<'scope, T> {
        knot: Mutex<Option<Arc<Knot<'scope, T>>>>,
        handle: Mutex<Option<JoinHandle<'scope, T>>>,
    }

    #[test]
    fn a_handle_in_a_cycle_of_arcs_detaches_nothing() {
        each_runtime(|rt, ledger| {
            three_deep!(rt, async |scope| {
                let child = scope.spawn(async move {
                    let _local = ledger.item("local");
                    yield_now().await;
                    ledger.item("output")
                });
                let knot = Arc::new(Knot { knot: Mutex::new(None), handle: Mutex::new(Some(child)) });
                *knot.knot.lock().unwrap() = Some(knot.clone());
                assert!(knot.handle.lock().unwrap().is_some());
            });
            ledger.assert_settled_but(&["output"]);
        });
    }

    #[test]
    fn a_future_that_awaits_a_handle_is_forgotten_half_way() {
        each_runtime(|rt, ledger| {
            three_deep!(rt, async |scope| {
                let gate = &*scope.alloc(Gate::new());
                let child = scope.spawn(async move {
                    let _local = ledger.item("local");
                    gate.pass().await;
                });
                let mut waiting = Box::pin(async move {
                    let _leaked = ledger.item("leaked with the future");
                    child.await
                });
                assert!(poll_once(&mut waiting).await.is_pending());
                std::mem::forget(waiting);
                gate.open();
            });
            ledger.assert_settled_but(&["leaked with the future"]);
        });
    }

    #[test]
    fn a_leaked_output_that_borrows_a_value_is_never_dropped_later() {
        each_runtime(|rt, ledger| {
            three_deep!(rt, async |scope| {
                let value = &*scope.alloc(ledger.item("value"));
                std::mem::forget(scope.spawn(async move { (value, vec![0; 100]) }));
                Box::leak(Box::new(scope.spawn(async move { Box::new(value) })));
            });
            ledger.assert_settled();
        });
    }

    #[test]
    fn a_scope_whose_handles_are_all_forgotten_can_still_be_aborted() {
        each_runtime(|rt, ledger| {
            rt.block_on(async |root| {
                root.scope(async move |outer| {
                    for _ in 0..10 {
                        let captured = ledger.item("capture");
                        std::mem::forget(outer.scope(async move |inner| {
                            std::mem::forget(inner.spawn(async move {
                                pending::<()>().await;
                                drop(captured);
                            }));
                            pending::<()>().await;
                        }));
                    }
                    yield_now().await;
                    outer.abort();
                });
            });
            ledger.assert_settled();
        });
    }
}

#[test]
fn a_handle_dropped_before_the_first_poll_detaches_nothing() {
    each_runtime(|rt, ledger| {
        three_deep!(rt, async |scope| {
            for _ in 0..10 {
                let captured = ledger.item("child");
                drop(scope.spawn(async move {
                    yield_now().await;
                    drop(captured);
                    ledger.item("output")
                }));
                let captured = ledger.item("scope");
                drop(scope.scope(async move |inner| {
                    inner.alloc(captured);
                    ledger.item("output")
                }));
            }
        });
        ledger.assert_settled();
        assert_eq!(ledger.count("output"), 20);
    });
}

#[test]
fn a_handle_dropped_half_way_detaches_nothing() {
    each_runtime(|rt, ledger| {
        three_deep!(rt, async |scope| {
            let gate = &*scope.alloc(Gate::new());
            let mut child = scope.spawn(async move {
                let _local = ledger.item("child");
                gate.pass().await;
                ledger.item("output")
            });
            let mut inner = scope.scope(async move |inner| {
                inner.spawn(async move {
                    let _local = ledger.item("grandchild");
                    gate.pass().await;
                });
                ledger.item("output")
            });
            assert!(poll_once(&mut child).await.is_pending());
            assert!(poll_once(&mut inner).await.is_pending());
            yield_now().await;
            drop((child, inner));
            ledger.mark("handles dropped");
            gate.open();
        });
        ledger.assert_settled();
        ledger.assert_order("handles dropped", "output");
    });
}

#[test]
fn a_handle_dropped_after_the_end_drops_the_output_with_it() {
    each_runtime(|rt, ledger| {
        three_deep!(rt, async |scope| {
            let child = scope.spawn(async move { ledger.item("output") });
            let inner = scope.scope(async move |_| ledger.item("output"));
            while !(child.is_finished() && inner.is_finished()) {
                yield_now().await;
            }
            ledger.mark("finished");
            drop((child, inner));
            assert_eq!(ledger.count("output"), 2);
        });
        ledger.assert_settled();
        ledger.assert_order("finished", "output");
    });
}

#[test]
fn a_handle_is_held_and_awaited_by_another_task() {
    each_runtime(|rt, ledger| {
        let sum = three_deep!(rt, async |scope| {
            let mut handle = scope.spawn(async { 0 });
            // Each child awaits the one before it.
            for n in 1..=20 {
                let item = ledger.item("link");
                handle = scope.spawn(async move {
                    let before = handle.await;
                    drop(item);
                    before + n
                });
            }
            // And a grandchild, two scopes down, awaits the last.
            scope.scope(async move |inner| inner.scope(async move |_| handle.await).await).await
        });
        assert_eq!(sum, 210);
        ledger.assert_settled();
    });
}

#[test]
fn a_handle_is_dropped_by_another_task_or_with_its_scope() {
    each_runtime(|rt, ledger| {
        three_deep!(rt, async |scope| {
            let child = |name| {
                let captured = ledger.item(name);
                scope.spawn(async move {
                    yield_now().await;
                    captured
                })
            };
            let (by_sibling, by_scope, by_value) =
                (child("by sibling"), child("by scope"), child("by value"));
            scope.spawn(async move { drop(by_sibling) });
            scope.scope(async move |inner| {
                // A value of the inner scope, dropped at that scope's very end.
                inner.alloc(by_value);
                let _kept = by_scope;
                inner.spawn(async { yield_now().await });
            });
        });
        ledger.assert_settled();
    });
}

#[test]
fn a_ring_of_children_that_hold_each_others_handles_ends() {
    each_runtime(|rt, ledger| {
        rt.block_on(async |root| {
            root.scope(async move |outer| {
                let (gate, slots) = (&*outer.alloc(Gate::new()), Arc::new(Mutex::new(Vec::new())));
                for _ in 0..5 {
                    let item = ledger.item("link");
                    let slots_of_child = slots.clone();
                    let handle = outer.spawn(async move {
                        gate.pass().await;
                        // Every child awaits another of the ring: nobody ever gets a value.
                        let other: JoinHandle<'_, ()> = slots_of_child.lock().unwrap().remove(0);
                        ledger.mark("waits");
                        other.await;
                        drop(item);
                    });
                    slots.lock().unwrap().push(handle);
                }
                slots.lock().unwrap().rotate_left(1);
                gate.open();
                while ledger.count("waits") < 5 {
                    yield_now().await;
                }
                outer.abort();
            });
        });
        ledger.assert_settled();
    });
}

#[test]
fn children_not_yet_polled_are_dropped_unpolled_when_the_scope_is_aborted() {
    each_runtime(|rt, ledger| {
        rt.block_on(async |root| {
            root.scope(async move |outer| {
                outer.abort();
                for _ in 0..100 {
                    let captured = ledger.item("child");
                    outer.spawn(async move {
                        ledger.mark("polled");
                        drop(captured);
                    });
                    let captured = ledger.item("scope");
                    outer.scope(async move |_| {
                        ledger.mark("polled");
                        drop(captured);
                    });
                    let captured = ledger.item("blocking call");
                    outer.spawn_blocking(move || {
                        ledger.mark("polled");
                        drop(captured);
                    });
                }
            });
        });
        ledger.assert_settled();
        assert_eq!(ledger.count("polled"), 0);
    });
}

#[test]
fn children_parked_half_way_are_dropped_where_they_are_when_the_scope_is_aborted() {
    each_runtime(|rt, ledger| {
        rt.block_on(async |root| {
            root.scope(async move |outer| {
                outer.alloc(ledger.item("value"));
                for _ in 0..100 {
                    outer.spawn(async move {
                        let _local = ledger.item("local");
                        ledger.mark("polled");
                        pending::<()>().await;
                        ledger.mark("went on");
                    });
                }
                while ledger.count("polled") < 100 {
                    yield_now().await;
                }
                outer.abort();
                pending::<()>().await;
            });
        });
        ledger.assert_settled();
        ledger.assert_order("local", "value");
        assert_eq!(ledger.count("went on"), 0);
    });
}

#[test]
fn is_finished_and_awaiting_mean_that_the_child_is_gone() {
    each_runtime(|rt, ledger| {
        three_deep!(rt, async |scope| {
            for round in 0..200 {
                let item = ledger.item("captured");
                let mut handle = scope.scope(async move |inner| {
                    inner.alloc(ledger.item("value"));
                    inner.spawn(async move {
                        yield_now().await;
                        drop(item);
                    });
                });
                match round % 2 {
                    0 => handle.await,
                    _ => {
                        while !handle.is_finished() {
                            yield_now().await;
                        }
                        assert_eq!(poll_once(&mut handle).await, Poll::Ready(()));
                    }
                }
                assert_eq!((ledger.count("captured"), ledger.count("value")), (round + 1, round + 1));
            }
        });
        ledger.assert_settled();
    });
}
