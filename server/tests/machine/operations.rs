//! Bytes as a sequence of operations on a machine: the body of the fuzz target, which the tests run as
//! well on what proptest thinks of.
//!
//! The driver here does what it is told by events and nothing else (it writes to a connection after
//! `Write`, reads from one that it had to leave alone after `Read`), so an event that is missing leaves
//! something undone, and [`rules::at_rest`] finds it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use server::limits::Limits;
use server::machine::{Conn, Event, Machine};
use server::protocol::encode;
use server::router::Stats;

use super::rules;

/// A client and the driver's side of its connection.
pub(crate) struct Client {
    pub(crate) conn: Conn,
    /// Everything it got.
    pub(crate) got: Vec<u8>,
    /// How many tame frames it sent, by receiver.
    pub(crate) sent_to: HashMap<usize, usize>,
    /// What it sent reaches those who stay: it keeps to the protocol and is not cut off.
    pub(crate) delivers: bool,
    /// It gets what is sent to it: it has not left and not been ended.
    pub(crate) stays: bool,
    /// What it sent and the driver has not read.
    wire: Vec<u8>,
    /// It has closed its sending side.
    eof: bool,
    /// The driver has told the machine so.
    eof_told: bool,
    /// It has sent something that is no frame.
    wild: bool,
    /// The driver may write: it was told that there is output, and has not written all of it since.
    write: bool,
    /// The driver does not read: the machine refused to.
    refused: bool,
    gone: bool,
}

struct World<'a, 's> {
    script: std::slice::Iter<'a, u8>,
    machine: Machine<'s>,
    stats: &'s Stats,
    now: Instant,
    clients: Vec<Client>,
}

/// Runs the operations that `bytes` are taken for.
///
/// # Panics
///
/// If the machine breaks a rule.
pub(crate) fn run(bytes: &[u8]) {
    let stats = Stats::default();
    let mut script = bytes.iter();
    let mut pick = |choices: [usize; 4]| choices[usize::from(script.next().copied().unwrap_or(0) % 4)];
    let limits = Limits {
        max_frame: pick([60, 0, 12, 6000]),
        queue_bytes: pick([40, 1, 300, 9000]),
        max_connections: pick([3, 1, 5, 8]),
        stall_timeout: Duration::from_millis(1000),
        grace: Duration::from_millis(700),
        work: Duration::ZERO,
    };
    let machine = Machine::new(limits, 7, &stats);
    let now = Instant::now();
    let mut world = World { script, machine, stats: &stats, now, clients: Vec::new() };
    while let Some(operation) = world.next() {
        world.perform(operation);
        rules::after_each(&world.machine, world.stats, &world.clients);
    }
    world.come_to_rest();
    rules::at_rest(&world.clients);
    world.end();
}

impl World<'_, '_> {
    fn next(&mut self) -> Option<u8> {
        self.script.next().copied()
    }

    fn number(&mut self) -> usize {
        usize::from(self.next().unwrap_or(0))
    }

    /// A client that is still connected.
    fn client(&mut self) -> Option<usize> {
        let here: Vec<_> = (0..self.clients.len()).filter(|&client| !self.clients[client].gone).collect();
        let number = self.number();
        (!here.is_empty()).then(|| here[number % here.len()])
    }

    fn perform(&mut self, operation: u8) {
        match operation % 16 {
            0 | 1 => self.connect(),
            2..=5 => self.send_tame(),
            6 => self.send_wild(),
            7 | 8 => self.read(),
            9 | 10 => self.write(),
            11 => {
                if let Some(client) = self.client() {
                    self.clients[client].eof = true;
                }
            }
            12 => {
                if let Some(client) = self.client() {
                    self.disconnect(client);
                }
            }
            13 => {
                let events = self.number();
                self.handle_events(events);
            }
            14 => {
                let time = self.number() as u64;
                self.pass(Duration::from_millis(5 * time));
            }
            // A stop ends most of what is interesting, so it is rare.
            _ if self.number() % 16 == 15 => self.stop(),
            _ => {
                self.read_and_write_everything();
            }
        }
    }

    fn connect(&mut self) {
        let room = self.machine.has_room();
        let conn = self.machine.connect(self.now);
        assert_eq!(room, conn.is_some());
        let Some(conn) = conn else { return };
        assert!(self.clients.iter().all(|client| client.gone || client.conn.id() != conn.id()));
        self.clients.push(Client {
            conn,
            got: Vec::new(),
            sent_to: HashMap::new(),
            delivers: true,
            stays: true,
            wire: Vec::new(),
            eof: false,
            eof_told: false,
            wild: false,
            write: false,
            refused: false,
            gone: false,
        });
    }

    fn send_tame(&mut self) {
        let (Some(sender), Some(receiver)) = (self.client(), self.client()) else { return };
        let padding = self.number();
        let to = self.clients[receiver].conn.id();
        let client = &mut self.clients[sender];
        if client.wild || client.eof {
            return;
        }
        let number = client.sent_to.get(&receiver).copied().unwrap_or(0);
        let payload = rules::payload(sender, number, padding);
        encode(to, &payload, &mut client.wire);
        if payload.len() > self.machine.limits().max_frame {
            // Ends it; what it sends afterwards is nobody's.
            client.wild = true;
            client.stays = false;
        } else {
            *client.sent_to.entry(receiver).or_default() += 1;
        }
    }

