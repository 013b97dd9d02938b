//! The program in a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{Client, eventually};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_server");

/// A process that does not outlive its test.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    pub fn spawn(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Process(piped.spawn().expect("the program starts"))
    }

    /// Collects what it writes to stderr from now on.
    pub fn log(&mut self) -> Arc<Mutex<String>> {
        let (log, stderr) = (Arc::default(), self.0.stderr.take().unwrap());
        let collected: Arc<Mutex<String>> = Arc::clone(&log);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                *collected.lock().unwrap() += &(line + "\n");
            }
        });
        log
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.0.id().to_string()).status();
        assert!(status.unwrap().success());
    }

    /// Waits for its end; gives the exit code and what it wrote to stderr, unless that is in the log.
    #[track_caller]
    pub fn end(mut self) -> (i32, String) {
        let mut status = None;
        eventually("the program ends", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        let mut errors = String::new();
        if let Some(mut stderr) = self.0.stderr.take() {
            stderr.read_to_string(&mut errors).unwrap();
        }
        let status = status.unwrap();
        (status.code().unwrap_or_else(|| panic!("killed by {:?}: {errors}", status.signal())), errors)
    }
}

/// A server process.
pub struct Program {
    pub process: Process,
    pub addr: SocketAddr,
    /// What it printed when it started.
    pub hello: [String; 2],
}

impl Program {
    pub fn serve(args: &[&str]) -> Self {
        Self::spawn(Command::new(PROGRAM).args(["serve", "--addr", "127.0.0.1:0"]).args(args))
    }

    pub fn spawn(command: &mut Command) -> Self {
        let mut process = Process::spawn(command);
        let hello = {
            let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
            [(); 2].map(|()| lines.next().expect("two lines").unwrap())
        };
        let addr = hello[0].strip_prefix("listening on ").expect("the address").parse().unwrap();
        Program { process, addr, hello }
    }

    pub fn client(&self) -> Client {
        Client::connect(self.addr)
    }
}

/// User and system time that the process has used, in clock ticks (hundredths of a second).
#[cfg(target_os = "linux")]
pub fn cpu_ticks(process: &Process) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.0.id())).unwrap();
    // Fields 14 and 15; the second one, in parentheses, may contain anything.
    let after = stat.rsplit_once(") ").unwrap().1;
    after.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}
