//! A server in the test's own process, and plain blocking clients.
#![allow(dead_code, unreachable_pub, reason = "each test file is a crate and uses its part")]

pub mod designs;
#[cfg(unix)]
pub mod program;

use std::future::poll_fn;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use server::designs::Design;
use server::limits::Limits;
use server::protocol::{END, ID_BYTES, encode};
use server::router::Router;
use server::runtimes::RuntimeKind;
use server::serve::{Settings, run};

/// Nothing here takes so long unless it never happens.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// More than the kernel buffers between two sockets on one machine.
pub const MUCH: usize = 32 << 20;

/// Bounds that let a server queue [`MUCH`]: what the kernel does not take is queued, and nobody waits.
pub fn deep_queues() -> Limits {
    Limits { queue_bytes: 2 * MUCH, grace: PATIENCE, ..Limits::default() }
}

/// A frame with a payload of `len` bytes.
pub fn frame(to: u32, len: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    encode(to, &vec![b'x'; len], &mut frame);
    frame
}

/// Waits until `condition` holds.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "did not happen: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Tells a server to stop, as often as it is called.
#[derive(Default)]
struct Stop(Mutex<(usize, Option<Waker>)>);

impl Stop {
    fn lock(&self) -> MutexGuard<'_, (usize, Option<Waker>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self) {
        let mut state = self.lock();
        state.0 += 1;
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    }
}

impl server::shutdown::Stop for &Stop {
    async fn told(&mut self) {
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.0 > 0 {
                state.0 -= 1;
                return Poll::Ready(());
            }
            state.1 = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// A server that runs.
pub struct Server<'a> {
    pub addr: SocketAddr,
    pub router: &'a Router,
    stop: &'a Stop,
    ended: &'a Mutex<mpsc::Receiver<()>>,
}

impl Server<'_> {
    pub fn stop(&self) {
        self.stop.call();
    }

    /// Waits until the server has ended.
    #[track_caller]
    pub fn ended(&self) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.recv_timeout(PATIENCE).expect("the server ends");
    }

    pub fn client(&self) -> Client {
        Client::connect(self.addr)
    }

    /// Waits until some sender waits and nothing has moved for a moment. A machine that is slow enough may
    /// pass this early, so nothing may depend on it but how much a test tests.
    #[track_caller]
    pub fn stands_still(&self) {
        let stats = self.router.stats();
        let (mut written, mut since) = (0, Instant::now());
        eventually("the flood stands still", || {
            if written != stats.written.get() {
                (written, since) = (stats.written.get(), Instant::now());
            }
            stats.waits.get() > 0 && since.elapsed() > Duration::from_millis(100)
        });
    }
}

/// Ends the server when the test is over, also when it fails.
struct StopAtEnd<'a>(&'a Stop);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        // Twice: at once.
        self.0.call();
        self.0.call();
    }
}

