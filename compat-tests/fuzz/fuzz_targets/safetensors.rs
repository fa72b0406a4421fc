//! A safetensors file of any bytes, held against the reference reader.
//!
//! Differences that are accepted: a key or a member of the metadata that appears twice, of which
//! the reference silently takes the last, is refused or kept here; types that only one of the two
//! knows.
#![no_main]

use std::collections::HashSet;

use compat_tests::mutation::{Swarm, change_bytes};
use safetensors::{Dtype, SafeTensors};
use statedict_core::{Catalog, Data, Fault, Format, Location};
use statedict_safetensors::SAFETENSORS;

/// A short header takes half of what libFuzzer takes to account for it.
const SWARM: Swarm = Swarm { size: 64, mutate: change_bytes };

libfuzzer_sys::fuzz_target!(init: SWARM.announce(), |file: &[u8]| {
    SWARM.each(file, judge);
});

/// We read what the reference reads, and a rename does what it says.
fn judge(file: &[u8]) {
    let ours = SAFETENSORS.open(&file);
    let reference = SafeTensors::deserialize(file);
    match (ours, reference) {
        (Ok(Some(ours)), Ok(reference)) => same(ours.catalog(), &reference, file),
        (Ok(Some(ours)), Err(error)) => panic!("{:?}, not read: {error}", ours.catalog()),
        (Err(Fault::Unsupported(_)), _) | (_, Err(_)) => {}
        (Err(fault), Ok(reference)) => {
            let said = fault.to_string();
            let repeats = said.contains("twice") || repeats_a_key(file, &reference);
            assert!(repeats, "read by the reference: {said}");
        }
        // The first bytes decide whose a file is, and the reference takes any for its own.
        (Ok(None), Ok(_)) => {}
    }
    compat_tests::trial(file);
}

/// True if more tensors are in the header than the reference found names for.
fn repeats_a_key(file: &[u8], reference: &SafeTensors<'_>) -> bool {
    let field = b"data_offsets";
    file.windows(field.len()).filter(|window| window == field).count() > reference.len()
}

/// Both list the same tensors at the same places.
fn same(catalog: &Catalog, reference: &SafeTensors<'_>, file: &[u8]) {
    let names: HashSet<&str> = reference.names().into_iter().collect();
    assert_eq!(names.len(), catalog.rows.len());
    for row in &catalog.rows {
        let theirs = reference.tensor(row.key.as_str()).expect("both list it");
        let shape: Vec<u64> = theirs.shape().iter().map(|size| *size as u64).collect();
        assert_eq!(row.tensor.shape, shape);
        assert_eq!(row.tensor.dtype.name(), name(theirs.dtype()));
        let Data::View(view) = &row.tensor.data else { panic!("plain elements only") };
        let Location::Stored(range) = &view.storage().location else { panic!("stored as it is") };
        assert_eq!(&file[range.start as usize..range.end as usize], theirs.data());
    }
}

/// A type as the header spells it.
fn name(dtype: Dtype) -> String {
    serde_json::to_value(dtype)
        .ok()
        .and_then(|name| Some(name.as_str()?.to_string()))
        .expect("a name")
}
