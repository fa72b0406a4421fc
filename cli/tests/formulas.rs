//! Rules that calculate, fill in and cut off, as users of the commands and of recipes meet them.

mod folder;

use folder::Folder;

/// A tensor: its key, type, shape and bytes.
type Typed<'a> = (&'a str, &'a str, &'a [u64], Vec<u8>);

fn safetensors(tensors: &[Typed]) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (key, dtype, shape, bytes) in tensors {
        let start = data.len();
        data.extend_from_slice(bytes);
        let end = data.len();
        entries.push(format!(
            r#""{key}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{end}]}}"#
        ));
    }
    let header = format!("{{{}}}", entries.join(","));
    let length = (header.len() as u64).to_le_bytes();
    length.into_iter().chain(header.into_bytes()).chain(data).collect()
}

fn f32s(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// The elements of a tensor of a file with these bytes in it, as 32-bit numbers.
fn numbers(folder: &Folder, name: &str, key: &str) -> Vec<f32> {
    let bytes = std::fs::read(folder.path(name)).expect("a file");
    let (length, rest) = bytes.split_at(8);
    let length = u64::from_le_bytes(length.try_into().expect("8 bytes")) as usize;
    let header: serde_json::Value = serde_json::from_slice(&rest[..length]).expect("a header");
    let offsets = header[key]["data_offsets"].as_array().expect("offsets");
    let [start, end] = [0, 1].map(|at| offsets[at].as_u64().expect("a number") as usize);
    let data = &rest[length + start..length + end];
    data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// 1, -2, 0.5 and 448 in FP8 (E4M3).
const FP8: [u8; 4] = [0x38, 0xC0, 0x30, 0x7E];

fn quantized() -> Vec<u8> {
    safetensors(&[
        ("fc.weight", "F8_E4M3", &[2, 2], FP8.into()),
        ("fc.weight_scale_inv", "F32", &[2, 1], f32s(&[2.0, 10.0])),
        ("fc.bias", "F32", &[2], f32s(&[1.0, 2.0])),
    ])
}

#[test]
fn each_element_is_multiplied_by_the_scale_of_its_block() {
    let folder = Folder::of([("a.safetensors", quantized())]);
    let ran = folder.typed("dequantise f32 a.safetensors -o b.safetensors");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.err.contains("note: one way: 'fc.weight' was dequantised"), "{}", ran.err);
    assert_eq!(numbers(&folder, "b.safetensors", "fc.weight"), [2.0, -4.0, 5.0, 4480.0]);
    assert!(!folder.typed("ls b.safetensors").out.contains("scale"));
}

#[test]
fn quantized_weights_can_be_chosen_and_renamed() {
    let recipe =
        "[[stage]]\ndequantise = 'fc.*=f32'\n[[stage]]\nrename = 'fc.{r..} -> head.{r..}'\n";
    let folder = Folder::of([("a.safetensors", quantized()), ("r.toml", recipe.into())]);
    let ran = folder.typed("apply r.toml a.safetensors -o b.safetensors");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert_eq!(numbers(&folder, "b.safetensors", "head.weight"), [2.0, -4.0, 5.0, 4480.0]);
    let ran = folder.typed("apply --inverse r.toml b.safetensors");
    assert_eq!(ran.status, 1);
    let why =
        "stage 'dequantise:fc.*=f32' has no inverse: what was quantised is rounded another way";
    assert!(ran.err.contains(why), "{}", ran.err);
}

fn refused(file: &[Typed], command: &str, expected: &str) {
    let folder = Folder::of([("a.safetensors", safetensors(file))]);
    let ran = folder.typed(command);
    assert_eq!(ran.status, 1, "{command}: {}", ran.err);
    assert!(ran.err.contains(expected), "{command}: {}", ran.err);
}

#[test]
fn what_is_quantized_in_other_ways_is_refused_by_name() {
    let weight: Typed = ("fc.weight", "F8_E4M3", &[2, 2], FP8.into());
    let scale: Typed = ("fc.weight_scale", "F32", &[1], f32s(&[2.0]));
    let zero: Typed = ("fc.weight_zero_point", "I8", &[1], vec![3]);
    let why = "'fc.weight' is F8_E4M3 and has no scales beside it (_scale_inv, _scale)";
    refused(std::slice::from_ref(&weight), "dequantise bf16 a.safetensors", why);
    let why = "'fc.weight' is quantized with 'fc.weight_zero_point', which is not known";
    refused(&[weight.clone(), scale, zero], "dequantise bf16 a.safetensors", why);
    let rows: Typed = ("fc.weight", "I8", &[300, 1], vec![1; 300]);
    let scales: Typed = ("fc.weight_scale_inv", "F32", &[3, 1], f32s(&[1.0, 2.0, 3.0]));
    let why = "3 scales for 300 entries in dim 0 could be for blocks of 100 or 128";
    refused(&[rows, scales], "dequantise bf16 a.safetensors", why);
    let plain: Typed = ("fc.weight", "F32", &[1], f32s(&[2.0]));
    let why = "no quantized weight has scales beside it that are known";
    refused(&[plain], "dequantise bf16 a.safetensors", why);
    let why = "dequantise takes f16, bf16, f32 or f64 as the type of the result";
    let folder = Folder::of([("a.safetensors", safetensors(&[weight]))]);
    assert!(folder.typed("dequantise f8_e4m3 a.safetensors").err.contains(why));
}

#[test]
fn the_size_of_a_block_is_what_the_configuration_says() {
    let rows: Typed = ("fc.weight", "I8", &[300, 1], vec![1; 300]);
    let scales: Typed = ("fc.weight_scale_inv", "F32", &[3, 1], f32s(&[1.0, 2.0, 3.0]));
    let config = r#"{"quantization_config": {"weight_block_size": [128, 128]}}"#;
    let file = safetensors(&[rows, scales]);
    let folder = Folder::of([("a.safetensors", file), ("config.json", config.into())]);
    let ran = folder.typed("dequantise f32 a.safetensors -o b.safetensors");
    assert_eq!(ran.status, 0, "{}", ran.err);
    let numbers = numbers(&folder, "b.safetensors", "fc.weight");
    assert_eq!((numbers[127], numbers[128], numbers[256]), (1.0, 2.0, 3.0));
}

#[test]
fn weight_norms_are_folded_under_both_names() {
    for (g, v) in [
        ("conv.weight_g", "conv.weight_v"),
        ("conv.parametrizations.weight.original0", "conv.parametrizations.weight.original1"),
    ] {
        let magnitude: Typed = (g, "F32", &[2, 1], f32s(&[10.0, 1.0]));
        let direction: Typed = (v, "F32", &[2, 2], f32s(&[3.0, 4.0, 0.0, 2.0]));
        let file = safetensors(&[magnitude, direction]);
        let folder = Folder::of([("a.safetensors", file)]);
        let ran = folder.typed("fold-weight-norm a.safetensors -o b.safetensors");
        assert_eq!(ran.status, 0, "{}", ran.err);
        assert_eq!(numbers(&folder, "b.safetensors", "conv.weight"), [6.0, 8.0, 0.0, 1.0]);
    }
}

#[test]
fn other_pairs_of_names_are_no_weight_norms_unless_they_are_meant() {
    let gate: Typed = ("mix_g", "F32", &[1, 1], f32s(&[5.0]));
    let value: Typed = ("mix_v", "F32", &[1, 2], f32s(&[3.0, 4.0]));
    let file = safetensors(&[gate, value]);
    let folder = Folder::of([("a.safetensors", file)]);
    let ran = folder.typed("fold-weight-norm a.safetensors");
    assert!(ran.err.contains("no key is a weight norm's"), "{}", ran.err);
    let ran = folder.typed("fold-weight-norm --weight mix a.safetensors -o b.safetensors");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert_eq!(numbers(&folder, "b.safetensors", "mix"), [3.0, 4.0]);
}

const FILL: &str = "[size]\nn = 3\n[[stage]]\nfill = [\n  'h.{i}.k.weight[o d] -> h.{i}.{k,v}.bias[o] = zeros',\n  'h.{i}.k.weight -> h.{i}.mask[n n] = triangle',\n  'position[1 n] = arange F32',\n]\n";

fn attention() -> Vec<u8> {
    safetensors(&[("h.0.k.weight", "F32", &[2, 1], f32s(&[1.0, 2.0]))])
}

#[test]
fn fillings_go_by_what_there_is_and_are_taken_out_again() {
    let folder = Folder::of([("a.safetensors", attention()), ("r.toml", FILL.into())]);
    let ran = folder.typed("apply r.toml a.safetensors -o b.safetensors --save-plan p.json");
    assert_eq!(ran.status, 0, "{}", ran.err);
    let of = |key: &str| numbers(&folder, "b.safetensors", key);
    assert_eq!(of("h.0.v.bias"), [0.0, 0.0]);
    assert_eq!(of("h.0.mask"), [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0]);
    assert_eq!(of("position"), [0.0, 1.0, 2.0]);
    for rules in ["r.toml", "p.json"] {
        let ran = folder
            .typed(&format!("apply --inverse {rules} b.safetensors -o c.safetensors --force"));
        assert_eq!(ran.status, 0, "{rules}: {}", ran.err);
        assert_eq!(folder.typed("diff --weights-only a.safetensors c.safetensors").status, 0);
    }
    let ran = folder.typed("apply r.toml b.safetensors");
    assert!(ran.err.contains("'h.0.mask' is there already, and would be filled"), "{}", ran.err);
}

#[test]
fn what_is_no_longer_what_was_filled_in_is_not_taken_out() {
    let other: Typed = ("h.0.k.weight", "F32", &[2, 1], f32s(&[1.0, 2.0]));
    let bias: Typed = ("h.0.k.bias", "F32", &[2], f32s(&[0.0, 0.5]));
    let recipe = "[[stage]]\nfill = 'h.{i}.k.weight[o d] -> h.{i}.k.bias[o] = zeros'\n";
    let folder =
        Folder::of([("a.safetensors", safetensors(&[other, bias])), ("r.toml", recipe.into())]);
    let ran = folder.typed("apply --inverse r.toml a.safetensors -o b.safetensors");
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("h.0.k.bias and zeros[2] are not the same"), "{}", ran.err);
}

