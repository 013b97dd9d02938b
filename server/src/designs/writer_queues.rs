//! A bounded queue and a writing task for each connection; one task owns the queues and fills them.
//!
//! The dispatcher writes no more, so a receiver that is slow for a moment delays nobody. One write per message, as
//! each is taken out of the queue by itself.
//!
//! **Its fault, kept on purpose:** a queue is full after a burst, and then the dispatcher waits for it as it did for
//! the socket: the head of the line is blocked again, only later. Nobody knows whose messages filled it. An
//! unbounded queue would be the other choice, and unbounded memory. What a writer fails with it can tell nobody, and a
//! client that has left and takes nothing keeps its writer, without a deadline.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;

use async_channel::{Receiver, Sender};
use treescope::Scope;
use treescope::net::TcpListener;

use super::input;
use super::tasks::Tasks;
use crate::protocol::greeting;
use crate::router::{Guest, Hold, Router};
use crate::runtimes::{Stream, TokioListener};
use crate::shutdown::{self, Stop};
use crate::{accept, work};

/// How many events may be under way.
pub(super) const EVENTS: usize = 1024;

/// How many messages a queue holds.
pub(super) const QUEUE: usize = 64;

pub(super) enum Event {
    Joined(u32, Sender<Vec<u8>>),
    Message(u32, Vec<u8>),
    Left(u32),
}

/// As a tree.
pub async fn on_treescope<'scope>(
    root: &'scope Scope<'scope, '_>,
    router: &'scope Router,
    listener: TcpListener,
    mut stop: impl Stop + 'scope,
) {
    let server = root.open().name("server").scope(async move |server| {
        let (events, received) = async_channel::bounded(EVENTS);
        server.spawn_named("dispatcher", dispatch(received, router));
        accept::each(router, listener, &mut stop, |guest, socket| {
            let (socket, (queue, messages)) = (Arc::new(socket), async_channel::bounded(QUEUE));
            server.spawn(write(messages, Arc::clone(&socket), router));
            server.spawn(read(events.clone(), queue, guest, socket, server.cancelled()));
        })
        .await;
        drop(events);
        shutdown::deliver(server, router, stop).await;
    });
    drop(server);
}

/// As tasks of tokio's.
pub async fn on_tokio(router: &Arc<Router>, listener: TokioListener, mut stop: impl Stop) {
    let tasks = Tasks::default();
    let (events, received) = async_channel::bounded(EVENTS);
    tasks.spawn(dispatch(received, Arc::clone(router)));
    accept::each(Arc::clone(router), listener, &mut stop, |guest, socket| {
        let (socket, (queue, messages)) = (Arc::new(socket), async_channel::bounded(QUEUE));
        tasks.spawn(write(messages, Arc::clone(&socket), Arc::clone(router)));
        tasks.spawn(read(events.clone(), queue, guest, socket, tasks.stopped()));
    })
    .await;
    drop(events);
    tasks.deliver(router, stop).await;
}

/// Owns the queues and fills them, until nobody is left who could send an event.
pub(super) async fn dispatch(events: Receiver<Event>, router: impl Hold) {
    let mut queues: HashMap<u32, Sender<Vec<u8>>> = HashMap::new();
    while let Ok(event) = events.recv().await {
        match event {
            Event::Joined(id, queue) => {
                // A new queue has room. Whoever is greeted can be sent to.
                let _ = queue.try_send(greeting(id).to_vec());
                queues.insert(id, queue);
            }
            Event::Message(to, body) => {
                work::spin(router.limits().work, 1);
                let bytes = body.len();
                match queues.get(&to) {
                    // The fault: everything else waits until this queue has room.
                    Some(queue) if queue.send(body).await.is_ok() => input::routed(bytes, &router),
                    _ => router.stats().dropped.add(1),
                }
            }
            Event::Left(id) => drop(queues.remove(&id)),
        }
    }
}

/// Sends events for what a client sends, from when it has joined to when it has left.
pub(super) async fn read(
    events: Sender<Event>,
    queue: Sender<Vec<u8>>,
    guest: Guest<impl Hold>,
    socket: Arc<impl Stream>,
    stop: impl Future<Output = ()> + Send,
) {
    let (id, router) = (guest.id(), guest.router());
    // The dispatcher lives as long as there are senders.
    let _ = events.send(Event::Joined(id, queue)).await;
    let result = input::send_on(&events, Event::Message, router, &*socket, pin!(stop)).await;
    let _ = events.send(Event::Left(id)).await;
    input::ended(id, result, router);
}

/// Writes what is queued until there will be nothing more or the client is gone.
async fn write(messages: Receiver<Vec<u8>>, socket: Arc<impl Stream>, router: impl Hold) {
    while let Ok(message) = messages.recv().await {
        if input::write(&*socket, &message, &router).await.is_err() {
            break;
        }
    }
}
