//! Medians, and ratios within a round.

/// The middle value, or the mean of the two in the middle; `None` of nothing.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len().is_multiple_of(2) { (values[middle - 1] + upper) / 2.0 } else { upper })
}

/// The ratio to a peer is the median over the rounds of the ratios within a round: a machine that was slow for a round was
/// slow for all. Given is the ratio to the one of `peers` that does best by it. `better` says of two values whether the
/// first is.
///
/// Not the ratio to the best of each round: of ten peers that are equally good one is lucky in every round, and no
/// design would reach 1.
///
/// Rounds that the value or the peer lacks are left out.
pub(super) fn ratio(
    values: &[Option<f64>],
    peers: &[&[Option<f64>]],
    better: fn(f64, f64) -> bool,
) -> Option<f64> {
    let to = |peer: &&[Option<f64>]| {
        let ratios = values.iter().zip(peer.iter()).filter_map(|(value, peer)| Some((*value)? / (*peer)?));
        median(ratios.filter(|ratio| ratio.is_finite()))
    };
    // The better the peer, the worse the ratio.
    peers.iter().filter_map(to).reduce(|worst, ratio| if better(worst, ratio) { ratio } else { worst })
}

pub(super) fn more(a: f64, b: f64) -> bool {
    a > b
}

pub(super) fn less(a: f64, b: f64) -> bool {
    a < b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 100.0, 2.0]), Some(3.0));
        assert_eq!(median([]), None);
    }

    #[test]
    fn a_ratio_is_within_rounds_and_to_the_best_peer() {
        // The second round was slow for everybody.
        let values = [Some(20.0), Some(4.0), Some(20.0)];
        let peers = [&[Some(10.0), Some(2.0), Some(10.0)][..], &[Some(5.0), Some(1.0), Some(5.0)]];
        assert_eq!(ratio(&values, &peers, more), Some(2.0));
        assert_eq!(ratio(&values, &peers, less), Some(4.0));
    }

    #[test]
    fn among_peers_that_are_lucky_in_turn_an_equal_is_an_equal() {
        let values = [Some(10.0), Some(10.0), Some(10.0)];
        let peers = [[12.0, 10.0, 9.0], [10.0, 9.0, 12.0], [9.0, 12.0, 10.0]].map(|peer| peer.map(Some));
        let peers: Vec<_> = peers.iter().map(<[_; 3]>::as_slice).collect();
        assert_eq!(ratio(&values, &peers, more), Some(1.0));
    }

    #[test]
    fn rounds_that_failed_are_left_out() {
        let peers = [&[Some(1.0), None, Some(2.0)][..]];
        assert_eq!(ratio(&[None, Some(3.0), Some(3.0)], &peers, more), Some(1.5));
        assert_eq!(ratio(&[None, Some(3.0), None], &peers, more), None);
        assert_eq!(ratio(&[Some(3.0)], &[], more), None);
    }

    #[test]
    fn a_peer_is_at_most_as_good_as_the_best() {
        let own = [Some(3.0), Some(1.0), Some(2.0)];
        assert_eq!(ratio(&own, &[&own], more), Some(1.0));
    }
}
