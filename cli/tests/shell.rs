//! Completions and manual pages name every command.

mod folder;

use std::fs;

use folder::Folder;

const COMMANDS: [&str; 6] = ["ls", "stats", "cat", "prune", "diff", "convert"];

#[test]
fn completions_of_every_shell_name_the_commands() {
    let folder = Folder::of([]);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = folder.typed(&format!("completions {shell}"));
        assert_eq!(ran.status, 0, "{}", ran.err);
        for command in COMMANDS {
            assert!(ran.out.contains(command), "{shell}: {command}");
        }
    }
    folder.typed("completions tcsh").check(2, "bash");
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = Folder::of([]);
    folder.typed("man pages").check(0, "pages to pages");
    let whole = fs::read_to_string(folder.path("pages/statedict.1")).expect("written");
    for command in COMMANDS {
        assert!(whole.contains(command), "{command}");
        let page = folder.path(&format!("pages/statedict-{command}.1"));
        assert!(fs::read_to_string(page).expect("written").starts_with(".ie"), "{command}");
    }
}
