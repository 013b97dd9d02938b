//! One task owns everything, and races all that may happen next.
//!
//! No lock, no channel, no second task: a future for each connection's next read, one for each write that is
//! due, one for the next client, one for the signal to stop; the first that is ready wins and the others are
//! dropped. Then the loop's body has `&mut` to everything, and errors are plain values in the place where
//! something can be done about them. All futures are made anew for every event, which costs as much as there are
//! connections.
//!
//! **Its fault, kept on purpose:** nobody may wait, so queues have no bound: a client that takes nothing costs all
//! the memory that the others care to send it. And one core is all it will ever use.
//!
//! The talk's version has another one, which is mended here because it hides the rest: it takes a read of 0
//! bytes for data, so the first client that leaves makes it spin.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use futures_lite::future::{self, race};

use super::table::{Io, Table, poll_read, poll_write};
use crate::accept::Acceptor;
use crate::router::Router;
use crate::runtimes::{Listener, Platform, Stream};
use crate::shutdown::Stop;

enum Event<S> {
    Client(S),
    Io(u32, Io),
    Stop,
}

/// Serves until `stop` tells so, then delivers what is queued; at once if `stop` tells so again.
pub async fn serve<L: Listener>(listener: L, router: &Router, mut stop: impl Stop) {
    let mut table = Table::new(router);
    let mut acceptor = Acceptor::new(listener, router);
    loop {
        let room = table.has_room();
        let client = async {
            match room {
                true => Event::Client(acceptor.next().await),
                false => future::pending().await,
            }
        };
        match race(race(client, told(&mut stop)), next_io(&mut table)).await {
            Event::Client(socket) => table.join(socket),
            Event::Io(id, io) => table.happened(id, io),
            Event::Stop => break,
        }
    }
    drop(acceptor);
    table.stop();
    let delivered = async {
        while !table.clients.is_empty() {
            if let Event::Io(id, io) = next_io::<_, ()>(&mut table).await {
                table.happened(id, io);
            }
        }
    };
    let in_time = L::Platform::sleep(router.limits().grace);
    race(delivered, race(in_time, stop.told())).await;
}

async fn told<S>(stop: &mut impl Stop) -> Event<S> {
    stop.told().await;
    Event::Stop
}

/// What happens next to any client.
async fn next_io<S: Stream, T>(table: &mut Table<'_, S>) -> Event<T> {
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    for (&id, client) in &mut table.clients {
        let (socket, inbox, queue) = (&client.socket, &mut client.inbox, &client.queue);
        if !client.leaving {
            reads.push(poll_fn(move |cx| poll_read(socket, inbox, cx).map(|io| Event::Io(id, io))));
        }
        if !queue.is_empty() {
            writes.push(poll_fn(move |cx| poll_write(socket, queue, cx).map(|io| Event::Io(id, io))));
        }
    }
    race(any(reads), any(writes)).await
}

/// The output of one of these, whichever is ready first. Not always the first one's if several are.
async fn any<F: Future + Unpin>(mut futures: Vec<F>) -> F::Output {
    let start = fastrand::usize(..futures.len().max(1));
    futures.rotate_left(start);
    poll_fn(|cx| {
        let mut polled = futures.iter_mut().map(|future| Pin::new(future).poll(cx));
        polled.find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
}
