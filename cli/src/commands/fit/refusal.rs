//! Why nothing could be put together, and what would help.

use statedict::core::fit::{
    Composed, Composite, Fit, FitError, ShapeMismatch, TargetTensor, Whose,
};
use statedict::core::{DType, IndexMap, IndexSet, SEPARATOR, Template};
use statedict::jobs::fit::Outcome;
use statedict::jobs::grouping::{first_grouped, grouped};

use crate::commands::fit::ambiguous::ambiguous;
use crate::commands::fit::report::resized;
use crate::failure::Failure;
use crate::terminal::text::{NAMED, shell_word};

/// Why nothing could be put together, all of it, and ways out.
pub(crate) fn refusal(outcome: &Outcome, unmet: &[FitError]) -> Failure {
    let fit = &outcome.fit;
    let mut alike = IndexMap::<String, Vec<&str>>::default();
    let mut errors = Vec::new();
    for unmet in unmet {
        let (what, key) = match unmet {
            FitError::Missing(TargetTensor { key, dtype, shape }, _) => {
                (format!("missing, {dtype} {shape:?}"), key)
            }
            FitError::Cast { key, has, wanted } => {
                (format!("file has {has}, target wants {wanted}"), key)
            }
            other => {
                errors.push(other.to_string());
                continue;
            }
        };
        alike.entry(what).or_default().push(key);
    }
    for (what, keys) in alike {
        let lines = grouped(keys.into_iter().map(|key| (key, None)));
        errors.extend(
            lines.iter().map(|line| format!("{}: {what}{}", line.old, line.number_of_keys())),
        );
    }
    errors.extend(ambiguous(&fit.open));
    let source = outcome.source.path.display().to_string();
    let mut failure =
        Failure::no(errors.into_iter().map(|error| format!("{source}: {error}")).collect());
    failure.hints = recipes(outcome);
    failure.hints.extend(composites(&outcome.composites));
    let is_rearranged = !failure.hints.is_empty();
    failure.hints.extend(hints(fit, unmet, is_rearranged));
    failure
}

/// The commands that convert the checkpoint to the model's names and layout.
fn recipes(outcome: &Outcome) -> Vec<String> {
    let path = outcome.source.path.to_string_lossy();
    let apply = outcome.recipes.iter().map(|name| {
        let command = format!("statedict apply {name} {} -o OUT", shell_word(&path));
        format!("its names are known, and so are the model's; to convert: {command}")
    });
    apply.collect()
}

/// What is there on the other side, joined, stacked or transposed; a line for those that are alike.
fn composites(found: &[Composite]) -> Vec<String> {
    let mut alike = IndexMap::<String, (&Composite, usize)>::default();
    for composite in found {
        let names = format!("{:?} {}", composite.parts, composite.whole);
        let names = names.replace(|c: char| c.is_ascii_digit(), "");
        let kind = format!("{:?} {names}", composite.how);
        alike.entry(kind).or_insert((composite, 0)).1 += 1;
    }
    alike.into_values().map(|(composite, number)| composed(composite, number)).collect()
}

/// What one tensor is made of on the other side, and how many others are likewise.
fn composed(composite: &Composite, number: usize) -> String {
    let Composite { whole, side, parts, how } = composite;
    let how = match how {
        Composed::Joined { dimension, transposed: false } => format!("joined along dim{dimension}"),
        Composed::Joined { dimension, transposed: true } => {
            format!("joined along dim{dimension} and transposed")
        }
        Composed::Stacked { transposed: false } => "stacked".into(),
        Composed::Stacked { transposed: true } => "stacked and transposed".into(),
        Composed::Transposed => "transposed".into(),
    };
    let others = match number {
        1 => String::new(),
        more => format!(" (and {} more like it)", more - 1),
    };
    let (named, other) = match side {
        Whose::Target => ("the target's", "the file's"),
        Whose::Source => ("the file's", "the target's"),
    };
    let parts = first_grouped(parts.iter().map(String::as_str), NAMED);
    format!(
        "by its shape {named} {whole} could be {other} {parts}, {how}{others}; a fit renames \
         tensors and does not rearrange them"
    )
}

