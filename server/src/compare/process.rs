//! A server in a process of its own, which does not outlive whoever measures it.
//!
//! It is killed when it is dropped. Where nothing is dropped, because whoever measures is killed itself, the pipe to
//! the server's stdin closes, and with that it [ends](crate::leash).

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::subject::Subject;
use crate::load::system;

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(10);

/// What is kept of what a server complains about.
const COMPLAINTS: u64 = 4096;

#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    pub(super) addr: SocketAddr,
}

impl Server {
    /// Starts `subject` on `processors` (none: as the system likes) with these further options.
    ///
    /// # Errors
    ///
    /// What the server says if it ends instead of listening.
    pub(super) fn start(subject: Subject, processors: &[usize], options: &[String]) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| format!("where am I? {error}"))?;
        let mut command = Command::new(program);
        command.args(["serve", "--until-stdin-closes", "--addr", "127.0.0.1:0"]);
        command.args(["--design", &subject.design.to_string(), "--runtime", &subject.runtime.to_string()]);
        command.args(options).env_remove("RUST_LOG");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A child begins with the processors of the thread that starts it.
        let spawn = || {
            if !processors.is_empty() {
                system::keep_to(processors)?;
            }
            command.spawn()
        };
        let spawned = thread::scope(|threads| threads.spawn(spawn).join());
        let spawned = spawned.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let child = spawned.map_err(|error| format!("cannot start a server: {error}"))?;
        // From here on it is killed when this is dropped.
        let mut server = Server { child, addr: SocketAddr::from(([0, 0, 0, 0], 0)) };
        let complaints = drain(server.child.stderr.take());
        let lines = first_line(server.child.stdout.take());
        let line = lines.recv_timeout(START).unwrap_or_default();
        match line.strip_prefix("listening on ").and_then(|addr| addr.trim().parse().ok()) {
            Some(addr) => server.addr = addr,
            None => {
                server.kill();
                let said = complaints.recv_timeout(START).unwrap_or_default();
                let said = said.lines().next().unwrap_or("it says nothing");
                return Err(said.trim_start_matches("error: ").to_owned());
            }
        }
        Ok(server)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end.
    pub(super) fn terminate(&self) -> Result<(), String> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).map_err(|error| error.to_string())
    }

    /// Waits for its end; `None` if it has not ended after `patience`.
    pub(super) fn ended(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn kill(&mut self) {
        // Fails if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Gives the first line, and goes on reading so that the writer never blocks.
fn first_line(from: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    if let Some(from) = from {
        thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = String::new();
            let _ = from.read_line(&mut line);
            let _ = send.send(line);
            let _ = std::io::copy(&mut from, &mut std::io::sink());
        });
    }
    receive
}

/// Gives what was written when it ends, the beginning of it if that is long.
fn drain(from: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    if let Some(mut from) = from {
        thread::spawn(move || {
            let mut text = Vec::new();
            let _ = from.by_ref().take(COMPLAINTS).read_to_end(&mut text);
            let _ = std::io::copy(&mut from, &mut std::io::sink());
            let _ = send.send(String::from_utf8_lossy(&text).into_owned());
        });
    }
    receive
}
