//! How each runtime is marked: no two alike.

use super::svg::{Fill, INK, Shape};

/// Of a runtime's mark, everything but its place and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) colour: &'static str,
    pub(super) fill: Fill,
    pub(super) shape: Shape,
}

/// A colour for each family; those with one worker are hollow, and those without worker threads are no circles.
pub(super) fn of(runtime: &str) -> Mark {
    const TREESCOPE: &str = "#1a7f37";
    const TOKIO: &str = "#2f6fb7";
    let (colour, fill, shape) = match runtime {
        "treescope" => (TREESCOPE, Fill::Solid, Shape::Circle),
        "treescope_1" => (TREESCOPE, Fill::Hollow, Shape::Circle),
        "tokio" => (TOKIO, Fill::Solid, Shape::Circle),
        "tokio_1" => (TOKIO, Fill::Hollow, Shape::Circle),
        "tokio_current_thread" => (TOKIO, Fill::Hollow, Shape::Square),
        "async_executor" => ("#bc4c00", Fill::Solid, Shape::Circle),
        "rayon" => ("#8250df", Fill::Solid, Shape::Circle),
        "chili" => ("#bf3989", Fill::Solid, Shape::Circle),
        "futures_unordered" => ("#9a6700", Fill::Hollow, Shape::Square),
        "async_task" => ("#bc4c00", Fill::Hollow, Shape::Square),
        "epoll" => (INK, Fill::Hollow, Shape::Diamond),
        "serial" => (INK, Fill::Hollow, Shape::Square),
        _ => (INK, Fill::Solid, Shape::Diamond),
    };
    Mark { colour, fill, shape }
}

#[cfg(test)]
mod tests {
    use crate::runtimes::PEERS;

    #[test]
    fn no_two_runtimes_look_the_same() {
        for (n, peer) in PEERS.iter().enumerate() {
            for other in &PEERS[..n] {
                assert_ne!(super::of(peer.name), super::of(other.name), "{} and {}", peer.name, other.name);
            }
        }
    }
}
