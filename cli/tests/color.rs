//! Colours are there where they are wanted, and nowhere else.

mod folder;

use folder::{Folder, numbered};

fn folder() -> Folder {
    Folder::of([
        ("a.safetensors", numbered(&["a.w", "b.w"])),
        ("b.safetensors", numbered(&["a.w", "c.w"])),
    ])
}

/// Whether what is printed and said has colours, by these words and variables.
fn check(words: &str, variables: &[(&str, &str)], expected: bool) {
    let folder = folder();
    let mut command = folder.command(&words.split(' ').collect::<Vec<_>>());
    let output = command.envs(variables.iter().copied()).output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    assert!(!said.is_empty(), "{words}");
    assert_eq!(said.contains(&0x1b), expected, "{words} {variables:?}");
}

#[test]
fn a_pipe_has_colours_only_if_they_are_asked_for() {
    for words in ["ls a.safetensors", "diff a.safetensors b.safetensors", "check a.safetensors"] {
        check(words, &[], false);
        check(&format!("{words} --color always"), &[], true);
        check(&format!("--color=always {words}"), &[], true);
        check(words, &[("CLICOLOR_FORCE", "1")], true);
        check(words, &[("STATEDICT_COLOR", "always")], true);
        check(&format!("{words} --color never"), &[("CLICOLOR_FORCE", "1")], false);
        check(&format!("{words} --color auto"), &[("NO_COLOR", "1")], false);
    }
}

#[test]
fn errors_and_helps_are_coloured_alike() {
    for words in ["ls none.pth", "ls --help", "ls --no-such-option", "no-such-command"] {
        check(words, &[], false);
        check(words, &[("CLICOLOR_FORCE", "1")], true);
        check(&format!("--color always {words}"), &[], true);
        check(&format!("--color never {words}"), &[("CLICOLOR_FORCE", "1")], false);
    }
}

#[test]
fn json_has_no_colours() {
    let folder = folder();
    for words in ["ls a.safetensors", "diff a.safetensors b.safetensors", "ls none.pth"] {
        let ran = folder.typed(&format!("{words} --json --color always"));
        assert!(!ran.out.contains('\u{1b}'), "{words}: {}", ran.out);
        serde_json::from_str::<serde_json::Value>(&ran.out).expect("JSON");
    }
}

#[test]
fn more_is_said_if_asked_for_and_nothing_if_not() {
    let folder = folder();
    folder.typed("ls a.safetensors -v").check(0, "note: a.safetensors: safetensors, 2 tensors");
    folder.typed("-v add x a.safetensors -o x.safetensors").check(0, "wrote 136 B in");
    let ran = folder.typed("add x a.safetensors -o y.safetensors -q");
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    folder.typed("ls -q -v a.safetensors").check(2, "cannot be used with");
}
