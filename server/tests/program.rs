//! The program as people and service managers meet it: its options, output, signals and exit codes.
#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{ChildStdout, Command, Output, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use common::program::{PROGRAM, Process, Program, cpu_ticks};
use common::{Client, MUCH, PATIENCE, connect, eventually};

fn output(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn it_says_where_it_listens_and_how_to_try_it_and_nothing_else() {
    let server = Program::serve(&[]);
    assert!(server.hello[1].contains(&format!("client --addr {}", server.addr)), "{}", server.hello[1]);
    let (mut alice, bob) = (server.client(), server.client());
    bob.send(alice.id, b"hello");
    assert_eq!(alice.recv(), b"hello");
    bob.send(0, b"to nobody");
    drop(bob);
    alice.round_trip();
    server.process.signal("INT");
    assert_eq!(server.process.end(), (0, String::new()));
}

#[test]
fn serve_is_the_default_command() {
    let server = Program::spawn(Command::new(PROGRAM).args(["--addr", "127.0.0.1:0"]));
    server.client().round_trip();
}

#[test]
fn rust_log_makes_it_say_more() {
    let command = &mut Command::new(PROGRAM);
    let server = Program::spawn(command.args(["--addr", "127.0.0.1:0"]).env("RUST_LOG", "server=debug"));
    server.client().round_trip();
    server.process.signal("TERM");
    let (code, log) = server.process.end();
    assert_eq!(code, 0);
    assert!(log.contains("accepted") && log.contains("stopped"), "{log}");
}

#[test]
fn the_log_tells_why_a_connection_ended_and_where_in_the_tree() {
    let command = &mut Command::new(PROGRAM);
    let options = ["--addr", "127.0.0.1:0", "--max-frame", "1000", "--stall-timeout", "200ms"];
    let server = Program::spawn(command.args(options).env("RUST_LOG", "server=info"));
    let (mut rude, stuck, mut sender) = (server.client(), server.client(), server.client());
    rude.send(rude.id, &[b'x'; 1001]);
    assert_eq!(rude.recv_rest(), b"");
    sender.send_much(stuck.id, MUCH);
    server.process.signal("TERM");
    let (code, log) = server.process.end();
    assert_eq!(code, 0);
    let line = |id: u32| {
        let path = format!("server/conn-{id}: ");
        log.lines()
            .find_map(|line| line.split_once(&path))
            .unwrap_or_else(|| panic!("nothing of {id}: {log}"))
            .1
    };
    let place = "designs/scoped.rs:";
    assert!(line(rude.id).starts_with("the scope failed at "), "{log}");
    assert!(line(rude.id).contains(place) && line(rude.id).ends_with("exceeds 1000 bytes"), "{log}");
    assert!(line(stuck.id).starts_with("sibling writer failed at "), "{log}");
    assert!(line(stuck.id).contains(place) && line(stuck.id).contains("the client took none"), "{log}");
}

#[test]
fn sigterm_delivers_what_is_queued_and_exits_with_0() {
    let server = Program::serve(&["--grace", "1m", "--queue-bytes", "64MiB"]);
    let (mut receiver, mut sender) = (server.client(), server.client());
    // More than the kernel takes, and all of it is queued.
    sender.send_much(receiver.id, MUCH);
    server.process.signal("TERM");
    assert_eq!(receiver.recv_rest().len(), MUCH / 1005 * 1001);
    assert_eq!(server.process.end(), (0, String::new()));
}

#[test]
fn a_second_signal_exits_at_once() {
    for (runtime, first, second, code) in
        [("treescope", "INT", "INT", 130), ("treescope", "INT", "TERM", 143), ("tokio", "TERM", "INT", 130)]
    {
        let limits = ["--grace", "1h", "--stall-timeout", "1h", "--queue-bytes", "64MiB"];
        let server = Program::serve(&[&limits[..], &["--runtime", runtime]].concat());
        let (receiver, mut sender) = (server.client(), server.client());
        sender.send_much(receiver.id, MUCH);
        server.process.signal(first);
        eventually("it stops accepting", || TcpStream::connect(server.addr).is_err());
        server.process.signal(second);
        assert_eq!(server.process.end(), (code, String::new()));
    }
}

#[test]
fn what_cannot_be_done_as_asked_is_said_in_one_line_and_exits_with_2() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for args in [
        &["--addr", "nonsense"][..],
        &["serve", "--addr", "127.0.0.1:70000"],
        &["--addr", &taken],
        // An address that is not this machine's (TEST-NET-1).
        &["--addr", "192.0.2.1:7100"],
        &["--unknown"],
        &["unknown"],
        &["--workers", "many"],
        &["--design", "none"],
        &["--runtime", "none"],
        &["--design", "scoped-local", "--runtime", "tokio"],
        &["--design", "floor", "--runtime", "tokio"],
        &["serve", "--grace", "later"],
        &["client", "--addr", "nonsense"],
        &["client", "--design", "scoped"],
    ] {
        let output = output(args);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{args:?}: {errors}");
        assert!(errors.starts_with("error: ") && !errors.contains("panicked"), "{args:?}: {errors}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for args in [["--help"], ["--version"]] {
        let output = output(&args);
        assert!(output.status.success() && output.stderr.is_empty() && !output.stdout.is_empty());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn out_of_file_descriptors_it_waits_without_spinning_and_goes_on_when_some_are_free() {
    // Two runtimes, and the two ways of accepting.
    for design in ["scoped", "dispatcher"] {
        for runtime in ["treescope", "tokio"] {
            run_out_of_file_descriptors(design, runtime);
        }
    }
}

#[cfg(target_os = "linux")]
fn run_out_of_file_descriptors(design: &str, runtime: &str) {
    let options = format!("--addr 127.0.0.1:0 --workers 2 --design {design} --runtime {runtime}");
    let limited = format!("ulimit -n 32; exec {PROGRAM} {options}");
    let mut server = Program::spawn(Command::new("sh").args(["-c", &limited]));
    let log = server.process.log();
    let sockets: Vec<_> = (0..60).map(|_| connect(server.addr)).collect();
    let greeted = |socket: &TcpStream| {
        socket.set_nonblocking(true).unwrap();
        matches!(socket.peek(&mut [0; 4]), Ok(4))
    };
    let mut clients = 0;
    eventually("it has accepted what it can", || {
        let before = clients;
        clients = sockets.iter().filter(|socket| greeted(socket)).count();
        thread::sleep(Duration::from_millis(20));
        clients >= 16 && clients == before
    });
    assert!(clients < 32, "{clients} connections with 32 descriptors");
    let (ticks, started) = (cpu_ticks(&server.process), Instant::now());
    // Those who are in are served meanwhile.
    let (mut served, mut waiting) = (Vec::new(), Vec::new());
    for socket in sockets {
        let place = if greeted(&socket) { &mut served } else { &mut waiting };
        socket.set_nonblocking(false).unwrap();
        place.push(socket);
    }
    let mut served: Vec<_> = served.into_iter().map(Client::greeted).collect();
    served[0].round_trip();
    thread::sleep(Duration::from_secs(1).saturating_sub(started.elapsed()));
    let (used, elapsed) = (cpu_ticks(&server.process) - ticks, started.elapsed());
    assert!(used as u128 * 10 < elapsed.as_millis() / 5, "{used} ticks of CPU in {elapsed:?}");
    // It has tried again several times meanwhile, and said so once.
    assert_eq!(pauses(&log), 1, "{}", log.lock().unwrap());
    // One leaves, one comes in; all leave, as many come in.
    served.pop();
    eventually("one more is accepted", || waiting.iter().any(greeted));
    drop(served);
    eventually("more are accepted", || waiting.iter().filter(|socket| greeted(socket)).count() >= 16);
    drop(waiting);
    server.process.signal("TERM");
    assert_eq!(server.process.end().0, 0);
    // Once for each time that it ran out.
    assert!(pauses(&log) <= 30, "{}", log.lock().unwrap());
}

/// How often the log says that accepting pauses.
fn pauses(log: &Mutex<String>) -> usize {
    log.lock().unwrap().lines().filter(|line| line.contains("accepting pauses")).count()
}

/// A `client` process and what it prints.
struct Interactive {
    process: Process,
    id: u32,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Interactive {
    fn connect(addr: SocketAddr) -> Self {
        let mut process = Process::spawn(Command::new(PROGRAM).args(["client", "--addr", &addr.to_string()]));
        let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
        let hello = lines.next().expect("a line").unwrap();
        let id = hello.strip_prefix("your id is ").expect("the id").parse().unwrap();
        Interactive { process, id, lines }
    }

    fn type_line(&mut self, line: &str) {
        writeln!(self.process.0.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    #[track_caller]
    fn line(&mut self) -> String {
        self.lines.next().expect("a line").unwrap()
    }
}

#[test]
fn the_client_sends_lines_and_shows_what_arrives() {
    let server = Program::serve(&[]);
    let (mut alice, mut bob) = (Interactive::connect(server.addr), Interactive::connect(server.addr));
    alice.type_line(&format!("{} hello bob", bob.id));
    assert_eq!(bob.line(), "hello bob");
    bob.type_line("what?");
    bob.type_line("");
    bob.type_line(&format!("{} hello alice", alice.id));
    assert_eq!(alice.line(), "hello alice");
    // Bytes that are no text, and that would clear a terminal.
    server.client().send(alice.id, b"\x1b[2J\xff");
    assert_eq!(alice.line(), "\\u{1b}[2J\u{fffd}");
    // The end of stdin ends it, after what is queued has been shown.
    alice.type_line(&format!("{} to myself", alice.id));
    drop(alice.process.0.stdin.take());
    assert_eq!(alice.line(), "to myself");
    assert_eq!(alice.process.end(), (0, String::new()));
    drop(bob.process.0.stdin.take());
    let (code, errors) = bob.process.end();
    assert_eq!((code, errors.lines().count()), (0, 1), "{errors}");
}

#[test]
fn the_client_ends_when_the_server_does() {
    let server = Program::serve(&[]);
    let client = Interactive::connect(server.addr);
    server.process.signal("TERM");
    let (code, errors) = client.process.end();
    assert_eq!((code, errors.lines().count()), (1, 1), "{errors}");
}

#[test]
fn the_client_says_in_one_line_that_there_is_no_server() {
    let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let started = Instant::now();
    let output = output(&["client", "--addr", &addr]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), errors.lines().count()), (Some(1), 1), "{errors}");
    assert!(started.elapsed() < PATIENCE);
}
