//! Weights that are kept as a magnitude and a direction, by the names that PyTorch gives them.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};

use super::{AllFound, Calculated};
use crate::catalog::tensor::count_of;
use crate::rules::formula::FoldWeightNorm;
use crate::{Expression, Formula};

/// What `torch.nn.utils.weight_norm` appends to a weight's name.
const SUFFIXES: [&str; 2] = ["_g", "_v"];

/// The module in which parametrizations are, and what they name their tensors.
const PARAMETRIZATIONS: &str = "parametrizations";
const ORIGINALS: [&str; 2] = ["original0", "original1"];

/// How the parameters are called of which PyTorch's layers have weight norms.
const WEIGHT: &str = "weight";

pub(super) fn calculate(rule: &FoldWeightNorm, all: &AllFound) -> Calculated {
    let mut calculated = Calculated::default();
    for (name, found) in all {
        let Some(Pair { weight, direction }) = Pair::of(name, rule) else { continue };
        let is_meant = match rule.patterns() {
            [] => weight.rsplit(rule.separator()).next().is_some_and(|it| it.starts_with(WEIGHT)),
            patterns => patterns.iter().any(|pattern| pattern.matches(&weight)),
        };
        let Some(second) = all.get(direction.as_str()).filter(|_| is_meant) else { continue };
        let (Some(magnitude), Some(direction_of)) = (&found.tensor, &second.tensor) else {
            continue;
        };
        let (g, v) = (magnitude.made.shape(), direction_of.made.shape());
        let goes = |(size, norm): (&u64, &u64)| size == norm || *norm == 1;
        let is_norm = g.len() == v.len() && v.iter().zip(&g).all(goes) || count_of(&g) == Some(1);
        if !is_norm || magnitude.dtype != direction_of.dtype {
            let (a, b) = (&magnitude.dtype, &direction_of.dtype);
            calculated.problems.push(format!(
                "'{name}' {a} {g:?} and '{direction}' {b} {v:?} are not a weight norm"
            ));
            continue;
        }
        if all.contains_key(weight.as_str()) {
            let problem = format!("'{name}' would become '{weight}', which is there already");
            calculated.problems.push(problem);
            continue;
        }
        let formula = Formula::WeightNorm {
            direction: direction_of.made.clone(),
            magnitude: magnitude.made.clone(),
        };
        let position = found.position.min(second.position);
        let made = Expression::Formula(Box::new(formula));
        calculated.add(position, weight, made, &[(&**name, g), (direction.as_str(), v)]);
        calculated.taken.extend([name.to_string(), direction]);
    }
    calculated
}

/// The names that go with that of a magnitude.
struct Pair {
    weight: String,
    direction: String,
}

impl Pair {
    fn of(name: &str, rule: &FoldWeightNorm) -> Option<Pair> {
        let [g, v] = SUFFIXES;
        if let Some(weight) = name.strip_suffix(g) {
            let direction = format!("{weight}{v}");
            return Some(Pair { weight: weight.into(), direction });
        }
        let separator = rule.separator();
        let [g, v] = ORIGINALS;
        let path = name.strip_suffix(g)?.strip_suffix(separator)?;
        let (above, own) = path.rsplit_once(separator)?;
        let module = match above.rsplit_once(separator) {
            Some((module, PARAMETRIZATIONS)) => format!("{module}{separator}"),
            None if above == PARAMETRIZATIONS => String::new(),
            _ => return None,
        };
        let direction = format!("{path}{separator}{v}");
        Some(Pair { weight: format!("{module}{own}"), direction })
    }
}
