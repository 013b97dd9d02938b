//! The command line.

use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand};
use jiff::SignedDuration;

use crate::compare::CompareArgs;
use crate::designs::Design;
use crate::limits::Limits;
use crate::load::LoadArgs;
use crate::runtimes::RuntimeKind;
use crate::serve::Settings;

/// A TCP message router.
///
/// A client gets an id when it connects and sends frames to other clients by their ids. Without a
/// command, serves.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

impl Cli {
    /// What to do.
    pub fn command(self) -> Command {
        self.command.unwrap_or(Command::Serve(self.serve))
    }
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Routes messages between clients until ctrl-c
    Serve(ServeArgs),
    /// Connects by hand: prints your id, sends lines of the form `ID text`, shows what arrives
    Client(ClientArgs),
    /// Loads a server with many clients and checks every message
    Load(LoadArgs),
    /// Measures all designs on all runtimes against each other
    Compare(CompareArgs),
}

/// The address that server and client have in common when none is given.
pub(crate) const ADDR: &str = "127.0.0.1:7100";

/// The options of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Where to listen; port 0 lets the system choose one
    #[arg(long, value_name = "HOST:PORT", default_value = ADDR, value_parser = address)]
    addr: SocketAddr,
    /// Threads that run tasks; race, poll, sans-io, scoped-local and floor have one whatever this is
    /// [default: as many as the machine has]
    #[arg(long, value_name = "N", value_parser = workers)]
    workers: Option<NonZeroUsize>,
    /// How connections share the router's state
    #[arg(long, value_enum, default_value_t)]
    design: Design,
    /// What runs the tasks [default: treescope, for a design that can run on it]
    #[arg(long, value_enum)]
    runtime: Option<RuntimeKind>,
    /// The longest payload of a frame; a longer one ends the connection that sends it
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size)]
    max_frame: usize,
    /// What may be queued for a connection before those who send to it wait;
    /// heeded by scoped, scoped-local, sans-io and floor
    #[arg(long, value_name = "SIZE", default_value = "256KiB", value_parser = size)]
    queue_bytes: usize,
    /// How long a connection may take nothing of what is queued for it;
    /// heeded by scoped, scoped-local, sans-io and floor
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    stall_timeout: Duration,
    /// How long to go on delivering when told to stop
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    grace: Duration,
    /// How many connections there may be at a time; further ones wait
    #[arg(long, value_name = "N", default_value = "65536", value_parser = connections)]
    max_connections: usize,
    /// What a handler computes for each frame
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    #[arg(help_heading = "For measurements")]
    work: Duration,
    /// End at once when stdin is closed, as it is when whoever holds the other end of the pipe dies
    #[arg(long, hide = true)]
    pub until_stdin_closes: bool,
}

impl ServeArgs {
    /// The same as settings.
    pub fn settings(&self) -> Settings {
        Settings {
            addr: self.addr,
            workers: self.workers.map(NonZeroUsize::get),
            design: self.design,
            runtime: self.runtime.or(self.design.runtimes().first().copied()).unwrap_or_default(),
            limits: Limits {
                max_frame: self.max_frame,
                queue_bytes: self.queue_bytes,
                stall_timeout: self.stall_timeout,
                grace: self.grace,
                max_connections: self.max_connections,
                work: self.work,
            },
        }
    }
}

/// The options of `client`.
#[derive(Clone, Debug, Args)]
pub struct ClientArgs {
    /// The server's address
    #[arg(long, value_name = "HOST:PORT", default_value = ADDR, value_parser = address)]
    pub addr: SocketAddr,
}

/// A host name is looked up, so `localhost:7100` is an address too.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    let mut addrs = text.to_socket_addrs().map_err(|error| error.to_string())?;
    addrs.next().ok_or_else(|| "the name has no address".to_owned())
}

/// Sizes above this are taken for slips: two buffers of that size for each connection cannot be meant.
const LARGEST: u64 = 1 << 30;

pub(crate) fn size(text: &str) -> Result<usize, String> {
    let size = ByteSize::from_str(text)?.as_u64();
    match usize::try_from(size) {
        Ok(size) if (1..=LARGEST).contains(&(size as u64)) => Ok(size),
        _ => Err("must be from 1 byte to 1GiB".to_owned()),
    }
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let duration = SignedDuration::from_str(text).map_err(|_| "must be a time such as 30s or 1m 500ms")?;
    // Beyond a year a deadline is none, and clocks overflow somewhere.
    let year = Duration::from_secs(365 * 24 * 3600);
    match Duration::try_from(duration) {
        Ok(duration) if duration <= year => Ok(duration),
        _ => Err("must be from 0s to a year".to_owned()),
    }
}

