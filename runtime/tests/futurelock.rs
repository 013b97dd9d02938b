//! What abort means for those who hold something, and that a busy parent holds up nobody.
//!
//! "Futurelock": a future that holds a lock, or a place in a lock's queue, and is not polled, because the task that owns
//! it waits for something else, which in turn waits for that lock. Children of a scope are tasks of their own: nobody has to
//! poll them, so a parent that is busy elsewhere does not stop them.

mod common;

use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Mutex as StdMutex;
use std::task::{Poll, Waker};
use std::time::Duration;

use common::{each_virtual_runtime, three_deep};
use treescope::time::{now, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// An async lock that is handed to those who wait in their order, as tokio's is: what makes a futurelock.
#[derive(Default)]
struct FairLock(StdMutex<Queue>);

#[derive(Default)]
struct Queue {
    taken: bool,
    next: u64,
    waiting: VecDeque<(u64, bool, Waker)>,
}

struct Guard<'a>(&'a FairLock);

impl FairLock {
    async fn lock(&self) -> Guard<'_> {
        let mut ticket = None;
        poll_fn(|cx| {
            let mut queue = self.0.lock().unwrap();
            match ticket {
                None if !queue.taken => queue.taken = true,
                None => {
                    ticket = Some(queue.next);
                    let entry = (queue.next, false, cx.waker().clone());
                    queue.next += 1;
                    queue.waiting.push_back(entry);
                    return Poll::Pending;
                }
                Some(number) => {
                    let place =
                        queue.waiting.iter().position(|(other, ..)| *other == number).expect("it waits");
                    if !queue.waiting[place].1 {
                        queue.waiting[place].2 = cx.waker().clone();
                        return Poll::Pending;
                    }
                    queue.waiting.remove(place);
                }
            }
            Poll::Ready(Guard(self))
        })
        .await
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.0.lock().unwrap();
        match queue.waiting.iter_mut().find(|(_, granted, _)| !granted) {
            Some((_, granted, waker)) => {
                *granted = true;
                waker.wake_by_ref();
            }
            None => queue.taken = false,
        }
    }
}

#[test]
fn parent_that_is_busy_elsewhere_does_not_stop_a_child_that_holds_a_lock() {
    each_virtual_runtime(|runtime, ledger| {
        let lock = &FairLock::default();
        let elapsed = three_deep!(runtime, async |scope| {
            let start = now();
            scope
                .scope(async move |scope| {
                    // Somebody holds the lock, and the child waits for it, first in its queue.
                    scope.spawn(async {
                        let _guard = lock.lock().await;
                        sleep(5 * SECOND).await;
                    });
                    treescope::yield_now().await;
                    let child = scope.spawn(async {
                        sleep(SECOND).await;
                        let _guard = lock.lock().await;
                        ledger.mark("child had the lock");
                    });
                    // The parent gives up waiting for the child, keeps its handle, polls it no more, and wants the lock.
                    let mut child = pin!(child);
                    assert!(timeout(2 * SECOND, child.as_mut()).await.is_err());
                    let _guard = lock.lock().await;
                    ledger.mark("parent had the lock");
                })
                .await;
            now() - start
        });
        assert_eq!(elapsed, 5 * SECOND);
        ledger.assert_order("child had the lock", "parent had the lock");
    });
}

/// What the test above would be if the child were a future of the parent's instead of a child. That it locks up shows
/// that the lock can, and that the test above can fail.
#[test]
fn future_that_its_task_does_not_poll_does_lock_up() {
    each_virtual_runtime(|runtime, _| {
        let lock = &FairLock::default();
        let locked_up = three_deep!(runtime, async |scope| {
            let outcome = scope.scope(async move |scope| {
                scope.spawn(async {
                    let _guard = lock.lock().await;
                    sleep(5 * SECOND).await;
                });
                treescope::yield_now().await;
                let mut future = pin!(async {
                    sleep(SECOND).await;
                    drop(lock.lock().await);
                });
                assert!(timeout(2 * SECOND, future.as_mut()).await.is_err());
                timeout(1000 * SECOND, lock.lock()).await.is_err()
            });
            outcome.await
        });
        assert!(locked_up);
    });
}

#[test]
fn abort_releases_a_lock_held_across_an_await_before_the_scope_is_over() {
    each_virtual_runtime(|runtime, _| {
        let lock = &FairLock::default();
        let elapsed = three_deep!(runtime, async |scope| {
            let start = now();
            let timed = scope.deadline(start + SECOND, async move |scope| {
                scope.spawn(async {
                    let _guard = lock.lock().await;
                    pending::<()>().await
                });
                // Waits in the lock's queue, and is dropped there.
                scope.spawn(async { drop(lock.lock().await) });
                pending::<()>().await
            });
            assert!(timed.await.is_err());
            now() - start
        });
        assert_eq!(elapsed, SECOND);
        // The grant that came while the waiter was being dropped is this toy's own matter; a real lock hands it on.
        assert!(lock.0.lock().unwrap().waiting.len() <= 1);
    });
}

/// Half of what was asked for has been read when the abort comes; the bytes are gone with the future.
#[test]
fn abort_in_the_middle_of_a_read_loses_what_was_read() {
    each_virtual_runtime(|runtime, _| {
        let source = &StdMutex::new((0..8_u8).collect::<VecDeque<_>>());
        let read_exact = async |n: usize| {
            let mut read = Vec::new();
            while read.len() < n {
                read.extend(source.lock().unwrap().pop_front());
                sleep(SECOND).await;
            }
            read
        };
        let kept = &StdMutex::new(Vec::new());
        let lost = three_deep!(runtime, async |scope| {
            let late = now() + 2 * SECOND + SECOND / 2;
            let lost = scope.deadline(late, async move |_| read_exact(6).await).await.is_err();
            // Shielded, the read is either done or not begun.
            scope.scope(async move |outer| {
                outer.open().shield(60 * SECOND).scope(async move |_| {
                    let read = read_exact(3).await;
                    kept.lock().unwrap().extend(read);
                });
                sleep(SECOND + SECOND / 2).await;
                outer.abort();
            });
            lost
        });
        assert!(lost);
        assert_eq!(*kept.lock().unwrap(), [3, 4, 5]);
        assert_eq!(source.lock().unwrap().len(), 2);
    });
}
