//! The load generator against servers that are faulty on purpose.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use server::load::{Faults, LoadError, Outcome, Pace, Pattern, Plan, Progress, Watch, run};
use server::protocol::END;

const PROGRAM: &str = env!("CARGO_BIN_EXE_server");

/// What a fake server does to the tenth frame that a client sends it.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    Lose,
    Double,
    /// Exchanges it with the next.
    Swap,
    /// Changes a byte of the payload.
    Corrupt,
    /// Gives it to its sender.
    Misroute,
    /// Delivers nothing to anybody for this long.
    Pause(Duration),
    /// Ends the connection.
    Close,
    /// Goes on reading and delivers nothing more.
    Swallow,
    /// The same, but to the first client alone.
    Neglect,
}

type Sockets = Arc<Mutex<HashMap<u32, TcpStream>>>;

/// A server with a thread per client, whose clients have the ids 1, 2 and so on.
fn fake(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        let sockets = Sockets::default();
        for (id, socket) in (1..).zip(listener.incoming()) {
            let (mut socket, sockets) = (socket.unwrap(), Arc::clone(&sockets));
            socket.set_nodelay(true).unwrap();
            sockets.lock().unwrap().insert(id, socket.try_clone().unwrap());
            socket.write_all(&id.to_be_bytes()).unwrap();
            thread::spawn(move || route(id, socket, &sockets, fault));
        }
    });
    addr
}

fn route(me: u32, socket: TcpStream, sockets: &Sockets, fault: Fault) {
    let mut socket = BufReader::new(socket);
    let mut kept = None;
    for n in 1.. {
        let Some((mut to, mut body)) = frame(&mut socket) else { return };
        let mut copies = 1;
        match fault {
            Fault::Swallow if n >= 10 => continue,
            Fault::Neglect if n >= 10 && me == 1 => continue,
            Fault::Swap if n == 10 => {
                kept = Some(body);
                continue;
            }
            Fault::Swap if n == 11 => body.extend(kept.take().unwrap()),
            Fault::Lose if n == 10 => copies = 0,
            Fault::Double if n == 10 => copies = 2,
            Fault::Corrupt if n == 10 => body[30] ^= 1,
            Fault::Misroute if n == 10 => to = me,
            Fault::Close if n == 10 => {
                let _ = socket.get_ref().shutdown(std::net::Shutdown::Both);
                return;
            }
            _ => {}
        }
        let mut sockets = sockets.lock().unwrap();
        if let (Fault::Pause(time), 10) = (fault, n) {
            thread::sleep(time);
        }
        // Fails when the generator has left.
        let _ = sockets.get_mut(&to).unwrap().write_all(&body.repeat(copies));
    }
}

fn frame(socket: &mut impl BufRead) -> Option<(u32, Vec<u8>)> {
    let (mut to, mut body) = ([0; 4], Vec::new());
    socket.read_exact(&mut to).ok()?;
    socket.read_until(END, &mut body).ok()?;
    Some((u32::from_be_bytes(to), body))
}

fn plan(addr: SocketAddr) -> Plan {
    Plan {
        addr,
        connections: 4,
        pattern: Pattern::Pairs,
        pace: Pace::Closed { window: 4 },
        payload: 64,
        warm_up: Duration::ZERO,
        duration: Duration::from_secs(20),
        messages: Some(100),
        patience: Duration::from_secs(10),
        processors: Vec::new(),
    }
}

fn outcome(fault: Fault) -> Outcome {
    run(&plan(fake(fault)), &mut ()).unwrap()
}

/// Each of the four clients is a sender, and the fault happens to each once.
#[track_caller]
fn assert_faults(fault: Fault, faults: Faults) {
    let outcome = outcome(fault);
    assert_eq!(outcome.faults, faults);
    assert_eq!((outcome.sent, outcome.arrived), (400, 400 - faults.lost));
    assert_eq!(outcome.failure().is_some(), !faults.is_none());
    assert!(!outcome.stalled);
}

#[test]
fn a_server_that_does_nothing_wrong_is_found_to_do_nothing_wrong() {
    assert_faults(Fault::None, Faults::default());
    assert_eq!(outcome(Fault::None).evenness(), 1.0);
}

