//! Handles polled synchronously, by a hand-written `block_on`: in threads that a body waits for, in destructors on the
//! cancel path, inside tasks. Such a wait ends when the child does, however it ends: with its value, or with a quiet
//! panic. A wait that never ended would hang the root.

mod common;

use common::{Gate, OnDrop, caught, each_runtime, runtime, three_deep, throw, thrown, wait_here, watched};
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::thread;
use treescope::{JoinHandle, yield_now};

#[test]
fn a_thread_below_the_root_body_gets_values() {
    each_runtime(|rt, ledger| {
        let sum = rt.block_on(async |scope| {
            thread::scope(|threads| {
                let waits: Vec<_> = (0..8)
                    .map(|n| {
                        let item = ledger.item("child");
                        let child = scope.spawn(async move {
                            yield_now().await;
                            drop(item);
                            n
                        });
                        threads.spawn(move || wait_here(child).unwrap())
                    })
                    .collect();
                waits.into_iter().map(|wait| wait.join().unwrap()).sum::<i32>()
            })
        });
        assert_eq!(sum, 28);
        ledger.assert_settled();
    });
}

#[test]
fn a_thread_polls_any_number_of_handles_in_a_row() {
    // More than a poll's budget, which nobody refills on a thread that runs no tasks.
    const MANY: u32 = 2_000;
    each_runtime(|rt, _| {
        let sum = rt.block_on(async |scope| {
            let handles: Vec<_> = (0..MANY).map(|n| scope.spawn(async move { n })).collect();
            thread::scope(|threads| {
                threads
                    .spawn(move || handles.into_iter().map(|handle| wait_here(handle).unwrap()).sum::<u32>())
                    .join()
            })
        });
        assert_eq!(sum.unwrap(), MANY * (MANY - 1) / 2);
    });
}

#[test]
fn a_task_polls_any_number_of_handles_within_one_poll() {
    const MANY: u32 = 2_000;
    watched(|| {
        let rt = runtime(2);
        let sum = three_deep!(rt, async |scope| {
            let handles: Vec<_> = (0..MANY).map(|n| scope.spawn(async move { n })).collect();
            while !handles.iter().all(JoinHandle::is_finished) {
                yield_now().await;
            }
            handles.into_iter().map(|handle| wait_here(handle).unwrap()).sum::<u32>()
        });
        assert_eq!(sum, MANY * (MANY - 1) / 2);
    });
}

#[test]
fn a_blocking_call_polls_any_number_of_handles_in_a_row() {
    const MANY: u32 = 2_000;
    each_runtime(|rt, _| {
        let sum = three_deep!(rt, async |scope| {
            let handles: Vec<_> = (0..MANY).map(|n| scope.spawn(async move { n })).collect();
            let wait = move || handles.into_iter().map(|handle| wait_here(handle).unwrap()).sum::<u32>();
            scope.spawn_blocking(wait).await
        });
        assert_eq!(sum, MANY * (MANY - 1) / 2);
    });
}

#[test]
fn a_thread_that_waits_for_a_panicking_child_is_woken() {
    each_runtime(|rt, ledger| {
        let name = thrown(|| {
            rt.block_on(async |scope| {
                let item = ledger.item("child");
                let child = scope.spawn(async move {
                    yield_now().await;
                    drop(item);
                    throw("child")
                });
                let waited =
                    thread::scope(|threads| threads.spawn(|| wait_here::<()>(child)).join().unwrap());
                assert_eq!(waited, None);
                ledger.mark("wait over");
            })
        });
        assert_eq!(name, "child");
        assert_eq!(ledger.count("wait over"), 1);
        ledger.assert_settled();
    });
}

#[test]
fn a_thread_that_waits_for_an_aborted_child_is_woken() {
    each_runtime(|rt, ledger| {
        let message = caught(|| {
            rt.block_on(async |scope| {
                for parked in [true, false] {
                    let item = ledger.item("child");
                    let child = scope.spawn(async move {
                        ledger.mark("polled");
                        pending::<()>().await;
                        drop(item);
                    });
                    let inner = scope.scope(async |inner| {
                        inner.spawn(pending::<()>());
                        pending::<()>().await;
                    });
                    let waited = thread::scope(|threads| {
                        let waits = [threads.spawn(|| wait_here(child)), threads.spawn(|| wait_here(inner))];
                        while parked && ledger.count("polled") == 0 {
                            thread::yield_now();
                        }
                        scope.abort();
                        waits.map(|wait| wait.join().unwrap())
                    });
                    assert_eq!(waited, [None, None]);
                }
            })
        });
        drop(message);
        ledger.assert_settled();
    });
}

