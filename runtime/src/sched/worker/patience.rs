//! How long a thief leaves its mates alone.
//!
//! To carry a small task over costs more than to run it: its lines come to the thief's cache, and what it leaves goes back
//! to whoever joins it, 50 to 200 ns each on processors that do not share a cache. A mate that makes and ends tasks of 20 ns
//! is then held up by each that is taken from it. The thief notices: it takes the time from a theft until it has nothing left to do,
//! and if that is less than [`WORTH`] for each task that it took, it waits before it steals again, longer each time, up to [`LONGEST`]. The
//! first theft that was worth it ends that. A stolen subtree counts with all that comes of it.
//!
//! It stays a searcher meanwhile, and looks at the remote queue: whoever pushes relies on it as on any other, and what a busy mate has in its
//! lanes may have to wait so much longer for help.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// A stolen task that takes less, with all that comes of it, was not worth it.
const WORTH: Duration = Duration::from_nanos(500);
const SHORTEST: Duration = Duration::from_micros(8);
pub(super) const LONGEST: Duration = Duration::from_micros(128);

/// What a worker's last theft was worth to it.
pub(super) struct Patience {
    /// When it was, and how many tasks it took.
    theft: Cell<Option<(Instant, u32)>>,
    /// How long it waited last, if the theft before was not worth it.
    pause: Cell<Duration>,
}

impl Patience {
    pub(super) const fn new() -> Self {
        Self { theft: Cell::new(None), pause: Cell::new(Duration::ZERO) }
    }

    /// The worker has stolen so many tasks.
    pub(super) fn stole(&self, tasks: u32, now: Instant) {
        self.theft.set(Some((now, tasks)));
    }

    /// The worker has nothing left to do: how long it is to steal nothing, if at all. `now` is not asked for if it has not stolen.
    pub(super) fn pause(&self, now: impl FnOnce() -> Instant) -> Option<Duration> {
        let (since, tasks) = self.theft.take()?;
        if now().saturating_duration_since(since) >= WORTH * tasks {
            self.pause.set(Duration::ZERO);
            return None;
        }
        let pause = (self.pause.get() * 2).clamp(SHORTEST, LONGEST);
        self.pause.set(pause);
        Some(pause)
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    /// A thief steals so many tasks, which take so long.
    fn steal(patience: &Patience, tasks: u32, took: Duration) -> Option<Duration> {
        let at = Instant::now();
        patience.stole(tasks, at);
        patience.pause(|| at + took)
    }

    #[test]
    fn a_thief_waits_ever_longer_while_its_thefts_are_not_worth_it() {
        let patience = Patience::new();
        let pauses: Vec<_> = (0..6).map_while(|_| steal(&patience, 10, WORTH * 9)).collect();
        assert_eq!(pauses, [8, 16, 32, 64, 128, 128].map(Duration::from_micros));
    }

    #[test]
    fn a_theft_that_was_worth_it_ends_the_waiting() {
        let patience = Patience::new();
        assert_eq!(steal(&patience, 1, Duration::ZERO), Some(SHORTEST));
        assert_eq!(steal(&patience, 1, Duration::ZERO), Some(SHORTEST * 2));
        assert_eq!(steal(&patience, 10, WORTH * 10), None);
        assert_eq!(steal(&patience, 1, Duration::ZERO), Some(SHORTEST));
    }

    #[test]
    fn who_has_not_stolen_since_does_not_wait_again() {
        let patience = Patience::new();
        let unasked = || unreachable!("there is no theft to take the time of");
        assert_eq!(patience.pause(unasked), None);
        assert_eq!(steal(&patience, 1, Duration::ZERO), Some(SHORTEST));
        assert_eq!(patience.pause(unasked), None);
    }
}
