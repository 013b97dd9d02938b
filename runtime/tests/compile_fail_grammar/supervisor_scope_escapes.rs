//! A supervisor scope that leaves its body by a value of the scope above.

fn main() {
    treescope::block_on(async |root| {
        let slot = &*root.alloc(std::sync::Mutex::new(None));
        root.supervise(async move |scope| *slot.lock().unwrap() = Some(scope)).await;
    });
}
