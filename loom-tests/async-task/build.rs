//! Generates async-task with a checker's atomics, loom's or shuttle's: finds the pinned version's sources, swaps a few lines, each as often as
//! expected or not at all, and leaves the result in `OUT_DIR`.

use std::env;
use std::fs;
use std::future::Future;
use std::panic;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

/// In `file`, `from` becomes `to`, which must happen `times` times.
struct Swap {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    times: usize,
}

const LOOM: &[Swap] = &[
    // The state word.
    Swap {
        file: "header.rs",
        from: "use core::sync::atomic::AtomicUsize;",
        to: "use loom::sync::atomic::AtomicUsize;",
        times: 1,
    },
    Swap {
        file: "raw.rs",
        from: "use core::sync::atomic::AtomicUsize;",
        to: "use loom::sync::atomic::AtomicUsize;",
        times: 1,
    },
    // The awaiter's cell.
    Swap {
        file: "header.rs",
        from: "use core::cell::UnsafeCell;",
        to: "use loom::cell::UnsafeCell;",
        times: 1,
    },
    Swap { file: "raw.rs", from: "use core::cell::UnsafeCell;", to: "use loom::cell::UnsafeCell;", times: 1 },
    Swap {
        file: "header.rs",
        from: "(*self.awaiter.get()).take()",
        to: "self.awaiter.with_mut(|slot| (*slot).take())",
        times: 2,
    },
    Swap {
        file: "header.rs",
        from: "(*self.awaiter.get()) = Some(waker.clone())",
        to: "{ let waker = Some(waker.clone()); self.awaiter.with_mut(|slot| *slot = waker) }",
        times: 1,
    },
    // Allocation, so that a leaked task is found. The end of a task counts as an access to its state word: whoever
    // may still touch it then is found, whatever the freed memory happens to hold.
    Swap {
        file: "raw.rs",
        from: "alloc::alloc::alloc(task_layout.layout)",
        to: "loom::alloc::alloc(task_layout.layout)",
        times: 1,
    },
    Swap {
        file: "raw.rs",
        from: "alloc::alloc::dealloc(ptr as *mut u8, task_layout.layout)",
        to: "(*(raw.header as *mut Header<M>)).state.with_mut(|_| ()); \
             loom::alloc::dealloc(ptr as *mut u8, task_layout.layout)",
        times: 1,
    },
];

/// shuttle has an eye for the state word only.
const SHUTTLE: &[Swap] = &[
    Swap {
        file: "header.rs",
        from: "use core::sync::atomic::AtomicUsize;",
        to: "use shuttle::sync::atomic::AtomicUsize;",
        times: 1,
    },
    Swap {
        file: "raw.rs",
        from: "use core::sync::atomic::AtomicUsize;",
        to: "use shuttle::sync::atomic::AtomicUsize;",
        times: 1,
    },
];

/// What loom must see: none of these may be left when the swaps are done. Of what shuttle must see there is the first.
const GONE: &[&str] =
    &["core::sync::atomic::Atomic", "core::cell::UnsafeCell", "alloc::alloc::alloc(", ".awaiter.get()"];
/// The same, but for the word's loom variants.
const LOOM_ALLOC: &str = "loom::alloc::alloc(";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let (swaps, gone) = if env::var_os("CARGO_CFG_LOOM").is_some() {
        (LOOM, GONE)
    } else if env::var_os("CARGO_CFG_SHUTTLE").is_some() {
        (SHUTTLE, &GONE[..1])
    } else {
        return;
    };
    let sources = sources();
    println!("cargo::rerun-if-changed={}", sources.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut done = vec![0; swaps.len()];
    for entry in fs::read_dir(&sources).expect("async-task's source directory can be read") {
        let path = entry.expect("async-task's source directory can be read").path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let text = fs::read_to_string(&path).expect("async-task's sources can be read");
        let text = swap(swaps, gone, name, text, &mut done);
        // A crate's root cannot be included as it is: attributes and documentation of the crate stay behind.
        let (name, text) = if name == "lib.rs" { ("async_task.rs", items(&text)) } else { (name, text) };
        fs::write(out.join(name), text).expect("OUT_DIR can be written");
    }
    for (swap, done) in swaps.iter().zip(done) {
        assert_eq!(done, swap.times, "`{}` in async-task's {}: another version?", swap.from, swap.file);
    }
}

/// Applies the swaps for file `name`, and sees to it that nothing is left that should have been swapped.
fn swap(swaps: &[Swap], gone: &[&str], name: &str, mut text: String, done: &mut [usize]) -> String {
    for (swap, done) in swaps.iter().zip(done) {
        if swap.file == name {
            *done += text.matches(swap.from).count();
            text = text.replace(swap.from, swap.to);
        }
    }
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.replace(LOOM_ALLOC, "");
    for gone in gone {
        assert!(!code.contains(gone), "`{gone}` is left in async-task's {name}: another version?");
    }
    text
}

/// A crate root's items, without inner attributes and inner documentation.
fn items(root: &str) -> String {
    let mut items = String::new();
    let mut in_attribute = false;
    for line in root.lines() {
        let begins = line.starts_with("#![");
        if begins || in_attribute {
            in_attribute = !line.trim_end().ends_with(']');
        } else if !line.starts_with("//!") {
            items.push_str(line);
            items.push('\n');
        }
    }
    items
}

/// Where cargo put async-task's sources.
///
/// The compiled crate says so itself: a panic carries the path of the file it comes from, and polling a task again
/// after its output was taken is a panic in async-task's own code. Rejected: `cargo metadata`, which needs a parser for
/// its output and, offline, every package of the lock file; a path put together from `CARGO_HOME`, which is wrong for
/// vendored sources.
fn sources() -> PathBuf {
    let seen = Arc::new(Mutex::new(None));
    let place = Arc::clone(&seen);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        *place.lock().unwrap() = info.location().map(|location| PathBuf::from(location.file()));
    }));
    let _ = panic::catch_unwind(|| {
        let (runnable, mut task) = async_task::spawn(async {}, |_| ());
        let mut cx = Context::from_waker(Waker::noop());
        runnable.run();
        let _ = Pin::new(&mut task).poll(&mut cx);
        let _ = Pin::new(&mut task).poll(&mut cx);
    });
    panic::set_hook(hook);
    let file = seen.lock().unwrap().take().expect("async-task panics when it is polled after completion");
    let directory = file.parent().expect("a source file lies in a directory");
    // Vendored below the workspace, the path is relative to the workspace's root.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let directory = root.join(directory);
    assert!(
        directory.join("header.rs").is_file(),
        "async-task's sources are not in {}; are paths remapped?",
        directory.display()
    );
    directory
}
