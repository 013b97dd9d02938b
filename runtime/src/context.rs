//! What the current thread is to the runtime.
