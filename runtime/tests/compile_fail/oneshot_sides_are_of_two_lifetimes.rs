// A sender that takes what lives shorter than its receiver believes: one side's type must not vary without the other's.

use treescope::oneshot::{Receiver, Sender, channel};

fn shorter<'a>(sender: Sender<&'static str>) -> Sender<&'a str> {
    sender
}

fn longer<'a>(receiver: Receiver<&'a str>) -> Receiver<&'static str> {
    receiver
}

fn main() {
    let (sender, receiver) = channel();
    let word = String::from("gone too soon");
    let _ = shorter(sender).send(&word);
    drop(word);
    let _ = longer(receiver).try_recv();
}
