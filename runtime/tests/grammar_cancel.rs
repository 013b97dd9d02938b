//! Cancel in two phases: a request that is seen, a grace period, an abort; and the shield.

mod common;

use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use common::{
    Ledger, each_runtime, each_virtual_runtime, join_apart, poll_once, runtime, three_deep, throw, thrown,
    watched,
};
use treescope::time::{now, sleep};
use treescope::{Runtime, Scope};

const SECOND: Duration = Duration::from_secs(1);

/// What happened, and how many seconds after the clock's start.
#[derive(Debug)]
struct Diary {
    start: Mutex<Option<Instant>>,
    entries: Mutex<Vec<(&'static str, u64)>>,
}

impl Diary {
    fn new() -> Self {
        Self { start: Mutex::new(None), entries: Mutex::new(Vec::new()) }
    }

    fn enter(&self, what: &'static str) {
        let now = now();
        let start = *self.start.lock().unwrap().get_or_insert(now);
        self.entries.lock().unwrap().push((what, (now - start).as_secs()));
    }

    fn read(&self) -> Vec<(&'static str, u64)> {
        std::mem::take(&mut *self.entries.lock().unwrap())
    }
}

/// Enters its name when dropped.
struct Farewell<'a>(&'a Diary, &'static str);

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        self.0.enter(self.1);
    }
}

#[test]
fn request_is_seen_by_all_below_and_forces_nobody() {
    each_virtual_runtime(|runtime, ledger| {
        let before = three_deep!(runtime, async |outer| {
            let before = Mutex::new(Vec::new());
            let before = &*outer.alloc(before);
            outer
                .scope(async move |scope| {
                    scope.spawn(async {
                        let _item = ledger.item("child");
                        before.lock().unwrap().push(scope.is_cancelled());
                        scope.cancelled().await;
                        sleep(SECOND).await;
                        ledger.mark("wound up");
                    });
                    scope.scope(async move |below| {
                        below
                            .scope(async move |below| {
                                below
                                    .spawn(async {
                                        let _item = ledger.item("nephew");
                                        below.cancelled().await;
                                        assert!(below.is_cancelled() && !below.is_aborted());
                                        sleep(SECOND).await;
                                        ledger.mark("wound up");
                                    })
                                    .await
                            })
                            .await
                    });
                    sleep(SECOND).await;
                    scope.cancel(60 * SECOND);
                    assert!(scope.is_cancelled() && !scope.is_aborted());
                })
                .await;
            before.lock().unwrap().clone()
        });
        assert_eq!(before, [false]);
        assert_eq!(ledger.count("wound up"), 2);
        ledger.assert_settled();
    });
}

#[test]
fn abort_comes_after_the_grace_period_and_not_before() {
    each_virtual_runtime(|runtime, _| {
        let diary = &Diary::new();
        three_deep!(runtime, async |scope| {
            diary.enter("start");
            scope.scope(async move |scope| {
                scope.spawn(async {
                    let _farewell = Farewell(diary, "child dropped");
                    scope.cancelled().await;
                    diary.enter("request seen");
                    pending::<()>().await
                });
                scope.scope(async move |below| {
                    below
                        .spawn(async {
                            let _farewell = Farewell(diary, "nephew dropped");
                            pending::<()>().await
                        })
                        .await
                });
                sleep(3 * SECOND).await;
                scope.cancel(5 * SECOND);
                let _farewell = Farewell(diary, "body dropped");
                pending::<()>().await
            });
        });
        let mut entries = diary.read();
        assert_eq!(entries[..2], [("start", 0), ("request seen", 3)]);
        let mut dropped = entries.split_off(2);
        dropped.sort_unstable();
        assert_eq!(dropped, [("body dropped", 8), ("child dropped", 8), ("nephew dropped", 8)]);
    });
}

#[test]
fn child_that_winds_up_in_time_gives_its_value() {
    each_virtual_runtime(|runtime, _| {
        let value = three_deep!(runtime, async |scope| {
            let value = scope.scope(async |scope| {
                let child = scope.spawn(async {
                    scope.cancelled().await;
                    sleep(2 * SECOND).await;
                    17
                });
                scope.cancel(3 * SECOND);
                child.await
            });
            value.await
        });
        assert_eq!(value, 17);
    });
}

