//! Decimal digits of floating-point numbers: as few as lead back to the number, or as many as asked.

use statedict::checkpoint::half::f16;

use super::values::Real;

/// A finite number with a digit before the point, and the power of ten: `1.5e-3`.
///
/// The digits are those that lead back to the number in its own type, or as many after the point as
/// `most`, rounded.
pub(super) fn scientific(number: f64, real: Real, most: usize) -> String {
    let shortest = shortest(number, real);
    let (digits, _) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let after_point = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    if after_point <= most {
        return shortest;
    }
    let rounded = format!("{number:.most$e}");
    match rounded.split_once('e') {
        Some((digits, power)) => format!("{}e{power}", trimmed(digits)),
        None => rounded,
    }
}

/// A finite number without a power of ten, with as many digits after the point as lead back to it,
/// or as `most`, rounded.
pub(super) fn positional(number: f64, real: Real, most: usize) -> String {
    let shortest = shortest(number, real);
    let Some((digits, power)) = shortest.split_once('e') else { return shortest };
    let power: i32 = power.parse().unwrap_or(0);
    let after_point = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let needed = usize::try_from(after_point as i32 - power).unwrap_or(0);
    if needed > most {
        return trimmed(&format!("{number:.most$}")).to_string();
    }
    placed(digits, power)
}

/// The fewest digits that lead back to the number in its own type; of two that are as near, the even
/// one.
fn shortest(number: f64, real: Real) -> String {
    match real {
        Real::F64 => even(&format!("{number:e}"), number, |text| text.parse() == Ok(number)),
        Real::F32 => {
            let (own, text) = (number as f32, format!("{:e}", number as f32));
            even(&text, number, |text| text.parse() == Ok(own))
        }
        Real::F16 => {
            let leads_back = |text: &String| {
                let read: f64 = text.parse().unwrap_or(f64::NAN);
                f16::from_f64(read).to_f64() == number
            };
            // Five digits distinguish all halves.
            let texts = (0..5).map(|after_point| format!("{number:.after_point$e}"));
            let found = texts.into_iter().find(leads_back);
            found.unwrap_or_else(|| format!("{number:e}"))
        }
    }
}

/// As many digits of the number as the text has, if they lead back to it; the text if not.
fn even(text: &str, number: f64, leads_back: impl Fn(&str) -> bool) -> String {
    let digits = text.split_once('e').map_or(text, |(digits, _)| digits);
    let after_point = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let rounded = format!("{number:.after_point$e}");
    if leads_back(&rounded) { rounded } else { text.to_string() }
}

/// Digits with their point moved.
fn placed(digits: &str, power: i32) -> String {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let point = whole.len() as i32 + power;
    if point <= 0 {
        let zeros = "0".repeat(point.unsigned_abs() as usize);
        return format!("{sign}0.{zeros}{all}");
    }
    let point = point as usize;
    if point >= all.len() {
        let zeros = "0".repeat(point - all.len());
        return format!("{sign}{all}{zeros}");
    }
    format!("{sign}{}.{}", &all[..point], &all[point..])
}

/// Without zeros at the end of the fraction, and without a fraction where that is all there is.
fn trimmed(text: &str) -> &str {
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_lead_back_to_the_number_in_its_own_type() {
        assert_eq!(positional(f64::from(0.1f32), Real::F32, 8), "0.1");
        assert_eq!(positional(0.1, Real::F64, 8), "0.1");
        assert_eq!(positional(f16::from_f64(0.1).to_f64(), Real::F16, 8), "0.1");
        assert_eq!(positional(-1234.5, Real::F64, 8), "-1234.5");
        assert_eq!(positional(12_000_000.0, Real::F32, 8), "12000000");
        assert_eq!(scientific(1e-30, Real::F64, 8), "1e-30");
        assert_eq!(scientific(3501147.25, Real::F32, 8), "3.5011472e6");
    }

    #[test]
    fn more_digits_than_asked_for_are_rounded() {
        assert_eq!(positional(1.0 / 3.0, Real::F64, 8), "0.33333333");
        assert_eq!(positional(0.1 + 0.2, Real::F64, 8), "0.3");
        assert_eq!(scientific(1.0 / 3e9, Real::F64, 8), "3.33333333e-10");
    }
}
