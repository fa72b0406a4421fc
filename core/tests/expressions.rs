//! Plans that compute tensors: what is saved, shown, evaluated and inverted.

mod stored;

use std::sync::Arc;

use statedict_core::{
    Catalog, DType, Elements, Expression, IndexMap, Issue, Key, Origination, Plan, Policy, Section,
    StateDict, Storage, Tensor, TensorEntry, TensorSet, Ties,
};
use stored::of_each;

/// A catalog of one state dict of 16-bit integers that fill a storage one after another.
fn catalog(tensors: &[(&str, &[u64])]) -> Catalog {
    let mut catalog = Catalog::default();
    let mut state_dict = StateDict::default();
    let storage = Arc::new(Storage::stored(0..1000));
    let mut offset = 0;
    for (key, shape) in tensors {
        let storage = storage.clone();
        let tensor = Tensor::dense(DType::I16, shape.to_vec(), offset, storage).expect("within");
        offset += tensor.count();
        state_dict.insert((*key).to_string(), Some(catalog.rows.len())).expect("a new key");
        let key = Key::Text((*key).into());
        catalog.rows.push(TensorEntry { path: "".into(), key, tensor });
    }
    catalog.state_dicts.push(state_dict);
    catalog
}

fn key(name: &str, shape: &[u64]) -> Expression {
    Expression::Key { of: Origination::Source, key: name.into(), shape: shape.into() }
}

fn cat(axis: usize, parts: &[Expression]) -> Expression {
    Expression::Concat { axis, parts: parts.to_vec() }
}

fn permute(of: Expression, axes: &[usize]) -> Expression {
    Expression::Permute { of: Box::new(of), axes: axes.into() }
}

fn reshape(of: Expression, shape: &[u64]) -> Expression {
    Expression::Reshape { of: Box::new(of), shape: shape.into() }
}

fn plan_of(tensors: Vec<(&str, Expression)>) -> Plan {
    let tensors: IndexMap<String, Expression> =
        tensors.into_iter().map(|(new, made)| (new.to_string(), made)).collect();
    Plan::from(Section::default().with_tensors(tensors))
}

/// The tensors of a plan with the number of each element's place in the file.
fn places(catalog: &Catalog, plan: &Plan) -> Vec<(String, Vec<u64>, Vec<u64>)> {
    let state_dict = &catalog.state_dicts[0];
    let (set, _) =
        TensorSet::gather(catalog, state_dict, &plan.sections()[0], Ties::Each).expect("plain");
    let found =
        |(key, elements): (String, Elements)| (key, elements.shape().to_vec(), of_each(&elements));
    set.tensors.into_iter().map(found).collect()
}

#[test]
fn fused_weights_are_joined_and_taken_apart_again() {
    let catalog = catalog(&[("q", &[2, 3]), ("k", &[1, 3]), ("b", &[4, 2])]);
    let joined = plan_of(vec![
        ("qk", cat(0, &[key("q", &[2, 3]), key("k", &[1, 3])])),
        ("b.t", permute(key("b", &[4, 2]), &[1, 0])),
    ]);
    let expected = vec![
        ("qk".to_string(), vec![3, 3], (0..9).collect()),
        ("b.t".to_string(), vec![2, 4], vec![9, 11, 13, 15, 10, 12, 14, 16]),
    ];
    assert_eq!(places(&catalog, &joined), expected);
    assert_eq!(
        joined.sections()[0].tensors().map(|it| it[0].to_string()),
        Some("cat([q, k], 0)".into())
    );

    let back = joined.invert().expect("nothing is lost");
    let shown: Vec<String> = back.sections()[0]
        .tensors()
        .into_iter()
        .flatten()
        .map(|(key, made)| format!("{key} = {made}"))
        .collect();
    assert_eq!(shown, ["q = qk[0:2]", "k = qk[2:3]", "b = b.t.permute([1, 0])"]);
    assert_eq!(back.invert().expect("the way there"), joined);
}

#[test]
fn what_was_split_is_joined_by_the_inverse() {
    let whole = || key("qkv", &[6, 2]);
    let split = plan_of(vec![
        ("v", whole().slice(0, 4..6)),
        ("q", whole().slice(0, 0..2)),
        ("k", whole().slice(0, 2..4)),
    ]);
    let back = split.invert().expect("nothing is lost");
    let joined = back.sections()[0].tensors().map(|it| it["qkv"].to_string());
    assert_eq!(joined.as_deref(), Some("cat([q, k, v], 0)"));
}

