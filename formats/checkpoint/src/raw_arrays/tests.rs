//! A folder of raw arrays is listed, read, renamed, converted, compared and checked as any other.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use statedict_core::{
    Format, Headroom, Plan, Policy, Rule, TensorSet, Ties, Verdict,
    diff::{Diff, Matching, Side, Tolerance},
    plan,
};
use tempfile::TempDir;

use super::{INDEX, RAW_ARRAYS};
use crate::{Checkpoint, Existing, PendingFiles, System, check, compare, format_called};

const WEIGHT: [f32; 6] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];

/// A folder with `module.weight` and `module.bias`.
fn folder(root: &TempDir) -> PathBuf {
    let folder = root.path().join("in");
    fs::create_dir(&folder).expect("can be made");
    let bytes: Vec<u8> = WEIGHT.iter().flat_map(|number| number.to_le_bytes()).collect();
    fs::write(folder.join("w.raw"), bytes).expect("writable");
    fs::write(folder.join("b.raw"), [7, 8]).expect("writable");
    let index = br#"{"module.weight": {"file": "w.raw", "dtype": "F32", "shape": [2, 3]},
        "module.bias": {"file": "b.raw", "dtype": "U8", "shape": [2]}}"#;
    fs::write(folder.join(INDEX), index).expect("writable");
    folder
}

fn root() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn open(path: &Path) -> Checkpoint {
    Checkpoint::open(path).expect("a checkpoint")
}

fn keys(checkpoint: &Checkpoint) -> Vec<String> {
    checkpoint.catalog().rows.iter().map(|row| row.key.to_string()).collect()
}

fn planned(checkpoint: &Checkpoint, rules: &[&str]) -> Plan {
    let catalog = checkpoint.catalog();
    let rules: Vec<Rule> = rules.iter().map(|rule| rule.parse().expect("a rule")).collect();
    let state_dicts = catalog.select(None).expect("one");
    plan(&rules, catalog, &state_dicts, Policy::default()).expect("a plan").plan
}

/// All tensors of a checkpoint in another format.
fn converted(from: &Checkpoint, to: &dyn Format) -> PendingFiles {
    let plan = planned(from, &[]);
    let (state_dict, section) = (&from.catalog().state_dicts[0], &plan.sections()[0]);
    let gathered = TensorSet::gather(from.catalog(), state_dict, section, Ties::default());
    from.encode(to, &gathered.expect("plain tensors").0).expect("holdable")
}

fn differences(a: &Checkpoint, b: &Checkpoint) -> Diff {
    let [ours, theirs] = [a, b].map(|it| {
        let catalog = it.catalog();
        Side { catalog, state_dict: &catalog.state_dicts[0] }
    });
    compare(&Matching::new(ours, theirs), a, b, Tolerance::default()).expect("readable")
}

#[test]
fn it_is_found_by_its_folder_and_by_its_index_and_read() {
    let root = root();
    let folder = folder(&root);
    for path in [folder.clone(), folder.join(INDEX)] {
        let checkpoint = open(&path);
        assert_eq!((checkpoint.kind(), checkpoint.is_sharded()), ("raw", true));
        assert_eq!(keys(&checkpoint), ["module.weight", "module.bias"]);
        let weight = checkpoint.array::<f32>("module.weight").expect("readable");
        assert_eq!((weight.shape(), weight.as_slice()), (&[2, 3][..], Some(&WEIGHT[..])));
    }
}

#[test]
fn it_is_renamed_into_another_folder_and_where_it_is() {
    let root = root();
    let folder = folder(&root);
    let (out, checkpoint) = (root.path().join("out"), open(&folder));
    let plan = planned(&checkpoint, &["strip:module"]);
    let pending = checkpoint.rewrite(&plan, Headroom::Usual).expect("a layout");
    checkpoint.stage(&pending, &out, Existing::Refuse).expect("staged").commit().expect("placed");
    assert_eq!(keys(&open(&out)), ["weight", "bias"]);
    assert_eq!(open(&out).array::<u8>("bias").expect("readable").as_slice(), Some(&[7, 8][..]));

    let checkpoint = Checkpoint::open_to_replace(&folder, Arc::new(System)).expect("unlocked");
    let plan = planned(&checkpoint, &["drop:*.bias"]);
    let written = fs::metadata(folder.join("w.raw")).expect("there").modified().expect("known");
    checkpoint.rename(&plan, Headroom::Usual).expect("renamed");
    drop(checkpoint);
    assert_eq!(keys(&open(&folder)), ["module.weight"]);
    // Its arrays are not written again, and one that nothing leads to is gone.
    let after = fs::metadata(folder.join("w.raw")).expect("there").modified().expect("known");
    assert_eq!((after, folder.join("b.raw").exists()), (written, false));
}

#[test]
fn it_is_converted_from_and_to_and_the_same_by_comparison() {
    let root = root();
    let raw = open(&folder(&root));
    let (file, again) = (root.path().join("a.safetensors"), root.path().join("again"));
    let pending = converted(&raw, format_called("safetensors").expect("known"));
    raw.stage(&pending, &file, Existing::Refuse).expect("staged").commit().expect("placed");
    let safetensors = open(&file);
    let pending = converted(&safetensors, &RAW_ARRAYS);
    let staged = safetensors.stage(&pending, &again, Existing::Refuse);
    staged.expect("staged").commit().expect("placed");
    for other in [&safetensors, &open(&again)] {
        assert_eq!(keys(other).len(), 2);
        let diff = differences(&raw, other);
        assert!(diff.values.is_empty() && diff.not_compared.is_empty(), "{diff:?}");
    }
    fs::write(again.join("0.raw"), [0; 24]).expect("writable");
    assert_eq!(differences(&raw, &open(&again)).values.len(), 1);
}

#[test]
fn it_is_checked_with_its_files() {
    let root = root();
    let folder = folder(&root);
    let findings = |path: &Path| check(path).expect("readable").findings;
    // Raw bytes are nothing that `check` knows, and it says so of each.
    let by_name = |name: &str| {
        let found = findings(&folder);
        found.iter().any(|finding| finding.place.contains(name))
    };
    assert!(by_name("w.raw") && by_name("b.raw"));
    fs::write(folder.join("b.raw"), b"\x80\x02cos\nsystem\nX\x01\0\0\0a\x85R.").expect("writable");
    let worst = findings(&folder).iter().map(|finding| finding.verdict).max();
    assert_eq!(worst, Some(Verdict::Dangerous));
    let error = Checkpoint::open(&folder).expect_err("another length").to_string();
    assert!(error.contains("b.raw': expected 2 bytes, found"), "{error}");
    fs::remove_file(folder.join("w.raw")).expect("there");
    let error = Checkpoint::open(&folder).expect_err("missing").to_string();
    assert!(error.contains("w.raw': no such file"), "{error}");
}
