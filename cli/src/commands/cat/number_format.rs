//! The one form that NumPy gives all numbers of an array.

use super::decimal::{positional, scientific};
use super::values::{Kind, Real, Values};

/// Digits after the point at most.
const PRECISION: usize = 8;

/// How the values of an array are printed, so that their points are below each other.
pub(super) enum NumberFormat {
    Bool,
    Integer { width: usize },
    Real(RealFormat),
    Complex { real: RealFormat, imaginary: RealFormat },
}

/// How real numbers are printed.
pub(super) struct RealFormat {
    real: Real,
    /// Characters before the point, the sign included.
    left: usize,
    /// Characters after the point.
    right: usize,
    /// Digits of the power of ten, if there is one, its sign included.
    power: Option<usize>,
    /// Whether a plus is written, too.
    signed: bool,
}

impl NumberFormat {
    /// The form for these values.
    pub(super) fn of(values: &Values) -> NumberFormat {
        let all = 0..values.len();
        match values.kind {
            Kind::Bool => NumberFormat::Bool,
            Kind::Signed(_) | Kind::Unsigned(_) => {
                let widths = all.map(|place| values.integer(place).to_string().len());
                NumberFormat::Integer { width: widths.max().unwrap_or(0) }
            }
            Kind::Real(real) => {
                let numbers = move || (0..values.len()).map(move |at| values.real(at, real));
                NumberFormat::Real(RealFormat::of(real, false, &numbers))
            }
            Kind::Complex(real) => {
                let parts = |part: usize| {
                    move || (0..values.len()).map(move |at| values.real(2 * at + part, real))
                };
                NumberFormat::Complex {
                    real: RealFormat::of(real, false, &parts(0)),
                    imaginary: RealFormat::of(real, true, &parts(1)),
                }
            }
        }
    }

    /// One of the values.
    pub(super) fn text(&self, values: &Values, place: usize) -> String {
        match self {
            NumberFormat::Bool => {
                let text = if values.integer(place) == 0 { "False" } else { "True" };
                format!("{text:>5}")
            }
            NumberFormat::Integer { width } => format!("{:>width$}", values.integer(place)),
            NumberFormat::Real(format) => format.text(values.real(place, format.real)),
            NumberFormat::Complex { real, imaginary } => {
                let re = real.text(values.real(2 * place, real.real));
                let im = imaginary.text(values.real(2 * place + 1, real.real));
                // The letter is before the room that is left.
                let end = im.trim_end().len();
                format!("{re}{}j{}", &im[..end], &im[end..])
            }
        }
    }
}

impl RealFormat {
    fn of<I: Iterator<Item = f64>>(
        real: Real,
        signed: bool,
        numbers: &impl Fn() -> I,
    ) -> RealFormat {
        let finite = || numbers().filter(|number| number.is_finite());
        let mut format = RealFormat { real, left: 0, right: 0, power: None, signed };
        if needs_power(real, finite()) {
            let mut digits = 0;
            for number in finite() {
                let (whole, fraction, power) = format.scientific(number);
                format.left = format.left.max(whole.len());
                format.right = format.right.max(fraction.len());
                digits = digits.max(power.len());
            }
            format.power = Some(digits);
        } else {
            for number in finite() {
                let (whole, fraction) = format.positional(number);
                format.left = format.left.max(whole.len());
                format.right = format.right.max(fraction.len());
            }
        }
        format.make_room(numbers());
        format
    }

    /// Room for what is no finite number.
    fn make_room(&mut self, numbers: impl Iterator<Item = f64>) {
        let after = self.after_point() + 1;
        for number in numbers.filter(|number| !number.is_finite()) {
            let text = self.special(number);
            self.left = self.left.max(text.len().saturating_sub(after));
        }
    }

    /// Characters after the point, the power of ten included.
    fn after_point(&self) -> usize {
        self.right + self.power.map_or(0, |digits| digits + 1)
    }

    fn text(&self, number: f64) -> String {
        if !number.is_finite() {
            let width = self.left + self.after_point() + 1;
            return format!("{:>width$}", self.special(number));
        }
        let (left, right) = (self.left, self.right);
        match self.power {
            Some(digits) => {
                let (whole, fraction, power) = self.padded(number);
                let (sign, power) = power.split_at(1);
                let digits = digits.saturating_sub(1);
                format!("{whole:>left$}.{fraction}e{sign}{power:0>digits$}")
            }
            None => {
                let (whole, fraction) = self.positional(number);
                format!("{whole:>left$}.{fraction:<right$}")
            }
        }
    }

    fn special(&self, number: f64) -> String {
        let sign = match number {
            negative if negative < 0.0 => "-",
            _ if self.signed => "+",
            _ => "",
        };
        let text = if number.is_nan() { "nan" } else { "inf" };
        format!("{sign}{text}")
    }

    /// What is before and after the point.
    fn positional(&self, number: f64) -> (String, String) {
        self.split(&positional(number, self.real, PRECISION), number)
    }

    /// What is before and after the point, and the power of ten with its sign.
    fn scientific(&self, number: f64) -> (String, String, String) {
        self.parts(&scientific(number, self.real, PRECISION), number)
    }

    /// The same with as many digits after the point as all have: those that the number has.
    fn padded(&self, number: f64) -> (String, String, String) {
        let (shortest, right) = (self.scientific(number), self.right);
        if shortest.1.len() == right {
            return shortest;
        }
        self.parts(&format!("{number:.right$e}"), number)
    }

    fn parts(&self, text: &str, number: f64) -> (String, String, String) {
        let (digits, power) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = self.split(digits, number);
        (whole, fraction, power_of_ten(power))
    }

    fn split(&self, digits: &str, number: f64) -> (String, String) {
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let plus = if self.signed && !number.is_sign_negative() { "+" } else { "" };
        (format!("{plus}{whole}"), fraction.to_string())
    }
}

/// A power of ten with its sign and two digits at least.
pub(super) fn power_of_ten(power: &str) -> String {
    match power.strip_prefix('-') {
        Some(digits) => format!("-{digits:0>2}"),
        None => format!("+{power:0>2}"),
    }
}

/// True if numbers are so large, so small or so far apart that NumPy writes powers of ten.
fn needs_power(real: Real, finite: impl Iterator<Item = f64>) -> bool {
    let magnitudes = finite.map(f64::abs).filter(|magnitude| *magnitude > 0.0);
    let (mut least, mut most) = (f64::INFINITY, 0.0f64);
    for magnitude in magnitudes {
        (least, most) = (least.min(magnitude), most.max(magnitude));
    }
    // NumPy divides in the array's own type.
    let apart = match real {
        Real::F32 => f64::from(most as f32 / least as f32),
        Real::F64 => most / least,
        Real::F16 => statedict::checkpoint::half::f16::from_f64(most / least).to_f64(),
    };
    most > 0.0
        && (most >= real.largest_in_arrays() || least < in_type(real, 1e-4) || apart > 1000.0)
}

/// The number of a type that is nearest to another.
fn in_type(real: Real, number: f64) -> f64 {
    match real {
        Real::F64 => number,
        Real::F32 => f64::from(number as f32),
        Real::F16 => statedict::checkpoint::half::f16::from_f64(number).to_f64(),
    }
}
