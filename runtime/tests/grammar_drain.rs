//! Close and drain: no more children, and the names of those that do not end.

mod common;

use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use common::{
    Gate, OnDrop, caught, each_runtime, each_virtual_runtime, join_apart, poll_once, three_deep, throw,
    thrown,
};
use treescope::Survivors;
use treescope::time::{now, sleep};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn drain_waits_until_all_children_have_ended() {
    each_virtual_runtime(|runtime, ledger| {
        let elapsed = three_deep!(runtime, async |scope| {
            let start = now();
            scope
                .scope(async move |scope| {
                    for n in 1..=5 {
                        scope.spawn(async move {
                            let _item = ledger.item("child");
                            sleep(n * SECOND).await;
                        });
                    }
                    scope.scope(async move |below| {
                        below
                            .spawn(async {
                                let _item = ledger.item("nephew");
                                sleep(3 * SECOND).await;
                            })
                            .await
                    });
                    assert_eq!(scope.drain(60 * SECOND).await, Ok(()));
                    ledger.mark("drained");
                    assert_eq!(scope.live_children(), 0);
                })
                .await;
            now() - start
        });
        assert_eq!(elapsed, 5 * SECOND);
        ledger.assert_order("child", "drained");
        ledger.assert_order("nephew", "drained");
    });
}

#[test]
fn drain_whose_time_runs_out_names_the_subtree_that_survives() {
    each_virtual_runtime(|runtime, ledger| {
        let (survivors, elapsed) = runtime.block_on(async |root| {
            let server = root.open().name("server").scope(async move |server| {
                let start = now();
                server.spawn_named("quick", sleep(SECOND));
                server.spawn_named("log", pending::<()>());
                server.open().name("conn-17").scope(async move |conn| {
                    conn.spawn_named("reader", pending::<()>());
                    conn.open()
                        .name("upload")
                        .scope(async move |upload| {
                            let _item = ledger.item("upload");
                            upload.spawn_named("disk", pending::<()>()).await
                        })
                        .await;
                });
                let survivors: Survivors = server.drain(5 * SECOND).await.unwrap_err();
                server.abort_children();
                (survivors, now() - start)
            });
            server.await
        });
        assert_eq!((survivors.children(), elapsed), (2, 5 * SECOND));
        let mut paths = survivors.paths().to_vec();
        paths.sort_unstable();
        let expected = [
            "server/conn-17",
            "server/conn-17/reader",
            "server/conn-17/upload",
            "server/conn-17/upload/disk",
            "server/log",
        ];
        assert_eq!(paths, expected);
        let text = survivors.to_string();
        assert!(text.starts_with("2 children did not end in time\n"), "{text}");
        assert!(text.contains("\n  server/conn-17/upload/disk"), "{text}");
        ledger.assert_settled();
    });
}

#[test]
fn survivors_of_a_flood_are_counted_and_not_all_named() {
    each_virtual_runtime(|runtime, _| {
        let survivors = three_deep!(runtime, async |scope| {
            let survivors = scope.scope(async |scope| {
                for _ in 0..10_000 {
                    scope.scope(async |below| below.spawn(pending::<()>()).await);
                }
                let survivors = scope.drain(SECOND).await.unwrap_err();
                scope.abort_children();
                survivors
            });
            survivors.await
        });
        assert_eq!(survivors.children(), 10_000);
        assert!((100..=300).contains(&survivors.paths().len()), "{}", survivors.paths().len());
    });
}

fn open_anything<'s>(scope: &'s treescope::Scope<'s, '_>, kind: u32) {
    match kind {
        0 => drop(scope.spawn(async {})),
        1 => drop(scope.scope(async |_| ())),
        2 => drop(scope.spawn_blocking(|| ())),
        3 => drop(scope.try_scope(async |_| Ok::<_, &str>(()))),
        _ => drop(scope.supervise(async |_| ())),
    }
}

