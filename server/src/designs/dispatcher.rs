//! One task owns the sending halves and does all the writing; the others send it events.
//!
//! No lock, and the map is a plain one. The connections' tasks only read; a channel brings what they have read to
//! the one task that may write, in order.
//!
//! **Its fault, kept on purpose:** that task writes itself. If one receiver takes nothing it waits for that one,
//! the channel fills up behind it, and everybody who sends anything to anyone waits: the head of the line is blocked.
//! And routing is as fast as one task is, however many workers there are.

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
const EVENTS: usize = 1024;

enum Event<S> {
    Joined(u32, Arc<S>),
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
            server.spawn(connection(events.clone(), guest, socket, server.cancelled()));
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
        tasks.spawn(connection(events.clone(), guest, socket, tasks.stopped()));
    })
    .await;
    drop(events);
    tasks.deliver(router, stop).await;
}

/// Owns the map and writes, until nobody is left who could send an event.
async fn dispatch<S: Stream>(events: Receiver<Event<S>>, router: impl Hold) {
    let mut clients = HashMap::new();
    while let Ok(event) = events.recv().await {
        match event {
            Event::Joined(id, half) => {
                // Broken: its reader finds out.
                let _ = input::write(&*half, &greeting(id), &router).await;
                clients.insert(id, half);
            }
            Event::Message(to, body) => {
                work::spin(router.limits().work, 1);
                match clients.get(&to) {
                    // The fault: everything else waits until this receiver has room.
                    Some(half) if input::write(&**half, &body, &router).await.is_ok() => {
                        input::routed(body.len(), &router);
                    }
                    _ => router.stats().dropped.add(1),
                }
            }
            Event::Left(id) => drop(clients.remove(&id)),
        }
    }
}

async fn connection<S: Stream>(
    events: Sender<Event<S>>,
    guest: Guest<impl Hold>,
    socket: S,
    stop: impl Future<Output = ()> + Send,
) {
    let (id, router, socket) = (guest.id(), guest.router(), Arc::new(socket));
    // The dispatcher lives as long as there are senders.
    let _ = events.send(Event::Joined(id, Arc::clone(&socket))).await;
    let result = input::send_on(&events, Event::Message, router, &*socket, pin!(stop)).await;
    let _ = events.send(Event::Left(id)).await;
    input::ended(id, result, router);
}
