//! What a worker without work takes from its mates, and when it leaves them alone.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::Worker;
use crate::sched::deque::{Owner, Steal, Stealer};
use crate::task::cell::{self, Runnable};

/// How many tasks a thief takes at most.
const STEAL_MAX: usize = 32;
/// Whether a thief leaves a mate's only task alone at its first look.
const LEAVES_LONE: bool = !cfg!(loom);
/// Whether a thief pauses after a theft that was not worth it. Time is not the models'.
const PAUSES: bool = !cfg!(any(loom, shuttle));

impl Worker {
    /// Leaves the mates alone for a while, it being not worth it to steal from them; gives what comes from elsewhere meanwhile.
    #[cold]
    pub(super) fn pause(&self, pause: Duration) -> Option<Runnable> {
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.scheduler.is_shut_down() {
            if let Some(runnable) = self.remote() {
                return Some(runnable);
            }
            for _ in 0..32 {
                crate::sync::spin_loop();
            }
        }
        // The mates may all be in polls that do not end, and this worker, which steals one small task after the other, the only one to look.
        self.poll_driver();
        self.next()
    }

    /// Takes from a mate, beginning with a random one: first the oldest of its spawn lanes, then of its woken lanes.
    pub(super) fn steal(&self) -> Option<Runnable> {
        let mates = &self.scheduler.workers;
        let start = self.random() as usize % mates.len();
        let others = || (0..mates.len()).map(|n| (start + n) % mates.len()).filter(|&n| n != self.index);
        let from = |victim, left_alone, lane, together| {
            if self.leaves_alone(victim, left_alone) {
                None
            } else {
                let (first, more) = Self::steal_from(victim, lane, together)?;
                if PAUSES {
                    self.patience.stole(1 + more, Instant::now());
                }
                Some(first)
            }
        };
        others()
            .find_map(|n| from(&mates[n].spawned, &self.left_alone[n][0], &self.spawned, cell::are_siblings))
            .or_else(|| {
                others().find_map(|n| from(&mates[n].woken, &self.left_alone[n][1], &self.woken, |_, _| true))
            })
    }

    /// Whether a mate's only task is left to it: at the first look, for the mate most often comes to it sooner than it
    /// could be carried over, and a chain of tasks, each of which spawns or wakes the next, would change threads at every
    /// link. One that is still there at the next look is taken; until then this worker does not sleep (see `park`).
    fn leaves_alone(&self, victim: &Stealer<Runnable>, left_alone: &Cell<Option<usize>>) -> bool {
        LEAVES_LONE && victim.lone().is_some_and(|lone| left_alone.replace(Some(lone)) != Some(lone))
    }

    /// Takes the oldest half, up to [`STEAL_MAX`] and the first that does not go `together` with the oldest: that one to run,
    /// the rest, whose number it gives, into `lane`.
    ///
    /// Of children only siblings go together: they are one level of one path through the tree, below which the thief makes the
    /// others. Half a lane would be several levels, and another set of them would come below each.
    fn steal_from(
        victim: &Stealer<Runnable>,
        lane: &Owner<Runnable>,
        together: fn(&Runnable, &Runnable) -> bool,
    ) -> Option<(Runnable, u32)> {
        let first = loop {
            match victim.steal() {
                Steal::Taken(runnable) => break runnable,
                Steal::Empty => return None,
                Steal::Retry => crate::sync::spin_loop(),
            }
        };
        let more = (victim.len() / 2).min(STEAL_MAX - 1);
        let mut taken = 0;
        for _ in 0..more {
            match victim.steal() {
                Steal::Taken(runnable) => {
                    let was_last = !together(&first, &runnable);
                    lane.push(runnable);
                    taken += 1;
                    if was_last {
                        break;
                    }
                }
                Steal::Empty | Steal::Retry => break,
            }
        }
        Some((first, taken))
    }
}
