//! Casting rules held against catalogs: which tensors they are for, and which they leave.

use std::sync::Arc;

use statedict_core::{
    Catalog, DType, Plan, Policy, Storage, Tensor,
    casting::{CastRule, Casting},
    plan,
};

fn catalog(tensors: &[(&str, DType)]) -> Catalog {
    let tensor = |(key, dtype): &(&str, DType)| {
        let bytes = dtype.bytes().expect("whole bytes");
        let storage = Arc::new(Storage::stored(0..bytes));
        let tensor = Tensor::dense(dtype.clone(), vec![1], 0, storage);
        (key.to_string(), tensor.expect("within"))
    };
    Catalog::flat(tensors.iter().map(tensor)).expect("unique")
}

/// A plan that renames nothing, with what rules cast.
fn cast(catalog: &Catalog, rules: &[&str], metadata: &[(String, String)]) -> (Plan, Vec<String>) {
    let selected = catalog.select(None).expect("one state dict");
    let mut plan = plan(&[], catalog, &selected, Policy::default()).expect("a plan").plan;
    let rules = rules.iter().map(|rule| CastRule::parse(rule, '.').expect("a rule")).collect();
    let uncast = Casting { rules }.apply(&mut plan, catalog, metadata);
    (plan, uncast.tensors.into_iter().map(|tensor| tensor.key).collect())
}

fn casts(plan: &Plan) -> Vec<String> {
    let casts = plan.sections()[0].casts();
    casts.map(|(key, to)| format!("{key} {to}")).collect()
}

/// Keys that a bare `f16` casts, and floating-point keys that it leaves.
fn check(tensors: &[(&str, DType)], cast_keys: &[&str], left: &[&str]) {
    let (plan, uncast) = cast(&catalog(tensors), &["f16"], &[]);
    let found: Vec<&str> = plan.sections()[0].casts().map(|(key, _)| key).collect();
    assert_eq!(
        (found.as_slice(), uncast),
        (cast_keys, left.iter().map(ToString::to_string).collect())
    );
}

#[test]
fn floats_of_another_type_are_cast_and_nothing_else() {
    let tensors = [("a", DType::F32), ("b", DType::F16), ("n", DType::I64), ("c", DType::C64)];
    check(&tensors, &["a"], &[]);
}

#[test]
fn scales_are_known_by_what_they_scale() {
    use DType::{Bf16, F8E4M3, F16, F32, I8, I32, U8};
    // DeepSeek, compressed-tensors, ModelOpt.
    check(
        &[("q.weight", F8E4M3), ("q.weight_scale_inv", F32), ("n.weight", Bf16)],
        &["n.weight"],
        &["q.weight", "q.weight_scale_inv"],
    );
    check(&[("q.weight", F8E4M3), ("q.scale", F32)], &[], &["q.weight", "q.scale"]);
    check(
        &[("q.weight", F8E4M3), ("q.weight_scale", F32), ("q.input_scale", F32), ("k_scale", F32)],
        &[],
        &["q.weight", "q.weight_scale", "q.input_scale", "k_scale"],
    );
    // bitsandbytes, GPTQ and AWQ, LLM.int8, HQQ.
    check(
        &[("q.weight", U8), ("q.weight.absmax", F32), ("q.weight.quant_map", F32), ("q.bias", F32)],
        &["q.bias"],
        &["q.weight.absmax", "q.weight.quant_map"],
    );
    check(
        &[("q.qweight", I32), ("q.scales", Bf16), ("n.weight", F32)],
        &["n.weight"],
        &["q.scales"],
    );
    check(&[("q.weight", I8), ("q.SCB", F32)], &[], &["q.SCB"]);
    check(&[("q.W_q", U8), ("q.scale", F32), ("q.zero", F32)], &[], &["q.scale", "q.zero"]);
    // Parameters of these names scale nothing that is stored beside them.
    check(
        &[("logit_scale", F32), ("norm.scale", F32), ("norm.bias", F32)],
        &["logit_scale", "norm.scale", "norm.bias"],
        &[],
    );
    check(&[("fc.weight", F32), ("fc.scale", F32)], &["fc.weight", "fc.scale"], &[]);
    check(&[("scaled_fp8", F8E4M3), ("a", F16)], &[], &["scaled_fp8"]);
}

#[test]
fn layers_that_metadata_lists_are_quantized() {
    let tensors = [("a.weight", DType::F8E4M3), ("a.bias", DType::F32), ("b.weight", DType::F32)];
    let listed = r#"{"format_version": "1.0", "layers": {"a": {"format": "float8_e4m3fn"}}}"#;
    let metadata = [("_quantization_metadata".to_string(), listed.to_string())];
    let (plan, uncast) = cast(&catalog(&tensors), &["bf16"], &metadata);
    assert_eq!(
        (casts(&plan), uncast),
        (vec!["a.bias BF16".into(), "b.weight BF16".into()], vec!["a.weight".into()])
    );
    let (plan, uncast) = cast(&catalog(&tensors), &["a.weight=bf16"], &metadata);
    assert_eq!((casts(&plan), uncast), (vec!["a.weight BF16".into()], vec![]));
}

#[test]
fn a_plan_keeps_its_casts_as_json() {
    let (plan, _) = cast(&catalog(&[("a", DType::F32), ("b", DType::F32)]), &["b=bf16"], &[]);
    let json = plan.to_json();
    assert!(json.contains(r#""statedict_plan": 2"#), "{json}");
    assert_eq!(Plan::from_json(&json).expect("a plan"), plan);
    assert!(!plan.is_identity() && plan.invert().expect("names").is_identity());
    let unknown = json.replace("BF16", "F17");
    assert!(Plan::from_json(&unknown).is_err());
    let resolved =
        plan.resolve(&catalog(&[("a", DType::F32), ("b", DType::F32)]), Policy::default());
    assert_eq!(resolved.expect("resolved").plan, plan);
}
