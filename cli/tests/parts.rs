//! Jobs in parts: what comes out is what one machine writes, whatever happens on the way.

mod folder;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::thread;

use folder::{Folder, Ran, safetensors};
use serde_json::Value;

/// Elements of each tensor.
const COUNT: usize = 1000;

/// Tensors `model.layers.0.weight` and so on.
fn model(tensors: usize) -> Vec<u8> {
    let bytes = 4 * COUNT;
    let entries: Vec<String> = (0..tensors)
        .map(|i| {
            let (start, end) = (i * bytes, (i + 1) * bytes);
            format!(
                r#""model.layers.{i}.weight":{{"dtype":"F32","shape":[10,100],"data_offsets":[{start},{end}]}}"#
            )
        })
        .collect();
    let data = (0..tensors * COUNT).flat_map(|i| (i as f32).to_le_bytes()).collect::<Vec<u8>>();
    safetensors(&format!("{{{}}}", entries.join(",")), &data)
}

/// A model folder of 12 tensors of 4 kB.
fn folder() -> Folder {
    let folder = Folder::of([]);
    fs::create_dir(folder.path("in")).expect("a folder");
    folder.add("in/model.safetensors", &model(12));
    folder.add("in/config.json", b"{\"heads\": 2}");
    folder
}

fn done(ran: Ran) -> Ran {
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    ran
}

/// The files of a folder with what is in them, those in folders below included.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let (entry, name) = entry.map(|it| (it.path(), it.file_name())).expect("an entry");
        let name = name.into_string().expect("UTF-8");
        if entry.is_dir() {
            let below = contents(&entry).into_iter();
            all.extend(below.map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
        } else {
            all.insert(name, fs::read(&entry).expect("readable"));
        }
    }
    all
}

fn job(folder: &Folder) -> Value {
    let text = fs::read(folder.path("job.json")).expect("a job file");
    serde_json::from_slice(&text).expect("JSON")
}

/// Does the same by one machine into `one` and in parts into `out`, and compares.
fn check(folder: &Folder, words: &str, parts: usize) {
    done(folder.typed(&format!("{words} -o one")));
    let planned = format!("{words} -o out --plan-parts {parts} --job job.json");
    done(folder.typed(&planned)).check(0, &format!("for each N from 1 to {parts}"));
    assert!(!folder.path("out").exists(), "planning writes the job file alone");
    for part in (1..=parts).rev() {
        done(folder.typed(&format!("run-part job.json {part}")));
    }
    done(folder.typed("finish job.json"));
    let (one, out) = (contents(&folder.path("one")), contents(&folder.path("out")));
    assert_eq!(one.keys().collect::<Vec<_>>(), out.keys().collect::<Vec<_>>(), "{words}");
    assert!(one == out, "{words}: the bytes differ");
}

#[test]
fn a_conversion_in_parts_is_what_one_machine_writes() {
    check(&folder(), "convert in --shard-size 9000 --format pth --metadata by=me", 3);
    check(&folder(), "convert in/model.safetensors --shard-size 4000", 5);
}

#[test]
fn casts_recipes_sizes_and_plans_are_in_the_job_file() {
    let words = "strip model in --shard-size 9KB --cast layers.1.**=f64 --cast bf16 --strict";
    check(&folder(), words, 2);
    let in_recipe = folder();
    let recipe = "[size]\nheads = 'heads'\n[[stage]]\nstrip = 'model'\n[[stage]]\n\
                  rename = 'layers.{i}.weight[(heads h) d] -> l/{i}.w[d heads h]'\n";
    in_recipe.add("r.toml", recipe.as_bytes());
    check(&in_recipe, "apply r.toml in --shard-size 9KB", 3);
}

#[test]
fn a_saved_plan_and_the_inverse_of_a_recipe_are_done_in_parts() {
    let folder = folder();
    folder
        .add("r.toml", b"title = 'x'\n[[stage]]\nrename = 'm.{i}.w -> model.layers.{i}.weight'\n");
    done(folder.typed("apply r.toml --inverse in -o first --shard-size 9KB --save-plan p.json"));
    check(&folder, "apply r.toml --inverse in --shard-size 9KB", 4);
    fs::remove_dir_all(folder.path("one")).expect("removed");
    fs::remove_dir_all(folder.path("out")).expect("removed");
    fs::remove_file(folder.path("job.json")).expect("removed");
    // Shards that keep their number are files of their own, too.
    check(&folder, "apply p.json --inverse first", 2);
}

