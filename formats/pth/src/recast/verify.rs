//! A second look at a pickle whose tensors were cast, before anything is written.

use std::collections::HashSet;
use std::sync::Arc;

use statedict_core::{Catalog, DType, Fault, Key, Location, Plan, Section, Storage};

use crate::pickle::Graph;
use crate::tensors::{StorageId, Storages};
use crate::walk::{Surroundings, walk};

/// Sees to it that the tensors of a pickle have the types that a plan gives them, and no others.
///
/// Pickles can share and fetch in ways that no pickler uses, and a file with a tensor of the wrong
/// type is worse than none.
///
/// # Errors
/// A tensor whose type is not as planned.
pub(crate) fn verify(new: &Graph<'_>, old: &Catalog, plan: &Plan) -> Result<(), Fault> {
    let pickle = Location::Stored(0..new.pickle.len() as u64);
    let around = Surroundings { storages: &mut AsNamed, code: None, pickle };
    let found = walk(new, around)?.catalog;
    let expected = expected(old, plan);
    let found: Vec<_> =
        found.rows.iter().map(|row| (&row.tensor.dtype, &row.tensor.shape)).collect();
    if expected.len() != found.len() {
        let what = format!("{} tensors would become {}", expected.len(), found.len());
        return Err(Fault::Unsupported(format!("tensors cannot be cast inside this file: {what}")));
    }
    for ((path, dtype, shape), found) in expected.iter().zip(found) {
        if (*dtype, *shape) != found {
            let what = format!("'{path}' would become {} instead of {dtype}", found.0);
            let what = format!("tensors cannot be cast inside this file: {what}");
            return Err(Fault::Unsupported(what));
        }
    }
    Ok(())
}

/// The tensors that a plan leaves, in file order: path, type and shape.
fn expected<'c>(old: &'c Catalog, plan: &'c Plan) -> Vec<(String, &'c DType, &'c Vec<u64>)> {
    let mut dropped = HashSet::new();
    let mut paths = Vec::new();
    for section in plan.sections() {
        let Some(state_dict) = old.state_dict_at(section.path()) else { continue };
        for at in std::iter::once(&state_dict.path).chain(&state_dict.aliases) {
            paths.push((at.as_str(), section));
            dropped.extend(
                section
                    .dropped()
                    .map(|key| if at.is_empty() { key.into() } else { format!("{at}/{key}") }),
            );
        }
    }
    let mut expected = Vec::new();
    for row in &old.rows {
        let path = row.full_path();
        let mut ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        if !dropped.is_empty() && ends.any(|end| dropped.contains(&path[..end])) {
            continue;
        }
        let section = paths.iter().find(|(at, _)| **at == *row.path).map(|(_, section)| *section);
        let cast = section.and_then(|section| cast(section, &row.key));
        expected.push((path, cast.unwrap_or(&row.tensor.dtype), &row.tensor.shape));
    }
    expected
}

fn cast<'s>(section: &'s Section, key: &Key) -> Option<&'s DType> {
    match key {
        Key::Text(key) => section.cast(key),
        Key::Other(_) => None,
    }
}

/// Storages that are as their ids say, since none of them is written yet.
struct AsNamed;

impl Storages for AsNamed {
    fn find(&mut self, id: &StorageId) -> Result<Arc<Storage>, Fault> {
        let bytes = id.count.checked_mul(id.dtype.bits() / 8);
        let bytes = bytes.ok_or_else(|| Fault::broken("a storage is beyond counting"))?;
        let whole = id.slice(0..bytes)?;
        Ok(Arc::new(Storage::stored(whole)))
    }
}
