//! Medians and quantiles.

/// The value below which the share `q` of `values` lies, linear between neighbours; `None` of nothing.
pub(super) fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let place = q.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(low + (high - low) * place.fract())
}

/// The middle value, or the mean of the middle two; `None` of nothing.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// What stands for several values of a metric: of a peak the highest, of anything else the median.
pub(super) fn summary(metric: &str, values: &[f64]) -> Option<f64> {
    quantile(values, if metric.starts_with("peak_") { 1.0 } else { 0.5 })
}

/// The median of the ratios of each round: neighbours in time are compared, not two medians of different rounds.
/// Rounds that either lacks are left out; `None` if none is left.
pub(super) fn median_ratio(values: &[Option<f64>], base: &[Option<f64>]) -> Option<f64> {
    let ratios: Vec<_> = values.iter().zip(base).filter_map(|(&value, &base)| Some(value? / base?)).collect();
    median(&ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_even_and_nothing() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn quantiles_reach_both_ends_and_lie_between() {
        let values = [10.0, 20.0, 30.0, 40.0, 50.0];
        assert_eq!(quantile(&values, 0.0), Some(10.0));
        assert_eq!(quantile(&values, 1.0), Some(50.0));
        assert_eq!(quantile(&values, 0.25), Some(20.0));
        assert_eq!(quantile(&values, 0.375), Some(25.0));
    }

    #[test]
    fn of_peaks_the_highest_counts_and_of_other_metrics_the_median() {
        let values = [3.0, 9.0, 1.0];
        assert_eq!(summary("peak_live_tasks", &values), Some(9.0));
        assert_eq!(summary("server_cpu_ns", &values), Some(3.0));
    }

    #[test]
    fn ratio_is_taken_round_by_round() {
        // The machine was twice as slow in the second round: medians of each would say 2/3.
        let values = [Some(1.0), Some(2.0), Some(1.0)];
        let base = [Some(2.0), Some(4.0), Some(2.0)];
        assert_eq!(median_ratio(&values, &base), Some(0.5));
    }

    #[test]
    fn ratio_leaves_out_rounds_that_failed() {
        assert_eq!(median_ratio(&[None, Some(3.0)], &[Some(1.0), Some(1.0)]), Some(3.0));
        assert_eq!(median_ratio(&[None], &[Some(1.0)]), None);
    }
}
