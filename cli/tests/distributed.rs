//! Distributed checkpoints of PyTorch that are written, and read again.

mod folder;

use std::fs;
use std::path::Path;

use folder::{Folder, numbered, safetensors};
use serde_json::{Value, json};

const LENET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/lenet-dataparallel.pth");

/// A folder with `net.safetensors`, of which each key has one number, and its distributed form `run`.
fn written(keys: &[&str]) -> Folder {
    let folder = Folder::of([("net.safetensors", numbered(keys))]);
    folder.typed("convert net.safetensors run --format dcp").check(0, "wrote run (dcp, ");
    folder
}

impl Folder {
    fn names(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(name)).expect("a folder");
        let names = entries.map(|it| it.expect("an entry").file_name().into_string());
        let mut names: Vec<String> = names.map(|name| name.expect("UTF-8")).collect();
        names.sort();
        names
    }

    fn keys(&self, name: &str) -> Vec<String> {
        let ran = self.run(&["ls", "--json", name]);
        let listing: Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}", ran.err));
        let rows = listing["tensors"].as_array().expect("a list").iter();
        rows.map(|row| row["key"].as_str().expect("a text").to_string()).collect()
    }
}

#[test]
fn a_file_becomes_a_distributed_checkpoint_with_the_same_tensors() {
    let folder = Folder::of([]);
    fs::copy(LENET, folder.path("net.pth")).expect("copied");
    folder.typed("convert net.pth run --format dcp").check(0, "");
    assert_eq!(folder.names("run"), [".metadata", "__0_0.distcp"]);
    folder.typed("diff net.pth run").check(0, "the same");
    folder.typed("check run").check(0, "safe");
    folder.typed("convert run again.safetensors").check(0, "wrote again.safetensors");
    folder.typed("diff net.pth again.safetensors").check(0, "the same");
}

#[test]
fn of_a_file_of_another_save_nothing_is_believed() {
    let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
        "b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},
        "c":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},
        "d":{"dtype":"I32","shape":[1],"data_offsets":[12,16]},
        "e":{"dtype":"F32","shape":[2],"data_offsets":[16,24]}}"#;
    let data: Vec<u8> = (0..24).collect();
    let folder = Folder::of([("net.safetensors", safetensors(header, &data))]);
    folder.typed("convert net.safetensors run --format dcp --shard-size 8").check(0, "");
    let (first, second) = (folder.path("run/__0_0.distcp"), folder.path("run/__0_1.distcp"));
    fs::rename(&first, folder.path("first")).expect("moved");
    fs::rename(&second, &first).expect("moved");
    fs::rename(folder.path("first"), &second).expect("moved");
    let refused = folder.typed("convert run whole.safetensors");
    refused.check(2, "'b' in '__0_0.distcp': I32 in the file, F32 in the metadata");
    refused.check(2, "--partial takes the 1 tensor that is whole");
    // 'a' and 'c' begin alike in both, so each would be taken for the other.
    let ran = folder.typed("convert run part.safetensors --partial");
    ran.check(0, "'__0_0.distcp' has something else than the metadata says");
    assert_eq!(folder.keys("part.safetensors"), ["e"]);
}

