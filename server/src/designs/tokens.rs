//! Writer queues made robust: each sender has so many tokens, a message under way holds one, and what could not be
//! delivered is told to whoever sent it.
//!
//! A reader takes a token for every message before it sends it on; the token travels with the message and is free
//! again when the message is written, or known to be undeliverable, of which the token then brings word. So the
//! queues need no bound of their own, the dispatcher never waits, and a burst is held back where it comes from. A
//! writer that fails closes the socket, so that its reader ends as well.
//!
//! **Its fault, kept on purpose:** this is what it costs, in parts and in lines, and still one receiver that takes
//! nothing ends up with all the tokens of a sender, who then cannot send to anybody else. What is queued for a receiver
//! is bounded by all its senders' tokens together: that grows with the clients. And there is no deadline.

use std::collections::HashMap;
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::sync::Arc;

use async_channel::{Receiver, Sender};
use async_lock::{Semaphore, SemaphoreGuardArc};
use futures_lite::future;
use treescope::Scope;
use treescope::net::TcpListener;

use super::input::{self, Input};
use super::tasks::Tasks;
use crate::link::Gone;
use crate::protocol::greeting;
use crate::router::{Guest, Hold, Router};
use crate::runtimes::{Stream, TokioListener};
use crate::shutdown::{self, Stop};
use crate::{accept, work};

/// How many messages of one sender may be under way.
const TOKENS: usize = 64;

/// A message under way; the greeting has no sender.
struct Message {
    to: u32,
    body: Vec<u8>,
    sender: Option<Stake>,
}

/// What a sender has in a message: the token that it gave for it, and the way back.
struct Stake {
    _token: SemaphoreGuardArc,
    back: Sender<Message>,
}

impl Message {
    /// Goes back, token and all, so that what comes back is bounded as well.
    fn undeliverable(self, router: &Router) {
        let Some(back) = self.sender.as_ref().map(|sender| sender.back.clone()) else { return };
        if back.try_send(self).is_err() {
            // The sender has left.
            router.stats().dropped.add(1);
        }
    }
}

enum Event {
    Joined(u32, Sender<Message>),
    Message(Message),
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
        let (events, received) = async_channel::unbounded();
        server.spawn_named("dispatcher", dispatch(received, router));
        accept::each(router, listener, &mut stop, |guest, socket| {
            let (socket, (queue, messages)) = (Arc::new(socket), async_channel::unbounded());
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
    let (events, received) = async_channel::unbounded();
    tasks.spawn(dispatch(received, Arc::clone(router)));
    accept::each(Arc::clone(router), listener, &mut stop, |guest, socket| {
        let (socket, (queue, messages)) = (Arc::new(socket), async_channel::unbounded());
        tasks.spawn(write(messages, Arc::clone(&socket), Arc::clone(router)));
        tasks.spawn(read(events.clone(), queue, guest, socket, tasks.stopped()));
    })
    .await;
    drop(events);
    tasks.deliver(router, stop).await;
}

/// Owns the queues and fills them, until nobody is left who could send an event.
async fn dispatch(events: Receiver<Event>, router: impl Hold) {
    let mut queues: HashMap<u32, Sender<Message>> = HashMap::new();
    while let Ok(event) = events.recv().await {
        match event {
            Event::Joined(id, queue) => {
                // Whoever is greeted can be sent to.
                let _ = queue.try_send(Message { to: id, body: greeting(id).to_vec(), sender: None });
                queues.insert(id, queue);
            }
            Event::Message(message) => {
                work::spin(router.limits().work, 1);
                match queues.get(&message.to) {
                    // Never waits: there are only so many tokens.
                    Some(queue) => {
                        if let Err(refused) = queue.try_send(message) {
                            refused.into_inner().undeliverable(&router);
                        }
                    }
                    None => message.undeliverable(&router),
                }
            }
            Event::Left(id) => drop(queues.remove(&id)),
        }
    }
}

/// Sends events for what a client sends, from when it has joined to when it has left.
async fn read(
    events: Sender<Event>,
    queue: Sender<Message>,
    guest: Guest<impl Hold>,
    socket: Arc<impl Stream>,
    stop: impl Future<Output = ()> + Send,
) {
    let (id, router) = (guest.id(), guest.router());
    let sender = Sending::new(router);
    // The dispatcher lives as long as there are senders.
    let _ = events.send(Event::Joined(id, queue)).await;
    let result = read_frames(&events, &sender, &*socket, pin!(stop)).await;
    let _ = events.send(Event::Left(id)).await;
    input::ended(id, result, router);
}

async fn read_frames(
    events: &Sender<Event>,
    sender: &Sending<'_>,
    socket: &impl Stream,
    mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
) -> Result<(), Gone> {
    let mut input = Input::new(sender.router);
    while future::or(input.more(socket, stop.as_mut()), sender.hear()).await? {
        while let Some(run) = input.run()? {
            for body in run.bodies() {
                let message = sender.message(run.to(), body).await;
                let _ = events.send(Event::Message(message)).await;
            }
            let bytes = run.received_bytes(run.len());
            input.consume(bytes);
        }
    }
    Ok(())
}

/// A sender's tokens, and what comes back to it.
struct Sending<'r> {
    tokens: Arc<Semaphore>,
    back: Sender<Message>,
    returned: Receiver<Message>,
    router: &'r Router,
}

impl<'r> Sending<'r> {
    fn new(router: &'r Router) -> Self {
        let (back, returned) = async_channel::unbounded();
        Sending { tokens: Arc::new(Semaphore::new(TOKENS)), back, returned, router }
    }

    /// A message with a token, when one is free.
    async fn message(&self, to: u32, body: &[u8]) -> Message {
        let token = future::or(self.tokens.acquire_arc(), self.hear()).await;
        let sender = Some(Stake { _token: token, back: self.back.clone() });
        Message { to, body: body.to_vec(), sender }
    }

    /// Listens to what comes back, for ever.
    async fn hear<T>(&self) -> T {
        loop {
            if let Ok(message) = self.returned.recv().await {
                self.heard(&message);
            }
        }
    }

    /// The protocol has no words to tell the client.
    fn heard(&self, message: &Message) {
        tracing::debug!(to = message.to, "undeliverable");
        self.router.stats().dropped.add(1);
    }
}

/// Hears of the rest. A message that stayed in the channel would keep the channel, which keeps the message.
impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.returned.close();
        while let Ok(message) = self.returned.try_recv() {
            self.heard(&message);
        }
    }
}

/// Writes what is queued until there will be nothing more or the client is gone.
async fn write(messages: Receiver<Message>, socket: Arc<impl Stream>, router: impl Hold) {
    while let Ok(message) = messages.recv().await {
        if input::write(&*socket, &message.body, &router).await.is_err() {
            message.undeliverable(&router);
            // Its reader finds out, should it wait for the client.
            let _ = socket.shutdown(Shutdown::Both);
            break;
        }
        if message.sender.is_some() {
            input::routed(message.body.len(), &router);
        }
    }
    messages.close();
    while let Ok(message) = messages.try_recv() {
        message.undeliverable(&router);
    }
}
