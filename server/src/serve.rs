//! A server from its settings to its end.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::designs::{
    Design, actor, dispatcher, mutex, mutex_deadlock, scoped, scoped_tokio, tokens, writer_queues,
};
use crate::designs::{floor, poll, race, sans_io, scoped_local};
use crate::limits::Limits;
use crate::router::Router;
use crate::runtimes::{Listener, Platform, RuntimeKind, Tokio, Treescope};
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
    /// The design cannot run on that.
    Unsupported(Design, RuntimeKind),
    /// The system refuses something else: threads, say.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen(addr, error) => write!(f, "cannot listen on {addr}: {error}"),
            StartError::Unsupported(design, runtime) => {
                write!(f, "the design {design} does not run on {runtime}")?;
                let on: Vec<_> = design.runtimes().iter().map(RuntimeKind::to_string).collect();
                if on.is_empty() { Ok(()) } else { write!(f, ", only on {}", on.join(" or ")) }
            }
            StartError::System(error) => write!(f, "cannot start: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Listen(_, error) | StartError::System(error) => Some(error),
            StartError::Unsupported(..) => None,
        }
    }
}

/// Serves with `router` as its state or as its books, until it is told to stop and all connections have ended.
///
/// The router is in an `Arc` because tasks of tokio's may not borrow it; a scope borrows through it.
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
/// run(&settings, &Router::new(settings.limits).into(), |_addr| Ok(Now))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn run<S: Stop>(
    settings: &Settings,
    router: &Arc<Router>,
    listening: impl FnOnce(SocketAddr) -> io::Result<S>,
) -> Result<(), StartError> {
    let Settings { design, runtime, .. } = *settings;
    if !design.runs_on(runtime) {
        return Err(StartError::Unsupported(design, runtime));
    }
    match runtime {
        RuntimeKind::Treescope if design.is_on_one_thread() => {
            on_local_treescope(settings, router, listening)
        }
        RuntimeKind::Treescope => on_treescope(settings, router, listening),
        RuntimeKind::Tokio => on_tokio(settings, router, listening),
        RuntimeKind::Bare => bare(settings, router, listening),
    }
}

/// Listens, and says so.
fn listen<P: Platform, S: Stop>(
    addr: SocketAddr,
    listening: impl FnOnce(SocketAddr) -> io::Result<S>,
) -> Result<(P::Listener, S), StartError> {
    let listener = P::listen(addr).map_err(|error| StartError::Listen(addr, error))?;
    let stop = listener.local_addr().and_then(listening).map_err(StartError::System)?;
    Ok((listener, stop))
}

fn on_treescope<S: Stop>(
    settings: &Settings,
    router: &Router,
    listening: impl FnOnce(SocketAddr) -> io::Result<S>,
) -> Result<(), StartError> {
    let mut builder = treescope::Runtime::builder().thread_name("worker");
    if let Some(workers) = settings.workers {
        builder = builder.worker_threads(workers);
    }
    let runtime = builder.build().map_err(StartError::System)?;
    runtime.block_on(async |scope| {
        let (listener, stop) = listen::<Treescope, S>(settings.addr, listening)?;
        match settings.design {
            Design::MutexDeadlock => mutex_deadlock::on_treescope(scope, router, listener, stop).await,
            Design::Mutex => mutex::on_treescope(scope, router, listener, stop).await,
            Design::Dispatcher => dispatcher::on_treescope(scope, router, listener, stop).await,
            Design::WriterQueues => writer_queues::on_treescope(scope, router, listener, stop).await,
            Design::Tokens => tokens::on_treescope(scope, router, listener, stop).await,
            Design::Actor => actor::on_treescope(scope, router, listener, stop).await,
            Design::Scoped => scoped::serve(scope, router, listener, stop).await,
            design => return Err(StartError::Unsupported(design, settings.runtime)),
        }
        Ok(())
    })
}

/// Without workers: the thread that is here runs everything.
fn on_local_treescope<S: Stop>(
    settings: &Settings,
    router: &Router,
    listening: impl FnOnce(SocketAddr) -> io::Result<S>,
) -> Result<(), StartError> {
    let runtime = treescope::Runtime::builder().build_local().map_err(StartError::System)?;
    runtime.block_on(async |scope| {
        let (listener, stop) = listen::<Treescope, S>(settings.addr, listening)?;
        match settings.design {
            Design::Race => race::serve(listener, router, stop).await,
            Design::Poll => poll::serve(listener, router, stop).await,
            Design::SansIo => sans_io::serve(listener, router, stop).await,
            Design::ScopedLocal => scoped_local::serve(scope, router, listener, stop).await,
            design => return Err(StartError::Unsupported(design, settings.runtime)),
        }
        Ok(())
    })
}

fn on_tokio<S: Stop>(
    settings: &Settings,
    router: &Arc<Router>,
    listening: impl FnOnce(SocketAddr) -> io::Result<S>,
) -> Result<(), StartError> {
    use tokio::runtime::Builder;
    let mut builder = if settings.design.is_on_one_thread() {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    if let Some(workers) = settings.workers {
        builder.worker_threads(workers);
    }
    let runtime = builder.thread_name("worker").enable_all().build().map_err(StartError::System)?;
    runtime.block_on(async {
        let (listener, stop) = listen::<Tokio, S>(settings.addr, listening)?;
        match settings.design {
            Design::Race => race::serve(listener, router, stop).await,
            Design::Poll => poll::serve(listener, router, stop).await,
            Design::SansIo => sans_io::serve(listener, router, stop).await,
            Design::MutexDeadlock => mutex_deadlock::on_tokio(router, listener, stop).await,
            Design::Mutex => mutex::on_tokio(router, listener, stop).await,
            Design::Dispatcher => dispatcher::on_tokio(router, listener, stop).await,
            Design::WriterQueues => writer_queues::on_tokio(router, listener, stop).await,
            Design::Tokens => tokens::on_tokio(router, listener, stop).await,
            Design::Actor => actor::on_tokio(router, listener, stop).await,
            Design::Scoped => scoped_tokio::serve(router, listener, stop).await,
            design => return Err(StartError::Unsupported(design, settings.runtime)),
        }
        Ok(())
    })
}

fn bare<S: Stop>(
    settings: &Settings,
    router: &Router,
    listening: impl FnOnce(SocketAddr) -> io::Result<S>,
) -> Result<(), StartError> {
    let addr = settings.addr;
    let listener = floor::listen(addr).map_err(|error| StartError::Listen(addr, error))?;
    let stop = listener.local_addr().and_then(listening).map_err(StartError::System)?;
    match settings.design {
        Design::Floor => floor::serve(listener, router, stop).map_err(StartError::System),
        design => Err(StartError::Unsupported(design, settings.runtime)),
    }
}
