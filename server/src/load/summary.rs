//! What was seen, in figures: for people and as JSON.

use std::fmt;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::ledger::Faults;
use super::outcome::{Outcome, micros};

/// An [`Outcome`] in figures, as `--json` gives it. What nothing was measured of is `null`.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "as in the outcome; units are in the names")]
pub struct Summary {
    pub sent: u64,
    pub arrived: u64,
    pub unsent: u64,
    pub missing: u64,
    pub faults: Faults,
    pub stalled: bool,
    pub seconds: f64,
    pub messages_per_second: f64,
    pub asked_per_second: Option<f64>,
    pub sent_per_second: f64,
    pub p50_us: Option<f64>,
    pub p90_us: Option<f64>,
    pub p99_us: Option<f64>,
    pub p999_us: Option<f64>,
    pub max_us: Option<f64>,
    pub evenness: Option<f64>,
    pub generator_cpu_ns_per_message: Option<f64>,
    pub generator_cpu_share: f64,
    pub generator_waiting_share: f64,
    pub generator_late_p50_us: Option<f64>,
    pub generator_late_p99_us: Option<f64>,
    pub saturated: bool,
    /// See [`Outcome::misses_rate`].
    pub rate_missed: bool,
    /// See [`Outcome::is_late`].
    pub latency_is_generators: bool,
    pub failure: Option<String>,
}

impl Summary {
    pub(super) fn of(outcome: &Outcome) -> Self {
        let latency = |quantile| known(&outcome.latency, quantile);
        let measured = Some(outcome.measured as f64).filter(|&measured| measured > 0.0);
        Summary {
            sent: outcome.sent,
            arrived: outcome.arrived,
            unsent: outcome.unsent,
            missing: outcome.missing,
            faults: outcome.faults,
            stalled: outcome.stalled,
            seconds: outcome.elapsed.as_secs_f64(),
            messages_per_second: outcome.throughput(),
            asked_per_second: outcome.asked,
            sent_per_second: outcome.offered_rate(),
            p50_us: latency(0.5),
            p90_us: latency(0.9),
            p99_us: latency(0.99),
            p999_us: latency(0.999),
            max_us: latency(1.0),
            evenness: measured.map(|_| outcome.evenness()),
            generator_cpu_ns_per_message: measured.map(|messages| outcome.cpu.as_nanos() as f64 / messages),
            generator_cpu_share: outcome.share(),
            generator_waiting_share: outcome.waiting(),
            generator_late_p50_us: known(&outcome.lateness, 0.5),
            generator_late_p99_us: known(&outcome.lateness, 0.99),
            saturated: outcome.is_saturated(),
            rate_missed: outcome.misses_rate(),
            latency_is_generators: outcome.is_late(),
            failure: outcome.failure(),
        }
    }
}

/// In µs; `None` if there is none.
fn known(histogram: &Histogram<u64>, quantile: f64) -> Option<f64> {
    (!histogram.is_empty()).then(|| micros(histogram, quantile))
}

/// A time that is given in µs, in the unit that people would give it in.
fn time(us: Option<f64>) -> String {
    match us {
        None => "-".to_owned(),
        // What would be rounded to 1000.0 has the next unit.
        Some(us) if us < 999.95 => format!("{us:.1} µs"),
        Some(us) if us < 999_950.0 => format!("{:.1} ms", us / 1e3),
        Some(us) => format!("{:.1} s", us / 1e6),
    }
}

/// For people.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "messages    {} sent, {} arrived; {}", self.sent, self.arrived, self.faults)?;
        writeln!(f, "throughput  {:.0} messages/s for {:.2} s", self.messages_per_second, self.seconds)?;
        writeln!(
            f,
            "latency     {} median, {} p90, {} p99, {} p99.9, {} at most",
            time(self.p50_us),
            time(self.p90_us),
            time(self.p99_us),
            time(self.p999_us),
            time(self.max_us)
        )?;
        let evenness = self.evenness.map_or_else(|| "-".to_owned(), |evenness| format!("{evenness:.2}"));
        writeln!(f, "evenness    {evenness}: the client served least, of the mean")?;
        write!(
            f,
            "generator   {} of processor time per message, busy {:.0} % of the time, waiting for a processor {:.0} %",
            time(self.generator_cpu_ns_per_message.map(|ns| ns / 1e3)),
            self.generator_cpu_share * 100.0,
            self.generator_waiting_share * 100.0,
        )?;
        if self.asked_per_second.is_some() {
            write!(f, ", {} late at p99", time(self.generator_late_p99_us))?;
        }
        self.warn(f)
    }
}

impl Summary {
    /// What figures are not to be taken for.
    fn warn(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.evenness.is_none() {
            write!(f, "\nwarning: nothing arrived while it was measured")?;
        }
        if let (true, Some(asked)) = (self.rate_missed, self.asked_per_second) {
            write!(
                f,
                "\nwarning: the rate was not reached: {asked:.0} messages/s were asked for and {:.0} were sent",
                self.sent_per_second
            )?;
        }
        if self.latency_is_generators && self.rate_missed {
            write!(
                f,
                "\nwarning: the generator did not keep up; the latencies are its own lateness rather than the server's"
            )?;
        } else if self.latency_is_generators {
            write!(
                f,
                "\nwarning: the generator was late itself, by {} at the median and {} at p99; so much of the latencies \
                 is not the server's",
                time(self.generator_late_p50_us),
                time(self.generator_late_p99_us)
            )?;
        }
        if self.unsent > 0 {
            write!(f, "\nwarning: {} messages were due and could not be sent in time", self.unsent)?;
        }
        if self.saturated {
            write!(f, "\nwarning: the generator had hardly a pause; the server may be faster")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_the_unit_that_people_would_give_it_in() {
        for (us, text) in [
            (None, "-"),
            (Some(0.0), "0.0 µs"),
            (Some(999.9), "999.9 µs"),
            (Some(999.96), "1.0 ms"),
            (Some(12_345.0), "12.3 ms"),
            (Some(999_960.0), "1.0 s"),
            (Some(19_797_114.9), "19.8 s"),
        ] {
            assert_eq!(time(us), text);
        }
    }
}
