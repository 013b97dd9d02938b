//! The shared router by hand: each client's reader is a future that is polled when it is woken, and its writer is
//! asked for what there is.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use server::protocol::{Inbox, TooLong};
use server::router::{Routed, Router, Seat};

pub(super) struct Shared<'r> {
    pub(super) router: &'r Router,
    /// Bytes that were queued for connections that ended before they were taken.
    pub(super) discarded: usize,
    pub(super) too_long: u64,
    clients: Vec<Option<Client<'r>>>,
    /// Those to poll.
    ready: VecDeque<usize>,
    woken: Arc<Mutex<Vec<usize>>>,
    stopped: bool,
}

struct Client<'r> {
    /// `None`: it has ended. Above the seat, for it is dropped before that.
    reader: Option<Reader<'r>>,
    input: Rc<Input>,
    seat: Rc<Seat<&'r Router>>,
    /// What its writer holds, and how much of it is written.
    batch: Vec<u8>,
    written: usize,
    /// Its connection is to end.
    over: bool,
}

type Reader<'r> = Pin<Box<dyn Future<Output = Result<(), TooLong>> + 'r>>;

#[derive(Default)]
struct Input {
    /// Read, and not seen yet. Nothing: the end.
    bytes: RefCell<Option<Vec<u8>>>,
    /// The reader waits for more.
    waits: Cell<bool>,
}

impl<'r> Shared<'r> {
    pub(super) fn new(router: &'r Router) -> Self {
        Shared {
            router,
            discarded: 0,
            too_long: 0,
            clients: Vec::new(),
            ready: VecDeque::new(),
            woken: Arc::default(),
            stopped: false,
        }
    }

    /// The id of a new client, whose number is the next; `None` if there is no room.
    pub(super) fn connect(&mut self) -> Option<u32> {
        let seat = Rc::new(self.router.seat()?);
        let (id, input) = (seat.id(), Rc::<Input>::default());
        let reader: Reader<'r> = Box::pin(read(Rc::clone(&seat), Rc::clone(&input)));
        let client = Client { reader: Some(reader), input, seat, batch: Vec::new(), written: 0, over: false };
        self.clients.push(Some(client));
        self.ready.push_back(self.clients.len() - 1);
        self.run();
        self.take(self.clients.len() - 1, 0);
        Some(id)
    }

    pub(super) fn may_read(&self, index: usize) -> bool {
        self.clients[index].as_ref().is_some_and(|client| client.reader.is_some() && client.input.waits.get())
    }

    /// The bytes are read, or if there are none, the end.
    pub(super) fn receive(&mut self, index: usize, bytes: Vec<u8>) {
        let client = self.clients[index].as_ref().expect("it is here");
        assert!(client.input.bytes.replace(Some(bytes)).is_none());
        self.ready.push_back(index);
        self.run();
    }

    /// The client takes so many bytes, less if there are less.
    pub(super) fn take(&mut self, index: usize, bytes: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        let Some(client) = &mut self.clients[index] else { return taken };
        while !client.over && client.fill() && taken.len() < bytes {
            let rest = &client.batch[client.written..];
            let n = rest.len().min(bytes - taken.len());
            taken.extend_from_slice(&rest[..n]);
            client.written += n;
            if client.written < client.batch.len() {
                client.seat.wrote(n);
            }
        }
        self.run();
        taken
    }

    /// The connection is gone, whatever was on its way.
    pub(super) fn disconnect(&mut self, index: usize) {
        if let Some(mut client) = self.clients[index].take() {
            // In this order, as the nodes of a tree end.
            client.reader = None;
            self.discarded += client.seat.queued();
        }
        self.run();
    }

