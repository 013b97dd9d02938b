//! Handles of children and scopes, whose tasks lie in a cell of our own: wakers of users that misbehave, wakers of the scope above that
//! are used by others, handles that change hands at any moment, and futures and outputs that share one place.

mod common;

use common::{
    Gate, Ledger, Thrown, caught, each_runtime, poll_once, runtime, three_deep, throw, thrown, watched,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use treescope::{JoinHandle, yield_now};

/// A waker whose last drop panics.
struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        // Not dropped here, and a leak that LeakSanitizer does not mind.
        static WOKEN: Mutex<Vec<Arc<Bomb>>> = Mutex::new(Vec::new());
        WOKEN.lock().unwrap().push(self);
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        throw("waker");
    }
}

/// A value whose drop panics.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        throw("output");
    }
}

/// Polls the handle with a bomb, which then lies in the cell.
fn arm<T>(handle: &mut JoinHandle<'_, T>) {
    let waker = Waker::from(Arc::new(Bomb));
    assert!(Pin::new(handle).poll(&mut Context::from_waker(&waker)).is_pending());
}

#[test]
fn a_handle_whose_waker_panics_when_dropped_still_gives_its_output_up() {
    each_runtime(|rt, ledger| {
        let gate = Gate::new();
        rt.block_on(async |root| {
            let gate = &gate;
            root.scope(async move |one| {
                let scope = one.scope(async move |_| {
                    gate.pass().await;
                    ledger.item("output")
                });
                let child = one.spawn(async {
                    gate.pass().await;
                    ledger.item("output")
                });
                for mut handle in [scope, child] {
                    arm(&mut handle);
                    caught(|| drop(handle));
                }
                gate.open();
            })
            .await;
        });
        ledger.assert_settled();
    });
}

#[test]
fn a_waker_that_panics_when_dropped_fails_whoever_awaits_instead_and_nobody_else() {
    each_runtime(|rt, ledger| {
        let name = thrown(|| {
            three_deep!(rt, async |scope| {
                let gate = &*scope.alloc(Gate::new());
                let [captured, siblings] = ["captured", "sibling's"].map(|name| ledger.item(name));
                let mut child = scope.spawn(async move {
                    gate.pass().await;
                    captured
                });
                arm(&mut child);
                scope.spawn(async move {
                    let _held = siblings;
                    gate.pass().await;
                });
                // This task's waker takes the place of the other, or the child has ended by then and called that.
                drop(child.await);
            });
        });
        assert_eq!(name, "waker");
        ledger.assert_settled();
    });
}

#[test]
fn a_panicking_waker_in_a_handles_drop_leaves_nobody_charged_who_has_ended() {
    // One worker: the scope that is charged wrongly is remembered by the thread.
    watched(|| {
        let rt = runtime(1);
        let gate = Gate::new();
        // Keeps the first scope's memory from being the second's.
        let trapped = Mutex::new(None);
        let payload = caught(|| {
            rt.block_on(async |root| {
                let (gate, trapped) = (&gate, &trapped);
                root.scope(async move |one| {
                    let waker = std::future::poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
                    *trapped.lock().unwrap() = Some(waker);
                    let mut handle = one.scope(async move |_| {
                        gate.pass().await;
                        // Needs to be dropped, so that somebody is charged.
                        String::new()
                    });
                    arm(&mut handle);
                    let _ = catch_unwind(AssertUnwindSafe(|| drop(handle)));
                    gate.open();
                })
                .await;
                root.scope(async |two| drop(two.spawn(async { Grenade }))).await;
            });
        });
        assert_eq!(
            payload.downcast_ref(),
            Some(&Thrown("output")),
            "the scope whose child's output it was fails"
        );
    });
}

/// A waker whose clones are counted, and that can be told to panic when it is cloned.
struct Counted {
    live: AtomicUsize,
    refuses: AtomicBool,
}