/// That a command with a rule fails, and says this.
fn refused_rule(folder: &Folder, words: [&str; 3], expected: &str) {
    let ran = folder.run(&words);
    assert_ne!(ran.status, 0, "{words:?}");
    assert!(ran.err.contains(expected), "{words:?}: {}", ran.err);
}

#[test]
fn bad_fillings_say_what_is_wrong() {
    let folder = Folder::of([("a.safetensors", attention())]);
    let check = |filling: &str, expected: &str| {
        refused_rule(&folder, ["fill", filling, "a.safetensors"], expected);
    };
    check("a[2]", "expected 'KEY[places] = WHAT DTYPE'");
    check("a[2] = zeros", "the type of 'a' is not said");
    check("a = zeros F32", "the shape of 'a' is not said");
    check("a[2] = random F32", "'random' is not a filling");
    check("a[2] = normal(0,1) F32", "'normal(0,1)' is not a filling");
    check("a[2] = zeros float", "unknown dtype 'float'");
    check("a[2] = constant(300) U8", "U8 does not hold 300");
    check("a[2] = triangle F32", "triangle needs two dimensions");
    check("a[n] = zeros F32", "needs the size 'n'");
    check("h.{i}.k.weight -> a.{j}[2] = zeros", "{j} is not captured on the left");
    check("x.{i} -> a.{i}[2] = zeros", "no key matches");
    check("a[300] = arange BF16", "BF16 does not hold every number to 299");
}

