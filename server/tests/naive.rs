//! The server as one writes it first: a method accepts, and spawns a method for each connection. Both borrow the
//! server.
//!
//! tokio refuses it: a task may outlive whoever spawned it, so it may not borrow. In a scope the same shape
//! compiles, and runs. What no runtime can give is a `&mut` to one server for every connection.
//!
//! `TRYBUILD=overwrite cargo test -p server --test naive` rewrites the messages after a change of compiler or
//! API; the change is then to be read.

use std::process::Command;

/// The compiler whose messages are pinned. Others word them differently, so on them the refusals are not checked.
const PINNED: &str = "rustc 1.95.";

#[test]
fn tokio_refuses_connections_that_borrow_the_server_and_a_scope_runs_them() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/naive/treescope.rs");
    let version =
        Command::new("rustc").arg("--version").output().expect("rustc runs, having built this test");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    if !version.starts_with(PINNED) {
        eprintln!("not checked: the messages are pinned for `{PINNED}`, this is `{}`", version.trim());
        return;
    }
    cases.compile_fail("tests/naive/tokio.rs");
    cases.compile_fail("tests/naive/tokio_mut.rs");
    cases.compile_fail("tests/naive/treescope_mut.rs");
}
