//! What rules of tensors refuse, and how it reads.

use std::sync::Arc;

use statedict_core::{
    Catalog, DType, Data, Key, Policy, Rule, StateDict, Storage, Tensor, TensorEntry, plan_stages,
};

type Row = (String, DType, Vec<u64>);

fn f32s<'a>(rows: impl IntoIterator<Item = (&'a str, &'a [u64])>) -> Vec<Row> {
    rows.into_iter().map(|(key, shape)| (key.to_string(), DType::F32, shape.to_vec())).collect()
}

fn catalog(rows: &[Row]) -> Catalog {
    let storage = Arc::new(Storage::stored(0..u64::MAX));
    let (mut catalog, mut state_dict) = (Catalog::default(), StateDict::default());
    for (key, dtype, shape) in rows {
        let tensor = Tensor::dense(dtype.clone(), shape.clone(), 0, storage.clone());
        state_dict.insert(key.clone(), Some(catalog.rows.len())).expect("a new key");
        let (path, key) = (Arc::default(), Key::Text(key.as_str().into()));
        catalog.rows.push(TensorEntry { path, key, tensor: tensor.expect("within") });
    }
    catalog.state_dicts.push(state_dict);
    catalog
}

fn sized(rule: &str, sizes: &[(&str, u64)]) -> Rule {
    let rule = Rule::rename(rule, '.').unwrap_or_else(|why| panic!("{rule}: {why}"));
    let sizes = sizes.iter().map(|(name, size)| ((*name).into(), *size)).collect();
    rule.with_sizes(&sizes).expect("sizes that agree")
}

/// The reasons, each without the rule.
fn refused_in(rule: Rule, catalog: &Catalog) -> Vec<String> {
    let all: Vec<&StateDict> = catalog.state_dicts.iter().collect();
    let text = format!(", by rule '{rule}'");
    let error = plan_stages(&[rule], catalog, &all, Policy::default()).expect_err("refused");
    error.to_string().lines().map(|line| line.trim_end_matches(&text).to_string()).collect()
}

fn refused(rule: &str, sizes: &[(&str, u64)], rows: &[Row]) -> Vec<String> {
    refused_in(sized(rule, sizes), &catalog(rows))
}

/// Experts as they are published, without some.
fn experts(layers: u64, count: u64, gone: impl Fn(u64, u64, &str) -> bool) -> Vec<Row> {
    let mut rows = Vec::new();
    for layer in 0..layers {
        for expert in 0..count {
            for part in ["w1", "w3"] {
                if !gone(layer, expert, part) {
                    let key = format!("layers.{layer}.experts.{expert}.{part}.weight");
                    rows.push((key, DType::F32, vec![8, 16]));
                }
            }
        }
    }
    rows
}

const STACK: &str =
    "layers.{l}.experts.{e}.{p=w1,w3}.weight[o d] -> layers.{l}.experts.gate_up[e (p o) d]";

#[test]
fn members_that_are_missing_are_all_named() {
    let missing =
        refused(STACK, &[], &experts(4, 64, |layer, expert, _| (layer, expert) == (3, 17)));
    let expected = [
        "'layers.3.experts.17.w1.weight' is missing (e 17 of 64, p 0 of 2)",
        "'layers.3.experts.17.w3.weight' is missing (e 17 of 64, p 1 of 2)",
    ];
    assert_eq!(missing, expected);
    let missing =
        refused(STACK, &[], &experts(4, 64, |layer, expert, _| (layer, expert) == (2, 63)));
    assert_eq!(missing[0], "'layers.2.experts.63.w1.weight' is missing (e 63 of 64, p 0 of 2)");
    let missing = refused(
        STACK,
        &[],
        &experts(2, 8, |layer, expert, part| (layer, expert, part) == (1, 5, "w3")),
    );
    assert_eq!(missing, ["'layers.1.experts.5.w3.weight' is missing (e 5 of 8, p 1 of 2)"]);
}

