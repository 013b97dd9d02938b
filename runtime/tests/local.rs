//! Local trees: `!Send` children over `&Cell` and `&RefCell`, on one thread, by the same rules.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use treescope::local::{self, LocalRuntime, LocalScope};
use treescope::time::{now, sleep};
use treescope::{CauseKind, Runtime};

#[test]
fn children_share_a_refcell_across_awaits() {
    let log = RefCell::new(Vec::new());
    local::block_on(async |scope| {
        for n in 0..3 {
            let log = &log;
            scope.spawn(async move {
                log.borrow_mut().push(n);
                treescope::yield_now().await;
                log.borrow_mut().push(n + 10);
            });
        }
    });
    let mut log = log.into_inner();
    log.sort_unstable();
    assert_eq!(log, [0, 1, 2, 10, 11, 12]);
}

#[test]
fn values_and_outputs_need_not_be_send() {
    let sum = local::block_on(async |scope| {
        let inner = scope.scope(async |scope| {
            let cells = &*scope.alloc([Cell::new(1), Cell::new(2)]);
            let children: Vec<_> =
                cells.iter().map(|cell| scope.spawn(async { Rc::new(cell.get()) })).collect();
            let mut sum = 0;
            for child in children {
                sum += *child.await;
            }
            Rc::new(sum)
        });
        *inner.await
    });
    assert_eq!(sum, 3);
}

#[test]
fn recursion_opens_a_scope_per_level() {
    fn depth<'scope>(
        scope: LocalScope<'scope, '_>,
        left: u32,
        seen: &'scope Cell<u32>,
    ) -> impl Future<Output = ()> {
        async move {
            seen.set(seen.get() + 1);
            if left > 0 {
                scope.scope(async move |scope| depth(scope, left - 1, seen).await).await;
            }
        }
    }
    let seen = Cell::new(0);
    local::block_on(async |scope| depth(scope, 10_000, &seen).await);
    assert_eq!(seen.get(), 10_001);
}

#[test]
fn wakes_from_other_threads_reach_the_tree() {
    let (to_tree, from_thread) = mpsc::channel();
    let woken = Cell::new(0);
    local::block_on(async |scope| {
        for _ in 0..50 {
            let to_tree = to_tree.clone();
            let woken = &woken;
            scope.spawn(async move {
                let mut sent = false;
                std::future::poll_fn(|cx| {
                    if sent {
                        return std::task::Poll::Ready(());
                    }
                    sent = true;
                    to_tree.send(cx.waker().clone()).expect("the thread listens");
                    std::task::Poll::Pending
                })
                .await;
                woken.set(woken.get() + 1);
            });
        }
        drop(to_tree);
        scope.spawn_blocking(move || from_thread.into_iter().take(50).for_each(|waker| waker.wake()));
    });
    assert_eq!(woken.get(), 50);
}

#[test]
fn first_error_cancels_the_siblings() {
    let dropped = Cell::new(false);
    struct OnDrop<'a>(&'a Cell<bool>);
    impl Drop for OnDrop<'_> {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let outcome: Result<(), _> = local::block_on(async |scope| {
        let dropped = &dropped;
        scope
            .try_scope(async move |scope| {
                let guard = OnDrop(dropped);
                scope.spawn(async move {
                    let _guard = guard;
                    std::future::pending::<Result<(), String>>().await
                });
                scope.spawn_named("bad", async { Err::<(), _>("no luck".to_owned()) });
                Ok(())
            })
            .await
    });
    assert_eq!(outcome.expect_err("one child fails").into_first(), "no luck");
    assert!(dropped.get());
}

#[test]
fn panic_is_resumed_after_everything_has_ended() {
    let ended = Cell::new(0);
    struct Count<'a>(&'a Cell<u32>);
    impl Drop for Count<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        local::block_on(async |scope| {
            for _ in 0..3 {
                let guard = Count(&ended);
                scope.spawn(async move {
                    let _guard = guard;
                    std::future::pending::<()>().await;
                });
            }
            scope.spawn(async { std::panic::resume_unwind(Box::new("boom")) });
        });
    }));
    assert_eq!(panicked.expect_err("it panics").downcast_ref(), Some(&"boom"));
    assert_eq!(ended.get(), 3);
}

#[test]
fn virtual_clock_jumps_when_all_is_idle() {
    let runtime = Runtime::builder().virtual_clock().build_local().expect("a driver");
    let slept = runtime.block_on(async |scope| {
        let start = now();
        let long = scope.spawn(async { sleep(Duration::from_secs(3600)).await });
        scope.spawn(async { sleep(Duration::from_secs(60)).await }).await;
        long.await;
        now() - start
    });
    assert_eq!(slept, Duration::from_secs(3600));
}

#[test]
fn deadline_aborts_a_local_scope() {
    let runtime = Runtime::builder().virtual_clock().build_local().expect("a driver");
    runtime.block_on(async |scope| {
        let late = scope.deadline(now() + Duration::from_secs(1), async |scope| {
            assert!(scope.effective_deadline().is_some());
            std::future::pending::<Rc<()>>().await
        });
        assert!(late.await.is_err());
        scope.cancel_because(Duration::from_secs(60), "enough");
        assert_eq!(scope.cause().map(|cause| cause.kind()), Some(CauseKind::Requested));
    })
}

#[test]
#[should_panic(expected = "a blocking root inside a worker of the same runtime")]
fn root_inside_itself_is_refused() {
    let runtime = LocalRuntime::new().expect("a driver");
    runtime.block_on(async |_| runtime.block_on(async |_| ()));
}

