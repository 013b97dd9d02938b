//! Buffers that nobody needs at the moment, for whoever on this thread needs one next.
//!
//! Idle connections hold no buffers, so under load each burst needs new ones. An allocator that is given back a few
//! hundred KiB gives them back to the system, and every page of the next buffer is a fault and is cleared: with messages of
//! 16 KiB that was up to half of the server's time. What is put aside here is warm, and is of the size that was needed.

use std::cell::RefCell;
use std::ops::Range;

/// The most that one thread keeps, in bytes.
const MOST: usize = 2 << 20;
/// How many of them are looked at for one that fits.
const SEARCHED: usize = 8;
/// Smaller buffers the allocator has at hand.
const LEAST: usize = 1 << 10;

/// A connection keeps a buffer up to this size while there is nothing to write. More would be most of an idle
/// connection's memory; less, and an occasional small frame would allocate every time.
pub(crate) const KEPT_WHEN_IDLE: usize = 512;

thread_local! {
    static SPARE: RefCell<Spare> = const { RefCell::new(Spare { buffers: Vec::new(), bytes: 0 }) };
}

#[derive(Debug)]
struct Spare {
    /// The one given last is taken first: it is the one that the caches know.
    buffers: Vec<Vec<u8>>,
    /// What they hold.
    bytes: usize,
}

/// An empty buffer, with room for `capacity` bytes at least, and for no more than the larger of that and `most`.
pub(crate) fn take(capacity: usize, most: usize) -> Vec<u8> {
    let spare =
        if capacity < LEAST { None } else { SPARE.with_borrow_mut(|spare| spare.take(capacity, most)) };
    spare.unwrap_or_else(|| Vec::with_capacity(capacity))
}

/// Replaces a buffer by one, as [`take`] gives it, that holds this part of what it holds; then puts it aside.
pub(crate) fn replace(buffer: &mut Vec<u8>, part: Range<usize>, capacity: usize, most: usize) {
    let mut other = take(capacity, most);
    other.extend_from_slice(&buffer[part]);
    give(std::mem::replace(buffer, other));
}

/// Empties the buffer of a connection that has nothing to write, and puts it aside if it is not [kept](KEPT_WHEN_IDLE).
pub(crate) fn give_unless_kept(buffer: &mut Vec<u8>) {
    if buffer.capacity() > KEPT_WHEN_IDLE {
        give(std::mem::take(buffer));
    } else {
        buffer.clear();
    }
}

/// Puts a buffer aside, or frees it if it is small or there are enough.
pub(crate) fn give(mut buffer: Vec<u8>) {
    if buffer.capacity() >= LEAST {
        buffer.clear();
        // A thread that ends has none any more, and needs none.
        let _ = SPARE.try_with(|spare| spare.borrow_mut().give(buffer));
    }
}

impl Spare {
    fn take(&mut self, capacity: usize, most: usize) -> Option<Vec<u8>> {
        let fits = |buffer: &Vec<u8>| (capacity..=most).contains(&buffer.capacity());
        let place = self.buffers.iter().rev().take(SEARCHED).position(fits)?;
        let buffer = self.buffers.remove(self.buffers.len() - 1 - place);
        self.bytes -= buffer.capacity();
        Some(buffer)
    }

    fn give(&mut self, buffer: Vec<u8>) {
        if self.bytes + buffer.capacity() <= MOST {
            self.bytes += buffer.capacity();
            self.buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> usize {
        SPARE.with_borrow(|spare| spare.bytes)
    }

    #[test]
    fn a_buffer_given_is_the_next_one_taken_and_is_empty() {
        let mut buffer = take(5000, 5000);
        buffer.extend_from_slice(&[b'x'; 5000]);
        let address = buffer.as_ptr();
        give(take(9000, 9000));
        give(buffer);
        give(take(2000, 2000));
        let again = take(4000, 8000);
        assert_eq!((again.as_ptr(), again.len()), (address, 0));
    }

    #[test]
    fn a_buffer_that_is_too_long_or_too_short_is_not_taken() {
        give(take(2000, 2000));
        give(take(9000, 9000));
        assert_eq!(take(3000, 8999).capacity(), 3000);
        assert_eq!(kept(), 11_000);
    }

    #[test]
    fn a_buffer_that_is_replaced_keeps_the_part_that_is_asked_for() {
        let mut buffer = vec![b'x'; 2000];
        replace(&mut buffer, 0..2000, 9000, 9000);
        assert_eq!((buffer.len(), buffer.capacity(), kept()), (2000, 9000, 2000));
        assert!(buffer.iter().all(|&byte| byte == b'x'));
        buffer.extend_from_slice(b"yz");
        replace(&mut buffer, 2000..2001, 10, 10);
        assert_eq!((&buffer[..], buffer.capacity(), kept()), (&b"y"[..], 10, 11_000));
    }

    #[test]
    fn no_more_is_kept_than_the_most() {
        let buffers: Vec<_> = (0..100).map(|_| take(100_000, 100_000)).collect();
        buffers.into_iter().for_each(give);
        assert!((MOST - 200_000..=MOST).contains(&kept()));
    }

    #[test]
    fn small_buffers_are_neither_kept_nor_given() {
        give(Vec::with_capacity(LEAST - 1));
        assert_eq!(kept(), 0);
        give(take(LEAST, LEAST));
        assert_eq!(take(10, usize::MAX).capacity(), 10);
        assert_eq!(kept(), LEAST);
    }
}
