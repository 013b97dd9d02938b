//! The channel and its two sides.
//!
//! # Who touches what
//!
//! | what | whose |
//! |---|---|
//! | the place of the value | the sender's until [`State::send`], then the receiver's; the sender's again if that says that the receiver has gone |
//! | the waker | whoever takes it out of the [state](super::state), of which it is a part |
//! | the memory | whoever comes second: the receiver if it finds the sender's last word, the sender if it finds the receiver's |
//!
//! So a message is one swap for the sender, and for a receiver that has to wait one compare-and-swap and two loads.
//!
//! Rejected: the words of a [task's cell](crate::JoinHandle), which has a place beside its word for the waker and so needs a second
//! read-modify-write to say that it has been taken out. A waker of a task of this crate is its address, and fits in the word.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use super::state::{AfterEnd, Ended, Found, State};
use super::word::WakerWord;
use super::{RecvError, TryRecvError};
use crate::sched::budget;
use crate::sync::UnsafeCell;
use crate::task::cell::memory;

/// A channel for one value.
///
/// It is a word beside the value, in memory that the worker has put by, as it does with that of ended tasks, if there is any.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let at = memory::allocate_here::<Channel<T>>();
    let fresh = Channel { state: State::new(), value: UnsafeCell::new(MaybeUninit::uninit()) };
    // SAFETY: from `allocate_here`, for a channel.
    unsafe { at.write(fresh) };
    (Sender { at, _value: PhantomData }, Receiver { at: Some(at), _value: PhantomData })
}

struct Channel<T> {
    state: State,
    /// A cell, which makes both sides invariant in `T`: else a sender of shorter lived values could be made of one of longer lived ones.
    value: UnsafeCell<MaybeUninit<T>>,
}

impl<T> Channel<T> {
    /// Takes the value out, and frees the memory.
    ///
    /// # Safety
    /// Both are the caller's, the value has been written, and `at` is not used again.
    unsafe fn take(at: NonNull<Self>) -> T {
        // SAFETY: the caller's, by contract.
        let channel = unsafe { at.as_ref() };
        let value = channel.value.with(|place| {
            // SAFETY: as above.
            let place = unsafe { &*place };
            // SAFETY: written, by contract, and read once, for the memory goes.
            unsafe { place.assume_init_read() }
        });
        // SAFETY: by contract; the value has been taken out.
        unsafe { Self::free(at) };
        value
    }

    /// Takes what the sender has left, the value if there is one, and frees the memory.
    ///
    /// # Safety
    /// The caller is the receiver, which has found `ended`, and does not use `at` again.
    #[inline]
    unsafe fn ended(at: NonNull<Self>, ended: Ended) -> Result<T, RecvError> {
        match ended {
            // SAFETY: all is the receiver's, by `Ended`.
            Ended::Sent => Ok(unsafe { Self::take(at) }),
            Ended::GivenUp => {
                // SAFETY: as above, and nothing was written.
                unsafe { Self::free(at) };
                Err(RecvError)
            }
        }
    }

    /// Frees the memory.
    ///
    /// # Safety
    /// It is the caller's, there is no value in it, and `at` is not used again.
    unsafe fn free(at: NonNull<Self>) {
        #[cfg(loom)]
        {
            // For loom, which sees no memory go away: the last use of all that lies there.
            // SAFETY: by contract.
            let last = unsafe { &mut *at.as_ptr() };
            last.state.ends();
            last.value.with_mut(|_| ());
        }
        // SAFETY: by contract. (The value is a `MaybeUninit`, of which nothing is dropped.)
        unsafe { at.drop_in_place() };
        // SAFETY: from `allocate_here` for this type, and dropped.
        unsafe { memory::free(at) };
    }
}

/// Sends the value. See [`channel`].
///
/// Dropped without having sent one, it tells the receiver that none will come.
pub struct Sender<T> {
    /// Invariant: there until the sender's last word, [`State::send`] or [`State::give_up`], and after that as it says.
    at: NonNull<Channel<T>>,
    _value: PhantomData<T>,
}

// SAFETY: what it gives away is the value, and a waker, which is `Send`.
unsafe impl<T: Send> Send for Sender<T> {}
// SAFETY: a shared reference gives away whether there is a receiver.
unsafe impl<T> Sync for Sender<T> {}

impl<T> Sender<T> {
    fn channel(&self) -> &Channel<T> {
        // SAFETY: by the invariant of `at`: callers have yet to say their last word.
        unsafe { self.at.as_ref() }
    }

