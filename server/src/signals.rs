//! Being told to stop: ctrl-c and SIGTERM.

use std::io;
use std::process;

use futures_lite::future;
use treescope::signal::{Signal, SignalKind};

use crate::shutdown::Stop;

/// SIGINT and SIGTERM, from when this was made.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    stopping: bool,
}

impl Signals {
    /// Starts listening; must be called in a runtime.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn new() -> io::Result<Self> {
        Ok(Signals {
            interrupt: Signal::new(SignalKind::INTERRUPT)?,
            terminate: Signal::new(SignalKind::TERMINATE)?,
            stopping: false,
        })
    }

    /// The number of the next signal.
    async fn next(&self) -> i32 {
        let one = async |signal: &Signal| match signal.recv().await {
            Ok(()) => signal.kind().as_raw(),
            // Should reading fail, the other one is still there.
            Err(_) => future::pending().await,
        };
        future::or(one(&self.interrupt), one(&self.terminate)).await
    }
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
