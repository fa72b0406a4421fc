//! Plans for state dicts in memory: what becomes of every key, and what new tensors are made of.

use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyList, PyTuple};
use statedict::Error;
use statedict::checkpoint::NewCheckpoint;
use statedict::core::{
    Catalog, Expression, Modules, Origination, Plan as CorePlan, Planned, Rule, Section,
    plan as resolve,
};
use statedict::jobs::suggestions;

use crate::advice;
use crate::error::Raised;
use crate::memory::{self, Value};
use crate::rules::{self, Choices};
use crate::run::briefly;
use crate::save::{InMemory, NewTensor, dtype_of};

/// What is asked of a state dict.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Request {
    rules: Vec<String>,
    keys: Vec<String>,
    sizes: Vec<(String, u64)>,
    choices: Choices,
}

/// What becomes of a state dict's keys.
#[pyclass(frozen, module = "statedict._statedict")]
pub(crate) struct Plan {
    plan: CorePlan,
    unmatched: usize,
    unused: Vec<String>,
}

/// Plans rules that are given together; `describe` says what the tensors are, if that matters.
#[pyfunction]
pub(crate) fn plan(py: Python<'_>, request: Request, describe: Bound<'_, PyAny>) -> PyResult<Plan> {
    let bound = briefly(py, || request.bound())?;
    let needs_tensors = bound.iter().flat_map(Rule::alternatives).any(is_of_tensors);
    if !needs_tensors {
        let planned = briefly(py, || {
            let catalog = Catalog::of_keys(&request.keys).map_err(Raised::from)?;
            Ok::<_, Raised>(request.plan(&bound, &catalog).ok())
        })?;
        if let Some(planned) = planned {
            return Ok(planned);
        }
        // What is refused is said with what is known of the tensors: keys that meet may be ties.
    }
    let values: Vec<Value> = describe.call0()?.extract()?;
    briefly(py, || request.plan(&bound, &memory::catalog(values, Vec::new())?))
}

fn is_of_tensors(rule: &Rule) -> bool {
    matches!(rule, Rule::Tensor(_) | Rule::Formula(_))
}

impl Request {
    fn bound(&self) -> Result<Vec<Rule>, Raised> {
        let rules = rules::parsed(&self.rules)?;
        let sizes = rules::sizes(self.sizes.clone());
        let bound = rules.iter().map(|rule| rule.with_sizes(&sizes));
        let bound = bound.collect::<Result<_, _>>();
        bound.map_err(|error| Raised::new("refused", error.to_string()))
    }

    fn plan(&self, rules: &[Rule], catalog: &Catalog) -> Result<Plan, Raised> {
        let state_dicts: Vec<_> = catalog.state_dicts.iter().collect();
        let planned = resolve(rules, catalog, &state_dicts, self.choices.policy());
        planned.map(Plan::from).map_err(|refused| {
            let hint = advice::of(&suggestions::for_refusal(&refused, rules, &state_dicts));
            Raised::of_plan(&refused, refused.to_string()).hint(hint)
        })
    }
}

impl From<Planned> for Plan {
    fn from(planned: Planned) -> Plan {
        let Planned { plan, unmatched_keys: unmatched, unused_rules: unused, .. } = planned;
        Plan { plan, unmatched, unused }
    }
}

impl From<CorePlan> for Plan {
    fn from(plan: CorePlan) -> Plan {
        Plan { plan, unmatched: 0, unused: Vec::new() }
    }
}

impl Plan {
    fn section(&self) -> Option<&Section> {
        self.plan.sections().first()
    }
}

#[pymethods]
impl Plan {
    /// Every old key in order with its new name; none if it is dropped.
    fn names(&self) -> Vec<(&str, Option<&str>)> {
        self.section().map(|section| section.fates().collect()).unwrap_or_default()
    }

    /// The new names alone.
    fn new_names(&self) -> Vec<Option<&str>> {
        let section = self.section();
        section.map(|it| it.fates().map(|(_, new)| new).collect()).unwrap_or_default()
    }

