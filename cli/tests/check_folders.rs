//! `check` of checkpoints of many files of which one is missing or damaged.

mod folder;

use std::fs;
use std::path::Path;

use folder::{Folder, numbered};
use serde_json::Value;

/// A folder that has these samples, each below its own name.
fn with(samples: &[&str]) -> Folder {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compat-tests/fixtures/folders");
    let folder = Folder::of([]);
    for sample in samples {
        copy(&all.join(sample), &folder.path(sample));
    }
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).expect("copied");
        }
    }
}

impl Folder {
    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("removed");
    }

    /// What `check --json` says of each file and folder.
    fn checked(&self, name: &str) -> Vec<Value> {
        let ran = self.run(&["check", "--json", name]);
        ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// The one report about a path.
    fn report(&self, checked: &str, path: &str) -> Value {
        let reports = self.checked(checked);
        let mut own = reports.iter().filter(|report| report["file"] == path);
        let found = own.next().unwrap_or_else(|| panic!("nothing about {path}: {reports:?}"));
        assert!(own.next().is_none(), "{path} is checked once");
        found.clone()
    }
}

/// The one finding that makes a report malformed: where, what and why.
fn malformed(report: &Value) -> [String; 3] {
    assert_eq!(report["verdict"], "malformed", "{report}");
    let findings = report["findings"].as_array().expect("a list");
    let mut malformed = findings.iter().filter(|finding| finding["verdict"] == "malformed");
    let found = malformed.next().expect("one of them is");
    assert!(malformed.next().is_none(), "one alone: {report}");
    ["where", "what", "why"].map(|field| found[field].as_str().expect("text").to_string())
}

const OPTIMIZER: &str = "global_step1/bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt";

#[test]
fn a_checkpoint_without_one_of_its_files_is_malformed_and_the_share_of_its_elements_is_said() {
    for (gone, report, kind) in [
        (&["dtensor-save/model_world_size_3_rank_1.pt"][..], "dtensor-save", "files of ranks"),
        (&["dcp-nested/__0_0.distcp"], "dcp-nested/.metadata", "distributed checkpoint of PyTorch"),
        (
            &["dcp-nocoll/__1.metadata"],
            "dcp-nocoll/__0.metadata",
            "distributed checkpoint of PyTorch",
        ),
        (&[&format!("zero2/{OPTIMIZER}")], "zero2/latest", "DeepSpeed checkpoint"),
        (
            &[&format!("zero2/{OPTIMIZER}"), "zero2/latest"],
            "zero2/global_step1",
            "DeepSpeed checkpoint",
        ),
        (
            &[
                "megatron-legacy-tp2/iter_0000007/mp_rank_00/model_optim_rng.pt",
                "megatron-legacy-tp2/latest_checkpointed_iteration.txt",
            ],
            "megatron-legacy-tp2/iter_0000007",
            "Megatron checkpoint",
        ),
    ] {
        let (sample, _) = gone[0].split_once('/').expect("a file in a folder");
        let folder = with(&[sample]);
        gone.iter().for_each(|name| folder.remove(name));
        let [_, what, why] = malformed(&folder.report(sample, report));
        assert!(what.starts_with(&format!("{kind}: ")), "{gone:?}: {what}");
        assert!(what.contains(" % of the elements lost"), "{gone:?}: {what}");
        assert!(why.contains("only a sound copy of the files has"), "{gone:?}: {why}");
        let file = gone[0].rsplit('/').next().expect("a name");
        assert!(what.contains(file) && what.contains(" is missing"), "{gone:?}: {what}");
        folder.typed(&format!("check {sample}")).check(2, "");
    }
}