/// Two workers: the body keeps one of them in `thread::scope`, and the child, cancelled by that body, needs the other.
#[test]
fn a_thread_that_waits_for_a_child_aborted_by_a_body_on_a_worker_is_woken() {
    watched(|| {
        let rt = runtime(2);
        let parked = &Gate::new();
        rt.block_on(async |root| {
            root.scope(async move |scope| {
                let child = scope.spawn(async move {
                    parked.open();
                    pending::<()>().await;
                });
                parked.pass().await;
                let waited = thread::scope(|threads| {
                    let wait = threads.spawn(|| wait_here(child));
                    scope.abort();
                    wait.join().unwrap()
                });
                assert_eq!(waited, None);
            });
        });
    });
}

/// As above, and the child is woken by a wake of the body's own, which then blocks until the child has run: a wake goes
/// into the waker's own lane and tells no mate.
#[test]
#[ignore = "hangs: a wake from within a task tells no parked mate until that task's poll returns"]
fn a_thread_that_waits_for_a_child_woken_by_a_body_on_a_worker_is_woken() {
    watched(|| {
        let rt = runtime(2);
        let (parked, go) = (&Gate::new(), &Gate::new());
        rt.block_on(async |root| {
            root.scope(async move |scope| {
                let child = scope.spawn(async move {
                    parked.open();
                    go.pass().await;
                });
                parked.pass().await;
                // Time for the other worker to park, which is when a wake must not be left to the one that blocks.
                treescope::time::sleep(std::time::Duration::from_millis(20)).await;
                let waited = thread::scope(|threads| {
                    let wait = threads.spawn(|| wait_here(child));
                    go.open();
                    wait.join().unwrap()
                });
                assert_eq!(waited, Some(()));
            });
        });
    });
}

/// As above, and the children are new: spawned while the other worker is busy, wanted when it is not.
#[test]
fn a_thread_that_waits_for_children_spawned_by_a_body_on_a_worker_is_woken() {
    watched(|| {
        let rt = runtime(2);
        let (busy, go_on) = (&AtomicBool::new(false), &AtomicBool::new(false));
        let sum = rt.block_on(async |root| {
            root.spawn(async {
                busy.store(true, Ordering::SeqCst);
                while !go_on.load(Ordering::SeqCst) {
                    std::hint::spin_loop();
                }
            });
            while !busy.load(Ordering::SeqCst) {
                yield_now().await;
            }
            root.scope(async move |scope| {
                let children: Vec<_> = (0..10).map(|n| scope.spawn(async move { n })).collect();
                go_on.store(true, Ordering::SeqCst);
                thread::scope(|threads| {
                    let wait =
                        move || children.into_iter().map(|child| wait_here(child).unwrap()).sum::<i32>();
                    threads.spawn(wait).join().unwrap()
                })
            })
            .await
        });
        assert_eq!(sum, 45);
    });
}

#[test]
fn a_destructor_on_the_cancel_path_waits_for_a_sibling() {
    watched(|| {
        let rt = runtime(2);
        rt.block_on(async |root| {
            root.scope(async move |scope| {
                let polled = &*scope.alloc(Gate::new());
                // Not yet cancelled when it began, so it ends with a value or is cancelled itself; both must wake.
                let sibling = scope.spawn(async { (0..1000_u64).sum::<u64>() });
                scope.spawn(async move {
                    let _waits = OnDrop::new(move || {
                        wait_here(sibling);
                    });
                    polled.open();
                    pending::<()>().await;
                });
                polled.pass().await;
                scope.abort();
            });
        });
    });
}

#[test]
fn a_handle_polled_with_a_waker_that_does_nothing_still_gives_its_value() {
    each_runtime(|rt, ledger| {
        three_deep!(rt, async |scope| {
            let item = ledger.item("child");
            let mut child = Box::pin(scope.spawn(async move {
                yield_now().await;
                item
            }));
            while child.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                yield_now().await;
            }
        });
        ledger.assert_settled();
    });
}

#[test]
fn a_handle_polled_after_its_value_was_taken_panics_and_no_more() {
    each_runtime(|rt, ledger| {
        let payload = caught(|| {
            three_deep!(rt, async |scope| {
                let item = ledger.item("child");
                let mut child = scope.spawn(async move { item });
                drop((&mut child).await);
                assert!(child.is_finished());
                (&mut child).await
            });
        });
        assert!(payload.downcast_ref::<&str>().unwrap().contains("after its value was taken"));
        ledger.assert_settled();
    });
}
