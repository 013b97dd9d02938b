//! What people get to see: tables, drawings, and a document in which they are renewed.

pub(super) mod behaviour;
pub(super) mod cost;
pub(super) mod document;
#[cfg(test)]
pub(super) mod example;
pub(super) mod figure;
pub(super) mod load;
pub(super) mod plot;
mod scale;
mod svg;
pub(super) mod targets;
