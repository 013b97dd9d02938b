//! The router as a state machine, without sockets or clock: whatever happens to it in whatever order.

mod both;
mod operations;
mod rules;

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;

use server::limits::Limits;
use server::machine::{Conn, Event, Machine};
use server::protocol::{ID_BYTES, encode};
use server::router::Stats;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 2_000 } else { 20_000 }))]

    #[test]
    fn whatever_happens_the_rules_hold(bytes in vec(any::<u8>(), 0..1500)) {
        operations::run(&bytes);
    }
}

proptest! {
    #[test]
    fn any_split_of_what_is_sent_gives_the_same_output(
        frames in vec((0..3usize, 0..3usize, vec(1..=255u8, 0..40)), 0..40),
        pieces in vec(1..100usize, 1..20),
    ) {
        let whole = outputs_after(&frames, &[usize::MAX]);
        prop_assert_eq!(whole, outputs_after(&frames, &pieces));
    }
}

/// What three connections get when one after the other sends its frames, cut in pieces of these sizes.
fn outputs_after(frames: &[(usize, usize, Vec<u8>)], pieces: &[usize]) -> Vec<Vec<u8>> {
    let (stats, now) = (Stats::default(), Instant::now());
    let mut machine = Machine::new(Limits::default(), KEY, &stats);
    let conns: Vec<_> = (0..3).map(|_| machine.connect(now).unwrap()).collect();
    let mut sizes = pieces.iter().copied().cycle();
    for sender in 0..3 {
        let mut bytes = Vec::new();
        for (_, to, payload) in frames.iter().filter(|frame| frame.0 == sender) {
            encode(conns[*to].id(), payload, &mut bytes);
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(sizes.next().unwrap()));
            assert_eq!(machine.received(conns[sender], piece, now), piece.len());
            rest = after;
        }
    }
    conns.iter().map(|&conn| machine.output(conn).to_vec()).collect()
}

/// A machine, its time, and what a driver does without a thought.
struct Fixture<'s> {
    machine: Machine<'s>,
    now: Instant,
}

impl<'s> Fixture<'s> {
    fn new(stats: &'s Stats, limits: Limits) -> Self {
        Fixture { machine: Machine::new(limits, KEY, stats), now: Instant::now() }
    }

    fn connect(&mut self) -> Conn {
        self.machine.connect(self.now).expect("there is room")
    }

    /// A connection that has taken its greeting.
    fn greeted(&mut self) -> Conn {
        let conn = self.connect();
        assert_eq!(self.take(conn), conn.id().to_be_bytes());
        conn
    }

    #[track_caller]
    fn send(&mut self, from: Conn, to: Conn, payload: &[u8]) {
        let mut bytes = Vec::new();
        encode(to.id(), payload, &mut bytes);
        assert_eq!(self.machine.received(from, &bytes, self.now), bytes.len());
    }

    /// Takes all that there is to write.
    fn take(&mut self, conn: Conn) -> Vec<u8> {
        let output = self.machine.output(conn).to_vec();
        self.machine.written(conn, output.len(), self.now);
        output
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.machine.expire(self.now);
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.machine.next_event()).collect()
    }
}

/// Any number: what happens must not depend on it.
const KEY: u32 = 0x9E37_79B9;

const STALL: Duration = Duration::from_secs(30);

fn small() -> Limits {
    Limits { queue_bytes: 10, max_frame: 100, stall_timeout: STALL, ..Limits::default() }
}

#[test]
fn the_greeting_and_what_is_queued_leave_together_and_are_told_once() {
    let stats = Stats::default();
    let mut fixture = Fixture::new(&stats, Limits::default());
    let conn = fixture.connect();
    fixture.send(conn, conn, b"to myself");
    fixture.send(conn, conn, b"again");
    assert_eq!(fixture.events(), [Event::Write(conn)]);
    assert_eq!(fixture.take(conn), [&conn.id().to_be_bytes()[..], b"to myself\0again\0"].concat());
    fixture.send(conn, conn, b"and again");
    assert_eq!(fixture.events(), [Event::Write(conn)]);
}

