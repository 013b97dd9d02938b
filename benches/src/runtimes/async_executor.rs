//! async-executor, in the form that spawns cheapest: a leaked, static one. Its threads are ours: each runs the executor
//! until the channel closes.
//!
//! Only in programs built with the feature `async-executor`; the others have types without values in its place.

use std::future::Future;

use futures_lite::future::block_on;

#[cfg(not(feature = "async-executor"))]
pub use self::absent::{Handle, Static};
#[cfg(feature = "async-executor")]
pub use self::present::{Handle, Static};

#[cfg(not(feature = "async-executor"))]
pub(super) use self::absent::start;
#[cfg(feature = "async-executor")]
pub(super) use self::present::start;

/// Runs `future` as a task and waits for it.
pub fn on_worker<T: Send + 'static>(executor: Static, future: impl Future<Output = T> + Send + 'static) -> T {
    block_on(executor.spawn(future))
}

#[cfg(feature = "async-executor")]
mod present {
    use std::{io, thread};

    use async_channel::Sender;
    use async_executor::{Executor, StaticExecutor};
    use futures_lite::future::block_on;

    use crate::runtimes::Started;
    use crate::works::{Sample, Work};

    /// The executor.
    pub type Static = &'static StaticExecutor;
    /// What a spawn gives.
    pub type Handle<T> = async_executor::Task<T>;

    struct Smol {
        executor: Static,
        stop: Sender<()>,
        threads: Vec<thread::JoinHandle<()>>,
    }

    pub(in crate::runtimes) fn start(workers: usize) -> io::Result<Box<dyn Started>> {
        let executor = Executor::new().leak();
        let (stop, stopped) = async_channel::bounded::<()>(1);
        let mut smol = Smol { executor, stop, threads: Vec::new() };
        for _ in 0..workers {
            let stopped = stopped.clone();
            smol.threads.push(thread::Builder::new().spawn(move || {
                // Closed, which is what ends it: nothing is ever sent.
                let _ = block_on(executor.run(stopped.recv()));
            })?);
        }
        Ok(Box::new(smol))
    }

    impl Started for Smol {
        fn run(&self, work: &dyn Work) -> Sample {
            work.async_executor(self.executor)
        }
    }

    impl Drop for Smol {
        fn drop(&mut self) {
            self.stop.close();
            for thread in self.threads.drain(..) {
                let _ = thread.join();
            }
        }
    }
}

#[cfg(not(feature = "async-executor"))]
mod absent {
    use std::convert::Infallible;
    use std::future::Future;
    use std::io;
    use std::marker::PhantomData;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use crate::runtimes::Started;

    /// The executor that this program was built without.
    #[derive(Clone, Copy, Debug)]
    pub struct Static(Infallible);

    /// What a spawn would give.
    #[derive(Debug)]
    pub struct Handle<T>(Infallible, PhantomData<fn() -> T>);

    pub(in crate::runtimes) fn start(_: usize) -> io::Result<Box<dyn Started>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "built without the feature `async-executor`"))
    }

    impl Static {
        /// Never called: there is no value to call it on.
        pub fn spawn<T: Send + 'static>(self, _: impl Future<Output = T> + Send + 'static) -> Handle<T> {
            match self.0 {}
        }
    }

    impl<T> Handle<T> {
        /// Never called: there is no value to call it on.
        pub fn detach(self) {
            match self.0 {}
        }
    }

    impl<T> Future for Handle<T> {
        type Output = T;

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
            match self.0 {}
        }
    }
}
