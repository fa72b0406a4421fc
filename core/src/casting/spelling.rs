//! Casting rules as text: `bf16`, `model.**=float32`.

use alloc::string::{String, ToString};
use core::fmt;

use thiserror::Error;

use crate::{BadTemplate, DType, Template, casting::CastRule};

/// The types that tensors can be cast to, each with the names it goes by.
const TARGETS: [(DType, &[&str]); 6] = [
    (DType::F16, &["f16", "float16", "fp16", "half"]),
    (DType::Bf16, &["bf16", "bfloat16"]),
    (DType::F32, &["f32", "float32", "fp32", "float", "single"]),
    (DType::F64, &["f64", "float64", "fp64", "double"]),
    (DType::F8E4M3, &["f8_e4m3", "float8_e4m3fn", "float8_e4m3", "fp8_e4m3"]),
    (DType::F8E5M2, &["f8_e5m2", "float8_e5m2", "fp8_e5m2"]),
];

/// What is wrong with the text of a casting rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadCast {
    /// The type is none that tensors can be cast to.
    #[error("unknown dtype '{0}'; expected {Targets}")]
    DType(String),
    /// The pattern is none.
    #[error(transparent)]
    Pattern(#[from] BadTemplate),
}

/// Every type with its names.
struct Targets;

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (_, names)) in TARGETS.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            match names {
                [name] => f.write_str(name)?,
                [name, others @ ..] => write!(f, "{name} ({})", others.join(", "))?,
                [] => {}
            }
        }
        Ok(())
    }
}

impl CastRule {
    /// Reads `DTYPE` or `PATTERN=DTYPE`; the pattern's segments are joined by `separator`.
    ///
    /// # Errors
    /// A type that tensors cannot be cast to, and a text that is not a pattern.
    pub fn parse(text: &str, separator: char) -> Result<CastRule, BadCast> {
        let (pattern, name) = match text.rsplit_once('=') {
            Some((pattern, name)) => (Some(Template::parse(pattern.trim(), separator)?), name),
            None => (None, text),
        };
        let to = target(name.trim()).ok_or_else(|| BadCast::DType(name.trim().to_string()))?;
        Ok(CastRule { pattern, to })
    }
}

/// The type that a name denotes, as people write it: `bf16`, `BFloat16`, `torch.bfloat16`.
fn target(name: &str) -> Option<DType> {
    let name = name.to_ascii_lowercase();
    let bare = ["torch.", "np.", "numpy."].iter().find_map(|module| name.strip_prefix(module));
    let bare = bare.unwrap_or(&name);
    let (dtype, _) = TARGETS.iter().find(|(_, names)| names.contains(&bare))?;
    Some(dtype.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_go_by_the_names_people_type() {
        let check = |text, to: DType| {
            let rule = CastRule::parse(text, '.');
            assert_eq!(rule, Ok(CastRule { pattern: None, to }), "{text}");
        };
        for name in ["f16", "F16", "fp16", "float16", "half", "torch.half", "np.float16"] {
            check(name, DType::F16);
        }
        for name in ["bf16", "BF16", "bfloat16", "torch.bfloat16"] {
            check(name, DType::Bf16);
        }
        for name in ["f32", "F32", "fp32", "float32", "float", "torch.float32"] {
            check(name, DType::F32);
        }
        for name in ["f64", "F64", "float64", "double", "torch.double"] {
            check(name, DType::F64);
        }
        for name in ["F8_E4M3", "float8_e4m3fn", "torch.float8_e4m3fn", "fp8_e4m3"] {
            check(name, DType::F8E4M3);
        }
        for name in ["F8_E5M2", "float8_e5m2", "torch.float8_e5m2"] {
            check(name, DType::F8E5M2);
        }
    }

    #[test]
    fn an_unknown_name_gets_the_list() {
        let error = CastRule::parse("fc.*=int8", '.').map_err(|error| error.to_string());
        let expected = "unknown dtype 'int8'; expected f16 (float16, fp16, half), bf16 (bfloat16), \
                        f32 (float32, fp32, float, single), f64 (float64, fp64, double), \
                        f8_e4m3 (float8_e4m3fn, float8_e4m3, fp8_e4m3), f8_e5m2 (float8_e5m2, fp8_e5m2)";
        assert_eq!(error, Err(expected.to_string()));
    }

    #[test]
    fn a_pattern_ends_at_the_last_equals_sign() {
        let rule = CastRule::parse("a=b.**=bf16", '.').expect("a rule");
        assert!(rule.pattern.expect("a pattern").matches("a=b.c"));
        assert!(CastRule::parse("=bf16", '.').is_err());
    }
}