#[test]
fn every_pattern_and_pace_delivers_everything() {
    for pattern in [Pattern::Pairs, Pattern::FanIn, Pattern::FanOut, Pattern::AllToOne] {
        for pace in [Pace::Closed { window: 3 }, Pace::Rate(20_000.0)] {
            let plan = Plan { pattern, pace, connections: 10, payload: 300, ..plan(fake(Fault::None)) };
            let outcome = run(&plan, &mut ()).unwrap();
            let senders = pattern.receivers(10).unwrap().iter().filter(|to| !to.is_empty()).count();
            assert_eq!(outcome.arrived, 100 * senders as u64, "{plan:?}");
            assert_eq!(outcome.failure(), None, "{plan:?}");
            assert!(outcome.throughput() > 0.0 && outcome.latency.len() == outcome.arrived);
        }
    }
}

#[test]
fn a_lost_message_is_seen() {
    assert_faults(Fault::Lose, Faults { lost: 4, ..Faults::default() });
}

#[test]
fn a_doubled_message_is_seen() {
    assert_faults(Fault::Double, Faults { doubled: 4, ..Faults::default() });
}

#[test]
fn two_messages_in_the_wrong_order_are_seen() {
    assert_faults(Fault::Swap, Faults { reordered: 4, ..Faults::default() });
}

#[test]
fn a_changed_byte_is_seen() {
    // What arrived is not what was sent, and what was sent has not arrived.
    assert_faults(Fault::Corrupt, Faults { corrupted: 4, lost: 4, ..Faults::default() });
}

#[test]
fn a_message_that_goes_astray_is_seen() {
    assert_faults(Fault::Misroute, Faults { misrouted: 4, lost: 4, ..Faults::default() });
}

#[test]
fn a_server_that_stops_delivering_is_given_up() {
    let patience = Duration::from_millis(300);
    let outcome = run(&Plan { patience, ..plan(fake(Fault::Swallow)) }, &mut ()).unwrap();
    assert!(outcome.stalled);
    // Nine of each sender arrived, and a window is under way.
    assert_eq!((outcome.arrived, outcome.faults.lost), (36, 16));
}

#[test]
fn a_client_that_is_served_less_than_the_others_is_seen() {
    let patience = Duration::from_millis(300);
    let outcome = run(&Plan { patience, ..plan(fake(Fault::Neglect)) }, &mut ()).unwrap();
    assert_eq!((outcome.measured, outcome.least_served, outcome.senders), (309, 9, 4));
    assert_eq!(outcome.evenness(), 9.0 * 4.0 / 309.0);
}

#[test]
fn a_number_of_messages_that_the_time_is_too_short_for_is_a_failure() {
    let addr = fake(Fault::None).to_string();
    let args = ["load", "--json", "--connections=2", "--rate=100", "--messages=27", "--duration=100ms"];
    let output = Command::new(PROGRAM).args(args).args(["--addr", &addr]).output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((said["sent"].as_u64(), said["missing"].as_u64()), (Some(10), Some(44)), "{said:#}");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), errors.as_str()),
        (Some(1), "error: 44 of the messages asked for were not sent in the time given\n")
    );
}

#[test]
fn a_number_of_messages_takes_as_long_as_it_takes() {
    let plan = Plan { duration: Duration::MAX, ..plan(fake(Fault::None)) };
    let outcome = run(&plan, &mut ()).unwrap();
    assert_eq!((outcome.arrived, outcome.missing, outcome.failure()), (400, 0, None));
}

#[test]
fn a_server_that_closes_is_an_error() {
    let error = run(&plan(fake(Fault::Close)), &mut ()).unwrap_err();
    let LoadError::Lost(_, _, seen) = &error else { panic!("{error}") };
    assert!(seen.arrived > 0 && error.to_string().contains(&format!("after {} messages", seen.arrived)));
}

#[test]
fn a_server_that_does_not_greet_is_an_error_after_a_while() {
    // The system accepts on behalf of a listener that never does.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let patience = Duration::from_millis(100);
    let error = run(&Plan { patience, ..plan(listener.local_addr().unwrap()) }, &mut ()).unwrap_err();
    assert!(matches!(error, LoadError::NotGreeted(0, _)), "{error}");
}

#[test]
fn at_a_fixed_rate_latency_counts_from_when_a_message_was_to_be_sent() {
    // 400 messages in 400 ms, and a pause of 400 ms soon after the start. A generator that waited for the server
    // would see one slow message; those that it was to send meanwhile were all late, most of them by far.
    let pause = Duration::from_millis(400);
    let slow = |pace| {
        let plan = Plan { pace, connections: 2, messages: Some(200), ..plan(fake(Fault::Pause(pause))) };
        let outcome = run(&plan, &mut ()).unwrap();
        assert_eq!(outcome.latency.len(), 400);
        outcome.latency.count_between(100_000_000, u64::MAX)
    };
    assert!(slow(Pace::Rate(1000.0)) >= 200, "of 400 messages");
}