#[test]
fn what_is_whole_is_not_malformed_with_or_without_a_file_that_leads_to_the_others() {
    let folder =
        with(&["dtensor-save", "hf-sharded", "dcp-nocoll", "zero2", "megatron-legacy-tp2"]);
    for (leading, alone) in [
        ("zero2/latest", "./zero2/global_step1"),
        (
            "megatron-legacy-tp2/latest_checkpointed_iteration.txt",
            "./megatron-legacy-tp2/iter_0000007",
        ),
    ] {
        assert_eq!(folder.report(".", &format!("./{leading}"))["counts"]["malformed"], 0);
        folder.remove(leading);
        assert_eq!(folder.report(".", alone)["counts"]["malformed"], 0, "{alone}");
    }
    let reports = folder.checked(".");
    let files: Vec<&str> = reports.iter().map(|it| it["file"].as_str().expect("text")).collect();
    let expected = [
        "./dcp-nocoll/__0.metadata",
        "./dtensor-save",
        "./hf-sharded",
        "./megatron-legacy-tp2/iter_0000007",
        "./zero2/global_step1",
    ];
    assert_eq!(files, expected, "each file is checked with its checkpoint");
    folder.remove("dtensor-save/model_world_size_3_rank_0.pt");
    let reports = folder.checked(".");
    let malformed = reports.iter().filter(|report| report["verdict"] == "malformed");
    let malformed: Vec<&Value> = malformed.map(|report| &report["file"]).collect();
    assert_eq!(malformed, ["./dtensor-save"]);
}

#[test]
fn a_file_that_says_that_it_is_one_ranks_is_malformed_by_itself() {
    let folder = with(&["dtensor-save", "fsdp1-sharded-save"]);
    folder.remove("fsdp1-sharded-save/rank1.pt");
    let [_, what, why] =
        malformed(&folder.report("fsdp1-sharded-save", "fsdp1-sharded-save/rank0.pt"));
    assert!(what.contains("no file has 30 of 60 elements"), "{what}");
    assert_eq!(why, "it is of one rank of several, and the files of the others are not there");
    fs::create_dir(folder.path("lone")).expect("made");
    let rank = |rank: u8| folder.path(&format!("dtensor-save/model_world_size_3_rank_{rank}.pt"));
    fs::copy(rank(0), folder.path("lone/rank0.pt")).expect("copied");
    let [_, what, why] = malformed(&folder.report("lone", "lone/rank0.pt"));
    assert!(what.starts_with("files of ranks: "), "{what}");
    assert_eq!(why, "it is of one rank of several, and the files of the others are not there");
    fs::copy(rank(1), folder.path("lone/rank1.pt")).expect("copied");
    fs::copy(rank(2), folder.path("lone/rank2.pt")).expect("copied");
    folder.typed("check lone").check(0, "");
    // With the others beside it, nothing is missing.
    folder.typed("check lone/rank0.pt").check(0, "");
}

#[test]
fn an_unfinished_save_is_malformed() {
    let folder = with(&["dcp-zstd"]);
    folder.remove("dcp-zstd/.metadata");
    let report = folder.report("dcp-zstd", "dcp-zstd");
    let [place, what, why] = malformed(&report);
    assert_eq!(place, "");
    assert!(what.starts_with("it is an unfinished save of a distributed checkpoint: "), "{what}");
    assert!(why.contains("take a save that was finished"), "{why}");
}

#[test]
fn two_kinds_in_one_folder_are_both_looked_at() {
    let folder = with(&["dtensor-save", "dcp-nested"]);
    copy(&folder.path("dcp-nested"), &folder.path("dtensor-save"));
    assert_eq!(folder.report("dtensor-save", "dtensor-save")["verdict"], "safe");
    folder.remove("dtensor-save/model_world_size_3_rank_1.pt");
    let [place, what, _] = malformed(&folder.report("dtensor-save", "dtensor-save"));
    assert_eq!(place, "model", "{what}");
    folder.remove("dtensor-save/__0_0.distcp");
    let report = folder.report("dtensor-save", "dtensor-save");
    assert_eq!(report["counts"]["malformed"], 2, "{report}");
}

