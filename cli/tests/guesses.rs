//! What is said of words that other tools have.

mod folder;

use folder::{Folder, numbered};

/// The command line is refused with this tip, or with none.
fn check(words: &str, tip: Option<&str>) {
    let folder = Folder::of([("m.safetensors", numbered(&["a.w"]))]);
    let ran = folder.typed(words);
    assert_eq!(ran.status, 2, "{words}: {}", ran.err);
    let mut tips = ran.err.lines().filter_map(|line| line.trim().strip_prefix("tip: "));
    assert_eq!(tips.next(), tip, "{words}: {}", ran.err);
}

#[test]
fn commands_of_other_tools_are_answered_with_the_one_that_does_it() {
    check("tree m.safetensors", Some("statedict ls --tree FILE"));
    check("keys m.safetensors", Some("statedict ls FILE"));
    check("remove a m.safetensors", Some("statedict drop PATTERN FILE -o OUT"));
    check("scan m.safetensors", Some("statedict check FILE"));
    check("SHA256 m.safetensors", Some("statedict ls --hash FILE"));
}

#[test]
fn a_slip_of_the_fingers_is_mended_and_nothing_farther() {
    check("unwarp m.safetensors", Some("did you mean 'statedict unwrap'?"));
    check("insepct m.safetensors", Some("did you mean 'statedict inspect'?"));
    check("frobnicate m.safetensors", None);
    check("train m.safetensors", None);
}

#[test]
fn a_file_that_is_not_there_is_no_misspelled_command() {
    let tip = "there is no file 'none.pth' either; a file alone is listed";
    check("none.pth", Some(tip));
}

#[test]
fn options_of_other_tools_are_answered_with_the_one_that_does_it() {
    check(
        "convert m.safetensors x.npz --dtype f16",
        Some("did you mean '--cast [PATTERN=]DTYPE'?"),
    );
    check("convert m.safetensors --shard_size 5GB", Some("did you mean '--shard-size SIZE'?"));
    check("convert m.safetensors --max-shard-size=5GB", Some("did you mean '--shard-size SIZE'?"));
    check("strip a m.safetensors --inplace", Some("did you mean '--in-place'?"));
    check("strip a m.safetensors -i --overwrite", Some("did you mean '--force'?"));
    check("ls m.safetensors --no-color", Some("did you mean '--color WHEN'?"));
    check("ls m.safetensors --jsno", Some("did you mean '--json'?"));
    check("ls m.safetensors --frobnicate", None);
}

#[test]
fn options_that_another_command_has_are_looked_for_there() {
    check("view m.safetensors -o x.html --depth 2", Some("'--depth' is an option of ls"));
    let several = "'--dry-run' is an option of strip, add, unwrap and others";
    check("ls m.safetensors --dry-run", Some(several));
    let files = "-o OUT.npy, -o OUT.csv or -o OUT.bin writes the values to a file";
    check("cat m.safetensors a.w --csv x.csv", Some(files));
    let json =
        "'statedict ls --json FILE' and 'statedict stats --json FILE' print the same as JSON";
    check("view m.safetensors --json", Some(json));
}

#[test]
fn a_key_that_looks_like_an_option_is_taken_for_one_after_two_dashes() {
    let tip = "to pass '--a.w' as a value, use '-- --a.w'";
    check("cat m.safetensors --a.w", Some(tip));
}

#[test]
fn the_usage_of_a_wrong_option_names_no_other_one() {
    let folder = Folder::of([("m.safetensors", numbered(&["a.w"]))]);
    let usage = "Usage: statedict cat [OPTIONS] <FILE> <KEY>";
    folder.typed("cat m.safetensors a.w --format npy").check(2, usage);
}

#[test]
fn what_is_left_out_is_asked_for() {
    check("cat m.safetensors", Some("'statedict ls FILE' lists the keys of a file"));
    check("view m.safetensors x.html", Some("-o PAGE.html names the page"));
}

#[test]
fn what_is_no_number_is_said_in_plain_words() {
    let folder = Folder::of([("m.safetensors", numbered(&["a.w"]))]);
    let expected = "expected a whole number that is not below 0";
    for words in ["ls m.safetensors --depth x", "fit m.safetensors --to m.safetensors --seed=-1"] {
        folder.typed(words).check(2, expected);
    }
    folder.typed("convert m.safetensors x.pth --protocol 5").check(2, "expected 2, the protocol");
}
