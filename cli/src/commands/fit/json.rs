//! What fits and what does not, as JSON.

use std::io::Write;

use serde::Serialize;
use statedict::core::fit::{Ambiguous, FitPair, InitSource, Made, ShapeMismatch, TargetTensor};
use statedict::jobs::fit::Outcome;

use crate::commands::fit::{FitRequest, ambiguous, report};
use crate::commands::rename::json::Retexted;
use crate::failure::Failure;
use crate::json::{SCHEMA_VERSION, path_bytes, put};

/// The object of `fit --json`.
#[derive(Serialize)]
struct Object<'a> {
    schema_version: u32,
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_bytes: Option<String>,
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_bytes: Option<String>,
    output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_bytes: Option<String>,
    written: bool,
    fits: bool,
    /// The recipe of the library by which it fits, if one was applied before.
    #[serde(skip_serializing_if = "Option::is_none")]
    recipe: Option<&'a str>,
    pairs: Vec<Pair<'a>>,
    /// What the recipe makes of several tensors, or of parts of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    computed: Vec<Computed<'a>>,
    made: Vec<New<'a>>,
    misfits: Vec<Other<'a>>,
    missing: Vec<Needed<'a>>,
    unused: &'a [String],
    skipped: &'a [String],
    open: Vec<Choice<'a>>,
    left_behind: Vec<String>,
    metadata: Vec<Retexted<'a>>,
}

#[derive(Serialize)]
struct Pair<'a> {
    from: &'a str,
    to: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cast: Option<[&'a str; 2]>,
}

#[derive(Serialize)]
struct Computed<'a> {
    to: &'a str,
    of: &'a [String],
}

#[derive(Serialize)]
struct New<'a> {
    key: &'a str,
    by: String,
}

#[derive(Serialize)]
struct Other<'a> {
    from: &'a str,
    to: &'a str,
    has: &'a [u64],
    wants: &'a [u64],
}

#[derive(Serialize)]
struct Needed<'a> {
    key: &'a str,
    dtype: &'a str,
    shape: &'a [u64],
}

#[derive(Serialize)]
struct Choice<'a> {
    from: &'a [String],
    to: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
}

/// One object with all that was found.
pub(crate) fn fit(
    request: &FitRequest,
    outcome: &Outcome,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (fit, made_of) = (&outcome.fit, outcome.result.as_ref().ok());
    let omitted = made_of.map(|summary| &summary.omitted);
    let keys = omitted.iter().flat_map(|it| it.keys.iter().map(|(key, _)| key.clone()));
    let metadata = omitted.iter().flat_map(|it| it.metadata.iter().cloned());
    let payload = omitted.iter().flat_map(|it| it.payload.iter().map(|(at, _)| at.clone()));
    let target = &request.job.target.file;
    let object = Object {
        schema_version: SCHEMA_VERSION,
        file: outcome.source.path.display().to_string(),
        file_bytes: path_bytes(&outcome.source.path),
        target: target.display().to_string(),
        target_bytes: path_bytes(target),
        output: outcome.output.as_ref().map(|path| path.display().to_string()),
        output_bytes: outcome.output.as_deref().and_then(path_bytes),
        written: outcome.output.is_some(),
        fits: made_of.is_some(),
        recipe: outcome.recipe.as_deref(),
        pairs: fit.pairs.iter().map(Pair::of).collect(),
        computed: outcome.computed.iter().map(|it| Computed { to: &it.to, of: &it.of }).collect(),
        made: made_of.iter().flat_map(|it| it.made.iter().map(New::of)).collect(),
        misfits: fit.misfits.iter().map(Other::of).collect(),
        missing: fit.missing.iter().map(Needed::of).collect(),
        unused: &fit.unused,
        skipped: &fit.skipped,
        open: fit.open.iter().map(Choice::of).collect(),
        left_behind: keys.chain(metadata).chain(payload).collect(),
        metadata: made_of.iter().flat_map(|it| it.metadata.iter().map(Retexted::of)).collect(),
    };
    put(&object, out)?;
    Ok(writeln!(out)?)
}

impl<'a> Choice<'a> {
    fn of(open: &'a Ambiguous) -> Choice<'a> {
        let why = open.why.map(ambiguous::uncertainty);
        Choice { from: &open.from, to: &open.to, why }
    }
}

impl<'a> Pair<'a> {
    fn of(pair: &'a FitPair) -> Pair<'a> {
        let cast = pair.cast.as_ref().map(|(from, to)| [from.name(), to.name()]);
        Pair { from: &pair.from, to: &pair.to, reason: report::reason(&pair.reason), cast }
    }
}

impl<'a> New<'a> {
    fn of(made: &'a Made) -> New<'a> {
        let by = match &made.how {
            InitSource::Init(init) => init.to_string(),
            InitSource::Rows { .. } => "rows".into(),
            InitSource::Resized { from } => report::resized(from, &made.wanted.shape),
            InitSource::Counter => "zeros".into(),
        };
        New { key: &made.wanted.key, by }
    }
}

impl<'a> Other<'a> {
    fn of(misfit: &'a ShapeMismatch) -> Other<'a> {
        let ShapeMismatch { from, has, wanted, .. } = misfit;
        Other { from, to: &wanted.key, has, wants: &wanted.shape }
    }
}

impl<'a> Needed<'a> {
    fn of(wanted: &'a TargetTensor) -> Needed<'a> {
        Needed { key: &wanted.key, dtype: wanted.dtype.name(), shape: &wanted.shape }
    }
}