#[test]
fn constants_are_added_and_taken_off_where_every_bit_comes_back() {
    let file = |number: f32| safetensors(&[("norm", "F32", &[2], f32s(&[0.5, number]))]);
    let recipe = "[[stage]]\nrename = 'norm -> scale + 1'\n";
    let folder = Folder::of([
        ("a.safetensors", file(-1.0)),
        ("tiny.safetensors", file(1e-9)),
        ("r.toml", recipe.into()),
    ]);
    let ran = folder.typed("apply r.toml a.safetensors -o b.safetensors --explain");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.out.contains("adds 1 to every element"), "{}", ran.out);
    assert_eq!(numbers(&folder, "b.safetensors", "scale"), [1.5, 0.0]);
    let ran = folder.typed("apply --inverse r.toml b.safetensors -o c.safetensors");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert_eq!(numbers(&folder, "c.safetensors", "norm"), [0.5, -1.0]);
    // What 1 was added to is rounded away, and nothing that is taken off gives it back.
    let tiny = safetensors(&[("scale", "F32", &[1], f32s(&[1e-9]))]);
    folder.add("d.safetensors", &tiny);
    let ran = folder.typed("apply --inverse r.toml d.safetensors -o e.safetensors");
    assert_eq!(ran.status, 1, "{}", ran.err);
    assert!(
        ran.err.contains("has numbers that - 1 rounded and + 1 does not give back"),
        "{}",
        ran.err
    );
    assert!(!folder.path("e.safetensors").exists());
}

