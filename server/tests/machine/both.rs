//! The machine beside the shared router: two ways to share state, and one set of rules. Both are given the same
//! operations, and must do the same to every client.
//!
//! The router is driven as a [`Link`](server::link::Link) drives it, without the sockets ([`shared`]). What is left out
//! is what only one of the two knows: time, which on the router's side is the link's.
//!
//! Nothing has to be translated: with the same key both give the same ids, and both queue the greeting.

mod shared;

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;

use server::limits::Limits;
use server::machine::{Conn, Event, Machine};
use server::protocol::{ID_BYTES, encode};
use server::router::{Router, Stats};

use shared::Shared;

const KEY: u32 = 0x5DEE_CE66;

/// What a client or its system does. Clients are named by any number.
#[derive(Clone, Debug)]
enum Operation {
    Connect,
    /// Sends a frame of so many bytes to another, to itself or, now and then, to nobody.
    Send(u8, u8, usize),
    /// So many bytes of what it has sent are read, if it may be read.
    Read(u8, usize),
    /// It takes so many bytes.
    Take(u8, usize),
    /// It closes its sending side.
    End(u8),
    Disconnect(u8),
    Stop,
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::{Connect, Disconnect, End, Read, Send, Stop, Take};
    let (who, bytes) = (any::<u8>, || prop_oneof![1 => 1..40usize, 1 => Just(usize::MAX)]);
    prop_oneof![
        3 => Just(Connect),
        // Of more than 60 it is too long.
        16 => (who(), who(), prop_oneof![30 => 0..30usize, 30 => 30..=60usize, 1 => Just(61usize)])
            .prop_map(|(from, to, len)| Send(from, to, len)),
        10 => (who(), bytes()).prop_map(|(client, bytes)| Read(client, bytes)),
        7 => (who(), bytes()).prop_map(|(client, bytes)| Take(client, bytes)),
        1 => who().prop_map(End),
        3 => who().prop_map(Disconnect),
        1 => prop_oneof![9 => Just(Connect), 1 => Just(Stop)],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 800 } else { 20_000 }))]

    #[test]
    fn the_machine_and_the_shared_router_keep_to_the_same_rules(
        queue_bytes in prop_oneof![Just(1usize), Just(40), Just(100)],
        max_connections in prop_oneof![Just(3usize), Just(6)],
        // With a cost the shared router handles frames one by one.
        work in prop_oneof![Just(Duration::ZERO), Just(Duration::from_nanos(1))],
        operations in vec(operation(), 0..150),
    ) {
        let limits = Limits { queue_bytes, max_connections, work, max_frame: 60, ..Limits::default() };
        let (stats, router) = (Stats::default(), Router::with_key(limits, KEY));
        let machine = Machine::new(limits, KEY, &stats);
        let now = Instant::now();
        let (shared, clients) = (Shared::new(&router), Vec::new());
        let mut both = Both { machine, now, stats: &stats, shared, clients, sent: 0 };
        for operation in operations {
            both.perform(operation);
            both.compare();
        }
        both.come_to_rest();
    }
}

struct Client {
    conn: Conn,
    /// What it sent and is not read.
    wire: Vec<u8>,
    /// It has closed its sending side.
    ended: bool,
    gone: bool,
}

struct Both<'s> {
    machine: Machine<'s>,
    now: Instant,
    stats: &'s Stats,
    shared: Shared<'s>,
    clients: Vec<Client>,
    /// What the last frame that was sent is made of.
    sent: u8,
}

