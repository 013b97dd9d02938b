//! What the works with sockets share: the server is this process, the client another.

use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use super::{Sample, Size};
use crate::client::{self, Kind, Load, START, Seen};
use crate::process;

/// A server's work: so many connections, from a client that does so much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Served {
    pub(super) kind: Kind,
    pub(super) connections: usize,
    pub(super) in_flight: u64,
    pub(super) size: Size,
}

impl Served {
    /// Runs `server`, which returns when all connections have ended, against a client.
    pub(super) fn run(&self, server: impl FnOnce(TcpListener)) -> Sample {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be had");
        let load = Load {
            addr: listener.local_addr().expect("it is bound"),
            kind: self.kind,
            connections: self.connections,
            in_flight: self.in_flight,
            millis: self.size.pick(300, 50, 5),
        };
        let client = start(&load, self.size);
        let watch = thread::spawn(move || watch(client));
        server(listener);
        let (seen, cpu) = watch.join().expect("nothing there panics").expect("the client ran to its end");

        // What a broadcast costs, it costs per listener.
        let each = match self.kind {
            Kind::Echo => 1,
            Kind::Broadcast => self.connections as u64,
        };
        let ops = seen.messages * each;
        Sample {
            ops,
            ops_in_all: seen.messages_in_all * each,
            elapsed: Duration::from_nanos(seen.elapsed_ns),
            metrics: vec![
                ("server_cpu_ns", cpu.as_nanos() as f64 / ops as f64),
                ("p50_µs", seen.p50_ns as f64 / 1e3),
                ("p99_µs", seen.p99_ns as f64 / 1e3),
            ],
        }
    }
}

/// The client's processors, once they have been kept apart.
static APART: OnceLock<Vec<usize>> = OnceLock::new();

/// Gives this process half of the processors and the clients it will start the other half; how many this one has now.
///
/// # Errors
/// What the system says.
pub(crate) fn keep_apart() -> io::Result<usize> {
    let (server, client) = process::halves()?;
    process::keep_to(&server)?;
    APART.get_or_init(|| client);
    Ok(server.len())
}

/// Starts the client and gives what it says: as a process, but in tests, whose program is not ours, as a thread.
fn start(load: &Load, size: Size) -> (Box<dyn Read + Send>, Option<Child>) {
    if size == Size::Small {
        let (reader, writer) = io::pipe().expect("a pipe can be had");
        let load = load.clone();
        thread::spawn(move || client::run(&load, writer).expect("the server answers"));
        return (Box::new(reader), None);
    }
    let program = std::env::current_exe().expect("this program is somewhere");
    let kind = match load.kind {
        Kind::Echo => "echo",
        Kind::Broadcast => "broadcast",
    };
    let processors: Vec<_> = APART.get().into_iter().flatten().map(usize::to_string).collect();
    let mut process = Command::new(program)
        .args(["__client", "--processors", &processors.join(","), &load.addr.to_string(), kind])
        .args([load.connections as u64, load.in_flight, load.millis].map(|number| number.to_string()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process can be started");
    (Box::new(process.stdout.take().expect("it is piped")), Some(process))
}

/// What the client saw, and the processor time that this process took meanwhile.
fn watch((client, process): (Box<dyn Read + Send>, Option<Child>)) -> io::Result<(Seen, Duration)> {
    let mut lines = BufReader::new(client).lines();
    let ended = || io::Error::other("the client gave up");
    let first = lines.next().ok_or_else(ended)??;
    let before = process::cpu_time();
    if first != START {
        return Err(io::Error::other(first));
    }
    let last = lines.next().ok_or_else(ended)??;
    let cpu = process::cpu_time() - before;
    process.map(|mut process| process.wait()).transpose()?;
    Ok((serde_json::from_str(&last)?, cpu))
}