#[test]
fn closed_scope_takes_no_child_of_any_kind() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope
                .scope(async move |scope| {
                    let before = scope.spawn(sleep(SECOND));
                    scope.close();
                    let item = ledger.item("given back");
                    let refused = scope.try_spawn(async move { drop(item) });
                    assert_eq!(ledger.count("given back"), 0);
                    drop(refused.map(drop).unwrap_err());
                    before.await;
                })
                .await;
        });
        for attempt in 0..5 {
            let payload = caught(|| {
                three_deep!(runtime, async |scope| {
                    drop(scope.scope(async move |scope| {
                        scope.spawn(async {
                            let _item = ledger.item("sibling");
                            pending::<()>().await
                        });
                        scope.close();
                        open_anything(scope, attempt);
                    }));
                });
            });
            assert!(payload.downcast_ref::<&str>().is_some_and(|text| text.contains("closed")));
        }
        ledger.assert_settled();
    });
}

#[test]
fn child_that_spawns_into_a_closed_scope_is_refused_too() {
    each_virtual_runtime(|runtime, _| {
        let refused = three_deep!(runtime, async |scope| {
            let refused = scope.scope(async |scope| {
                let child = scope.spawn(async {
                    sleep(SECOND).await;
                    scope.try_spawn(async {}).is_err()
                });
                assert_eq!(scope.drain(60 * SECOND).await, Ok(()));
                child.await
            });
            refused.await
        });
        assert!(refused);
    });
}

#[test]
fn close_races_with_spawns_from_foreign_threads() {
    each_runtime(|runtime, ledger| {
        for _ in 0..300 {
            let spawned = runtime.block_on(async |root| {
                let spawned = root.scope(async move |scope| {
                    let spawned = std::thread::scope(|threads| {
                        let spawner = threads.spawn(|| {
                            (0..100)
                                .filter(|_| {
                                    let item = ledger.item("child");
                                    scope.try_spawn(async move { drop(item) }).is_ok()
                                })
                                .count()
                        });
                        threads.spawn(|| scope.close());
                        spawner.join().unwrap()
                    });
                    assert!(scope.try_spawn(async {}).is_err());
                    spawned
                });
                spawned.await
            });
            assert!(spawned <= 100);
        }
        ledger.assert_settled();
    });
}

/// The drain has left its waker with the node when the foreign thread's refused spawns come and go.
#[test]
fn refused_spawns_from_a_foreign_thread_do_not_disturb_a_drain_under_way() {
    each_runtime(|runtime, ledger| {
        let rounds = if cfg!(debug_assertions) { 1_000 } else { 20_000 };
        for _ in 0..rounds {
            let gate = Gate::new();
            let gate = &gate;
            runtime.block_on(async |root| {
                root.scope(async move |scope| {
                    scope.spawn(async move {
                        let _item = ledger.item("child");
                        gate.pass().await;
                    });
                    let mut drain = pin!(scope.drain(60 * SECOND));
                    assert!(poll_once(&mut drain).await.is_pending());
                    std::thread::scope(|threads| {
                        threads.spawn(|| {
                            for _ in 0..20 {
                                assert!(scope.try_spawn(async {}).is_err());
                            }
                        });
                        gate.open();
                    });
                    assert_eq!(drain.await, Ok(()));
                })
                .await;
            });
        }
        ledger.assert_settled();
    });
}

#[test]
fn drain_that_is_given_up_half_way_can_be_begun_again() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope
                .scope(async move |scope| {
                    scope.spawn(async {
                        let _item = ledger.item("child");
                        sleep(10 * SECOND).await;
                    });
                    for _ in 0..3 {
                        let mut drain = pin!(scope.drain(60 * SECOND));
                        let mut nap = pin!(sleep(SECOND));
                        // A select, with a waker of its own for the drain.
                        futures_lite::future::or(
                            async {
                                let _ = drain.as_mut().await;
                                ledger.mark("too early");
                            },
                            nap.as_mut(),
                        )
                        .await;
                    }
                    assert_eq!(ledger.count("too early"), 0);
                    assert_eq!(scope.drain(60 * SECOND).await, Ok(()));
                    ledger.mark("drained");
                })
                .await;
        });
        ledger.assert_order("child", "drained");
    });
}

