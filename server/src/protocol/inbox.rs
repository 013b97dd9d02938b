//! Received bytes that are not consumed yet.
//!
//! Between reads a connection keeps only what it must: the beginning of a frame that is not complete,
//! or frames that wait for a full receiver. Most connections keep nothing most of the time, so the
//! space to read into is lent by the caller (one buffer per worker thread serves every connection)
//! instead of being held by each. Two ways, by what is kept:
//!
//! - little (up to [`Inbox::LITTLE`]): it is copied to the front of the lent space and the read lands
//!   behind it, so the two lie together; what is left afterwards is copied back;
//! - more (a long frame arriving in pieces): the read lands in the inbox's own buffer, behind what is
//!   there, so nothing is copied twice.

use super::Frames;
use crate::spare;

/// What one connection has sent and the server has not consumed.
#[derive(Debug)]
pub struct Inbox {
    /// `kept[start..filled]` are the bytes; behind them is space that earlier reads have initialised.
    kept: Vec<u8>,
    start: usize,
    filled: usize,
    /// See [`Frames::searched`].
    searched: usize,
    max_frame: usize,
}

impl Inbox {
    /// The most that is copied to the front of the lent space.
    const LITTLE: usize = 4 << 10;
    /// How much space a read into the inbox's own buffer gets.
    const CHUNK: usize = 64 << 10;

    /// An empty inbox that accepts payloads up to `max_frame` bytes.
    pub fn new(max_frame: usize) -> Self {
        Inbox { kept: Vec::new(), start: 0, filled: 0, searched: 0, max_frame }
    }

    /// Whether everything received has been consumed.
    pub fn is_empty(&self) -> bool {
        self.start == self.filled
    }

    /// How many bytes wait here.
    pub fn len(&self) -> usize {
        self.filled - self.start
    }

    /// How much memory is held.
    pub fn capacity(&self) -> usize {
        self.kept.capacity()
    }

    /// Lets `route` consume what has been received already.
    pub fn route<T>(&mut self, route: impl FnOnce(&mut Frames<'_>) -> T) -> T {
        let mut frames = self.frames();
        let routed = route(&mut frames);
        let (left, searched) = (frames.rest().len(), frames.searched());
        self.searched = searched;
        self.advance(self.len() - left);
        routed
    }

    /// Shows what has been received to a caller that waits before it can consume it.
    pub fn frames(&self) -> Frames<'_> {
        Frames::new(&self.kept[self.start..self.filled], self.searched, self.max_frame)
    }

    /// Consumes whole frames: [`received_bytes`](super::Run::received_bytes) of what `frames` showed.
    ///
    /// # Panics
    ///
    /// If there are not so many bytes.
    pub fn consume(&mut self, bytes: usize) {
        assert!(bytes <= self.len(), "consumes what was received");
        if bytes > 0 {
            self.searched = 0;
            self.advance(bytes);
        }
    }

