//! Supervisor scopes: a child's failure is a value, and its siblings go on.

mod common;

use std::future::pending;
use std::time::Duration;

use common::{OnDrop, Thrown, each_virtual_runtime, three_deep, throw, thrown};
use treescope::CauseKind;
use treescope::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn siblings_of_a_child_that_panics_go_on() {
    each_virtual_runtime(|runtime, ledger| {
        let (bad, good, cancelled) = three_deep!(runtime, async |scope| {
            let outcome = scope.supervise(async move |scope| {
                let good = scope.spawn(async {
                    let _item = ledger.item("good");
                    sleep(SECOND).await;
                    17
                });
                let bad = scope.spawn(async {
                    let _item = ledger.item("bad");
                    treescope::yield_now().await;
                    throw("bad")
                });
                let bad: Result<(), _> = bad.await;
                ledger.mark("body told");
                (bad, good.await, scope.is_cancelled())
            });
            outcome.await
        });
        let error = bad.unwrap_err();
        assert!(error.is_panic() && !error.is_cancelled());
        assert_eq!(*error.into_panic().downcast::<Thrown>().unwrap(), Thrown("bad"));
        assert_eq!(good.unwrap(), 17);
        assert!(!cancelled);
        ledger.assert_order("bad", "body told");
        ledger.assert_order("body told", "good");
        ledger.assert_settled();
    });
}

#[test]
fn failure_that_nobody_asks_for_is_dropped() {
    each_virtual_runtime(|runtime, ledger| {
        let value = three_deep!(runtime, async |scope| {
            let outcome = scope.supervise(async move |scope| {
                for _ in 0..10 {
                    drop(scope.spawn(async {
                        let item = ledger.item("payload");
                        treescope::yield_now().await;
                        drop(item);
                        throw("unseen")
                    }));
                }
                5
            });
            outcome.await
        });
        assert_eq!(value, 5);
        assert_eq!(ledger.count("payload"), 10);
        ledger.assert_settled();
    });
}

#[test]
fn child_cancelled_with_its_siblings_is_told_apart_from_one_that_panicked() {
    each_virtual_runtime(|runtime, ledger| {
        let error = three_deep!(runtime, async |scope| {
            let outcome = scope.supervise(async move |scope| {
                // Made here: the abort may come before the child's first poll.
                let item = ledger.item("child");
                let child = scope.spawn(async move {
                    let _item = item;
                    pending::<()>().await
                });
                treescope::yield_now().await;
                scope.abort_children();
                child.await.unwrap_err()
            });
            outcome.await
        });
        assert!(error.is_cancelled() && !error.is_panic());
        assert!(error.to_string().starts_with("the child was cancelled"), "{error}");
        assert!(error.try_into_panic().is_err());
        ledger.assert_settled();
    });
}

/// The body is dropped with its children; what is deferred lives to hear of them.
#[test]
fn child_of_an_aborted_supervisor_knows_the_cause() {
    each_virtual_runtime(|runtime, _| {
        let told = &std::sync::Mutex::new(None);
        three_deep!(runtime, async |scope| {
            scope.scope(async move |outer| {
                outer.supervise(async move |scope| {
                    let child = scope.spawn(pending::<()>());
                    scope.defer(SECOND, async move { *told.lock().unwrap() = Some(child.await) });
                    pending::<()>().await
                });
                treescope::yield_now().await;
                outer.cancel_because(SECOND, "closing time");
                pending::<()>().await
            });
        });
        let error = told.lock().unwrap().take().expect("told").unwrap_err();
        assert!(error.is_cancelled());
        let cause = error.cause().expect("it has one");
        assert_eq!((cause.kind(), cause.message()), (CauseKind::Requested, "closing time"));
        assert!(error.to_string().ends_with(": closing time"), "{error}");
    });
}

