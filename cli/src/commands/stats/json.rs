//! Figures as JSON.

use std::io::Write;

use serde::Serialize;
use statedict::core::Statistics;
use statedict::jobs::stats::{Group, Outcome, TensorStats};

use crate::failure::Failure;
use crate::json::{SCHEMA_VERSION, path_bytes, put};

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
#[derive(Serialize)]
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
    let path = outcome.checkpoint.path();
    write!(out, r#"{{"schema_version":{SCHEMA_VERSION},"file":"#)?;
    put(&path.display().to_string(), out)?;
    if let Some(bytes) = path_bytes(path) {
        write!(out, r#","file_bytes":"#)?;
        put(&bytes, out)?;
    }
    write!(out, r#","tensors":["#)?;
    for (i, tensor) in outcome.tensors().enumerate() {
        out.write_all(if i == 0 { b"\n" } else { b",\n" })?;
        put(&Tensor::of(&tensor), out)?;
    }
    write!(out, "\n],\"groups\":[")?;
    for (i, group) in outcome.groups().iter().enumerate() {
        out.write_all(if i == 0 { b"\n" } else { b",\n" })?;
        put(&Keys::of(group), out)?;
    }
    Ok(writeln!(out, "\n]}}")?)
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
                Err(_) => Figures::none(entry.tensor.count()),
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

    fn none(count: u64) -> Figures {
        let (mean, zeros) = (None, None);
        Figures {
            count,
            mean,
            std: mean,
            min: mean,
            max: mean,
            absmax: mean,
            l2: mean,
            zeros,
            nan: zeros,
            inf: zeros,
            histogram: None,
            histogram_start: mean,
            histogram_width: mean,
        }
    }
}