#[test]
fn stacks_and_reshapes_lead_back_too() {
    let tensors: &[(&str, &[u64])] = &[("e.0", &[2, 3]), ("e.1", &[2, 3]), ("w", &[4, 3])];
    let there = catalog(tensors);
    let stack =
        Expression::Stack { axis: 1, parts: vec![key("e.0", &[2, 3]), key("e.1", &[2, 3])] };
    let turned = reshape(permute(reshape(key("w", &[4, 3]), &[2, 2, 3]), &[1, 0, 2]), &[4, 3]);
    let plan = plan_of(vec![("e", stack), ("w", turned)]);
    let stacked = vec![0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11];
    let rows = vec![12, 13, 14, 18, 19, 20, 15, 16, 17, 21, 22, 23];
    let expected =
        vec![("e".to_string(), vec![2, 2, 3], stacked), ("w".to_string(), vec![4, 3], rows)];
    assert_eq!(places(&there, &plan), expected);

    let new = catalog(&[("e", &[2, 2, 3]), ("w", &[4, 3])]);
    let back = places(&new, &plan.invert().expect("nothing is lost"));
    let first: Vec<u64> = vec![0, 1, 2, 6, 7, 8];
    assert_eq!(back[0], ("e.0".to_string(), vec![2, 3], first));
    let own: Vec<u64> = vec![12, 13, 14, 18, 19, 20, 15, 16, 17, 21, 22, 23];
    assert_eq!(back[2], ("w".to_string(), vec![4, 3], own));
}

#[test]
fn what_is_lost_has_no_way_back() {
    let refused = |made: Expression| {
        let error = plan_of(vec![("n", made)]).invert().expect_err("no way back");
        error.to_string()
    };
    let cut = "the plan has no inverse: 'a' was cut: 2..4 of dim 0 went nowhere";
    assert_eq!(refused(key("a", &[4]).slice(0, 0..2)), cut);
    let cast = "the plan has no inverse: 'n' was cast to BF16";
    assert_eq!(refused(key("a", &[4]).cast(DType::Bf16)), cast);
    let apart = cat(0, &[key("a", &[4]).slice(0, 0..3), key("a", &[4]).slice(0, 1..4)]);
    let overlap = "the plan has no inverse: 'a' went to several places";
    assert_eq!(refused(apart), overlap);
}

#[test]
fn what_is_there_several_times_is_compared_on_the_way_back() {
    let twice = plan_of(vec![("n", cat(0, &[key("a", &[4]), key("a", &[4])]))]);
    let back = twice.invert().expect("the copies are compared");
    let section = &back.sections()[0];
    assert_eq!(section.tensors().map(|it| it["a"].to_string()).as_deref(), Some("n[0:4]"));
    let [(first, second)] = section.checks() else { panic!("one check") };
    assert_eq!([first.to_string(), second.to_string()], ["n[0:4]", "n[4:8]"]);
    assert_eq!(Plan::from_json(&back.to_json()).expect("a plan"), back);

    let tie = plan_of(vec![("a", key("a", &[4])), ("b", key("a", &[4]))]);
    let back = tie.invert().expect("the copies are compared");
    let section = &back.sections()[0];
    assert_eq!(section.fate("b"), Some(None));
    let [(first, second)] = section.checks() else { panic!("one check") };
    assert_eq!([first.to_string(), second.to_string()], ["a", "b"]);
}

#[test]
fn parts_that_were_cut_through_other_shapes_lead_back() {
    // Rows by query groups: two of q, one of k, one of v in each of three.
    let rows = || reshape(key("qkv", &[24, 5]), &[3, 4, 2, 5]);
    let part = |from, to: u64, rows_of: u64| reshape(rows().slice(1, from..to), &[rows_of, 5]);
    let split = plan_of(vec![("q", part(0, 2, 12)), ("k", part(2, 3, 6)), ("v", part(3, 4, 6))]);
    let back = split.invert().expect("nothing is lost");
    let there = catalog(&[("q", &[12, 5]), ("k", &[6, 5]), ("v", &[6, 5])]);
    let of_q: Vec<u64> = (0..20).collect();
    let found = places(&there, &back);
    assert_eq!(found[0].0, "qkv");
    assert_eq!(found[0].2[..20], of_q);
    assert_eq!(found[0].2[20..30], (60..70).collect::<Vec<u64>>());
    let again = back.invert().expect("the way there");
    let there = catalog(&[("qkv", &[24, 5])]);
    assert_eq!(places(&there, &again), places(&there, &split));
}