#[test]
fn local_root_may_be_opened_inside_a_worker_of_another_runtime() {
    let runtime = Runtime::builder().worker_threads(1).build().expect("threads");
    let sum = runtime.block_on(async |scope| {
        let inner = scope.spawn(async {
            let cell = Cell::new(0);
            local::block_on(async |scope| {
                for n in 0..10 {
                    let cell = &cell;
                    scope.spawn(async move { cell.set(cell.get() + n) });
                }
            });
            cell.get()
        });
        inner.await
    });
    assert_eq!(sum, 45);
}

#[test]
fn roots_of_the_outer_runtime_are_refused_below_a_local_root() {
    let runtime = Runtime::builder().worker_threads(1).build().expect("threads");
    let refused = runtime.block_on(async |scope| {
        let runtime = &runtime;
        let nested = scope.spawn(async move {
            catch_unwind(AssertUnwindSafe(|| local::block_on(async |_| runtime.block_on(async |_| ()))))
                .is_err()
        });
        nested.await
    });
    assert!(refused);
}

#[test]
fn races_of_futures_that_are_not_send_end_their_losers_first() {
    let log = RefCell::new(Vec::new());
    let runtime = Runtime::builder().virtual_clock().build_local().expect("a driver");
    runtime.block_on(async |scope| {
        let racer = |seconds: u64, outcome: Result<u64, u64>| {
            let log = &log;
            async move {
                let kept = Rc::new(seconds);
                struct Ends<'a>(&'a RefCell<Vec<u64>>, Rc<u64>);
                impl Drop for Ends<'_> {
                    fn drop(&mut self) {
                        self.0.borrow_mut().push(*self.1);
                    }
                }
                let _ends = Ends(log, kept.clone());
                sleep(Duration::from_secs(*kept)).await;
                outcome.map(Rc::new).map_err(Rc::new)
            }
        };
        let first = scope.race([racer(3, Ok(3)), racer(1, Err(1)), racer(2, Ok(2))]).await;
        assert_eq!(first, Err(Rc::new(1)));
        assert_eq!(log.take().len(), 3);
        let good = scope.first_ok([racer(3, Ok(3)), racer(1, Err(1)), racer(2, Ok(2))]).await;
        assert_eq!(good, Ok(Rc::new(2)));
        assert_eq!(log.take().len(), 3);
        let none = scope.first_ok([racer(2, Err(2)), racer(1, Err(1))]).await;
        assert_eq!(none, Err(vec![Rc::new(1), Rc::new(2)]));
        let all = scope.try_all([racer(2, Ok(2)), racer(1, Ok(1))]).await;
        assert_eq!(all, Ok(vec![Rc::new(2), Rc::new(1)]));
        let failed = scope.try_all([racer(9, Ok(9)), racer(1, Err(1))]).await;
        assert_eq!(failed, Err(Rc::new(1)));
        let values = scope.all([racer(2, Ok(2)), racer(1, Err(1))]).await;
        assert_eq!(values, [Ok(Rc::new(2)), Err(Rc::new(1))]);
    });
}

#[test]
fn supervised_children_need_not_be_send_and_a_panic_is_a_value() {
    let served = Rc::new(Cell::new(0));
    let panicked = local::block_on(async |scope| {
        let served = served.clone();
        scope
            .supervise(async move |scope| {
                let bad = scope.spawn(async { std::panic::resume_unwind(Box::new("boom")) });
                let good = scope.spawn(async move {
                    treescope::yield_now().await;
                    served.set(served.get() + 1);
                    served
                });
                assert_eq!(good.await.expect("goes on").get(), 1);
                let failed: Result<(), _> = bad.await;
                failed.expect_err("panicked").is_panic()
            })
            .await
    });
    assert!(panicked);
    assert_eq!(served.get(), 1);
}

#[test]
fn bounded_scope_gives_out_its_places_on_one_thread() {
    let (live, most) = (Cell::new(0), Cell::new(0));
    local::block_on(async |scope| {
        let (live, most) = (&live, &most);
        scope.bounded(2, async move |places| {
            for _ in 0..6 {
                places
                    .spawn(async move {
                        live.set(live.get() + 1);
                        most.set(most.get().max(live.get()));
                        treescope::yield_now().await;
                        live.set(live.get() - 1);
                    })
                    .await;
            }
            let held = places.place().await;
            assert!(places.try_place().is_some(), "one is free");
            drop(held);
        });
    });
    assert_eq!((live.get(), most.get()), (0, 2));
}

#[test]
fn cleanup_of_a_local_scope_awaits_after_its_children_have_ended() {
    let log = RefCell::new(Vec::new());
    let runtime = Runtime::builder().virtual_clock().build_local().expect("a driver");
    runtime.block_on(async |scope| {
        let log = &log;
        // Aborted in the end, so without a value to await.
        scope.scope(async move |scope| {
            let not_send = Rc::new("cleanup");
            scope.defer(Duration::from_secs(1), async move {
                sleep(Duration::from_millis(500)).await;
                log.borrow_mut().push(*not_send);
            });
            scope.spawn(async move {
                scope.cancelled().await;
                log.borrow_mut().push("asked");
                std::future::pending::<()>().await;
            });
            scope.cancel(Duration::from_secs(1));
            sleep(Duration::from_millis(1)).await;
            log.borrow_mut().push("body");
        });
    });
    assert_eq!(log.into_inner(), ["asked", "body", "cleanup"]);
}
