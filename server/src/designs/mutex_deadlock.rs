//! All sockets in one map behind one lock, as one writes it first.
//!
//! Whoever routes a message needs the receiver's socket, so the sockets are shared; to read from its own each
//! connection takes the lock as well. It compiles, and with one client it works.
//!
//! **Its fault, kept on purpose:** the lock is held across `read().await`. Whoever reads holds it until its
//! client says something, and meanwhile nobody else can read, write, come or leave: a second client is not even
//! greeted until the first one speaks. If the first waits for the second they wait for ever.

use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::Arc;

use async_lock::Mutex;
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

type Clients<S> = Mutex<HashMap<u32, S>>;

/// As a tree.
pub async fn on_treescope<'scope>(
    root: &'scope Scope<'scope, '_>,
    router: &'scope Router,
    listener: TcpListener,
    mut stop: impl Stop + 'scope,
) {
    let clients = &*root.alloc(Clients::default());
    let server = root.open().name("server").scope(async move |server| {
        accept::each(router, listener, &mut stop, |guest, socket| {
            server.spawn(connection(clients, guest, socket, server.cancelled()));
        })
        .await;
        shutdown::deliver(server, router, stop).await;
    });
    drop(server);
}

/// As tasks of tokio's.
pub async fn on_tokio(router: &Arc<Router>, listener: TokioListener, mut stop: impl Stop) {
    let clients = Arc::new(Clients::default());
    let tasks = Tasks::default();
    accept::each(Arc::clone(router), listener, &mut stop, |guest, socket| {
        let (clients, stopped) = (Arc::clone(&clients), tasks.stopped());
        tasks.spawn(async move { connection(&clients, guest, socket, stopped).await });
    })
    .await;
    tasks.deliver(router, stop).await;
}

async fn connection<S: Stream>(
    clients: &Clients<S>,
    guest: Guest<impl Hold>,
    socket: S,
    stop: impl Future<Output = ()> + Send,
) {
    let (id, router) = (guest.id(), guest.router());
    let mut result = enter(clients, id, socket, router).await;
    if result.is_ok() {
        result = serve(clients, id, router, pin!(stop)).await;
    }
    clients.lock().await.remove(&id);
    input::ended(id, result, router);
}

async fn enter<S: Stream>(clients: &Clients<S>, id: u32, socket: S, router: &Router) -> Result<(), Gone> {
    let mut clients = clients.lock().await;
    input::write(&socket, &greeting(id), router).await?;
    clients.insert(id, socket);
    Ok(())
}

async fn serve<S: Stream>(
    clients: &Clients<S>,
    id: u32,
    router: &Router,
    mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
) -> Result<(), Gone> {
    let mut input = Input::new(router);
    loop {
        let clients = clients.lock().await;
        let Some(socket) = clients.get(&id) else { return Ok(()) };
        // The fault: nobody gets the lock before this client has sent something.
        if !input.more(socket, stop.as_mut()).await? {
            return Ok(());
        }
        while let Some(run) = input.run()? {
            for body in run.bodies() {
                work::spin(router.limits().work, 1);
                match clients.get(&run.to()) {
                    // A receiver that is broken finds out by reading.
                    Some(receiver) if input::write(receiver, body, router).await.is_ok() => {
                        input::routed(body.len(), router);
                    }
                    _ => router.stats().dropped.add(1),
                }
            }
            let bytes = run.received_bytes(run.len());
            input.consume(bytes);
        }
    }
}
