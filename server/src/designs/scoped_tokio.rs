//! [`scoped`](super::scoped), as closely as tokio allows: the same router, links and queues, and the same behaviour.
//!
//! A task of tokio's may not borrow, may outlive whoever started it, and reports to nobody. So the router and
//! the link are in an `Arc`, and each thing that a scope does is a part of its own here: [`TaskTracker`] to wait for
//! the connections, two tokens to ask them to stop and to abort them, a semaphore for places, a `JoinSet` so that a
//! writer ends with its connection, one more token for a deadline that starts half-way, and a line wherever an error
//! would get lost. `server/SIDE_BY_SIDE.md` goes through both line by line.
//!
//! **Its fault** is what none of this is checked for: leave out a line, and it compiles and loses a task, a cause or
//! the end of a queue.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accept::Acceptor;
use crate::link::{self, Gone, Link};
use crate::router::{Router, Seat};
use crate::runtimes::{Platform, Tokio, TokioListener, TokioStream};
use crate::shutdown::{self, Stop};

type SharedLink = Arc<Link<Arc<Router>, TokioStream>>;

/// What a scope knows of its children.
#[derive(Default)]
struct Server {
    tasks: TaskTracker,
    requested: CancellationToken,
    aborted: CancellationToken,
}

/// Serves until `stop` tells so, then delivers what is queued; at once if `stop` tells so again.
pub async fn serve(router: &Arc<Router>, listener: TokioListener, mut stop: impl Stop) {
    let server = Server::default();
    future::or(accept(&server, router, listener), stop.told()).await;
    let discarded_before = router.stats().discarded.get();
    deliver(server, router, stop).await;
    shutdown::goodbye(router, discarded_before).await;
}

async fn accept(server: &Server, router: &Arc<Router>, listener: TokioListener) {
    let places = Arc::new(Semaphore::new(router.limits().max_connections));
    let mut acceptor = Acceptor::new(listener, Arc::clone(router));
    // Nobody closes the semaphore.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let socket = acceptor.next().await;
        connect(server, router, place, socket);
    }
}

/// Starts a connection's task.
fn connect(server: &Server, router: &Arc<Router>, place: OwnedSemaphorePermit, socket: TokioStream) {
    let Some(seat) = Seat::new(Arc::clone(router)) else { return };
    let link = Arc::new(Link::new(seat, socket));
    let (requested, aborted) = (server.requested.clone(), server.aborted.clone());
    server.tasks.spawn(async move {
        let closed = CancellationToken::new();
        let mut writer = JoinSet::new();
        writer.spawn(write(Arc::clone(&link)));
        let halves = future::try_zip(read(&link, &requested, &closed), joined(&mut writer, &link));
        let cut_short = async {
            future::or(aborted.cancelled(), out_of_time(&closed, link.limits().stall_timeout)).await;
            Ok(((), ()))
        };
        let result = future::or(halves, cut_short).await;
        writer.shutdown().await;
        // The place is free when all of it has ended.
        end(&link, result.map(drop)).await;
        drop((link, place));
    });
}

async fn read(
    link: &SharedLink,
    requested: &CancellationToken,
    closed: &CancellationToken,
) -> Result<(), Gone> {
    link.read(pin!(requested.cancelled())).await?;
    if !requested.is_cancelled() {
        link.finish();
        closed.cancel();
    }
    Ok(())
}

/// The writer has so long when the client has closed its side.
async fn out_of_time(closed: &CancellationToken, limit: Duration) {
    closed.cancelled().await;
    Tokio::sleep(limit).await;
}

/// The writer's task: it may not borrow the link.
async fn write(link: SharedLink) -> Result<(), Gone> {
    link.write().await
}

/// What the writer's task ended with. A panic has nowhere to go: nobody awaits the connection.
async fn joined(writer: &mut JoinSet<Result<(), Gone>>, link: &SharedLink) -> Result<(), Gone> {
    match writer.join_next().await {
        Some(Ok(result)) => result,
        Some(Err(panic)) => {
            tracing::error!("server/conn-{}/writer: {panic}", link.id());
            Ok(())
        }
        None => Ok(()),
    }
}

/// The end of a connection, whatever the way out.
async fn end(link: &SharedLink, result: Result<(), Gone>) {
    if let Err(gone) = result {
        tracing::info!("server/conn-{}: {gone}", link.id());
    }
    let _ = Tokio::timeout(link::GOODBYE, link.goodbye()).await;
}

/// As [`shutdown::deliver`]: asks every connection to end, and aborts those that have not after the limits'
/// `grace`, or when `stop` tells so again.
async fn deliver(server: Server, router: &Arc<Router>, mut stop: impl Stop) {
    server.requested.cancel();
    server.tasks.close();
    let delivered = async {
        router.until(|count| count.reading == 0).await;
        router.finish();
        server.tasks.wait().await;
    };
    let out_of_time = future::or(stop.told(), Tokio::sleep(router.limits().grace));
    future::or(delivered, out_of_time).await;
    server.aborted.cancel();
    server.tasks.wait().await;
}