fn workers(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "must be a number, 1 at least".to_owned())
}

fn connections(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=Limits::MOST_CONNECTIONS).contains(&n) => Ok(n),
        _ => Err(format!("must be from 1 to {}", Limits::MOST_CONNECTIONS)),
    }
}

/// Prints what was asked for.
///
/// # Errors
///
/// The system's, but for a pipe that is closed: whoever closed it does not want to see it.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

/// What is wrong with the command line, in one line.
///
/// clap says it in a paragraph, followed by tips and the usage. The tips name what was probably meant.
pub fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim);
    let paragraph: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let tips: String =
        lines.filter_map(|line| line.strip_prefix("tip: ")).map(|tip| format!("; {tip}")).collect();
    format!("{}{tips} (--help tells more)", paragraph.join(" "))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    fn settings(args: &[&str]) -> Settings {
        let all = ["server"].iter().chain(args);
        match Cli::try_parse_from(all).unwrap().command() {
            Command::Serve(serve) => serve.settings(),
            other => panic!("parsed as {other:?}"),
        }
    }

    #[test]
    fn serve_is_the_default_command_and_takes_the_same_options() {
        let (plain, serve) = (settings(&["--workers", "3"]), settings(&["serve", "--workers", "3"]));
        assert_eq!(format!("{plain:?}"), format!("{serve:?}"));
        assert_eq!(plain.workers, Some(3));
        assert_eq!(plain.addr.port(), 7100);
        assert_eq!(plain.limits, Limits::default());
    }

    #[test]
    fn sizes_and_times_have_units() {
        let limits = settings(&[
            "--max-frame=2MiB",
            "--queue-bytes=64k",
            "--stall-timeout=250ms",
            "--grace=1m",
            "--addr=localhost:1",
        ])
        .limits;
        assert_eq!(limits.max_frame, 2 << 20);
        assert_eq!(limits.queue_bytes, 64_000);
        assert_eq!(limits.stall_timeout, Duration::from_millis(250));
        assert_eq!(limits.grace, Duration::from_secs(60));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        for arg in [
            "--addr=nonsense",
            "--addr=127.0.0.1:99999",
            "--workers=0",
            "--max-frame=0",
            "--max-frame=much",
            "--queue-bytes=5TiB",
            "--stall-timeout=-1s",
            "--stall-timeout=soon",
            "--grace=9999 years",
            "--max-connections=0",
            "--design=unknown",
            "--runtime=unknown",
            "--unknown=1",
        ] {
            let error = Cli::try_parse_from(["server", arg]).unwrap_err();
            let line = one_line(&error);
            assert!(line.starts_with("error: ") && !line.contains('\n'), "{line}");
            assert!(!line.contains("Usage"), "{line}");
            assert!(line.contains(arg.split_once('=').unwrap().0), "{line}");
            assert!(!line.contains("non-zero type"), "{line}");
        }
    }

    #[test]
    fn what_was_probably_meant_is_said_in_the_same_line() {
        for (args, meant) in [
            (&["load", "--connection=4"][..], "'--connections'"),
            (&["loda"], "'load'"),
            (&["--design=mutx"], "'mutex'"),
        ] {
            let all = ["server"].iter().chain(args);
            let line = one_line(&Cli::try_parse_from(all).unwrap_err());
            assert!(line.contains(&format!("exists: {meant}")) && !line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn help_says_which_designs_an_option_is_for() {
        let command = <Cli as clap::CommandFactory>::command();
        let help = |name: &str| {
            let argument = command.get_arguments().find(|argument| argument.get_id() == name).unwrap();
            argument.get_help().unwrap().to_string()
        };
        let words =
            |text: String| -> Vec<String> { text.split([' ', ',', ';']).map(str::to_owned).collect() };
        let (workers, queue, stall) =
            (words(help("workers")), words(help("queue_bytes")), words(help("stall_timeout")));
        for design in Design::value_variants() {
            let name = design.to_string();
            assert_eq!(workers.contains(&name), design.is_on_one_thread(), "{name}");
            // Those that were written with bounds.
            let bounded =
                matches!(design, Design::Scoped | Design::ScopedLocal | Design::SansIo | Design::Floor);
            assert_eq!(queue.contains(&name), bounded, "{name}");
            assert_eq!(stall.contains(&name), bounded, "{name}");
        }
    }
}
