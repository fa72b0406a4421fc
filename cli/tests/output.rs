//! Where output goes, and where it does not.

mod folder;

use std::fs;

use folder::Folder;
use serde_json::Value;

const LENET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/lenet-dataparallel.pth");
/// `{"epoch": 3, "state_dict": {embed.weight, norm.weight, head.weight}}`.
const TRAINER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/trainer.pth");

fn folder() -> Folder {
    Folder::of([("net.pth", fs::read(LENET).expect("there"))])
}

impl Folder {
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path(".")).expect("a folder");
        let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("UTF-8");
        let mut names: Vec<String> = entries.map(|e| name(e.expect("an entry"))).collect();
        names.sort();
        names
    }

    /// The command succeeds; gives what it said.
    fn done(&self, words: &str) -> String {
        let ran = self.typed(words);
        assert_eq!(ran.status, 0, "{words}: {}", ran.err);
        ran.err
    }

    /// The command could not, said these words, and left the folder as it was.
    fn refused(&self, words: &str, expected: &str) {
        let before = self.names();
        let ran = self.typed(words);
        assert_eq!(ran.status, 2, "{words}: {}", ran.err);
        assert!(ran.err.contains(expected), "{words}: no {expected:?} in\n{}", ran.err);
        assert_eq!(self.names(), before, "{words}");
    }

    fn format(&self, name: &str) -> String {
        let listed: Value =
            serde_json::from_str(&self.typed(&format!("ls --json {name}")).out).expect("JSON");
        listed["format"].as_str().expect("a text").to_string()
    }
}

#[test]
fn a_name_that_asks_for_no_format_is_refused_by_every_command_that_writes() {
    let folder = folder();
    let commands = [
        "strip module net.pth",
        "add x net.pth",
        "unwrap net.pth",
        "keep ** net.pth",
        "drop module.fc3.* net.pth",
        "rename {r..}->x.{r..} net.pth",
        "convert net.pth",
        "fit net.pth --to net.pth",
    ];
    for command in commands {
        for name in ["q", "q.npy", "q.csv", "q.tar", "q.", ".pth"] {
            folder.refused(&format!("{command} -o {name}"), "file extension");
        }
        folder.refused(&format!("{command} -o q.csv"), "use one of .pth, .pt, .ckpt, .bin");
        folder.refused(&format!("{command} -o -"), "cannot write to standard output");
    }
    folder.refused("convert net.pth q.tar", "unknown file extension");
    folder.refused("unwrap net.pth -o a.pth --save-plan -", "cannot write to standard output");
}

#[test]
fn a_format_can_be_asked_for_by_name() {
    let folder = folder();
    folder.done("strip module net.pth -o q --format npz");
    folder.done("convert net.pth q.csv --format safetensors");
    folder.done("convert net.pth -o archive.pth.tar");
    folder.done("fit q --to q.csv --drop module.** --by name -o x --format pth --init **=zeros");
    let formats = ["q", "q.csv", "archive.pth.tar", "x"].map(|name| folder.format(name));
    assert_eq!(formats, ["npz", "safetensors", "pth", "pth"]);
    folder.refused("convert net.pth -o x.pth --format tar", "invalid value 'tar'");
    folder.refused("strip module net.pth -i --format npz", "cannot be used with");
}

#[test]
fn convert_shows_its_plan_where_no_output_is_given() {
    let folder = folder();
    let said = folder.done("convert net.pth");
    assert!(said.contains("  statedict convert net.pth -o net.safetensors\n"), "{said}");
    let said = folder.done("convert net.pth --format npz");
    assert!(said.contains("  statedict convert net.pth --format npz -o net.npz\n"), "{said}");
    assert_eq!(folder.names(), ["net.pth"]);
    folder.done("convert net.pth -o net.safetensors");
    assert_eq!(folder.format("net.safetensors"), "safetensors");
    folder.refused("convert net.pth a.npz -o b.npz", "cannot be used with");
}

#[test]
fn every_command_that_writes_spreads_tensors_over_files() {
    let folder = folder();
    for (i, command) in [
        "strip module net.pth",
        "unwrap net.pth",
        "keep ** net.pth",
        "rename {r..}->{r..} net.pth",
        "convert net.pth",
        "fit net.pth --to net.pth",
    ]
    .into_iter()
    .enumerate()
    {
        folder.done(&format!("{command} -o {i} --shard-size 100KB"));
        assert_eq!(folder.format(&i.to_string()), "safetensors-sharded", "{command}");
    }
    folder.done("unwrap net.pth -o bin --shard-size 100KB --format pth");
    folder.done("convert net.pth old --shard-size 100KB --to pth");
    assert_eq!(["bin", "old"].map(|name| folder.format(name)), ["pth-sharded"; 2]);
    let refused = "with --shard-size, --format is one of";
    folder.refused("unwrap net.pth -o npz --shard-size 1MB --format npz", refused);
    folder.refused("unwrap net.pth -i --shard-size 1MB", "cannot be used with");
    folder.add("trainer.pth", &fs::read(TRAINER).expect("there"));
    let said = folder.done("add x trainer.pth -o t --shard-size 1MB");
    assert!(said.contains("epoch (int)"), "{said}");
}

