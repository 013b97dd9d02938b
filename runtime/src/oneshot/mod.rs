//! A channel for one value: from one task, of any scope or thread, to another.
//!
//! What a child gives to the scope above comes by its [`JoinHandle`](crate::JoinHandle) and needs no channel. This is for what goes
//! another way: a question to a sibling, and its answer.
//!
//! ```
//! # let runtime = treescope::Runtime::new()?;
//! use treescope::oneshot;
//!
//! let words = String::from("borrowed by both");
//! runtime.block_on(async |scope| {
//!     let (ask, asked) = oneshot::channel::<&str>();
//!     let (answer, answered) = oneshot::channel();
//!     scope.spawn(async move {
//!         if let Ok(words) = asked.await {
//!             // Fails if nobody waits for it any more.
//!             let _ = answer.send(words.len());
//!         }
//!     });
//!     ask.send(&words).unwrap();
//!     assert_eq!(answered.await, Ok(16));
//! });
//! # Ok::<(), std::io::Error>(())
//! ```

mod channel;
mod state;
mod word;

use std::error::Error;
use std::fmt;

pub use channel::{Receiver, Sender, channel};

/// The sender was dropped without having sent anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the channel's sender was dropped without having sent anything")
    }
}

impl Error for RecvError {}

/// Why there is nothing to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// Nothing has been sent yet.
    Empty,
    /// Nothing will come: the sender was dropped without having sent anything, or the value has been received.
    Closed,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "nothing has been sent yet",
            Self::Closed => "nothing will be sent",
        })
    }
}

impl Error for TryRecvError {}
