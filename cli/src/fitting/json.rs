//! What fits and what does not, as JSON.

use std::io::{self, Write};

use serde::Serialize;
use statedict_core::fit::{Ambiguous, FitPair, InitSource, Made, ShapeMismatch, TargetTensor};

use crate::failure::Failure;
use crate::fitting::{Fitted, report};
use crate::json::path_bytes;

/// The object of `fit --json`.
#[derive(Serialize)]
struct Object<'a> {
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
    pairs: Vec<Pair<'a>>,
    made: Vec<New<'a>>,
    misfits: Vec<Other<'a>>,
    missing: Vec<Needed<'a>>,
    unused: &'a [String],
    skipped: &'a [String],
    open: Vec<Choice<'a>>,
    left_behind: Vec<String>,
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
}

/// One object with all that was found.
pub(crate) fn fit(fitted: &Fitted, out: &mut dyn Write) -> Result<(), Failure> {
    let (fit, put) = (fitted.fit, fitted.result.as_ref().ok());
    let left = put.map(|put| &put.left);
    let keys = left.iter().flat_map(|left| left.keys.iter().map(|(key, _)| key.clone()));
    let payload = left.iter().flat_map(|left| left.payload.iter().map(|(at, _)| at.clone()));
    let object = Object {
        file: fitted.source.path().display().to_string(),
        file_bytes: path_bytes(fitted.source.path()),
        target: fitted.target.display().to_string(),
        target_bytes: path_bytes(fitted.target),
        output: fitted.output.map(|path| path.display().to_string()),
        output_bytes: fitted.output.and_then(path_bytes),
        written: fitted.output.is_some() && put.is_some(),
        fits: put.is_some(),
        pairs: fit.pairs.iter().map(Pair::of).collect(),
        made: put.iter().flat_map(|put| put.made.iter().map(New::of)).collect(),
        misfits: fit.misfits.iter().map(Other::of).collect(),
        missing: fit.missing.iter().map(Needed::of).collect(),
        unused: &fit.unused,
        skipped: &fit.skipped,
        open: fit.open.iter().map(|Ambiguous { from, to }| Choice { from, to }).collect(),
        left_behind: keys.chain(payload).collect(),
    };
    serde_json::to_writer(&mut *out, &object).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
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
