//! Each connection borrows the server for itself alone. Refused, for the reason that stands: they run at the same time.

use std::collections::HashMap;
use std::net::SocketAddr;

use treescope::Scope;
use treescope::net::{TcpListener, TcpStream};

#[derive(Default)]
struct Server {
    here: HashMap<u32, SocketAddr>,
}

impl Server {
    async fn serve<'scope>(&'scope mut self, scope: &'scope Scope<'scope, '_>, listener: TcpListener) {
        for id in 0.. {
            let Ok((socket, peer)) = listener.accept().await else { return };
            scope.spawn(self.connection(id, socket, peer));
        }
    }

    async fn connection(&mut self, id: u32, socket: TcpStream, peer: SocketAddr) {
        self.here.insert(id, peer);
        let _ = socket.writable().await;
        let _ = socket.try_write(&id.to_be_bytes());
        self.here.remove(&id);
    }
}

fn main() {}