/// Keeps all that it is told.
struct Kept(Vec<Progress>);

impl Watch for Kept {
    fn progress(&mut self, progress: Progress) {
        self.0.push(progress);
    }
}

#[test]
fn whoever_watches_is_told_of_connecting_and_of_what_comes_after_the_time() {
    let pace = Pace::Rate(1000.0);
    let (duration, pause) = (Duration::from_millis(100), Duration::from_millis(400));
    let plan = Plan { pace, connections: 2, messages: None, duration, ..plan(fake(Fault::Pause(pause))) };
    let mut kept = Kept(Vec::new());
    run(&plan, &mut kept).unwrap();
    let connecting = [0, 1].map(|made| Progress::Connecting { made, of: 2 });
    assert_eq!(kept.0[..2], connecting);
    assert!(matches!(kept.0[2], Progress::Running { of, .. } if of == duration), "{:?}", kept.0);
    assert!(kept.0.iter().any(|&told| matches!(told, Progress::Draining { left: 1.., .. })), "{:?}", kept.0);
}

#[test]
fn what_could_not_be_sent_counts_with_the_time_that_it_waited() {
    // A server that reads nothing: the kernel takes some, the rest is never sent.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let greeter = thread::spawn(move || {
        let greet = |id: u32| {
            let (mut socket, _) = listener.accept().unwrap();
            socket.write_all(&id.to_be_bytes()).unwrap();
            socket
        };
        [greet(1), greet(2)]
    });
    let (patience, duration) = (Duration::from_millis(300), Duration::from_millis(200));
    let pace = Pace::Rate(1000.0);
    let plan =
        Plan { connections: 2, payload: 1 << 20, messages: None, patience, duration, pace, ..plan(addr) };
    let outcome = run(&plan, &mut ()).unwrap();
    assert!(outcome.stalled);
    assert_eq!(outcome.sent + outcome.unsent, 200);
    assert!(outcome.unsent > 0);
    assert_eq!(outcome.latency.len(), outcome.unsent);
    // Given up 300 ms after the start, when the last one had been due for 100.
    assert!(outcome.latency.min() >= 90_000_000, "{} ns", outcome.latency.min());
    drop(greeter.join().unwrap());
}

/// Keeps the generator from its work for this long.
struct Hindrance(Duration);

impl Watch for Hindrance {
    fn begins(&mut self) {
        thread::sleep(self.0);
    }
}

#[test]
fn a_rate_that_the_generator_does_not_reach_is_said_and_that_the_latencies_are_its_own() {
    let (pace, duration) = (Pace::Rate(1000.0), Duration::from_millis(200));
    let plan = Plan { pace, duration, messages: None, ..plan(fake(Fault::None)) };
    // It comes back when the time is over, and then all is sent.
    let outcome = run(&plan, &mut Hindrance(Duration::from_millis(300))).unwrap();
    assert_eq!((outcome.arrived, outcome.failure()), (200, None));
    assert!(outcome.misses_rate() && outcome.is_late(), "{:?}", outcome.summary());
    let text = outcome.summary().to_string();
    assert!(text.contains("warning: the rate was not reached: 1000 messages/s were asked for and"), "{text}");
    assert!(text.contains("the latencies are its own lateness rather than the server's"), "{text}");
    let json = serde_json::to_value(outcome.summary()).unwrap();
    assert_eq!((&json["rate_missed"], &json["latency_is_generators"]), (&true.into(), &true.into()));
    assert!(json["sent_per_second"].as_f64() < json["asked_per_second"].as_f64(), "{json:#}");
}

#[test]
fn what_waits_for_a_server_that_takes_nothing_is_not_late_by_the_generators_fault() {
    // The kernel takes a few of these, and the others wait for the server.
    let (pause, duration) = (Duration::from_millis(500), Duration::from_millis(200));
    let pace = Pace::Rate(500.0);
    let plan = Plan { pace, duration, messages: None, payload: 1 << 20, ..plan(fake(Fault::Pause(pause))) };
    let outcome = run(&plan, &mut ()).unwrap();
    let (late, waited) = (outcome.lateness.value_at_quantile(0.99), outcome.latency.value_at_quantile(0.5));
    assert!(late < waited / 2, "{late} ns of {waited}");
}

