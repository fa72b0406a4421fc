//! Sharded checkpoints: made, listed, renamed, joined, and refused where they contradict themselves.

mod folder;

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

const LENET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/lenet-dataparallel.pth");
/// `{"epoch": 3, "state_dict": {embed.weight, norm.weight, head.weight}}`, the first and the last
/// one tensor.
const TRAINER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/trainer.pth");

/// What the command prints and says, with its exit status.
fn run(folder: &Path, words: &[&str]) -> (i32, String) {
    let mut command = folder::statedict();
    let output = command.args(words).current_dir(folder).output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().expect("it ends by itself"), String::from_utf8(text).expect("UTF-8"))
}

fn succeed(folder: &Path, words: &[&str]) {
    let (status, text) = run(folder, words);
    assert_eq!(status, 0, "{words:?}: {text}");
}

/// A folder with the LeNet of the example in files of at most 100 kB.
fn sharded() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    succeed(folder.path(), &["convert", LENET, "net", "--shard-size", "100KB"]);
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

fn index(folder: &Path) -> Value {
    let text = fs::read(folder.join("net/model.safetensors.index.json")).expect("an index");
    serde_json::from_slice(&text).expect("JSON")
}

const NAMES: [&str; 4] = [
    "model-00001-of-00003.safetensors",
    "model-00002-of-00003.safetensors",
    "model-00003-of-00003.safetensors",
    "model.safetensors.index.json",
];

#[test]
fn shards_are_filled_in_order_and_a_large_tensor_is_alone() {
    let folder = sharded();
    assert_eq!(names(&folder.path().join("net")), NAMES);
    let index = index(folder.path());
    assert_eq!(index["metadata"]["total_size"], 248_024);
    assert_eq!(index["weight_map"]["module.conv1.weight"], NAMES[0]);
    assert_eq!(index["weight_map"]["module.fc1.weight"], NAMES[1]);
    assert_eq!(index["weight_map"]["module.fc3.bias"], NAMES[2]);
}

#[test]
fn what_fits_into_one_file_needs_no_index() {
    let folder = tempfile::tempdir().expect("a folder");
    succeed(folder.path(), &["convert", LENET, "net", "--shard-size", "5GB", "--to", "pth"]);
    assert_eq!(names(&folder.path().join("net")), ["pytorch_model.bin"]);
}

#[test]
fn a_folder_is_renamed_into_another_and_joined_again() {
    let folder = sharded();
    succeed(folder.path(), &["strip", "module", "net", "-o", "bare"]);
    assert_eq!(names(&folder.path().join("bare")), NAMES);
    succeed(folder.path(), &["convert", "bare", "bare.safetensors"]);
    succeed(folder.path(), &["strip", "module", LENET, "-o", "straight.pth"]);
    assert_eq!(run(folder.path(), &["diff", "bare.safetensors", "straight.pth", "-q"]).0, 0);
    assert_eq!(run(folder.path(), &["diff", "bare", "straight.pth", "-q"]).0, 0);
    let (status, text) = run(folder.path(), &["strip", "module", "net", "-o", "bare"]);
    assert!(status == 2 && text.contains("already exists"), "{text}");
}

#[test]
fn in_place_only_what_changes_is_written_and_old_files_go() {
    let folder = sharded();
    succeed(folder.path(), &["rename", "module.fc3.{r..} -> head.{r..}", "net", "-i"]);
    // It depends on the file system whether it is the same file still.
    let index_after = index(folder.path());
    let renewed = index_after["weight_map"]["head.bias"].as_str().expect("a name");
    assert!(renewed.starts_with("model-00003-of-00003."), "{renewed}");
    assert_eq!(names(&folder.path().join("net")), [NAMES[0], NAMES[1], renewed, NAMES[3]]);
    succeed(
        folder.path(),
        &["drop", "module.fc1.weight", "net/model.safetensors.index.json", "-i"],
    );
    assert_eq!(names(&folder.path().join("net")), [NAMES[0], renewed, NAMES[3]]);
    assert_eq!(index(folder.path())["metadata"]["total_size"], 248_024 - 192_000);
}

#[test]
fn a_collision_between_files_is_refused() {
    let folder = sharded();
    let rule = "module.fc1.weight -> module.conv1.weight";
    let (status, text) = run(folder.path(), &["rename", rule, "net", "-i"]);
    assert!(status == 1 && text.contains("2 keys would become 'module.conv1.weight'"), "{text}");
    assert_eq!(names(&folder.path().join("net")), NAMES);
}

#[test]
fn an_index_and_its_files_must_agree() {
    let check = |change: &dyn Fn(&mut Value, &Path), expected: &str| {
        let folder = sharded();
        let mut index = index(folder.path());
        change(&mut index, &folder.path().join("net"));
        let path = folder.path().join("net/model.safetensors.index.json");
        fs::write(path, index.to_string()).expect("written");
        let (status, text) = run(folder.path(), &["ls", "net"]);
        assert!(status == 2 && text.contains(expected), "{text}");
    };
    let map = |index: &mut Value, key: &str, file: &str| index["weight_map"][key] = file.into();
    check(&|index, _| map(index, "x", NAMES[0]), "key 'x' is not in 'model-00001-of-00003");
    check(&|index, _| map(index, "module.fc3.bias", NAMES[0]), "which the index says is in");
    check(&|index, _| map(index, "x", "../x.safetensors"), "outside the index's folder");
    check(
        &|index, _| {
            drop(index["weight_map"].as_object_mut().expect("a map").remove("module.fc3.bias"))
        },
        "holds key 'module.fc3.bias', which the index does not name",
    );
    check(
        &|_, folder| fs::remove_file(folder.join(NAMES[1])).expect("removed"),
        "model-00002-of-00003.safetensors': no such file",
    );
}

