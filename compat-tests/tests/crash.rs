//! Commands killed from outside, several at once, and folders that cannot be written.
//!
//! After `kill -9` at any moment, real PyTorch, NumPy and safetensors find the old file, the new
//! one, or one that they refuse; after `statedict recover`, the old or the new byte for byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use compat_tests::{
    Ending, Tally, Zoo, found, kill_while_writing, oracle, start, statedict, time_of_writing,
    unrecovered,
};
use serde_json::json;

/// Kills of each command.
const KILLS: u32 = 12;

const SWAP: [&str; 2] = ["rename", "{r..}.weight -> {r..}.kernel"];
const GROW: [&str; 2] = ["add", "wrapped.by.something.that.has.no.room.where.it.is.now"];

#[test]
fn killed_at_any_moment_a_file_is_the_old_or_the_new() {
    let zoo = Zoo::new();
    let mut tally = Tally::new();
    let mut raw = BTreeMap::<String, usize>::new();
    let names = ["1000_keys_dict.pth", "network.safetensors", "legacy.pth", "network.npz"];
    for name in names {
        for (words, flag) in [(SWAP, "-i"), (GROW, "-i"), (GROW, "-o")] {
            let old = &zoo.entry(name).path;
            let folder = tempfile::tempdir().expect("a folder");
            let new = folder.path().join(name);
            let span = undisturbed(&words, flag, old, &new);
            for kill in 0..KILLS {
                let case = format!("{name} {words:?} {flag} {kill}");
                let pause = span * kill / KILLS;
                tally.note(case, killed(&words, flag, old, &new, pause, &mut raw));
            }
        }
    }
    println!("before recovery: {raw:?}");
    assert!(!raw.contains_key("third"), "{raw:?}");
    tally.close("commands killed");
}

/// Makes the new file as a command does that nobody disturbs; gives how long it writes.
fn undisturbed(words: &[&str], flag: &str, old: &Path, new: &Path) -> Duration {
    let (from, to) = (old.to_str().expect("a plain path"), new.to_str().expect("a plain path"));
    let folder = new.parent().expect("a folder");
    if flag == "-o" {
        return time_of_writing(&[words, &[from, "-o", to]].concat(), folder);
    }
    fs::copy(old, new).expect("a copy");
    time_of_writing(&[words, &[to, "-i"]].concat(), folder)
}

/// Kills a command and gives what is wrong with what is left.
fn killed(
    words: &[&str],
    flag: &str,
    old: &Path,
    new: &Path,
    pause: Duration,
    raw: &mut BTreeMap<String, usize>,
) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let name = old.file_name().expect("a name");
    let (file, out) = (folder.path().join(name), folder.path().join("out").join(name));
    fs::create_dir(folder.path().join("out")).expect("a folder");
    fs::copy(old, &file).expect("a copy");
    let (path, to) = (file.to_str().expect("a plain path"), out.to_str().expect("a plain path"));
    let (target, place) = match flag {
        "-o" => (vec![path, "-o", to], folder.path().join("out")),
        _ => (vec![path, "-i"], folder.path().to_path_buf()),
    };
    let ending = kill_while_writing(&[words, &target].concat(), &place, pause);
    let changed = if flag == "-o" && out.exists() { &out } else { &file };
    let now = found(changed, old, new);
    let shown = now.split(':').next().unwrap_or_default();
    *raw.entry(format!("{flag} {shown}")).or_default() += 1;
    if shown == "third" {
        return Some("a third is loaded before recovery".to_string());
    }
    if ending == Ending::Done && now != "new" {
        return Some(format!("done, and it is {now}"));
    }
    unrecovered(changed, old, new).or_else(|| litter(folder.path()))
}

