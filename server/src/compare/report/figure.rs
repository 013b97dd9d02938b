//! Numbers as people read them: three digits, as far as they say anything.

/// Three digits, grouped by thousands.
pub(in super::super) fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => grouped(round_to_three(value)),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.1 => format!("{value:.2}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.3}"),
    }
}

/// The same, or a dash.
pub(in super::super) fn maybe(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), number)
}

/// A time in µs, in the unit that suits it.
pub(in super::super) fn micros(us: f64) -> String {
    match us {
        us if us >= 1e6 => format!("{} s", number(us / 1e6)),
        us if us >= 1e3 => format!("{} ms", number(us / 1e3)),
        us => format!("{} µs", number(us)),
    }
}

fn round_to_three(value: f64) -> f64 {
    let unit = 10_f64.powi(value.abs().log10().floor() as i32 - 2);
    (value / unit).round() * unit
}

fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let shown = [0.0, 0.0123, 0.5, 1.234, 99.94, 123.4, 1_234.0, 277_319.0, 1_999_999.0].map(number);
        assert_eq!(shown, ["0", "0.012", "0.50", "1.23", "99.9", "123", "1,230", "277,000", "2,000,000"]);
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!([12.3, 1234.0, 2e6].map(micros), ["12.3 µs", "1.23 ms", "2.00 s"]);
    }
}