#[test]
fn a_rate_that_is_reached_is_not_said_to_be_missed() {
    let plan = Plan { pace: Pace::Rate(20.0), ..plan(fake(Fault::None)) };
    for messages in [Some(1), None] {
        let duration = Duration::from_millis(300);
        let outcome = run(&Plan { messages, duration, ..plan.clone() }, &mut ()).unwrap();
        assert!(!outcome.misses_rate(), "{:?}", outcome.summary());
    }
}

#[test]
fn what_was_not_measured_has_no_figure() {
    let addr = fake(Fault::None).to_string();
    // The first message is due before measuring begins, and the second long after.
    let args =
        ["load", "--connections=2", "--warm-up=10ms", "--duration=50ms", "--rate=0.01", "--addr", &addr];
    let output = |more: &[&str]| {
        String::from_utf8(Command::new(PROGRAM).args(args).args(more).output().unwrap().stdout).unwrap()
    };
    let said: serde_json::Value = serde_json::from_str(&output(&["--json"])).unwrap();
    for name in ["p50_us", "max_us", "evenness", "generator_cpu_ns_per_message", "generator_late_p99_us"] {
        assert_eq!(said.get(name), Some(&serde_json::Value::Null), "{said:#}");
    }
    let text = output(&[]);
    assert!(text.contains("latency     - median") && text.contains("evenness    -:"), "{text}");
    assert!(text.contains("warning: nothing arrived while it was measured"), "{text}");
}

#[test]
fn the_program_says_what_is_wrong_in_one_line() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for (code, args) in [
        (1, &["--addr", &gone][..]),
        (2, &["--connections", "3"]),
        (2, &["--connections", "1"]),
        (2, &["--payload", "21"]),
        (2, &["--rate", "fast"]),
        (2, &["--rate", "1", "--window", "1"]),
        (2, &["--pattern", "none"]),
        (2, &["--pin", "1000000"]),
        (2, &["--pin", "0,1000000"]),
        (2, &["--duration", "0s"]),
        (2, &["--duration", "soon"]),
    ] {
        let output = Command::new(PROGRAM).arg("load").args(args).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), errors.lines().count()), (Some(code), 1), "{args:?}: {errors}");
        assert!(errors.starts_with("error: ") && output.stdout.is_empty(), "{args:?}: {errors}");
    }
}

#[test]
fn the_program_says_what_it_saw_as_json_and_fails_if_something_was_lost() {
    for (fault, code, lost) in [(Fault::None, 0, 0), (Fault::Lose, 1, 2)] {
        let output = Command::new(PROGRAM)
            .args([
                "load",
                "--connections=2",
                "--messages=50",
                "--window=4",
                "--json",
                "--addr",
                &fake(fault).to_string(),
            ])
            .output()
            .unwrap();
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((said["sent"].as_u64(), said["faults"]["lost"].as_u64()), (Some(100), Some(lost)));
        assert_eq!(output.status.code(), Some(code));
        assert_eq!(output.stderr.is_empty(), code == 0);
    }
}

#[test]
fn the_program_says_what_it_saw_until_the_server_closed() {
    let addr = fake(Fault::Close).to_string();
    let output = Command::new(PROGRAM).args(["load", "--json", "--messages=50", "--addr", &addr]).output();
    let output = output.unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), errors.lines().count()), (Some(1), 1), "{errors}");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(said["sent"].as_u64().unwrap() > 0, "{said:#}");
    assert_eq!(errors.trim_end(), format!("error: {}", said["failure"].as_str().unwrap()));
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_printed_is_an_error_and_what_nobody_reads_is_none() {
    let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let closed = || Stdio::from(std::io::pipe().unwrap().1);
    let load = |out: Stdio| {
        let addr = fake(Fault::None).to_string();
        let args = ["load", "--json", "--connections=2", "--messages=5", "--addr", &addr];
        Command::new(PROGRAM).args(args).stdout(out).stderr(Stdio::piped()).spawn().unwrap()
    };
    let output = load(full()).wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), errors.lines().count()), (Some(1), 1), "{errors}");
    assert!(errors.starts_with("error: cannot write to standard output: "), "{errors}");
    let output = load(closed()).wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]));
    let help = Command::new(PROGRAM).arg("--help").stdout(full()).stderr(Stdio::null()).status();
    assert_eq!(help.unwrap().code(), Some(1));
}
