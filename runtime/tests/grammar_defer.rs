//! Async cleanup: it runs after everything else in its scope has ended, whatever the way out.

mod common;

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use common::{Gate, Ledger, OnDrop, each_virtual_runtime, join_apart, three_deep, throw};
use treescope::time::{now, sleep};
use treescope::{Scope, ScopedKey};

const SECOND: Duration = Duration::from_secs(1);

/// Ways out of a scope.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Value,
    Panic,
    PanicOfChild,
    Abort,
    AbortFromAbove,
    Deadline,
    Request,
}

const WAYS: [Way; 7] =
    [Way::Value, Way::Panic, Way::PanicOfChild, Way::Abort, Way::AbortFromAbove, Way::Deadline, Way::Request];

async fn leave(scope: &Scope<'_, '_>, outer: &Scope<'_, '_>, way: Way) {
    match way {
        Way::Value => return,
        Way::Panic => throw("way out"),
        Way::Abort => scope.abort(),
        Way::AbortFromAbove => outer.abort(),
        Way::Request => return scope.cancel(SECOND),
        Way::PanicOfChild | Way::Deadline => {}
    }
    pending().await
}

#[test]
fn cleanup_runs_after_body_and_children_and_before_values_and_owner_on_every_way_out() {
    each_virtual_runtime(|runtime, _| {
        for way in WAYS {
            let ledger = &Ledger::new();
            let result = catch_unwind(AssertUnwindSafe(|| {
                three_deep!(runtime, async |owner| {
                    let _owner = ledger.item("owner");
                    let handle = owner.scope(async move |outer| {
                        let deadline = now() + 2 * SECOND;
                        let scope = outer.deadline(deadline, async move |scope| {
                            scope.alloc(ledger.item("value"));
                            scope.defer(60 * SECOND, async {
                                let _item = ledger.item("cleanup");
                                sleep(SECOND).await;
                                ledger.mark("first registered");
                            });
                            scope.spawn(async move {
                                let _item = ledger.item("child");
                                if way == Way::PanicOfChild {
                                    sleep(SECOND).await;
                                    throw("way out")
                                }
                                if way != Way::Value {
                                    pending::<()>().await
                                }
                            });
                            scope.defer(60 * SECOND, async {
                                let _item = ledger.item("cleanup");
                                sleep(SECOND).await;
                                ledger.mark("last registered");
                            });
                            let _item = ledger.item("body");
                            treescope::yield_now().await;
                            leave(scope, outer, way).await;
                        });
                        let _ = scope.await;
                    });
                    handle.await;
                });
            }));
            let has_value = matches!(way, Way::Value | Way::Deadline);
            assert_eq!(result.is_ok(), has_value, "{way:?}");
            for earlier in ["body", "child"] {
                ledger.assert_order(earlier, "last registered");
            }
            ledger.assert_order("last registered", "first registered");
            ledger.assert_order("cleanup", "value");
            ledger.assert_order("value", "owner");
            ledger.assert_settled();
        }
    });
}

#[test]
fn cleanup_that_takes_longer_than_its_limit_is_dropped_and_the_next_one_runs() {
    each_virtual_runtime(|runtime, ledger| {
        let elapsed = three_deep!(runtime, async |scope| {
            let start = now();
            scope
                .scope(async move |scope| {
                    scope.defer(5 * SECOND, async {
                        sleep(4 * SECOND).await;
                        ledger.mark("first");
                    });
                    scope.defer(2 * SECOND, async {
                        let _item = ledger.item("endless");
                        pending::<()>().await
                    });
                    scope.defer(Duration::ZERO, async {
                        ledger.mark("polled once");
                        let _item = ledger.item("no time");
                        pending::<()>().await
                    });
                })
                .await;
            now() - start
        });
        assert_eq!(elapsed, 6 * SECOND);
        ledger.assert_order("polled once", "no time");
        ledger.assert_order("no time", "endless");
        ledger.assert_order("endless", "first");
        ledger.assert_settled();
    });
}

#[test]
fn cancel_and_deadline_do_not_reach_a_cleanup_that_is_under_way() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope.scope(async move |outer| {
                let deadline = now() + SECOND;
                outer.deadline(deadline, async move |scope| {
                    scope.defer(60 * SECOND, async {
                        let _item = ledger.item("cleanup");
                        sleep(10 * SECOND).await;
                        ledger.mark("finished");
                    });
                });
                sleep(3 * SECOND).await;
                outer.cancel(SECOND);
                sleep(SECOND / 2).await;
                outer.abort();
            });
        });
        ledger.assert_order("finished", "cleanup");
        ledger.assert_settled();
    });
}

#[test]
fn cleanup_may_register_another_which_runs_next() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope
                .scope(async move |scope| {
                    scope.defer(SECOND, async { ledger.mark("oldest") });
                    scope.defer(SECOND, async move {
                        let _item = ledger.item("newest");
                        scope.defer(SECOND, async { ledger.mark("registered late") });
                    });
                })
                .await;
        });
        ledger.assert_order("newest", "registered late");
        ledger.assert_order("registered late", "oldest");
    });
}

#[test]
fn cleanup_registered_by_a_child_runs_at_the_end_of_its_scope() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope
                .scope(async move |scope| {
                    scope.spawn(async move {
                        let _item = ledger.item("child");
                        scope.defer(SECOND, async { ledger.mark("cleanup") });
                    });
                    scope.spawn(async {
                        sleep(SECOND).await;
                        ledger.mark("slow sibling");
                    });
                })
                .await;
        });
        ledger.assert_order("child", "cleanup");
        ledger.assert_order("slow sibling", "cleanup");
    });
}

