//! `merge` as its users meet it: an adapter beside its model, or in it, and what is refused.

mod folder;

use serde_json::Value;
use statedict::checkpoint::Checkpoint;

use folder::Folder;

/// A safetensors file of tensors of `f32`.
fn file(tensors: &[(&str, &[usize], &[f32])]) -> Vec<u8> {
    let mut data = Vec::<u8>::new();
    let mut entries = Vec::new();
    for (key, shape, numbers) in tensors {
        let start = data.len();
        data.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        entries.push(format!(
            r#""{key}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{}]}}"#,
            data.len()
        ));
    }
    let header = format!("{{{}}}", entries.join(","));
    folder::safetensors(&header, &data)
}

const BASE: [(&str, &[usize], &[f32]); 3] = [
    ("model.a.weight", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    ("model.b_c.weight", &[3, 2], &[0.0; 6]),
    ("model.a.bias", &[2], &[7.0, 8.0]),
];

/// A model and a folder with PEFT's adapter of rank 1 of `model.a`.
fn peft(config: &str, more: &[(&str, &[usize], &[f32])]) -> Folder {
    let down = ("base_model.model.model.a.lora_A.weight", &[1, 3][..], &[1.0, 10.0, 100.0][..]);
    let up = ("base_model.model.model.a.lora_B.weight", &[2, 1][..], &[1.0, 2.0][..]);
    let folder = Folder::of([("base.safetensors", file(&BASE))]);
    std::fs::create_dir(folder.path("lora")).expect("a folder");
    folder.add("lora/adapter_model.safetensors", &file(&[&[down, up], more].concat()));
    folder.add("lora/adapter_config.json", config.as_bytes());
    folder
}

impl Folder {
    fn numbers(&self, name: &str, key: &str) -> Vec<f32> {
        let checkpoint = Checkpoint::open(&self.path(name)).expect("readable");
        checkpoint.array::<f32>(key).expect("a tensor").into_iter().collect()
    }

    /// The errors of a refusal.
    fn refused(&self, words: &str) -> Vec<String> {
        let ran = self.typed(words);
        assert_ne!(ran.status, 0, "{words}");
        let lines = ran.err.lines().filter_map(|line| line.strip_prefix("error: "));
        lines.map(String::from).collect()
    }
}

const MERGE: &str = "merge base.safetensors lora -o out.safetensors";

#[test]
fn a_weight_becomes_itself_and_the_scaled_product() {
    let folder = peft(r#"{"peft_type":"LORA","r":1,"lora_alpha":2}"#, &[]);
    let ran = folder.typed(MERGE);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let line = "  adapter merged into 1 weight (rank 1, scale 2): model.a.weight";
    assert!(ran.err.lines().any(|it| it == line), "{}", ran.err);
    let expected = [3.0, 22.0, 203.0, 8.0, 45.0, 406.0];
    assert_eq!(folder.numbers("out.safetensors", "model.a.weight"), expected);
    assert_eq!(folder.numbers("out.safetensors", "model.b_c.weight"), [0.0; 6]);
    assert_eq!(folder.numbers("out.safetensors", "model.a.bias"), [7.0, 8.0]);
}

#[test]
fn scales_are_what_the_configuration_says() {
    let first = |config: &str, options: &str| {
        let folder = peft(config, &[]);
        let ran = folder.typed(&format!("{MERGE} {options}"));
        assert_eq!(ran.status, 0, "{}", ran.err);
        folder.numbers("out.safetensors", "model.a.weight")[0]
    };
    assert_eq!(first(r#"{"r":1,"lora_alpha":2}"#, ""), 3.0);
    assert_eq!(first(r#"{"r":1,"lora_alpha":2}"#, "--weight 0.5"), 2.0);
    assert_eq!(first(r#"{"r":1,"lora_alpha":2}"#, "--alpha 4"), 5.0);
    assert_eq!(first(r#"{"r":8,"rank_pattern":{"a":1},"lora_alpha":2}"#, ""), 3.0);
    assert_eq!(first(r#"{"r":1,"lora_alpha":2,"alpha_pattern":{"b":9,"model.a":3}}"#, ""), 4.0);
    assert_eq!(first(r#"{"r":1,"lora_alpha":2,"use_rslora":true}"#, ""), 3.0);
}

#[test]
fn what_the_adapter_has_itself_replaces_the_models() {
    let more = ("base_model.model.model.a.bias", &[2][..], &[0.5, 0.25][..]);
    let folder = peft(r#"{"r":1,"lora_alpha":2}"#, &[more]);
    assert_eq!(folder.typed(MERGE).status, 0);
    assert_eq!(folder.numbers("out.safetensors", "model.a.bias"), [0.5, 0.25]);
}

#[test]
fn every_tensor_of_the_adapter_is_used_or_named() {
    let more: [(&str, &[usize], &[f32]); 4] = [
        ("base_model.model.model.z.lora_A.weight", &[1, 3], &[0.0; 3]),
        ("base_model.model.model.z.lora_B.weight", &[2, 1], &[0.0; 2]),
        ("base_model.model.model.y.weight", &[1], &[0.0]),
        ("base_model.model.model.a.lora_magnitude_vector", &[2], &[0.0; 2]),
    ];
    let folder = peft(r#"{"r":1,"lora_alpha":2}"#, &more);
    let expected = [
        "lora: 'base_model.model.model.a.lora_magnitude_vector' belongs to an adapter with \
         magnitudes (DoRA), which is not merged",
        "lora: 'base_model.model.model.y.weight' belongs to no tensor of the base",
        "lora: 'base_model.model.model.z.lora_A.weight' belongs to no weight of the base",
    ];
    assert_eq!(folder.refused(MERGE), expected);
    assert!(!folder.path("out.safetensors").exists());
    let words = format!("{MERGE} --drop **.z.** --drop **.y.* --drop **.lora_magnitude_vector");
    let ran = folder.typed(&words);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.err.contains("left out of the adapter: "), "{}", ran.err);
}

#[test]
fn what_does_not_go_together_is_refused() {
    let check = |config: &str, expected: &str| {
        assert_eq!(peft(config, &[]).refused(MERGE), [expected]);
    };
    check(
        r#"{"r":2,"lora_alpha":2}"#,
        "lora: 'model.a' has an adapter of rank 1, and the configuration says 2",
    );
    check(
        r#"{"peft_type":"LOHA"}"#,
        "lora/adapter_config.json: an adapter of type LOHA is not merged; expected LORA",
    );
    check(
        r#"{"use_dora":true}"#,
        "lora/adapter_config.json: an adapter with magnitudes (DoRA) is not merged",
    );
    let folder = peft("{}", &[]);
    std::fs::remove_file(folder.path("lora/adapter_config.json")).expect("removed");
    let expected = "lora: 'base_model.model.model.a.lora_A.weight' has no scale: no configuration \
                    says its lora_alpha";
    assert_eq!(folder.refused(MERGE), [expected]);
}

#[test]
fn underscores_of_kohyas_names_are_dots_or_themselves() {
    let down = ("lora_unet_b_c.lora_down.weight", &[1, 2][..], &[1.0, 2.0][..]);
    let up = ("lora_unet_b_c.lora_up.weight", &[3, 1][..], &[1.0, 0.0, -1.0][..]);
    let alpha = ("lora_unet_b_c.alpha", &[][..], &[0.5][..]);
    let folder = Folder::of([
        ("base.safetensors", file(&BASE)),
        ("lora.safetensors", file(&[down, up, alpha])),
    ]);
    let ran = folder.typed("merge base.safetensors lora.safetensors -o out.safetensors");
    assert_eq!(ran.status, 0, "{}", ran.err);
    let expected = [0.5, 1.0, 0.0, 0.0, -0.5, -1.0];
    assert_eq!(folder.numbers("out.safetensors", "model.b_c.weight"), expected);
    let twice = [BASE[1], ("model.b.c.weight", &[3, 2], &[0.0; 6])];
    folder.add("base.safetensors", &file(&twice));
    let expected = "lora.safetensors: 'lora_unet_b_c.lora_down.weight' could belong to \
                    'model.b_c.weight' or 'model.b.c.weight'";
    let words = "merge base.safetensors lora.safetensors";
    assert_eq!(folder.refused(words), [expected]);
}

#[test]
fn a_model_in_training_has_its_adapter_in_it() {
    let tensors: [(&str, &[usize], &[f32]); 4] = [
        ("base_model.model.a.base_layer.weight", &[1, 2], &[1.0, 1.0]),
        ("base_model.model.a.lora_A.default.weight", &[1, 2], &[1.0, 2.0]),
        ("base_model.model.a.lora_B.default.weight", &[1, 1], &[3.0]),
        ("base_model.model.b.weight", &[1], &[4.0]),
    ];
    let folder = Folder::of([("both.safetensors", file(&tensors))]);
    let ran = folder.typed("merge both.safetensors --alpha 1 -o out.safetensors");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert_eq!(folder.numbers("out.safetensors", "a.weight"), [4.0, 7.0]);
    assert_eq!(folder.numbers("out.safetensors", "b.weight"), [4.0]);
}

#[test]
fn a_saved_plan_merges_another_adapter_and_has_no_inverse() {
    let folder = peft(r#"{"r":1,"lora_alpha":2}"#, &[]);
    assert_eq!(folder.typed(&format!("{MERGE} --save-plan plan.json")).status, 0);
    let apply = "apply plan.json base.safetensors -o again.safetensors";
    assert_eq!(folder.typed(&format!("{apply} --adapter lora")).status, 0);
    let [one, other] =
        ["out.safetensors", "again.safetensors"].map(|name| std::fs::read(folder.path(name)));
    assert_eq!(one.expect("there"), other.expect("there"));
    let apply = "apply plan.json base.safetensors";
    let why = "base.safetensors: 'model.a.weight': 'base_model.model.model.a.lora_B.weight' is the \
               adapter's, and no adapter was given";
    assert_eq!(folder.refused(apply), [why]);
    let inverse = folder.refused("apply plan.json out.safetensors --inverse -o back.safetensors");
    let why = "plan.json: the plan has no inverse: 'model.a.weight' has an adapter merged";
    assert_eq!(inverse, [why]);
}

#[test]
fn json_says_what_was_merged_and_that_it_is_one_way() {
    let folder = peft(r#"{"r":1,"lora_alpha":2}"#, &[]);
    let ran = folder.typed("merge base.safetensors lora --json");
    let said: Value = serde_json::from_str(&ran.out).expect("JSON");
    let adapted = serde_json::json!([{"key": "model.a.weight", "rank": 1, "scale": 2.0}]);
    assert_eq!(said["merged"]["adapted"], adapted);
    let one_way = serde_json::json!([
        {"at": "", "key": "model.a.weight", "why": "has an adapter merged"}
    ]);
    assert_eq!(said["one_way"], one_way);
    assert_eq!(said["written"], false);
}
