//! `cargo bench -p benches -- [options]`: see `benches/README.md`.

// One allocator for all runtimes of a run. Here and not in the library, for the program that counts allocations brings
// its own.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    benches::harness::main(env!("CARGO_BIN_EXE_allocs").as_ref())
}
