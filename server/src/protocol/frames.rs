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
/// Bounded, for the receiver's queue stays locked while a run is copied into it.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    to: u32,
    /// The frames as they were received, headers included.
    received: &'a [u8],
    /// Where in `received` each frame ends.
    ends: [usize; Run::MOST],
    len: usize,
}

impl<'a> Run<'a> {
    /// The most frames in a run.
    pub const MOST: usize = 32;

    /// The receiver.
    pub fn to(&self) -> u32 {
        self.to
    }

    /// How many frames there are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "a run is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The first of them alone.
    #[must_use]
    pub fn first(self) -> Self {
        Run { len: 1, ..self }
    }

    /// The frames as the receiver gets them: payload and end, no header.
    pub fn bodies(&self) -> impl Iterator<Item = &'a [u8]> + use<'a, '_> {
        let starts = std::iter::once(0).chain(self.ends);
        starts.zip(&self.ends[..self.len]).map(|(start, &end)| &self.received[start + ID_BYTES..end])
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
        if frames == 0 { 0 } else { self.ends[..self.len][frames - 1] }
    }

    fn push(&mut self, end: usize) {
        self.ends[self.len] = end;
        self.len += 1;
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
        let mut run = Run { to, received: self.rest, ends: [0; Run::MOST], len: 0 };
        let mut end = ID_BYTES + body.len();
        run.push(end);
        // A frame ahead that is too long is reported when its turn has come: the ones before it count.
        while run.len < Run::MOST
            && let Ok(Some((next, body))) = (Frames { rest: &self.rest[end..], searched: 0, ..*self }).first()
            && next == to
        {
            end += ID_BYTES + body.len();
            run.push(end);
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
