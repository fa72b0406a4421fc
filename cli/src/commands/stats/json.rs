//! Figures as JSON.

use std::io::Write;

use serde::Serialize;
use statedict::core::Statistics;
use statedict::jobs::stats::{Group, Outcome, TensorStats};

use crate::failure::Failure;
use crate::json::{begin_object, put_lines};

/// One tensor of `stats --json`.
#[derive(Serialize)]
struct Tensor<'a> {
    at: &'a str,
    key: &'a str,
    dtype: &'a str,
    shape: &'a [u64],
    #[serde(flatten)]
    figures: Figures,
    /// Why it has no figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

/// Tensors whose keys differ in numbers alone.
#[derive(Serialize)]
struct Keys<'a> {
    at: &'a str,
    keys: &'a str,
    tensors: usize,
    #[serde(flatten)]
    figures: Figures,
}

/// The figures; null where there is no finite number, and all of them where nothing was read.
#[derive(Default, Serialize)]
struct Figures {
    count: u64,
    mean: Option<f64>,
    std: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    absmax: Option<f64>,
    l2: Option<f64>,
    zeros: Option<u64>,
    nan: Option<u64>,
    inf: Option<u64>,
    histogram: Option<Vec<u64>>,
    histogram_start: Option<f64>,
    histogram_width: Option<f64>,
}

/// One object with every tensor, written as the tensors come.
pub(crate) fn figures(outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
    begin_object(outcome.checkpoint.path(), out)?;
    write!(out, r#","tensors":"#)?;
    put_lines(outcome.tensors().map(|tensor| Tensor::of(&tensor)), out)?;
    write!(out, r#","groups":"#)?;
    put_lines(outcome.groups().iter().map(Keys::of), out)?;
    Ok(writeln!(out, "}}")?)
}

impl<'a> Tensor<'a> {
    fn of(tensor: &TensorStats<'a>) -> Tensor<'a> {
        let entry = tensor.entry;
        Tensor {
            at: &entry.path,
            key: entry.key.as_str(),
            dtype: entry.tensor.dtype.name(),
            shape: &entry.tensor.shape,
            figures: match tensor.measured {
                Ok(found) => Figures::of(found),
                Err(_) => Figures { count: entry.tensor.count(), ..Figures::default() },
            },
            why: tensor.measured.err(),
        }
    }
}

impl<'a> Keys<'a> {
    fn of(group: &'a Group<'_>) -> Keys<'a> {
        Keys {
            at: group.path,
            keys: &group.keys,
            tensors: group.tensors.len(),
            figures: Figures::of(&group.statistics),
        }
    }
}

impl Figures {
    fn of(found: &Statistics) -> Figures {
        let histogram = found.histogram();
        Figures {
            count: found.count,
            mean: found.mean(),
            std: found.std(),
            min: found.min(),
            max: found.max(),
            absmax: found.absmax(),
            l2: found.l2(),
            zeros: Some(found.zeros),
            nan: Some(found.nan),
            inf: Some(found.inf),
            histogram: histogram.map(|histogram| histogram.counts()),
            histogram_start: histogram.map(|histogram| histogram.start()),
            histogram_width: histogram.map(|histogram| histogram.width()),
        }
    }
}
