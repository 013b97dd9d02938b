//! A logarithmic axis: ratios are what is compared, and a factor looks the same wherever it is.

/// From values to places.
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// An axis from `from` to `to` on which all `values` have room; those that are not above zero have none.
    pub(super) fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let values = values.filter(|&value| value > 0.0 && value.is_finite());
        let (low, high) =
            values.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if low <= high { (low, high) } else { (1.0, 1.0) };
        // Room at both ends; and never less than a factor of four, or noise would fill the plot.
        let slack = (high / low).powf(0.04).max(2.0 / (high / low).sqrt()).max(1.05);
        Self { low: low / slack, high: high * slack, from, to }
    }

    pub(super) fn place(&self, value: f64) -> f64 {
        let share = (value / self.low).ln() / (self.high / self.low).ln();
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Round numbers on the axis, five to ten: as many as there is room for.
    pub(super) fn ticks(&self) -> Vec<f64> {
        const STEPS: [&[f64]; 6] = [
            &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0],
            &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0],
            &[1.0, 2.0, 3.0, 5.0],
            &[1.0, 2.0, 5.0],
            &[1.0, 3.0],
            &[1.0],
        ];
        let first = self.low.log10().floor() as i32;
        let last = self.high.log10().ceil() as i32;
        let ticks = |steps: &[f64], every: usize| -> Vec<f64> {
            (first..=last)
                .step_by(every)
                .flat_map(|decade| steps.iter().map(move |step| step * 10_f64.powi(decade)))
                .filter(|&tick| self.low <= tick && tick <= self.high)
                .collect()
        };
        let finest = STEPS.iter().map(|steps| ticks(steps, 1)).find(|ticks| ticks.len() <= 10);
        finest.unwrap_or_else(|| ticks(&[1.0], (last - first) as usize / 10 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_factors_are_equal_lengths() {
        let scale = Scale::over([1.0, 100.0].into_iter(), 0.0, 300.0);
        let step = scale.place(10.0) - scale.place(1.0);
        assert!((scale.place(100.0) - scale.place(10.0) - step).abs() < 1e-9);
    }

    #[test]
    fn there_are_five_to_ten_ticks_whatever_the_axis() {
        for low in (0..200).map(|step| 1e-3 * 1.05_f64.powi(step)) {
            for span in (0..400).map(|step| 1.05_f64.powi(step)) {
                let ticks = Scale::over([low, low * span].into_iter(), 0.0, 1.0).ticks();
                assert!((5..=10).contains(&ticks.len()), "{low} times {span}: {ticks:?}");
            }
        }
    }

    #[test]
    fn nothing_to_show_is_no_error() {
        let scale = Scale::over(std::iter::empty(), 0.0, 100.0);
        assert!((0.0..=100.0).contains(&scale.place(1.0)));
    }
}
