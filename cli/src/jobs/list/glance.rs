//! What a file holds at a glance.

use std::collections::HashSet;

use statedict_checkpoint::Checkpoint;
use statedict_core::{Catalog, Data, IndexMap, Tensor, TensorEntry, Value, sorting};

use crate::jobs::error::Error;
use crate::jobs::words::count;

/// What trainers call how far they have come.
const COUNTERS: [&str; 8] =
    ["epoch", "global_step", "step", "iteration", "iter", "iterations", "num_updates", "epochs"];

/// What Lightning calls its version.
const LIGHTNING: &str = "pytorch-lightning_version";

/// What a file holds at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// Elements of the model's tensors, or of all models' where none is clearly meant; those that
    /// several keys share counted once. Of all tensors where none is a model's.
    pub parameters: u64,
    /// How many keys these tensors have.
    pub tensors: usize,
    /// The bytes of the tensors, by their types, the most first.
    pub dtypes: Vec<(String, u64)>,
    /// Bytes of all tensors of the file: what loading it takes.
    pub load_bytes: u64,
    /// What else is known, in a few words each: `epoch 3`, `LoRA of rank 8`.
    pub facts: Vec<String>,
}

impl Glance {
    /// Of these rows of a checkpoint, which are all that it has if `whole`.
    pub(super) fn of(
        checkpoint: &Checkpoint,
        rows: &[usize],
        whole: bool,
    ) -> Result<Glance, Error> {
        let catalog = checkpoint.catalog();
        let paths = if whole { catalog.models() } else { Vec::new() };
        let paths: HashSet<&str> = paths.iter().map(|model| model.path.as_str()).collect();
        let shown = Rows { catalog, numbers: rows, paths: None };
        let model = Rows { paths: Some(&paths).filter(|paths| !paths.is_empty()), ..shown };
        let mut glance = Glance { load_bytes: total(shown.distinct()), ..Glance::default() };
        glance.count(model);
        if whole {
            glance.facts.extend(counters(checkpoint)?);
            glance.facts.extend(optimizer(shown));
        }
        glance.facts.extend(averages(shown));
        glance.facts.extend(adapter(shown));
        glance.facts.extend(quantised(shown));
        Ok(glance)
    }

    /// The bytes of the model's tensors.
    pub fn bytes(&self) -> u64 {
        self.dtypes.iter().map(|(_, bytes)| *bytes).fold(0, u64::saturating_add)
    }

    fn count(&mut self, model: Rows<'_>) {
        self.tensors = model.iter().count();
        let mut dtypes = IndexMap::<&str, u64>::default();
        for tensor in model.distinct() {
            self.parameters = self.parameters.saturating_add(tensor.count());
            let bytes = dtypes.entry(tensor.dtype.name()).or_default();
            *bytes = bytes.saturating_add(tensor.byte_len());
        }
        self.dtypes = dtypes.into_iter().map(|(name, bytes)| (name.into(), bytes)).collect();
        sorting::sort_by_key(&mut self.dtypes, |(_, bytes)| std::cmp::Reverse(*bytes));
    }
}

/// Some tensors of a catalog, of which there may be very many.
#[derive(Clone, Copy)]
struct Rows<'a> {
    catalog: &'a Catalog,
    numbers: &'a [usize],
    /// Only those of the mappings at these paths.
    paths: Option<&'a HashSet<&'a str>>,
}

impl<'a> Rows<'a> {
    fn iter(self) -> impl Iterator<Item = &'a TensorEntry> {
        let rows = self.numbers.iter().map(move |number| &self.catalog.rows[*number]);
        rows.filter(move |row| self.paths.is_none_or(|paths| paths.contains(&*row.path)))
    }

    /// The tensors, those in one place once.
    fn distinct(self) -> impl Iterator<Item = &'a Tensor> {
        let places = self.iter().filter_map(|row| place(&row.tensor));
        // Most files have each tensor after the last; where they do not, places have to be remembered.
        let mut known = (!places.is_sorted_by(|one, next| one < next)).then(HashSet::new);
        let is_new = move |tensor: &&Tensor| match (&mut known, place(tensor)) {
            (Some(known), Some(place)) => known.insert(place),
            _ => true,
        };
        self.iter().map(|row| &row.tensor).filter(is_new)
    }
}

