//! What the two designs have in common in which one task owns everything by `&mut`: a plain map of clients, and
//! what is queued for each.
//!
//! The queues have no bound. A bound would need somebody to wait, and the one task there is must not. Nor is a
//! client that takes nothing ever given up; `stall_timeout` means nothing here.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::mem;
use std::net::Shutdown;
use std::task::{Context, Poll};

use super::input;
use crate::link::{Gone, SCRATCH};
use crate::protocol::{Frames, Inbox, TooLong, greeting};
use crate::router::{Guest, Router};
use crate::runtimes::Stream;
use crate::work;

/// A client. Its parts are for different futures to borrow at the same time.
#[derive(Debug)]
pub(super) struct Client<'r, S> {
    pub(super) guest: Guest<&'r Router>,
    pub(super) socket: S,
    pub(super) inbox: Inbox,
    pub(super) queue: VecDeque<u8>,
    /// It gets no more frames, and goes when what is queued has been written.
    pub(super) leaving: bool,
}

/// All clients, by id.
#[derive(Debug)]
pub(super) struct Table<'r, S> {
    pub(super) clients: BTreeMap<u32, Client<'r, S>>,
    router: &'r Router,
}

/// What happened to a client.
#[derive(Debug)]
pub(super) enum Io {
    /// It has sent something, which is in its inbox.
    Received,
    /// It has taken so many bytes.
    Written(usize),
    /// It has closed its sending side.
    Eof,
    /// It broke.
    Broken(io::Error),
}

impl<'r, S: Stream> Table<'r, S> {
    pub(super) fn new(router: &'r Router) -> Self {
        Table { clients: BTreeMap::new(), router }
    }

    pub(super) fn has_room(&self) -> bool {
        self.clients.len() < self.router.limits().max_connections
    }

    /// Takes a client in, and greets it.
    pub(super) fn join(&mut self, socket: S) {
        if let Some(guest) = Guest::new(self.router) {
            let queue = greeting(guest.id()).into();
            let inbox = Inbox::new(self.router.limits().max_frame);
            self.clients.insert(guest.id(), Client { guest, socket, inbox, queue, leaving: false });
        }
    }

    /// Does what follows from what happened to a client.
    pub(super) fn happened(&mut self, id: u32, io: Io) {
        let stats = self.router.stats();
        match io {
            Io::Received => {
                stats.reads.add(1);
                if let Err(error) = self.route(id) {
                    self.remove(id, Err(error.into()));
                }
            }
            Io::Written(n) => {
                stats.writes.add(1);
                stats.written.add(n);
                if let Some(client) = self.clients.get_mut(&id) {
                    client.queue.drain(..n);
                    if client.queue.is_empty() {
                        client.queue = VecDeque::new();
                    }
                }
                self.let_go(id);
            }
            Io::Eof => self.leave(id),
            Io::Broken(error) => self.remove(id, Err(error.into())),
        }
    }

    /// Nobody sends anything any more; what is queued is written.
    pub(super) fn stop(&mut self) {
        let ids: Vec<_> = self.clients.keys().copied().collect();
        ids.into_iter().for_each(|id| self.leave(id));
    }

    fn route(&mut self, from: u32) -> Result<(), TooLong> {
        let Some(sender) = self.clients.get_mut(&from) else { return Ok(()) };
        let unused = Inbox::new(0);
        let mut inbox = mem::replace(&mut sender.inbox, unused);
        let routed = inbox.route(|frames| self.queue(frames));
        if let Some(sender) = self.clients.get_mut(&from) {
            sender.inbox = inbox;
        }
        routed
    }

    fn queue(&mut self, frames: &mut Frames<'_>) -> Result<(), TooLong> {
        while let Some(run) = frames.run()? {
            work::spin(self.router.limits().work, run.len());
            match self.clients.get_mut(&run.to()).filter(|client| !client.leaving) {
                Some(client) => {
                    for body in run.bodies() {
                        // The fault: however much it is already.
                        client.queue.extend(body);
                        input::routed(body.len(), self.router);
                    }
                }
                None => self.router.stats().dropped.add(run.len()),
            }
            frames.consume(&run, run.len());
        }
        Ok(())
    }

    fn leave(&mut self, id: u32) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.leaving = true;
        }
        self.let_go(id);
    }

    /// Lets go of a client that leaves and for which nothing is queued any more.
    fn let_go(&mut self, id: u32) {
        if self.clients.get(&id).is_some_and(|client| client.leaving && client.queue.is_empty()) {
            self.remove(id, Ok(()));
        }
    }

    fn remove(&mut self, id: u32, result: Result<(), Gone>) {
        if let Some(client) = self.clients.remove(&id) {
            self.router.stats().discarded.add(client.queue.len());
            // Fails if the peer has gone already, and then there is nothing to shut.
            let _ = client.socket.shutdown(Shutdown::Write);
            input::ended(client.guest.id(), result, self.router);
        }
    }
}

/// Reads once.
pub(super) fn poll_read(socket: &impl Stream, inbox: &mut Inbox, cx: &mut Context<'_>) -> Poll<Io> {
    let read = |space: &mut [u8]| match socket.poll_read(cx, space) {
        Poll::Ready(result) => result.map_err(Some),
        Poll::Pending => Err(None),
    };
    match SCRATCH.with_borrow_mut(|scratch| inbox.receive(scratch, read, |_| ())) {
        // The original takes this for data, and reads it again, and again.
        Ok((0, ())) => Poll::Ready(Io::Eof),
        Ok(_) => Poll::Ready(Io::Received),
        Err(Some(error)) => Poll::Ready(Io::Broken(error)),
        Err(None) => Poll::Pending,
    }
}

/// Writes once.
pub(super) fn poll_write(socket: &impl Stream, queue: &VecDeque<u8>, cx: &mut Context<'_>) -> Poll<Io> {
    socket.poll_write(cx, queue.as_slices().0).map(|result| match result {
        Ok(0) => Io::Broken(ErrorKind::WriteZero.into()),
        Ok(n) => Io::Written(n),
        Err(error) => Io::Broken(error),
    })
}