    /// Sends the value, and wakes the receiver if it waits.
    ///
    /// # Errors
    /// The value, if the receiver has been dropped. (That it has not is no promise that it will take the value.)
    #[inline]
    pub fn send(self, value: T) -> Result<(), T> {
        let sender = ManuallyDrop::new(self);
        sender.channel().value.with_mut(|place| {
            // SAFETY: the sender's until `send` below.
            unsafe { &mut *place }.write(value);
        });
        match sender.channel().state.send() {
            AfterEnd::Leave => Ok(()),
            AfterEnd::Wake(word) => {
                word.into_waker().wake();
                Ok(())
            }
            // SAFETY: the receiver has gone, so all is the sender's; written above, and the sender is forgotten.
            AfterEnd::Alone => Err(unsafe { Channel::take(sender.at) }),
        }
    }

    /// Whether the receiver has been dropped, so that nothing can be sent.
    pub fn is_closed(&self) -> bool {
        self.channel().state.is_closed()
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        match self.channel().state.give_up() {
            AfterEnd::Leave => {}
            AfterEnd::Wake(word) => word.into_waker().wake(),
            // SAFETY: the receiver has gone, so all is the sender's, who has written nothing and goes.
            AfterEnd::Alone => unsafe { Channel::free(self.at) },
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("closed", &self.is_closed()).finish()
    }
}

/// Receives the value, as a future. See [`channel`].
///
/// Dropped, it lets the sender know, who gets the value back; a value that has been sent is dropped with it. Ready polls count
/// against the task's share of a turn, as those of this crate's other futures do.
///
/// # Errors
/// [`RecvError`] if the sender was dropped without having sent anything.
///
/// # Panics
/// If it is polled again after it was ready.
#[must_use = "a receiver that is dropped lets the sender know"]
pub struct Receiver<T> {
    /// `None` once the sender's last word was found. Invariant: there until then, or until [`State::close`], and after that as it says.
    at: Option<NonNull<Channel<T>>>,
    _value: PhantomData<T>,
}

// SAFETY: as for the sender, of which it is the other side; the waker in the state is `Send`.
unsafe impl<T: Send> Send for Receiver<T> {}
// SAFETY: a shared reference gives away nothing.
unsafe impl<T> Sync for Receiver<T> {}

// The value is not pinned here; it lies in the channel.
impl<T> Unpin for Receiver<T> {}

impl<T> Receiver<T> {
    /// The value, if it has been sent.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if it has not, and [`TryRecvError::Closed`] if it will not.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let at = self.at.ok_or(TryRecvError::Closed)?;
        // SAFETY: by the invariant of `at`.
        match unsafe { at.as_ref() }.state.seen() {
            Found::Empty | Found::Awaited(_) => Err(TryRecvError::Empty),
            Found::Ended(ended) => self.ended(at, ended).map_err(|RecvError| TryRecvError::Closed),
        }
    }

    /// Takes what the sender has left. The sender has said its last word, by `ended`.
    #[inline]
    fn ended(&mut self, at: NonNull<Channel<T>>, ended: Ended) -> Result<T, RecvError> {
        self.at = None;
        // SAFETY: found by this receiver, which forgets `at`.
        unsafe { Channel::ended(at, ended) }
    }

    fn poll_recv(&mut self, cx: &Context<'_>) -> Poll<Result<T, RecvError>> {
        let Some(at) = self.at else { received() };
        // SAFETY: by the invariant of `at`.
        let state = unsafe { &at.as_ref().state };
        let before = match state.seen() {
            Found::Ended(ended) => return Poll::Ready(self.ended(at, ended)),
            Found::Awaited(left) if left.is_of(cx.waker()) => return Poll::Pending,
            Found::Awaited(left) => Some(left),
            Found::Empty => None,
        };
        match state.leave(before, WakerWord::new(cx.waker())) {
            Ok(()) => Poll::Pending,
            Err(ended) => Poll::Ready(self.ended(at, ended)),
        }
    }

    #[cold]
    fn close(at: NonNull<Channel<T>>) {
        // SAFETY: by the invariant of the field it was taken from.
        let found = unsafe { at.as_ref() }.state.close();
        match found {
            // The user's code, in a waker's or the value's drop, comes last: it may unwind.
            Found::Empty => {}
            Found::Awaited(waker) => drop(waker),
            // SAFETY: found by the receiver, from whose field `at` was taken.
            Found::Ended(ended) => drop(unsafe { Channel::ended(at, ended) }),
        }
    }
}

#[cold]
fn received() -> ! {
    panic!(
        "the value has been received, or the sender's end been seen: the receiver was polled after it was ready"
    )
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        budget::poll_spending(cx, |cx| self.poll_recv(cx))
    }
}

impl<T> Drop for Receiver<T> {
    #[inline]
    fn drop(&mut self) {
        // Most have been awaited: their drop should cost no more than this look.
        if let Some(at) = self.at.take() {
            Self::close(at);
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("received", &self.at.is_none()).finish()
    }
}
