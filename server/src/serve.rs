//! A server from its settings to its end.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use treescope::Runtime;
use treescope::net::TcpListener;

use crate::designs::{Design, RuntimeKind, scoped};
use crate::limits::Limits;
use crate::router::Router;
use crate::shutdown::Stop;

/// What to serve, where and with how much.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Where to listen; with port 0 the system chooses one.
    pub addr: SocketAddr,
    /// How many threads run tasks; `None`: as many as the machine has.
    pub workers: Option<usize>,
    /// How connections share the state.
    pub design: Design,
    /// What runs them.
    pub runtime: RuntimeKind,
    /// What a client may cost.
    pub limits: Limits,
}

/// Why a server did not start.
#[derive(Debug)]
pub enum StartError {
    /// The address is not this machine's, or is taken, or is not allowed.
    Listen(SocketAddr, io::Error),
    /// The system refuses something else: threads, say.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen(addr, error) => write!(f, "cannot listen on {addr}: {error}"),
            StartError::System(error) => write!(f, "cannot start: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Listen(_, error) | StartError::System(error) => Some(error),
        }
    }
}

/// Serves with `router` as its state, until it is told to stop and all connections have ended.
///
/// `listening` is called when clients can connect, with the address; it gives what tells the server to stop.
///
/// # Errors
///
/// [`StartError`]; and what `listening` fails with, as [`StartError::System`].
///
/// ```
/// use server::router::Router;
/// use server::serve::{Settings, run};
/// use server::shutdown::Stop;
///
/// /// Stops as soon as it listens.
/// struct Now;
///
/// impl Stop for Now {
///     async fn told(&mut self) {}
/// }
///
/// let settings = Settings {
///     addr: "127.0.0.1:0".parse()?,
///     workers: Some(1),
///     design: Default::default(),
///     runtime: Default::default(),
///     limits: Default::default(),
/// };
/// run(&settings, &Router::new(settings.limits), |_addr| Ok(Now))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn run<S: Stop>(
    settings: &Settings,
    router: &Router,
    listening: impl FnOnce(SocketAddr) -> io::Result<S>,
) -> Result<(), StartError> {
    let Settings { addr, design: Design::Scoped, runtime: RuntimeKind::Treescope, .. } = *settings;
    let mut builder = Runtime::builder().thread_name("worker");
    if let Some(workers) = settings.workers {
        builder = builder.worker_threads(workers);
    }
    let runtime = builder.build().map_err(StartError::System)?;
    runtime.block_on(async |scope| {
        let listener = TcpListener::bind(addr).map_err(|error| StartError::Listen(addr, error))?;
        let stop = listener.local_addr().and_then(listening).map_err(StartError::System)?;
        scoped::serve(scope, router, listener, stop).await;
        Ok(())
    })
}