    /// Anything at all: the beginning of a frame, one that is too long, one to somebody.
    fn send_wild(&mut self) {
        let (Some(sender), receiver) = (self.client(), self.client()) else { return };
        let len = self.number();
        let raw: Vec<u8> = self.script.by_ref().take(len).copied().collect();
        let to = receiver.map(|receiver| self.clients[receiver].conn.id());
        let client = &mut self.clients[sender];
        if client.eof {
            return;
        }
        client.wild = true;
        // It may send what is too long at any time.
        client.stays = false;
        if let (Some(to), Some(1)) = (to, raw.first()) {
            client.wire.extend_from_slice(&to.to_be_bytes());
            client.wire.push(b'w');
        }
        client.wire.extend_from_slice(&raw);
    }

    fn read(&mut self) {
        let (Some(client), most) = (self.client(), self.number()) else { return };
        self.read_some(client, most);
    }

    /// Whether anything was read.
    fn read_some(&mut self, index: usize, most: usize) -> bool {
        let client = &mut self.clients[index];
        if client.gone {
            return false;
        }
        if client.wire.is_empty() {
            if !client.eof || client.eof_told {
                return false;
            }
            // Whether it may be read or not: systems tell of hang-ups in other ways too.
            (client.eof_told, client.stays) = (true, false);
            self.machine.end_of_input(client.conn, self.now);
            return true;
        }
        if client.refused {
            return false;
        }
        if !self.machine.may_read(client.conn) {
            client.refused = true;
            return false;
        }
        let piece = most.min(client.wire.len());
        let taken = self.machine.received(client.conn, &client.wire[..piece], self.now);
        client.wire.drain(..taken);
        taken > 0
    }

    fn write(&mut self) {
        let (Some(client), most) = (self.client(), self.number()) else { return };
        self.write_some(client, most);
    }

    /// Whether anything was written.
    fn write_some(&mut self, index: usize, most: usize) -> bool {
        let client = &mut self.clients[index];
        if client.gone || !client.write {
            return false;
        }
        let output = self.machine.output(client.conn);
        let n = most.min(output.len());
        client.got.extend_from_slice(&output[..n]);
        client.write = n < output.len();
        self.machine.written(client.conn, n, self.now);
        n > 0
    }

    fn disconnect(&mut self, index: usize) {
        let client = &mut self.clients[index];
        self.machine.disconnected(client.conn, self.now);
        client.gone = true;
        // What it sent may be unread, or wait.
        (client.delivers, client.stays) = (false, false);
    }

    /// Whether there were any.
    fn handle_events(&mut self, most: usize) -> bool {
        let mut handled = 0;
        while handled < most {
            let Some(event) = self.machine.next_event() else { break };
            handled += 1;
            let Some(index) = self.clients.iter().rposition(|client| client.conn == event.conn()) else {
                panic!("an event about nobody: {event:?}")
            };
            let client = &self.clients[index];
            assert!(!client.gone, "an event about a departed connection: {event:?}");
            let ends = matches!(event, Event::Shut(_) | Event::Close(_));
            assert!(!(ends && client.stays), "nobody is ended without a reason: {event:?}");
            match event {
                Event::Write(_) => self.clients[index].write = true,
                Event::Read(_) => self.clients[index].refused = false,
                Event::Overdue(_) => {
                    let most = self.number() % 3;
                    self.clients[index].write = true;
                    if !self.write_some(index, most) {
                        (self.clients[index].delivers, self.clients[index].stays) = (false, false);
                        self.machine.takes_nothing(event.conn(), self.now);
                    }
                }
                Event::Shut(_) => (self.clients[index].delivers, self.clients[index].stays) = (false, false),
                Event::Close(_) => {
                    let client = &mut self.clients[index];
                    // Whoever has ended by itself has delivered.
                    let delivers = client.delivers && client.eof_told;
                    self.disconnect(index);
                    self.clients[index].delivers = delivers;
                }
            }
        }
        handled > 0
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        if self.machine.next_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.machine.expire(self.now);
        }
        let next = self.machine.next_deadline();
        assert!(
            next.is_none_or(|deadline| deadline > self.now),
            "a deadline that has come does not come again"
        );
    }

    fn stop(&mut self) {
        self.machine.stop(self.now);
        // What was not read is not delivered, and who has not got everything may not get it.
        for client in &mut self.clients {
            (client.delivers, client.stays) = (false, false);
        }
    }

    fn read_and_write_everything(&mut self) -> bool {
        let mut progress = self.handle_events(usize::MAX);
        for client in 0..self.clients.len() {
            progress |= self.read_some(client, usize::MAX);
            progress |= self.write_some(client, usize::MAX);
        }
        progress
    }

    /// Without time passing, everything that can happen happens.
    fn come_to_rest(&mut self) {
        while self.read_and_write_everything() {}
        for client in self.clients.iter().filter(|client| !client.gone) {
            assert_eq!(self.machine.output(client.conn), b"", "output that nobody was told about");
            if client.stays {
                assert!(self.machine.may_read(client.conn) && client.wire.is_empty(), "everybody goes on");
            }
        }
        rules::after_each(&self.machine, self.stats, &self.clients);
    }

    /// A server that is told to stop does, whatever its clients do.
    fn end(&mut self) {
        self.stop();
        // All is delivered: there is no reason to wait for the end of the grace period.
        for _ in 0..6 {
            self.handle_events(usize::MAX);
            self.pass(Duration::from_millis(50));
        }
        assert_eq!(self.machine.live(), 0, "everybody has gone");
        assert_eq!(self.machine.next_deadline(), None);
        assert_eq!(self.machine.next_event(), None);
    }
}
