//! Plans that cannot be, with every reason.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

use crate::rules::sizes::SizeReason;
use crate::{Name, RuleKind, WRAPPERS};

/// The version of a document with more than names: casts, metadata, ties, computed tensors.
pub(super) const PLAN_VERSION: u32 = 2;

/// A plan that cannot be, with every reason.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct PlanError {
    /// At least one.
    pub issues: Vec<Issue>,
}

/// One reason why a plan cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issue {
    /// Several keys would get one name.
    Collision {
        /// The state dict.
        path: String,
        /// The name.
        to: String,
        /// The keys, each with the rule behind it; none where it keeps its name.
        from: Vec<(String, Option<String>)>,
        /// True if the tensors are one and the same place in the file.
        same_place: bool,
    },
    /// Nothing would be left of a key.
    Emptied {
        /// The state dict.
        path: String,
        /// The key.
        key: String,
        /// The rule behind it.
        rule: String,
    },
    /// No rule recognises a key, and that was not to be.
    Undefined {
        /// The state dict.
        path: String,
        /// The key.
        key: String,
    },
    /// The rule speaks of a size that has no number.
    UnknownSize {
        /// The rule.
        rule: String,
        /// The size.
        name: Name,
    },
    /// No rule recognises any key.
    NothingMatched {
        /// The rules, as text.
        rules: Vec<String>,
    },
    /// The keys of this state dict cannot be renamed.
    Fixed {
        /// The state dict.
        path: String,
        /// Why.
        reason: String,
    },
    /// The plan speaks of a state dict or key that the file does not have.
    Absent {
        /// The state dict.
        path: String,
        /// The key; none if the whole state dict is missing.
        key: Option<String>,
    },
    /// A rule of tensors that cannot make what it says of those that there are.
    Regrouping {
        /// The state dict.
        path: String,
        /// The rule.
        rule: String,
        /// Which tensor, and why.
        problem: String,
    },
    /// A rule that cannot be undone.
    NoInverse {
        /// The rule.
        rule: String,
        /// Why.
        reason: String,
    },
    /// A key that rules would not make again of what they were undone to.
    NotUndone {
        /// The state dict.
        path: String,
        /// The key.
        key: String,
        /// What would become of it.
        reason: String,
    },
    /// A tensor that others are to be made of has another shape than the plan expects.
    Shape {
        /// The state dict.
        path: String,
        /// The key.
        key: String,
        /// The shape it has.
        found: Vec<u64>,
        /// The shape it should have.
        expected: Vec<u64>,
    },
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, issue) in self.issues.iter().enumerate() {
            let line_break = if i == 0 { "" } else { "\n" };
            write!(f, "{line_break}{issue}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Issue::Collision { path, to, from, same_place } => {
                write!(f, "{} keys would become '{to}'{}:", from.len(), InStateDict(path))?;
                for (i, (key, rule)) in from.iter().enumerate() {
                    let comma = if i == 0 { " " } else { ", " };
                    match rule {
                        Some(rule) => write!(f, "{comma}'{key}' by '{rule}'")?,
                        None => write!(f, "{comma}'{key}', which keeps its name")?,
                    }
                }
                f.write_str(if *same_place {
                    " (the same bytes of the file: a tie, so all but one can be dropped)"
                } else {
                    " (different tensors)"
                })
            }
            Issue::Emptied { path, key, rule } => {
                write!(f, "rule '{rule}' would make key '{key}'{} empty", InStateDict(path))
            }
            Issue::Undefined { path, key } => {
                write!(f, "no rule recognises key '{key}'{}", InStateDict(path))
            }
            Issue::UnknownSize { rule, name } => {
                write!(f, "rule '{rule}' {}", SizeReason::Unknown(name.clone()))
            }
            Issue::NothingMatched { rules } => match rules.as_slice() {
                [rule] if *rule == RuleKind::Unwrap.name() => {
                    write!(f, "no key has a wrapper segment ({})", WRAPPERS.join(", "))
                }
                [rule] if is_of(RuleKind::Dequantise, rule) => {
                    f.write_str("no quantized weight has scales beside it that are known")
                }
                [rule] if is_of(RuleKind::FoldWeightNorm, rule) => f.write_str(
                    "no key is a weight norm's (weight_g and weight_v, or \
                         parametrizations.weight.original0 and original1)",
                ),
                rules => write!(f, "no key matches '{}'", rules.join("', '")),
            },
            Issue::Fixed { path, reason } => {
                write!(f, "keys cannot be renamed{}: {reason}", InStateDict(path))
            }
            Issue::Absent { path, key: Some(key) } => {
                write!(
                    f,
                    "the plan names key '{key}'{}, which the file does not have",
                    InStateDict(path)
                )
            }
            Issue::NoInverse { rule, reason } => {
                write!(f, "rule '{rule}' has no inverse: {reason}")
            }
            Issue::NotUndone { path, key, reason } => {
                let within = InStateDict(path);
                write!(f, "the rules cannot be undone here: '{key}'{within} {reason}")
            }
            Issue::Regrouping { path, rule, problem } => {
                write!(f, "{problem}{}, by rule '{rule}'", InStateDict(path))
            }
            Issue::Shape { path, key, found, expected } => {
                let within = InStateDict(path);
                write!(f, "'{key}'{within} has shape {found:?}; the plan expects {expected:?}")
            }
            Issue::Absent { path, key: None } => {
                write!(f, "the plan names a state dict at '{path}', which the file does not have")
            }
        }
    }
}

/// True for the text of a rule of this kind.
fn is_of(kind: RuleKind, rule: &str) -> bool {
    let rest = rule.strip_prefix(kind.name());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '[']))
}

struct InStateDict<'a>(&'a str);

impl fmt::Display for InStateDict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " in '{}'", self.0) }
    }
}

/// Why a text is not a plan.
#[derive(Debug, Error)]
pub enum BadPlan {
    /// Not a JSON document of this form.
    #[error("not a plan: {0}")]
    Json(#[from] serde_json::Error),
    /// It was written by a later version of this library.
    #[error("plan version {0} is not known; expected {PLAN_VERSION}")]
    Version(u32),
    /// A tensor is cast to a type that there is not, or is not in the plan.
    #[error("the plan casts '{0}' to '{1}', which is not an element type")]
    Cast(String, String),
    /// A tensor cannot be made as the plan says.
    #[error("the plan makes a tensor that cannot be: {0}")]
    Tensor(String),
    /// A name occurs twice.
    #[error("the plan names '{0}' twice")]
    Repeated(String),
}
