//! State dicts made to load into models, in memory.

use pyo3::prelude::*;
use statedict::Advice;
use statedict::core::diff::Side;
use statedict::core::fit::{
    Ambiguous, Casts, FillOptions, Fit, FitError, FitOptions, MatchBy, NotFitted, Ordered,
    fit as find,
};
use statedict::core::init::{InitRule, Initialiser, ResizeRule};
use statedict::core::{Catalog, Plan as CorePlan, SEPARATOR, Template};
use statedict::jobs::grouping::first_grouped;

use crate::advice;
use crate::error::Raised;
use crate::memory::{self, Value};
use crate::plan::Plan;
use crate::run::briefly;

/// Lines and keys that an error names.
const NAMED: usize = 20;

/// Both sides, and how they are to be fitted.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Request {
    source: Vec<Value>,
    target: Vec<Value>,
    by: String,
    drop: Vec<String>,
    drop_last: usize,
    init: Vec<String>,
    seed: u64,
    resize: Vec<String>,
    cast: bool,
}

/// What was made of a state dict: the plan, keys that were found with why, keys that are not
/// wanted, and keys that are made with how.
type Fitted = (Plan, Vec<(String, String)>, Vec<String>, Vec<String>);

/// Finds for each key of a model what belongs there.
#[pyfunction]
pub(crate) fn fit(py: Python<'_>, request: Request) -> PyResult<Fitted> {
    briefly(py, || request.fit())
}

impl Request {
    fn fit(self) -> Result<Fitted, Raised> {
        let failed = |error: &dyn std::fmt::Display| Raised::new("failed", error.to_string());
        let patterns = self.drop.iter().map(|text| Template::parse(text, SEPARATOR));
        let drop = patterns.collect::<Result<_, _>>().map_err(|error| failed(&error))?;
        let rules = self.init.iter().map(|text| InitRule::parse(text, SEPARATOR));
        let rules: Vec<InitRule> =
            rules.collect::<Result<_, _>>().map_err(|error| failed(&error))?;
        let resize = self.resize.iter().map(|text| ResizeRule::parse(text, SEPARATOR));
        let resize = resize.collect::<Result<_, _>>().map_err(|error| failed(&error))?;
        let options = FitOptions {
            by: by(&self.by)?,
            drop,
            drop_last: self.drop_last,
            made: rules.iter().map(|rule| rule.pattern.clone()).collect(),
            ordered: Ordered::default(),
        };
        let filling = FillOptions {
            casts: if self.cast { Casts::Make } else { Casts::Refuse },
            initialiser: Initialiser { rules, seed: self.seed },
            resize,
        };
        let source = memory::catalog(self.source, Vec::new())?;
        let target = memory::catalog(self.target, Vec::new())?;
        fitted(&source, &target, &options, &filling)
    }
}

fn fitted(
    source: &Catalog,
    target: &Catalog,
    options: &FitOptions,
    filling: &FillOptions,
) -> Result<Fitted, Raised> {
    let fit = find(side(source), side(target), options).map_err(|error| {
        let advice = match error {
            NotFitted::Unordered(_) => Advice::OtherEvidence,
            NotFitted::Counts { .. } => Advice::DropKeys,
        };
        Raised::new("refused", error.to_string()).hint(advice::of(&[advice]))
    })?;
    let assembled = fit.assemble(side(source), Some(side(target)), filling);
    let assembled = assembled.map_err(|unmet| refusal(&fit, &unmet))?;
    let made = assembled.made.iter().map(|made| made.wanted.key.clone()).collect();
    let plan = CorePlan::from(fit.section(side(source)).with_tensors(assembled.expressions));
    let found = fit.pairs.into_iter().map(|pair| (pair.from, pair.to)).collect();
    let gone = fit.unused.into_iter().chain(fit.skipped).collect();
    Ok((Plan::from(plan), found, gone, made))
}

fn side(catalog: &Catalog) -> Side<'_> {
    Side { catalog, state_dict: &catalog.state_dicts[0] }
}

/// Why it does not fit, with what could be meant.
fn refusal(fit: &Fit, unmet: &[FitError]) -> Raised {
    let (found, wanted) = (fit.pairs.len(), fit.wanted.len());
    let mut lines = vec![format!("{found} of the {wanted} keys of the model found")];
    lines.extend(unmet.iter().take(NAMED).map(ToString::to_string));
    if unmet.len() > NAMED {
        lines.push(format!("and {} more", unmet.len() - NAMED));
    }
    lines.extend(fit.open.iter().take(NAMED).map(ambiguous));
    if !fit.unused.is_empty() {
        let unused = first_grouped(fit.unused.iter().map(String::as_str), NAMED);
        lines.push(format!("not wanted: {unused}"));
    }
    let hint = "init={PATTERN: HOW} makes what is missing, such as 'zeros', 'normal(0,0.02)' or \
                'target'; resize={PATTERN: DIMENSIONS} keeps what both have; cast=True casts";
    Raised::new("refused", lines.join("\n  ")).hint(Some(hint.into()))
}

fn ambiguous(open: &Ambiguous) -> String {
    let listed = |keys: &[String]| first_grouped(keys.iter().map(String::as_str), NAMED);
    format!("ambiguous: {} could match any of {}", listed(&open.from), listed(&open.to))
}

fn by(name: &str) -> Result<MatchBy, Raised> {
    Ok(match name {
        "name" => MatchBy::Name,
        "wrapper" => MatchBy::Wrapper,
        "suffix" => MatchBy::Suffix,
        "position" => MatchBy::Position,
        "auto" => MatchBy::Auto,
        other => {
            let expected = "expected name, wrapper, suffix, position or auto";
            return Err(Raised::new("failed", format!("by='{other}': {expected}")));
        }
    })
}
