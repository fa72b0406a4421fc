//! Everything that is done with a file in memory, and what must hold after it.
//!
//! Fuzzing and the tests of damaged files put bytes through [`trial`]; it panics where a promise is
//! broken, whatever the bytes are.

use serde_json::json;
use statedict_checkpoint::FORMATS;
use statedict_core::{
    Catalog, Container, Elements, Fault, Format, Growth, Headroom, Key, Layout, Part, Plan, Policy,
    Rule, Source, StateDict, TensorEntry, Unmatched, plan,
};

/// How far a file got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// No format says that the bytes are its own.
    Foreign,
    /// The format says what is wrong.
    Refused,
    /// It was listed; nothing in it can be renamed.
    Listed,
    /// Its keys were renamed, and the result was what was planned.
    Renamed,
}

/// The prefix that keys get, which no seed has.
const PREFIX: &str = "trial";

/// Opens a file, lists it, renames its keys and back again, all in memory.
///
/// # Panics
/// If a rename that succeeds does not reopen to the renamed catalog, or the way back does not lead
/// to the catalog, payload and metadata that were there.
pub fn trial(bytes: &[u8]) -> Trial {
    let file = match open(bytes) {
        Ok(Some(file)) => file,
        Ok(None) => return Trial::Foreign,
        Err(_) => return Trial::Refused,
    };
    let seen = Seen::of(file.as_ref(), bytes);
    let Some(plan) = prefixed(file.catalog()) else { return Trial::Listed };
    if let Ok(layout) = file.rewrite_plainly(&plan, Headroom::Usual) {
        reopened(&written(&layout, bytes), "written plainly");
    }
    if let Some(first) = dropped(file.catalog())
        && let Ok(layout) = file.rewrite(&first, Headroom::Usual)
    {
        reopened(&written(&layout, bytes), "with a key dropped");
    }
    let Ok(layout) = file.rewrite(&plan, Headroom::Usual) else { return Trial::Listed };
    let renamed = written(&layout, bytes);
    let again = reopened(&renamed, "renamed");
    assert_eq!(again.kind(), file.rewritten_as());
    seen.is_renamed(&Seen::of(again.as_ref(), &renamed), file.catalog(), &plan);
    revised(file.as_ref(), bytes, &plan, again.as_ref(), &renamed);
    if !is_nested(&plan) {
        let back = again
            .rewrite(&plan.invert().expect("of names alone"), Headroom::Usual)
            .expect("the way back is a rename too");
        let back = written(&back, &renamed);
        assert_eq!(Seen::of(reopened(&back, "renamed back").as_ref(), &back), seen);
    }
    Trial::Renamed
}

