//! Deadlines: the least of all above counts.

mod common;

use std::future::{pending, poll_fn};
use std::task::Poll;
use std::time::Duration;

use common::{each_virtual_runtime, three_deep, thrown};
use treescope::current;
use treescope::time::{now, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn scope_is_aborted_at_its_deadline_with_all_below() {
    each_virtual_runtime(|runtime, ledger| {
        let (elapsed, late) = three_deep!(runtime, async |scope| {
            let start = now();
            let outcome = scope.deadline(start + 5 * SECOND, async move |scope| {
                scope.spawn(async {
                    let _item = ledger.item("child");
                    pending::<()>().await
                });
                scope
                    .scope(async move |below| {
                        below
                            .spawn(async {
                                let _item = ledger.item("nephew");
                                pending::<()>().await
                            })
                            .await
                    })
                    .await;
            });
            let late = outcome.await.is_err();
            ledger.mark("returned");
            (now() - start, late)
        });
        assert_eq!((elapsed, late), (5 * SECOND, true));
        ledger.assert_order("child", "returned");
        ledger.assert_order("nephew", "returned");
        ledger.assert_settled();
    });
}

#[test]
fn scope_that_ends_before_its_deadline_gives_its_value() {
    each_virtual_runtime(|runtime, _| {
        let (value, elapsed) = three_deep!(runtime, async |scope| {
            let start = now();
            let outcome = scope.deadline(start + 5 * SECOND, async |scope| {
                scope.spawn(sleep(4 * SECOND));
                7
            });
            let value = outcome.await;
            // The timer of a scope that has ended must not wake anybody.
            sleep(10 * SECOND).await;
            (value, now() - start)
        });
        assert_eq!((value, elapsed), (Ok(7), 14 * SECOND));
    });
}

#[test]
fn effective_deadline_is_the_least_of_all_above() {
    each_virtual_runtime(|runtime, _| {
        three_deep!(runtime, async |scope| {
            assert_eq!(scope.effective_deadline(), None);
            let start = now();
            let outer = scope.deadline(start + 5 * SECOND, async move |outer| {
                assert_eq!(outer.effective_deadline(), Some(start + 5 * SECOND));
                let later = outer.deadline(start + 9 * SECOND, async move |later| {
                    assert_eq!(later.effective_deadline(), Some(start + 5 * SECOND));
                    let child = later.spawn(async { current::deadline() });
                    assert_eq!(child.await, Some(start + 5 * SECOND));
                });
                assert_eq!(later.await, Ok(()));
                let plain = outer.scope(async move |plain| {
                    let sooner = plain.deadline(start + 2 * SECOND, async move |sooner| {
                        assert_eq!(sooner.effective_deadline(), Some(start + 2 * SECOND));
                        pending::<()>().await
                    });
                    assert!(sooner.await.is_err());
                    assert_eq!(plain.effective_deadline(), Some(start + 5 * SECOND));
                });
                plain.await;
                assert_eq!(now() - start, 2 * SECOND);
            });
            assert_eq!(outer.await, Ok(()));
        });
    });
}

#[test]
fn deadline_below_a_longer_one_ends_with_the_shorter() {
    each_virtual_runtime(|runtime, ledger| {
        let elapsed = three_deep!(runtime, async |scope| {
            let start = now();
            let outer = scope.deadline(start + SECOND, async move |outer| {
                let inner = outer.deadline(start + 100 * SECOND, async move |_| {
                    let _item = ledger.item("inner body");
                    pending::<()>().await
                });
                inner.await.expect("it is aborted, not late");
            });
            assert!(outer.await.is_err());
            now() - start
        });
        assert_eq!(elapsed, SECOND);
        ledger.assert_settled();
    });
}

#[test]
fn effective_deadline_inside_a_shield_is_when_the_abort_gets_through() {
    each_virtual_runtime(|runtime, _| {
        let (told, elapsed) = three_deep!(runtime, async |scope| {
            let start = now();
            let told = &*scope.alloc(std::sync::Mutex::new(None));
            let outer = scope.deadline(start + 5 * SECOND, async move |outer| {
                outer
                    .open()
                    .shield(3 * SECOND)
                    .scope(async move |critical| {
                        let deadline = critical.effective_deadline();
                        *told.lock().unwrap() = deadline.map(|deadline| deadline - start);
                        pending::<()>().await
                    })
                    .await;
            });
            assert!(outer.await.is_err());
            (told.lock().unwrap().take(), now() - start)
        });
        assert_eq!(elapsed, 8 * SECOND);
        assert_eq!(told, Some(8 * SECOND));
    });
}

#[test]
fn deadline_in_the_past_runs_nothing() {
    each_virtual_runtime(|runtime, ledger| {
        let late = three_deep!(runtime, async |scope| {
            let item = ledger.item("captured");
            let outcome = scope.deadline(now(), async move |_| {
                let _item = item;
                ledger.mark("body ran");
            });
            outcome.await
        });
        assert!(late.is_err());
        assert_eq!(ledger.count("body ran"), 0);
        ledger.assert_settled();
    });
}

/// The clock passes the deadline while the body is in the poll that gives its value.
#[test]
fn deadline_that_passes_in_the_last_poll_of_the_body_is_an_error_that_drops_the_value() {
    each_virtual_runtime(|runtime, ledger| {
        let late = three_deep!(runtime, async |scope| {
            let outcome = scope.deadline(now() + SECOND, async move |_| {
                let value = ledger.item("value");
                poll_fn(|_| {
                    runtime.advance(2 * SECOND);
                    Poll::Ready(())
                })
                .await;
                value
            });
            outcome.await.is_err()
        });
        assert!(late);
        ledger.assert_settled();
    });
}

#[test]
fn deadline_passes_in_a_scope_whose_cancel_has_been_requested() {
    each_virtual_runtime(|runtime, _| {
        let elapsed = three_deep!(runtime, async |scope| {
            let start = now();
            scope
                .scope(async move |outer| {
                    outer.cancel(60 * SECOND);
                    let farewell = outer.deadline(now() + SECOND, async |_| pending::<()>().await);
                    assert!(farewell.await.is_err());
                    // Only the deadline's scope has been aborted.
                    sleep(SECOND).await;
                })
                .await;
            now() - start
        });
        assert_eq!(elapsed, 2 * SECOND);
    });
}

#[test]
fn deadline_passes_in_a_scope_that_was_itself_asked_to_end() {
    each_virtual_runtime(|runtime, _| {
        let late = three_deep!(runtime, async |scope| {
            let outcome = scope.deadline(now() + SECOND, async |scope| {
                scope.cancel(60 * SECOND);
                pending::<()>().await
            });
            outcome.await.is_err()
        });
        assert!(late);
    });
}

#[test]
fn deadline_passes_in_a_shielded_scope_below_an_aborted_one() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope.scope(async move |outer| {
                outer.open().shield(60 * SECOND).scope(async move |critical| {
                    sleep(SECOND).await;
                    let timed = critical.deadline(now() + SECOND, async |_| pending::<()>().await);
                    assert!(timed.await.is_err());
                    sleep(SECOND).await;
                    ledger.mark("critical part done");
                });
                treescope::yield_now().await;
                outer.abort();
            });
        });
        assert_eq!(ledger.count("critical part done"), 1);
    });
}