#[test]
fn children_of_a_cleanup_have_ended_before_the_next_one_runs() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope
                .scope(async move |scope| {
                    scope.defer(SECOND, async { ledger.mark("next") });
                    scope.defer(SECOND, async move {
                        scope.spawn(async {
                            sleep(SECOND / 2).await;
                            ledger.mark("child of the cleanup");
                        });
                    });
                })
                .await;
        });
        ledger.assert_order("child of the cleanup", "next");
    });
}

#[test]
fn panic_in_a_cleanup_skips_none_of_the_others_and_goes_up() {
    each_virtual_runtime(|runtime, ledger| {
        for in_drop in [false, true] {
            let name = common::thrown(|| {
                three_deep!(runtime, async |scope| {
                    drop(scope.scope(async move |scope| {
                        scope.alloc(ledger.item("value"));
                        scope.defer(SECOND, async { ledger.mark("the other") });
                        scope.defer(SECOND, async move {
                            let _item = ledger.item("cleanup");
                            let _bomb = OnDrop::new(|| throw("in drop"));
                            treescope::yield_now().await;
                            if in_drop {
                                pending::<()>().await
                            }
                        });
                    }));
                });
            });
            assert_eq!(name, "in drop");
        }
        assert_eq!(ledger.count("the other"), 2);
        ledger.assert_settled();
    });
}

#[test]
fn cleanup_of_a_root_runs_before_it_returns() {
    each_virtual_runtime(|runtime, ledger| {
        runtime.block_on(async |root| {
            let _body = ledger.item("body");
            root.defer(60 * SECOND, async {
                sleep(SECOND).await;
                ledger.mark("cleaned up");
            });
        });
        ledger.assert_order("body", "cleaned up");
    });
}

/// More leaf operations than a poll's budget, each in turn.
#[test]
fn cleanup_of_a_root_may_do_any_amount_of_work() {
    each_virtual_runtime(|runtime, _| {
        let sum = std::sync::Mutex::new(0);
        let sum = &sum;
        runtime.block_on(async |root| {
            root.defer(3600 * SECOND, async move {
                for n in 0..5000_u64 {
                    let child = root.spawn(async move { n });
                    *sum.lock().unwrap() += child.await;
                }
            });
        });
        assert_eq!(*sum.lock().unwrap(), 5000 * 4999 / 2);
    });
}

/// The scope has never been parked when its cleanup aborts the scope above.
#[test]
fn cleanup_that_aborts_the_scope_above_takes_its_own_children_along() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope.scope(async move |outer| {
                outer.scope(async move |inner| {
                    inner.defer(60 * SECOND, async move {
                        let item = ledger.item("child of the cleanup");
                        inner.spawn(async move {
                            pending::<()>().await;
                            drop(item);
                        });
                        outer.abort();
                    });
                });
                pending::<()>().await
            });
        });
        ledger.assert_settled();
    });
}

/// Nothing wakes it but the end of the scope above, which must not be mistaken for its own.
#[test]
fn cleanup_without_a_limit_outlives_an_abort() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope.scope(async move |outer| {
                outer.scope(async move |inner| {
                    inner.defer(Duration::MAX, async {
                        sleep(1_000_000 * SECOND).await;
                        ledger.mark("finished");
                    });
                    inner.abort();
                    pending::<()>().await
                });
                treescope::yield_now().await;
                outer.abort();
            });
        });
        assert_eq!(ledger.count("finished"), 1);
    });
}

#[test]
fn cleanup_sees_the_scoped_values_of_its_scope() {
    static KEY: ScopedKey<u32> = ScopedKey::local();
    each_virtual_runtime(|runtime, _| {
        let seen = &std::sync::Mutex::new(None);
        three_deep!(runtime, async |scope| {
            scope
                .open()
                .with(&KEY, 3)
                .scope(async move |scope| scope.defer(SECOND, async { *seen.lock().unwrap() = KEY.get() }))
                .await;
        });
        assert_eq!(*seen.lock().unwrap(), Some(3));
    });
}

#[test]
fn cleanup_may_wait_for_a_child_that_waits_for_it() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope.scope(async move |scope| {
                scope.defer(60 * SECOND, async move {
                    let gate = &*scope.alloc(Gate::new());
                    let writer = scope.spawn(async {
                        gate.pass().await;
                        ledger.mark("child");
                    });
                    sleep(SECOND).await;
                    gate.open();
                    writer.await;
                    ledger.mark("cleanup");
                });
            });
        });
        ledger.assert_order("child", "cleanup");
    });
}

#[test]
fn limit_of_a_cleanup_holds_while_its_child_lives() {
    each_virtual_runtime(|runtime, ledger| {
        let elapsed = runtime.block_on(async |root| {
            let start = now();
            let ended = root.scope(async move |scope| {
                scope.defer(2 * SECOND, async move {
                    let _item = ledger.item("cleanup");
                    let child = scope.spawn(sleep(3 * SECOND));
                    pending::<()>().await;
                    child.await;
                });
            });
            ended.await;
            now() - start
        });
        assert_eq!(elapsed, 3 * SECOND, "the child is waited for");
        assert_eq!(ledger.count("cleanup"), 1);
        ledger.assert_settled();
    });
}

#[test]
fn cleanup_may_drain_its_scope_beside_something_else() {
    each_virtual_runtime(|runtime, ledger| {
        let elapsed = runtime.block_on(async |root| {
            let start = now();
            let ended = root.scope(async move |scope| {
                scope.defer(60 * SECOND, async move {
                    scope.spawn(sleep(2 * SECOND));
                    join_apart(scope.drain(30 * SECOND), sleep(SECOND)).await;
                    ledger.mark("drained");
                });
            });
            ended.await;
            now() - start
        });
        assert_eq!((ledger.count("drained"), elapsed), (1, 2 * SECOND));
    });
}
