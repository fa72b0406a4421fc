//! Checkpoints of many files that trainers wrote.
//!
//! `fixtures/folders` has some, and `truth.jsonl` beside them says what they hold; those of ranks of tensor
//! parallelism are DeepSpeed's own (`python/tensor_parallel.py`). `STATEDICT_CORPUS`
//! may name a folder with more of them in `distributed/samples`, damaged ones among them.

use std::fs;
use std::path::{Path, PathBuf};

use compat_tests::{Run, Tally, corpus, statedict, text};
use serde_json::Value;

/// The lines of the truth about folders of kinds that are read.
fn truth(samples: &Path) -> Vec<(String, Value)> {
    let truth = fs::read_to_string(samples.join("truth.jsonl")).expect("the truth can be read");
    let lines = truth.lines().map(|line| {
        let line: Value = serde_json::from_str(line).expect("a JSON document a line");
        (text(&line["file"]), line)
    });
    lines.collect()
}

/// The folders of samples: the one that is always there, and the one that may be.
fn samples() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/folders");
    [own].into_iter().chain(corpus("distributed/samples")).collect()
}

/// A copy of a folder without one of its files.
fn without(folder: &Path, gone: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    let mut left = vec![PathBuf::new()];
    while let Some(below) = left.pop() {
        for entry in fs::read_dir(folder.join(&below)).expect("a folder") {
            let path = below.join(entry.expect("an entry").file_name());
            if folder.join(&path).is_dir() {
                fs::create_dir(copy.path().join(&path)).expect("made");
                left.push(path);
            } else if path != Path::new(gone) {
                fs::copy(folder.join(&path), copy.path().join(&path)).expect("copied");
            }
        }
    }
    copy
}

fn list(path: &Path) -> Run {
    statedict(["ls".as_ref(), "--json".as_ref(), "--hash".as_ref(), path.as_os_str()])
}

/// Tensors as text, in an order of their own: files of several ranks have none.
fn rows(tensors: &Value) -> Vec<String> {
    let tensors = tensors.as_array().expect("a list of tensors");
    let row = |row: &Value| {
        let [at, key, dtype, shape, sha256] =
            ["at", "key", "dtype", "shape", "sha256"].map(|field| &row[field]);
        format!("{at} {key} {dtype} {shape} {sha256}")
    };
    let mut rows: Vec<String> = tensors.iter().map(row).collect();
    rows.sort();
    rows
}

/// The first file of a folder that a text speaks of as missing or damaged.
fn file_in(why: &str) -> Option<&str> {
    let mut words = why.split([' ', ',', ':']);
    words.find(|word| word.starts_with("__") || word.starts_with("mp_rank_"))
}

fn difference(expected: &Value, run: &Run) -> Option<String> {
    if run.status != Some(0) {
        return Some(format!("{:?} {}", run.status, run.stderr.trim()));
    }
    let (expected, found) = (rows(&expected["tensors"]), rows(&run.json()["tensors"]));
    // Trainers keep more tensors than the truth speaks of, such as random states.
    let missing = expected.iter().find(|row| !found.contains(row));
    missing.map(|row| format!("{row} is not among {} tensors", found.len()))
}

#[test]
fn folders_of_trainers_hold_what_was_saved() {
    let mut tally = Tally::new();
    for samples in samples() {
        let truth = truth(&samples);
        for (name, line) in truth.iter().filter(|(_, line)| line.get("expect").is_none()) {
            tally.note(name, difference(line, &list(&samples.join(name))));
        }
    }
    tally.close("folders agree");
}

#[test]
fn a_folder_without_one_of_its_files_is_refused_and_the_file_is_named() {
    let folders = &samples()[0];
    for (name, gone) in [
        ("dcp-nocoll", "__1_0.distcp"),
        ("dcp-nocoll", "__1.metadata"),
        ("dcp-nested", "__0_0.distcp"),
        ("dtensor-save", "model_world_size_3_rank_1.pt"),
        ("zero2", "global_step1/bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt"),
        ("zero3", "global_step1/zero_pp_rank_1_mp_rank_00_model_states.pt"),
        ("megatron-legacy-tp2", "iter_0000007/mp_rank_01/model_optim_rng.pt"),
        ("zero0-tp2", "global_step2/mp_rank_01_model_states.pt"),
        ("zero1-tp2", "global_step2/mp_rank_00_model_states.pt"),
        ("zero1-tp2", "global_step2/bf16_zero_pp_rank_1_mp_rank_01_optim_states.pt"),
        ("zero3-tp2", "global_step2/zero_pp_rank_0_mp_rank_00_model_states.pt"),
        ("zero3-tp2", "global_step2/bf16_zero_pp_rank_0_mp_rank_01_optim_states.pt"),
    ] {
        let folder = without(&folders.join(name), gone);
        let run = list(folder.path());
        assert_eq!(run.impolite(2), None, "{name} without {gone}");
        let file = gone.rsplit('/').next().expect("a name");
        let folder = gone.rsplit('/').nth(1).unwrap_or(file);
        let is_named = run.stderr.contains(file) || run.stderr.contains(folder);
        assert!(is_named, "{name} without {gone}: {}", run.stderr);
    }
    let unfinished = without(&folders.join("dcp-nested"), ".metadata");
    assert!(list(unfinished.path()).stderr.contains("unfinished save"));
}

