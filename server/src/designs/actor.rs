//! Writer queues, and a log that is told of every reply: work in the background that belongs to somebody.
//!
//! The usual way is a task that is spawned and forgotten: it may be cut off when the process ends, half-way
//! through its last line, and if it panics nobody learns of it. In the tree it is a child of the root: the root does not
//! return before the log has seen every reply, and nothing has to say so. On tokio it takes a handle that must not be
//! forgotten.
//!
//! **Its fault, kept on purpose:** it is that of [`writer_queues`](super::writer_queues), and one more queue through
//! which everything goes: when the log is slow the writers are.

use std::sync::Arc;

use async_channel::{Receiver, Sender};
use treescope::Scope;
use treescope::net::TcpListener;

use super::input;
use super::tasks::Tasks;
use super::writer_queues::{EVENTS, QUEUE, dispatch, read};
use crate::accept;
use crate::router::{Hold, Router};
use crate::runtimes::{Stream, TokioListener};
use crate::shutdown::{self, Stop};

/// A message was written.
struct Reply {
    to: u32,
    bytes: usize,
}

/// As a tree.
pub async fn on_treescope<'scope>(
    root: &'scope Scope<'scope, '_>,
    router: &'scope Router,
    listener: TcpListener,
    mut stop: impl Stop + 'scope,
) {
    let (replies, heard) = async_channel::bounded(EVENTS);
    // No child of the server, which aborts its children when it has waited for long enough.
    root.spawn_named("log", log(heard, router));
    let server = root.open().name("server").scope(async move |server| {
        let (events, received) = async_channel::bounded(EVENTS);
        server.spawn_named("dispatcher", dispatch(received, router));
        accept::each(router, listener, &mut stop, |guest, socket| {
            let (socket, (queue, messages)) = (Arc::new(socket), async_channel::bounded(QUEUE));
            server.spawn(write(guest.id(), messages, Arc::clone(&socket), router, replies.clone()));
            server.spawn(read(events.clone(), queue, guest, socket, server.cancelled()));
        })
        .await;
        drop((events, replies));
        shutdown::deliver(server, router, stop).await;
    });
    drop(server);
}

/// As tasks of tokio's.
pub async fn on_tokio(router: &Arc<Router>, listener: TokioListener, mut stop: impl Stop) {
    let (replies, heard) = async_channel::bounded(EVENTS);
    let log = tokio::spawn(log(heard, Arc::clone(router)));
    let tasks = Tasks::default();
    let (events, received) = async_channel::bounded(EVENTS);
    tasks.spawn(dispatch(received, Arc::clone(router)));
    accept::each(Arc::clone(router), listener, &mut stop, |guest, socket| {
        let (socket, (queue, messages)) = (Arc::new(socket), async_channel::bounded(QUEUE));
        tasks.spawn(write(guest.id(), messages, Arc::clone(&socket), Arc::clone(router), replies.clone()));
        tasks.spawn(read(events.clone(), queue, guest, socket, tasks.stopped()));
    })
    .await;
    drop((events, replies));
    tasks.deliver(router, stop).await;
    // Without this line it all works, but for the end of the log.
    if let Err(error) = log.await {
        tracing::error!("the log: {error}");
    }
}

/// Hears of every reply until there will be none.
async fn log(replies: Receiver<Reply>, router: impl Hold) {
    while let Ok(Reply { to, bytes }) = replies.recv().await {
        tracing::trace!(to, bytes, "written");
        router.stats().logged.add(1);
    }
}

/// Writes what is queued and tells the log, until there will be nothing more or the client is gone.
async fn write(
    id: u32,
    messages: Receiver<Vec<u8>>,
    socket: Arc<impl Stream>,
    router: impl Hold,
    replies: Sender<Reply>,
) {
    while let Ok(message) = messages.recv().await {
        if input::write(&*socket, &message, &router).await.is_err() {
            break;
        }
        // The log lives as long as there are writers.
        let _ = replies.send(Reply { to: id, bytes: message.len() }).await;
    }
}
