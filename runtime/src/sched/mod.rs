//! placeholder of branch `driver`
pub(crate) mod budget;