    /// Every new tensor in order, with what it is made of; none if only names change.
    fn tensors<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        let Some(tensors) = self.section().and_then(Section::tensors) else { return Ok(None) };
        let tensors = tensors.iter().map(|(key, made)| (key, shown(py, made)?).into_pyobject(py));
        Ok(Some(PyList::new(py, tensors.collect::<PyResult<Vec<_>>>()?)?))
    }

    /// Pairs that must have the same elements, in words and as expressions.
    fn checks<'py>(&self, py: Python<'py>) -> PyResult<Vec<Check<'py>>> {
        let checks = self.section().map(Section::checks).unwrap_or_default().iter();
        let checks = checks.map(|(one, other)| {
            Ok((one.to_string(), other.to_string(), shown(py, one)?, shown(py, other)?))
        });
        checks.collect()
    }

    /// What becomes of module paths: new ones or none, those that come into being before others,
    /// and those whose tensors went to several.
    fn modules(&self, paths: Vec<String>) -> (Fates, Added, Split) {
        let Some(section) = self.section() else { return Default::default() };
        let Modules { fates, added, split } = section.modules(&paths);
        let split = split.into_iter().filter(|_| section.tensors().is_some());
        (fates, added, split.collect())
    }

    /// How many keys no rule recognised.
    #[getter]
    fn unmatched(&self) -> usize {
        self.unmatched
    }

    /// The rules that recognised no key.
    #[getter]
    fn unused_rules(&self) -> Vec<String> {
        self.unused.clone()
    }

    /// The plan as `apply` reads it from a file.
    fn to_json(&self) -> String {
        self.plan.to_json()
    }
}

/// Two expressions that must be the same, in words and as they are.
type Check<'py> = (String, String, Bound<'py, PyTuple>, Bound<'py, PyTuple>);

type Fates = Vec<(String, Option<String>)>;
type Added = Vec<(String, String)>;
type Split = Vec<(String, Vec<String>)>;

/// An expression, of which Python does what is done by looking at tensors in another way.
fn shown<'py>(py: Python<'py>, made: &Expression) -> PyResult<Bound<'py, PyTuple>> {
    let all = |parts: &[Expression]| {
        let parts = parts.iter().map(|part| shown(py, part));
        PyList::new(py, parts.collect::<PyResult<Vec<_>>>()?)
    };
    match made {
        Expression::Key { of, key, .. } => {
            let of = match of {
                Origination::Source => "source",
                Origination::Target => "target",
                Origination::Adapter => "adapter",
            };
            ("key", of, key).into_pyobject(py)
        }
        Expression::Slice { of, axis, range } => {
            ("slice", shown(py, of)?, axis, range.start, range.end).into_pyobject(py)
        }
        Expression::Permute { of, axes } => ("permute", shown(py, of)?, axes).into_pyobject(py),
        Expression::Reshape { of, shape } => ("reshape", shown(py, of)?, shape).into_pyobject(py),
        Expression::Concat { axis, parts } => ("concat", axis, all(parts)?).into_pyobject(py),
        Expression::Stack { axis, parts } => ("stack", axis, all(parts)?).into_pyobject(py),
        Expression::Cast { of, dtype } => ("cast", shown(py, of)?, dtype.name()).into_pyobject(py),
        Expression::Arithmetic { .. } | Expression::Formula(_) | Expression::Init(_) => {
            ("computed", Computed(made.clone())).into_pyobject(py)
        }
    }
}

/// A tensor that is calculated from others, or drawn.
#[pyclass(frozen, module = "statedict._statedict")]
pub(crate) struct Computed(Expression);

#[pymethods]
impl Computed {
    /// The keys of the tensors that it is calculated from.
    fn sources(&self) -> Vec<&str> {
        self.0.source_keys()
    }

    /// Its type, shape and elements, made of these tensors; `read` gives their bytes.
    fn compute<'py>(
        &self,
        py: Python<'py>,
        tensors: Vec<NewTensor>,
        read: Py<PyAny>,
    ) -> PyResult<(String, Vec<u64>, Bound<'py, PyByteArray>)> {
        const MADE: &str = "";
        let made = briefly(py, || {
            let mut new = NewCheckpoint::new();
            for (number, NewTensor(key, dtype, shape, bytes, _)) in tensors.into_iter().enumerate()
            {
                let dtype = dtype_of(&dtype, &shape, bytes);
                new.tensor(key, InMemory { number, dtype, shape, bytes, read: &read });
            }
            new.made(MADE, self.0.clone());
            new.read(MADE).map_err(Error::from)
        });
        let (dtype, shape, elements) = made?;
        Ok((dtype.name().to_string(), shape, PyByteArray::new(py, &elements)))
    }
}
