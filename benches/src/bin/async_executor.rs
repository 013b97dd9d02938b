//! The slots of async-executor, which the harness builds and starts; see the feature in `Cargo.toml`.
#![forbid(unsafe_code)]

// The same allocator as in `benches/peers.rs`.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    benches::harness::main(None)
}
