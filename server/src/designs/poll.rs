//! One task owns everything, and polls it by hand.
//!
//! [`race`](super::race) without the futures: [`Server::poll_next`] looks at every socket in turn, round and
//! round, and gives the first event that it finds. Nothing is made anew for an event, and even the I/O has `&mut`
//! to everything. All sockets have one waker, so it looks at all of them whenever one is ready.
//!
//! **Its fault, kept on purpose:** as with `race` nobody may wait, so queues have no bound; and one core is all it
//! will ever use. And it was written by hand: what must be polled, what must not be forgotten to be, and where to
//! go on, is nobody's business but its own.

use std::future::poll_fn;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::future;
use futures_lite::stream;

use super::table::{Client, Io, Table, poll_read, poll_write};
use crate::accept::Acceptor;
use crate::router::Router;
use crate::runtimes::{Listener, Platform, Stream};
use crate::shutdown::Stop;

enum Event<S> {
    Client(S),
    Io(u32, Io),
}

/// Serves until `stop` tells so, then delivers what is queued; at once if `stop` tells so again.
pub async fn serve<L: Listener>(listener: L, router: &Router, mut stop: impl Stop) {
    let acceptor = Acceptor::new(listener, router);
    let clients = stream::unfold(acceptor, async |mut acceptor| Some((acceptor.next().await, acceptor)));
    let mut server = Server { table: Table::new(router), accepting: Some(Box::pin(clients)), last: 0 };
    future::or(stop.told(), async { while server.handle_next().await {} }).await;
    server.accepting = None;
    server.table.stop();
    let delivered = async { while !server.table.clients.is_empty() && server.handle_next().await {} };
    let in_time = L::Platform::sleep(router.limits().grace);
    future::or(delivered, future::or(in_time, stop.told())).await;
}

struct Server<'r, S, A> {
    table: Table<'r, S>,
    /// Gives the next clients; `None` when the server stops.
    accepting: Option<Pin<Box<A>>>,
    /// The client that was looked at last.
    last: u32,
}

impl<S: Stream, A: stream::Stream<Item = S>> Server<'_, S, A> {
    /// Waits for the next event and does what follows. `false`: there will be none.
    async fn handle_next(&mut self) -> bool {
        match poll_fn(|cx| self.poll_next(cx)).await {
            Some(Event::Client(socket)) => self.table.join(socket),
            Some(Event::Io(id, io)) => self.table.happened(id, io),
            None => return false,
        }
        true
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event<S>>> {
        if self.table.has_room()
            && let Some(accepting) = &mut self.accepting
            && let Poll::Ready(socket) = accepting.as_mut().poll_next(cx)
        {
            return Poll::Ready(socket.map(Event::Client));
        }
        // From behind the one that was looked at last, once round.
        let behind = (Excluded(self.last), Unbounded);
        let before = (Unbounded, Included(self.last));
        for range in [behind, before] {
            for (&id, client) in self.table.clients.range_mut(range) {
                if let Poll::Ready(io) = poll_client(client, cx) {
                    self.last = id;
                    return Poll::Ready(Some(Event::Io(id, io)));
                }
            }
        }
        Poll::Pending
    }
}

/// Writes what is queued, and reads if nothing can be written.
fn poll_client<S: Stream>(client: &mut Client<'_, S>, cx: &mut Context<'_>) -> Poll<Io> {
    if !client.queue.is_empty()
        && let Poll::Ready(io) = poll_write(&client.socket, &client.queue, cx)
    {
        return Poll::Ready(io);
    }
    if client.leaving { Poll::Pending } else { poll_read(&client.socket, &mut client.inbox, cx) }
}
