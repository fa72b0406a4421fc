//! Several files of one command: one rule for all, and what one fails with does not stop the others.

mod folder;

use folder::{Folder, numbered};
use serde_json::Value;

fn folder() -> Folder {
    Folder::of([
        ("a.safetensors", numbered(&["module.a.w", "module.b.w"])),
        ("b.safetensors", numbered(&["module.a.w"])),
        ("bad.safetensors", b"nothing of the kind".to_vec()),
    ])
}

impl Folder {
    fn keys(&self, name: &str) -> Vec<String> {
        let listed: Value =
            serde_json::from_str(&self.run(&["ls", "--json", name]).out).expect("JSON");
        let tensors = listed["tensors"].as_array().expect("a list").iter();
        tensors.map(|it| it["key"].as_str().expect("a text").to_string()).collect()
    }

    fn objects(&self, words: &str) -> Vec<Value> {
        let out = self.typed(&format!("{words} --json")).out;
        let objects = serde_json::Deserializer::from_str(&out).into_iter::<Value>();
        objects.map(|it| it.unwrap_or_else(|error| panic!("{error}: {out}"))).collect()
    }
}

#[test]
fn several_files_are_edited_each() {
    let folder = folder();
    folder.typed("unwrap a.safetensors b.safetensors -i").check(0, "edited b.safetensors");
    assert_eq!(folder.keys("a.safetensors"), ["a.w", "b.w"]);
    assert_eq!(folder.keys("b.safetensors"), ["a.w"]);
    folder.typed("add x a.safetensors b.safetensors -i -q").check(0, "");
    assert_eq!(folder.keys("b.safetensors"), ["x.a.w"]);
    folder.typed("drop **.b.w a.safetensors b.safetensors -i --allow-unchanged").check(0, "a.s");
    assert_eq!(folder.keys("a.safetensors"), ["x.a.w"]);
}

#[test]
fn new_files_have_the_names_of_the_old_in_a_folder() {
    let folder = folder();
    folder.typed("strip module a.safetensors b.safetensors -o out").check(0, "wrote out/a.safe");
    assert_eq!(folder.keys("out/a.safetensors"), ["a.w", "b.w"]);
    assert_eq!(folder.keys("out/b.safetensors"), ["a.w"]);
    // One file that a pattern of the shell matched does as several do.
    folder.typed("strip module a.safetensors -o one/").check(0, "wrote one/a.safetensors");
    let words = "convert a.safetensors b.safetensors -o npz --format npz";
    folder.typed(words).check(0, "wrote npz/b.npz");
    folder.typed("convert a.safetensors b.safetensors copies").check(0, "copies/b.safetensors");
    folder
        .typed("fit a.safetensors b.safetensors --to b.safetensors -o fit --drop module.b.*")
        .check(0, "fit/b.safetensors");
}

#[test]
fn files_and_rules_are_told_apart_by_their_extensions() {
    let folder = folder();
    folder.typed("keep a.safetensors module.a.** -o k.safetensors").check(0, "1 dropped");
    folder.typed("keep module.a.** a.safetensors b.safetensors -o k").check(0, "k/b.safetensors");
    let words = ["rename", "module.{r..} -> m.{r..}", "a.safetensors", "b.safetensors", "-i"];
    assert_eq!(folder.run(&words).status, 0);
    assert_eq!(folder.keys("b.safetensors"), ["m.a.w"]);
    folder.typed("stats a.safetensors b.safetensors m.a").check(0, "b.safetensors:");
}

#[test]
fn the_others_go_on_and_the_end_is_the_worst() {
    let folder = folder();
    let ran = folder.typed("unwrap none.pth a.safetensors bad.safetensors b.safetensors -i");
    assert_eq!(ran.status, 2, "{}", ran.err);
    assert_eq!(ran.err.lines().filter(|line| line.starts_with("error: ")).count(), 2);
    assert_eq!(folder.keys("a.safetensors"), ["a.w", "b.w"]);
    assert_eq!(folder.keys("b.safetensors"), ["a.w"]);
    folder.typed("strip b a.safetensors b.safetensors -i").check(1, "edited a.safetensors");
    assert_eq!(folder.typed("recover a.safetensors none.pth b.safetensors").status, 2);
}

#[test]
fn each_file_has_an_object_in_its_place() {
    let folder = folder();
    let found = folder.objects("strip module a.safetensors none.pth b.safetensors -o out");
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(found[0]["output"], "out/a.safetensors");
    assert_eq!(found[1]["error"]["path"], "none.pth");
    assert_eq!(found[2]["output"], "out/b.safetensors");
    assert_eq!(folder.objects("recover a.safetensors b.safetensors").len(), 2);
    assert_eq!(folder.objects("stats a.safetensors b.safetensors").len(), 2);
    assert_eq!(folder.objects("strip module a.safetensors").len(), 1);
}

#[test]
fn where_they_go_has_to_be_clear_before_anything_is_written() {
    let folder = folder();
    std::fs::create_dir(folder.path("x")).expect("made");
    folder.add("x/a.safetensors", &numbered(&["module.a.w"]));
    let check = |words: &str, said: &str| {
        let ran = folder.typed(words);
        assert_eq!(ran.status, 2, "{words}: {}", ran.err);
        assert!(ran.err.contains(said), "{words}: {}", ran.err);
    };
    check("unwrap a.safetensors b.safetensors", "several files need a folder");
    check("unwrap a.safetensors b.safetensors -o n.pth", "cannot be used with several files");
    check("unwrap a.safetensors x/a.safetensors -o out", "would be written to 'out/a.safetensors'");
    check("unwrap a.safetensors b.safetensors -i --save-plan p", "--save-plan takes the plan");
    check("prune a.safetensors b.safetensors", "several files need a folder");
    check("stats a.safetensors b.safetensors --csv", "the table of one file");
    assert!(!folder.path("out").exists() && !folder.path("n.pth").exists());
    // A folder that nothing came into is not left behind.
    assert_eq!(folder.typed("unwrap bad.safetensors none.pth -o out").status, 2);
    assert!(!folder.path("out").exists());
}

#[test]
fn a_dry_run_writes_nothing_whatever_else_is_said() {
    let folder = folder();
    for words in [
        "unwrap a.safetensors -i -n",
        "unwrap a.safetensors -o new.safetensors --dry-run",
        "unwrap a.safetensors b.safetensors -n",
        "unwrap a.safetensors b.safetensors -o out -n",
        "convert a.safetensors new.npz -n",
        "fit a.safetensors --to a.safetensors -o new.safetensors -n",
        "unwrap a.safetensors -n --save-plan plan.json",
    ] {
        folder.typed(words).check(0, "dry run, nothing written");
    }
    assert_eq!(folder.keys("a.safetensors"), ["module.a.w", "module.b.w"]);
    for name in ["new.safetensors", "new.npz", "out", "plan.json"] {
        assert!(!folder.path(name).exists(), "{name}");
    }
    let said = folder.typed("-v unwrap a.safetensors -o new.safetensors -n").err;
    assert!(said.contains("  statedict unwrap a.safetensors -o new.safetensors\n"), "{said}");
    let said = folder.typed("--color never unwrap a.safetensors -n").err;
    assert!(said.contains("  statedict unwrap a.safetensors -o a-new.safetensors\n"), "{said}");
}
