//! TCP: [`TcpListener`] and [`TcpStream`].
//!
//! ```
//! use treescope::net::{TcpListener, TcpStream};
//!
//! treescope::block_on(async |scope| {
//!     let listener = &*scope.alloc(TcpListener::bind("127.0.0.1:0")?);
//!     let address = listener.local_addr()?;
//!     scope.spawn(async move {
//!         let (stream, _) = listener.accept().await?;
//!         stream.write(b"hello").await
//!     });
//!     let stream = TcpStream::connect(address).await?;
//!     let mut greeting = [0; 5];
//!     stream.read(&mut greeting).await?;
//!     assert_eq!(&greeting, b"hello");
//!     std::io::Result::Ok(())
//! })
//! # .unwrap();
//! ```
//!
//! A socket is registered once, for both directions and edge-triggered, with the driver of the runtime in which
//! it was made (an accepted one: with its listener's), and is served by that one wherever it is moved. Making one
//! outside a runtime is an error of kind [`Other`](io::ErrorKind::Other). Once its runtime has ended, a call
//! that would have to wait never completes; those that would not still do.
//!
//! All operations take `&self`, so a reader and a writer may borrow one stream. Any number of tasks may wait for
//! one direction; each event wakes all of them. Above 32 at once they begin to wake each other to make room.
//!
//! What an operation costs: one system call when the socket is ready. A read that gets less than it asked for is
//! taken on Linux as proof that no more is there, so a request-response exchange pays one `recv` per message.
//! (Sockets whose reads stop at record boundaries, such as kernel TLS, are therefore not supported by `from_std`.)
//!
//! Linux is first class. macOS works through the same crates. Windows is not supported.

mod listener;
mod split;
mod stream;

use std::io;

pub use listener::TcpListener;
pub use split::{ReadHalf, WriteHalf};
pub use stream::TcpStream;

use crate::context;
use crate::driver::Driver;
use crate::sync::Arc;

fn current_driver() -> io::Result<Arc<Driver>> {
    context::with_driver(Arc::clone).ok_or_else(|| {
        io::Error::other(
            "no treescope runtime serves this thread: make sockets inside `treescope::block_on` or `Runtime::block_on`",
        )
    })
}

#[cfg(test)]
mod tests;