#[test]
fn files_that_are_only_named_like_those_of_ranks_are_none() {
    let folder = Folder::of([("a.safetensors", numbered(&["a"]))]);
    fs::create_dir(folder.path("lora")).expect("made");
    for rank in [4, 8] {
        folder.typed(&format!("convert a.safetensors lora/lora_rank{rank}.pt")).check(0, "");
    }
    let report = folder.report("lora", "lora");
    assert_eq!((&report["verdict"], &report["counts"]["malformed"]), (&"safe".into(), &0.into()));
    let note = report["notes"][0]["what"].as_str().expect("a note");
    assert!(note.contains("nothing in these files says that they are of one checkpoint"), "{note}");
    folder.typed("check lora").check(0, "");
}

#[test]
fn a_damaged_safetensors_in_a_distributed_checkpoint_is_said_once() {
    let folder = with(&["dcp-st"]);
    let file = folder.path("dcp-st/__0_0.distcp");
    let bytes = fs::read(&file).expect("there");
    let check = |damaged: &[u8], place: &str, said: &str| {
        fs::write(&file, damaged).expect("written");
        let report = folder.report("dcp-st", "dcp-st/.metadata");
        let findings = report["findings"].as_array().expect("a list");
        let text =
            |finding: &Value, field: &str| finding[field].as_str().expect("text").to_string();
        let places: Vec<String> = findings.iter().map(|it| text(it, "where")).collect();
        assert_eq!(places, ["", place], "{report}");
        let what = text(&findings[0], "what");
        assert_eq!(what.matches(said).count(), 1, "{what}");
        assert!(what.contains("(8 tensors): 8 of 9 tensors incomplete"), "{what}");
        folder.typed("ls --hash dcp-st").check(2, "(8 tensors): 8 of 9 tensors incomplete");
    };
    // The length of the header is another.
    check(
        &[&[0x40], &bytes[1..]].concat(),
        "__0_0.distcp: the safetensors at byte 0, with 8 tensors",
        "the safetensors at byte 0: ",
    );
    check(&vec![0; bytes.len()], "__0_0.distcp: 'mask' and 7 more", "it is not an archive");
}

#[test]
fn one_ranks_pieces_get_no_index_that_would_make_tensors_of_them() {
    let folder = with(&["hf-sharded"]);
    folder.remove("hf-sharded/shard-00002-model-00001-of-00001.safetensors");
    folder.typed("index hf-sharded").check(2, "is of pieces of PyTorch's Hugging Face writer");
}

#[test]
fn a_save_that_is_not_there_is_named_with_one_that_is() {
    let folder = with(&["zero2"]);
    folder.add("zero2/latest", b"global_step2");
    folder.typed("ls zero2").check(2, "there is 'global_step1', which opens by itself");
    folder.typed("ls zero2/global_step1").check(0, "");
}

#[test]
fn a_folder_in_place_of_a_piece_is_not_taken_for_a_rank_less() {
    let folder = with(&["hf-sharded"]);
    let piece = "hf-sharded/shard-00002-model-00001-of-00001.safetensors";
    folder.remove(piece);
    fs::create_dir(folder.path(piece)).expect("made");
    folder.typed("convert hf-sharded out.safetensors").check(2, "it is a folder; expected a piece");
    assert!(!folder.path("out.safetensors").exists());
}

#[cfg(unix)]
#[test]
fn a_link_to_a_piece_that_is_gone_is_not_taken_for_a_rank_less() {
    let folder = with(&["hf-sharded"]);
    let piece = "hf-sharded/shard-00002-model-00001-of-00001.safetensors";
    folder.remove(piece);
    std::os::unix::fs::symlink("../blobs/gone", folder.path(piece)).expect("a link");
    let ran = folder.typed("convert hf-sharded out.safetensors");
    ran.check(2, "shard-00002-model-00001-of-00001.safetensors': no such file");
    assert!(!folder.path("out.safetensors").exists());
    assert_eq!(folder.report("hf-sharded", "hf-sharded")["verdict"], "malformed");
}
