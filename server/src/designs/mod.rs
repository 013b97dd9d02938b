//! Ways to share the router's state between connections, one file each. They differ in nothing else:
//! the protocol, the queues and the sockets' handling are the same.

pub mod scoped;