impl Counted {
    fn waker(self: &Arc<Self>) -> Waker {
        /// # Safety
        /// `data` is a waker's of this kind, and so for the others.
        unsafe fn counted<'a>(data: *const ()) -> &'a Counted {
            // SAFETY: from `Arc::into_raw`, and the waker is an owner.
            unsafe { &*data.cast() }
        }
        unsafe fn clone(data: *const ()) -> RawWaker {
            // SAFETY: by contract.
            let this = unsafe { counted(data) };
            if this.refuses.load(Ordering::SeqCst) {
                throw("clone");
            }
            this.live.fetch_add(1, Ordering::SeqCst);
            // SAFETY: from `Arc::into_raw`, and alive.
            unsafe { Arc::increment_strong_count(data.cast::<Counted>()) };
            RawWaker::new(data, &VTABLE)
        }
        unsafe fn drop_waker(data: *const ()) {
            // SAFETY: by contract.
            unsafe { counted(data) }.live.fetch_sub(1, Ordering::SeqCst);
            // SAFETY: from `Arc::into_raw`, or the count that `clone` added.
            drop(unsafe { Arc::from_raw(data.cast::<Counted>()) });
        }
        unsafe fn wake(data: *const ()) {
            // SAFETY: by contract.
            unsafe { drop_waker(data) };
        }
        unsafe fn wake_by_ref(_: *const ()) {}
        static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);
        self.live.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the functions of the table keep its contract: they count as `Arc` does.
        unsafe { Waker::new(Arc::into_raw(self.clone()).cast(), &VTABLE) }
    }
}

