//! What brings people here, step by step.
//!
//! The classic article's case comes first. A network is trained on several GPUs under `nn.DataParallel` and its `state_dict()` is saved.
//! On one GPU it will not load, because every key starts with `module.`.

use std::path::Path;

use compat_tests::{oracle, statedict, text};
use serde_json::{Value, json};

/// Has Python do one step in the folder; gives what PyTorch says, null if it is content.
fn python(folder: &Path, chapter: &str) -> Value {
    oracle(json!({ "do": "story", "chapter": chapter, "folder": folder }))
}

/// Runs `statedict` on files of the folder.
fn run(folder: &Path, words: [&str; 2], input: &str, output: &str) {
    let (input, output) = (folder.join(input), folder.join(output));
    let words = words.iter().filter(|word| !word.is_empty()).map(AsRef::as_ref);
    let files = [input.as_os_str(), "-o".as_ref(), output.as_os_str()];
    let run = statedict(words.chain(files));
    assert_eq!(run.status, Some(0), "{}", run.stderr);
}

#[test]
fn from_a_dataparallel_checkpoint_to_one_that_loads_on_a_single_gpu() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();

    // A LeNet is wrapped in nn.DataParallel and saved.
    python(folder, "train on many");

    // Loading it into the bare network fails: every key is missing, and every key is unexpected.
    let complaint = text(&python(folder, "load bare"));
    assert!(complaint.contains("Missing key(s) in state_dict: \"conv1.weight\""), "{complaint}");
    assert!(complaint.contains("Unexpected key(s) in state_dict: \"module.conv1.weight\""));

    // One command takes the prefix off, and it loads with strict=True and gives the same outputs.
    run(folder, ["strip", "module"], "parallel.pth", "single.pth");
    assert_eq!(python(folder, "load stripped"), Value::Null);

    // So does the command that knows wrappers by itself.
    run(folder, ["unwrap", ""], "parallel.pth", "unwrapped.pth");
    assert_eq!(python(folder, "load unwrapped"), Value::Null);

    // Both are what net.module.state_dict() is: keys, order, tensors, and the versions in _metadata.
    assert_eq!(python(folder, "compare stripped"), Value::Null);
    assert_eq!(python(folder, "compare unwrapped"), Value::Null);

    // PyTorch's own prefix function agrees, where it needs the model's code and we do not.
    assert_eq!(python(folder, "compare consumed"), Value::Null);

    // Putting the prefix back makes it load in the wrapped network again, as if nothing had been.
    run(folder, ["add", "module"], "single.pth", "again.pth");
    assert_eq!(python(folder, "load parallel"), Value::Null);
    assert_eq!(python(folder, "compare added"), Value::Null);
}

#[test]
fn a_tie_that_hugging_face_recorded_follows_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();

    // Embedding and head share one tensor: one key is written, and the metadata names the other.
    python(folder, "save tied");

    // The recorded key is renamed along with the written one, so the model still loads strictly.
    run(folder, ["strip", "module"], "tied.safetensors", "bare.safetensors");
    assert_eq!(python(folder, "load tied"), Value::Null);
}
