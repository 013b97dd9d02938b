//! Each connection borrows the server. Refused.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;

use tokio::net::{TcpListener, TcpStream};

#[derive(Default)]
struct Server {
    here: Mutex<HashMap<u32, SocketAddr>>,
}

impl Server {
    async fn serve(&self, listener: TcpListener) {
        for id in 0.. {
            let Ok((socket, peer)) = listener.accept().await else { return };
            tokio::spawn(self.connection(id, socket, peer));
        }
    }

    async fn connection(&self, id: u32, socket: TcpStream, peer: SocketAddr) {
        self.here.lock().unwrap().insert(id, peer);
        let _ = socket.writable().await;
        let _ = socket.try_write(&id.to_be_bytes());
        self.here.lock().unwrap().remove(&id);
    }
}

fn main() {}
