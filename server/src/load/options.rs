//! The command line of `load`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::progress::Shown;
use super::{LoadError, Outcome, Pace, Pattern, Plan, SHORTEST, Summary};
use crate::cli;

/// The options of `load`.
#[derive(Clone, Debug, Args)]
pub struct LoadArgs {
    /// The server's address
    #[arg(long, value_name = "HOST:PORT", default_value = cli::ADDR, value_parser = cli::address)]
    addr: SocketAddr,
    /// How many clients there are
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    connections: u32,
    /// Who sends to whom
    #[arg(long, value_enum, default_value_t)]
    pattern: Pattern,
    /// Closed loop: how many messages each sender has under way
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    window: u32,
    /// Fixed rate instead: messages per second, from all senders together
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "window", value_parser = rate)]
    rate: Option<f64>,
    /// The length of each payload, at least 22 bytes
    #[arg(long, value_name = "SIZE", default_value = "64", value_parser = payload)]
    payload: usize,
    /// How long to go before measuring
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = cli::duration)]
    warm_up: Duration,
    /// How long to measure [default: 5s, with --messages as long as it takes]
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    duration: Option<Duration>,
    /// Measure from the start, and stop when each sender has sent so many and all have arrived
    #[arg(long, value_name = "N", conflicts_with = "warm_up", value_parser = clap::value_parser!(u64).range(1..))]
    messages: Option<u64>,
    /// How long the server may deliver nothing before it is given up
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = cli::duration)]
    patience: Duration,
    /// Processors to keep to
    #[arg(long, value_name = "CPU,..", value_delimiter = ',')]
    pin: Vec<usize>,
    /// Say what was seen as JSON
    #[arg(long)]
    json: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.001..=1e8).contains(&rate) => Ok(rate),
        _ => Err("must be a number from 0.001 to 100000000".to_owned()),
    }
}

fn some_time(text: &str) -> Result<Duration, String> {
    match cli::duration(text)? {
        Duration::ZERO => Err("must be more than 0s, for there is nothing to measure in no time".to_owned()),
        some => Ok(some),
    }
}

fn payload(text: &str) -> Result<usize, String> {
    match cli::size(text)? {
        size if size >= SHORTEST => Ok(size),
        _ => Err(format!("must be at least {SHORTEST} bytes, for what is needed to check it")),
    }
}

impl LoadArgs {
    /// The same as a plan.
    pub fn plan(&self) -> Plan {
        // Who asks for a number wants the number.
        let duration = if self.messages.is_some() { Duration::MAX } else { Duration::from_secs(5) };
        Plan {
            addr: self.addr,
            connections: self.connections as usize,
            pattern: self.pattern,
            pace: self.rate.map_or(Pace::Closed { window: self.window }, Pace::Rate),
            payload: self.payload,
            warm_up: if self.messages.is_some() { Duration::ZERO } else { self.warm_up },
            duration: self.duration.unwrap_or(duration),
            messages: self.messages,
            patience: self.patience,
            processors: self.pin.clone(),
        }
    }

    /// Does it and says what was seen: exit code 0 if every message arrived once, in order and unchanged.
    ///
    /// # Errors
    ///
    /// [`LoadError`]. Before [`LoadError::Lost`] is given what was seen until then has been printed.
    pub fn run(&self) -> Result<ExitCode, LoadError> {
        let mut shown = Shown::new()?;
        let run = super::run(&self.plan(), &mut shown);
        shown.clear();
        let outcome = match &run {
            Ok(outcome) => outcome,
            Err(LoadError::Lost(_, _, outcome)) => outcome,
            Err(_) => return run.map(|_| ExitCode::FAILURE),
        };
        let failure = run.as_ref().map_or_else(|error| Some(error.to_string()), Outcome::failure);
        let summary = Summary { failure: failure.clone(), ..outcome.summary() };
        let text = if self.json {
            serde_json::to_string_pretty(&summary).map_err(io::Error::other)?
        } else {
            summary.to_string()
        };
        let printed = cli::print(&text).map_err(LoadError::Print);
        if let (Ok(_), Some(failure)) = (&run, failure) {
            let _ = writeln!(io::stderr(), "error: {failure}");
            printed?;
            return Ok(ExitCode::FAILURE);
        }
        run.and(printed).map(|()| ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        load: LoadArgs,
    }

    #[test]
    fn the_time_is_limited_unless_only_a_number_is_asked_for() {
        let s = Duration::from_secs;
        for (args, duration, warm_up) in [
            (&[][..], s(5), s(1)),
            (&["--duration=2s"], s(2), s(1)),
            (&["--messages=9"], Duration::MAX, s(0)),
            (&["--messages=9", "--duration=2s"], s(2), s(0)),
        ] {
            let plan = Line::try_parse_from(["load"].iter().chain(args)).unwrap().load.plan();
            assert_eq!((plan.duration, plan.warm_up), (duration, warm_up), "{args:?}");
        }
    }
}
