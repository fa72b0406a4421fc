//! Numbers in more precision than is needed, or in two at once.

use std::path::Path;

use statedict::core::{Catalog, DType, StateDict};
use statedict::jobs::grouping::first_grouped;

use crate::commands::view::Known;
use crate::commands::view::findings::{alike, tensors};
use crate::page::{Finding, Grade};
use crate::terminal::text::{NAMED, count, shell_option, shell_path, size};

/// State dicts of a file that are held against each other, at most.
const MODELS: usize = 8;

/// State dicts that are another one in half precision, or the other way round.
pub(super) fn copies(file: &Path, known: &Known) -> Vec<Finding> {
    let catalog = known.listed.checkpoint.catalog();
    let models = catalog.select(Some("*")).unwrap_or_default();
    let mut findings = Vec::new();
    for (i, one) in models.iter().take(MODELS).enumerate() {
        for other in models.iter().take(MODELS).skip(i + 1) {
            let Some([wide, half]) = in_two_precisions(catalog, one, other) else { continue };
            let named =
                |it: &StateDict| if it.path.is_empty() { "/".into() } else { it.path.clone() };
            let (wide, half) = (named(wide), named(half));
            let what = format!("{half} has the keys and shapes of {wide} in half precision");
            let at = shell_option("--at", &half);
            let out = tensors(file, "-half");
            let command =
                format!("statedict convert {} {} {at}", shell_path(file), shell_path(&out));
            findings
                .push(Finding::new(Grade::Note, what).remedy("takes the half one alone", command));
        }
    }
    findings
}

/// Two state dicts with the same keys and shapes, the wide one first, if the other is its half.
fn in_two_precisions<'a>(
    catalog: &Catalog,
    one: &'a StateDict,
    other: &'a StateDict,
) -> Option<[&'a StateDict; 2]> {
    let is_half = |wide: &StateDict, half: &StateDict| {
        wide.len() == half.len()
            && wide.keys().all(|key| match (catalog.tensor(wide, key), catalog.tensor(half, key)) {
                (Some(wide), Some(half)) => {
                    wide.shape == half.shape
                        && (wide.dtype == half.dtype && !wide.dtype.is_float()
                            || wide.dtype == DType::F32
                                && half.dtype.is_float()
                                && half.dtype.bits() == 16)
                }
                (wide, half) => wide.is_none() && half.is_none(),
            })
    };
    let has_floats = |it: &StateDict| {
        it.keys().any(|key| catalog.tensor(it, key).is_some_and(|it| it.dtype.is_float()))
    };
    match (is_half(one, other), is_half(other, one)) {
        (true, _) if has_floats(one) => Some([one, other]),
        (_, true) if has_floats(one) => Some([other, one]),
        _ => None,
    }
}

/// Numbers in double precision, which hardly any model is meant to have.
pub(super) fn wide(file: &Path, known: &Known) -> Option<Finding> {
    let catalog = known.listed.checkpoint.catalog();
    let models = catalog.select(Some("*")).unwrap_or_default();
    let (mut wide, mut bytes, mut is_half_there) = (Vec::new(), 0u64, false);
    for model in models {
        for key in model.keys() {
            let Some(tensor) = catalog.tensor(model, key) else { continue };
            is_half_there |= tensor.dtype.is_float() && tensor.dtype.bits() < 32;
            if tensor.dtype == DType::F64 && tensor.count() > 1 {
                wide.push(key);
                bytes = bytes.saturating_add(tensor.byte_len());
            }
        }
    }
    let keys = first_grouped(wide.iter().copied(), NAMED);
    let what = format!("{} in F64, {}: F32 takes half", count(wide.len(), "tensor"), size(bytes));
    let out = alike(file, "-f32", known);
    let command = format!("statedict convert {} {} --cast f32", shell_path(file), shell_path(&out));
    let finding = Finding::new(Grade::Advice, what).bounded(vec![keys]);
    match (wide.is_empty(), is_half_there) {
        (true, _) => None,
        (false, true) => Some(finding),
        (false, false) => Some(finding.remedy("casts them", command)),
    }
}
