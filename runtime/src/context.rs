//! What the current thread is to the runtime: a worker, a blocking root, or neither.
