//! A TCP message router: what treescope's scopes are good for, and where they are tried.
//!
//! ```text
//!   accept  -------->  designs::*  -------->  link  -------->  router  -------->  protocol
//!   a socket           who borrows            one socket's     who is here and    bytes and
//!                      what                   two directions   what is queued     frames
//! ```
//!
//! Only `designs` differs from one way of sharing state to another; [`designs::scoped`] is the one this
//! project adds. All of it runs on tokio as well, where the type system lets it: [`runtimes`] is what a design needs
//! of a runtime.
//!
//! [`protocol`] knows no socket, no clock and no runtime, and every design frames with it. The rules of routing (who is
//! here, what is bounded, who waits for whom) are written twice over it: as a state machine that one owner drives by `&mut`,
//! [`machine`] with [`drive`], and as one that many tasks share, [`router`] with [`link`]. `tests/machine/both.rs` holds the
//! two to the same deliveries. [`designs`] says which design uses which.

pub mod accept;
pub mod cli;
pub mod client;
pub mod compare;
pub mod designs;
pub mod drive;
pub mod leash;
pub mod limits;
pub mod link;
pub mod load;
pub mod logging;
pub mod machine;
pub mod protocol;
pub mod router;
pub mod runtimes;
pub mod serve;
pub mod shutdown;
pub mod signals;
mod spare;
pub mod work;
