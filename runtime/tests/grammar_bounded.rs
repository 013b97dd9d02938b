//! Bounded scopes: a child waits for its place, and leaves nothing behind.

mod common;

use std::future::pending;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Gate, OnDrop, each_runtime, each_virtual_runtime, poll_once, three_deep, throw, thrown};
use treescope::time::{now, sleep};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn no_more_children_live_than_there_are_places() {
    each_virtual_runtime(|runtime, _| {
        let (live, most) = (&AtomicUsize::new(0), &AtomicUsize::new(0));
        let elapsed = three_deep!(runtime, async |scope| {
            let start = now();
            scope
                .bounded(3, async move |scope| {
                    for _ in 0..12 {
                        scope
                            .spawn(async {
                                most.fetch_max(live.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                                let _leaves = OnDrop::new(|| {
                                    live.fetch_sub(1, Ordering::SeqCst);
                                });
                                sleep(SECOND).await;
                            })
                            .await;
                    }
                })
                .await;
            now() - start
        });
        assert_eq!((most.load(Ordering::SeqCst), elapsed), (3, 4 * SECOND));
    });
}

#[test]
fn places_are_given_in_the_order_they_were_asked_for() {
    each_virtual_runtime(|runtime, _| {
        let order = &Mutex::new(Vec::new());
        three_deep!(runtime, async |scope| {
            scope
                .bounded(1, async move |bounded| {
                    bounded.spawn(sleep(100 * SECOND)).await;
                    let asking = bounded.scope();
                    for n in 0..20_u32 {
                        asking.spawn(async move {
                            sleep(n * SECOND).await;
                            bounded.spawn(async move { order.lock().unwrap().push(n) }).await;
                        });
                    }
                })
                .await;
        });
        assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
    });
}

#[test]
fn try_spawn_gives_the_future_back_when_all_places_are_taken() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope
                .bounded(2, async move |scope| {
                    let mut spawned = Vec::new();
                    for _ in 0..2 {
                        spawned.push(scope.try_spawn(sleep(SECOND)).map_err(drop).unwrap());
                    }
                    assert_eq!(scope.free_places(), 0);
                    let item = ledger.item("given back");
                    let refused = scope.try_spawn(async move { drop(item) });
                    assert_eq!(ledger.count("given back"), 0);
                    drop(refused.map(drop).unwrap_err());
                    assert_eq!(ledger.count("given back"), 1);
                    for handle in spawned {
                        handle.await;
                    }
                    assert_eq!(scope.free_places(), 2);
                    assert!(scope.try_spawn(async {}).is_ok());
                })
                .await;
        });
    });
}

#[test]
fn try_spawn_does_not_overtake_those_who_wait() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope
                .bounded(1, async move |bounded| {
                    let first = bounded.spawn(sleep(SECOND)).await;
                    let mut waits = pin!(bounded.spawn(async { ledger.mark("waited") }));
                    assert!(poll_once(&mut waits).await.is_pending());
                    first.await;
                    // The place has been given to the one that waits, which has not run since.
                    assert!(bounded.try_spawn(async { ledger.mark("overtook") }).is_err());
                    waits.await.await;
                })
                .await;
        });
        assert_eq!((ledger.count("waited"), ledger.count("overtook")), (1, 0));
    });
}

#[test]
fn waiter_that_gives_up_hands_its_place_on() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope
                .bounded(1, async move |bounded| {
                    let first = bounded.spawn(sleep(SECOND)).await;
                    let mut gives_up = Box::pin(bounded.spawn(async { ledger.mark("gave up") }));
                    assert!(poll_once(&mut gives_up).await.is_pending());
                    let mut waits = pin!(bounded.spawn(async { ledger.mark("second in the queue") }));
                    assert!(poll_once(&mut waits).await.is_pending());
                    first.await;
                    // Granted by now, and not taken.
                    drop(gives_up);
                    waits.await.await;
                    assert_eq!(bounded.free_places(), 1);
                })
                .await;
        });
        assert_eq!((ledger.count("second in the queue"), ledger.count("gave up")), (1, 0));
    });
}

#[test]
fn aborted_waiters_leave_no_place_behind_and_take_none_along() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope
                .bounded(2, async move |bounded| {
                    for _ in 0..2 {
                        bounded.spawn(sleep(10 * SECOND)).await;
                    }
                    let asking = bounded.scope().scope(async move |asking| {
                        for _ in 0..50 {
                            asking.spawn(async move {
                                let _item = ledger.item("waiter");
                                bounded.spawn(pending::<()>()).await;
                            });
                        }
                        sleep(5 * SECOND).await;
                        asking.abort_children();
                    });
                    asking.await;
                    assert_eq!(ledger.count("waiter"), 50);
                    sleep(10 * SECOND).await;
                    assert_eq!(bounded.free_places(), 2);
                })
                .await;
        });
        ledger.assert_settled();
    });
}

