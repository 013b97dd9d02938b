//! The router's protocol as pure functions of bytes: no socket, no clock, no runtime.
//!
//! On accept the server sends the client its id, a `u32`, as four bytes, big-endian. After that
//!
//! ```text
//! client to server   [receiver's id: u32, big-endian] [payload: bytes that are not 0x00 ..] [0x00]
//! server to client                                    [payload ..................................] [0x00]
//! ```
//!
//! The four bytes of an id may contain 0x00; a payload may be empty and cannot contain it. [`Frames`]
//! finds the frames in bytes that lie together; [`Inbox`] makes received bytes lie together and keeps
//! what is not consumed yet.

mod frames;
mod inbox;

pub use frames::{Frames, Run, TooLong};
pub use inbox::Inbox;

/// The length of the id that the server greets with, and that every frame starts with.
pub const ID_BYTES: usize = 4;

/// What ends a frame.
pub const END: u8 = 0;

/// The server's greeting: the client's own id.
pub fn greeting(id: u32) -> [u8; ID_BYTES] {
    id.to_be_bytes()
}

/// Appends a frame, as a client sends it, to `out`.
///
/// # Panics
///
/// If `payload` contains [`END`].
pub fn encode(to: u32, payload: &[u8], out: &mut Vec<u8>) {
    assert!(!payload.contains(&END), "a payload cannot contain the byte that ends it");
    out.extend_from_slice(&to.to_be_bytes());
    out.extend_from_slice(payload);
    out.push(END);
}
