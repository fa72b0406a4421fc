//! Completions and manual pages know every command, and the keys of files.

mod folder;

use std::fs;

use folder::{Folder, numbered};

const COMMANDS: [&str; 6] = ["ls", "stats", "cat", "prune", "diff", "convert"];

/// What bash is offered for the last of these words.
fn completed(folder: &Folder, words: &[&str]) -> Vec<String> {
    let mut command = folder.command(&[&["--", "statedict"], words].concat());
    command.env("STATEDICT_COMPLETE", "bash").env("_CLAP_IFS", "\n");
    command.env("_CLAP_COMPLETE_INDEX", words.len().to_string());
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(String::from).collect()
}

#[test]
fn every_shell_asks_the_command_itself() {
    let folder = Folder::of([]);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = folder.typed(&format!("completions {shell}"));
        assert_eq!(ran.status, 0, "{}", ran.err);
        assert!(ran.out.contains("STATEDICT_COMPLETE"), "{shell}: {}", ran.out);
    }
    folder.typed("completions tcsh").check(2, "bash");
}

#[test]
fn commands_options_and_their_values_are_completed() {
    let folder = Folder::of([]);
    let commands = completed(&folder, &[""]);
    for command in COMMANDS {
        assert!(commands.iter().any(|it| it == command), "{command}: {commands:?}");
    }
    assert_eq!(completed(&folder, &["convert", "--shard"]), ["--shard-size"]);
    assert_eq!(completed(&folder, &["ls", "--color", "al"]), ["always"]);
}

#[test]
fn keys_of_the_file_on_the_line_are_completed() {
    let keys = ["encoder.0.w", "encoder.0.b", "encoder.1.w", "head.w", "scale", "x\u{202e}.w"];
    let folder = Folder::of([
        ("run.safetensors", numbered(&keys)),
        ("other.safetensors", numbered(&["enclosure.w"])),
    ]);
    let check = |words: &[&str], expected: &[&str]| {
        let mut offered = completed(&folder, words);
        offered.retain(|word| !word.starts_with("--"));
        assert_eq!(offered, expected, "{words:?}");
    };
    check(&["keep", "run.safetensors", "enc"], &["encoder.**"]);
    check(&["keep", "run.safetensors", "encoder.0."], &["encoder.0.b", "encoder.0.w"]);
    check(&["keep", "run.safetensors", ""], &["encoder.**", "head.**", "scale"]);
    check(&["cat", "run.safetensors", "encoder.1"], &["encoder.1.w"]);
    check(&["ls", "run.safetensors", "enc"], &["encoder"]);
    // With no file on the line, those of the folder are looked into.
    check(&["strip", "enc"], &["enclosure", "encoder"]);
    check(&["keep", "none.safetensors", "zz"], &[]);
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = Folder::of([]);
    folder.typed("man pages").check(0, "pages to pages");
    let whole = fs::read_to_string(folder.path("pages/statedict.1")).expect("written");
    for command in COMMANDS {
        assert!(whole.contains(command), "{command}");
        let page = folder.path(&format!("pages/statedict-{command}.1"));
        let page = fs::read_to_string(page).expect("written");
        assert!(page.starts_with(".ie") && page.contains("Examples"), "{command}");
    }
}