#[test]
fn only_those_who_send_to_a_full_receiver_wait_and_go_on_in_order_when_half_of_it_is_free() {
    let stats = Stats::default();
    let mut fixture = Fixture::new(&stats, small());
    let full = fixture.greeted();
    let [first, second, other] = std::array::from_fn(|_| fixture.greeted());
    fixture.send(other, full, b"123456789");
    fixture.send(second, full, b"second");
    fixture.send(first, full, b"first");
    fixture.events();
    assert!(!fixture.machine.may_read(first) && !fixture.machine.may_read(second));
    assert!(fixture.machine.may_read(other));
    fixture.send(other, other, b"served");
    assert_eq!(fixture.take(other), b"served\0");
    fixture.machine.written(full, 4, fixture.now);
    assert!(!fixture.machine.may_read(second));
    // There is room for this, but others were here before.
    fixture.send(other, full, b"");
    assert!(!fixture.machine.may_read(other));
    fixture.machine.written(full, 3, fixture.now);
    assert!(fixture.machine.may_read(second) && !fixture.machine.may_read(first));
    assert_eq!(fixture.take(full), b"89\0second\0");
    assert_eq!(fixture.take(full), b"first\0");
    assert_eq!(fixture.take(full), b"\0");
    let events = fixture.events();
    assert!(events.contains(&Event::Read(first)) && events.contains(&Event::Read(second)));
}

#[test]
fn a_frame_is_handled_once_when_it_is_routed_first_whatever_becomes_of_it() {
    let stats = Stats::default();
    let mut fixture = Fixture::new(&stats, small());
    let [full, sender, other, gone] = std::array::from_fn(|_| fixture.greeted());
    let send = |fixture: &mut Fixture<'_>, from, to, payload: &[u8]| {
        fixture.send(from, to, payload);
        fixture.machine.take_handled()
    };
    fixture.machine.disconnected(gone, fixture.now);
    assert_eq!(fixture.machine.take_handled(), 0);
    assert_eq!(send(&mut fixture, sender, gone, b"dropped"), 1);
    assert_eq!(send(&mut fixture, sender, full, b"queued"), 1);
    let mut bytes = Vec::new();
    (0..3).for_each(|_| encode(full.id(), b"waits", &mut bytes));
    fixture.machine.received(sender, &bytes, fixture.now);
    // Its first frame was handled before it was found that it must wait; the others have not been looked at.
    assert_eq!(fixture.machine.take_handled(), 1);
    assert_eq!(send(&mut fixture, other, full, b"also"), 1);
    // Now the first frame is queued, and the second handled and made to wait, behind the other's.
    assert_eq!(fixture.take(full), b"queued\0");
    assert_eq!(fixture.machine.take_handled(), 1);
    assert_eq!(fixture.take(full), b"waits\0");
    assert_eq!(fixture.machine.take_handled(), 0);
    fixture.machine.disconnected(full, fixture.now);
    assert_eq!((fixture.machine.take_handled(), stats.dropped.get()), (1, 3));
}

#[test]
fn when_the_first_in_line_leaves_the_next_goes_on_at_once_if_it_needs_less() {
    let stats = Stats::default();
    let mut fixture = Fixture::new(&stats, small());
    let [full, long, short] = std::array::from_fn(|_| fixture.greeted());
    fixture.send(full, full, b"123456789");
    fixture.send(long, full, b"1234567");
    fixture.send(short, full, b"one");
    fixture.machine.written(full, 6, fixture.now);
    assert!(!fixture.machine.may_read(short));
    fixture.machine.disconnected(long, fixture.now);
    assert!(fixture.machine.may_read(short));
    assert_eq!(fixture.take(full), b"789\0one\0");
}

