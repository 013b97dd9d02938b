//! Numbers as people read them: three digits, as far as they say anything.

/// Three digits, grouped by thousands.
pub(in super::super) fn number(value: f64) -> String {
    // Rounded first: 999.6 is 1,000 and 99.96 is 100.
    let rounded = round_to_three(value);
    match rounded.abs() {
        v if v >= 1000.0 => grouped(rounded),
        v if v >= 100.0 => format!("{rounded:.0}"),
        v if v >= 10.0 => format!("{rounded:.1}"),
        v if v >= 0.1 => format!("{rounded:.2}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.3}"),
    }
}

/// All digits, grouped by thousands.
pub(in super::super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// A ratio with more digits near `bound`, so that it is seen on which side it is.
pub(in super::super) fn near(ratio: f64, bound: f64) -> String {
    if ratio == bound || (ratio - bound).abs() > 0.01 {
        return number(ratio);
    }
    let shown = |digits: usize| format!("{ratio:.digits$}");
    let differs = |digits: &usize| shown(*digits) != format!("{bound:.digits$}");
    (3..=9).find(differs).map_or_else(|| number(ratio), shown)
}

/// The same, or a dash.
pub(in super::super) fn maybe(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), number)
}

/// A time in µs, in the unit that suits it.
pub(in super::super) fn micros(us: f64) -> String {
    match round_to_three(us) {
        rounded if rounded >= 1e6 => format!("{} s", number(us / 1e6)),
        rounded if rounded >= 1e3 => format!("{} ms", number(us / 1e3)),
        _ => format!("{} µs", number(us)),
    }
}

fn round_to_three(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let power = value.abs().log10().floor() as i32 - 2;
    // Divided by a whole power of ten where there is one: what is round stays exact.
    if power >= 0 {
        let unit = 10_f64.powi(power);
        (value / unit).round() * unit
    } else {
        let parts = 10_f64.powi(-power);
        (value * parts).round() / parts
    }
}

fn grouped(value: f64) -> String {
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{}", count(value.abs().round() as u64))
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
    fn what_is_rounded_up_has_the_digits_of_what_it_becomes() {
        assert_eq!([9.996, 99.96, 999.6, -999.6].map(number), ["10.0", "100", "1,000", "-1,000"]);
        assert_eq!(
            [9.996, 999.4, 999.6, 1000.0, 999_600.0].map(micros),
            ["10.0 µs", "999 µs", "1.00 ms", "1.00 ms", "1.00 s"]
        );
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 12_345, 1_000_000].map(count),
            ["0", "999", "1,000", "12,345", "1,000,000"]
        );
    }

    #[test]
    fn a_ratio_is_shown_to_be_on_its_side_of_the_bound() {
        let shown = [0.996, 0.9997, 1.0, 1.0004, 1.02, 0.5].map(|ratio| near(ratio, 1.0));
        assert_eq!(shown, ["0.996", "0.9997", "1.00", "1.0004", "1.02", "0.50"]);
        assert_eq!(near(10.004, 10.0), "10.004");
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!([12.3, 1234.0, 2e6].map(micros), ["12.3 µs", "1.23 ms", "2.00 s"]);
    }
}