#[test]
fn panic_outweighs_a_deadline() {
    each_virtual_runtime(|runtime, _| {
        let name = thrown(|| {
            three_deep!(runtime, async |scope| {
                let outcome = scope.deadline(now() + SECOND, async |_| {
                    let _bomb = common::OnDrop::new(|| common::throw("dropped at the deadline"));
                    pending::<()>().await
                });
                let _ = outcome.await;
            });
        });
        assert_eq!(name, "dropped at the deadline");
    });
}

/// Were there a timer per task, the jumps of the clock would take the 100,000 tasks' wakes.
#[test]
fn tasks_below_a_deadline_are_not_polled_when_time_moves() {
    each_virtual_runtime(|runtime, _| {
        let polls = &std::sync::atomic::AtomicU64::new(0);
        three_deep!(runtime, async |scope| {
            let outcome = scope.deadline(now() + 1000 * SECOND, async move |scope| {
                for _ in 0..1000 {
                    scope.spawn(poll_fn(|_| {
                        polls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        Poll::<()>::Pending
                    }));
                }
                for _ in 0..900 {
                    sleep(SECOND).await;
                }
                pending::<()>().await
            });
            assert!(outcome.await.is_err());
        });
        assert_eq!(polls.load(std::sync::atomic::Ordering::Relaxed), 1000);
    });
}

#[test]
fn timeout_inside_a_deadline_is_told_apart_from_it() {
    each_virtual_runtime(|runtime, _| {
        let outcome = three_deep!(runtime, async |scope| {
            let outcome =
                scope.deadline(now() + 5 * SECOND, async |_| timeout(SECOND, pending::<()>()).await.is_err());
            outcome.await
        });
        assert_eq!(outcome, Ok(true));
    });
}
