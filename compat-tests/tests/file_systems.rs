//! What each file system makes of a rename: clones, inserted blocks, or a copy.
//!
//! The file systems are made in image files and mounted; where that cannot be done, the tests say
//! so. Everything that is written is loaded by the real libraries.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use compat_tests::{
    Mounted, Tally, Zoo, kill_while_writing, oracle, safetensors, statedict, text, unrecovered,
};
use serde_json::json;

/// Bytes of the tensor in the files.
const LEN: u64 = 24 << 20;

/// A prefix for which there is no room.
const PREFIX: &str = "wrapped.by.something.that.has.no.room.where.it.is.now";

/// The file systems, their sizes in MiB, and by which way a safetensors file grows there.
const KINDS: [(&str, u64, &str); 4] = [
    ("ext4", 160, "inserted"),
    ("xfs", 400, "inserted"),
    ("btrfs", 400, "shared"),
    ("tmpfs", 160, "replaced"),
];

/// Mounts a file system, or says past the capture of test output that it cannot.
fn mounted(kind: &str, mebibytes: u64) -> Option<Mounted> {
    let mounted = Mounted::new(kind, mebibytes);
    let said = mounted.as_ref().err().map(|why| format!("skipped on {kind}: {why}"));
    said.map(|said| writeln!(io::stderr(), "{said}"));
    mounted.ok()
}