#[test]
fn joined_files_and_distributed_checkpoints_are_written_in_parts() {
    let folder = folder();
    folder.add("other.safetensors", &model(5));
    check(&folder, "join in other.safetensors --prefix a= --prefix b= --shard-size 9KB", 3);
    for name in ["one", "out"] {
        fs::remove_dir_all(folder.path(name)).expect("removed");
    }
    fs::remove_file(folder.path("job.json")).expect("removed");
    check(&folder, "convert in --format dcp --shard-size 9KB --weights-only", 3);
}

#[test]
fn a_job_file_says_what_each_part_reads_and_writes() {
    let folder = folder();
    done(folder.typed("convert in --shard-size 9KB -o out --plan-parts 3 --job job.json"));
    let job = job(&folder);
    assert_eq!((&job["statedict_job"], &job["version"]), (&"parts".into(), &1.into()));
    assert_eq!(job["index"], "model.safetensors.index.json");
    let input = folder.path("in/model.safetensors").display().to_string();
    assert_eq!(job["inputs"][0]["file"], input);
    let parts = job["parts"].as_array().expect("parts");
    let files = |part: &Value| part["writes"].as_array().expect("files").len();
    assert_eq!(parts.iter().map(files).collect::<Vec<_>>(), [2, 2, 2]);
    for part in parts {
        assert_eq!(part["reads"][0]["file"], input);
        assert_eq!(part["reads"][0]["bytes"], 16_000, "four tensors of 4 kB: {part}");
    }
}

#[test]
fn a_part_is_done_any_number_of_times() {
    let folder = folder();
    done(folder.typed("convert in --shard-size 9KB -o out --plan-parts 2 --job job.json"));
    let written = |words: &str| {
        let ran = done(folder.typed(words));
        let json: Value = serde_json::from_str(&ran.out).expect("JSON");
        [&json["written"], &json["found"]].map(|files| files.as_array().expect("files").len())
    };
    assert_eq!(written("run-part job.json 1 --json"), [3, 0]);
    assert_eq!(written("run-part job.json 1 --json"), [0, 3]);
    fs::remove_file(folder.path("out/model-00002-of-00006.safetensors")).expect("removed");
    assert_eq!(written("run-part job.json 1 --json"), [1, 2]);
    assert_eq!(written("run-part job.json 2 --json"), [3, 0]);
    done(folder.typed("finish job.json"));
    let all = contents(&folder.path("out"));
    assert_eq!(written("run-part job.json 2 --json"), [0, 3]);
    done(folder.typed("finish job.json"));
    assert!(all == contents(&folder.path("out")));
}

#[test]
fn a_job_is_not_finished_before_its_parts() {
    let folder = folder();
    done(folder.typed("convert in --shard-size 9KB -o out --plan-parts 3 --job job.json"));
    done(folder.typed("run-part job.json 2"));
    let ran = folder.typed("finish job.json");
    ran.check(1, "part 1 is not done: no model-00001-of-00006.safetensors and 1 more");
    ran.check(1, "part 3 is not done");
    assert!(!folder.path("out/model.safetensors.index.json").exists());
    folder.typed("run-part job.json 4").check(2, "there is no part 4; its parts are 1 to 3");
    folder.typed("run-part job.json 0").check(2, "there is no part 0; its parts are 1 to 3");
}