#[test]
fn a_receiver_that_takes_nothing_is_asked_once_more_and_then_ended() {
    for takes in [false, true] {
        let stats = Stats::default();
        let mut fixture = Fixture::new(&stats, small());
        let conn = fixture.connect();
        let sender = fixture.greeted();
        fixture.send(sender, conn, b"12345");
        fixture.send(sender, conn, b"waits");
        fixture.events();
        fixture.pass(STALL - Duration::from_millis(1));
        assert_eq!(fixture.events(), []);
        fixture.pass(Duration::from_millis(1));
        assert_eq!(fixture.events(), [Event::Overdue(conn)]);
        if takes {
            fixture.machine.written(conn, 1, fixture.now);
        }
        // Nor is one ended that was asked and has taken something since.
        fixture.machine.takes_nothing(conn, fixture.now);
        assert_eq!(stats.stalls.get(), u64::from(!takes));
        assert_eq!(fixture.machine.may_read(sender), !takes);
        if takes {
            fixture.pass(STALL - Duration::from_millis(1));
            assert_eq!(fixture.events(), []);
            continue;
        }
        assert_eq!(fixture.events(), [Event::Shut(conn), Event::Read(conn), Event::Read(sender)]);
        assert_eq!(fixture.machine.output(conn), b"");
        fixture.pass(Duration::from_secs(1));
        assert_eq!(fixture.events(), [Event::Close(conn)]);
        fixture.machine.disconnected(conn, fixture.now);
        assert_eq!((fixture.machine.live(), stats.discarded.get(), stats.dropped.get()), (1, 10, 1));
    }
}

#[test]
fn a_client_that_has_closed_its_sending_side_gets_what_is_queued_and_is_unknown() {
    let stats = Stats::default();
    let mut fixture = Fixture::new(&stats, Limits::default());
    let (leaving, sender) = (fixture.connect(), fixture.greeted());
    fixture.send(sender, leaving, b"in time");
    fixture.machine.end_of_input(leaving, fixture.now);
    fixture.send(sender, leaving, b"too late");
    assert_eq!(stats.dropped.get(), 1);
    fixture.events();
    assert_eq!(fixture.take(leaving)[ID_BYTES..], b"in time\0"[..]);
    assert_eq!(fixture.events(), [Event::Close(leaving)]);
}

#[test]
fn a_client_that_has_closed_its_sending_side_has_limited_time() {
    let stats = Stats::default();
    let limits = Limits { stall_timeout: STALL, ..Limits::default() };
    let mut fixture = Fixture::new(&stats, limits);
    let (leaving, sender) = (fixture.greeted(), fixture.greeted());
    fixture.send(sender, leaving, &[b'x'; 1000]);
    fixture.machine.end_of_input(leaving, fixture.now);
    fixture.events();
    for _ in 0..29 {
        fixture.pass(Duration::from_secs(1));
        fixture.machine.written(leaving, 1, fixture.now);
        assert_eq!(fixture.events(), []);
    }
    fixture.pass(Duration::from_secs(1));
    assert_eq!(fixture.events(), [Event::Close(leaving)]);
    assert_eq!(stats.stalls.get(), 0);
}

#[test]
fn a_frame_that_is_too_long_ends_its_sender_and_what_is_before_it_is_delivered() {
    let stats = Stats::default();
    let mut fixture = Fixture::new(&stats, small());
    let (sender, receiver) = (fixture.greeted(), fixture.greeted());
    fixture.send(sender, receiver, b"before");
    let mut bytes = Vec::new();
    encode(receiver.id(), &[b'x'; 101], &mut bytes);
    fixture.machine.received(sender, &bytes, fixture.now);
    assert_eq!(fixture.take(receiver), b"before\0");
    assert!(fixture.events().contains(&Event::Shut(sender)));
    // What it goes on sending is discarded, and not for ever.
    for _ in 0..10 {
        fixture.machine.received(sender, &bytes, fixture.now);
        fixture.pass(Duration::from_millis(10));
    }
    assert_eq!(fixture.events().last(), Some(&Event::Close(sender)));
    assert_eq!((stats.too_long.get(), fixture.machine.output(receiver)), (1, &b""[..]));
}

