//! A checker's primitives, loom's or shuttle's, as [`sync`](super) offers them, each able to fail on request
//! ([`fault`](super::fault)).
//!
//! Beyond loom's own checks, an atomic's end counts as an access here: a thread that may still touch a word when its
//! memory is freed is found even if no later access happens to read garbage. shuttle knows neither orderings nor races; its
//! cell is a plain one.

use std::sync::atomic::Ordering;
use std::sync::{Arc as StdArc, Mutex as StdMutex};

use super::fault::{Plan, came_to, note, plan};

#[cfg(loom)]
pub(crate) use loom as checker;
#[cfg(shuttle)]
pub(crate) use shuttle as checker;

pub(crate) use checker::hint::spin_loop;
pub(crate) use checker::sync::{Arc, MutexGuard};
#[cfg(loom)]
pub(crate) use loom::cell::UnsafeCell;

/// `core`'s cell behind loom's interface.
#[cfg(shuttle)]
#[derive(Debug, Default)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(shuttle)]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

macro_rules! thread_local_const {
    (static $name:ident: $ty:ty = $init:expr;) => {
        crate::sync::checker::thread_local! {
            static $name: $ty = $init;
        }
    };
}
pub(crate) use thread_local_const;

pub(crate) mod atomic {
    use super::{Plan, came_to, checker, plan};
    pub(crate) use std::sync::atomic::Ordering;

    #[track_caller]
    pub(crate) fn fence(order: Ordering) {
        match plan("fence", [order]) {
            Plan::Do([Ordering::Relaxed]) | Plan::Remove | Plan::Split(_) => {}
            Plan::Do([order]) => checker::sync::atomic::fence(order),
        }
    }

    /// loom's atomic `$name` over `$value`, with the read-modify-writes listed.
    macro_rules! atomic {
        ($name:ident $(<$param:ident>)?, $value:ty, $zero:expr, { $($rmw:ident: $step:expr),* $(,)? }) => {
            #[derive(Debug)]
            pub(crate) struct $name $(<$param>)? (checker::sync::atomic::$name $(<$param>)?);

            #[allow(dead_code)]
            impl $(<$param>)? $name $(<$param>)? {
                #[track_caller]
                pub(crate) fn new(value: $value) -> Self {
                    Self(checker::sync::atomic::$name::new(value))
                }

                #[track_caller]
                pub(crate) fn load(&self, order: Ordering) -> $value {
                    let result = match plan("load", [order]) {
                        Plan::Do([order]) | Plan::Split([order]) => self.0.load(order),
                        Plan::Remove => $zero,
                    };
                    came_to(&result);
                    result
                }

                #[track_caller]
                pub(crate) fn store(&self, value: $value, order: Ordering) {
                    match plan("store", [order]) {
                        Plan::Do([order]) | Plan::Split([order]) => self.0.store(value, order),
                        Plan::Remove => {}
                    }
                }

                #[track_caller]
                pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                    let result = match plan("swap", [order]) {
                        Plan::Do([order]) => self.0.swap(value, order),
                        Plan::Remove => self.0.load(Ordering::Acquire),
                        Plan::Split(_) => self.split(|_| value),
                    };
                    came_to(&result);
                    result
                }

                #[track_caller]
                pub(crate) fn compare_exchange(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    let result = match plan("compare_exchange", [success, failure]) {
                        Plan::Do([success, failure]) => {
                            self.0.compare_exchange(current, new, success, failure)
                        }
                        // Says that it succeeded, and changes nothing.
                        Plan::Remove => Ok(current),
                        Plan::Split(_) => {
                            let before = self.0.load(Ordering::Acquire);
                            if before != current {
                                return Err(before);
                            }
                            self.0.store(new, Ordering::Release);
                            Ok(before)
                        }
                    };
                    came_to(&result);
                    result
                }

                #[track_caller]
                pub(crate) fn compare_exchange_weak(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    self.compare_exchange(current, new, success, failure)
                }

                #[track_caller]
                pub(crate) fn fetch_update(
                    &self,
                    set: Ordering,
                    fetch: Ordering,
                    f: impl FnMut($value) -> Option<$value>,
                ) -> Result<$value, $value> {
                    let result = match plan("fetch_update", [set, fetch]) {
                        Plan::Do([set, fetch]) => self.0.fetch_update(set, fetch, f),
                        Plan::Remove => Ok(self.0.load(Ordering::Acquire)),
                        Plan::Split(_) => {
                            let mut f = f;
                            let before = self.0.load(Ordering::Acquire);
                            let after = f(before).ok_or(before)?;
                            self.0.store(after, Ordering::Release);
                            Ok(before)
                        }
                    };
                    came_to(&result);
                    result
                }

                fn split(&self, step: impl FnOnce($value) -> $value) -> $value {
                    let before = self.0.load(Ordering::Acquire);
                    self.0.store(step(before), Ordering::Release);
                    before
                }

                $(
                    #[track_caller]
                    pub(crate) fn $rmw(&self, value: $value, order: Ordering) -> $value {
                        let result = match plan(stringify!($rmw), [order]) {
                            Plan::Do([order]) => self.0.$rmw(value, order),
                            Plan::Remove => self.0.load(Ordering::Acquire),
                            Plan::Split(_) => {
                                let step: fn($value, $value) -> $value = $step;
                                self.split(|before| step(before, value))
                            }
                        };
                        came_to(&result);
                        result
                    }
                )*
            }
        };
    }

    macro_rules! atomic_int {
        ($name:ident, $value:ty) => {
            atomic!($name, $value, 0, {
                fetch_add: |a, b| a.wrapping_add(b),
                fetch_sub: |a, b| a.wrapping_sub(b),
                fetch_and: |a, b| a & b,
                fetch_or: |a, b| a | b,
                fetch_xor: |a, b| a ^ b,
                fetch_max: |a, b| a.max(b),
                fetch_min: |a, b| a.min(b),
            });

            #[cfg(loom)]
            impl Drop for $name {
                fn drop(&mut self) {
                    self.0.with_mut(|_| ());
                }
            }
        };
    }

    atomic_int!(AtomicU32, u32);
    atomic_int!(AtomicU64, u64);
    atomic_int!(AtomicUsize, usize);
    // Their ends are no accesses: loom's `AtomicBool` cannot say so, and there is a pointer per slot of a ring.
    atomic!(AtomicBool, bool, false, {
        fetch_and: |a, b| a & b,
        fetch_or: |a, b| a | b,
        fetch_xor: |a, b| a ^ b,
    });
    atomic!(AtomicPtr<T>, *mut T, std::ptr::null_mut(), {});
}