#[test]
fn a_plan_is_read_as_it_was_written() {
    let plan = plan_of(vec![
        ("a", cat(0, &[key("a", &[4]).slice(0, 1..2), key("b", &[2]).cast(DType::F16)])),
        ("b", reshape(permute(key("b", &[2, 3]), &[1, 0]), &[6])),
        ("c", Expression::Stack { axis: 0, parts: vec![key("a", &[4]), key("a", &[4])] }),
    ])
    .with_ties(Ties::One);
    let text = plan.to_json();
    assert!(text.contains("\"statedict_plan\": 2"), "{text}");
    assert_eq!(Plan::from_json(&text).expect("a plan"), plan);
    let made = r#"{"statedict_plan": 2, "state_dicts": [{"at": "", "keys": [], "tensors": [
        ["h", {"init": {"init": "normal(0,0.02)", "dtype": "F32", "shape": [2, 3], "seed": 7,
                        "stream": "h", "fans": [3, 2]}}]]}]}"#;
    let plan = Plan::from_json(made).expect("a plan");
    assert_eq!(Plan::from_json(&plan.to_json()).expect("a plan"), plan);
    let wrong = made.replace("normal(0,0.02)", "target");
    let message = Plan::from_json(&wrong).expect_err("no way to make it").to_string();
    assert!(message.contains("target is not a way to make elements"), "{message}");
}

#[test]
fn a_plan_of_the_first_version_is_read() {
    let text = r#"{"statedict_plan": 1, "state_dicts": [{"at": "model", "keys": [["a", "b"], ["c", null]]}]}"#;
    let plan = Plan::from_json(text).expect("a plan");
    assert!(plan.is_renaming());
    assert_eq!(plan.section("model").and_then(|it| it.fate("a")), Some(Some("b")));
    let later = text.replace("plan\": 1", "plan\": 3");
    let message = Plan::from_json(&later).expect_err("later").to_string();
    assert_eq!(message, "plan version 3 is not known; expected 2");
}

#[test]
fn a_sister_with_other_shapes_is_refused_by_name() {
    let plan = plan_of(vec![("n", cat(0, &[key("a", &[2]), key("b", &[3]), key("c", &[1])]))]);
    let error = plan.resolve(&catalog(&[("a", &[2]), ("b", &[4])]), Policy::default());
    let issues = error.expect_err("another model").issues;
    let (found, expected) = (vec![4], vec![3]);
    let shape = Issue::Shape { path: String::new(), key: "b".into(), found, expected };
    assert_eq!(issues, [shape, Issue::Absent { path: String::new(), key: Some("c".into()) }]);
}

#[test]
fn what_cannot_be_put_together_says_why() {
    let catalog = catalog(&[("a", &[2, 3]), ("b", &[2, 2])]);
    let refused = |made: Expression| {
        let plan = plan_of(vec![("n", made)]);
        let gathered =
            TensorSet::gather(&catalog, &catalog.state_dicts[0], &plan.sections()[0], Ties::Each);
        gathered.expect_err("refused").to_string()
    };
    let (a, b) = (|| key("a", &[2, 3]), || key("b", &[2, 2]));
    assert_eq!(refused(cat(0, &[a(), b()])), "'n': [2, 3] and [2, 2] cannot be joined along dim 0");
    assert_eq!(refused(reshape(a(), &[4])), "'n': [2, 3] cannot be reshaped to [4]");
    assert_eq!(refused(permute(a(), &[0])), "'n': [0] does not order the dimensions of [2, 3]");
    assert_eq!(refused(b().slice(1, 1..5)), "'n': [2, 2] has no 1..5 in dim 1");
    assert_eq!(refused(key("x", &[1])), "'n': no tensor 'x'");
    let twice = cat(0, &[a().cast(DType::F16), a()]).cast(DType::F32);
    let why =
        "'n': cat([a.to(F16), a], 0) is cast already, and would be rounded once instead of twice";
    assert_eq!(refused(twice), why);
    assert_eq!(refused(key("a", &[3])), "'n': 'a' has shape [2, 3]; expected [3]");
    let huge = reshape(a(), &[u64::MAX, u64::MAX]);
    assert_eq!(
        refused(huge),
        "'n': [2, 3] cannot be reshaped to [18446744073709551615, 18446744073709551615]"
    );
}