#[test]
fn a_count_that_is_a_size_finds_what_every_group_lacks() {
    let rows = experts(2, 63, |_, _, _| false);
    let missing = refused(STACK, &[("e", 64)], &rows);
    assert_eq!(missing.len(), 4);
    assert_eq!(missing[0], "'layers.0.experts.63.w1.weight' is missing (e 63 of 64, p 0 of 2)");
    let beyond = refused(STACK, &[("e", 62)], &rows);
    let expected =
        "'layers.0.experts.62.w1.weight' is beyond what the rule counts (e 62 of 62, p 0 of 2)";
    assert_eq!(beyond[0], expected);
}

#[test]
fn a_number_beyond_all_reason_is_named_and_not_counted_up_to() {
    let mut rows = experts(1, 2, |_, _, _| false);
    rows[0].0 = "layers.0.experts.18446744073709551614.w1.weight".to_string();
    let missing = refused(STACK, &[], &rows);
    assert_eq!(missing.len(), 101);
    assert_eq!(
        missing[100],
        "18446744073709551511 more keys of 'layers.{l}.experts.{e}.{p=w1,w3}.weight' are missing"
    );
}

#[test]
fn sizes_that_shapes_do_not_say_are_named() {
    let rows = f32s([("a.qkv", [48, 8].as_slice())]);
    assert_eq!(
        refused("a.qkv[(q | k | v) ..] -> a.{q,k,v}[{q,k,v} ..]", &[], &rows),
        [
            "'a.qkv': the size of q and k and v in [(q | k | v)] is not known; 48 rows can be cut in \
             several ways (--set NAME=N, or a config.json, says it)"
        ]
    );
}

#[test]
fn what_does_not_divide_says_by_what() {
    let rows = f32s([("a.q", [30, 8].as_slice())]);
    let rule = "a.q[(heads x 2) d] -> b.q[(heads 2 x) d]";
    assert_eq!(
        refused(rule, &[("heads", 4)], &rows),
        ["'a.q': 30 is not divisible as [(heads x 2)] wants, by 8"]
    );
    let rows = f32s([("a.q", [32, 8].as_slice())]);
    let all = refused(rule, &[("heads", 4), ("x", 5)], &rows);
    assert_eq!(all, ["'a.q' has 32 where [(heads x 2)] is 40"]);
}

#[test]
fn a_one_that_is_three_and_other_ranks_are_named() {
    let rows = f32s([("a.q", [8, 8, 3, 3].as_slice())]);
    let all = refused("a.q[o i 1 1] -> b.q[o i]", &[], &rows);
    assert_eq!(all, ["'a.q' has 3 where [1] is 1", "'a.q' has 3 where [1] is 1"]);
    let rows = f32s([("a.q", [8].as_slice())]);
    let all = refused("a.q[o i 1 1] -> b.q[o i]", &[], &rows);
    assert_eq!(all, ["'a.q' has 1 dimension, and the rule names 4 dimensions"]);
    let all = refused("a.q[o i ..] -> b.q[i o ..]", &[], &rows);
    assert_eq!(all, ["'a.q' has 1 dimension, and the rule names at least 2 dimensions"]);
}

#[test]
fn types_are_mixed_in_no_tensor_and_may_differ_in_a_group() {
    let mut rows = f32s([("a.x", [4].as_slice()), ("a.y", [4].as_slice())]);
    rows[1].1 = DType::F16;
    assert_eq!(
        refused("a.{p=x,y}[o] -> a.xy[(p o)]", &[], &rows),
        ["'a.xy' would hold elements of several types: F32 in 'a.x', F16 in 'a.y'"]
    );
    let catalog = catalog(&rows);
    let all: Vec<&StateDict> = catalog.state_dicts.iter().collect();
    let apart = sized("a.x[o], a.y[p] -> b.x[o], b.y[p]", &[]);
    assert!(plan_stages(&[apart], &catalog, &all, Policy::default()).is_ok());
}

#[test]
fn shapes_that_differ_in_a_group_are_named() {
    let rows = f32s([("a.x", [4].as_slice()), ("a.y", [6].as_slice())]);
    let all = refused("a.{p=x,y}[o] -> a.xy[(p o)]", &[], &rows);
    assert_eq!(all, ["'a.y' has 6 where [o] is 4"]);
    let rows = f32s([("a.x", [4, 2].as_slice()), ("a.y", [4, 3].as_slice())]);
    let all = refused("a.{p=x,y}[o ..] -> a.xy[(p o) ..]", &[], &rows);
    assert_eq!(all, ["'a.y' has shape [4, 3], unlike the others of its group"]);
}

