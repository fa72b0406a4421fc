//! Jobs that read a file and write one: renaming, converting, recipes.

use std::ffi::OsString;
use std::path::PathBuf;

use pyo3::prelude::*;
use statedict::checkpoint::Existing;
use statedict::core::casting::{CastRule, Casting};
use statedict::core::{MetadataEdits, Omitted, SEPARATOR, Ties};
use statedict::jobs::recipe::Direction;
use statedict::jobs::rename::{
    Conversion, Destination, Encoding, Extent, OmittedBecause, Outcome, Pickles, Strictness,
    not_cast, not_followed,
};
use statedict::jobs::sizes::SizeSources;
use statedict::jobs::target::{Companions, Sharding, sharded_formats};
use statedict::jobs::words::{first_few, omitted, overflow_result, overflowed_values};
use statedict::{Rename, Rules};

use crate::error::Raised;
use crate::rules::{self, Choices};
use crate::run::run;

/// Groups and files that a line names.
const NAMED: usize = 8;

/// What no format but PyTorch's has a place for, and nobody misses there.
const MODULES: &str = "_metadata";

/// What is asked of a file; each field is an argument of the Python functions.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Request {
    path: PathBuf,
    at: Option<String>,
    rules: Vec<String>,
    recipe: Option<PathBuf>,
    inverse: bool,
    choices: Choices,
    sizes: Vec<(String, u64)>,
    config: Option<PathBuf>,
    output: Option<PathBuf>,
    in_place: bool,
    casts: Vec<String>,
    ties: String,
    alone: bool,
    protocol: Option<u8>,
    max_shard_size: Option<u64>,
    metadata: Vec<(String, String)>,
    weights_only: bool,
    overwrite: bool,
    save_plan: Option<PathBuf>,
}