#[test]
fn place_is_free_only_once_the_future_has_been_dropped() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope
                .bounded(1, async move |bounded| {
                    bounded
                        .spawn(async {
                            let _item = ledger.item("first");
                            treescope::yield_now().await;
                        })
                        .await;
                    let second = bounded.spawn(async { ledger.mark("second") }).await;
                    second.await;
                })
                .await;
        });
        ledger.assert_order("first", "second");
    });
}

#[test]
fn scope_that_owns_a_place_holds_it_until_all_of_it_has_ended() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope
                .bounded(1, async move |bounded| {
                    let place = bounded.place().await;
                    bounded.scope().scope(async move |inner| {
                        inner.alloc(place);
                        inner.alloc(ledger.item("value"));
                        inner.spawn(async {
                            let _item = ledger.item("child");
                            sleep(SECOND).await;
                        });
                    });
                    assert!(bounded.try_place().is_none());
                    let second = bounded.place().await;
                    ledger.mark("second");
                    assert_eq!(bounded.free_places(), 0);
                    drop(second);
                    assert_eq!(bounded.free_places(), 1);
                })
                .await;
        });
        ledger.assert_order("child", "value");
        ledger.assert_order("value", "second");
    });
}

#[test]
fn place_that_is_asked_for_and_given_up_goes_to_the_next() {
    each_virtual_runtime(|runtime, _| {
        three_deep!(runtime, async |scope| {
            scope
                .bounded(1, async move |bounded| {
                    let held = bounded.place().await;
                    let (mut first, mut second) = (bounded.place(), bounded.place());
                    assert!(poll_once(&mut first).await.is_pending());
                    assert!(poll_once(&mut second).await.is_pending());
                    drop(held);
                    // Granted to the first, who does not look.
                    assert!(bounded.try_place().is_none());
                    assert!(poll_once(&mut second).await.is_pending());
                    drop(first);
                    assert!(poll_once(&mut second).await.is_ready());
                    assert_eq!(bounded.free_places(), 1);
                })
                .await;
        });
    });
}

#[test]
fn place_of_a_child_whose_drop_panics_is_free_again() {
    each_virtual_runtime(|runtime, _| {
        let free = &Mutex::new(None);
        let name = thrown(|| {
            three_deep!(runtime, async |scope| {
                drop(scope.open().grace(SECOND).bounded(1, async move |bounded| {
                    bounded
                        .spawn(async {
                            let _bomb = OnDrop::new(|| throw("drop"));
                            treescope::yield_now().await;
                        })
                        .await;
                    bounded.scope().cancelled().await;
                    treescope::yield_now().await;
                    *free.lock().unwrap() = Some(bounded.free_places());
                }));
            });
        });
        assert_eq!((name, *free.lock().unwrap()), ("drop", Some(1)));
    });
}

#[test]
fn children_of_a_bounded_scope_are_waited_for_and_cancelled_like_others() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope.scope(async move |outer| {
                outer.bounded(4, async move |bounded| {
                    for _ in 0..100 {
                        let spawned = bounded.spawn(async {
                            let _item = ledger.item("child");
                            sleep(10 * SECOND).await;
                        });
                        spawned.await;
                    }
                });
                sleep(25 * SECOND).await;
                outer.abort();
            });
        });
        assert_eq!(ledger.count("child"), 12);
        ledger.assert_settled();
    });
}

#[test]
fn closed_bounded_scope_takes_no_child() {
    each_virtual_runtime(|runtime, _| {
        let payload = common::caught(|| {
            three_deep!(runtime, async |scope| {
                drop(scope.bounded(1, async move |bounded| {
                    bounded.scope().close();
                    assert!(bounded.try_spawn(async {}).is_err());
                    assert_eq!(bounded.free_places(), 1);
                    bounded.spawn(async {}).await;
                }));
            })
        });
        assert!(payload.downcast_ref::<&str>().is_some_and(|text| text.contains("closed")));
    });
}

#[test]
fn scope_without_places_is_refused() {
    each_runtime(|runtime, _| {
        let payload = common::caught(|| runtime.block_on(async |root| root.bounded(0, async |_| ()).await));
        assert!(payload.is::<&str>());
    });
}

#[test]
fn place_passes_between_threads() {
    each_runtime(|runtime, _| {
        let (live, gate) = (&AtomicUsize::new(0), &Gate::new());
        let rounds = if cfg!(debug_assertions) { 2_000 } else { 50_000 };
        runtime.block_on(async |root| {
            root.bounded(2, async move |bounded| {
                for _ in 0..8 {
                    bounded.scope().spawn(async move {
                        gate.pass().await;
                        for _ in 0..rounds / 8 {
                            bounded
                                .spawn(async {
                                    assert!(live.fetch_add(1, Ordering::SeqCst) < 2);
                                    treescope::yield_now().await;
                                    live.fetch_sub(1, Ordering::SeqCst);
                                })
                                .await;
                        }
                    });
                }
                gate.open();
            })
            .await;
        });
    });
}
