//! What must hold whatever happens. Tame frames say who sent them and which one it is, so whoever gets
//! them can tell whether one is missing, repeated or early.

use std::collections::HashMap;

use server::limits::Limits;
use server::machine::Machine;
use server::protocol::{END, ID_BYTES};
use server::router::Stats;

use super::operations::Client;

/// A tame payload.
pub(crate) fn payload(sender: usize, number: usize, padding: usize) -> Vec<u8> {
    let mut payload = format!("t{sender}.{number}.").into_bytes();
    payload.resize(payload.len() + padding, b'x');
    payload
}

/// The bounds of [`Limits`], and that every byte is accounted for.
pub(crate) fn after_each(machine: &Machine<'_>, stats: &Stats, clients: &[Client]) {
    let Limits { max_frame, queue_bytes, max_connections, .. } = *machine.limits();
    assert!(machine.live() <= max_connections);
    let longest = queue_bytes.max(max_frame + 1).max(ID_BYTES);
    for client in clients {
        let (input, output) = machine.memory(client.conn);
        assert!(machine.output(client.conn).len() <= longest, "a queue is bounded");
        assert!(output <= (2 * longest).max(64), "{output} bytes for a queue of {longest}");
        assert!(input <= max_frame + ID_BYTES + 1 + (64 << 10), "{input} bytes of input");
    }
    let queued = stats.bytes.get() + (ID_BYTES * clients.len()) as u64;
    let gone = stats.written.get() + stats.discarded.get() + machine.queued_bytes() as u64;
    assert_eq!(queued, gone, "a byte is written, discarded or still queued");
}

/// When everything that was sent has been read and everything that was queued been written.
pub(crate) fn at_rest(clients: &[Client]) {
    for (index, receiver) in clients.iter().enumerate() {
        let got = numbers_by_sender(&receiver.got, receiver.conn.id());
        for (sender, numbers) in &got {
            let expected: Vec<_> = (0..numbers.len()).collect();
            assert_eq!(*numbers, expected, "order, and nothing between, from {sender} to {index}");
        }
        for (sender, client) in clients.iter().enumerate() {
            let sent = client.sent_to.get(&index).copied().unwrap_or(0);
            let count = got.get(&sender).map_or(0, Vec::len);
            assert!(count <= sent);
            if receiver.stays && client.delivers {
                assert_eq!(count, sent, "nothing from {sender} to {index}, which is here, is lost");
            }
        }
    }
}

/// The numbers of the tame frames that a client got, by sender.
fn numbers_by_sender(got: &[u8], id: u32) -> HashMap<usize, Vec<usize>> {
    let mut numbers = HashMap::<_, Vec<_>>::new();
    let greeting = id.to_be_bytes();
    let n = got.len().min(ID_BYTES);
    assert_eq!(got[..n], greeting[..n], "the greeting is the first output");
    let frames = got[n..].split_inclusive(|&byte| byte == END);
    // The last one may be cut off by the end of its receiver.
    for frame in frames.filter(|frame| frame.starts_with(b"t") && frame.ends_with(&[END])) {
        let text = std::str::from_utf8(&frame[1..]).expect("a tame frame");
        let (sender, rest) = text.split_once('.').expect("a tame frame has a sender");
        let (number, _) = rest.split_once('.').expect("a tame frame has a number");
        numbers.entry(sender.parse().unwrap()).or_default().push(number.parse().unwrap());
    }
    numbers
}
