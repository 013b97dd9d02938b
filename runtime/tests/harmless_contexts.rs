//! Futures that put another context in the place of the one they are polled with: `*cx = Context::from_waker(Waker::noop())` is safe
//! code. What the runtime does after the poll must go by its own waker.

mod common;

use common::{each_runtime, runtime, throw, watched};
use std::cell::Cell;
use std::future::poll_fn;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::time::Duration;
use treescope::time::now;
use treescope::{Runtime, local, yield_now};

fn swap(cx: &mut Context<'_>) {
    *cx = Context::from_waker(Waker::noop());
}

/// Swaps its context and waits for ever; notes that it was polled.
async fn swaps_and_waits(polled: &AtomicBool) {
    poll_fn(|cx| {
        swap(cx);
        polled.store(true, Ordering::SeqCst);
        Poll::Pending
    })
    .await
}

async fn until(flag: &AtomicBool) {
    while !flag.load(Ordering::SeqCst) {
        yield_now().await;
    }
    yield_now().await;
}

#[test]
fn an_abort_reaches_a_parked_child_that_has_swapped_its_context() {
    each_runtime(|rt, ledger| {
        let polled = &AtomicBool::new(false);
        rt.block_on(async |root| {
            root.scope(async move |scope| {
                let captured = ledger.item("captured");
                drop(scope.spawn(async move {
                    let _captured = captured;
                    swaps_and_waits(polled).await;
                }));
                until(polled).await;
                scope.abort_children();
            })
            .await;
        });
        ledger.assert_settled();
    });
}

#[test]
fn an_abort_reaches_a_parked_local_child_that_has_swapped_its_context_and_lost_its_handle() {
    watched(|| {
        local::block_on(async |root| {
            root.scope(async |scope| {
                let polled = &*scope.alloc(AtomicBool::new(false));
                let dropped = &*scope.alloc(Cell::new(false));
                drop(scope.spawn(async {
                    let _dropped = common::OnDrop::new(|| dropped.set(true));
                    swaps_and_waits(polled).await;
                }));
                until(polled).await;
                scope.abort_children();
                while !dropped.get() {
                    yield_now().await;
                }
            })
            .await;
        });
    });
}

#[test]
fn a_scope_whose_body_has_swapped_its_context_is_woken_by_its_last_child() {
    each_runtime(|rt, ledger| {
        let run = |body_waits: bool| {
            rt.block_on(async |root| {
                root.scope(async move |scope| {
                    let captured = ledger.item("captured");
                    scope.spawn(async move {
                        for _ in 0..10 {
                            yield_now().await;
                        }
                        drop(captured);
                    });
                    if body_waits {
                        let mut woken = false;
                        poll_fn(|cx| {
                            let waker = cx.waker().clone();
                            swap(cx);
                            waker.wake();
                            if std::mem::replace(&mut woken, true) { Poll::Ready(()) } else { Poll::Pending }
                        })
                        .await;
                    }
                    poll_fn(|cx| {
                        swap(cx);
                        Poll::Ready(())
                    })
                    .await;
                })
                .await;
            });
        };
        run(false);
        run(true);
        ledger.assert_settled();
    });
}

#[test]
fn a_deadline_comes_to_a_scope_whose_body_has_swapped_its_context() {
    let rt = Runtime::builder().worker_threads(1).virtual_clock().build().expect("a runtime");
    watched(|| {
        rt.block_on(async |root| {
            let polled = &*root.alloc(AtomicBool::new(false));
            let deadline = now() + Duration::from_secs(1);
            let late = root.deadline(deadline, async move |_| swaps_and_waits(polled).await).await;
            assert!(late.is_err());
        });
    });
}

#[test]
fn a_deferred_future_that_swaps_its_context_is_ended_by_its_limit() {
    let rt = Runtime::builder().worker_threads(1).virtual_clock().build().expect("a runtime");
    watched(|| {
        rt.block_on(async |root| {
            root.scope(async |scope| {
                scope.defer(Duration::from_secs(1), async {
                    swaps_and_waits(&AtomicBool::new(false)).await;
                });
            })
            .await;
        });
    });
}

#[test]
fn a_foreign_wakers_clone_does_not_run_under_the_scopes_lock() {
    static WAKER: OnceLock<Waker> = OnceLock::new();
    static CLONES: AtomicUsize = AtomicUsize::new(0);
    fn clone(_: *const ()) -> RawWaker {
        CLONES.fetch_add(1, Ordering::SeqCst);
        throw("clone");
    }
    fn nothing(_: *const ()) {}
    static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, nothing, nothing, nothing);
    // SAFETY: its functions touch nothing.
    let waker = WAKER.get_or_init(|| unsafe { Waker::new(std::ptr::null(), &VTABLE) });
    let rt = runtime(2);
    watched(|| {
        rt.block_on(async |root| {
            root.scope(async move |scope| {
                let polled = &*scope.alloc(AtomicBool::new(false));
                drop(scope.spawn(poll_fn(move |cx: &mut Context<'_>| {
                    *cx = Context::from_waker(waker);
                    polled.store(true, Ordering::SeqCst);
                    Poll::<()>::Pending
                })));
                until(polled).await;
                scope.abort_children();
            })
            .await;
        });
    });
    assert_eq!(CLONES.load(Ordering::SeqCst), 0);
}