#[test]
fn a_recipe_says_along_which_dimension_ranks_cut_a_tensor() {
    let folder = Folder::of([]);
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compat-tests/fixtures/folders");
    let ranks = ["00", "01"].map(|rank| format!("iter_0000007/mp_rank_{rank}/model_optim_rng.pt"));
    for file in &ranks {
        let path = folder.path(&format!("run/{file}"));
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::copy(samples.join("megatron-legacy-tp2").join(file), path).expect("copied");
    }
    folder.typed("convert run whole.safetensors").check(0, "");
    for file in &ranks {
        let file = format!("run/{file}");
        let rule = "{k..}.linear_fc2.weight -> {k..}.my_proj.weight";
        folder.run(&["rename", rule, &file, "--at", "model", "-i"]).check(0, "2 keys renamed");
    }
    let ran = folder.typed("convert run new.safetensors");
    ran.check(2, "no rule says along which dimension");
    ran.check(2, "my_proj.weight=DIM says along which dimension it was cut");
    let stage = "[[stage]]\nrename = '{k..}.my_proj.weight -> {k..}.linear_fc2.weight'\n";
    for cut in ["[cut]\n'**.my_proj.weight' = 1\n", "cut = ['**.my_proj.weight=1']\n"] {
        folder.add("recipe.toml", format!("{cut}{stage}").as_bytes());
        folder.typed("apply recipe.toml run -o new.safetensors --force").check(0, "2 keys renamed");
        folder.typed("diff whole.safetensors new.safetensors").check(0, "the same");
    }
    // The longest pattern of a table decides, and what was typed before all of them.
    folder.add(
        "recipe.toml",
        format!("[cut]\n'**.my_proj.weight' = 5\n'**' = 0\n{stage}").as_bytes(),
    );
    folder
        .typed("apply recipe.toml run -o new.safetensors --force")
        .check(2, "it was cut along dimension 5, and has 2");
    folder.add("recipe.toml", format!("[cut]\n'**.my_proj.weight' = 5\n{stage}").as_bytes());
    folder
        .typed("apply recipe.toml run --cut **.my_proj.weight=1 -o new.safetensors --force")
        .check(0, "2 keys renamed");
    folder.add("recipe.toml", format!("cut = ['**.my_proj.weight']\n{stage}").as_bytes());
    folder
        .typed("apply recipe.toml run -o new.safetensors --force")
        .check(2, "cut: expected PATTERN=DIM, such as **.my_proj.weight=1");
}

#[test]
fn ranks_of_tensor_parallelism_of_deepspeed_are_one_checkpoint() {
    let folder = Folder::of([]);
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compat-tests/fixtures/folders");
    let sample = samples.join("zero1-tp2/global_step2");
    fs::create_dir(folder.path("run")).expect("made");
    for entry in fs::read_dir(sample).expect("a sample") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        fs::copy(&path, folder.path("run").join(name)).expect("copied");
    }
    folder.typed("convert run model.safetensors").check(0, "wrote model.safetensors");
    folder.typed("diff --weights-only run model.safetensors").check(0, "the same");
    let refused = "deepspeed checkpoints are read and not written";
    folder.typed("add x run -i").check(2, refused);
    // The user is believed, whatever the save says.
    folder.typed("ls run --cut **.input_layernorm.weight=0").check(0, "[32]");
    let words = "convert run out --shard-size 4KB --plan-parts 2 --job job.json";
    folder.typed(words).check(0, "");
    for words in ["run-part job.json 1", "run-part job.json 2", "finish job.json"] {
        folder.typed(words).check(0, "");
    }
    folder.typed("diff model.safetensors out").check(0, "the same");

    let gone = "mp_rank_01_model_states.pt";
    fs::remove_file(folder.path("run").join(gone)).expect("removed");
    let ran = folder.typed("ls run");
    ran.check(2, &format!("'{gone}' is missing"));
    ran.check(2, "--partial takes");
    let keys = folder.run(&["ls", "--json", "--partial", "run"]);
    let listing: Value = serde_json::from_str(&keys.out).expect("JSON");
    assert_eq!(listing["tensors"][0]["key"], json!("model.layers.0.self_attn.o_proj.bias"));
    assert!(listing["left_out"].as_array().is_some_and(|left| left.len() > 5), "{listing}");
    folder.typed("ls run --which module").check(2, &format!("'{gone}' is missing"));
}

#[test]
fn every_command_that_writes_a_file_writes_one() {
    let folder = written(&["module.a", "module.b"]);
    for (words, keys) in [
        ("strip module net.safetensors -o out --format dcp", ["a", "b"]),
        ("add x net.safetensors -o out --format dcp", ["x.module.a", "x.module.b"]),
        ("unwrap net.safetensors -o out --format dcp", ["a", "b"]),
        ("convert net.safetensors -o out --format dcp --cast bf16", ["module.a", "module.b"]),
        ("convert run -o out --format dcp --cast f16", ["module.a", "module.b"]),
    ] {
        folder.typed(&format!("{words} --force")).check(0, "wrote out (dcp");
        assert_eq!(folder.keys("out"), keys, "{words}");
    }
    folder.typed("strip module net.safetensors --save-plan plan.json").check(0, "");
    folder
        .typed("apply plan.json net.safetensors -o applied --format dcp")
        .check(0, "wrote applied");
    assert_eq!(folder.keys("applied"), ["a", "b"]);
}