#[test]
fn constants_stand_on_both_sides_and_before_places_are_changed() {
    let file = safetensors(&[("a", "F32", &[2, 1], f32s(&[1.0, 2.0]))]);
    let folder = Folder::of([("a.safetensors", file)]);
    let ran =
        folder.run(&["rename", "a[x 1] * 2 -> b[1 x] + 1", "a.safetensors", "-o", "b.safetensors"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert_eq!(numbers(&folder, "b.safetensors", "b"), [3.0, 5.0]);
    let whole: Typed = ("a", "I64", &[1], vec![0; 8]);
    let folder = Folder::of([("a.safetensors", safetensors(&[whole]))]);
    let ran = folder.run(&["rename", "a -> b + 1", "a.safetensors"]);
    assert!(
        ran.err.contains("'a' is I64, and constants are for F16, BF16, F32 and F64"),
        "{}",
        ran.err
    );
    let ran = folder.run(&["rename", "a -> b * 0", "a.safetensors"]);
    assert!(ran.err.contains("'* 0' is not a constant"), "{}", ran.err);
}

#[test]
fn a_recipe_merges_an_adapter_and_goes_on() {
    let base = safetensors(&[
        ("fc.weight", "F32", &[2, 2], f32s(&[1.0, 2.0, 3.0, 4.0])),
        ("fc.bias", "F32", &[2], f32s(&[0.0, 0.0])),
    ]);
    let adapter = safetensors(&[
        ("base_model.model.fc.lora_A.weight", "F32", &[1, 2], f32s(&[1.0, 10.0])),
        ("base_model.model.fc.lora_B.weight", "F32", &[2, 1], f32s(&[1.0, 2.0])),
    ]);
    let recipe = "[[stage]]\nmerge-lora = { alpha = 2, weight = 0.5 }\n[[stage]]\nrename = 'fc.{t}[o ..] -> head.{t}[o ..]'\n";
    let folder = Folder::of([
        ("a.safetensors", base),
        ("lora.safetensors", adapter),
        ("r.toml", recipe.into()),
    ]);
    let ran =
        folder.typed("apply r.toml a.safetensors --adapter lora.safetensors -o b.safetensors");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert_eq!(numbers(&folder, "b.safetensors", "head.weight"), [2.0, 12.0, 5.0, 24.0]);
    let ran = folder.typed("apply r.toml a.safetensors -o c.safetensors");
    assert_eq!(ran.status, 1);
    assert!(
        ran.err.contains("the recipe merges an adapter; --adapter ADAPTER names it"),
        "{}",
        ran.err
    );
    let ran = folder.typed("apply --inverse r.toml b.safetensors");
    assert!(ran.err.contains("what is merged does not lead back"), "{}", ran.err);
}

fn table() -> Vec<u8> {
    safetensors(&[("embed", "F32", &[5, 1], f32s(&[1.0, 2.0, 3.0, 0.0, 0.0]))])
}

#[test]
fn rows_are_cut_off_and_filled_in_again_where_they_say_what_they_hold() {
    let recipe = "[size]\nv = 3\npadded = 5\n[[stage]]\nrename = 'embed[(v | _=0)=padded d] -> table[v d]'\n";
    let folder = Folder::of([("a.safetensors", table()), ("r.toml", recipe.into())]);
    let ran =
        folder.typed("apply r.toml a.safetensors -o b.safetensors --save-plan p.json --explain");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.out.contains("cuts off rows that are all 0"), "{}", ran.out);
    assert!(!ran.err.contains("one way"), "{}", ran.err);
    assert_eq!(numbers(&folder, "b.safetensors", "table"), [1.0, 2.0, 3.0]);
    for rules in ["r.toml", "p.json"] {
        let ran = folder
            .typed(&format!("apply --inverse {rules} b.safetensors -o c.safetensors --force"));
        assert_eq!(ran.status, 0, "{rules}: {}", ran.err);
        let numbers = numbers(&folder, "c.safetensors", "embed");
        assert_eq!(numbers, [1.0, 2.0, 3.0, 0.0, 0.0], "{rules}");
    }
    let ran = folder.run(&[
        "rename",
        "embed[(v | _=1) d] -> table[v d]",
        "a.safetensors",
        "--set",
        "v=3",
    ]);
    assert!(ran.err.contains("ones[2, 1] and embed[3:5] are not the same"), "{}", ran.err);
}

#[test]
fn rows_that_are_cut_off_unsaid_are_lost_and_that_is_said() {
    let recipe = "[[stage]]\nrename = 'embed[(v | _) d] -> table[v d]'\n";
    let folder = Folder::of([("a.safetensors", table()), ("r.toml", recipe.into())]);
    let ran =
        folder.typed("apply r.toml a.safetensors -o b.safetensors --set v=4 --save-plan p.json");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.err.contains("cuts off 1 elements, which are lost"), "{}", ran.err);
    let ran = folder.typed("apply --inverse r.toml b.safetensors --set v=4");
    assert!(ran.err.contains("has no inverse: what it cuts off is lost"), "{}", ran.err);
    let ran = folder.typed("apply --inverse p.json b.safetensors");
    assert!(ran.err.contains("'embed' was cut: 4..5 of dim 0 went nowhere"), "{}", ran.err);
    let ran = folder.typed("apply r.toml a.safetensors");
    assert!(ran.err.contains("the size of v and _ in [(v | _)] is not known"), "{}", ran.err);
}

