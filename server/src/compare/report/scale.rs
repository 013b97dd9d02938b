//! A logarithmic axis: a factor looks the same wherever it is.

#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    /// Where the lowest and the highest value are drawn.
    from: f64,
    to: f64,
}

impl Scale {
    /// An axis on which all `values` above zero have room.
    pub(super) fn over(values: impl IntoIterator<Item = f64>, from: f64, to: f64) -> Self {
        let positive = values.into_iter().filter(|value| *value > 0.0 && value.is_finite());
        let bounds = positive.fold(None, |bounds: Option<(f64, f64)>, value| {
            let (low, high) = bounds.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        });
        let (low, high) = bounds.unwrap_or((1.0, 1.0));
        // Noise must not fill the drawing, so an axis spans a factor of four at least.
        let margin = (high / low).powf(0.05).max(2.0 / (high / low).sqrt());
        Scale { low: low / margin, high: high * margin, from, to }
    }

    pub(super) fn place(&self, value: f64) -> f64 {
        let share = (value.max(self.low) / self.low).ln() / (self.high / self.low).ln();
        self.from + share.min(1.0) * (self.to - self.from)
    }

    /// Round values on it.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let steps: &[f64] = if decades > 3.0 {
            &[1.0]
        } else if decades > 2.0 {
            &[1.0, 3.0]
        } else if decades > 0.9 {
            &[1.0, 2.0, 5.0]
        } else {
            &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0]
        };
        let powers = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let all = powers.flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)));
        all.filter(|tick| (self.low..=self.high).contains(tick)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_factors_are_equal_distances() {
        let scale = Scale::over([2.0, 2000.0], 100.0, 500.0);
        let distances = [2.0, 20.0, 200.0].map(|value| scale.place(value * 10.0) - scale.place(value));
        assert!(distances.iter().all(|distance| (distance - distances[0]).abs() < 1e-9));
        assert!(scale.place(2.0) > 100.0 && scale.place(2000.0) < 500.0);
    }

    #[test]
    fn there_are_some_round_ticks_whatever_the_values() {
        for values in [vec![], vec![7.0], vec![0.3, 0.4], vec![1.0, 1e7], vec![0.0, -1.0, f64::NAN, 5.0]] {
            let ticks = Scale::over(values.iter().copied(), 0.0, 1.0).ticks();
            assert!((1..=12).contains(&ticks.len()), "{values:?}: {ticks:?}");
        }
    }
}
