//! A local runtime stays on the thread that made it.

fn sent<T: Send>(_: T) {}

fn main() {
    sent(treescope::local::LocalRuntime::new().unwrap());
}
