//! Which key became which, from what comparing the elements showed.

use std::sync::Arc;

use statedict_core::{
    Catalog, DType, Storage, Tensor,
    derive::{Alike, Axis, Derivation, Evidence, Side, Slice},
    diff::{self, Entry},
};

/// A catalog of tensors of two elements.
fn catalog(keys: &[&str]) -> Catalog {
    let tensor = || {
        let storage = Arc::new(Storage::stored(0..8));
        Tensor::dense(DType::F32, vec![2], 0, storage).expect("within")
    };
    Catalog::flat(keys.iter().map(|key| (key.to_string(), tensor()))).expect("unique")
}

fn entries(catalog: &Catalog) -> Vec<Entry<'_>> {
    diff::Side { catalog, state_dict: &catalog.state_dicts[0] }.entries().collect()
}

/// Tensors of one number, or not, under these keys of each side.
struct Same<'k>(&'k [&'k str], &'k [&'k str]);

/// What is found where these tensors are the same, those that are one number after the others.
fn derived(a: &[&str], b: &[&str], same: &[Same], constant: &[Same]) -> Derivation {
    let (in_a, in_b) = (catalog(a), catalog(b));
    let places = |all: &[&str], keys: &[&str]| {
        let place = |key: &&str| all.iter().position(|it| it == key).expect("a key");
        let mut places: Vec<usize> = keys.iter().map(place).collect();
        places.sort_unstable();
        places
    };
    let alike = |same: &Same, is_constant| Alike {
        a: places(a, same.0),
        b: places(b, same.1),
        is_constant,
    };
    let all = same.iter().map(|it| alike(it, false));
    let alike = all.chain(constant.iter().map(|it| alike(it, true))).collect();
    let evidence = Evidence { alike, ..Evidence::default() };
    Derivation::new(&entries(&in_a), &entries(&in_b), &evidence)
}

fn pairs(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(old, new)| (old.as_str(), new.as_str())).collect()
}

fn open(found: &Derivation) -> Vec<(&str, Vec<&str>)> {
    let open = found.open.iter();
    open.map(|it| (it.key.as_str(), it.candidates.iter().map(String::as_str).collect())).collect()
}

fn rules(found: &Derivation) -> Vec<String> {
    found.rules.stages.iter().map(ToString::to_string).collect()
}

#[test]
fn elements_under_one_key_of_each_side_decide() {
    let found =
        derived(&["a", "b"], &["x", "y"], &[Same(&["a"], &["y"]), Same(&["b"], &["x"])], &[]);
    assert_eq!(pairs(&found.pairs), [("a", "y"), ("b", "x")]);
    assert!(found.is_complete());
}

#[test]
fn one_number_alone_decides_nothing() {
    let found = derived(&["a.bias"], &["x.bias"], &[], &[Same(&["a.bias"], &["x.bias"])]);
    assert_eq!(pairs(&found.pairs), []);
    assert_eq!(open(&found), [("x.bias", vec!["a.bias"])]);
    assert!(rules(&found).is_empty() && !found.is_complete());
}

#[test]
fn tensors_that_are_alike_go_where_the_rules_send_them() {
    let a = ["l.0.w", "l.0.b", "l.1.w", "l.1.b"];
    let b = ["m.1.w", "m.1.b", "m.2.w", "m.2.b"];
    let same = [Same(&["l.0.w"], &["m.1.w"]), Same(&["l.1.w"], &["m.2.w"])];
    let found = derived(&a, &b, &same, &[Same(&["l.0.b", "l.1.b"], &["m.1.b", "m.2.b"])]);
    let expected = [("l.0.w", "m.1.w"), ("l.0.b", "m.1.b"), ("l.1.w", "m.2.w"), ("l.1.b", "m.2.b")];
    assert_eq!(pairs(&found.pairs), expected);
    assert_eq!(rules(&found), ["rename:l.{i}.{rest..} -> m.{i+1}.{rest..}"]);
}

#[test]
fn siblings_show_the_way_where_no_rule_does() {
    let same = [Same(&["fc.w"], &["head.w"])];
    let found =
        derived(&["fc.w", "fc.b"], &["head.w", "head.b"], &same, &[Same(&["fc.b"], &["head.b"])]);
    assert_eq!(pairs(&found.pairs), [("fc.w", "head.w"), ("fc.b", "head.b")]);
}

#[test]
fn where_nothing_leads_nothing_is_guessed() {
    let same = [Same(&["a.0.w"], &["x.0.w"]), Same(&["a.1.w"], &["x.1.w"])];
    let zeros = Same(&["a.0.n", "a.1.n"], &["x.0.m", "x.1.m"]);
    let found = derived(
        &["a.0.w", "a.0.n", "a.1.w", "a.1.n"],
        &["x.0.w", "x.0.m", "x.1.w", "x.1.m"],
        &same,
        &[zeros],
    );
    assert_eq!(pairs(&found.pairs), [("a.0.w", "x.0.w"), ("a.1.w", "x.1.w")]);
    let both = vec!["a.0.n", "a.1.n"];
    assert_eq!(open(&found), [("x.0.m", both.clone()), ("x.1.m", both)]);
}

#[test]
fn a_key_that_stays_among_those_that_stay_is_paired_with_itself() {
    let same = [Same(&["a.w"], &["a.w"])];
    let found =
        derived(&["a.w", "a.n", "b.n"], &["a.w", "a.n"], &same, &[Same(&["a.n", "b.n"], &["a.n"])]);
    assert_eq!(pairs(&found.pairs), [("a.w", "a.w"), ("a.n", "a.n")]);
    assert!(found.is_complete());
}

#[test]
fn a_key_does_not_stay_where_its_module_has_gone() {
    let same = [Same(&["l.0.w"], &["l.1.w"])];
    let found =
        derived(&["l.0.w", "l.0.n"], &["l.1.w", "l.0.n"], &same, &[Same(&["l.0.n"], &["l.0.n"])]);
    assert_eq!(pairs(&found.pairs), [("l.0.w", "l.1.w")]);
    assert_eq!(open(&found), [("l.0.n", vec!["l.0.n"])]);
}

#[test]
fn values_that_are_not_tensors_are_matched_by_name() {
    let keys = Catalog::of_keys(["epoch", "only.a"]).expect("unique");
    let other = Catalog::of_keys(["epoch", "only.b"]).expect("unique");
    let found = Derivation::new(&entries(&keys), &entries(&other), &Evidence::default());
    assert_eq!(pairs(&found.pairs), [("epoch", "epoch")]);
    assert_eq!(open(&found), [("only.b", vec![])]);
    assert_eq!(found.dropped, ["only.a"]);
}

#[test]
fn keys_of_other_elements_go_by_the_rules_and_that_is_said() {
    let a = ["m.a.w", "m.b.w", "m.head.w", "m.old"];
    let b = ["a.w", "b.w", "head.w"];
    let same = [Same(&["m.a.w"], &["a.w"]), Same(&["m.b.w"], &["b.w"])];
    let found = derived(&a, &b, &same, &[]);
    assert_eq!(pairs(&found.by_name), [("m.head.w", "head.w")]);
    assert_eq!(found.dropped, ["m.old"]);
    assert_eq!(rules(&found), ["drop:m.old", "rename:m.{rest..} -> {rest..}"]);
    assert!(open(&found).is_empty() && !found.is_complete());
}

fn portion(part: usize, start: u64, end: u64) -> Slice {
    let (whole, owner, lines) = (0, Side::B, Axis::Rows);
    Slice { part, whole, owner, start, end, lines, is_transposed: false }
}

#[test]
fn a_whole_is_reported_when_its_parts_cover_it() {
    let (a, b) = (catalog(&["q", "k"]), catalog(&["qk"]));
    let check = |portions: Vec<Slice>, expected: &[&str]| {
        let evidence = Evidence { portions, ..Evidence::default() };
        let found = Derivation::new(&entries(&a), &entries(&b), &evidence);
        let open: Vec<&str> = found.open.iter().map(|it| it.key.as_str()).collect();
        assert_eq!(open, expected);
        assert!(!found.is_complete());
        found.dropped
    };
    assert!(check(vec![portion(0, 0, 1), portion(1, 1, 2)], &[]).is_empty());
    assert_eq!(check(vec![portion(1, 1, 2)], &["qk"]), ["q"]);
    assert_eq!(check(vec![portion(0, 0, 1)], &["qk"]), ["k"]);
}