#[test]
fn child_whose_future_panics_when_dropped_fails_the_supervisor() {
    each_virtual_runtime(|runtime, ledger| {
        let name = thrown(|| {
            three_deep!(runtime, async |scope| {
                drop(scope.supervise(async move |scope| {
                    let item = ledger.item("sibling");
                    scope.spawn(async move {
                        pending::<()>().await;
                        drop(item);
                    });
                    let bomb = OnDrop::new(|| throw("in drop"));
                    scope.spawn(async move {
                        pending::<()>().await;
                        drop(bomb);
                    });
                    treescope::yield_now().await;
                    scope.abort_children();
                    pending::<()>().await
                }));
            });
        });
        assert_eq!(name, "in drop");
        ledger.assert_settled();
    });
}

/// It happens in a poll, so it is the child's own.
#[test]
fn panic_of_a_local_dropped_at_the_end_of_a_child_is_a_value() {
    each_virtual_runtime(|runtime, _| {
        let error = three_deep!(runtime, async |scope| {
            let outcome = scope.supervise(async |scope| {
                let child = scope.spawn(async {
                    let _bomb = OnDrop::new(|| throw("last line"));
                    treescope::yield_now().await;
                });
                child.await.unwrap_err()
            });
            outcome.await
        });
        assert_eq!(*error.into_panic().downcast::<Thrown>().unwrap(), Thrown("last line"));
    });
}

#[test]
fn panic_of_the_body_cancels_the_children_and_goes_up() {
    each_virtual_runtime(|runtime, ledger| {
        let name = thrown(|| {
            three_deep!(runtime, async |scope| {
                drop(scope.supervise(async move |scope| {
                    // Made here: the end may come before the child's first poll.
                    let item = ledger.item("child");
                    scope.spawn(async move {
                        let _item = item;
                        pending::<()>().await
                    });
                    treescope::yield_now().await;
                    throw("body")
                }));
            });
        });
        assert_eq!(name, "body");
        ledger.assert_settled();
    });
}

#[test]
fn payload_whose_drop_panics_fails_the_supervisor_if_nobody_takes_it() {
    each_virtual_runtime(|runtime, _| {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                throw("payload");
            }
        }
        let name = thrown(|| {
            three_deep!(runtime, async |scope| {
                drop(scope.supervise(async |scope| {
                    drop(scope.spawn(async {
                        treescope::yield_now().await;
                        std::panic::resume_unwind(Box::new(Bomb))
                    }));
                    pending::<()>().await
                }));
            });
        });
        assert_eq!(name, "payload");
    });
}

/// What awaiting the aborted scope's handle unwinds with is no panic of the child's.
#[test]
fn child_that_waits_for_what_was_aborted_counts_as_cancelled() {
    each_virtual_runtime(|runtime, _| {
        let error = three_deep!(runtime, async |scope| {
            let outcome = scope.supervise(async |scope| {
                let aborted = scope.open().scope(async |inner| {
                    inner.abort();
                    pending::<()>().await
                });
                scope.spawn(aborted).await.unwrap_err()
            });
            outcome.await
        });
        assert!(error.is_cancelled(), "{error}");
    });
}

#[test]
fn panic_below_a_supervised_scope_is_a_value_too() {
    each_virtual_runtime(|runtime, ledger| {
        let (bad, good) = three_deep!(runtime, async |scope| {
            let outcome = scope.supervise(async move |supervisor| {
                let good = supervisor.spawn(async {
                    sleep(SECOND).await;
                    1
                });
                let bad = supervisor.scope(async move |connection| {
                    connection.spawn(async {
                        let _item = ledger.item("sibling in the connection");
                        pending::<()>().await
                    });
                    connection
                        .scope(async |below| {
                            below
                                .spawn(async {
                                    treescope::yield_now().await;
                                    throw("deep below")
                                })
                                .await
                        })
                        .await;
                });
                (bad.await, good.await)
            });
            outcome.await
        });
        let error = bad.unwrap_err();
        assert_eq!(*error.into_panic().downcast::<Thrown>().unwrap(), Thrown("deep below"));
        assert_eq!(good.unwrap(), 1);
        ledger.assert_settled();
    });
}