#[test]
fn what_was_read_and_what_is_queued_is_delivered_before_the_end() {
    let stats = Stats::default();
    let mut fixture = Fixture::new(&stats, small());
    let (sender, receiver) = (fixture.greeted(), fixture.greeted());
    fixture.send(sender, receiver, b"123456789");
    fixture.send(sender, receiver, b"waits");
    fixture.machine.stop(fixture.now);
    assert!(!fixture.machine.may_read(receiver) && !fixture.machine.has_room());
    assert_eq!(fixture.take(receiver), b"123456789\0");
    assert_eq!(fixture.take(receiver), b"waits\0");
    for conn in [sender, receiver] {
        assert!(fixture.events().iter().all(|event| !matches!(event, Event::Close(_))));
        // Both have been told that nothing more will come; they close as well.
        fixture.machine.end_of_input(conn, fixture.now);
        assert_eq!(fixture.events().last(), Some(&Event::Close(conn)));
        fixture.machine.disconnected(conn, fixture.now);
    }
    assert_eq!((fixture.machine.live(), stats.discarded.get(), stats.dropped.get()), (0, 0, 0));
}

#[test]
fn what_cannot_be_delivered_within_the_grace_or_before_the_second_stop_is_dropped() {
    for again in [false, true] {
        let stats = Stats::default();
        let grace = Duration::from_secs(5);
        let mut fixture = Fixture::new(&stats, Limits { grace, ..small() });
        let (sender, receiver) = (fixture.greeted(), fixture.greeted());
        fixture.send(sender, receiver, b"123456789");
        fixture.send(sender, receiver, b"waits");
        fixture.machine.stop(fixture.now);
        if again {
            fixture.machine.stop(fixture.now);
        } else {
            assert_eq!(fixture.machine.next_deadline(), Some(fixture.now + grace));
            fixture.pass(grace);
        }
        assert_eq!(fixture.machine.output(receiver), b"");
        fixture.pass(Duration::from_millis(100));
        let closes = fixture.events().iter().filter(|event| matches!(event, Event::Close(_))).count();
        assert_eq!((closes, stats.discarded.get()), (2, 10));
    }
}

#[test]
fn a_departed_connection_is_ignored_and_its_successor_has_another_id() {
    let stats = Stats::default();
    let mut fixture = Fixture::new(&stats, Limits { max_connections: 1, ..Limits::default() });
    let gone = fixture.greeted();
    assert!(fixture.machine.connect(fixture.now).is_none());
    fixture.machine.disconnected(gone, fixture.now);
    let here = fixture.greeted();
    assert!(gone.index() == here.index() && gone.id() != here.id());
    fixture.machine.disconnected(gone, fixture.now);
    fixture.machine.end_of_input(gone, fixture.now);
    fixture.machine.written(gone, 5, fixture.now);
    assert_eq!(fixture.machine.received(gone, b"....x\0", fixture.now), 0);
    assert!(fixture.machine.may_read(here) && !fixture.machine.may_read(gone));
    assert_eq!(fixture.machine.live(), 1);
}

#[test]
fn a_long_chain_of_senders_that_wait_for_each_other_is_released_without_recursion() {
    const LINKS: usize = 50_000;
    let stats = Stats::default();
    let limits = Limits { queue_bytes: 4, max_frame: 4, ..Limits::default() };
    let mut fixture = Fixture::new(&stats, limits);
    // Nobody takes the greeting, so everybody is full; each waits for the one before, and would then
    // send a frame that is too long.
    let conns: Vec<_> = (0..LINKS).map(|_| fixture.connect()).collect();
    for pair in conns.windows(2) {
        let mut bytes = Vec::new();
        encode(pair[0].id(), b"x", &mut bytes);
        encode(pair[0].id(), b"long!", &mut bytes);
        assert_eq!(fixture.machine.received(pair[1], &bytes, fixture.now), bytes.len());
        assert!(!fixture.machine.may_read(pair[1]));
    }
    fixture.machine.disconnected(conns[0], fixture.now);
    assert_eq!(stats.too_long.get(), LINKS as u64 - 1);
}