#[test]
fn rows_are_filled_up_to_a_size_and_cut_off_again() {
    let recipe = "[[stage]]\nrename = 'embed[v d] -> table[(v | _=-1.5)=padded d]'\n";
    let folder = Folder::of([("a.safetensors", table()), ("r.toml", recipe.into())]);
    let ran = folder
        .typed("apply r.toml a.safetensors -o b.safetensors --set padded=7 --save-plan p.json");
    assert_eq!(ran.status, 0, "{}", ran.err);
    let filled = [1.0, 2.0, 3.0, 0.0, 0.0, -1.5, -1.5];
    assert_eq!(numbers(&folder, "b.safetensors", "table"), filled);
    for rules in ["r.toml --set v=5 --set padded=7", "p.json"] {
        let ran = folder
            .typed(&format!("apply --inverse {rules} b.safetensors -o c.safetensors --force"));
        assert_eq!(ran.status, 0, "{rules}: {}", ran.err);
        assert_eq!(numbers(&folder, "c.safetensors", "embed"), [1.0, 2.0, 3.0, 0.0, 0.0]);
    }
    let ran = folder.typed("apply r.toml a.safetensors");
    assert!(ran.err.contains("the size of _ in 'table[(v | _=-1.5)=padded d]'"), "{}", ran.err);
    let ran = folder.typed("apply r.toml a.safetensors --set padded=4");
    assert!(ran.err.contains("cannot have the size 4"), "{}", ran.err);
}