#[test]
fn second_request_shortens_the_grace_period_and_never_lengthens_it() {
    each_virtual_runtime(|runtime, _| {
        let diary = &Diary::new();
        for second in [2, 100] {
            three_deep!(runtime, async |scope| {
                diary.enter("start");
                scope.scope(async move |scope| {
                    let _farewell = Farewell(diary, "aborted");
                    scope.cancel(10 * SECOND);
                    sleep(SECOND).await;
                    scope.cancel(second * SECOND);
                    pending::<()>().await
                });
            });
        }
        assert_eq!(diary.read(), [("start", 0), ("aborted", 3), ("start", 3), ("aborted", 13)]);
    });
}

#[test]
fn endless_grace_period_ends_with_the_children() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope
                .scope(async move |scope| {
                    scope.spawn(async {
                        scope.cancelled().await;
                        sleep(1_000_000 * SECOND).await;
                        ledger.mark("in its own time");
                    });
                    scope.cancel(Duration::MAX);
                })
                .await;
        });
        assert_eq!(ledger.count("in its own time"), 1);
    });
}

/// The inner scope's task has never been parked when the cancel comes from within its own poll.
#[test]
fn body_that_cancels_the_scope_above_sees_the_request_itself() {
    each_virtual_runtime(|runtime, ledger| {
        let elapsed = three_deep!(runtime, async |scope| {
            let start = now();
            scope
                .scope(async move |outer| {
                    outer
                        .scope(async move |inner| {
                            inner.spawn(async {
                                inner.cancelled().await;
                                ledger.mark("child saw it");
                            });
                            outer.cancel(1000 * SECOND);
                            inner.cancelled().await;
                            ledger.mark("body saw it");
                        })
                        .await;
                })
                .await;
            now() - start
        });
        assert_eq!((ledger.count("child saw it"), ledger.count("body saw it")), (1, 1));
        assert_eq!(elapsed, Duration::ZERO);
    });
}

/// The request comes from another worker while the scope's task is in its first poll.
#[test]
fn grace_period_that_is_set_while_the_scope_goes_to_sleep_is_kept() {
    let runtime = Runtime::builder().worker_threads(2).virtual_clock().build().unwrap();
    let rounds = if cfg!(debug_assertions) { 5_000 } else { 50_000 };
    watched(|| {
        for round in 0..rounds {
            runtime.block_on(async |root| {
                drop(root.scope(async move |scope| {
                    scope.spawn(async move { scope.cancel(SECOND) });
                    (0..round % 977).for_each(|_| std::hint::spin_loop());
                    pending::<()>().await
                }));
            });
        }
    });
}

#[test]
fn shield_keeps_the_request_out() {
    each_virtual_runtime(|runtime, _| {
        let (inside, value) = three_deep!(runtime, async |scope| {
            let seen = &*scope.alloc(Mutex::new(None));
            let value = scope
                .scope(async move |outer| {
                    let critical = outer.open().shield(60 * SECOND).scope(async move |critical| {
                        let below = critical.scope(async move |below| {
                            sleep(5 * SECOND).await;
                            below.is_cancelled()
                        });
                        let below = below.await;
                        *seen.lock().unwrap() = Some((critical.is_cancelled(), below));
                        9
                    });
                    treescope::yield_now().await;
                    outer.cancel(30 * SECOND);
                    critical.await
                })
                .await;
            (seen.lock().unwrap().take(), value)
        });
        assert_eq!((inside, value), (Some((false, false)), 9));
    });
}

#[test]
fn shield_keeps_the_abort_out_up_to_its_limit() {
    each_virtual_runtime(|runtime, _| {
        let diary = &Diary::new();
        three_deep!(runtime, async |scope| {
            diary.enter("start");
            drop(scope.scope(async move |outer| {
                outer.open().shield(7 * SECOND).scope(async move |critical| {
                    critical.spawn(async {
                        let _farewell = Farewell(diary, "shielded child dropped");
                        pending::<()>().await
                    });
                    critical
                        .spawn(async {
                            sleep(6 * SECOND).await;
                            diary.enter("critical part done");
                        })
                        .await;
                    pending::<()>().await
                });
                outer.spawn(async {
                    let _farewell = Farewell(diary, "plain child dropped");
                    pending::<()>().await
                });
                sleep(SECOND).await;
                outer.abort();
            }));
        });
        let expected = [
            ("start", 0),
            ("plain child dropped", 1),
            ("critical part done", 6),
            ("shielded child dropped", 8),
        ];
        assert_eq!(diary.read(), expected);
    });
}

