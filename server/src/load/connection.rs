//! One connection of the generator: a socket that never blocks, what is to be written to it, and the
//! beginning of a frame that has been read from it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use mio::{Interest, Registry, Token};

use super::{LoadError, Progress, Watch};
use crate::protocol::{END, ID_BYTES};

#[derive(Debug)]
pub(super) struct Connection {
    socket: mio::net::TcpStream,
    /// As the server calls it.
    pub(super) id: u32,
    pub(super) out: Vec<u8>,
    written: usize,
    /// The kernel takes no more until it says so.
    pub(super) full: bool,
    /// The beginning of a frame whose end has not arrived.
    pub(super) partial: Vec<u8>,
}

/// Makes `connections` and waits until each is greeted, for `patience` in each case.
///
/// One after the other: a server that greets nobody while somebody is silent is found out by the second.
pub(super) fn connect(
    addr: SocketAddr,
    connections: usize,
    patience: Duration,
    registry: &Registry,
    watch: &mut dyn Watch,
) -> Result<Vec<Connection>, LoadError> {
    let one = |n: usize| {
        watch.progress(Progress::Connecting { made: n, of: connections });
        let (socket, id) = greeted(addr, n, patience)?;
        socket.set_nonblocking(true)?;
        let mut socket = mio::net::TcpStream::from_std(socket);
        registry.register(&mut socket, Token(n), Interest::READABLE | Interest::WRITABLE)?;
        Ok(Connection { socket, id, out: Vec::new(), written: 0, full: false, partial: Vec::new() })
    };
    (0..connections).map(one).collect()
}

/// A connection, the `n`th, that the server has greeted, and its id.
///
/// # Errors
///
/// [`LoadError::Connect`], and [`LoadError::NotGreeted`] after `patience`.
pub fn greeted(addr: SocketAddr, n: usize, patience: Duration) -> Result<(TcpStream, u32), LoadError> {
    let connected = TcpStream::connect_timeout(&addr, patience);
    let mut socket = connected.map_err(|error| LoadError::Connect(addr, n, error))?;
    socket.set_nodelay(true)?;
    // A timeout of zero is none.
    socket.set_read_timeout(Some(patience.max(Duration::from_millis(1))))?;
    let mut id = [0; ID_BYTES];
    match socket.read_exact(&mut id) {
        Ok(()) => Ok((socket, u32::from_be_bytes(id))),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Err(LoadError::NotGreeted(n, patience))
        }
        Err(error) => Err(LoadError::Connect(addr, n, error)),
    }
}

impl Connection {
    /// How many bytes wait to be written.
    pub(super) fn queued(&self) -> usize {
        self.out.len() - self.written
    }

    /// Writes what the kernel takes.
    pub(super) fn write(&mut self) -> io::Result<()> {
        while !self.full && self.queued() > 0 {
            match self.socket.write(&self.out[self.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.written += n;
                    // It would have taken all if there were room.
                    self.full = self.queued() > 0;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.full = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.queued() == 0 {
            self.out.clear();
            self.written = 0;
        } else if self.written > self.out.len() / 2 {
            self.out.drain(..self.written);
            self.written = 0;
        }
        Ok(())
    }

    /// Reads once; `None` if there is nothing to read.
    ///
    /// A read that fills less than `space` has emptied the socket.
    pub(super) fn read(&mut self, space: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.socket.read(space) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => return Ok(Some(n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Splits what was read into frames' payloads; keeps the beginning of the last one. One that grows longer than
/// `longest` is given cut off.
pub(super) fn frames(partial: &mut Vec<u8>, mut bytes: &[u8], longest: usize, mut frame: impl FnMut(&[u8])) {
    while let Some(end) = memchr::memchr(END, bytes) {
        let (payload, rest) = (&bytes[..end], &bytes[end + 1..]);
        if partial.is_empty() {
            frame(payload);
        } else {
            partial.extend_from_slice(payload);
            frame(partial);
            partial.clear();
        }
        bytes = rest;
    }
    partial.extend_from_slice(bytes);
    if partial.len() > longest {
        frame(partial);
        partial.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_the_same_however_they_arrive() {
        let bytes = b"one\0\0three\0fo";
        for piece in 1..bytes.len() {
            let (mut partial, mut got) = (Vec::new(), Vec::new());
            for bytes in bytes.chunks(piece) {
                frames(&mut partial, bytes, 100, |payload| got.push(payload.to_vec()));
            }
            assert_eq!(got, [&b"one"[..], b"", b"three"]);
            assert_eq!(partial, b"fo");
        }
    }

    #[test]
    fn a_frame_without_end_is_cut_off() {
        let (mut partial, mut got) = (Vec::new(), 0);
        for _ in 0..1000 {
            frames(&mut partial, &[b'x'; 10], 100, |_| got += 1);
            assert!(partial.len() <= 100);
        }
        assert!(got > 80);
    }
}