#[test]
fn a_waker_that_panics_when_cloned_leaves_no_other_behind() {
    each_runtime(|rt, ledger| {
        let gate = Gate::new();
        let [first, second] = [(); 2]
            .map(|()| Arc::new(Counted { live: AtomicUsize::new(0), refuses: AtomicBool::new(false) }));
        let trapped = Mutex::new(None);
        rt.block_on(async |root| {
            let (gate, trapped, first, second) = (&gate, &trapped, &first, &second);
            root.scope(async move |one| {
                let mut handle = one.scope(async move |_| {
                    std::future::poll_fn(|cx| {
                        *trapped.lock().unwrap() = Some(cx.waker().clone());
                        Poll::Ready(())
                    })
                    .await;
                    gate.pass().await;
                    ledger.item("output")
                });
                let waker = first.waker();
                assert!(Pin::new(&mut handle).poll(&mut Context::from_waker(&waker)).is_pending());
                drop(waker);
                second.refuses.store(true, Ordering::SeqCst);
                let waker = second.waker();
                caught(|| Pin::new(&mut handle).poll(&mut Context::from_waker(&waker)));
                drop(waker);
                while trapped.lock().unwrap().is_none() {
                    yield_now().await;
                }
                drop(handle);
                assert_eq!(first.live.load(Ordering::SeqCst), 0, "gone with the handle, or before it");
                assert_eq!(second.live.load(Ordering::SeqCst), 0);
                gate.open();
            })
            .await;
        });
        ledger.assert_settled();
        // Keeps the cell until now.
        assert!(trapped.lock().unwrap().take().is_some());
        assert_eq!(first.live.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn the_scope_aboves_waker_in_anybodys_hands_wakes_it_and_nobody_who_has_ended() {
    for workers in [1, 2, 3] {
        watched(|| {
            let (rt, ledger) = (runtime(workers), Ledger::new());
            for round in 0..300_usize {
                rt.block_on(async |root| {
                    let ledger = &ledger;
                    root.scope(async move |one| {
                        let waker = std::future::poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
                        let child = move || async move {
                            let item = ledger.item("output");
                            for _ in 0..round % 4 {
                                yield_now().await;
                            }
                            item
                        };
                        let mut handle = if round % 11 < 6 {
                            one.spawn(child())
                        } else {
                            one.scope(async move |below| below.spawn(child()).await)
                        };
                        if round % 3 != 0 && poll_once(&mut handle).await.is_ready() {
                            return;
                        }
                        if round % 5 == 0 {
                            yield_now().await;
                        }
                        // A sibling polls it with the scope's waker, with its own, and drops it or awaits it.
                        let sibling = one.spawn(async move {
                            let mut handle = handle;
                            for turn in 0..round % 7 {
                                let polled = if turn % 2 == 0 {
                                    Pin::new(&mut handle).poll(&mut Context::from_waker(&waker))
                                } else {
                                    poll_once(&mut handle).await
                                };
                                if polled.is_ready() {
                                    return;
                                }
                                if turn % 3 == 0 {
                                    yield_now().await;
                                }
                            }
                            if round % 4 == 1 && poll_elsewhere(&mut handle).is_ready() {
                                return;
                            }
                            if round % 4 == 0 { drop(handle) } else { drop(handle.await) }
                        });
                        if round % 2 == 0 {
                            sibling.await;
                        }
                    })
                    .await;
                });
            }
            ledger.assert_settled();
        });
    }
}

/// Polls the handle on a foreign thread, for which this one waits.
fn poll_elsewhere<T: Send>(handle: &mut JoinHandle<'_, T>) -> Poll<T> {
    let poll = || Pin::new(handle).poll(&mut Context::from_waker(Waker::noop()));
    std::thread::scope(|threads| threads.spawn(poll).join().unwrap())
}

#[test]
fn outputs_of_any_alignment_and_size_come_whole() {
    #[repr(align(4096))]
    struct Page([u8; 4096]);
    #[repr(align(512))]
    struct Nothing;
    each_runtime(|rt, ledger| {
        for _ in 0..50 {
            rt.block_on(async |root| {
                let page = root.scope(async |below| {
                    let filled = Page([7; 4096]);
                    yield_now().await;
                    below.scope(async move |_| filled).await
                });
                let small = root.spawn(async { Page([7; 4096]) });
                let large = root.spawn(async {
                    let filled = Page([7; 4096]);
                    yield_now().await;
                    u64::from(filled.0[4095])
                });
                let nothing = root.scope(async |_| {
                    yield_now().await;
                    Nothing
                });
                let item = root.scope(async |_| (ledger.item("output"), Nothing));
                let child = root.spawn(async { (Nothing, ledger.item("output")) });
                assert!([page.await, small.await].iter().all(|page| page.0.iter().all(|&byte| byte == 7)));
                assert_eq!(large.await, 7);
                assert_eq!(std::ptr::from_ref(&nothing.await).addr() % 512, 0);
                drop((item.await, child.await));
                drop(root.scope(async |_| (ledger.item("unwanted"), Page([1; 4096]))));
                drop(root.spawn(async { (ledger.item("unwanted"), Page([1; 4096])) }));
            });
        }
        ledger.assert_settled();
    });
}

#[test]
fn a_future_is_dropped_once_and_before_its_output_takes_its_place() {
    /// Futures of `SIZE` bytes and more that hold an item until they end, and give another.
    fn try_size<const SIZE: usize>(rt: &treescope::Runtime, ledger: &Ledger) {
        for polls in 0..3 {
            for fate in 0..3 {
                rt.block_on(async |root| {
                    root.scope(async move |scope| {
                        let gate = &*scope.alloc(Gate::new());
                        let child = scope.spawn(async move {
                            let held = ([polls; SIZE], ledger.item("captured"));
                            for _ in 0..polls {
                                yield_now().await;
                            }
                            if fate == 2 {
                                gate.pass().await;
                            }
                            ([held.0.len(); SIZE], ledger.item("output"))
                        });
                        match fate {
                            0 => drop(child),
                            1 => assert!(child.await.0.iter().all(|&len| len == SIZE)),
                            _ => {
                                yield_now().await;
                                scope.abort();
                            }
                        }
                    });
                });
            }
        }
    }
    each_runtime(|rt, ledger| {
        try_size::<0>(rt, ledger);
        try_size::<1>(rt, ledger);
        try_size::<100>(rt, ledger);
        try_size::<127>(rt, ledger);
        try_size::<128>(rt, ledger);
        try_size::<1000>(rt, ledger);
        try_size::<10_000>(rt, ledger);
        ledger.assert_settled();
    });
}

#[test]
fn an_output_is_dropped_once_whatever_the_wakers_of_its_handle_do_when_they_are_dropped() {
    for workers in [1, 2] {
        let rt = runtime(workers);
        watched(|| {
            for round in 0..1_000_u32 {
                let ledger = Ledger::new();
                rt.block_on(async |root| {
                    let ledger = &ledger;
                    root.scope(async move |scope| {
                        let output = ledger.item("output");
                        let mut handle = scope.spawn(async move {
                            (0..1_000 + round % 97 * 50).for_each(|_| std::hint::spin_loop());
                            output
                        });
                        // The child ends between a waker's leaving its place and the next one's coming there.
                        for _ in 0..200 {
                            let bomb = Waker::from(Arc::new(Bomb));
                            let polled = catch_unwind(AssertUnwindSafe(|| {
                                Pin::new(&mut handle).poll(&mut Context::from_waker(&bomb)).is_ready()
                            }));
                            // Another holds it while it is left.
                            let _ = catch_unwind(AssertUnwindSafe(|| drop(bomb)));
                            if matches!(polled, Ok(true)) {
                                break;
                            }
                        }
                        let _ = catch_unwind(AssertUnwindSafe(|| drop(handle)));
                    })
                    .await;
                });
                ledger.assert_settled();
            }
        });
    }
}
