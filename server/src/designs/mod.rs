//! Ways to share the router's state between connections, one file each. They differ in nothing else:
//! the protocol, the queues and the sockets' handling are the same.

pub mod scoped;

/// A way to share the router's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Design {
    /// Connections are scopes that borrow the state, on all workers.
    #[default]
    Scoped,
}

/// What runs the tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum RuntimeKind {
    /// This project's runtime.
    #[default]
    Treescope,
}