/// What was done: counts by name, the file, bytes, files, what is worth knowing, and the plan.
type Done = (Vec<(&'static str, usize)>, Option<OsString>, u64, usize, Vec<Note>, String);

/// What was not done, and whether that is more than what every such file lacks.
type Note = (String, bool);

/// Renames, converts, or applies a recipe.
#[pyfunction]
pub(crate) fn rename_file(
    py: Python<'_>,
    request: Request,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<Done> {
    let job = request.job().map_err(|raised| raised.into_err(py))?;
    run(py, progress.as_ref(), |observer| Ok(done(&job.run(observer)?)))
}

impl Request {
    fn job(self) -> Result<Rename, Raised> {
        let direction = if self.inverse { Direction::Inverse } else { Direction::Forward };
        let rules = match &self.recipe {
            Some(recipe) => rules::recipe(recipe, direction)?,
            None => Rules::together(rules::parsed(&self.rules)?),
        };
        let casts = self.casts.iter().map(|text| CastRule::parse(text, SEPARATOR));
        let casts = casts.collect::<Result<_, _>>();
        let casts = casts.map_err(|error| Raised::new("failed", format!("dtype: {error}")))?;
        let destination = match self.output {
            Some(output) => Destination::File(output),
            None if self.in_place => Destination::InPlace,
            None => Destination::Nowhere,
        };
        let dry_run = destination == Destination::Nowhere;
        Ok(Rename {
            file: self.path,
            at: self.at,
            rules,
            sizes: SizeSources { set: rules::sizes(self.sizes), config: self.config },
            policy: self.choices.policy(),
            metadata: MetadataEdits { set: self.metadata, drop: Vec::new() },
            destination,
            encoding: Encoding {
                casting: Casting { rules: casts },
                ties: if self.ties == "one" { Ties::One } else { Ties::Each },
                extent: if self.alone { Extent::Alone } else { Extent::Whole },
                pickles: self.protocol.map_or(Pickles::Kept, |_| Pickles::Protocol2),
                companions: if self.weights_only {
                    Companions::LeftOut
                } else {
                    Companions::Copied
                },
                sharding: sharding(self.max_shard_size)?,
                ..Encoding::default()
            },
            strictness: if self.choices.strict { Strictness::Refuse } else { Strictness::Note },
            existing: if self.overwrite { Existing::Replace } else { Existing::Refuse },
            save_plan: self.save_plan,
            dry_run,
            ..Rename::default()
        })
    }
}

fn sharding(limit: Option<u64>) -> Result<Option<Sharding>, Raised> {
    let Some(limit) = limit else { return Ok(None) };
    let format = sharded_formats().next_back();
    let format = format.ok_or_else(|| Raised::new("unsupported", "no format has shards"))?;
    Ok(Some(Sharding { limit, format }))
}

fn done(outcome: &Outcome) -> Done {
    let counts = outcome.counts();
    let counts = vec![
        ("renamed", counts.renamed),
        ("unchanged", counts.unchanged),
        ("dropped", counts.dropped),
        ("regrouped", counts.regrouped),
        ("made", counts.made),
        ("cast", outcome.casts().count()),
        ("unmatched", outcome.planned.unmatched_keys),
    ];
    let plan = outcome.planned.plan.to_json();
    let output = outcome.output.clone().map(PathBuf::into_os_string);
    (counts, output, outcome.bytes, outcome.files, notes(outcome), plan)
}

/// What was not done, or not wholly.
fn notes(outcome: &Outcome) -> Vec<Note> {
    let unused = outcome.planned.unused_rules.iter().map(|rule| format!("'{rule}' matches no key"));
    let mut notes: Vec<String> = unused.collect();
    notes.extend(not_followed(&outcome.mentions));
    if let Some(uncast) = &outcome.uncast {
        notes.extend(uncast.unused_rules.iter().map(|it| format!("dtype: '{it}' matches no key")));
        notes.extend(uncast.tensors.iter().map(not_cast));
    }
    notes.extend(outcome.overflows.iter().map(|overflow| {
        let values = overflowed_values(&overflow.to, overflow.values);
        format!("{values} of '{}' became {}", overflow.key, overflow_result(&overflow.to))
    }));
    let left = &outcome.side_files.left;
    if !left.is_empty() {
        let names: Vec<String> = left.iter().map(|path| path.display().to_string()).collect();
        notes.push(format!("not carried along, other weights: {}", first_few(&names, NAMED)));
    }
    let mut notes: Vec<Note> = notes.into_iter().map(|note| (note, true)).collect();
    notes.extend(outcome.conversion.as_ref().into_iter().flat_map(of_conversion));
    notes
}

fn of_conversion(conversion: &Conversion) -> Vec<Note> {
    let mut notes = Vec::new();
    if !conversion.tied.is_empty() {
        let groups: Vec<String> = conversion.tied.iter().map(|keys| keys.join(" = ")).collect();
        let groups = first_few(&groups, NAMED);
        notes.push(match conversion.ties {
            Ties::Each => {
                let note = "shared tensors duplicated (ties='one' stores them once)";
                (format!("{note}: {groups}"), true)
            }
            Ties::One => (format!("ties written once, under the first key: {groups}"), false),
        });
    }
    if !conversion.omitted.is_empty() {
        let because = match conversion.because {
            OmittedBecause::Alone => "not written, because of alone=True",
            OmittedBecause::Extracted => "not written, since only the state dict is extracted",
            OmittedBecause::TensorsOnly => "not written, since only tensors are taken",
            OmittedBecause::Shards => "not written, since shards hold only the state dict",
            OmittedBecause::Encoded => "not written, since only the tensors are encoded again",
            OmittedBecause::Format => "not written, the format cannot store it",
        };
        let Omitted { keys, metadata, payload } = &conversion.omitted;
        let has_more = payload.iter().any(|(path, _)| path != MODULES);
        let is_loud = has_more || !keys.is_empty() || !metadata.is_empty();
        notes.push((format!("{because}: {}", omitted(&conversion.omitted)), is_loud));
    }
    notes
}