/// Files that neither were there nor were asked for; an unfinished one may be.
fn litter(folder: &Path) -> Option<String> {
    let below = [folder.to_path_buf(), folder.join("out")];
    let entries = below.iter().flat_map(|folder| fs::read_dir(folder).expect("readable"));
    let names = entries.map(|entry| entry.expect("readable").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let hidden = |name: &String| name.starts_with('.') && !name.ends_with(".tmp");
    names.filter(hidden).reduce(|all, name| format!("{all}, {name}"))
}

#[test]
fn editors_at_once_come_one_after_the_other() {
    let zoo = Zoo::new();
    let mut tally = Tally::new();
    for name in ["network.safetensors", "lenet_dataparallel.pth", "legacy.pth", "network.npz"] {
        let file = zoo.output(name);
        fs::copy(&zoo.entry(name).path, &file).expect("a copy");
        let path = file.to_str().expect("a plain path");
        let prefixes = ["one", "two", "three", "four", "five"];
        let children: Vec<_> =
            prefixes.iter().map(|prefix| start(["add", prefix, path, "-i"])).collect();
        let done = children.into_iter().map(|mut child| child.wait().expect("it ends").code());
        let done: Vec<_> = prefixes.iter().zip(done).collect();
        let listed = statedict(["ls", "--json", path]).json();
        let key = listed["tensors"][0]["key"].as_str().expect("a key").to_string();
        let (before, _) = key.split_once("module").expect("what all began with");
        let mut added: Vec<&str> = before.split_terminator('.').collect();
        let mut expected: Vec<&str> =
            done.iter().filter(|(_, code)| *code == Some(0)).map(|(prefix, _)| **prefix).collect();
        added.sort_unstable();
        expected.sort_unstable();
        let refused = done.iter().all(|(_, code)| matches!(code, Some(0 | 2)));
        let wrong = (added != expected || !refused || expected.is_empty())
            .then(|| format!("{key}: {done:?}"));
        let unreadable = || {
            let question = json!({ "do": "which", "file": path, "old": path, "new": path });
            let found = oracle(question);
            (found != "old").then(|| found.to_string())
        };
        tally.note(name, wrong.or_else(unreadable));
    }
    tally.close("files edited by five at once");
}

#[test]
fn in_a_folder_that_cannot_be_written_nothing_is_changed() {
    let zoo = Zoo::new();
    let folder = tempfile::tempdir().expect("a folder");
    let locked = |flag: &str| {
        let status = Command::new("chattr").arg(flag).arg(folder.path()).status();
        status.is_ok_and(|status| status.success())
    };
    let names = ["network.safetensors", "lenet_dataparallel.pth", "network.npz"];
    for name in names {
        fs::copy(&zoo.entry(name).path, folder.path().join(name)).expect("a copy");
    }
    if !locked("+i") {
        eprintln!("skipped: no folder can be made read-only here");
        return;
    }
    let runs: Vec<_> = names
        .into_iter()
        .flat_map(|name| [(name, SWAP), (name, GROW)])
        .map(|(name, words)| {
            let path = folder.path().join(name);
            let run = statedict([&words[..], &[path.to_str().expect("plain"), "-i"]].concat());
            (name, run, fs::read(&path).ok() == fs::read(&zoo.entry(name).path).ok())
        })
        .collect();
    assert!(locked("-i"), "the folder can be written again");
    let mut tally = Tally::new();
    for (name, run, same) in runs {
        let changed = (!same).then(|| "it is changed".to_string());
        tally.note(name, run.impolite(2).or(changed));
    }
    tally.close("edits refused where no journal can be made");
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), names.len());
}

#[cfg(unix)]
#[test]
fn an_edit_goes_through_links() {
    let zoo = Zoo::new();
    let folder = tempfile::tempdir().expect("a folder");
    let [file, hard, soft] = ["m.safetensors", "hard.safetensors", "soft.safetensors"]
        .map(|name| folder.path().join(name));
    fs::copy(&zoo.entry("network.safetensors").path, &file).expect("a copy");
    fs::hard_link(&file, &hard).expect("a link");
    std::os::unix::fs::symlink(&file, &soft).expect("a link");
    let path = soft.to_str().expect("a plain path");
    let refused = statedict(["strip", "module", path, "-i"]);
    assert!(refused.stderr.contains("it is a link"), "{}", refused.stderr);
    let run = statedict(["strip", "module", path, "-i", "--force", "--json"]);
    assert_eq!(run.json()["way"], "in-place", "{}", run.stderr);
    assert!(soft.is_symlink());
    for link in [&file, &hard, &soft] {
        assert_eq!(found(link, &zoo.entry("network.safetensors").path, &file), "new");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 3);
}
