//! Any bytes, taken for operations on the router's state machine, break none of its rules.
#![no_main]

// The body is the tests' own, so that it is compiled and run wherever the tests are.
#[path = "../../tests/machine/operations.rs"]
mod operations;
#[path = "../../tests/machine/rules.rs"]
mod rules;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| operations::run(bytes));
