//! Initialisers and their rules as text: `head.weight=normal(0,0.02)`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use crate::{
    BadTemplate, Template,
    init::{Init, InitRule},
};

/// What can be written, for those who wrote something else.
const KNOWN: &str = "zeros, ones, constant(c), uniform(low,high), normal(mean,deviation), \
                     xavier_uniform, kaiming_uniform, arange, triangle, target";

/// Why a text is not an initialiser, or not a rule for one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadInit {
    /// The text has no `=`.
    #[error(
        "cannot parse rule '{0}'; expected PATTERN=INITIALISER, such as 'head.weight=normal(0,0.02)'"
    )]
    NoEquals(String),
    /// The text is not a rule for rows.
    #[error("cannot parse '{0}'; expected PATTERN=rows, or dimensions: PATTERN=dim1")]
    NoRows(String),
    /// What is before the `=` is not a pattern.
    #[error(transparent)]
    Pattern(#[from] BadTemplate),
    /// The name is none that is known.
    #[error("unknown initialiser '{0}'; expected {KNOWN}")]
    Unknown(String),
    /// There are too few numbers, or too many.
    #[error("'{text}' has {found} numbers; expected {expected}")]
    Numbers {
        /// The initialiser as it was written.
        text: String,
        /// How many numbers it has.
        found: usize,
        /// How many it should have.
        expected: &'static str,
    },
    /// What should be a number is none.
    #[error("'{number}' in '{text}' is not a number")]
    NoNumber {
        /// The initialiser as it was written.
        text: String,
        /// What was written for a number.
        number: String,
    },
    /// The numbers do not go together.
    #[error("'{text}': {why}")]
    Impossible {
        /// The initialiser as it was written.
        text: String,
        /// What is wrong with the numbers.
        why: &'static str,
    },
}

impl FromStr for Init {
    type Err = BadInit;

    fn from_str(text: &str) -> Result<Init, BadInit> {
        let text = text.trim();
        let (name, numbers) = split(text)?;
        let wrong =
            |expected| BadInit::Numbers { text: text.to_string(), found: numbers.len(), expected };
        let init = match (name, numbers.as_slice()) {
            ("zeros", []) => Init::ZEROS,
            ("ones", []) => Init::ONES,
            ("constant", [number]) => Init::Constant(*number),
            ("uniform", [low, high]) => Init::Uniform { low: *low, high: *high },
            ("normal", [mean, deviation]) => Init::Normal { mean: *mean, deviation: *deviation },
            ("xavier_uniform", []) => Init::XavierUniform,
            ("kaiming_uniform", []) => Init::KaimingUniform { slope: 0.0 },
            ("kaiming_uniform", [slope]) => Init::KaimingUniform { slope: *slope },
            ("arange", []) => Init::Arange,
            ("triangle", []) => Init::Triangle,
            ("target", []) => Init::Target,
            ("zeros" | "ones" | "xavier_uniform" | "arange" | "triangle" | "target", _) => {
                return Err(wrong("none"));
            }
            ("constant", _) => return Err(wrong("1")),
            ("uniform" | "normal", _) => return Err(wrong("2")),
            ("kaiming_uniform", _) => return Err(wrong("none, or the slope alone")),
            _ => return Err(BadInit::Unknown(text.to_string())),
        };
        match init.fault() {
            Some(why) => Err(BadInit::Impossible { text: text.to_string(), why }),
            None => Ok(init),
        }
    }
}

/// The name, and the numbers between the parentheses that may follow it.
fn split(text: &str) -> Result<(&str, Vec<f64>), BadInit> {
    let Some((name, rest)) = text.split_once('(') else { return Ok((text, Vec::new())) };
    let Some(inside) = rest.strip_suffix(')') else {
        return Err(BadInit::Unknown(text.to_string()));
    };
    let mut numbers = Vec::new();
    for number in inside.split(',').map(str::trim) {
        let bad = || BadInit::NoNumber { text: text.to_string(), number: number.to_string() };
        numbers.push(number.parse().map_err(|_| bad())?);
    }
    Ok((name.trim_end(), numbers))
}

impl Init {
    /// Why the numbers do not go together, if they do not.
    fn fault(&self) -> Option<&'static str> {
        match *self {
            Init::Constant(number) if number.is_nan() => Some("NaN is not a constant"),
            Init::Uniform { low, high } if !(high - low).is_finite() => {
                Some("both bounds must be finite, and so their distance")
            }
            Init::Uniform { low, high } if low > high => Some("the first bound is the lower one"),
            Init::Normal { mean, deviation } if !(mean.is_finite() && deviation.is_finite()) => {
                Some("mean and deviation must be finite")
            }
            Init::Normal { deviation, .. } if deviation < 0.0 => {
                Some("a standard deviation is at least 0")
            }
            Init::KaimingUniform { slope } if !slope.is_finite() => {
                Some("the slope must be finite")
            }
            _ => None,
        }
    }
}

impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Init::ZEROS => f.write_str("zeros"),
            Init::ONES => f.write_str("ones"),
            Init::Constant(number) => write!(f, "constant({})", Short(number)),
            Init::Uniform { low, high } => write!(f, "uniform({},{})", Short(low), Short(high)),
            Init::Normal { mean, deviation } => {
                write!(f, "normal({},{})", Short(mean), Short(deviation))
            }
            Init::XavierUniform => f.write_str("xavier_uniform"),
            Init::KaimingUniform { slope: 0.0 } => f.write_str("kaiming_uniform"),
            Init::KaimingUniform { slope } => write!(f, "kaiming_uniform({})", Short(slope)),
            Init::Arange => f.write_str("arange"),
            Init::Triangle => f.write_str("triangle"),
            Init::Target => f.write_str("target"),
        }
    }
}

/// A number without a long row of zeros.
pub(super) struct Short(pub(super) f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Short(number) = *self;
        match number.abs() {
            0.0 | 1e-4..1e15 | f64::INFINITY => write!(f, "{number}"),
            _ => write!(f, "{number:e}"),
        }
    }
}

impl InitRule {
    /// Reads `PATTERN=INITIALISER`; the pattern is a template over segments.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn parse(text: &str, separator: char) -> Result<InitRule, BadInit> {
        let (pattern, init) =
            text.rsplit_once('=').ok_or_else(|| BadInit::NoEquals(text.to_string()))?;
        let pattern = Template::parse(pattern.trim(), separator)?;
        Ok(InitRule { pattern, init: init.parse()? })
    }
}

impl fmt::Display for InitRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.pattern, self.init)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SEPARATOR;
    use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

    #[test]
    fn spellings_are_read() {
        let check = |text: &str, expected: Init| assert_eq!(text.parse(), Ok(expected), "{text}");
        check("zeros", Init::Constant(0.0));
        check("constant( -1e-3 )", Init::Constant(-0.001));
        check("uniform(-1,1)", Init::Uniform { low: -1.0, high: 1.0 });
        check(" normal(0, 0.02)", Init::Normal { mean: 0.0, deviation: 0.02 });
        check("kaiming_uniform", Init::KaimingUniform { slope: 0.0 });
        check("kaiming_uniform(2.236)", Init::KaimingUniform { slope: 2.236 });
        check("target", Init::Target);
    }

    #[test]
    fn each_bad_spelling_says_what_was_expected() {
        let check = |text: &str, expected: &str| {
            let message = InitRule::parse(text, SEPARATOR).expect_err(text).to_string();
            assert!(message.starts_with(expected), "{message}");
        };
        check("head", "cannot parse rule 'head'; expected PATTERN=INITIALISER");
        check("=zeros", "a template cannot be empty");
        check("a=", "unknown initialiser ''; expected zeros, ones, constant(c)");
        check("a=normal(0,1", "unknown initialiser 'normal(0,1'");
        check("a=trunc(1)", "unknown initialiser 'trunc(1)'");
        check("a=normal(0)", "'normal(0)' has 1 numbers; expected 2");
        check("a=constant", "'constant' has 0 numbers; expected 1");
        check("a=zeros(1)", "'zeros(1)' has 1 numbers; expected none");
        check("a=uniform(0,x)", "'x' in 'uniform(0,x)' is not a number");
        check("a=uniform(1,0)", "'uniform(1,0)': the first bound is the lower one");
        check("a=uniform(0,inf)", "'uniform(0,inf)': both bounds must be finite");
        check("a=normal(0,-1)", "'normal(0,-1)': a standard deviation is at least 0");
        check("a=normal(nan,1)", "'normal(nan,1)': mean and deviation must be finite");
        check("a=constant(nan)", "'constant(nan)': NaN is not a constant");
    }

    fn init() -> impl Strategy<Value = Init> {
        let finite = || any::<f32>().prop_map(f64::from).prop_filter("finite", |n| n.is_finite());
        prop_oneof![
            finite().prop_map(Init::Constant),
            Just(Init::Constant(f64::NEG_INFINITY)),
            (finite(), 0.0..1e30f64)
                .prop_map(|(low, more)| Init::Uniform { low, high: low + more }),
            (finite(), 0.0..1e-30f64)
                .prop_map(|(mean, deviation)| Init::Normal { mean, deviation }),
            Just(Init::XavierUniform),
            Just(Init::Arange),
            Just(Init::Triangle),
            finite().prop_map(|slope| Init::KaimingUniform { slope }),
            Just(Init::Target),
        ]
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(init in init(), pattern in "[a-z=*]{1,3}(\\.\\{n\\})?") {
            if let Ok(pattern) = Template::parse(&pattern, SEPARATOR) {
                let rule = InitRule { pattern, init };
                assert_eq!(InitRule::parse(&rule.to_string(), SEPARATOR), Ok(rule));
            }
        }
    }
}
