//! A checker's primitives, loom's or shuttle's, as [`sync`](super) offers them, each able to fail on request
//! ([`fault`](super::fault)).
//!
//! Beyond loom's own checks, an atomic's end counts as an access here: a thread that may still touch a word when its
//! memory is freed is found even if no later access happens to read garbage. And memory that has an atomic or a lock in it
//! must have been freed when an execution ends. shuttle knows neither orderings nor races nor leaks; its cell is a plain
//! one.

use std::sync::atomic::Ordering;
use std::sync::{Arc as StdArc, Mutex as StdMutex};

use super::fault::{Plan, note, plan};

#[cfg(loom)]
pub(crate) use loom as checker;
#[cfg(shuttle)]
pub(crate) use shuttle as checker;

pub(crate) use checker::hint::spin_loop;
pub(crate) use checker::sync::{Arc, MutexGuard};
#[cfg(loom)]
pub(crate) use loom::cell::UnsafeCell;

/// Lies in every atomic and lock: what holds it has not been leaked, or loom says so.
#[cfg(loom)]
type Tracked = loom::alloc::Track<()>;
#[cfg(shuttle)]
type Tracked = ();

#[track_caller]
fn tracked() -> Tracked {
    #[cfg(loom)]
    loom::alloc::Track::new(())
}

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

#[path = "atomic_checked.rs"]
pub(crate) mod atomic;

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
    fn empty() -> Self {
        Self { pointer: atomic::AtomicPtr::new(std::ptr::null_mut()), won: StdArc::default() }
    }

    pub(crate) fn many(len: usize) -> Box<[Self]> {
        (0..len).map(|_| Self::empty()).collect()
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
#[derive(Debug)]
pub(crate) struct Mutex<T> {
    inner: checker::sync::Mutex<T>,
    _leaks: Tracked,
}

impl<T: Default> Default for Mutex<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Mutex<T> {
    #[track_caller]
    pub(crate) fn new(value: T) -> Self {
        Self { inner: checker::sync::Mutex::new(value), _leaks: tracked() }
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        note(format_args!("lock"));
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
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