#[test]
fn what_there_is_once_is_repeated_and_compared() {
    let file = safetensors(&[("k", "F32", &[2, 2], f32s(&[1.0, 2.0, 3.0, 4.0]))]);
    let recipe = "[size]\nkv = 2\nr = 2\n[[stage]]\nrename = 'k[(kv 1 x) d] -> keys[(kv r x) d]'\n";
    let folder = Folder::of([("a.safetensors", file), ("r.toml", recipe.into())]);
    let ran =
        folder.typed("apply r.toml a.safetensors -o b.safetensors --save-plan p.json --explain");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.out.contains("repeats what there is once, r times"), "{}", ran.out);
    let repeated = [1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0];
    assert_eq!(numbers(&folder, "b.safetensors", "keys"), repeated);
    for rules in ["r.toml", "p.json"] {
        let ran = folder
            .typed(&format!("apply --inverse {rules} b.safetensors -o c.safetensors --force"));
        assert_eq!(ran.status, 0, "{rules}: {}", ran.err);
        assert_eq!(numbers(&folder, "c.safetensors", "k"), [1.0, 2.0, 3.0, 4.0]);
    }
    folder.add(
        "d.safetensors",
        &safetensors(&[("keys", "F32", &[4, 1], f32s(&[1.0, 1.0, 3.0, 4.0]))]),
    );
    let ran = folder.typed("apply --inverse r.toml d.safetensors");
    assert_eq!(ran.status, 1, "{}", ran.err);
    assert!(ran.err.contains("are not the same, and one of them would be lost"), "{}", ran.err);
}

#[test]
fn what_is_cut_off_or_filled_in_has_one_place() {
    let folder = Folder::of([("a.safetensors", table())]);
    let check = |rule: &str, expected: &str| {
        refused_rule(&folder, ["rename", rule, "a.safetensors"], expected);
    };
    check("embed[_ d] -> t[d]", "a part of a dimension of its own: [(v | _) d]");
    check("embed[(v | _ 2) d] -> t[v d]", "a part of a dimension of its own: [(v | _) d]");
    check("embed[(_ | v | _) d] -> t[v d]", "'_' is there twice in one dimension");
    check("embed[v d] -> t[(v | _) d]", "on the right '_' says what is filled in: write _=0");
    check("embed[v d] -> t[(v | _=x) d]", "'x' after '_=' is not a number to fill in");
    check("embed[v d] -> t[v n d]", "the place 'n' is on one side of '->' only");
}

#[test]
fn what_is_computed_is_cast_once_it_is_made() {
    let file = safetensors(&[
        ("qkv", "F32", &[3, 1], f32s(&[1.0, 1e6, -2.5])),
        ("norm", "F32", &[1], f32s(&[0.5])),
    ]);
    let folder = Folder::of([("a.safetensors", file)]);
    let rule = "qkv[(p o) d] -> {p=q,k,v}[o d]";
    let ran =
        folder.run(&["rename", rule, "a.safetensors", "-o", "b.safetensors", "--cast", "f16"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.err.contains("4 tensors cast to F16"), "{}", ran.err);
    assert!(ran.err.contains("note: 1 finite value became infinite in 1 tensor: k"), "{}", ran.err);
    let cast = ["rename", rule, "a.safetensors", "-o", "c.safetensors", "--cast", "q=f64"];
    assert_eq!(folder.run(&cast).status, 0);
    let listed = folder.typed("ls c.safetensors").out;
    let of_type = |dtype: &str| listed.matches(&format!("  {dtype}  [")).count();
    assert_eq!((of_type("F64"), of_type("F32")), (1, 3), "{listed}");
}
