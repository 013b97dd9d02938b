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