impl Both<'_> {
    /// A client that is here.
    fn client(&self, who: u8) -> Option<usize> {
        let here: Vec<_> = (0..self.clients.len()).filter(|&client| !self.clients[client].gone).collect();
        (!here.is_empty()).then(|| here[usize::from(who) % here.len()])
    }

    fn perform(&mut self, operation: Operation) {
        match operation {
            Operation::Connect => self.connect(),
            Operation::Send(from, to, len) => self.send(from, to, len),
            Operation::Read(who, bytes) => {
                if let Some(client) = self.client(who) {
                    self.read(client, bytes);
                }
            }
            Operation::Take(who, bytes) => {
                if let Some(client) = self.client(who) {
                    self.take(client, bytes);
                }
            }
            Operation::End(who) => {
                if let Some(client) = self.client(who) {
                    self.clients[client].ended = true;
                }
            }
            Operation::Disconnect(who) => {
                if let Some(client) = self.client(who) {
                    self.disconnect(client);
                }
            }
            Operation::Stop => {
                if !self.shared.stopped() {
                    self.machine.stop(self.now);
                    self.shared.stop();
                }
            }
        }
        self.let_go();
    }

    fn connect(&mut self) {
        if self.shared.stopped() {
            assert!(!self.machine.has_room());
            return;
        }
        let conn = self.machine.connect(self.now);
        assert_eq!(conn.map(Conn::id), self.shared.connect());
        let client = |conn| Client { conn, wire: Vec::new(), ended: false, gone: false };
        self.clients.extend(conn.map(client));
    }

    fn send(&mut self, from: u8, to: u8, len: usize) {
        let Some(sender) = self.client(from).filter(|&sender| !self.clients[sender].ended) else { return };
        // Also to one that has gone, or is about to.
        let receiver = &self.clients[usize::from(to) % self.clients.len()];
        let id = if to == u8::MAX { 77 } else { receiver.conn.id() };
        // So that it can be told which frame it is.
        self.sent = self.sent % u8::MAX + 1;
        encode(id, &vec![self.sent; len], &mut self.clients[sender].wire);
    }

    /// Whether anything was read, an end included.
    fn read(&mut self, index: usize, bytes: usize) -> bool {
        let client = &mut self.clients[index];
        if client.gone || !self.machine.may_read(client.conn) {
            return false;
        }
        let piece: Vec<_> = client.wire.drain(..bytes.min(client.wire.len())).collect();
        if piece.is_empty() && !client.ended {
            return false;
        }
        if piece.is_empty() {
            self.machine.end_of_input(client.conn, self.now);
        } else {
            assert_eq!(self.machine.received(client.conn, &piece, self.now), piece.len());
        }
        self.shared.receive(index, piece);
        true
    }

    /// Whether anything was taken.
    fn take(&mut self, index: usize, bytes: usize) -> bool {
        let client = &self.clients[index];
        if client.gone {
            return false;
        }
        let output = self.machine.output(client.conn);
        let taken = output[..bytes.min(output.len())].to_vec();
        self.machine.written(client.conn, taken.len(), self.now);
        assert_eq!(self.shared.take(index, taken.len()), taken, "what client {index} is delivered");
        !taken.is_empty()
    }

    fn disconnect(&mut self, index: usize) {
        self.clients[index].gone = true;
        self.machine.disconnected(self.clients[index].conn, self.now);
        self.shared.disconnect(index);
    }

    /// Those whose connections are to end close them at once, in the order in which they came: how long a server
    /// waits for that, and in which order places become free, is not a matter of rules.
    fn let_go(&mut self) {
        let mut over = Vec::new();
        while let Some(event) = self.machine.next_event() {
            if let Event::Shut(conn) | Event::Close(conn) = event {
                let client = self.clients.iter().rposition(|client| client.conn == conn && !client.gone);
                over.extend(client);
            }
        }
        over.sort_unstable();
        over.dedup();
        assert_eq!(over, self.shared.over(), "whose connections are to end");
        over.into_iter().for_each(|client| self.disconnect(client));
    }

    fn compare(&self) {
        let Limits { queue_bytes, max_frame, .. } = *self.machine.limits();
        for (index, client) in self.clients.iter().enumerate().filter(|(_, client)| !client.gone) {
            let queued = self.machine.output(client.conn).len();
            assert_eq!(queued, self.shared.queued(index), "what is queued for client {index}");
            assert!(queued <= queue_bytes.max(max_frame + 1).max(ID_BYTES), "a queue is bounded");
            let may_read = self.machine.may_read(client.conn);
            assert_eq!(may_read, self.shared.may_read(index), "whether client {index} is read");
        }
        assert_eq!(self.machine.queued_bytes(), self.shared.router.queued_bytes());
        assert_eq!(self.machine.live(), self.shared.router.count().live);
        let (stats, shared) = (self.stats, self.shared.router.stats());
        let counted =
            |stats: &Stats| [&stats.frames, &stats.bytes, &stats.dropped, &stats.waits].map(|n| n.get());
        assert_eq!(counted(stats), counted(shared), "frames, bytes, dropped and waits");
        // On this side the link counts them.
        assert_eq!(
            [stats.discarded.get(), stats.too_long.get()],
            [self.shared.discarded as u64, self.shared.too_long],
            "discarded and too long"
        );
    }

    /// Whatever can be read and taken is, to the end.
    fn come_to_rest(&mut self) {
        loop {
            let mut progress = false;
            for client in 0..self.clients.len() {
                progress |= self.read(client, usize::MAX);
                self.let_go();
                progress |= self.take(client, usize::MAX);
                self.let_go();
                self.compare();
            }
            if !progress {
                break;
            }
        }
        assert_eq!(self.machine.queued_bytes(), 0);
    }
}