#[test]
fn suggested_names_keep_endings_that_belong_together() {
    let folder = folder();
    for (name, expected) in [
        ("checkpoint.pth.tar", "-o checkpoint-new.pth.tar"),
        ("blob", "-o blob-new.pth"),
        ("-x.pth", "-o ./-x-new.pth"),
        ("v1.5.model", "-o v1.5-new.pth"),
    ] {
        fs::copy(LENET, folder.path(name)).expect("copied");
        let ran = folder.run(&["strip", "--", "module", name]);
        let (_, line) = ran.err.split_once("  statedict strip ").expect("a suggestion");
        assert!(line.contains(expected), "{line}");
        let words: Vec<&str> = line.split_whitespace().collect();
        let ran = folder.run(&[&["strip"][..], &words].concat());
        assert_eq!(ran.status, 0, "{}", ran.err);
    }
}

#[test]
fn hints_name_files_that_begin_with_a_dash_so_that_they_can_be_typed() {
    let folder = folder();
    fs::copy(LENET, folder.path("-x.pth")).expect("copied");
    let ran = folder.run(&["ls", "--", "-x.pth"]);
    let text = ran.out + &ran.err;
    assert!(text.contains("statedict unwrap ./-x.pth\n"), "{text}");
    assert_eq!(folder.typed("unwrap ./-x.pth").status, 0);
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_link_that_is_replaced_is_said() {
        let folder = folder();
        fs::copy(LENET, folder.path("kept.pth")).expect("copied");
        symlink("kept.pth", folder.path("link.pth")).expect("a link");
        folder.refused("strip module net.pth -o link.pth", "already exists");
        let said = folder.done("strip module net.pth -o link.pth --force");
        assert!(
            said.contains("note: link.pth was a link to kept.pth, which is unchanged"),
            "{said}"
        );
        let kept = fs::read(folder.path("kept.pth")).expect("there");
        assert_eq!(kept, fs::read(LENET).expect("there"));
        symlink("/proc/self/fd/1", folder.path("out.pth")).expect("a link");
        folder.refused("strip module net.pth -o out.pth --force", "is a link to");
        assert!(folder.path("out.pth").is_symlink());
    }

    #[test]
    fn read_only_files_and_what_links_lead_to_are_edited_only_by_force() {
        let folder = folder();
        let file = folder.path("net.pth");
        symlink("net.pth", folder.path("link.pth")).expect("a link");
        folder.refused("strip module link.pth -i", "it is a link, and the file it leads to");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).expect("mine");
        folder.refused("strip module net.pth -i", "cannot edit 'net.pth': it is read-only");
        assert_eq!(fs::read(&file).expect("there"), fs::read(LENET).expect("there"));
        folder.done("strip module link.pth -i --force");
        assert!(folder.path("link.pth").is_symlink());
        let mode = fs::metadata(&file).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o444);
        folder.done("add module net.pth -i --force");
    }

    #[test]
    fn paths_that_are_not_text_are_given_by_their_bytes() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let folder = folder();
        let name = OsStr::from_bytes(b"a\xff.pth");
        fs::copy(LENET, folder.path(".").join(name)).expect("copied");
        let json = |words: &[&str], names: &[&OsStr]| -> Value {
            let output = folder.command(words).args(names).output().expect("it runs");
            serde_json::from_slice(&output.stdout).expect("JSON")
        };
        let bytes = "61ff2e707468";
        let plain = OsStr::new("net.pth");
        assert_eq!(json(&["ls", "--json"], &[name])["file_bytes"], bytes);
        assert_eq!(json(&["check", "--json"], &[name])["file_bytes"], bytes);
        assert_eq!(json(&["unwrap", "--json"], &[name])["file_bytes"], bytes);
        assert_eq!(json(&["recover", "--json"], &[name])["file_bytes"], bytes);
        assert_eq!(json(&["diff", "--json"], &[plain, name])["b_bytes"], bytes);
        assert_eq!(json(&["fit", "--json", "net.pth", "--to"], &[name])["target_bytes"], bytes);
        let out = OsStr::from_bytes(b"o\xfe.pth");
        let done = json(&["unwrap", "--json", "net.pth", "-o"], &[out]);
        assert_eq!(done["output_bytes"], "6ffe2e707468");
        assert!(json(&["ls", "--json"], &[plain]).get("file_bytes").is_none());
    }

    #[test]
    fn plans_and_recipes_have_the_mode_of_new_files() {
        let folder = folder();
        let usual = fs::metadata(folder.path("net.pth")).expect("there").permissions();
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(folder.path("net.pth"), private).expect("mine");
        folder.done("unwrap net.pth -o bare.pth --save-plan plan.json");
        folder.done("fit net.pth --to bare.pth --save-recipe fit.toml");
        folder.done("derive net.pth bare.pth --save-recipe derive.toml");
        for name in ["plan.json", "fit.toml", "derive.toml"] {
            let found = fs::metadata(folder.path(name)).expect("there").permissions();
            assert_eq!(found, usual, "{name}");
        }
        let bare = fs::metadata(folder.path("bare.pth")).expect("there").permissions();
        assert_eq!(bare.mode() & 0o7777, 0o600);
    }
}
