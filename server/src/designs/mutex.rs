//! The sending halves in one map behind one lock.
//!
//! Each connection keeps its receiving half to itself, so nobody reads under the lock. Parallel where no message
//! is written, and short.
//!
//! **Its fault, kept on purpose:** the lock is held across `write_all().await`. If one receiver takes nothing, whoever
//! writes to it waits with the lock, and everybody else waits for that: no message is delivered to anyone, nobody
//! is greeted, nobody can leave. There is no deadline that ends it.

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

/// The `Arc` is what makes halves of a socket: the map outlives the connection's task, which reads.
type Clients<S> = Mutex<HashMap<u32, Arc<S>>>;

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
    let result = serve(clients, id, router, Arc::new(socket), pin!(stop)).await;
    clients.lock().await.remove(&id);
    input::ended(id, result, router);
}

async fn serve<S: Stream>(
    clients: &Clients<S>,
    id: u32,
    router: &Router,
    socket: Arc<S>,
    mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
) -> Result<(), Gone> {
    enter(clients, id, &socket, router).await?;
    let mut input = Input::new(router);
    while input.more(&*socket, stop.as_mut()).await? {
        while let Some(run) = input.run()? {
            for body in run.bodies() {
                work::spin(router.limits().work, 1);
                send(clients, run.to(), body, router).await;
            }
            let bytes = run.received_bytes(run.len());
            input.consume(bytes);
        }
    }
    Ok(())
}

/// Whoever is greeted can be written to: both under one lock.
async fn enter<S: Stream>(
    clients: &Clients<S>,
    id: u32,
    socket: &Arc<S>,
    router: &Router,
) -> Result<(), Gone> {
    let mut clients = clients.lock().await;
    input::write(&**socket, &greeting(id), router).await?;
    clients.insert(id, Arc::clone(socket));
    Ok(())
}

async fn send<S: Stream>(clients: &Clients<S>, to: u32, body: &[u8], router: &Router) {
    let clients = clients.lock().await;
    match clients.get(&to) {
        // The fault: the lock is held until this receiver has room. One that is broken finds out by reading.
        Some(receiver) if input::write(&**receiver, body, router).await.is_ok() => {
            input::routed(body.len(), router)
        }
        _ => router.stats().dropped.add(1),
    }
}
