//! Each connection borrows the server for itself alone. Refused, for two reasons.

use std::collections::HashMap;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

#[derive(Default)]
struct Server {
    here: HashMap<u32, SocketAddr>,
}

impl Server {
    async fn serve(&mut self, listener: TcpListener) {
        for id in 0.. {
            let Ok((socket, peer)) = listener.accept().await else { return };
            tokio::spawn(self.connection(id, socket, peer));
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
