//! Files in memory, and layouts built from them.

#![allow(dead_code, reason = "each test file uses its own part")]

use statedict_core::{Format, Headroom, Layout, Part, Policy, Rule, plan};
use statedict_safetensors::SAFETENSORS;

/// A file of a header and data, without padding.
pub(crate) fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// The header's text, padding included.
pub(crate) fn header_of(file: &[u8]) -> &str {
    let (len, rest) = file.split_first_chunk().expect("a length");
    let len = u64::from_le_bytes(*len) as usize;
    std::str::from_utf8(&rest[..len]).expect("a text")
}

/// The bytes of a layout whose tensors need no computing.
pub(crate) fn built(layout: &Layout, source: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    for part in layout.parts() {
        match part {
            Part::Copy(range) => file.extend(&source[range.start as usize..range.end as usize]),
            Part::New(bytes) => file.extend(bytes),
            other => panic!("{other:?} is not expected here"),
        }
    }
    assert_eq!(file.len() as u64, layout.len());
    file
}

/// The file after these rules, or the message that says why not.
pub(crate) fn renamed(file: &[u8], rules: &[&str]) -> Result<Vec<u8>, String> {
    let container = SAFETENSORS.open(&file).expect("sound").expect("safetensors");
    let catalog = container.catalog();
    let stages: Vec<Rule> = rules.iter().map(|rule| rule.parse().expect("a rule")).collect();
    let state_dicts = catalog.select(None).expect("one");
    let planned = plan(&stages, catalog, &state_dicts, Policy::default()).expect("a plan");
    let layout =
        container.rewrite(&planned.plan, Headroom::Usual).map_err(|fault| fault.to_string())?;
    Ok(built(&layout, file))
}
