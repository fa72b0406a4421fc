//! `ls`: what a file holds.

use std::io::Write;

use statedict_core::{Catalog, NotSelected, TensorEntry, Value};

use crate::digests::Digests;
use crate::failure::Failure;
use crate::listing::{Listed, Listing, Shape};
use crate::opening::open;
use crate::{hints, json, payload, table, tree};

pub(crate) fn run(listing: &Listing, out: &mut dyn Write) -> Result<(), Failure> {
    let checkpoint = open(&listing.file)?;
    let rows = rows(checkpoint.catalog(), listing.at.as_deref()).map_err(|none| {
        Failure::could_not(format_args!("{}: {none}", listing.file.display()))
            .hints(hints::near_path(&none, "--at"))
    })?;
    let digests = listing.hashed.then(|| Digests::new(&checkpoint, &rows));
    let mut digests = digests.transpose()?;
    let listed = rows.into_iter().map(|row| {
        let digest = digests.as_mut().map(|digests| digests.of(&row.tensor));
        Ok::<_, Failure>(Listed { row, sha256: digest.transpose()?.flatten() })
    });
    match listing.shape {
        Shape::Json => json::listing(&checkpoint, listed, None, out),
        Shape::JsonWithPayload => {
            let payload = checkpoint.payload()?.unwrap_or(Value::None);
            json::listing(&checkpoint, listed, Some(&payload), out)
        }
        Shape::Payload => {
            payload::payload(checkpoint.payload()?.as_ref(), &checkpoint.metadata(), out)
        }
        Shape::Table => table::table(&checkpoint, &listed.collect::<Result<Vec<_>, _>>()?, out),
        Shape::Tree => tree::tree(&checkpoint, &listed.collect::<Result<Vec<_>, _>>()?, out),
    }
}

/// The rows at a path, or if there are none, below it.
fn rows<'a>(catalog: &'a Catalog, at: Option<&str>) -> Result<Vec<&'a TensorEntry>, NotSelected> {
    let Some(at) = at.filter(|at| *at != "*") else { return Ok(catalog.rows.iter().collect()) };
    let selected = catalog.select(Some(at)).map(|found| found.into_iter().next());
    let path = match &selected {
        Ok(Some(state_dict)) => state_dict.at.as_str(),
        _ => at.trim_end_matches('/'),
    };
    let rows_where = |is_wanted: &dyn Fn(&str) -> bool| -> Vec<&TensorEntry> {
        catalog.rows.iter().filter(|row| is_wanted(&row.at)).collect()
    };
    let exact = rows_where(&|row_at| row_at == path);
    if !exact.is_empty() {
        return Ok(exact);
    }
    let below =
        rows_where(&|row_at| row_at.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')));
    match below.is_empty() {
        true => selected.map(|_| below),
        false => Ok(below),
    }
}
