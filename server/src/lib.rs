//! wip
pub mod limits;
pub mod protocol;
pub mod router;