/// A model's failure, with a report: models end the process at a panic.
pub(crate) fn internal_error(what: &str) -> ! {
    panic!("internal error: {what}")
}

/// A pointer that many read and one of them wins.
///
/// A read that won must happen before the next write, or the processor may perform it after that write and give what
/// was put there later. In an interleaving the read has been performed by then, whatever the orderings, so loom by itself
/// sees nothing. So every read leaves a witness, a cell that it reads; if it won, the next write of the slot writes the
/// witness too, and loom reports a race unless the orderings put the one before the other.
#[derive(Debug)]
pub(crate) struct Slot {
    pointer: atomic::AtomicPtr<()>,
    /// Reads that won since the last write. Not loom's lock, which would order what it is to check.
    won: StdArc<StdMutex<Vec<UnsafeCell<()>>>>,
}

/// What was read from a slot.
#[must_use]
#[derive(Debug)]
pub(crate) struct Read {
    pointer: *mut (),
    witness: UnsafeCell<()>,
    won: StdArc<StdMutex<Vec<UnsafeCell<()>>>>,
}

impl Slot {
    pub(crate) fn empty() -> Self {
        Self { pointer: atomic::AtomicPtr::new(std::ptr::null_mut()), won: StdArc::default() }
    }

    #[track_caller]
    pub(crate) fn read(&self, order: Ordering) -> Read {
        let pointer = self.pointer.load(order);
        let witness = UnsafeCell::new(());
        witness.with(|_| ());
        Read { pointer, witness, won: self.won.clone() }
    }

    #[track_caller]
    pub(crate) fn write(&self, pointer: *mut (), order: Ordering) {
        let won = self.won.lock().map(|mut won| std::mem::take(&mut *won)).unwrap_or_default();
        for witness in won {
            witness.with_mut(|_| ());
        }
        self.pointer.store(pointer, order);
    }
}

impl Read {
    pub(crate) fn won(self) -> *mut () {
        if let Ok(mut won) = self.won.lock() {
            won.push(self.witness);
        }
        self.pointer
    }

    pub(crate) fn copied(self) -> *mut () {
        self.pointer
    }
}