#[test]
fn parameters_of_one_vector_are_told_apart_by_the_shapes_of_a_model() {
    let folders = &samples()[0];
    let flat = folders.join("fsdp1-local-save");
    let truth = truth(folders);
    let (_, expected) = truth.iter().find(|(name, _)| name == "fsdp1-local-save").expect("there");
    let out = tempfile::tempdir().expect("a folder");
    let listing = out.path().join("model.json");
    let model = folders.join("dtensor-save");
    let listed = statedict(["ls".as_ref(), "--json".as_ref(), model.as_os_str()]);
    fs::write(&listing, listed.stdout).expect("written");
    for target in [&listing, &model] {
        let words = ["ls", "--json", "--hash", "--shapes"].map(std::ffi::OsStr::new);
        let run = statedict(words.into_iter().chain([target.as_os_str(), flat.as_os_str()]));
        assert_eq!(difference(expected, &run), None);
    }
    let other = folders.join("zero1");
    let words = ["ls".as_ref(), "--shapes".as_ref(), other.as_os_str(), flat.as_os_str()];
    let run = statedict(words);
    assert_eq!(run.impolite(2), None);
    assert!(run.stderr.contains("by the shapes that were given"), "{}", run.stderr);
}

#[test]
fn a_folder_becomes_a_file_a_hub_folder_and_a_distributed_checkpoint() {
    let folders = &samples()[0];
    for (name, at) in [
        ("dcp-nocoll", "model"),
        ("dcp-zstd", "model"),
        ("dcp-st", "/"),
        ("hf-sharded", "/"),
        ("dtensor-save", "/"),
        ("zero3", "/"),
        ("zero1-tp2", "/"),
        ("megatron-legacy-tp2", "model"),
    ] {
        let out = tempfile::tempdir().expect("a folder");
        let source = folders.join(name);
        let digests = |path: &Path, at: &str| {
            let words = ["ls", "--json", "--hash", "--at", at, path.to_str().expect("UTF-8")];
            let run = statedict(words);
            assert_eq!(run.status, Some(0), "{name}: {}", run.stderr);
            let tensors = run.json()["tensors"].as_array().expect("a list").clone();
            let rows = tensors.iter().map(|row| {
                ["key", "dtype", "shape", "sha256"].map(|field| row[field].to_string()).join(" ")
            });
            let mut rows: Vec<String> = rows.collect();
            rows.sort();
            rows
        };
        let wanted = digests(&source, at);
        assert!(!wanted.is_empty(), "{name}");
        let outputs: [(&str, &[&str]); 4] = [
            ("one.safetensors", &[]),
            ("one.pth", &[]),
            ("hub", &["--shard-size", "1KB"]),
            ("dcp", &["--format", "dcp", "--shard-size", "1KB"]),
        ];
        for (output, options) in outputs {
            let output = out.path().join(output);
            let paths = [&source, &output].map(|path| path.to_str().expect("UTF-8"));
            let run = statedict([&["convert", paths[0], paths[1], "--at", at], options].concat());
            assert_eq!(run.status, Some(0), "{name}: {}", run.stderr);
            assert_eq!(digests(&output, "/"), wanted, "{name} as {}", output.display());
        }
    }
}

#[test]
fn damaged_folders_are_refused_and_the_file_is_named() {
    let Some(samples) = corpus("distributed/samples") else { return };
    let mut tally = Tally::new();
    for (name, line) in truth(&samples).iter().filter(|(_, line)| line["expect"] == "refused") {
        let run = list(&samples.join(name));
        let why = text(&line["why"]);
        let unnamed = file_in(&why).filter(|file| !run.stderr.contains(file));
        let unnamed = unnamed.map(|file| format!("'{file}' is not named: {}", run.stderr.trim()));
        tally.note(name, run.impolite(2).or(unnamed));
    }
    tally.close("damaged folders refused");
}

#[test]
fn folders_that_mean_harm_are_dangerous_and_not_read() {
    let Some(samples) = corpus("distributed/samples") else { return };
    let mut tally = Tally::new();
    for (name, _) in truth(&samples).iter().filter(|(_, line)| line["expect"] == "dangerous") {
        let path = samples.join(name);
        let run = statedict(["check".as_ref(), "--json".as_ref(), path.as_os_str()]);
        let is_known = run.status == Some(1) && run.stdout.contains("\"verdict\":\"dangerous\"");
        tally.note(name, (!is_known).then(|| format!("{:?} {}", run.status, run.stdout)));
    }
    tally.close("hostile folders found");
}

/// The one class of PyTorch's that is not known to do nothing: filled, it talks to the other ranks.
const SHARDED: &str = "torch.distributed._shard.sharded_tensor.api.ShardedTensor";

#[test]
fn good_folders_are_safe_or_need_deepspeed_or_hold_sharded_tensors() {
    let mut tally = Tally::new();
    let folders = samples().into_iter().flat_map(|samples| {
        let good = truth(&samples).into_iter().filter(|(_, line)| line.get("expect").is_none());
        good.map(|(name, _)| (samples.join(&name), name)).collect::<Vec<_>>()
    });
    for (path, name) in folders {
        let name = &name;
        let run = statedict(["check".as_ref(), "--json".as_ref(), path.as_os_str()]);
        let lines = run.stdout.lines().map(|line| {
            let line: Value = serde_json::from_str(line).expect("a JSON document a line");
            line["findings"].as_array().expect("findings").clone()
        });
        let findings: Vec<Value> = lines.flatten().collect();
        let others = findings.iter().filter(|finding| {
            let name = finding["name"].as_str().unwrap_or_default();
            let is_unknown = finding["verdict"] == "unknown";
            !(is_unknown && (name == SHARDED || name.starts_with("deepspeed.")))
        });
        let others = others.count();
        let status = if findings.is_empty() { 0 } else { 1 };
        let is_good = others == 0 && run.status == Some(status);
        let problem = format!("{:?} {} {}", run.status, run.stdout, run.stderr);
        tally.note(name, (!is_good).then_some(problem));
    }
    tally.close("good folders do no harm");
}
