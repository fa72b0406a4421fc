//! `--cast` as its users meet it: which tensors it is for, and what is said of the others.

mod folder;

use serde_json::Value;

use folder::Folder;

/// A safetensors file of tensors, each a key with its dtype, its shape and the bytes of an element.
fn safetensors(metadata: &str, tensors: &[(&str, &str, &str, &[u8])]) -> Vec<u8> {
    let mut data = Vec::new();
    let entries: Vec<String> = tensors
        .iter()
        .map(|(key, dtype, shape, bytes)| {
            let start = data.len();
            data.extend_from_slice(bytes);
            let offsets = format!("[{start},{}]", data.len());
            format!(r#""{key}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#)
        })
        .collect();
    let header = format!("{{{metadata}{}}}", entries.join(","));
    folder::safetensors(&header, &data)
}

const ONE: [u8; 4] = 1f32.to_le_bytes();

impl Folder {
    /// Each key of a file with its dtype.
    fn types(&self, name: &str) -> Vec<String> {
        let ran = self.run(&["ls", "--json", name]);
        let listed: Value = serde_json::from_str(&ran.out).expect("JSON");
        let tensors = listed["tensors"].as_array().expect("a list");
        let text = |value: &Value| value.as_str().expect("a text").to_string();
        tensors.iter().map(|it| text(&it["key"]) + " " + &text(&it["dtype"])).collect()
    }

    /// What a successful run said.
    fn said(&self, words: &str) -> String {
        let ran = self.typed(words);
        assert_eq!(ran.status, 0, "{words}: {}", ran.err);
        ran.err
    }

    /// The first line of a refusal with this status.
    fn refusal(&self, words: &str, status: i32) -> String {
        let ran = self.typed(words);
        assert_eq!(ran.status, status, "{words}: {}", ran.err);
        ran.err.lines().next().unwrap_or_default().to_string()
    }
}

fn three() -> Folder {
    let tensors = ["model.a.w", "model.b.w", "head.w"].map(|key| (key, "F32", "[1]", &ONE[..]));
    Folder::of([("net.safetensors", safetensors("", &tensors))])
}

#[test]
fn an_unknown_type_gets_the_list_of_those_there_are() {
    let refusal = three().refusal("convert net.safetensors out.npz --cast float15", 2);
    assert_eq!(
        refusal,
        "error: --cast: unknown dtype 'float15'; expected f16 (float16, fp16, half), \
         bf16 (bfloat16), f32 (float32, fp32, float, single), f64 (float64, fp64, double), \
         f8_e4m3 (float8_e4m3fn, float8_e4m3, fp8_e4m3), f8_e5m2 (float8_e5m2, fp8_e5m2)"
    );
}

#[test]
fn the_first_pattern_that_matches_decides_and_a_type_alone_is_for_the_rest() {
    let check = |casts: &str, expected: [&str; 3]| {
        let folder = three();
        folder.said(&format!("convert net.safetensors out.safetensors {casts}"));
        assert_eq!(folder.types("out.safetensors"), expected, "{casts}");
    };
    check("--cast torch.bfloat16", ["model.a.w BF16", "model.b.w BF16", "head.w BF16"]);
    check("--cast model.**=bf16", ["model.a.w BF16", "model.b.w BF16", "head.w F32"]);
    check(
        "--cast half --cast model.a.*=double --cast model.**=f32",
        ["model.a.w F64", "model.b.w F32", "head.w F16"],
    );
}

#[test]
fn a_pattern_is_for_keys_as_the_file_has_them() {
    let folder = three();
    let said = folder.said("strip model net.safetensors -o out.safetensors --cast model.**=f16");
    assert_eq!(folder.types("out.safetensors"), ["a.w F16", "b.w F16", "head.w F32"]);
    assert!(said.contains("2 keys renamed, 1 unchanged; 2 tensors cast to F16"), "{said}");
    let said = folder.said("convert net.safetensors b.safetensors --cast modle.**=f16");
    assert!(said.contains("note: --cast 'modle.**' matches no key"), "{said}");
}

/// A layer of 8-bit weights with a scale, and a norm.
fn scaled() -> Folder {
    let tensors: [(&str, &str, &str, &[u8]); 5] = [
        ("fc.weight", "F8_E4M3", "[4]", &[0x38; 4]),
        ("fc.scale_weight", "F32", "[1]", &ONE),
        ("norm.weight", "F32", "[1]", &ONE),
        ("logit_scale", "F32", "[1]", &ONE),
        ("scaled_fp8", "F8_E4M3", "[0]", &[]),
    ];
    Folder::of([("fp8.safetensors", safetensors("", &tensors))])
}

#[test]
fn quantized_weights_and_their_scales_keep_their_types() {
    let folder = scaled();
    let said = folder.said("convert fp8.safetensors out.safetensors --cast f16");
    let expected = [
        "fc.weight F8_E4M3",
        "fc.scale_weight F32",
        "norm.weight F16",
        "logit_scale F16",
        "scaled_fp8 F8_E4M3",
    ];
    assert_eq!(folder.types("out.safetensors"), expected);
    assert!(said.contains("fc.weight, fc.scale_weight"), "{said}");
    assert!(said.contains("--cast 'fc.weight=DTYPE'"), "{said}");
    let refusal = folder.refusal("convert fp8.safetensors no.safetensors --cast f16 --strict", 1);
    assert!(refusal.contains("'fc.weight' is not cast"), "{refusal}");
    assert!(!folder.path("no.safetensors").exists());
}

#[test]
fn a_pattern_that_spells_a_quantized_weight_out_casts_it() {
    let folder = scaled();
    folder.said("convert fp8.safetensors out.safetensors --cast **.weight=f16");
    assert_eq!(folder.types("out.safetensors")[..2], ["fc.weight F16", "fc.scale_weight F32"]);
    // A pattern for all of a module says nothing of scales.
    folder.said("convert fp8.safetensors b.safetensors --cast fc.**=f16");
    assert_eq!(folder.types("b.safetensors")[0], "fc.weight F8_E4M3");
}

#[test]
fn what_is_not_cast_is_said_as_json() {
    let ran = scaled().typed("convert fp8.safetensors out.safetensors --cast f16 --json");
    let done: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(done["cast"]["tensors"], 2);
    let first = &done["cast"]["not_cast"][0];
    assert_eq!((&first["at"], &first["key"]), (&"".into(), &"fc.weight".into()));
}

#[test]
fn a_saved_plan_casts_as_well() {
    let folder = three();
    folder.said("strip model net.safetensors -o a.safetensors --cast f16 --save-plan plan.json");
    folder.said("apply plan.json net.safetensors -o b.safetensors");
    assert_eq!(folder.types("b.safetensors"), folder.types("a.safetensors"));
}

/// Numbers of which halves cannot hold two, under two keys; and others that they can.
fn large() -> Folder {
    let large: Vec<u8> =
        [1e6, -7e4, f32::INFINITY, 1.0].into_iter().flat_map(f32::to_le_bytes).collect();
    let tensors: [(&str, &str, &str, &[u8]); 3] =
        [("a", "F32", "[1]", &ONE), ("big", "F32", "[4]", &large), ("huge", "F32", "[4]", &large)];
    Folder::of([("net.safetensors", safetensors("", &tensors))])
}

#[test]
fn finite_values_that_become_infinite_are_counted() {
    let folder = large();
    let said = folder.said("add model net.safetensors -o half.pth --cast f16");
    let note = "note: 4 finite values became infinite in 2 tensors: model.big, model.huge";
    assert!(said.contains(note), "{said}");
    let said = folder.said("convert half.pth again.npz --cast f32");
    assert!(!said.contains("infinite"), "{said}");
    let said = folder.said("convert net.safetensors b.pth --cast bf16");
    assert!(!said.contains("infinite"), "{said}");
    let ran = folder.typed("convert net.safetensors c.pth --cast huge=f16 --json");
    let done: Value = serde_json::from_str(&ran.out).expect("JSON");
    let overflows = serde_json::json!([{ "at": "", "key": "huge", "dtype": "F16", "values": 2 }]);
    assert_eq!(done["cast"]["overflows"], overflows);
}

#[test]
fn strict_refuses_to_overflow_and_leaves_nothing() {
    let folder = large();
    folder.said("convert net.safetensors net.pth");
    let before = std::fs::read(folder.path("net.pth")).expect("there");
    let refused = "net.pth: 2 finite values of 'big' would become infinite";
    let words = "convert net.pth half.pth --cast f16 --strict";
    assert!(folder.refusal(words, 1).contains(refused));
    assert!(folder.refusal("add m net.pth -i --cast f16 --strict", 1).contains("'m.big'"));
    let names = std::fs::read_dir(folder.path(".")).expect("a folder").count();
    assert_eq!(names, 2, "nothing is left beside the two files");
    assert_eq!(std::fs::read(folder.path("net.pth")).expect("there"), before);
    folder.said("convert net.pth half.pth --cast f16 --cast big=f32 --cast huge=f32 --strict");
}

#[test]
fn a_fit_that_casts_counts_infinities_too() {
    let folder = large();
    folder.said("convert net.safetensors half.safetensors --cast f16");
    let said = folder.said("fit net.safetensors --to half.safetensors --cast -o out.safetensors");
    let note = "note: 4 finite values became infinite in 2 tensors: big, huge";
    assert!(said.contains(note), "{said}");
}

#[test]
fn numbers_beyond_the_range_of_8_bit_floats_are_counted_by_what_becomes_of_them() {
    let elements: Vec<u8> = [5e8_f32, 464.0].into_iter().flat_map(f32::to_le_bytes).collect();
    let net = safetensors("", &[("a", "F32", "[2]", &elements), ("b", "F32", "[2]", &elements)]);
    let folder = Folder::of([("net.safetensors", net)]);
    let said = folder.said("convert net.safetensors out.safetensors --cast f8_e4m3");
    let note = "note: 2 values became ±448 (the largest of F8_E4M3) in 2 tensors: a, b";
    assert!(said.lines().any(|line| line == note), "{said}");
    let refused = folder.refusal("convert net.safetensors o.pth --cast a=f8_e5m2 --strict", 1);
    assert_eq!(refused, "error: net.safetensors: 1 finite value of 'a' would become infinite");
    let refused = folder.refusal("convert net.safetensors o.pth --cast b=f8_e4m3 --strict", 1);
    let expected = "1 value of 'b' would become ±448 (the largest of F8_E4M3)";
    assert_eq!(refused, format!("error: net.safetensors: {expected}"));
}