#[test]
fn an_input_that_changed_meanwhile_is_refused_by_name() {
    let folder = folder();
    done(folder.typed("convert in --shard-size 9KB -o out --plan-parts 3 --job job.json"));
    done(folder.typed("run-part job.json 1"));
    let mut other = model(12);
    let last = other.len() - 1;
    other[last] ^= 1;
    folder.add("in/model.safetensors", &other);
    let changed = "model.safetensors: changed since the job was planned";
    folder.typed("run-part job.json 2").check(1, changed);
    folder.typed("finish job.json").check(1, changed);
    folder.add("in/model.safetensors", &model(13));
    folder.typed("run-part job.json 2").check(1, changed);
    folder.add("in/model.safetensors", &model(12));
    folder.add("in/config.json", b"{\"heads\": 4}");
    folder.typed("run-part job.json 2").check(1, "config.json: changed since the job was planned");
}

#[test]
fn a_file_that_is_not_the_jobs_own_is_never_taken_for_one() {
    let folder = folder();
    done(folder.typed("convert in --shard-size 9KB -o one"));
    let name = "model-00001-of-00006.safetensors";
    let planned = "convert in --shard-size 9KB -o out --plan-parts 2 --job job.json";
    fs::create_dir(folder.path("out")).expect("a folder");
    folder.add(&format!("out/{name}"), b"mine");
    folder.typed(planned).check(2, "already exists");
    fs::remove_file(folder.path("out").join(name)).expect("removed");
    done(folder.typed(planned));
    folder.typed(planned).check(2, "job.json': already exists");
    // The same header with other elements, by somebody else.
    fs::copy(folder.path("one").join(name), folder.path("out").join(name)).expect("copied");
    folder.typed("run-part job.json 1").check(2, "already exists");
    folder.typed("finish job.json").check(1, "part 1 is not done");
}

#[test]
fn what_is_one_file_has_no_parts() {
    let folder = folder();
    let ran = folder.typed("convert in out.npz --plan-parts 2 --job job.json");
    ran.check(2, "is one file, and parts are groups of files; --shard-size SIZE writes several");
    assert!(!folder.path("job.json").exists());
    folder
        .typed("convert in --shard-size 9KB --plan-parts 2 --job job.json")
        .check(2, "expected OUT");
    let forced = "convert in out --shard-size 9KB --plan-parts 2 --job j --force";
    folder.typed(forced).check(2, "cannot be used with");
}

#[test]
fn parts_without_files_are_done_at_once() {
    let folder = folder();
    let planned = "convert in out --shard-size 25KB --plan-parts 4 --job job.json";
    done(folder.typed(planned)).check(0, "2 parts have nothing to do");
    for part in 1..=4 {
        done(folder.typed(&format!("run-part job.json {part}")));
    }
    done(folder.typed("finish job.json"));
}

