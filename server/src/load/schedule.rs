//! The plan's times: when to measure, and when each message of a fixed rate is to be sent.

use std::time::{Duration, Instant};

use super::{Pace, Plan};

/// What goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Messages go, and count for nothing but the books.
    WarmingUp,
    /// Messages go and are measured.
    Measuring,
    /// What has been sent arrives, and what was due and could not be sent is.
    Draining,
}

/// See the [module](self). Times are since the start.
#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) started: Instant,
    pub(super) stage: Stage,
    /// When measuring is to begin and to end.
    begin: Duration,
    pub(super) end: Duration,
    /// When it did.
    pub(super) began: Duration,
    pub(super) ended: Duration,
    /// Between two messages, whoever sends them, in ns.
    gap: f64,
    senders: u64,
    /// How many have become due.
    granted: u64,
}

impl Schedule {
    /// A schedule that starts now.
    pub(super) fn new(plan: &Plan, senders: u64) -> Self {
        let gap = match plan.pace {
            Pace::Closed { .. } => 0.0,
            Pace::Rate(rate) => 1e9 / rate,
        };
        Schedule {
            started: Instant::now(),
            stage: Stage::WarmingUp,
            begin: plan.warm_up,
            end: plan.warm_up.saturating_add(plan.duration),
            began: Duration::ZERO,
            ended: Duration::ZERO,
            gap,
            senders,
            granted: 0,
        }
    }

    /// Gives the stage that begins now, if one does.
    pub(super) fn turn(&mut self, elapsed: Duration) -> Option<Stage> {
        match self.stage {
            Stage::WarmingUp if elapsed >= self.begin => {
                (self.began, self.stage) = (elapsed, Stage::Measuring);
            }
            Stage::Measuring if elapsed >= self.end => self.finish(elapsed),
            _ => return None,
        }
        Some(self.stage)
    }

    /// Measuring ends now, whatever the plan was.
    pub(super) fn finish(&mut self, elapsed: Duration) {
        self.ended = elapsed;
        self.end = self.end.min(elapsed);
        if self.stage == Stage::WarmingUp {
            self.began = elapsed;
        }
        self.stage = Stage::Draining;
    }

    /// How long it was measured.
    pub(super) fn measured(&self) -> Duration {
        self.ended - self.began
    }

    /// Whether a message that was to be sent at `at` counts.
    pub(super) fn counts(&self, at: Duration) -> bool {
        (self.begin..self.end).contains(&at)
    }

    /// When the next stage begins.
    pub(super) fn next_stage(&self) -> Option<Duration> {
        match self.stage {
            Stage::WarmingUp => Some(self.begin),
            Stage::Measuring => Some(self.end),
            Stage::Draining => None,
        }
    }

    /// When a sender's `n`th message is to be sent at a fixed rate: senders take turns.
    pub(super) fn intended(&self, sender: u64, n: u64) -> Duration {
        self.time_of(n * self.senders + sender)
    }

    /// The next sender whose message has become due.
    pub(super) fn grant(&mut self, elapsed: Duration) -> Option<u64> {
        let next = self.next_due()?;
        if next > elapsed {
            return None;
        }
        self.granted += 1;
        Some((self.granted - 1) % self.senders)
    }

    /// When the next message becomes due.
    pub(super) fn next_due(&self) -> Option<Duration> {
        Some(self.time_of(self.granted)).filter(|&next| next < self.end)
    }

    /// Between two messages at a fixed rate, whoever sends them; zero in a closed loop.
    pub(super) fn gap(&self) -> Duration {
        Duration::from_nanos(self.gap as u64)
    }

    fn time_of(&self, message: u64) -> Duration {
        Duration::from_nanos((message as f64 * self.gap) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::tests::plan;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn senders_take_turns_and_messages_become_due_by_the_clock() {
        let plan = Plan { pace: Pace::Rate(1000.0), duration: 10 * MS, warm_up: Duration::ZERO, ..plan() };
        let mut schedule = Schedule::new(&plan, 2);
        assert_eq!(schedule.grant(Duration::ZERO), Some(0));
        assert_eq!(schedule.grant(Duration::ZERO), None);
        // Nobody looked for a while: all that has become due meanwhile is, with its own time.
        let granted: Vec<_> = std::iter::from_fn(|| schedule.grant(3 * MS)).collect();
        assert_eq!(granted, [1, 0, 1]);
        assert_eq!((schedule.intended(1, 0), schedule.intended(0, 1)), (MS, 2 * MS));
        assert_eq!(schedule.next_due(), Some(4 * MS));
        // And nothing after the end.
        assert_eq!(std::iter::from_fn(|| schedule.grant(99 * MS)).count(), 6);
        assert_eq!(schedule.next_due(), None);
    }

    #[test]
    fn only_what_was_to_be_sent_while_measuring_counts() {
        let plan = Plan { warm_up: 10 * MS, duration: 10 * MS, ..plan() };
        let mut schedule = Schedule::new(&plan, 2);
        assert_eq!(schedule.turn(9 * MS), None);
        assert_eq!(schedule.turn(11 * MS), Some(Stage::Measuring));
        assert!(!schedule.counts(9 * MS) && schedule.counts(10 * MS));
        assert_eq!(schedule.turn(23 * MS), Some(Stage::Draining));
        assert!(schedule.counts(19 * MS) && !schedule.counts(20 * MS));
        assert_eq!(schedule.measured(), 12 * MS);
    }
}