    /// Lets `read` put further bytes into the space that it is given, then `route` consume frames.
    ///
    /// `read` gives how many bytes it put at the start of its space, or an error (which may be "not
    /// yet"), and then nothing changes. `lent` is scratch space and should be larger than 8 KiB.
    ///
    /// # Errors
    ///
    /// Whatever `read` fails with.
    pub fn receive<T, E>(
        &mut self,
        lent: &mut [u8],
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
        route: impl FnOnce(&mut Frames<'_>) -> T,
    ) -> Result<(usize, T), E> {
        let kept = self.len();
        if kept > Self::LITTLE.min(lent.len() / 2) {
            let received = self.read_behind(read)?;
            return Ok((received, self.route(route)));
        }
        lent[..kept].copy_from_slice(&self.kept[self.start..self.filled]);
        let received = read(&mut lent[kept..])?;
        let mut frames = Frames::new(&lent[..kept + received], self.searched, self.max_frame);
        let routed = route(&mut frames);
        self.searched = frames.searched();
        self.keep_copy(frames.rest());
        Ok((received, routed))
    }

    fn read_behind<E>(&mut self, read: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<usize, E> {
        let (here, len) = (self.start..self.filled, self.len());
        let end = len + Self::CHUNK;
        if self.kept.capacity() < end {
            // Doubling, as a `Vec` does by itself, but never beyond what a longest frame needs.
            let longest = self.longest();
            let capacity = (2 * self.kept.capacity()).min(longest).max(end);
            spare::replace(&mut self.kept, here, capacity, longest);
        } else {
            self.kept.copy_within(here, 0);
        }
        (self.start, self.filled) = (0, len);
        if self.kept.len() < end {
            self.kept.resize(end, 0);
        }
        let received = read(&mut self.kept[self.filled..end])?;
        self.filled += received;
        Ok(received)
    }

    /// What a longest frame needs.
    fn longest(&self) -> usize {
        self.max_frame.saturating_add(super::ID_BYTES + 1 + Self::CHUNK)
    }

    /// Drops the first `bytes` of what is here.
    fn advance(&mut self, bytes: usize) {
        self.start += bytes;
        let left = self.len();
        if left == 0 {
            self.clear();
        } else if left <= Self::LITTLE && self.kept.capacity() > Self::CHUNK {
            // A long frame has gone; the buffer that it needed goes too.
            spare::replace(&mut self.kept, self.start..self.filled, left, left);
            (self.start, self.filled) = (0, left);
        }
    }

    /// Keeps `rest`, which lies elsewhere, instead of what is here.
    fn keep_copy(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            self.clear();
        } else {
            if self.kept.capacity() < rest.len() {
                let most = (4 * rest.len()).min(self.longest());
                spare::replace(&mut self.kept, 0..0, rest.len(), most);
            }
            self.kept.clear();
            self.kept.extend_from_slice(rest);
            (self.start, self.filled) = (0, rest.len());
        }
    }

    /// An inbox with nothing in it holds no memory, so that 10,000 idle connections do not either.
    fn clear(&mut self) {
        spare::give(std::mem::take(&mut self.kept));
        (self.start, self.filled) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::{ID_BYTES, Run, TooLong, encode};

    /// Feeds `bytes` in pieces of the given sizes; `accept` says how many frames of each run are taken.
    fn feed(
        inbox: &mut Inbox,
        bytes: &[u8],
        pieces: &[usize],
        lent: &mut [u8],
        mut accept: impl FnMut(&Run<'_>) -> usize,
    ) -> Result<Vec<(u32, Vec<u8>)>, TooLong> {
        let mut got = Vec::new();
        let mut route = |frames: &mut Frames<'_>| -> Result<(), TooLong> {
            while let Some(run) = frames.run()? {
                let taken = accept(&run);
                got.extend(run.bodies().take(taken).map(|body| (run.to(), body.to_vec())));
                frames.consume(&run, taken);
                if taken < run.len() {
                    break;
                }
            }
            Ok(())
        };
        let mut sizes = pieces.iter().copied().cycle();
        let mut at = 0;
        while at < bytes.len() {
            let piece = &bytes[at..bytes.len().min(at + sizes.next().unwrap())];
            let read = |space: &mut [u8]| {
                let n = space.len().min(piece.len());
                space[..n].copy_from_slice(&piece[..n]);
                Ok::<usize, ()>(n)
            };
            let (n, routed) = inbox.receive(lent, read, &mut route).unwrap();
            routed?;
            at += n;
        }
        loop {
            let before = inbox.len();
            inbox.route(&mut route)?;
            if inbox.len() == before {
                break;
            }
        }
        Ok(got)
    }

    fn payload() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            vec(1..=255u8, 0..20),
            vec(1..=255u8, 0..3),
            (900..=1000usize).prop_map(|len| vec![b'x'; len])
        ]
    }

    /// Few distinct receivers, so that there are runs, and ids that contain the end byte.
    fn id() -> impl Strategy<Value = u32> {
        prop_oneof![Just(0), Just(1), Just(0xAB00_CD00), any::<u32>()]
    }

    fn all(run: &Run<'_>) -> usize {
        run.len()
    }