/// What would help: at most one way for each kind of obstacle.
fn hints(fit: &Fit, unmet: &[FitError], is_rearranged: bool) -> Vec<String> {
    let mut hints = Vec::new();
    let found_nothing = fit.pairs.is_empty() && fit.misfits.is_empty();
    if found_nothing && is_rearranged {
        return hints;
    }
    if found_nothing {
        hints.push("no key was found; is this a checkpoint of another model?".to_string());
        return hints;
    }
    if unmet.iter().any(|unmet| matches!(unmet, FitError::Doubtful { .. })) {
        hints.push("if the model is right, exclude the other keys with --drop PATTERN".into());
    }
    if unmet.iter().any(|unmet| matches!(unmet, FitError::Cast { .. })) {
        hints.push("add --cast to cast to the target's types".into());
    }
    let misfit = unmet.iter().find_map(|unmet| match unmet {
        FitError::ShapeMismatch(misfit, _) if is_resizable(misfit) => Some(misfit),
        _ => None,
    });
    let made = unmet.iter().find_map(|unmet| match unmet {
        FitError::ShapeMismatch(misfit, _) => Some(&misfit.wanted),
        FitError::Missing(wanted, _) => Some(wanted),
        _ => None,
    });
    if let Some(TargetTensor { key, dtype, .. }) = made {
        let pattern = Template::literal(key, SEPARATOR);
        let rule = shell_word(&format!("{pattern}={}", init(dtype))).into_owned();
        hints.push(format!("--init {rule} makes a new tensor"));
    }
    if let Some(ShapeMismatch { has, wanted, .. }) = misfit.map(AsRef::as_ref) {
        let pattern = Template::literal(&wanted.key, SEPARATOR);
        let (dimensions, what) = match resized(has, &wanted.shape) {
            rows if rows == "dim0" => ("rows".into(), "the rows that both have"),
            others => (others, "what both have"),
        };
        let rule = shell_word(&format!("{pattern}={dimensions}")).into_owned();
        hints.push(format!("--resize {rule} keeps {what}; --init makes what is new"));
    }
    if !fit.open.is_empty() {
        hints.push(
            "rename ambiguous keys first (statedict rename), or --drop those that are not meant"
                .into(),
        );
    }
    hints
}

/// The options with which it fits; none where there is an obstacle that no option removes.
pub(super) fn options(unmet: &[FitError]) -> Option<Vec<String>> {
    let mut options = IndexSet::<Vec<String>>::default();
    for unmet in unmet {
        let wanted = match unmet {
            FitError::Cast { .. } => {
                options.insert(vec!["--cast".into()]);
                continue;
            }
            FitError::Missing(wanted, _) => wanted,
            FitError::ShapeMismatch(misfit, _) => {
                if is_resizable(misfit) {
                    let dimensions = resized(&misfit.has, &misfit.wanted.shape);
                    let pattern = pattern(&misfit.wanted.key);
                    options.insert(vec!["--resize".into(), format!("{pattern}={dimensions}")]);
                }
                &misfit.wanted
            }
            _ => return None,
        };
        let rule = format!("{}={}", pattern(&wanted.key), init(&wanted.dtype));
        options.insert(vec!["--init".into(), rule]);
    }
    Some(options.into_iter().flatten().collect())
}

/// What a new tensor of a type is filled with.
fn init(dtype: &DType) -> &'static str {
    if dtype.is_float() { "normal(0,0.02)" } else { "zeros" }
}

/// A pattern for a key and for those that are alike in other blocks.
fn pattern(key: &str) -> String {
    let segments = key.split(SEPARATOR).map(|segment| {
        let is_number = !segment.is_empty() && segment.bytes().all(|it| it.is_ascii_digit());
        if is_number { "*".into() } else { Template::literal(segment, SEPARATOR).to_string() }
    });
    segments.collect::<Vec<String>>().join(".")
}

fn is_resizable(misfit: &ShapeMismatch) -> bool {
    let (has, wanted) = (&misfit.has, &misfit.wanted.shape);
    has.len() == wanted.len() && has != wanted && !has.iter().rev().eq(wanted)
}
