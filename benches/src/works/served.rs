//! What the works with sockets share: the server is this process, the client another.

use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use super::{SERVER_CPU, Sample, Size};
use crate::client::{self, END, Kind, Load, START, Seen};
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
            millis: WINDOW.get().map_or(self.size.pick(300, 50, 5), |window| window.as_millis() as u64),
        };
        let client = start(&load, self.size);
        let watch = thread::spawn(move || watch(client, || (process::cpu_time(), Instant::now())));
        server(listener);
        let (seen, share) = watch.join().expect("nothing there panics").expect("the client ran to its end");

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
                (SERVER_CPU, share * seen.elapsed_ns as f64 / ops as f64),
                ("p50_µs", seen.p50_ns as f64 / 1e3),
                ("p99_µs", seen.p99_ns as f64 / 1e3),
            ],
        }
    }
}

/// The client's processors, once they have been kept apart.
static APART: OnceLock<Vec<usize>> = OnceLock::new();
/// How long the client measures in this process, if that has been said; otherwise it hangs on the size.
static WINDOW: OnceLock<Duration> = OnceLock::new();

/// Has clients measure for as long as a slot lasts: they measure once, where other works run again and again.
pub(crate) fn measure_for(window: Duration) {
    WINDOW.get_or_init(|| window);
}

/// Gives this process half of the processors and the clients it will start the other half.
///
/// # Errors
/// What the system says.
pub(crate) fn keep_apart() -> io::Result<()> {
    let (server, client) = process::halves()?;
    process::keep_to(&server)?;
    APART.get_or_init(|| client);
    Ok(())
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

/// What the client saw, and how many processors this process kept busy while it was measured; `clocks` tells the
/// processor time and the time. Not what came after: the messages that were then still on their way are not counted.
///
/// A share and not the processor time, for the server may be so busy that this thread hears of start and end some
/// milliseconds late, and not equally late.
fn watch(
    (client, process): (Box<dyn Read + Send>, Option<Child>),
    clocks: impl Fn() -> (Duration, Instant),
) -> io::Result<(Seen, f64)> {
    let mut lines = BufReader::new(client).lines();
    let mut line = || lines.next().ok_or_else(|| io::Error::other("the client gave up"))?;
    let mut at = |what: &str| {
        let said = line()?;
        let now = clocks();
        if said == what { Ok(now) } else { Err(io::Error::other(said)) }
    };
    let ((cpu_before, start), (cpu_after, end)) = (at(START)?, at(END)?);
    let share = cpu_after.saturating_sub(cpu_before).as_secs_f64() / (end - start).as_secs_f64();
    let last = line()?;
    process.map(|mut process| process.wait()).transpose()?;
    Ok((serde_json::from_str(&last)?, share))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Says a line each time it is read, and counts them.
    struct Lines(Vec<String>, Arc<AtomicU64>);

    impl Read for Lines {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let said = self.1.load(Ordering::Relaxed) as usize;
            let Some(line) = self.0.get(said) else { return Ok(0) };
            self.1.fetch_add(1, Ordering::Relaxed);
            buf[..line.len()].copy_from_slice(line.as_bytes());
            Ok(line.len())
        }
    }

    /// Until the end the server keeps two processors busy, and then, to the last line, a hundred.
    fn watched(lines: Vec<String>) -> io::Result<(Seen, f64)> {
        let (said, start) = (Arc::new(AtomicU64::new(0)), Instant::now());
        let client = Lines(lines, said.clone());
        watch((Box::new(client), None), || {
            let said = said.load(Ordering::Relaxed);
            let cpu = if said < 3 { 2 * said } else { 100 };
            (Duration::from_secs(cpu), start + Duration::from_secs(said))
        })
    }

    #[test]
    fn processor_time_is_that_of_the_measured_window() {
        let seen = Seen { messages: 2, messages_in_all: 9, elapsed_ns: 1, p50_ns: 1, p99_ns: 1 };
        let seen = serde_json::to_string(&seen).expect("numbers can be written");
        let (seen, share) = watched(vec![format!("{START}\n"), format!("{END}\n"), format!("{seen}\n")])
            .expect("the client says all it has to");
        assert_eq!((seen.messages, share), (2, 2.0));
    }

    #[test]
    fn a_client_that_gives_up_is_an_error_with_what_it_said() {
        assert!(watched(vec![format!("{START}\n")]).is_err());
        let error = watched(vec!["no server\n".to_owned()]).expect_err("that is no start");
        assert!(error.to_string().contains("no server"));
    }
}