    proptest! {
        #[test]
        fn any_split_of_the_stream_gives_the_same_frames(
            frames in vec((id(), payload()), 0..16),
            pieces in vec(prop_oneof![1..8usize, 1..5000usize], 1..20),
            lent in prop_oneof![Just(16usize), Just(100), Just(16 << 10)],
            taken in vec(0..40usize, 1..20),
        ) {
            let mut bytes = Vec::new();
            for (to, payload) in &frames {
                encode(*to, payload, &mut bytes);
            }
            let mut inbox = Inbox::new(1000);
            let mut taken = taken.into_iter().cycle();
            // A receiver that is full sometimes takes fewer than it was shown; the tail is routed in the end.
            let accept = |run: &Run<'_>| taken.next().unwrap().clamp(1, run.len());
            let got = feed(&mut inbox, &bytes, &pieces, &mut vec![0; lent], accept).unwrap();
            let want: Vec<_> = frames
                .into_iter()
                .map(|(to, mut payload)| { payload.push(0); (to, payload) })
                .collect();
            prop_assert_eq!(got, want);
            prop_assert!(inbox.is_empty());
            prop_assert_eq!(inbox.capacity(), 0);
        }

        #[test]
        fn no_input_panics_and_memory_stays_bounded(
            bytes in vec(prop_oneof![4 => any::<u8>(), 1 => Just(0u8)], 0..3000),
            pieces in vec(1..900usize, 1..20),
            max_frame in prop_oneof![Just(0usize), 0..300usize, Just(2000)],
        ) {
            let mut inbox = Inbox::new(max_frame);
            let outcome = feed(&mut inbox, &bytes, &pieces, &mut [0; 64], all);
            if let Ok(got) = &outcome {
                prop_assert!(got.iter().all(|(_, body)| body.len() <= max_frame + 1));
                // What is left is the beginning of one legal frame.
                prop_assert!(inbox.len() <= ID_BYTES + max_frame);
            }
            prop_assert!(inbox.capacity() <= max_frame + ID_BYTES + 1 + Inbox::CHUNK);
        }
    }

    #[test]
    fn a_payload_of_exactly_the_limit_passes_and_one_more_byte_does_not() {
        for (len, fits) in [(10, true), (11, false)] {
            let mut bytes = Vec::new();
            encode(7, &vec![b'x'; len], &mut bytes);
            for piece in 1..=bytes.len() {
                let got = feed(&mut Inbox::new(10), &bytes, &[piece], &mut [0; 64], all);
                assert_eq!(got.is_ok(), fits, "payload of {len} bytes in pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_payload_that_is_too_long_is_refused_before_its_end_arrives() {
        let bytes = [&7u32.to_be_bytes()[..], &[b'x'; 11]].concat();
        let got = feed(&mut Inbox::new(10), &bytes, &[bytes.len()], &mut [0; 64], all);
        assert_eq!(got, Err(TooLong { max_frame: 10 }));
    }

    #[test]
    fn frames_before_one_that_is_too_long_are_delivered() {
        let mut bytes = Vec::new();
        encode(7, b"fine", &mut bytes);
        encode(7, &[b'x'; 11], &mut bytes);
        let mut got = Vec::new();
        let mut inbox = Inbox::new(10);
        let read = |space: &mut [u8]| {
            space[..bytes.len()].copy_from_slice(&bytes);
            Ok::<usize, ()>(bytes.len())
        };
        let (_, routed) = inbox
            .receive(&mut [0; 128], read, |frames| {
                while let Some(run) = frames.run()? {
                    got.extend(run.bodies().map(<[u8]>::to_vec));
                    frames.consume(&run, run.len());
                }
                Ok::<_, TooLong>(())
            })
            .unwrap();
        assert_eq!(got, [b"fine\0".to_vec()]);
        assert!(routed.is_err());
    }

    #[test]
    fn a_failed_read_changes_nothing() {
        let mut inbox = Inbox::new(10);
        let _ = feed(&mut inbox, &[0, 0, 0, 7, b'a'], &[5], &mut [0; 64], all);
        let failed = inbox.receive(&mut [0; 64], |_| Err::<usize, _>("not yet"), |_| ());
        assert_eq!(failed, Err("not yet"));
        assert_eq!(inbox.len(), 5);
        let got = feed(&mut inbox, b"b\0", &[2], &mut [0; 64], all).unwrap();
        assert_eq!(got, [(7, b"ab\0".to_vec())]);
    }

    #[test]
    fn a_long_frame_in_many_pieces_is_searched_once() {
        // Quadratic work would take minutes here: 8 MiB in pieces of 64 bytes.
        let mut bytes = Vec::new();
        encode(7, &vec![b'x'; 8 << 20], &mut bytes);
        let got = feed(&mut Inbox::new(8 << 20), &bytes, &[64], &mut [0; 16 << 10], all).unwrap();
        assert_eq!(got.len(), 1);
    }
}