#[test]
fn a_cast_in_place_keeps_each_tensor_in_its_file() {
    for target in ["net", "net/model.safetensors.index.json"] {
        let folder = sharded();
        succeed(folder.path(), &["strip", "module", target, "-i", "--cast", "f16"]);
        let renewed = NAMES.map(|name| name.replace(".safetensors", ".r1.safetensors"));
        let index = index(folder.path());
        assert_eq!(index["metadata"]["total_size"], 248_024 / 2);
        assert_eq!(index["weight_map"]["fc1.weight"], *renewed[1]);
        assert_eq!(names(&folder.path().join("net")), [&renewed[..3], &[NAMES[3].into()]].concat());
        succeed(folder.path(), &["strip", "module", LENET, "-o", "half.safetensors", "--cast=f16"]);
        assert_eq!(run(folder.path(), &["diff", "net", "half.safetensors", "-q"]).0, 0);
    }
}

#[test]
fn a_cast_into_another_folder_keeps_each_tensor_in_its_file() {
    let folder = sharded();
    succeed(folder.path(), &["strip", "module", "net", "-o", "half", "--cast", "f16"]);
    assert_eq!(names(&folder.path().join("half")), NAMES);
}

#[test]
fn a_tie_written_once_is_recorded_beside_its_tensor() {
    let folder = tempfile::tempdir().expect("a folder");
    let words = ["convert", TRAINER, "net", "--shard-size", "50B", "--ties", "one"];
    succeed(folder.path(), &words);
    let kept = &index(folder.path())["weight_map"]["embed.weight"];
    let file = folder.path().join("net").join(kept.as_str().expect("a name"));
    let bytes = fs::read(file).expect("readable");
    let header = String::from_utf8_lossy(&bytes);
    assert!(header.contains(r#""head.weight":"embed.weight""#), "{header}");
}

#[test]
fn an_existing_folder_is_replaced_by_its_index_last() {
    let folder = sharded();
    succeed(folder.path(), &["strip", "module", "net", "-o", "bare"]);
    succeed(folder.path(), &["add", "x", "net", "-o", "bare", "--force"]);
    let names = names(&folder.path().join("bare"));
    assert!(names.len() == 4 && names[0].ends_with(".r1.safetensors"), "{names:?}");
    let (_, text) = run(folder.path(), &["ls", "bare"]);
    assert!(text.contains("x.module.fc3.bias"), "{text}");
}

#[test]
fn shards_spread_again_in_their_own_folder_replace_the_old() {
    let folder = sharded();
    succeed(folder.path(), &["convert", "net", "net", "--shard-size", "210KB", "--force"]);
    assert_eq!(names(&folder.path().join("net")).len(), 3);
    assert_eq!(run(folder.path(), &["diff", "net", LENET, "-q"]).0, 0);
    let words = ["convert", "net", "net", "--shard-size", "5GB", "--force"];
    let (status, text) = run(folder.path(), &words);
    assert!(status == 2 && text.contains("its index would still lead to the old files"), "{text}");
}

#[test]
fn a_rename_keeps_the_order_and_the_totals_of_an_index() {
    let folder = sharded();
    let path = folder.path().join("net/model.safetensors.index.json");
    let text = fs::read_to_string(&path).expect("an index").replace("248024", "248024.0");
    let mut lines: Vec<&str> = text.lines().collect();
    let first = lines.iter().position(|line| line.contains("conv1.bias")).expect("there");
    lines.swap(first, first + 2);
    fs::write(&path, lines.join("\n") + "\n").expect("written");
    succeed(folder.path(), &["add", "x", "net", "-i"]);
    succeed(folder.path(), &["strip", "x", "net", "-i"]);
    let again = fs::read_to_string(&path).expect("an index");
    assert_eq!(again.replace(".r2.", ".").replace(".r1.", "."), lines.join("\n") + "\n");
}

#[test]
fn what_lies_beside_the_tensors_is_not_lost_in_place() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(TRAINER, folder.path().join("a.pth")).expect("copied");
    let words = ["add", "x", "a.pth", "-i", "--alone"];
    let (status, text) = run(folder.path(), &words);
    assert!(
        status == 1 && text.contains("would lose what lies beside them: epoch (int)"),
        "{text}"
    );
    let (old, new) = (fs::read(TRAINER), fs::read(folder.path().join("a.pth")));
    assert_eq!(old.expect("readable"), new.expect("readable"));
    succeed(folder.path(), &["add", "x", "a.pth", "-i", "--cast", "f16"]);
    let (_, listed) = run(folder.path(), &["ls", "--payload", "a.pth"]);
    assert!(listed.contains("epoch"), "{listed}");
}

#[test]
fn a_cast_reads_every_file_of_a_sharded_pickle_where_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let words = ["convert", LENET, "net", "--shard-size", "100KB", "--format", "pth"];
    succeed(folder.path(), &words);
    succeed(folder.path(), &["convert", LENET, "half.safetensors", "--cast", "f16"]);
    succeed(folder.path(), &["convert", "net", "-o", "half", "--cast", "f16"]);
    assert_eq!(run(folder.path(), &["diff", "half", "half.safetensors", "-q"]).0, 0);
    succeed(folder.path(), &["strip", "module", "net", "-i", "--cast", "f16"]);
    succeed(folder.path(), &["strip", "module", "half.safetensors", "-o", "bare.npz"]);
    assert_eq!(run(folder.path(), &["diff", "net", "bare.npz", "-q"]).0, 0);
}
