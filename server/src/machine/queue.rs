//! The bytes that are queued for one connection: appended behind, taken from the front.
//!
//! One buffer, written from where it lies. (The shared router has two, for its writer runs while
//! senders append; here one thread does both, so nothing need change hands.) Bytes that have been
//! written leave a gap in front. When there is no space behind, the rest moves to the front if the gap
//! is at least as long as the rest, and else to a buffer of twice the size. So every byte is moved a
//! constant number of times however it is taken, and the buffer never exceeds twice what was queued.

use crate::spare;

/// Queued bytes.
#[derive(Debug, Default)]
pub(super) struct Queue {
    bytes: Vec<u8>,
    /// Where what is not written yet begins.
    start: usize,
}

impl Queue {
    /// The least that is allocated.
    const LEAST: usize = 64;

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// How much memory is held.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.bytes.capacity() - self.bytes.len() < bytes.len() {
            self.make_space(bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Drops the first `n` bytes, or all if there are not so many.
    pub(super) fn consume(&mut self, n: usize) {
        self.start += n.min(self.len());
        if self.is_empty() {
            self.start = 0;
            spare::give_unless_kept(&mut self.bytes);
        }
    }

    pub(super) fn clear(&mut self) {
        spare::give(std::mem::take(self).bytes);
    }

    #[cold]
    fn make_space(&mut self, more: usize) {
        let len = self.len();
        let needed = len + more;
        if self.start >= len && needed <= self.bytes.capacity() {
            self.bytes.copy_within(self.start.., 0);
            self.bytes.truncate(len);
        } else {
            // Not more than twice what it will hold.
            let capacity = (2 * self.bytes.capacity()).clamp(needed, 2 * needed).max(Self::LEAST);
            let queued = self.start..self.bytes.len();
            spare::replace(&mut self.bytes, queued, capacity, 2 * needed);
        }
        self.start = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out_and_the_buffer_stays_within_twice_of_the_most_that_was_queued(
            steps in vec((0..300usize, 0..400usize), 0..200),
        ) {
            let mut queue = Queue::default();
            let mut model = VecDeque::new();
            let (mut next, mut most) = (0u8, 0);
            for (put, take) in steps {
                let bytes: Vec<u8> = (0..put).map(|_| { next = next.wrapping_add(1); next }).collect();
                queue.push(&bytes);
                model.extend(bytes);
                most = most.max(model.len());
                prop_assert!(queue.capacity() <= (2 * most).max(Queue::LEAST));
                queue.consume(take);
                model.drain(..take.min(model.len()));
                prop_assert_eq!(queue.bytes(), model.make_contiguous());
            }
            queue.consume(usize::MAX);
            prop_assert!(queue.is_empty() && queue.capacity() <= spare::KEPT_WHEN_IDLE);
        }
    }

    #[test]
    fn a_nearly_full_queue_that_is_taken_byte_by_byte_is_not_moved_for_every_byte() {
        let mut queue = Queue::default();
        queue.push(&[b'x'; 1 << 20]);
        // A move per byte would take a minute.
        for _ in 0..1_000_000 {
            queue.consume(1);
            queue.push(b"y");
        }
        assert_eq!(queue.len(), 1 << 20);
    }
}