#[test]
fn two_tensors_on_one_name_are_refused_with_their_keys_and_rules() {
    let rows = f32s([("a", [4, 2].as_slice()), ("b.t", [2, 4].as_slice())]);
    let all = refused_in(sized("a[x y] -> b.t[y x]", &[]), &catalog(&rows));
    let expected = "2 keys would become 'b.t': 'a' by 'rename:a[x y] -> b.t[y x]', 'b.t', which \
                    keeps its name (different tensors)";
    assert_eq!(all, [expected]);
}

#[test]
fn tensors_without_plain_elements_are_named() {
    let mut there = catalog(&f32s([("a", [4, 2].as_slice())]));
    let layout = "sparse_coo".to_string();
    there.rows[0].tensor.data = Data::Opaque { layout, bytes: 8 };
    let all = refused_in(sized("a[x y] -> b[y x]", &[]), &there);
    assert_eq!(all, ["'a' has no plain elements, its layout is sparse_coo"]);
}

#[test]
fn packed_elements_are_cut_between_bytes_only() {
    let mut rows = f32s([("a", [4, 3].as_slice())]);
    rows[0].1 = DType::named("F4").expect("four bits");
    let all = refused("a[x y] -> b[y x]", &[], &rows);
    assert_eq!(all.len(), 1);
    assert!(all[0].starts_with("'b': F4 elements are packed"), "{all:?}");
    rows[0].2 = vec![4, 4];
    let halves = catalog(&rows);
    let all: Vec<&StateDict> = halves.state_dicts.iter().collect();
    let split = sized("a[(p x) y] -> {p=b,c}[x y]", &[]);
    assert!(plan_stages(&[split], &halves, &all, Policy::default()).is_ok());
}

#[test]
fn scales_of_quantized_weights_are_taken_along_or_named() {
    let fp8 = DType::named("F8_E4M3").expect("a type");
    let rows = |rows: u64| {
        vec![
            ("a.qkv.weight".to_string(), fp8.clone(), vec![rows, 128]),
            ("a.qkv.weight_scale_inv".to_string(), DType::F32, vec![rows / 128, 1]),
        ]
    };
    let all = refused("a.qkv.weight[(p o) d] -> a.{p=q,k,v}.weight[o d]", &[], &rows(768));
    let expected = "'a.qkv.weight_scale_inv' belongs to 'a.qkv.weight' and would not be taken along; \
                    name both in one rule, or drop it";
    assert_eq!(all, [expected]);

    let both = "a.qkv.{t=weight,weight_scale_inv}[(p o) d] -> \
                a.{p=q,k,v}.{t=weight,weight_scale_inv}[o d]";
    let there = catalog(&rows(768));
    let selected: Vec<&StateDict> = there.state_dicts.iter().collect();
    let planned = plan_stages(&[sized(both, &[])], &there, &selected, Policy::default());
    planned.expect("blocks stay whole");

    let rope = "a.qkv.{t=weight,weight_scale_inv}[(heads x 2) d] -> \
                a.q.{t=weight,weight_scale_inv}[(heads 2 x) d]";
    let all = refused(rope, &[("heads", 3)], &rows(768));
    let expected = "'a.qkv.weight_scale_inv' has a scale for each block of 'a.qkv.weight', and blocks \
                    are taken apart";
    assert_eq!(all, [expected]);
}

#[test]
fn factors_of_adapters_are_taken_along_or_named() {
    let rows = f32s([
        ("m.qkv.base_layer.weight", [6, 4].as_slice()),
        ("m.qkv.lora_A.default.weight", [2, 4].as_slice()),
        ("m.qkv.lora_B.default.weight", [6, 2].as_slice()),
    ]);
    let split = "m.qkv.base_layer.weight[(p o) d] -> m.{p=q,k,v}.base_layer.weight[o d]";
    let all = refused(split, &[], &rows);
    assert_eq!(all.len(), 2);
    assert!(all[0].starts_with("'m.qkv.lora_A.default.weight' belongs to"), "{all:?}");
}