#[test]
fn drain_that_is_given_up_leaves_the_scope_to_end_by_itself() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope
                .scope(async move |scope| {
                    scope.spawn(async {
                        let _item = ledger.item("child");
                        sleep(10 * SECOND).await;
                    });
                    let mut drain = Box::pin(scope.drain(60 * SECOND));
                    assert!(poll_once(&mut drain).await.is_pending());
                })
                .await;
            ledger.mark("returned");
        });
        ledger.assert_order("child", "returned");
    });
}

#[test]
fn abort_ends_a_drain_with_its_body() {
    each_virtual_runtime(|runtime, ledger| {
        let elapsed = three_deep!(runtime, async |scope| {
            let start = now();
            let outer = scope.scope(async move |outer| {
                outer.scope(async move |scope| {
                    scope.spawn(async {
                        let _item = ledger.item("child");
                        pending::<()>().await
                    });
                    let _item = ledger.item("body");
                    let _ = scope.drain(1000 * SECOND).await;
                    ledger.mark("drained");
                });
                sleep(SECOND).await;
                outer.abort_children();
            });
            outer.await;
            now() - start
        });
        assert_eq!((elapsed, ledger.count("drained")), (SECOND, 0));
        ledger.assert_settled();
    });
}

#[test]
fn request_during_a_drain_lets_the_children_wind_up() {
    each_virtual_runtime(|runtime, ledger| {
        let elapsed = three_deep!(runtime, async |scope| {
            let start = now();
            scope
                .scope(async move |outer| {
                    outer.scope(async move |scope| {
                        scope.spawn(async {
                            scope.cancelled().await;
                            sleep(SECOND).await;
                            ledger.mark("wound up");
                        });
                        assert_eq!(scope.drain(1000 * SECOND).await, Ok(()));
                        ledger.mark("drained");
                    });
                    sleep(SECOND).await;
                    outer.cancel(10 * SECOND);
                })
                .await;
            now() - start
        });
        assert_eq!(elapsed, 2 * SECOND);
        ledger.assert_order("wound up", "drained");
    });
}

#[test]
fn children_aborted_during_a_drain_end_it() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope
                .scope(async move |scope| {
                    scope.spawn(async {
                        let _item = ledger.item("endless");
                        pending::<()>().await
                    });
                    assert_eq!(scope.drain(SECOND).await.unwrap_err().children(), 1);
                    scope.abort_children();
                    assert_eq!(scope.drain(SECOND).await, Ok(()));
                    ledger.mark("drained");
                })
                .await;
        });
        ledger.assert_order("endless", "drained");
    });
}

#[test]
fn child_that_panics_during_a_drain_fails_the_scope() {
    each_virtual_runtime(|runtime, ledger| {
        let name = thrown(|| {
            three_deep!(runtime, async |scope| {
                drop(scope.scope(async move |scope| {
                    scope.spawn(async {
                        sleep(SECOND).await;
                        throw("child")
                    });
                    let _item = ledger.item("body");
                    let _ = scope.drain(60 * SECOND).await;
                    pending::<()>().await
                }));
            });
        });
        assert_eq!(name, "child");
        ledger.assert_settled();
    });
}

#[test]
fn root_can_be_drained() {
    each_virtual_runtime(|runtime, ledger| {
        runtime.block_on(async |root| {
            root.spawn(async {
                let _item = ledger.item("child");
                sleep(SECOND).await;
            });
            assert_eq!(root.drain(60 * SECOND).await, Ok(()));
            ledger.mark("drained");
        });
        ledger.assert_order("child", "drained");
    });
}

