//! Tools for misusing futures.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use treescope::JoinHandle;

/// A panic of the tests' own, thrown without the hook's message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Thrown(pub(crate) &'static str);

/// Panics with [`Thrown`].
pub(crate) fn throw(name: &'static str) -> ! {
    resume_unwind(Box::new(Thrown(name)))
}

/// Runs `attack`, which must panic, and gives the payload.
#[track_caller]
pub(crate) fn caught<R>(attack: impl FnOnce() -> R) -> Box<dyn Any + Send> {
    match catch_unwind(AssertUnwindSafe(attack)) {
        Ok(_) => panic!("returned where it should have panicked"),
        Err(payload) => payload,
    }
}

/// As [`caught`], for panics by [`throw`]: gives the name.
#[track_caller]
pub(crate) fn thrown<R>(attack: impl FnOnce() -> R) -> &'static str {
    let payload = caught(attack);
    match payload.downcast::<Thrown>() {
        Ok(thrown) => thrown.0,
        Err(other) => match other.downcast::<String>() {
            Ok(text) => panic!("another panic than expected: {text}"),
            Err(_) => panic!("another panic than expected"),
        },
    }
}

/// Polls a future once with the caller's own waker.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

/// Runs two futures to their ends, each polled only when a waker of its own has been woken, as sets of futures do.
pub(crate) async fn join_apart(one: impl Future + Send, other: impl Future + Send) {
    struct Part {
        woken: AtomicBool,
        task: Mutex<Option<Waker>>,
    }
    impl Wake for Part {
        fn wake(self: Arc<Self>) {
            self.woken.store(true, Ordering::SeqCst);
            if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
                task.wake();
            }
        }
    }
    let mut futures: [Option<Pin<Box<dyn Future<Output = ()> + Send + '_>>>; 2] =
        [Some(Box::pin(async { drop(one.await) })), Some(Box::pin(async { drop(other.await) }))];
    let parts = [(); 2].map(|()| Arc::new(Part { woken: AtomicBool::new(true), task: Mutex::new(None) }));
    std::future::poll_fn(|cx| {
        for part in &parts {
            *part.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        }
        for (future, part) in futures.iter_mut().zip(&parts) {
            let waker = Waker::from(part.clone());
            if part.woken.swap(false, Ordering::SeqCst)
                && let Some(running) = future
                && running.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
            {
                *future = None;
            }
        }
        if futures.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Drives a future on the current thread, without any runtime's help.
pub(crate) fn block_here<F: Future>(future: F) -> F::Output {
    struct Signal(Mutex<bool>, Condvar);
    impl Wake for Signal {
        fn wake(self: Arc<Self>) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.1.notify_one();
        }
    }
    let signal = Arc::new(Signal(Mutex::new(false), Condvar::new()));
    let waker = Waker::from(signal.clone());
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        let woken = signal.0.lock().unwrap_or_else(PoisonError::into_inner);
        let woken = signal.1.wait_while(woken, |woken| !*woken);
        *woken.unwrap_or_else(PoisonError::into_inner) = false;
    }
}

/// Waits for a child on the current thread; `None` if that ends with a panic that printed no message.
pub(crate) fn wait_here<T>(handle: JoinHandle<'_, T>) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(|| block_here(handle))) {
        Ok(value) => Some(value),
        Err(payload) => {
            assert!(!payload.is::<&str>() && !payload.is::<String>(), "a panic with a message");
            None
        }
    }
}

/// A door that tasks and threads wait at until somebody opens it.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    open: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Gate {
    pub(crate) const fn new() -> Self {
        Self { open: AtomicBool::new(false), waiting: Mutex::new(Vec::new()) }
    }

    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    /// How many polls have ended here.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits without blocking the thread.
    pub(crate) async fn pass(&self) {
        std::future::poll_fn(|cx| {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if self.is_open() {
                return Poll::Ready(());
            }
            waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Waits on the current thread. Turns round, for it is about other threads' progress.
    pub(crate) fn pass_here(&self) {
        while !self.is_open() {
            std::thread::yield_now();
        }
    }
}

/// A future that never ends and hands out its wakers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trap(Arc<Caught>);

#[derive(Debug, Default)]
struct Caught {
    wakers: Mutex<Vec<Waker>>,
    polls: AtomicUsize,
    released: AtomicBool,
}

impl Trap {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The wakers of all polls so far; those to come are caught anew.
    pub(crate) fn take(&self) -> Vec<Waker> {
        std::mem::take(&mut *self.0.wakers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn polls(&self) -> usize {
        self.0.polls.load(Ordering::SeqCst)
    }

    /// Lets the future end at its next poll.
    pub(crate) fn release(&self) {
        self.0.released.store(true, Ordering::SeqCst);
        self.take().into_iter().for_each(Waker::wake);
    }
}

impl Future for Trap {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut wakers = self.0.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.polls.fetch_add(1, Ordering::SeqCst);
        if self.0.released.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        wakers.push(cx.waker().clone());
        Poll::Pending
    }
}
