//! Being told to stop: ctrl-c and SIGTERM, by the means of the runtime that serves.

use std::io;
use std::process;
use std::thread;

use async_channel::Receiver;
use futures_lite::future;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::runtimes::RuntimeKind;
use crate::shutdown::Stop;

/// SIGINT and SIGTERM, from when this was made.
#[derive(Debug)]
pub struct Signals {
    source: Source,
    stopping: bool,
}

#[derive(Debug)]
enum Source {
    Treescope([treescope::signal::Signal; 2]),
    Tokio([tokio::signal::unix::Signal; 2]),
    Thread(Receiver<i32>),
}

impl Signals {
    /// Starts listening; must be called in a runtime of that kind.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn new(runtime: RuntimeKind) -> io::Result<Self> {
        let source = match runtime {
            RuntimeKind::Treescope => {
                use treescope::signal::{Signal, SignalKind};
                let [interrupt, terminate] = [SignalKind::INTERRUPT, SignalKind::TERMINATE];
                Source::Treescope([Signal::new(interrupt)?, Signal::new(terminate)?])
            }
            RuntimeKind::Tokio => {
                use tokio::signal::unix::{SignalKind, signal};
                Source::Tokio([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?])
            }
            RuntimeKind::Bare => Source::Thread(thread_of_signals()?),
        };
        Ok(Signals { source, stopping: false })
    }

    /// The number of the next signal. Where listening fails one waits for ever: the other one is still there.
    async fn next(&mut self) -> i32 {
        match &mut self.source {
            Source::Treescope(signals) => {
                let [interrupt, terminate] =
                    signals.each_ref().map(async |signal| match signal.recv().await {
                        Ok(()) => signal.kind().as_raw(),
                        Err(_) => future::pending().await,
                    });
                future::or(interrupt, terminate).await
            }
            Source::Tokio([interrupt, terminate]) => {
                let one = async |signal: &mut tokio::signal::unix::Signal, number| match signal.recv().await {
                    Some(()) => number,
                    None => future::pending().await,
                };
                future::or(one(interrupt, SIGINT), one(terminate, SIGTERM)).await
            }
            Source::Thread(numbers) => match numbers.recv().await {
                Ok(number) => number,
                Err(_) => future::pending().await,
            },
        }
    }
}

/// A thread that lasts as long as the process and sends what arrives.
fn thread_of_signals() -> io::Result<Receiver<i32>> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    let (numbers, received) = async_channel::unbounded();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for number in signals.forever() {
            // Fails when nobody serves any more; the process is about to end.
            let _ = numbers.send_blocking(number);
        }
    })?;
    Ok(received)
}

impl Stop for Signals {
    /// Returns at the first signal, and at the second ends the process at once, with the exit code that a
    /// shell reports for it: 130 or 143.
    async fn told(&mut self) {
        let number = self.next().await;
        if self.stopping {
            process::exit(128 + number);
        }
        self.stopping = true;
        tracing::info!("stopping; a second signal ends it at once");
    }
}