/// Where the elements of a tensor are, and how many; none where that does not say that another has the
/// same: an empty tensor is nowhere.
fn place(tensor: &Tensor) -> Option<(u64, u64, u64)> {
    match &tensor.data {
        Data::View(view) if tensor.count() > 0 => {
            Some((view.storage().location.range().start, view.offset(), tensor.count()))
        }
        Data::View(_) | Data::Blocks(_) | Data::Opaque { .. } | Data::Unlocated => None,
    }
}

fn total<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> u64 {
    tensors.map(Tensor::byte_len).fold(0, u64::saturating_add)
}

/// How far a trainer had come, and which trainer it was.
fn counters(checkpoint: &Checkpoint) -> Result<Vec<String>, Error> {
    let is_counter = |path: &str| COUNTERS.contains(&path) || path == LIGHTNING;
    if !checkpoint.catalog().payload.iter().any(|thing| is_counter(&thing.path)) {
        return Ok(Vec::new());
    }
    let Some(Value::Map(entries)) = checkpoint.payload()? else { return Ok(Vec::new()) };
    let facts = entries.iter().filter_map(|(key, value)| match value {
        Value::Int(number) if COUNTERS.contains(&key.as_str()) => Some(format!("{key} {number}")),
        Value::Text(version) if key == LIGHTNING => Some(format!("Lightning {version}")),
        _ => None,
    });
    Ok(facts.collect())
}

fn optimizer(rows: Rows<'_>) -> Option<String> {
    let is_of_it = |row: &&TensorEntry| {
        row.path.split('/').next().is_some_and(|first| first.to_lowercase().contains("optim"))
    };
    let own = rows.iter().filter(is_of_it).count();
    (own > 0).then(|| format!("optimizer state ({})", count(own, "tensor")))
}

/// An average of the model beside it.
fn averages(rows: Rows<'_>) -> Option<String> {
    let is_average = |text: &str| {
        let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
        words.any(|word| word.eq_ignore_ascii_case("ema"))
    };
    let is_below = |row: &TensorEntry| row.key.as_str().split('.').next().is_some_and(is_average);
    let found = rows.iter().any(|row| is_average(&row.path) || is_below(row));
    found.then(|| "EMA weights".to_string())
}

/// Adapters of low rank, and the rank of the first.
fn adapter(rows: Rows<'_>) -> Option<String> {
    let is_factor = |row: &&TensorEntry| {
        let key = row.key.as_str();
        let mut fours = key.as_bytes().windows(4);
        fours.any(|four| four.eq_ignore_ascii_case(b"lora")) && {
            let key = key.to_lowercase();
            key.contains("lora_a") || key.contains("lora_down") || key.contains("lora.down")
        }
    };
    let first = rows.iter().find(is_factor)?;
    let rank = first.tensor.shape.iter().min()?;
    Some(format!("LoRA of rank {rank}"))
}

/// How weights are quantised, by the names and types that its libraries give.
fn quantised(rows: Rows<'_>) -> Option<String> {
    let ends = |suffix: &str| rows.iter().any(|row| row.key.as_str().ends_with(suffix));
    let is_small = |row: &TensorEntry| row.tensor.dtype.name().starts_with("F8_E4M3");
    let is_packed = |row: &TensorEntry| matches!(&row.tensor.data, Data::Opaque { layout, .. } if layout.contains("quantized"));
    let kind = if ends(".qweight") && ends(".g_idx") {
        "GPTQ"
    } else if ends(".qweight") {
        "AWQ or GPTQ"
    } else if ends(".absmax") {
        "bitsandbytes, 4 bits"
    } else if ends(".SCB") {
        "bitsandbytes, 8 bits"
    } else if rows.iter().any(is_small) {
        "8-bit floats"
    } else if rows.iter().any(is_packed) {
        "PyTorch"
    } else {
        return None;
    };
    Some(format!("quantised ({kind})"))
}
