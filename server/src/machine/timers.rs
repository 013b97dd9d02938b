//! When which connection's time is up.
//!
//! A connection's deadline moves with every write that the kernel takes, so moving it must cost
//! nothing: only the earliest moment at which it has to be *looked at* is in the ordered set, and that
//! is left alone when the deadline moves back or goes. Looking finds the deadline later (then the
//! entry moves there) or gone. There is one entry per connection at most.

use std::collections::BTreeSet;
use std::time::Instant;

/// The deadlines of all connections, by index.
#[derive(Debug, Default)]
pub(super) struct Timers {
    looks: BTreeSet<(Instant, u32)>,
    timers: Vec<Timer>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Timer {
    deadline: Option<Instant>,
    /// The entry in the set; not later than the deadline.
    look: Option<Instant>,
}

impl Timers {
    /// Makes room for one more index.
    pub(super) fn grow(&mut self) {
        self.timers.push(Timer::default());
    }

    pub(super) fn set(&mut self, index: u32, deadline: Instant) {
        let timer = &mut self.timers[index as usize];
        timer.deadline = Some(deadline);
        if timer.look.is_none_or(|look| deadline < look) {
            self.look_at(index, Some(deadline));
        }
    }

    pub(super) fn unset(&mut self, index: u32) {
        self.timers[index as usize].deadline = None;
    }

    /// Forgets the index altogether: its connection has gone.
    pub(super) fn forget(&mut self, index: u32) {
        self.unset(index);
        self.look_at(index, None);
    }

    /// When to call [`expired`](Timers::expired) next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.looks.first().map(|&(look, _)| look)
    }

    /// One of those whose deadline has come; it has none any more.
    pub(super) fn expired(&mut self, now: Instant) -> Option<u32> {
        while let Some(&(look, index)) = self.looks.first()
            && look <= now
        {
            match self.timers[index as usize].deadline {
                Some(deadline) if deadline <= now => {
                    self.forget(index);
                    return Some(index);
                }
                later_or_none => self.look_at(index, later_or_none),
            }
        }
        None
    }

    fn look_at(&mut self, index: u32, moment: Option<Instant>) {
        let timer = &mut self.timers[index as usize];
        if let Some(look) = timer.look.take() {
            self.looks.remove(&(look, index));
        }
        if let Some(moment) = moment {
            timer.look = Some(moment);
            self.looks.insert((moment, index));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_deadline_expires_once_when_it_has_come_and_one_that_was_unset_does_not(
            steps in vec((0..5u32, 0..4u8, 0..100u64), 0..100),
        ) {
            let start = Instant::now();
            let mut timers = Timers::default();
            let mut model = [None; 5];
            (0..5).for_each(|_| timers.grow());
            let mut now = start;
            for (index, step, millis) in steps {
                match step {
                    0 | 1 => {
                        let deadline = now + Duration::from_millis(millis);
                        timers.set(index, deadline);
                        model[index as usize] = Some(deadline);
                    }
                    2 => {
                        timers.unset(index);
                        model[index as usize] = None;
                    }
                    _ => {
                        now += Duration::from_millis(millis);
                        while let Some(index) = timers.expired(now) {
                            prop_assert!(model[index as usize].take().is_some_and(|deadline| deadline <= now));
                        }
                    }
                }
                let earliest = model.iter().flatten().min();
                prop_assert!(step != 3 || earliest.is_none_or(|&deadline| deadline > now));
                prop_assert!(earliest.is_none_or(|&deadline| timers.next().is_some_and(|next| next <= deadline)));
                prop_assert!(timers.looks.len() <= 5);
            }
        }
    }
}