#[test]
fn limits_of_shields_inside_shields_add_up() {
    each_virtual_runtime(|runtime, _| {
        let diary = &Diary::new();
        three_deep!(runtime, async |scope| {
            diary.enter("start");
            scope.scope(async move |outer| {
                let above = Farewell(diary, "outer body");
                outer.open().shield(5 * SECOND).scope(async move |first| {
                    let _farewell = Farewell(diary, "first body");
                    first
                        .open()
                        .shield(3 * SECOND)
                        .scope(async move |second| {
                            second
                                .scope(async move |_| {
                                    let _farewell = Farewell(diary, "deep body");
                                    pending::<()>().await
                                })
                                .await
                        })
                        .await
                });
                treescope::yield_now().await;
                drop(above);
                outer.abort();
            });
        });
        assert_eq!(diary.read(), [("start", 0), ("outer body", 0), ("first body", 5), ("deep body", 8)]);
    });
}

#[test]
fn shield_does_not_keep_out_what_comes_from_inside() {
    each_virtual_runtime(|runtime, ledger| {
        let name = thrown(|| {
            three_deep!(runtime, async |scope| {
                drop(scope.open().shield(Duration::MAX).scope(async move |critical| {
                    critical.spawn(async {
                        let _item = ledger.item("sibling");
                        pending::<()>().await
                    });
                    critical
                        .spawn(async {
                            sleep(SECOND).await;
                            throw("inside")
                        })
                        .await
                }));
            });
        });
        assert_eq!(name, "inside");
        ledger.assert_settled();
    });
}

/// The shielded scope's task learns of the abort in the very poll that goes to sleep.
#[test]
fn abort_of_the_scope_above_from_inside_a_shield_waits_for_its_limit() {
    each_virtual_runtime(|runtime, _| {
        let diary = &Diary::new();
        three_deep!(runtime, async |scope| {
            diary.enter("start");
            scope.scope(async move |outer| {
                outer
                    .open()
                    .shield(4 * SECOND)
                    .scope(async move |_| {
                        let _farewell = Farewell(diary, "dropped");
                        outer.abort();
                        pending::<()>().await
                    })
                    .await
            });
        });
        assert_eq!(diary.read(), [("start", 0), ("dropped", 4)]);
    });
}

#[test]
fn failing_scope_gives_its_children_the_grace_period_it_was_opened_with() {
    each_virtual_runtime(|runtime, _| {
        let diary = &Diary::new();
        let name = thrown(|| {
            three_deep!(runtime, async |scope| {
                diary.enter("start");
                drop(scope.open().grace(2 * SECOND).scope(async move |scope| {
                    scope.spawn(async {
                        let _farewell = Farewell(diary, "stubborn child dropped");
                        pending::<()>().await
                    });
                    scope.spawn(async {
                        scope.cancelled().await;
                        sleep(SECOND).await;
                        diary.enter("polite child done");
                    });
                    throw("body")
                }));
            });
        });
        assert_eq!(name, "body");
        assert_eq!(diary.read(), [("start", 0), ("polite child done", 1), ("stubborn child dropped", 2)]);
    });
}

#[test]
fn abort_of_the_children_leaves_the_body_its_value() {
    each_virtual_runtime(|runtime, ledger| {
        let value = three_deep!(runtime, async |scope| {
            let value = scope.scope(async move |scope| {
                // Made here: the end may come before the child's first poll.
                let item = ledger.item("child");
                scope.spawn(async move {
                    let _item = item;
                    pending::<()>().await
                });
                treescope::yield_now().await;
                scope.abort_children();
                scope.spawn(async {
                    let _item = ledger.item("too late");
                    ledger.mark("polled");
                });
                sleep(SECOND).await;
                assert_eq!(scope.live_children(), 0);
                assert!(!scope.is_aborted() && !scope.is_cancelled());
                3
            });
            value.await
        });
        assert_eq!((value, ledger.count("polled")), (3, 0));
        ledger.assert_settled();
    });
}

/// A scope that is aborted has no value, also if that was while its body was about to give one.
#[test]
fn scope_aborted_from_above_in_the_last_poll_of_its_body_has_no_value() {
    each_runtime(|runtime, ledger| {
        let given = three_deep!(runtime, async |scope| {
            let given = scope.scope(async move |outer| {
                let child = outer.scope(async move |_| {
                    let value = ledger.item("value");
                    outer.abort_children();
                    value
                });
                // Awaited from another scope, which is not aborted, to see that there is none.
                let given = std::panic::AssertUnwindSafe(child);
                futures_lite::FutureExt::catch_unwind(given).await.is_ok()
            });
            given.await
        });
        assert!(!given, "an aborted scope gave a value");
        ledger.assert_settled();
    });
}