    /// Nobody is read any more.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
        for client in self.clients.iter_mut().flatten().filter(|client| client.input.waits.get()) {
            client.reader = None;
        }
        self.run();
    }

    pub(super) fn stopped(&self) -> bool {
        self.stopped
    }

    /// Those whose connections are to end.
    pub(super) fn over(&self) -> Vec<usize> {
        let over = |client: &Option<Client<'_>>| client.as_ref().is_some_and(|client| client.over);
        (0..self.clients.len()).filter(|&index| over(&self.clients[index])).collect()
    }

    pub(super) fn queued(&self, index: usize) -> usize {
        self.clients[index].as_ref().map_or(0, |client| client.seat.queued())
    }

    /// Polls those that are woken, until nobody is.
    ///
    /// The order is one that a scheduler may choose: a sender that was served passes its turn on to the next in line,
    /// which is polled before anybody else. That of the machine.
    fn run(&mut self) {
        loop {
            self.ready.extend(self.woken());
            let Some(index) = self.ready.pop_front() else { break };
            self.poll(index);
        }
        if self.stopped && self.router.count().reading == 0 {
            self.router.finish();
        }
        for client in self.clients.iter_mut().flatten() {
            client.fill();
        }
    }

    fn poll(&mut self, index: usize) {
        let woken = Arc::clone(&self.woken);
        let Some(client) = &mut self.clients[index] else { return };
        let Some(reader) = &mut client.reader else { return };
        let waker = Waker::from(Arc::new(Note { index, woken }));
        let ended = match reader.as_mut().poll(&mut Context::from_waker(&waker)) {
            // What was read before the stop is routed: it reads no more.
            Poll::Pending if self.stopped && client.input.waits.get() => Some(Ok(())),
            Poll::Pending => None,
            Poll::Ready(result) => Some(result),
        };
        for next in self.woken().into_iter().rev() {
            self.ready.push_front(next);
        }
        let Some(client) = &mut self.clients[index] else { return };
        match ended {
            None => {}
            Some(Ok(())) => {
                client.reader = None;
                // Until the last reader has ended, the others may have something for it.
                if !self.stopped {
                    client.seat.finish();
                }
            }
            Some(Err(TooLong { .. })) => {
                client.reader = None;
                client.seat.finish();
                client.over = true;
                self.too_long += 1;
            }
        }
    }

    fn woken(&self) -> Vec<usize> {
        std::mem::take(&mut *self.woken.lock().expect("no panic"))
    }
}

impl Client<'_> {
    /// What the writer does when nothing is left of its batch. `false`: there is nothing to write now.
    fn fill(&mut self) -> bool {
        if self.over || self.written < self.batch.len() {
            return !self.over;
        }
        self.written = 0;
        match self.seat.poll_take(&mut self.batch, &Context::from_waker(Waker::noop())) {
            Poll::Ready(more) => {
                self.over = !more;
                more
            }
            Poll::Pending => false,
        }
    }
}

/// What a link's reader does.
async fn read(seat: Rc<Seat<&Router>>, input: Rc<Input>) -> Result<(), TooLong> {
    let _reading = seat.reading();
    let router = seat.router();
    let mut inbox = Inbox::new(router.limits().max_frame);
    loop {
        let bytes = poll_fn(|_| {
            let bytes = input.bytes.take();
            input.waits.set(bytes.is_none());
            bytes.map_or(Poll::Pending, Poll::Ready)
        })
        .await;
        let read = |space: &mut [u8]| {
            space[..bytes.len()].copy_from_slice(&bytes);
            Ok::<_, TooLong>(bytes.len())
        };
        let (received, mut routed) =
            inbox.receive(&mut [0; 16 << 10], read, |frames| router.route(frames))?;
        if received == 0 {
            return Ok(());
        }
        while routed? == Routed::Blocked {
            let sent = {
                let run = inbox.frames().run()?.expect("the frame that was blocked");
                run.received_bytes(router.send(&run).await)
            };
            inbox.consume(sent);
            routed = inbox.route(|frames| router.route(frames));
        }
    }
}

/// Notes that a reader is to be polled.
struct Note {
    index: usize,
    woken: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.woken.lock().expect("no panic").push(self.index);
    }
}
