// A value that borrows what is gone before the side that may drop it.

use treescope::oneshot::channel;

fn main() {
    let (sender, _receiver) = channel();
    let word = String::from("gone too soon");
    let _ = sender.send(&word);
}
