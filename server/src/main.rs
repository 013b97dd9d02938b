//! The program: see `server --help`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use server::cli::{self, Cli, Command};
use server::compare::{self, CompareArgs, CompareError};
use server::load::{LoadArgs, LoadError};
use server::router::Router;
use server::runtimes::RuntimeKind;
use server::serve::{self, Settings, StartError};
use server::signals::Signals;
use server::{client, leash, logging};

/// What was asked for cannot be done as asked: a bad option, a bad address, a taken port.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => return fail(cli::one_line(&error), USAGE),
        Err(help) => {
            return match help.print().and_then(|()| io::stdout().flush()) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    fail(format_args!("error: cannot write to standard output: {error}"), 1)
                }
                _ => ExitCode::SUCCESS,
            };
        }
    };
    logging::init();
    match cli.command() {
        Command::Serve(args) => {
            if args.until_stdin_closes
                && let Err(error) = leash::end_with_stdin()
            {
                return fail(format_args!("error: cannot start: {error}"), 1);
            }
            serve(&args.settings())
        }
        Command::Client(args) => match client::run(args.addr) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(format_args!("error: {error}"), 1),
        },
        Command::Load(args) => load(&args),
        Command::Compare(args) => compare(&args),
    }
}

fn compare(args: &CompareArgs) -> ExitCode {
    match compare::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ CompareError::Asked(_)) => fail(format_args!("error: {error}"), USAGE),
        Err(error @ (CompareError::File(..) | CompareError::Incomplete(_))) => {
            fail(format_args!("error: {error}"), 1)
        }
    }
}

fn load(args: &LoadArgs) -> ExitCode {
    args.run().unwrap_or_else(|error| {
        let code = if matches!(error, LoadError::Asked(_)) { USAGE } else { 1 };
        fail(format_args!("error: {error}"), code)
    })
}

fn serve(settings: &Settings) -> ExitCode {
    let listening = |addr| {
        let signals = Signals::new(settings.runtime)?;
        announce(addr);
        Ok(signals)
    };
    let router = Router::new(settings.limits);
    let served = match settings.runtime {
        RuntimeKind::Tokio => {
            let router = Arc::new(router);
            serve::run_on_tokio(settings, &router, listening).map(|()| stopped(&router))
        }
        _ => serve::run(settings, &router, listening).map(|()| stopped(&router)),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ (StartError::Listen(..) | StartError::Unsupported(..))) => {
            fail(format_args!("error: {error}"), USAGE)
        }
        Err(error @ StartError::System(_)) => fail(format_args!("error: {error}"), 1),
    }
}

fn stopped(router: &Router) {
    tracing::info!(stats = ?router.stats(), "stopped");
}

/// Two lines, so that a newcomer knows what to do. Nobody has to read them.
fn announce(addr: SocketAddr) {
    let program = std::env::args().next().unwrap_or_else(|| "server".to_owned());
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "listening on {addr}")
        .and_then(|()| writeln!(out, "try it: run `{program} client --addr {addr}` in two other terminals"))
        .and_then(|()| out.flush());
}

fn fail(message: impl std::fmt::Display, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "{message}");
    ExitCode::from(code)
}
