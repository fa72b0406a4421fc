//! What a file holds, as JSON.

use std::io::Write;

use serde::{Serialize, Serializer};
use statedict::List;
use statedict::core::{Data, IndexMap, Value};
use statedict::jobs::list::{Listed, Outcome};

use crate::failure::Failure;
use crate::json::{NotWhole, Shown, begin_object, put, put_lines};

/// One tensor of `ls --json`.
#[derive(Serialize)]
struct Tensor<'a> {
    at: &'a str,
    key: &'a str,
    dtype: &'a str,
    shape: &'a [u64],
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layout: Option<&'a str>,
}

/// One object with every tensor, written as the tensors come.
pub(crate) fn listing(job: &List, outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
    let checkpoint = &outcome.checkpoint;
    begin_object(checkpoint.path(), out)?;
    write!(out, r#","format":"#)?;
    put(checkpoint.kind(), out)?;
    write!(out, r#","metadata":"#)?;
    let metadata: IndexMap<String, String> = checkpoint.metadata().into_iter().collect();
    put(&Pairs(&metadata), out)?;
    write!(out, r#","conventions":"#)?;
    put(&outcome.recognised.conventions, out)?;
    write!(out, r#","recipes":"#)?;
    put(&outcome.recognised.recipes, out)?;
    let glance = &outcome.glance;
    write!(
        out,
        r#","parameters":{},"load_bytes":{},"facts":"#,
        glance.parameters, glance.load_bytes
    )?;
    put(&glance.facts, out)?;
    if !checkpoint.left_out().is_empty() {
        write!(out, r#","left_out":"#)?;
        put(&NotWhole::all(checkpoint.left_out()), out)?;
    }
    write!(out, r#","tensors":"#)?;
    put_lines(outcome.tensors().map(|listed| Tensor::of(&listed)), out)?;
    if job.payload {
        write!(out, r#","payload":"#)?;
        put(&Shown(outcome.payload.as_ref().unwrap_or(&Value::None)), out)?;
    }
    Ok(writeln!(out, "}}")?)
}

/// Texts under names, as an object.
struct Pairs<'a>(&'a IndexMap<String, String>);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0)
    }
}

impl<'a> Tensor<'a> {
    fn of(listed: &Listed<'a>) -> Tensor<'a> {
        let tensor = &listed.entry.tensor;
        let layout = match &tensor.data {
            Data::Opaque { layout, .. } => Some(layout.as_str()),
            Data::View(_) | Data::Blocks(_) | Data::Unlocated => None,
        };
        Tensor {
            at: &listed.entry.path,
            key: listed.entry.key.as_str(),
            dtype: tensor.dtype.name(),
            shape: &tensor.shape,
            bytes: tensor.byte_len(),
            sha256: listed.sha256,
            layout,
        }
    }
}