#[test]
fn drain_counts_what_the_body_has_spawned_in_the_same_poll() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope
                .scope(async move |scope| {
                    for _ in 0..100 {
                        scope.spawn(async { ledger.mark("child") });
                    }
                    assert_eq!(scope.drain(SECOND).await, Ok(()));
                    assert_eq!(ledger.count("child"), 100);
                })
                .await;
        });
    });
}

#[test]
fn drain_from_a_child_is_refused() {
    each_virtual_runtime(|runtime, _| {
        let payload = caught(|| {
            three_deep!(runtime, async |scope| {
                drop(scope.scope(async |scope| {
                    scope.spawn(async { drop(scope.drain(SECOND).await) });
                }));
            });
        });
        assert!(payload.downcast_ref::<&str>().is_some_and(|text| text.contains("own body")));
    });
}

/// A value's destructor may still ask, and is told that the scope is closed or has no room for borrows any more.
#[test]
fn destructor_of_a_body_that_was_draining_finds_the_scope_closed() {
    each_virtual_runtime(|runtime, _| {
        let refused = &Mutex::new(Vec::new());
        three_deep!(runtime, async |scope| {
            scope.scope(async move |outer| {
                outer.scope(async move |scope| {
                    let _asks =
                        OnDrop::new(|| refused.lock().unwrap().push(scope.try_spawn(async {}).is_err()));
                    scope.spawn(pending::<()>());
                    let _ = scope.drain(1000 * SECOND).await;
                });
                sleep(SECOND).await;
                outer.abort();
            });
        });
        assert_eq!(*refused.lock().unwrap(), [true]);
    });
}

#[test]
fn survivors_below_a_thousand_levels_are_named_without_recursion() {
    fn below<'s>(
        scope: &'s treescope::Scope<'s, '_>,
        levels: u32,
        bottom: &'s Gate,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 's>> {
        Box::pin(async move {
            if levels == 0 {
                bottom.open();
                pending::<()>().await;
            }
            scope.open().name("n").scope(async move |inner| below(inner, levels - 1, bottom).await).await
        })
    }
    each_virtual_runtime(|runtime, _| {
        let bottom = &Gate::new();
        let survivors = three_deep!(runtime, async |scope| {
            let survivors = scope.scope(async move |scope| {
                scope.scope(async move |inner| below(inner, 50_000, bottom).await);
                bottom.pass().await;
                let survivors = scope.drain(SECOND).await.unwrap_err();
                scope.abort_children();
                survivors
            });
            survivors.await
        });
        assert_eq!(survivors.children(), 1);
        assert!(survivors.paths().len() <= 256);
    });
}

#[test]
fn two_drains_of_one_body_are_both_woken() {
    each_virtual_runtime(|runtime, _| {
        let elapsed = three_deep!(runtime, async |scope| {
            let start = now();
            scope
                .scope(async move |scope| {
                    scope.spawn(sleep(SECOND));
                    join_apart(scope.drain(Duration::MAX), scope.drain(30 * SECOND)).await;
                })
                .await;
            now() - start
        });
        assert_eq!(elapsed, SECOND);
    });
}

#[test]
fn drain_whose_waker_panics_costs_nobody_the_end() {
    struct Angry;
    impl Wake for Angry {
        fn wake(self: Arc<Self>) {
            throw("waker");
        }
    }
    each_virtual_runtime(|runtime, _| {
        three_deep!(runtime, async |scope| {
            scope
                .scope(async move |scope| {
                    scope.spawn(sleep(SECOND));
                    let mut first = pin!(scope.drain(60 * SECOND));
                    let angry = Waker::from(Arc::new(Angry));
                    assert!(first.as_mut().poll(&mut Context::from_waker(&angry)).is_pending());
                    assert_eq!(scope.drain(60 * SECOND).await, Ok(()));
                })
                .await;
        });
    });
}