#[test]
fn a_job_file_of_another_kind_or_plan_is_refused() {
    let folder = folder();
    folder.add("job.json", br#"{"statedict_job":"parts","version":7}"#);
    folder.typed("run-part job.json 1").check(2, "version 7; expected 'parts', version 1");
    fs::remove_file(folder.path("job.json")).expect("removed");
    done(folder.typed("convert in out --shard-size 9KB --plan-parts 2 --job job.json"));
    let text = fs::read_to_string(folder.path("job.json")).expect("a job file");
    folder.add("job.json", text.replace("\"bytes\": 9000", "\"bytes\": 17000").as_bytes());
    folder
        .typed("run-part job.json 1")
        .check(1, "would write other files in part 1; plan it again");
}

#[test]
fn a_job_file_of_no_parts_is_refused() {
    let folder = folder();
    done(folder.typed("convert in -o out --shard-size 9KB --plan-parts 2 --job job.json"));
    done(folder.typed("run-part job.json 1"));
    let mut job = job(&folder);
    job["parts"] = Value::Array(Vec::new());
    folder.add("job.json", job.to_string().as_bytes());
    folder.typed("finish job.json").check(2, "job.json: parts: expected one or more");
    assert!(!folder.path("out/model.safetensors.index.json").exists());
}

#[test]
fn a_job_file_that_reserves_more_room_than_there_is_is_refused() {
    for format in ["safetensors", "pth"] {
        let folder = folder();
        let words = format!("convert in -o out --shard-size 9KB --format {format} --reserve 10");
        done(folder.typed(&format!("{words} --plan-parts 2 --job job.json")));
        let mut job = job(&folder);
        job["request"]["reserve"] = u64::MAX.into();
        folder.add("job.json", job.to_string().as_bytes());
        folder.typed("run-part job.json 1").check(1, "would write other files in part 1");
    }
}

#[test]
fn a_part_that_was_killed_while_it_wrote_is_done_again() {
    let folder = Folder::of([]);
    fs::create_dir(folder.path("in")).expect("a folder");
    let long = 128 << 20;
    let header = format!(
        r#"{{"a":{{"dtype":"U8","shape":[{long}],"data_offsets":[0,{long}]}},"b":{{"dtype":"U8","shape":[{long}],"data_offsets":[{long},{}]}}}}"#,
        2 * long
    );
    folder.add("in/model.safetensors", &safetensors(&header, b""));
    let file = File::options().write(true).open(folder.path("in/model.safetensors"));
    let all = 8 + header.len() as u64 + 2 * long;
    file.and_then(|file| file.set_len(all)).expect("a hole");
    done(folder.typed("convert in one --shard-size 100MB"));
    done(folder.typed("convert in out --shard-size 100MB --plan-parts 2 --job job.json"));
    let mut part = folder.command(&["run-part", "job.json", "1"]);
    let mut part = part.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    while part.try_wait().expect("a child").is_none() && half_written(&folder.path("out")).is_none()
    {
        thread::yield_now();
    }
    part.kill().expect("killed");
    let status = part.wait().expect("it ends");
    assert_eq!(status.signal(), Some(9), "it was still writing");
    let left = half_written(&folder.path("out"));
    assert!(left.is_some(), "what it was writing lies in the workshop");
    assert!(!folder.path("out/model-00001-of-00002.safetensors").exists(), "complete or absent");
    folder.typed("finish job.json").check(1, "part 1 is not done");
    done(folder.typed("run-part job.json 1"));
    done(folder.typed("run-part job.json 2"));
    done(folder.typed("finish job.json"));
    assert!(contents(&folder.path("one")) == contents(&folder.path("out")), "nothing is left over");
}

/// A file that has some bytes and no name of its own yet.
fn half_written(out: &Path) -> Option<String> {
    let workshop = fs::read_dir(out).ok()?.flatten().find(|entry| entry.path().is_dir())?;
    let files = fs::read_dir(workshop.path()).ok()?.flatten();
    let mut names = files.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.find(|name| name.ends_with(".tmp"))
}

/// What stands for sbatch: runs what it is given, an array one after another.
const SBATCH: &str = r#"#!/bin/sh
echo "$@" >> submitted
for word in "$@"; do
    case $word in --array=1-*) last=${word#--array=1-} ;; esac
done
cat > script
if [ -n "$last" ]; then
    for i in $(seq "$last"); do SLURM_ARRAY_TASK_ID=$i sh script || exit; done
else
    sh script
fi
echo "7;cluster"
"#;

#[test]
fn a_script_submits_the_parts_and_then_what_finishes_them() {
    let folder = folder();
    folder.add("sbatch", SBATCH.as_bytes());
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.path("sbatch"), executable).expect("executable");
    done(folder.typed("convert in one --shard-size 9KB"));
    let planned = "convert in out --shard-size 9KB --plan-parts 3 --job job.json --slurm submit.sh";
    done(folder.typed(planned)).check(0, "to submit: sh submit.sh");
    let here = folder.path("").display().to_string();
    let path = format!("{here}:{}", std::env::var("PATH").expect("a path"));
    let script = std::process::Command::new("sh")
        .args(["submit.sh", "--partition=short"])
        .current_dir(folder.path(""))
        .env("PATH", path)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&script.stdout).into_owned();
    assert!(script.status.success(), "{said}{}", String::from_utf8_lossy(&script.stderr));
    assert_eq!(said, "parts: job 7, finish: job 7\n");
    let submitted = fs::read_to_string(folder.path("submitted")).expect("submitted");
    let lines: Vec<&str> = submitted.lines().collect();
    assert!(lines[0].contains("--array=1-3 --partition=short"), "{submitted}");
    assert!(lines[1].contains("--dependency=afterok:7"), "{submitted}");
    assert!(contents(&folder.path("one")) == contents(&folder.path("out")));
}
