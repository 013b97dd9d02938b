//! Ids: a number that looks random, is unique among live connections by construction, and leads to
//! its slot without a map and without a lock.
//!
//! Inside, an id is `[generation | index of the slot]`. A slot has one occupant at a time, so two live
//! connections differ in the index; each new occupant takes the next generation, so an id that has
//! departed comes back only after a slot has been through all its generations (with the default limit
//! of 65,536 connections that is 65,536 occupants of the same slot, and free slots are reused in turn).
//!
//! Outside, that number is shuffled by a bijection with a random key, for the protocol promises a
//! random `u32`, and an id that can be foreseen invites guessing. It is no cipher. Whoever makes a router
//! draws the key, so that nothing here depends on chance.

/// The mapping between ids and slots of one router.
#[derive(Debug)]
pub(crate) struct Ids {
    index_bits: u32,
    key: u32,
    /// `key * inverse == 1`, modulo 2^32.
    inverse: u32,
}

impl Ids {
    /// Ids for slots `0..slots`, shuffled by `key`.
    pub(crate) fn new(slots: usize, key: u32) -> Self {
        let index_bits = slots.max(2).next_power_of_two().trailing_zeros();
        debug_assert!(index_bits < u32::BITS, "an id needs bits besides the index");
        // Odd numbers are the invertible ones; Newton's step doubles the correct low bits: 3, 6, .. 48.
        let key = key | 1;
        let inverse = (0..4).fold(key, |x, _| x.wrapping_mul(2u32.wrapping_sub(key.wrapping_mul(x))));
        Ids { index_bits, key, inverse }
    }

    /// The id of the occupant of slot `index` in `generation`, which counts up and may wrap.
    fn id(&self, index: usize, generation: u32) -> u32 {
        let number = generation << self.index_bits | index as u32;
        // A product's low bits depend on low bits only, so the halves change places in between.
        number.wrapping_mul(self.key).rotate_left(16).wrapping_mul(self.key)
    }

    /// The id of the next occupant of slot `index`, after `last`; the first one comes after 0.
    pub(crate) fn next(&self, index: usize, last: u32) -> u32 {
        self.id(index, (self.number(last) >> self.index_bits).wrapping_add(1))
    }

    /// The slot that `id` names, if there ever was such an id.
    pub(crate) fn index(&self, id: u32) -> usize {
        (self.number(id) & ((1 << self.index_bits) - 1)) as usize
    }

    /// `[generation | index of the slot]`.
    fn number(&self, id: u32) -> u32 {
        id.wrapping_mul(self.inverse).rotate_right(16).wrapping_mul(self.inverse)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_id_leads_to_its_slot() {
        for slots in [1, 2, 3, 1000, 65_536, 1 << 20] {
            let ids = Ids::new(slots, 0x9E37_79B9);
            for index in (0..slots).step_by(1 + slots / 1000) {
                for generation in [0, 1, 77, u32::MAX] {
                    assert_eq!(ids.index(ids.id(index, generation)), index);
                }
            }
        }
    }

    #[test]
    fn the_next_occupant_has_the_id_of_the_next_generation() {
        for slots in [1, 1000, 1 << 20] {
            let ids = Ids::new(slots, 0x9E37_79B9);
            for index in [0, slots - 1] {
                assert_eq!(ids.next(index, 0), ids.id(index, 1));
                for generation in [1, 77, u32::MAX >> ids.index_bits] {
                    assert_eq!(ids.next(index, ids.id(index, generation)), ids.id(index, generation + 1));
                }
            }
        }
    }

    #[test]
    fn ids_of_different_slots_and_generations_differ() {
        let ids = Ids::new(256, 0x9E37_79B8);
        let mut seen = HashSet::new();
        assert!((0..256).all(|index| (0..256).all(|generation| seen.insert(ids.id(index, generation)))));
    }
}