/// A file of a long tensor, in each format; its bytes differ from block to block.
fn checkpoints(folder: &Path) -> Vec<PathBuf> {
    let data: Vec<u8> = (0..LEN).map(|i| (i ^ (i >> 9) ^ (i >> 17)) as u8).collect();
    let header =
        format!(r#"{{"module.w":{{"dtype":"U8","shape":[{LEN}],"data_offsets":[0,{LEN}]}}}}"#);
    let first = folder.join("m.safetensors");
    fs::write(&first, safetensors(&format!("{header:<96}"), &data)).expect("room");
    let mut all = vec![first.clone()];
    for name in ["m.pth", "m.npz"] {
        let other = folder.join(name);
        let run = statedict([Path::new("convert"), &first, &other]);
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        all.push(other);
    }
    all
}

/// What Python finds different from its own rename.
fn misjudged(input: &Path, stage: &serde_json::Value, output: &Path) -> Option<String> {
    let question = json!({
        "do": "operation", "input": input, "at": [""], "stages": [stage], "status": 0,
        "output": output,
    });
    oracle(question).as_str().map(String::from)
}

/// True if the file system says that the file shares blocks with another.
fn is_shared(file: &Path) -> bool {
    let output = Command::new("filefrag").arg("-v").arg(file).output().expect("filefrag runs");
    String::from_utf8_lossy(&output.stdout).contains("shared")
}

#[test]
fn a_renamed_copy_is_a_clone_where_there_are_clones() {
    let mut tally = Tally::new();
    for (kind, size, _) in KINDS {
        let Some(disk) = mounted(kind, size) else { continue };
        let clones = ["xfs", "btrfs"].contains(&kind);
        for input in checkpoints(&disk.path()) {
            for (word, prefix) in [("strip", "module"), ("add", PREFIX)] {
                let name = format!("out-{}", input.file_name().expect("a name").display());
                let (before, output) = (disk.free(), disk.path().join(name));
                let words = [word, prefix].map(Path::new);
                let to = [input.as_path(), Path::new("-o"), &output];
                let run = statedict(words.into_iter().chain(to));
                let taken = before.saturating_sub(disk.free());
                let wrong = match clones {
                    _ if run.status != Some(0) => Some(run.stderr),
                    true if taken > LEN / 8 => Some(format!("{taken} bytes taken")),
                    true if !is_shared(&output) => Some("nothing is shared".to_string()),
                    false if taken < LEN / 2 => Some(format!("only {taken} bytes taken")),
                    _ => misjudged(&input, &json!({ word: prefix }), &output),
                };
                tally.note(format!("{} {word} on {kind}", input.display()), wrong);
                fs::remove_file(&output).expect("removable");
            }
        }
    }
    close(tally, "copies on file systems of their own");
}

#[test]
fn a_file_grows_by_what_the_file_system_can_do() {
    let mut tally = Tally::new();
    for (kind, size, way) in KINDS {
        let Some(disk) = mounted(kind, size) else { continue };
        let input = checkpoints(&disk.path()).swap_remove(0);
        let file = disk.path().join("n.safetensors");
        fs::copy(&input, &file).expect("room");
        let path = file.to_str().expect("a plain path");
        let run = statedict(["add", PREFIX, path, "-i", "--json"]);
        let (found, written) = (text(&run.json()["way"]), run.json()["bytes_written"].as_u64());
        let wrong = (found != way).then(|| format!("{found} where {way} is expected"));
        let much = (way != "replaced" && written > Some(1 << 16)).then(|| format!("{written:?}"));
        let judged = || misjudged(&input, &json!({ "add": PREFIX }), &file);
        tally.note(format!("add on {kind}"), wrong.or(much).or_else(judged));
    }
    close(tally, "files grown on file systems of their own");
}

#[test]
fn killed_between_inserting_and_writing_a_file_is_restored() {
    let mut tally = Tally::new();
    for (kind, size, _) in KINDS {
        let Some(disk) = mounted(kind, size) else { continue };
        let old = checkpoints(&disk.path()).swap_remove(0);
        let [new, folder] = ["new.safetensors", "folder"].map(|name| disk.path().join(name));
        let words = ["add", PREFIX];
        fs::copy(&old, &new).expect("room");
        statedict([&words[..], &[new.to_str().expect("plain"), "-i"]].concat());
        for kill in 0..8u32 {
            fs::create_dir(&folder).expect("a folder");
            let file = folder.join("m.safetensors");
            fs::copy(&old, &file).expect("room");
            let command = [&words[..], &[file.to_str().expect("plain"), "-i"]].concat();
            let pause = Duration::from_micros(400) * kill;
            let ending = kill_while_writing(&command, &folder, pause);
            let problem = unrecovered(&file, &old, &new);
            tally.note(format!("{kind} {kill} {ending:?}"), problem);
            fs::remove_dir_all(&folder).expect("removable");
        }
    }
    close(tally, "growing files killed");
}

#[test]
fn on_a_full_disk_everything_stays_as_it_was() {
    let zoo = Zoo::new();
    let mut tally = Tally::new();
    let names = ["network.safetensors", "1000_keys_dict.pth", "network.npz", "legacy.pth"];
    for (kind, size, _) in KINDS {
        let Some(disk) = mounted(kind, size) else { continue };
        for name in names {
            fs::copy(&zoo.entry(name).path, disk.path().join(name)).expect("room");
        }
        fill(&disk);
        for name in names {
            let path = disk.path().join(name);
            let file = path.to_str().expect("a plain path");
            let out = disk.path().join(format!("out-{name}"));
            let out = out.to_str().expect("a plain path");
            for more in [vec!["-i"], vec!["-o", out]] {
                let before = fs::read(&path).expect("readable");
                let run = statedict([&["add", PREFIX, file], more.as_slice()].concat());
                let as_it_was = before == fs::read(&path).expect("readable");
                let is_alone = fs::read_dir(disk.path()).expect("readable").all(|entry| {
                    let name = entry.expect("readable").file_name();
                    !name.to_string_lossy().starts_with('.')
                });
                // A small file may find room where larger ones do not.
                let wrong = match run.status {
                    Some(0) => None,
                    _ => run.impolite(2).or_else(|| (!as_it_was).then(|| "changed".into())),
                };
                let wrong = wrong.or_else(|| (!is_alone).then(|| "something is left".into()));
                tally.note(format!("{name} {more:?} on a full {kind}"), wrong);
            }
        }
    }
    close(tally, "edits on full disks");
}

/// Takes all the room there is.
fn fill(disk: &Mounted) {
    let mut filler = fs::File::create(disk.path().join("filler")).expect("a file");
    for len in [1 << 20, 4096, 1] {
        let bytes = vec![1; len];
        while filler.write_all(&bytes).is_ok() {}
        let _ = filler.sync_all();
    }
}

/// Closes a tally, if anything could be mounted.
fn close(tally: Tally, what: &str) {
    if !tally.is_empty() {
        tally.close(what);
    }
}
