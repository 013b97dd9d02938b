//! What is measured: times of messages, how many were sent meanwhile, and what that cost.

use std::io;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::schedule::Schedule;
use super::system::Usage;

/// Times are kept in ns, to three digits, up to this.
const LONGEST: u64 = 600_000_000_000;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) latency: Histogram<u64>,
    pub(super) lateness: Histogram<u64>,
    pub(super) last_sent: Duration,
    /// How many had been sent when measuring began; when it has ended, how many were meanwhile.
    pub(super) sent: u64,
    /// The same of what was used.
    pub(super) usage: Usage,
}

impl Figures {
    pub(super) fn new() -> io::Result<Self> {
        let histogram = || Histogram::new_with_bounds(1, LONGEST, 3).map_err(io::Error::other);
        let (latency, lateness) = (histogram()?, histogram()?);
        Ok(Figures { latency, lateness, last_sent: Duration::ZERO, sent: 0, usage: Usage::now() })
    }

    /// Measuring begins; so many have been sent before.
    pub(super) fn begin(&mut self, sent: u64) {
        (self.sent, self.usage) = (sent, Usage::now());
    }

    /// Measuring has ended; so many have been sent.
    pub(super) fn end(&mut self, sent: u64) {
        (self.sent, self.usage) = (sent - self.sent, self.usage.until_now());
    }

    /// A message was so long on its way.
    pub(super) fn took(&mut self, time: Duration) {
        self.latency.saturating_record(nanos(time));
    }

    /// A message was sent so late.
    pub(super) fn late(&mut self, time: Duration) {
        self.lateness.saturating_record(nanos(time));
    }

    /// How long messages were sent while it was measured: until the last one, if all that were asked for were sent.
    pub(super) fn sending(&self, schedule: &Schedule, has_sent_all: bool) -> Duration {
        if !has_sent_all {
            return schedule.measured();
        }
        // The last one has its share of the time as the others have.
        let end = self.last_sent + schedule.gap();
        end.saturating_sub(schedule.began).min(schedule.measured())
    }
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
