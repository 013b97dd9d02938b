//! Finding frames in bytes that lie together.

use std::fmt;

use super::{END, ID_BYTES};

/// A payload exceeded the limit. Nothing after it can be trusted to be a frame, so the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// The limit, in bytes of payload.
    pub max_frame: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a frame's payload exceeds {} bytes", self.max_frame)
    }
}

impl std::error::Error for TooLong {}

/// Consecutive frames for one receiver, so that its queue is locked once for all of them.
///
/// Bounded, for the receiver's queue stays locked while a run is copied into it. Small, for it is handed on by value with
/// every message, and most have one frame.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    to: u32,
    len: u16,
    /// Where each frame but the first ends, from the end of the first.
    more: [u16; Run::MOST - 1],
    /// Where in `received` the first frame ends.
    first: usize,
    /// The frames as they were received, headers included.
    received: &'a [u8],
}

impl<'a> Run<'a> {
    /// The most frames in a run. Those after the first have 64 KiB together at most.
    pub const MOST: usize = 32;

    /// The receiver.
    pub fn to(&self) -> u32 {
        self.to
    }

    /// How many frames there are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "a run is never empty")]
    pub fn len(&self) -> usize {
        self.len.into()
    }

    /// The first of them alone.
    #[must_use]
    pub fn first(self) -> Self {
        Run { len: 1, ..self }
    }

    /// The frames as the receiver gets them: payload and end, no header.
    pub fn bodies(&self) -> impl Iterator<Item = &'a [u8]> + use<'a, '_> {
        (0..self.len()).map(|n| &self.received[self.received_bytes(n) + ID_BYTES..self.received_bytes(n + 1)])
    }

    /// How many bytes the receiver gets with the first `frames` frames.
    pub fn body_bytes(&self, frames: usize) -> usize {
        self.received_bytes(frames) - frames * ID_BYTES
    }

    /// How many bytes were received for the first `frames` frames.
    ///
    /// # Panics
    ///
    /// If there are not so many frames.
    pub fn received_bytes(&self, frames: usize) -> usize {
        match frames {
            0 => 0,
            1 => self.first,
            _ => self.first + usize::from(self.more[..self.len() - 1][frames - 2]),
        }
    }

    /// Takes a further frame, if there is room for it.
    fn push(&mut self, received_bytes: usize) -> bool {
        let end = u16::try_from(self.received_bytes(self.len()) + received_bytes - self.first);
        let (Ok(end), Some(place)) = (end, self.more.get_mut(usize::from(self.len) - 1)) else {
            return false;
        };
        *place = end;
        self.len += 1;
        true
    }
}

/// The frames at the start of some received bytes.
///
/// Nothing is consumed by looking: [`run`](Frames::run) shows the next frames, and
/// [`consume`](Frames::consume) says how many of them were taken, for a full receiver may take fewer
/// than were shown. What is left at the end is [`rest`](Frames::rest).
#[derive(Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
    max_frame: usize,
    /// How many bytes of the first frame's payload are known to contain no end: a long frame that
    /// arrives in many pieces is searched once, not once per piece.
    searched: usize,
}

impl<'a> Frames<'a> {
    /// The frames of `bytes`, of which the first `searched` payload bytes are known to contain no end.
    pub(super) fn new(bytes: &'a [u8], searched: usize, max_frame: usize) -> Self {
        Frames { rest: bytes, max_frame, searched }
    }

    /// The next complete frames that go to the same receiver; `None` when no complete frame is left.
    ///
    /// # Errors
    ///
    /// [`TooLong`] if the next frame is, whether its end has arrived or not.
    pub fn run(&mut self) -> Result<Option<Run<'a>>, TooLong> {
        let Some((to, body)) = self.first()? else { return Ok(None) };
        let first = ID_BYTES + body.len();
        let mut run = Run { to, len: 1, more: [0; Run::MOST - 1], first, received: self.rest };
        let mut rest = &self.rest[first..];
        // A frame ahead that is too long is reported when its turn has come: the ones before it count.
        while let Ok(Some((next, body))) = (Frames { rest, searched: 0, ..*self }).first()
            && next == to
            && run.push(ID_BYTES + body.len())
        {
            rest = &rest[ID_BYTES + body.len()..];
        }
        Ok(Some(run))
    }

    /// Drops the first `frames` frames of `run`, which must be the last that was shown.
    pub fn consume(&mut self, run: &Run<'a>, frames: usize) {
        if frames > 0 {
            self.rest = &self.rest[run.received_bytes(frames)..];
            self.searched = 0;
        }
    }

    /// The bytes that were not consumed.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many payload bytes at the start of [`rest`](Frames::rest) are known to contain no end.
    pub(super) fn searched(&self) -> usize {
        self.searched
    }

    fn first(&mut self) -> Result<Option<(u32, &'a [u8])>, TooLong> {
        let Some((header, payload)) = self.rest.split_first_chunk::<ID_BYTES>() else { return Ok(None) };
        // The end of the longest legal frame is at index `max_frame`.
        let window = &payload[..payload.len().min(self.max_frame.saturating_add(1))];
        match memchr::memchr(END, &window[self.searched..]) {
            Some(found) => Ok(Some((u32::from_be_bytes(*header), &window[..=self.searched + found]))),
            None if window.len() > self.max_frame => Err(TooLong { max_frame: self.max_frame }),
            None => {
                self.searched = window.len();
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::encode;

    /// How many frames, of payloads of so many bytes, the runs have that show all of them.
    fn runs(payloads: &[usize]) -> Vec<usize> {
        let mut bytes = Vec::new();
        payloads.iter().for_each(|&len| encode(7, &vec![b'x'; len], &mut bytes));
        let mut frames = Frames::new(&bytes, 0, 1 << 20);
        let mut shown = payloads.iter();
        let mut lens = Vec::new();
        while let Some(run) = frames.run().unwrap() {
            assert!(run.bodies().all(|body| shown.next().is_some_and(|&len| body.len() == len + 1)));
            lens.push(run.len());
            frames.consume(&run, run.len());
        }
        assert!(frames.rest().is_empty() && shown.next().is_none());
        lens
    }

    #[test]
    fn a_run_has_so_many_frames_at_most() {
        assert_eq!(runs(&[1; Run::MOST]), [Run::MOST]);
        assert_eq!(runs(&[1; Run::MOST + 1]), [Run::MOST, 1]);
    }

    #[test]
    fn a_run_ends_where_its_further_frames_would_be_more_than_their_ends_can_say() {
        let (header_and_end, most) = (ID_BYTES + 1, usize::from(u16::MAX));
        assert_eq!(runs(&[500_000, most - header_and_end]), [2]);
        assert_eq!(runs(&[500_000, most - header_and_end + 1]), [1, 1]);
        assert_eq!(runs(&[10, 40_000, 40_000, 10]), [2, 2]);
    }
}
