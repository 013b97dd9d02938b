//! A bounded scope that leaves its body by a slot further out.

fn main() {
    let slot = std::sync::Mutex::new(None);
    treescope::block_on(async |root| {
        root.bounded(1, async |scope| *slot.lock().unwrap() = Some(scope)).await;
    });
}
