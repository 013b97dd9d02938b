//! Calling wakers that belong to anyone.
//!
//! A waker is user code: it may block, re-enter the driver, or panic. The two rules kept here: it is called
//! with no lock of the driver's held (its callers see to that), and its panic stops at the call.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Wakes, and swallows a panic of the waker.
///
/// It is not raised again, for there is nobody to raise it to: the thread that calls is a worker that
/// happens to poll, or a task that took another's place in a queue. Either would die for a stranger's
/// mistake, and the wakers that are still due would die with it. The panic hook has reported it by then.
pub(super) fn wake(waker: Waker) {
    swallow(|| waker.wake());
}

/// Wakes all of them in order, leaving the buffer empty and its memory in place.
pub(super) fn wake_all(due: &mut Vec<Waker>) -> usize {
    let count = due.len();
    due.drain(..).for_each(wake);
    count
}

fn swallow(call: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(call)) {
        // The payload's own drop may panic too; a second payload is leaked rather than chased.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
pub(super) mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    /// Counts its calls.
    #[derive(Default)]
    pub(crate) struct Count(AtomicUsize);

    impl Count {
        pub(crate) fn new() -> (Arc<Self>, Waker) {
            let count = Arc::new(Self::default());
            (count.clone(), Waker::from(count))
        }

        pub(crate) fn get(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Panics when called, with a payload that panics when dropped. The second payload, which is leaked, takes no
    /// memory: LeakSanitizer has nothing to report.
    pub(crate) struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                std::panic::resume_unwind(Box::new(()));
            }
        }
    }

    pub(crate) struct Panicking;

    impl Wake for Panicking {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new(Bomb));
        }
    }

    #[test]
    fn a_panicking_waker_loses_no_other() {
        let (count, waker) = Count::new();
        let mut due = vec![waker.clone(), Waker::from(Arc::new(Panicking)), waker];
        assert_eq!(wake_all(&mut due), 3);
        assert_eq!(count.get(), 2);
        assert!(due.is_empty());
    }
}