/// Runs `test` beside a server of the design `scoped` with two workers, on one runtime after the other.
pub fn with_server<R>(limits: Limits, test: impl Fn(&Server<'_>) -> R) -> Vec<R> {
    with_workers(2, limits, test)
}

/// As [`with_server`], with so many workers.
pub fn with_workers<R>(workers: usize, limits: Limits, test: impl Fn(&Server<'_>) -> R) -> Vec<R> {
    let on = |&runtime: &RuntimeKind| {
        // Shown if the test fails.
        println!("scoped on {runtime}");
        with_design(Design::Scoped, runtime, workers, limits, &test)
    };
    Design::Scoped.runtimes().iter().map(on).collect()
}

/// Runs `test` beside a server of that design on that runtime.
pub fn with_design<R>(
    design: Design,
    runtime: RuntimeKind,
    workers: usize,
    limits: Limits,
    test: impl FnOnce(&Server<'_>) -> R,
) -> R {
    let addr = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = Settings { addr, workers: Some(workers), design, runtime, limits };
    let router = Arc::new(Router::new(limits));
    let stop = Stop::default();
    let result = thread::scope(|threads| {
        let _stop_at_end = StopAtEnd(&stop);
        let (listening, addr) = mpsc::channel();
        let (over, ended) = mpsc::channel();
        let (router, stop) = (&router, &stop);
        threads.spawn(move || {
            run(&settings, router, |addr| {
                listening.send(addr).unwrap();
                Ok(stop)
            })
            .unwrap();
            let _ = over.send(());
        });
        let addr = addr.recv_timeout(PATIENCE).expect("the server listens");
        test(&Server { addr, router, stop, ended: &Mutex::new(ended) })
    });
    assert_eq!((Arc::strong_count(&router), router.count().live), (1, 0), "no task outlives the server");
    result
}

/// A client with blocking calls that fail when they block for too long.
pub struct Client {
    pub id: u32,
    socket: BufReader<TcpStream>,
}

impl Client {
    /// Connects, and waits to be greeted.
    #[track_caller]
    pub fn connect(addr: SocketAddr) -> Self {
        let socket = connect(addr);
        Self::greeted(socket)
    }

    /// Waits for the greeting on a connection that was made before.
    #[track_caller]
    pub fn greeted(socket: TcpStream) -> Self {
        let mut socket = BufReader::new(socket);
        let mut id = [0; ID_BYTES];
        socket.read_exact(&mut id).expect("the server greets");
        Client { id: u32::from_be_bytes(id), socket }
    }

    /// The socket, for what is not a frame.
    pub fn socket(&self) -> &TcpStream {
        self.socket.get_ref()
    }

    #[track_caller]
    pub fn send(&self, to: u32, payload: &[u8]) {
        let mut frame = Vec::new();
        encode(to, payload, &mut frame);
        self.send_bytes(&frame);
    }

    #[track_caller]
    pub fn send_bytes(&self, bytes: &[u8]) {
        self.socket().write_all(bytes).expect("the server takes what is sent");
    }

    /// Whether something arrives within a moment. Without it nothing is amiss: it may come later.
    pub fn hears_something(&self) -> bool {
        self.socket().set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let heard = !self.socket.buffer().is_empty() || matches!(self.socket().peek(&mut [0]), Ok(1));
        self.socket().set_read_timeout(Some(PATIENCE)).unwrap();
        heard
    }

    /// The next frame's payload.
    #[track_caller]
    pub fn recv(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        self.socket.read_until(END, &mut body).expect("a frame arrives");
        assert_eq!(body.pop(), Some(END), "a whole frame arrives, not {body:?}");
        body
    }

    /// Whatever arrives until the server closes. A reset counts as closing.
    #[track_caller]
    pub fn recv_rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.socket.read_to_end(&mut rest) {
            Err(error) if !closed(&error) => panic!("the server closes: {error}"),
            _ => rest,
        }
    }

    pub fn close_sending(&self) {
        self.socket().shutdown(Shutdown::Write).expect("the sending side closes");
    }

    /// Sends frames of altogether `bytes` bytes to `receiver`; when it returns the server has routed all.
    #[track_caller]
    pub fn send_much(&mut self, receiver: u32, bytes: usize) {
        let frame = frame(receiver, 1000);
        let copies = bytes / frame.len();
        assert_eq!(flood(self.socket(), &frame, copies), copies);
        self.round_trip();
    }

    /// Sends a frame to itself and waits for it, so everything sent before has been routed.
    #[track_caller]
    pub fn round_trip(&mut self) {
        self.send(self.id, b"round trip");
        assert_eq!(self.recv(), b"round trip");
    }
}

/// A connection that nothing has been read from.
#[track_caller]
pub fn connect(addr: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(addr).expect("the server accepts");
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket
}

pub fn closed(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected)
}

/// Keeps writing copies of a frame until the server closes the connection or `copies` are written;
/// gives how many whole copies it took.
pub fn flood(mut socket: &TcpStream, frame: &[u8], copies: usize) -> usize {
    let each = (64 << 10) / frame.len() + 1;
    let chunk = frame.repeat(each);
    let mut written = 0;
    while written < copies * frame.len() {
        let left = copies * frame.len() - written;
        match socket.write(&chunk[written % frame.len()..][..left.min(chunk.len() - written % frame.len())]) {
            Ok(n) => written += n,
            Err(error) if closed(&error) => break,
            Err(error) => panic!("flooding: {error}"),
        }
    }
    written / frame.len()
}
