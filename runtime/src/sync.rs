//! The only import point for atomics, cells, locks and threads.
//!
//! In a normal build these are `core`'s, `parking_lot`'s and `std`'s; under `cfg(loom)` they are loom's, under
//! `cfg(shuttle)` shuttle's, so that `loom-tests/` explores the code that ships and not a copy of it. A module that names
//! `std::sync::atomic` directly is invisible to the checkers, which is why none does for what it synchronises by.
//!
//! Two shapes differ from `std`'s. [`UnsafeCell`]: access goes through `with` and `with_mut`, as loom needs to see where an
//! access begins and ends. And [`Slot`]: a read that may come to nothing says when it has come to something.

#[cfg(not(any(loom, shuttle)))]
mod imp {
    pub(crate) use std::hint::spin_loop;
    pub(crate) use std::sync::Arc;
    pub(crate) use std::thread;

    /// A thread-local that needs neither initialisation nor destructor.
    macro_rules! thread_local_const {
        (static $name:ident: $ty:ty = $init:expr;) => {
            std::thread_local! {
                static $name: $ty = const { $init };
            }
        };
    }
    pub(crate) use thread_local_const;

    pub(crate) mod atomic {
        pub(crate) use std::sync::atomic::{
            AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
        };
    }

    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};

    /// A lock that is only ever tried. A type of its own for loom, whose `try_lock` may wait.
    pub(crate) type TryLock<T> = Mutex<T>;
    pub(crate) type TryLockGuard<'a, T> = MutexGuard<'a, T>;

    /// Whether the thread has ended.
    pub(crate) fn is_finished(thread: &thread::JoinHandle<()>) -> bool {
        thread.is_finished()
    }

    /// Waits on `condvar`, giving the lock up meanwhile. Spurious returns happen: callers loop.
    pub(crate) fn wait<'a, T>(condvar: &Condvar, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        condvar.wait(&mut guard);
        guard
    }

    /// Waits on `condvar` for at most `limit`; `true` if that ran out.
    pub(crate) fn wait_timeout<'a, T>(
        condvar: &Condvar,
        mut guard: MutexGuard<'a, T>,
        limit: std::time::Duration,
    ) -> (MutexGuard<'a, T>, bool) {
        let timed_out = condvar.wait_for(&mut guard, limit).timed_out();
        (guard, timed_out)
    }

    /// Ends the process: going on would break a rule on which memory safety rests.
    #[cold]
    pub(crate) fn internal_error(what: &str) -> ! {
        eprintln!("treescope: internal error: {what}");
        std::process::abort()
    }

    /// A pointer that many read and one of them wins; see `sched/deque.rs`.
    #[derive(Debug)]
    #[repr(transparent)]
    pub(crate) struct Slot(atomic::AtomicPtr<()>);

    /// What was read from a slot. It means something only to whoever then wins the slot's index.
    #[must_use]
    #[derive(Debug)]
    pub(crate) struct Read(*mut ());

    impl Slot {
        /// So many empty ones.
        pub(crate) fn many(len: usize) -> Box<[Self]> {
            let zeroed = Box::new_zeroed_slice(len);
            // SAFETY: a slot is laid out as the pointer in it, and a null pointer is all zeroes.
            unsafe { zeroed.assume_init() }
        }

        #[inline(always)]
        pub(crate) fn read(&self, order: atomic::Ordering) -> Read {
            Read(self.0.load(order))
        }

        /// Every read that won must come before; the models check that it does.
        #[inline(always)]
        pub(crate) fn write(&self, pointer: *mut (), order: atomic::Ordering) {
            self.0.store(pointer, order);
        }
    }

    impl Read {
        /// The reader has won.
        #[inline(always)]
        pub(crate) fn won(self) -> *mut () {
            self.0
        }

        /// For another slot of the same index. Nobody has won anything by that.
        #[inline(always)]
        pub(crate) fn copied(self) -> *mut () {
            self.0
        }
    }

    /// `core`'s cell behind loom's interface.
    #[derive(Debug, Default)]
    #[repr(transparent)]
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        /// Hands out the pointer for reading. Dereferencing it is the caller's `unsafe` to argue.
        #[inline(always)]
        #[allow(dead_code)]
        pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Hands out the pointer for writing. Dereferencing it is the caller's `unsafe` to argue.
        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

#[cfg(any(loom, shuttle))]
#[cfg_attr(shuttle, allow(dead_code))] // What a run was is told to models only.
pub(crate) mod fault;
#[cfg(any(loom, shuttle))]
#[path = "sync/checked.rs"]
mod imp;

pub(crate) use imp::*;