#[test]
fn scope_aborted_in_the_call_of_its_body_is_never_polled() {
    static POLLED: AtomicU64 = AtomicU64::new(0);
    fn body<'scope>(scope: &'scope Scope<'scope, '_>) -> impl Future<Output = ()> + Send + use<> {
        scope.abort();
        async { POLLED.store(1, Ordering::Relaxed) }
    }
    runtime(2).block_on(async |root| {
        drop(root.scope(body));
    });
    assert_eq!(POLLED.load(Ordering::Relaxed), 0);
}

#[test]
fn abort_of_the_children_races_with_spawns_from_a_foreign_thread() {
    each_runtime(|runtime, ledger| {
        for _ in 0..200 {
            let total = runtime.block_on(async |root| {
                root.scope(async move |scope| {
                    std::thread::scope(|threads| {
                        threads.spawn(|| {
                            for _ in 0..50 {
                                let item = ledger.item("child");
                                scope.spawn(async move {
                                    pending::<()>().await;
                                    drop(item);
                                });
                            }
                        });
                        threads.spawn(|| scope.abort_children());
                    });
                    50
                })
                .await
            });
            assert_eq!(total, 50);
        }
        ledger.assert_settled();
    });
}

#[test]
fn waiting_for_a_request_can_be_given_up_and_begun_again() {
    each_virtual_runtime(|runtime, _| {
        three_deep!(runtime, async |scope| {
            scope
                .scope(async move |scope| {
                    for _ in 0..1000 {
                        let mut given_up = scope.cancelled();
                        assert!(poll_once(&mut given_up).await.is_pending());
                    }
                    let mut early = pin!(scope.cancelled());
                    poll_fn(|cx| {
                        assert!(early.as_mut().poll(cx).is_pending());
                        Poll::Ready(())
                    })
                    .await;
                    scope.spawn(async {
                        sleep(SECOND).await;
                        scope.cancel(SECOND);
                    });
                    early.await;
                    scope.cancelled().await;
                })
                .await;
        });
    });
}

/// A scope in which all below waits for the request, `levels` deep.
fn descend<'s>(
    scope: &'s Scope<'s, '_>,
    levels: u32,
    seen: &'s AtomicU64,
    bottom: &'s common::Gate,
) -> Pin<Box<dyn Future<Output = ()> + Send + 's>> {
    Box::pin(async move {
        if levels == 0 {
            bottom.open();
        } else {
            scope.scope(async move |inner| descend(inner, levels - 1, seen, bottom).await);
        }
        scope.cancelled().await;
        seen.fetch_add(1, Ordering::Relaxed);
    })
}

#[test]
fn request_reaches_a_hundred_thousand_levels() {
    const LEVELS: u32 = 100_000;
    for workers in [1, 2] {
        let (seen, bottom) = (&AtomicU64::new(0), &common::Gate::new());
        watched(|| {
            runtime(workers).block_on(async |root| {
                root.scope(async move |scope| {
                    scope.scope(async move |inner| descend(inner, LEVELS, seen, bottom).await);
                    bottom.pass().await;
                    scope.cancel(Duration::from_secs(3600));
                })
                .await;
            });
        });
        assert_eq!(seen.load(Ordering::Relaxed), u64::from(LEVELS) + 1);
    }
}

fn panic_below<'s>(
    scope: &'s Scope<'s, '_>,
    levels: u32,
    ledger: &'s Ledger,
) -> Pin<Box<dyn Future<Output = ()> + Send + 's>> {
    Box::pin(async move {
        let _item = ledger.item("body");
        if levels == 0 {
            throw("bottom");
        }
        scope.scope(async move |inner| panic_below(inner, levels - 1, ledger).await).await
    })
}

/// The cause is handed up a level at a time; no level looks all the way up for another.
#[test]
fn panic_below_a_hundred_thousand_levels_reaches_the_root_in_linear_time() {
    for workers in [1, 2] {
        let ledger = Ledger::new();
        let name = watched(|| {
            thrown(|| {
                runtime(workers).block_on(async |root| {
                    root.scope(async |scope| panic_below(scope, 100_000, &ledger).await).await;
                });
            })
        });
        assert_eq!(name, "bottom");
        ledger.assert_settled();
    }
}

#[test]
fn abort_of_the_children_uses_up_nobody_who_waits_for_a_request() {
    each_virtual_runtime(|runtime, _| {
        let elapsed = three_deep!(runtime, async |scope| {
            let start = now();
            scope
                .scope(async move |scope| {
                    let asks = async {
                        sleep(SECOND).await;
                        scope.abort_children();
                        sleep(SECOND).await;
                        scope.cancel(60 * SECOND);
                    };
                    join_apart(scope.cancelled(), asks).await;
                })
                .await;
            now() - start
        });
        assert_eq!(elapsed, 2 * SECOND);
    });
}
