//! Numbers as people read them.

/// The heights of a sparkline.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The most bars of a sparkline.
const MAX_BARS: usize = 16;

/// A number with four figures.
pub(crate) fn figures(number: f64) -> String {
    match number {
        0.0 => "0".into(),
        plain if (1e-3..1e6).contains(&plain.abs()) => {
            let rounded = format!("{plain:.3e}").parse().unwrap_or(plain);
            format!("{rounded}")
        }
        other if other.is_finite() => format!("{other:.3e}"),
        other => format!("{other}"),
    }
}

/// A number of things as people say it: `6.79 M`.
pub(crate) fn amount(number: u64) -> String {
    const UNITS: [&str; 6] = ["k", "M", "G", "T", "P", "E"];
    if number < 10_000 {
        return number.to_string();
    }
    let (mut value, mut unit) = (number as f64 / 1000.0, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// Counts as bars.
pub(crate) fn sparkline(counts: &[u64]) -> String {
    let heights = heights(counts, MAX_BARS, 7).into_iter();
    heights.map(|height| if height == 0 { ' ' } else { BARS[usize::from(height)] }).collect()
}

/// Counts as heights up to the highest, neighbours together where there are more than so many bins;
/// what is there is seen.
pub(crate) fn heights(counts: &[u64], bins: usize, highest: u8) -> Vec<u8> {
    let together = counts.len().div_ceil(bins).max(1);
    let sums: Vec<u64> = counts.chunks(together).map(|counts| counts.iter().sum()).collect();
    let most = u128::from(sums.iter().copied().max().unwrap_or(0).max(1));
    let height = |sum: &u64| (u128::from(*sum) * u128::from(highest)).div_ceil(most) as u8;
    sums.iter().map(height).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_figures() {
        let cases = [
            (0.0, "0"),
            (0.25, "0.25"),
            (-1.0 / 3.0, "-0.3333"),
            (12345.678, "12350"),
            (0.00012345, "1.234e-4"),
            (-1e20, "-1.000e20"),
            (f64::INFINITY, "inf"),
        ];
        for (number, expected) in cases {
            assert_eq!(figures(number), expected);
        }
    }

    #[test]
    fn amounts_have_three_figures() {
        let cases = [
            (0, "0"),
            (9_999, "9999"),
            (10_000, "10.0 k"),
            (6_791_234, "6.79 M"),
            (999_499, "999 k"),
            (999_500, "1.00 M"),
            (70_553_706_496, "70.6 G"),
            (u64::MAX, "18.4 E"),
        ];
        for (number, expected) in cases {
            assert_eq!(amount(number), expected);
        }
    }

    #[test]
    fn bars_are_as_high_as_their_counts() {
        assert_eq!(sparkline(&[1, 0, 4, 8]), "▂ ▅█");
        assert_eq!(sparkline(&[5]), "█");
        assert_eq!(sparkline(&[]), "");
        assert_eq!(sparkline(&[1; 32]).chars().count(), 16);
    }
}
