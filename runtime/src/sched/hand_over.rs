//! A hint from a task: whom it wakes now goes on with what lies in the caches now.

use crate::context;

/// Calls `f`; the first task that it wakes goes next on this worker, ahead of those that were woken earlier.
///
/// For a task that hands something large to another: what has just been written is still in the processor's caches then.
/// Woken tasks otherwise run in the order in which they were woken, which is better for what is small, because much of it
/// gathers for a task until its turn comes.
///
/// It is a hint. On a thread that is no worker, or for a task that is awake already, it changes nothing, and another worker may
/// take the task first. Two tasks that hand over to each other for ever do not keep others from their turn: the bounds are the
/// same as for children just spawned.
///
/// # Panics
///
/// If `f` does.
///
/// # Examples
///
/// ```
/// use std::sync::Mutex;
/// use std::task::Waker;
///
/// /// The bytes for a task that writes them, and its waker while it waits for some.
/// type Outbox = Mutex<(Vec<u8>, Option<Waker>)>;
///
/// fn push(outbox: &Outbox, bytes: &[u8]) {
///     let mut guard = outbox.lock().unwrap();
///     guard.0.extend_from_slice(bytes);
///     let writer = guard.1.take();
///     drop(guard);
///     if let Some(writer) = writer {
///         if bytes.len() >= 16 << 10 { treescope::hand_over(|| writer.wake()) } else { writer.wake() }
///     }
/// }
/// # let outbox = Outbox::new((Vec::new(), Some(Waker::noop().clone())));
/// # push(&outbox, &[0; 16 << 10]);
/// # assert_eq!(outbox.lock().unwrap().0.len(), 16 << 10);
/// ```
pub fn hand_over<R>(f: impl FnOnce() -> R) -> R {
    let _restored = Restored { ahead: context::with_worker(|worker| worker.let_ahead(1)) };
    f()
}

/// Ends the hint when dropped, if this thread is a worker.
struct Restored {
    ahead: Option<u32>,
}

impl Drop for Restored {
    fn drop(&mut self) {
        if let Some(ahead) = self.ahead {
            // The same worker: whoever has entered another context meanwhile has left it.
            context::with_worker(|worker| worker.let_ahead(ahead));
        }
    }
}
