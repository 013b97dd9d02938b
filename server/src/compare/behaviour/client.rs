//! Clients that are written out step by step. Nothing here waits for longer than it says.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::Seen;
use crate::load::greeted;
use crate::protocol::{END, encode};

/// How long a server may take for what should take no time.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Client {
    pub(super) socket: TcpStream,
    pub(super) id: u32,
}

impl Client {
    /// The `n`th client.
    pub(super) fn connect(addr: SocketAddr, n: usize) -> Seen<Self> {
        let (socket, id) = greeted(addr, n, PATIENCE).map_err(|error| error.to_string())?;
        Ok(Client { socket, id })
    }

    /// Sends `payload` to `to`, and waits there until it arrives; gives how long it took. `None` if it does not
    /// within [`PATIENCE`].
    pub(super) fn ping(&mut self, to: &mut Client, payload: &[u8]) -> Option<Duration> {
        let mut frame = Vec::new();
        encode(to.id, payload, &mut frame);
        let began = Instant::now();
        self.socket.set_write_timeout(Some(PATIENCE)).ok()?;
        self.socket.write_all(&frame).ok()?;
        to.receive(payload, began + PATIENCE)?;
        Some(began.elapsed())
    }

    /// Sends to `to` so many frames with a payload of `len` bytes.
    pub(super) fn send(&mut self, to: u32, frames: usize, len: usize) -> Seen<()> {
        let mut frame = Vec::new();
        encode(to, &vec![b'x'; len], &mut frame);
        let timeout = self.socket.set_write_timeout(Some(PATIENCE));
        timeout.and_then(|()| self.socket.write_all(&frame.repeat(frames))).map_err(|error| error.to_string())
    }

    /// How many whole frames arrive, until there are `most`, nothing has come for so long, or the connection ends;
    /// not for longer than `longest`.
    pub(super) fn count(&mut self, most: usize, silence: Duration, longest: Duration) -> usize {
        let deadline = Instant::now() + longest;
        let (mut frames, mut space) = (0, vec![0; 256 << 10]);
        let timeout = self.socket.set_read_timeout(Some(silence));
        while timeout.is_ok() && frames < most && Instant::now() < deadline {
            match self.socket.read(&mut space) {
                Ok(0) => break,
                Ok(n) => frames += memchr::memchr_iter(END, &space[..n]).count(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        frames
    }

    /// Waits until exactly `payload` arrives.
    fn receive(&mut self, payload: &[u8], deadline: Instant) -> Option<()> {
        let mut got = vec![0; payload.len() + 1];
        let mut filled = 0;
        while filled < got.len() {
            let left = deadline.checked_duration_since(Instant::now())?;
            self.socket.set_read_timeout(Some(left.max(Duration::from_millis(1)))).ok()?;
            match self.socket.read(&mut got[filled..]) {
                Ok(0) => return None,
                Ok(n) => filled += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        (got.pop() == Some(END) && got == payload).then_some(())
    }
}

/// Sends copies of a frame for as long as they are taken.
#[derive(Debug)]
pub(super) struct Flooder {
    socket: TcpStream,
    frames: Vec<u8>,
    frame: usize,
    /// Bytes that were taken.
    pub(super) sent: usize,
    last: Instant,
}

/// Frames are written so many at a time.
const TOGETHER: usize = 16;

impl Flooder {
    /// Sends to `to` frames with a payload of `len` bytes.
    pub(super) fn new(client: Client, to: u32, len: usize) -> Seen<Self> {
        client.socket.set_nonblocking(true).map_err(|error| error.to_string())?;
        let mut frame = Vec::new();
        encode(to, &vec![b'x'; len], &mut frame);
        let (frames, frame) = (frame.repeat(TOGETHER), frame.len());
        Ok(Flooder { socket: client.socket, frames, frame, sent: 0, last: Instant::now() })
    }

    /// Writes up to `bytes` more, less if the other side takes no more; gives how many. An end of the connection
    /// counts as taking nothing.
    pub(super) fn push(&mut self, bytes: usize) -> usize {
        let goal = self.sent + bytes;
        let before = self.sent;
        while self.sent < goal {
            let from = self.sent % self.frames.len();
            let piece = (self.frames.len() - from).min(goal - self.sent);
            match self.socket.write(&self.frames[from..][..piece]) {
                Ok(n) if n > 0 => self.sent += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        if self.sent > before {
            self.last = Instant::now();
        }
        self.sent - before
    }

    /// For how long nothing was taken.
    pub(super) fn blocked_for(&self) -> Duration {
        self.last.elapsed()
    }

    /// How many whole frames were taken.
    pub(super) fn whole_frames(&self) -> usize {
        self.sent / self.frame
    }
}