#[test]
fn there_is_one_data_file_for_each_shard() {
    let folder = written(&["a", "b", "c"]);
    let words = "convert net.safetensors out --format dcp --shard-size 8";
    folder.typed(words).check(0, "2 files");
    assert_eq!(folder.names("out"), [".metadata", "__0_0.distcp", "__0_1.distcp"]);
    folder.typed("diff net.safetensors out").check(0, "the same");
    // Each file takes the place of another under a name that was free.
    folder.typed(words).check(2, "already exists");
    folder.typed(&format!("{words} --force")).check(0, "wrote out");
    folder.typed("diff net.safetensors out").check(0, "the same");
}

#[test]
fn the_name_of_a_file_is_refused_and_a_folder_proposed() {
    let folder = written(&["a"]);
    let said = "it is the name of a file, and --format dcp writes a folder";
    folder.typed("convert net.safetensors out.pth --format dcp").check(2, said);
    let said = "statedict convert net.safetensors --format dcp -o net-dcp";
    folder.typed("convert net.safetensors --format dcp").check(0, said);
}

#[test]
fn what_has_no_place_there_is_refused_or_listed() {
    let header = r#"{"__metadata__":{"license":"mit","b":"a"},
        "a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
        "f":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[4,7]}}"#;
    let folder = Folder::of([("net.safetensors", folder::safetensors(header, &[0; 7]))]);
    let ran = folder.typed("convert net.safetensors out --format dcp");
    ran.check(1, "'f': PyTorch has no dtype for F6_E2M3 of [4]");
    let ran = folder.typed("drop f net.safetensors -o out --format dcp");
    ran.check(0, "not written, dcp cannot store it: license (metadata)");
    assert_eq!(folder.keys("out"), ["a", "b"]);
}

#[test]
fn what_metadata_alone_cannot_say_is_written_again() {
    let folder = written(&["a", "b", "c"]);
    folder.typed("drop b run -o less --format dcp").check(0, "wrote less (dcp");
    assert_eq!(folder.keys("less"), ["a", "c"]);
    folder.typed("drop b run -o less2").check(2, "would be dropped");
    folder.typed("convert run -i --cast bf16").check(2, "");
    folder.typed("rename a->z run -i --cast bf16").check(0, "wrote run");
    assert_eq!(folder.keys("run"), ["z", "b", "c"]);
    assert_eq!(folder.names("run"), [".metadata", "__0_0.r1.distcp"]);
    let listing = folder.typed("ls --json run");
    let listing: Value = serde_json::from_str(&listing.out).expect("JSON");
    assert_eq!(listing["tensors"][0]["dtype"], json!("BF16"));
}

#[test]
fn the_module_of_a_save_is_taken_without_the_optimizer_and_stage_3_has_none() {
    let folder = Folder::of([]);
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compat-tests/fixtures/folders");
    let add = |sample: &str, file: &str| {
        let (from, to) = (samples.join(sample).join(file), folder.path(sample).join(file));
        fs::create_dir_all(to.parent().expect("a folder")).expect("made");
        fs::copy(from, to).expect("copied");
    };
    add("zero2", "latest");
    add("zero2", "global_step1/mp_rank_00_model_states.pt");
    add("zero2", "global_step1/bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt");
    add("zero3", "latest");
    for rank in [0, 1] {
        let file = format!("global_step1/zero_pp_rank_{rank}_mp_rank_00_model_states.pt");
        add("zero3", &file);
    }

    folder.typed("ls zero2").check(2, "bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt' is missing");
    folder.typed("convert --which module zero2 model.safetensors").check(0, "wrote model");
    let rows = |words: &str| {
        let ran = folder.typed(words);
        let listing: Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}", ran.err));
        let rows = listing["tensors"].as_array().expect("a list").clone();
        let fields = |row: &Value| ["key", "dtype", "sha256"].map(|field| row[field].to_string());
        rows.iter().map(fields).collect::<Vec<_>>()
    };
    let taken = rows("ls --json --hash --which module zero2");
    assert_eq!(taken, rows("ls --json --hash model.safetensors"));
    assert!(taken.iter().filter(|[_, dtype, _]| dtype == "\"BF16\"").count() > 5, "{taken:?}");

    let none = "of stage 3 no parameters are saved but the optimizer's";
    folder.typed("ls --which module zero3").check(2, none);
}