/// The checker's lock with `parking_lot`'s signature: no poisoning. A model that panics has failed anyway.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(checker::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(checker::sync::Mutex::new(value))
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        note(format_args!("lock"));
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A lock that is only ever tried.
///
/// Not loom's own `try_lock`: a thread that is about to try while another locks is blocked there as if it were about
/// to wait, which gives deadlocks that do not exist (loom 0.7.3, `rt/mutex.rs`, `post_acquire`).
#[derive(Debug)]
pub(crate) struct TryLock<T> {
    taken: checker::sync::atomic::AtomicBool,
    /// Locked only by whoever has set `taken`.
    value: Mutex<T>,
}

/// See [`TryLock`].
#[derive(Debug)]
pub(crate) struct TryLockGuard<'a, T> {
    lock: &'a TryLock<T>,
    /// `None` only while it is dropped.
    value: Option<MutexGuard<'a, T>>,
}

impl<T> TryLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { taken: checker::sync::atomic::AtomicBool::new(false), value: Mutex::new(value) }
    }

    #[track_caller]
    pub(crate) fn try_lock(&self) -> Option<TryLockGuard<'_, T>> {
        let taken = self.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        taken.ok().map(|_| TryLockGuard { lock: self, value: Some(self.value.lock()) })
    }
}

impl<T> std::ops::Deref for TryLockGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.value {
            Some(value) => value,
            None => unreachable!("taken by its drop only"),
        }
    }
}

impl<T> std::ops::DerefMut for TryLockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.value {
            Some(value) => value,
            None => unreachable!("taken by its drop only"),
        }
    }
}

impl<T> Drop for TryLockGuard<'_, T> {
    fn drop(&mut self) {
        self.value = None;
        self.lock.taken.store(false, Ordering::Release);
    }
}

/// The checker's threads, but for `park` and `unpark`.
///
/// In loom one token serves a thread's `park` and its waits for locks and condition variables, so that an `unpark`
/// that comes early ends such a wait, and the next notification goes to a thread that waits no more: wake-ups are
/// lost that `std` would not lose (loom 0.7.3, `rt/condvar.rs`). Here the token is a flag of its own.
pub(crate) mod thread {
    use super::{Arc, Condvar, Mutex, Plan, checker, plan, wait};

    #[cfg(loom)] // Models start threads; the runtime itself names them.
    pub(crate) use checker::thread::spawn;
    pub(crate) use checker::thread::{Builder, JoinHandle, ThreadId, yield_now};

    #[derive(Debug, Default)]
    struct Token {
        given: Mutex<bool>,
        changed: Condvar,
    }

    crate::sync::checker::thread_local! {
        static TOKEN: Arc<Token> = Arc::default();
    }

    #[derive(Clone, Debug)]
    pub(crate) struct Thread {
        id: ThreadId,
        token: Arc<Token>,
    }

    impl Thread {
        pub(crate) fn id(&self) -> ThreadId {
            self.id
        }

        #[track_caller]
        pub(crate) fn unpark(&self) {
            if let Plan::Do([]) = plan("unpark", []) {
                *self.token.given.lock() = true;
                self.token.changed.notify_one();
            }
        }
    }

    pub(crate) fn current() -> Thread {
        Thread { id: checker::thread::current().id(), token: TOKEN.with(Clone::clone) }
    }

    #[track_caller]
    pub(crate) fn park() {
        TOKEN.with(|token| {
            let mut given = token.given.lock();
            while !*given {
                given = wait(&token.changed, given);
            }
            *given = false;
        });
    }
}

/// The checker's condition variable. A removed notification is the classic lost wake-up.
#[derive(Debug, Default)]
pub(crate) struct Condvar(checker::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(checker::sync::Condvar::new())
    }

    #[track_caller]
    pub(crate) fn notify_one(&self) {
        if let Plan::Do([]) = plan("notify_one", []) {
            self.0.notify_one();
        }
    }

    #[track_caller]
    pub(crate) fn notify_all(&self) {
        if let Plan::Do([]) = plan("notify_all", []) {
            self.0.notify_all();
        }
    }
}

#[track_caller]
pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    note(format_args!("wait for a notification"));
    condvar.0.wait(guard).unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Models cannot ask; they keep every thread to be joined.
pub(crate) fn is_finished(_: &thread::JoinHandle<()>) -> bool {
    false
}

/// Models know no time: waits without a limit.
#[track_caller]
pub(crate) fn wait_timeout<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    _: std::time::Duration,
) -> (MutexGuard<'a, T>, bool) {
    (wait(condvar, guard), false)
}