/// The container of the first format whose bytes they are.
fn open(bytes: &[u8]) -> Result<Option<Box<dyn Container>>, Fault> {
    for &format in FORMATS {
        if let Some(file) = Format::open(format, &bytes)? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

fn reopened(bytes: &[u8], how: &str) -> Box<dyn Container> {
    match open(bytes) {
        Ok(Some(file)) => file,
        Ok(None) => panic!("the file {how} is of no format"),
        Err(fault) => panic!("the file {how} does not open: {fault}"),
    }
}

/// A plan that puts a prefix before every key that can be renamed; none if there are no such keys.
fn prefixed(catalog: &Catalog) -> Option<Plan> {
    let add: Rule = format!("add:{PREFIX}").parse().expect("a rule");
    let policy = Policy { unmatched: Unmatched::Allow, ..Policy::default() };
    let renamable: Vec<&StateDict> =
        catalog.state_dicts.iter().filter(|s| s.fixed.is_none() && !s.is_empty()).collect();
    let planned = plan(&[add], catalog, &renamable, policy).ok()?;
    (!renamable.is_empty()).then_some(planned.plan)
}

/// A plan that takes out the first key of the first state dict, if tensors are left: an archive of
/// other things alone is not an npz.
fn dropped(catalog: &Catalog) -> Option<Plan> {
    if catalog.rows.len() < 2 {
        return None;
    }
    let state_dict = catalog.state_dicts.first().filter(|s| s.fixed.is_none())?;
    let key = state_dict.keys().next()?;
    let section = json!({ "at": state_dict.path, "keys": [[key, null]] });
    let json = json!({ "statedict_plan": 1, "state_dicts": [section] });
    Some(Plan::from_json(&json.to_string()).expect("a plan"))
}

/// Where a container can revise its file, the outcome holds what a rewrite holds.
fn revised(file: &dyn Container, old: &[u8], plan: &Plan, again: &dyn Container, renamed: &[u8]) {
    for growth in [Growth::Within, Growth::Insert { block: 4096 }] {
        let Ok(Some(layout)) = file.rewrite_in_place(plan, growth) else { continue };
        let edits = layout.edits().expect("a revision only writes around what is there");
        assert!(edits.inserted == 0 || growth != Growth::Within, "nothing may move");
        let new = written(&layout, old);
        let found = reopened(&new, "revised");
        assert_eq!(Seen::of(found.as_ref(), &new), Seen::of(again, renamed));
    }
}

/// True if a renamed key may be part of another state dict's path.
fn is_nested(plan: &Plan) -> bool {
    let ats: Vec<&str> = plan.sections().iter().map(|section| section.path()).collect();
    let is_below_other = |(i, at): (usize, &&str)| {
        ats.iter().enumerate().any(|(j, above)| i != j && is_below(at, above))
    };
    ats.iter().enumerate().any(is_below_other)
}

fn is_below(at: &str, above: &str) -> bool {
    let rest = at.strip_prefix(above);
    above.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What a file holds, apart from where in the file it is.
#[derive(Debug, PartialEq)]
struct Seen {
    rows: Vec<SeenRow>,
    /// The keys of each state dict, with its path and other paths to it.
    state_dicts: Vec<(String, Vec<String>, Vec<String>)>,
    /// As text, since a float may be NaN, which equals nothing.
    payload: String,
    metadata: Vec<(String, String)>,
}

/// A tensor, with its elements where they are side by side.
#[derive(Debug, PartialEq)]
struct SeenRow {
    at: String,
    key: Key,
    what: String,
    elements: Option<Vec<u8>>,
}

impl Seen {
    fn of(file: &dyn Container, bytes: &[u8]) -> Seen {
        let catalog = file.catalog();
        let keys = |s: &StateDict| s.keys().map(str::to_string).collect();
        Seen {
            rows: catalog.rows.iter().map(|row| SeenRow::of(row, bytes)).collect(),
            state_dicts: catalog
                .state_dicts
                .iter()
                .map(|s| (s.path.clone(), s.aliases.clone(), keys(s)))
                .collect(),
            payload: format!("{:?}", file.payload().ok()),
            metadata: file.metadata(),
        }
    }

    /// The same tensors are in the same order in the new file, under the names of the plan.
    fn is_renamed(&self, new: &Seen, catalog: &Catalog, plan: &Plan) {
        assert_eq!(self.rows.len(), new.rows.len(), "tensors");
        for (old, new) in self.rows.iter().zip(&new.rows) {
            assert_eq!((&old.what, &old.elements), (&new.what, &new.elements), "{:?}", old.key);
            let expected = expected(old, catalog, plan);
            assert!(expected.is_none_or(|key| key == new.key), "{:?} at '{}'", new.key, old.at);
        }
        let count = |seen: &Seen| seen.state_dicts.iter().map(|s| s.2.len()).collect::<Vec<_>>();
        assert_eq!(count(self), count(new), "keys");
    }
}

/// The key that a plan gives a tensor; none where its path does not say which state dict holds it.
fn expected(row: &SeenRow, catalog: &Catalog, plan: &Plan) -> Option<Key> {
    let mut holders = catalog.state_dicts.iter().filter(|s| s.is_at(&row.at));
    let (Some(holder), None) = (holders.next(), holders.next()) else { return None };
    match (&row.key, plan.section(&holder.path)) {
        (Key::Text(key), Some(section)) => {
            let fate = section.fate(key)?.expect("nothing is dropped");
            Some(Key::Text(fate.into()))
        }
        (key, _) => Some(key.clone()),
    }
}

impl SeenRow {
    fn of(row: &TensorEntry, bytes: &[u8]) -> SeenRow {
        let elements = Elements::new(row.tensor.clone(), None).ok();
        let elements = elements.and_then(|elements| elements.verbatim());
        SeenRow {
            at: row.path.to_string(),
            key: row.key.clone(),
            what: format!("{} {:?}", row.tensor.dtype, row.tensor.shape),
            elements: elements.map(|range| bytes.bytes(range).expect("a tensor is in its file")),
        }
    }
}

/// A layout as bytes, its copies taken from `source`.
///
/// # Panics
/// If it computes tensors, which no rename does, or if its length is not what it says.
pub fn written(layout: &Layout, source: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    let mut starts = Vec::new();
    for part in layout.parts() {
        starts.push(out.len());
        match part {
            Part::Copy(range) => {
                out.extend(source.bytes(range.clone()).expect("a copy is of the source"));
            }
            Part::New(bytes) => out.extend(bytes),
            Part::Crc32(span) => {
                let covered = &out[starts[span.parts.start]..starts[span.parts.end]];
                out.extend(crc32fast::hash(covered).to_le_bytes());
            }
            Part::Elements(_) => panic!("a rename computes no tensor"),
        }
    }
    assert_eq!(out.len() as u64, layout.len(), "the length is known before");
    out
}
