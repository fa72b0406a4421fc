//! The command as its users meet it: what it prints, what it writes, how it ends.

mod folder;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use folder::Folder;

const LENET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/lenet-dataparallel.pth");

impl Folder {
    /// A folder with `net.safetensors`, which has these keys.
    fn with(keys: &[&str]) -> Folder {
        Folder::of([("net.safetensors", safetensors(keys))])
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("there")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path(".")).expect("a folder");
        let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("UTF-8");
        let mut names: Vec<String> = entries.map(|e| name(e.expect("an entry"))).collect();
        names.sort();
        names
    }

    /// The keys of a file, as `ls` gives them.
    fn keys(&self, name: &str) -> Vec<String> {
        let listed = self.json(&["ls", "--json", name]);
        let tensors = listed["tensors"].as_array().expect("a list").iter();
        tensors.map(|tensor| tensor["key"].as_str().expect("a text").to_string()).collect()
    }

    fn json(&self, args: &[&str]) -> Value {
        let ran = self.run(args);
        assert_eq!(ran.status, 0, "{}", ran.err);
        serde_json::from_str(&ran.out).expect("JSON")
    }

    /// The command ends with this status, these words on standard error, and no file written.
    fn check_refused(&self, args: &[&str], status: i32, words: &[&str]) {
        let before = self.names();
        let ran = self.run(args);
        assert_eq!((ran.status, ran.out.as_str()), (status, ""), "{args:?}: {}", ran.err);
        for words in words {
            assert!(ran.err.contains(words), "{args:?}: no {words:?} in\n{}", ran.err);
        }
        assert_eq!(self.names(), before, "{args:?}");
    }
}

/// One F32 under each key, counting from 1, after a header padded as the safetensors crate does.
fn safetensors(keys: &[&str]) -> Vec<u8> {
    let entry = |(i, key): (usize, &&str)| {
        let (start, end) = (4 * i, 4 * i + 4);
        format!(r#""{key}":{{"dtype":"F32","shape":[1],"data_offsets":[{start},{end}]}}"#)
    };
    let header =
        format!("{{{}}}", keys.iter().enumerate().map(entry).collect::<Vec<_>>().join(","));
    let padding = " ".repeat(header.len().next_multiple_of(8) - header.len());
    let header = header + &padding;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.extend((1..=keys.len() as u16).flat_map(|number| f32::from(number).to_le_bytes()));
    bytes
}

#[test]
fn every_command_has_help_that_says_what_it_does() {
    let folder = Folder::with(&[]);
    for command in ["ls", "strip", "add", "unwrap", "rename", "keep", "drop", "apply", "convert"] {
        let ran = folder.run(&[command, "--help"]);
        assert_eq!(ran.status, 0, "{command}");
        let first = ran.out.lines().next().unwrap_or_default();
        assert!(first.len() > 10 && !first.ends_with('.'), "{command}: {first:?}");
    }
}

#[test]
fn ls_shows_a_line_for_every_tensor() {
    let folder = Folder::with(&["fc.weight", "b"]);
    let expected = "\
2 parameters in 2 tensors, 8 B F32 (safetensors)
fc.weight  F32  [1]  4 B
b          F32  [1]  4 B
";
    assert_eq!(folder.run(&["ls", "net.safetensors"]).out, expected);
}

#[test]
fn ls_shows_modules_as_a_tree() {
    let folder = Folder::with(&["a.0.w", "a.1.w", "b"]);
    let expected = "\
3 parameters in 3 tensors, 12 B F32 (safetensors)
a            2 tensors        8 B
  {0..1}     2 tensors        8 B
b             1 tensor        4 B
";
    assert_eq!(folder.run(&["ls", "--tree", "net.safetensors"]).out, expected);
}

#[test]
fn ls_gives_json_with_digests_of_the_elements() {
    let folder = Folder::with(&["w"]);
    let tensor = json!({ "at": "", "key": "w", "dtype": "F32", "shape": [1], "bytes": 4 });
    let expected = json!({
        "schema_version": 1, "file": "net.safetensors", "format": "safetensors", "metadata": {},
        "conventions": [], "recipes": [], "parameters": 1, "load_bytes": 4, "facts": [], "tensors": [tensor],
    });
    assert_eq!(folder.json(&["ls", "--json", "net.safetensors"]), expected);

    let hashed = folder.json(&["ls", "--json", "--hash", "net.safetensors"]);
    // SHA-256 of 00 00 80 3f.
    let digest = "e00e5eb9444182f352323374ef4e08ebcb784725fdd4fd612d7730540b3e0c8c";
    assert_eq!(hashed["tensors"][0]["sha256"], digest);
}

#[test]
fn ls_says_which_state_dicts_there_are() {
    let folder = Folder::with(&["w"]);
    assert_eq!(folder.run(&["ls", "--at", "/", "net.safetensors"]).status, 0);
    let words = ["error: net.safetensors: no state dict at 'x'", "'/' (1 tensor)"];
    folder.check_refused(&["ls", "--at", "x", "net.safetensors"], 2, &words);
}

#[test]
fn ls_names_the_wrappers_and_the_command_that_takes_them_off() {
    let check = |keys: &[&str], expected: &str| {
        let ran = Folder::with(keys).run(&["ls", "net.safetensors"]);
        let last = ran.out.lines().last().unwrap_or_default().to_string();
        assert!(last.starts_with(expected), "{last}");
    };
    check(
        &["module._orig_mod.a.w", "module._orig_mod.b"],
        "saved under DataParallel, then torch.compile; to take that off: statedict unwrap net.safetensors",
    );
    check(&["a.w", "mlp_module.w"], "mlp_module.w  F32");
    // Without their wrappers two keys would have one name.
    check(&["module.a.w", "a.w"], "a.w ");
}

#[test]
fn near_names_are_suggested_for_those_that_are_not_there() {
    let folder = Folder::with(&["encoder.0.w", "encoder.1.w", "head.w"]);
    folder.add("trainer.pth", include_bytes!("trainer.pth"));
    let check = |words: &[&str], status: i32, expected: &str| {
        let ran = folder.run(words);
        assert_eq!(ran.status, status, "{}", ran.err);
        assert!(ran.err.contains(expected), "{words:?}: {}", ran.err);
    };
    check(&["strip", "encodr", "net.safetensors"], 1, "hint: did you mean 'encoder'?");
    check(&["keep", "haed.**", "net.safetensors"], 1, "hint: did you mean 'head.**'?");
    check(&["rename", "haed.{r..} -> x.{r..}", "net.safetensors"], 1, "'head.{r..} -> x.{r..}'?");
    let missed = ["ls", "trainer.pth", "--at", "state_dcit"];
    check(&missed, 2, "hint: did you mean --at state_dict?");
    let missed = ["strip", "module", "trainer.pth", "--at", "state_dcit"];
    check(&missed, 2, "hint: did you mean --at state_dict?");
}

#[test]
fn a_state_dict_can_be_written_alone() {
    let folder = Folder::with(&[]);
    folder.add("trainer.pth", include_bytes!("trainer.pth"));
    let ran = folder.run(&["convert", "trainer.pth", "--at", "state_dict", "--alone", "net.pth"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let listed = folder.json(&["ls", "--json", "net.pth"]);
    let tensors = listed["tensors"].as_array().expect("a list");
    assert!(!tensors.is_empty() && tensors.iter().all(|tensor| tensor["at"] == ""), "{listed}");
}

#[test]
fn without_an_output_the_plan_is_shown_and_nothing_is_written() {
    let folder = Folder::with(&["module.a.0", "module.a.1", "b"]);
    let ran = folder.run(&["strip", "module", "net.safetensors"]);
    let shown =
        "net.safetensors: 2 keys renamed, 1 unchanged\n  module.a.{0..1} -> a.{0..1}  (2 keys)\n";
    assert_eq!((ran.status, ran.out.as_str()), (0, shown));
    assert!(
        ran.err.contains("\n  statedict strip module net.safetensors -o net-new.safetensors\n")
    );
    assert_eq!(folder.names(), ["net.safetensors"]);
    assert_eq!(folder.run(&["strip", "module", "net.safetensors", "-q"]).err, "");
}

#[test]
fn the_line_that_is_suggested_does_what_was_shown() {
    let folder = Folder::with(&["a.b", "c"]);
    let shown = folder.run(&["rename", "a.{x} -> {x}", "net.safetensors"]).err;
    let line = shown.lines().last().expect("a suggestion").trim();
    assert_eq!(line, "statedict rename 'a.{x} -> {x}' net.safetensors -o net-new.safetensors");
    folder.run(&["rename", "a.{x} -> {x}", "net.safetensors", "-o", "net-new.safetensors"]);
    assert_eq!(folder.keys("net-new.safetensors"), ["b", "c"]);
}

#[test]
fn each_command_renames_as_it_says() {
    let keys = ["module.fc.weight", "module.fc.bias", "n"];
    let check = |args: &[&str], expected: &[&str]| {
        let folder = Folder::with(&keys);
        let ran = folder.run(&[args, &["net.safetensors", "-o", "out.safetensors"]].concat());
        assert_eq!(ran.status, 0, "{args:?}: {}", ran.err);
        assert_eq!(folder.keys("out.safetensors"), expected, "{args:?}");
    };
    check(&["strip", "module"], &["fc.weight", "fc.bias", "n"]);
    check(&["strip", "module", "--only"], &["fc.weight", "fc.bias"]);
    check(&["add", "x.y"], &["x.y.module.fc.weight", "x.y.module.fc.bias", "x.y.n"]);
    check(&["unwrap"], &["fc.weight", "fc.bias", "n"]);
    check(&["unwrap", "--wrapper", "fc"], &["module.weight", "module.bias", "n"]);
    check(&["rename", "n -> m", "{a}.fc.{b} -> {b}.{a}"], &["weight.module", "bias.module", "m"]);
    check(&["rename", r"re:\.fc\b -> "], &["module.weight", "module.bias", "n"]);
    check(&["keep", "n", "**.bias"], &["module.fc.bias", "n"]);
    check(&["drop", "module.**"], &["n"]);
    check(&["strip", "x", "--allow-unchanged"], &keys);
}

#[test]
fn segments_can_end_at_another_character() {
    let folder = Folder::with(&["module/a.b"]);
    folder.run(&["strip", "module", "--separator", "/", "net.safetensors", "-i"]);
    assert_eq!(folder.keys("net.safetensors"), ["a.b"]);
}

#[test]
fn a_plan_that_cannot_be_is_refused_with_every_offence() {
    let folder = Folder::with(&["m.a", "a", "m.b", "b"]);
    let words = ["2 keys would become 'a'", "2 keys would become 'b'"];
    folder.check_refused(&["strip", "m", "net.safetensors", "-o", "out.safetensors"], 1, &words);
    let words = ["no rule recognises key 'a'", "no rule recognises key 'b'"];
    folder.check_refused(
        &["rename", "m.{x} -> n.{x}", "net.safetensors", "--strict", "-i"],
        1,
        &words,
    );
    folder.check_refused(
        &["rename", "re:.* -> ", "net.safetensors", "-i"],
        1,
        &["would make key", "empty"],
    );
}

#[test]
fn a_rule_that_matches_nothing_is_refused_with_a_way_out() {
    let folder = Folder::with(&["fc.weight", "fc.bias"]);
    let words = [
        "error: net.safetensors: no key matches 'strip:module.'",
        "hint: keys start with 'fc' (2)",
    ];
    folder.check_refused(&["strip", "module", "net.safetensors"], 1, &words);
    let words = ["hint: did you mean 'fc.{rest..} -> head.{rest..}'?"];
    folder.check_refused(&["rename", "fc -> head", "net.safetensors"], 1, &words);
}

#[test]
fn what_cannot_be_understood_is_refused_as_usage() {
    let folder = Folder::with(&["a"]);
    folder.check_refused(&[], 2, &["Usage"]);
    folder.check_refused(
        &["strip", "a", "net.safetensors", "-i", "-o", "x"],
        2,
        &["cannot be used with"],
    );
    folder.check_refused(
        &["strip", "a", "net.safetensors", "--strict", "--only"],
        2,
        &["cannot be used"],
    );
    folder.check_refused(
        &["strip", "", "net.safetensors"],
        2,
        &["a prefix needs at least one segment"],
    );
    folder.check_refused(&["rename", "a", "net.safetensors"], 2, &["expected 'FROM -> TO'"]);
    folder.check_refused(
        &["convert", "net.safetensors", "net.xyz"],
        2,
        &["net.xyz", ".safetensors"],
    );
}

#[test]
fn what_cannot_be_read_is_named_in_one_line() {
    let folder = Folder::with(&["a"]);
    folder.add("page.pth", b"<!DOCTYPE html><html></html>");
    let whole = folder.read("net.safetensors");
    folder.add("short.safetensors", &whole[..whole.len() - 1]);
    for name in ["page.pth", "short.safetensors", "none.pth"] {
        folder.check_refused(&["unwrap", name, "-o", "out.pth"], 2, &[name]);
        assert_eq!(folder.run(&["ls", name]).err.lines().count(), 1, "{name}");
    }
}

#[test]
fn an_existing_output_needs_force() {
    let folder = Folder::with(&["m.a"]);
    folder.add("out.safetensors", b"old");
    let args = ["strip", "m", "net.safetensors", "-o", "out.safetensors"];
    folder.check_refused(&args, 2, &["out.safetensors", "already exists", "hint: add --force"]);
    assert_eq!(folder.read("out.safetensors"), b"old");
    assert_eq!(folder.run(&[&args[..], &["--force"]].concat()).status, 0);
    assert_eq!(folder.keys("out.safetensors"), ["a"]);
}

#[test]
fn the_output_may_be_the_input() {
    let folder = Folder::with(&["m.a"]);
    let args = ["strip", "m", "net.safetensors", "-o", "net.safetensors"];
    folder.check_refused(&args, 2, &["already exists"]);
    assert_eq!(folder.run(&[&args[..], &["--force"]].concat()).status, 0);
    assert_eq!(folder.keys("net.safetensors"), ["a"]);
    assert_eq!(folder.run(&["add", "m", "net.safetensors", "-i"]).status, 0);
    assert_eq!(folder.keys("net.safetensors"), ["m.a"]);
    assert_eq!(folder.names(), ["net.safetensors"]);
}

#[test]
fn what_was_done_is_said_on_standard_error() {
    let folder = Folder::with(&["m.a.0", "m.a.1", "b", "c"]);
    let args = ["rename", "m.{r..} -> {r..}", "x -> y", "net.safetensors", "-o", "out.safetensors"];
    let ran = folder.run(&args);
    assert_eq!((ran.status, ran.out.as_str()), (0, ""));
    let first = ran.err.lines().next().unwrap_or_default();
    assert!(first.starts_with("wrote out.safetensors (safetensors, "), "{first}");
    assert!(first.ends_with(": 2 keys renamed, 2 unchanged"), "{first}");
    assert!(ran.err.contains("\n  m.a.{0..1} -> a.{0..1}  (2 keys)\n"), "{}", ran.err);
    assert!(ran.err.contains("\nnote: 'rename:x -> y' matches no key\n"), "{}", ran.err);
    assert!(ran.err.contains("\nnote: 2 keys matched no rule"), "{}", ran.err);
    assert_eq!(folder.run(&["unwrap", "--allow-unchanged", "out.safetensors", "-iq"]).err, "");
}

#[test]
fn what_was_done_is_said_as_json() {
    let folder = Folder::with(&["m.a", "b", "c"]);
    let plan = json!({
        "statedict_plan": 1,
        "state_dicts": [{ "at": "", "keys": [["m.a", "a"], ["b", "b"], ["c", "c"]] }],
    });
    let expected = json!({
        "schema_version": 1, "file": "net.safetensors", "format": "safetensors", "output": null, "written": false,
        "way": null, "bytes_written": null, "renamed": 1, "unchanged": 2, "dropped": 0, "passed_over": 2, "idle": [], "ties": [],
        "restored_ties": [], "left_behind": { "keys": [], "metadata": [], "payload": [] },
        "metadata": [], "plan": plan,
    });
    assert_eq!(folder.json(&["strip", "m", "net.safetensors", "--json"]), expected);
    let written =
        folder.json(&["strip", "m", "net.safetensors", "--json", "-o", "out.safetensors"]);
    assert_eq!(
        (&written["written"], &written["output"]),
        (&json!(true), &json!("out.safetensors"))
    );
}

#[test]
fn a_saved_plan_leads_back() {
    let folder = Folder::with(&["module.a", "_orig_mod.b", "c"]);
    let original = folder.read("net.safetensors");
    let unwrap = ["unwrap", "net.safetensors", "-o", "out.safetensors", "--save-plan", "plan.json"];
    assert_eq!(folder.run(&unwrap).status, 0);
    assert_eq!(folder.keys("out.safetensors"), ["a", "b", "c"]);
    folder.run(&["apply", "plan.json", "net.safetensors", "-o", "again.safetensors"]);
    assert_eq!(folder.read("again.safetensors"), folder.read("out.safetensors"));
    let back = ["apply", "plan.json", "out.safetensors", "--inverse", "-o", "back.safetensors"];
    assert_eq!(folder.run(&back).status, 0);
    assert_eq!(folder.read("back.safetensors"), original);
    assert_eq!(folder.run(&["apply", "plan.json", "out.safetensors", "--inverse", "-i"]).status, 0);
    assert_eq!(folder.keys("out.safetensors"), folder.keys("net.safetensors"));
    let words = ["the plan names key 'module.a'", "the plan names key '_orig_mod.b'"];
    folder.check_refused(&["apply", "plan.json", "again.safetensors"], 1, &words);
}

#[test]
fn a_plan_replaces_no_file_unasked() {
    let folder = Folder::with(&["m.a"]);
    folder.add("plan.json", b"mine");
    let strip = ["strip", "m", "net.safetensors", "--save-plan"];
    folder.check_refused(&[&strip[..], &["plan.json"]].concat(), 2, &["plan.json", "--force"]);
    folder.check_refused(
        &[&strip[..], &["net.safetensors", "--force"]].concat(),
        2,
        &["net.safetensors"],
    );
    assert_eq!(folder.run(&[&strip[..], &["plan.json", "--force"]].concat()).status, 0);
    assert!(folder.read("plan.json").starts_with(b"{"));
}

#[test]
fn a_recipe_is_applied_stage_by_stage_and_back() {
    let folder = Folder::with(&["module.layers.0.w", "module.fc.w"]);
    folder.add(
        "recipe.toml",
        br#"
        [[stage]]
        strip = "module"
        [[stage]]
        rename = "layers.{i}.{r..} -> blocks.{i+1}.{r..}"
        [[stage]]
        table = { "fc.w" = "head.w" }
        "#,
    );
    let original = folder.read("net.safetensors");
    assert_eq!(folder.run(&["apply", "recipe.toml", "net.safetensors", "-i"]).status, 0);
    assert_eq!(folder.keys("net.safetensors"), ["blocks.1.w", "head.w"]);
    folder.run(&["apply", "recipe.toml", "net.safetensors", "--inverse", "-i"]);
    assert_eq!(folder.read("net.safetensors"), original);
}

#[test]
fn a_recipe_says_what_is_wrong_with_it() {
    let folder = Folder::with(&["a"]);
    let check = |recipe: &str, words: &str| {
        folder.add("recipe.toml", recipe.as_bytes());
        folder.check_refused(&["apply", "recipe.toml", "net.safetensors", "-i"], 2, &[words]);
    };
    check("", "at least one [[stage]]");
    check("[[stage]]\nstrip = \"a\"\nadd = \"b\"", "line 1");
    check("[[stage]]\nstrips = \"a\"", "expected one of `strip`");
    check("stages = 1", "unknown field `stages`");
    check("[[stage]]\nrename = \"a\"", "stage 1: cannot parse rule 'a'");
    check("[[stage]]\nunwrap = false", "expected true or a list of segments");
    check("[[stage]]\nstrip = [\"a\"]", "line 2: invalid type: sequence, expected a string");
    check("[[stage]]\nkeep = []", "stage 1: keep takes at least one pattern");
    check("[[stage]]", "a stage needs one of strip, add");
    check("{\"statedict_plan\": 7, \"state_dicts\": []}", "plan version 7 is not known");
}

#[test]
fn a_recipe_without_an_inverse_says_why() {
    let folder = Folder::with(&["a"]);
    folder.add("recipe.toml", b"[[stage]]\nunwrap = true");
    let words = ["has no inverse: what it takes out is not remembered", "hint: save a plan"];
    folder.check_refused(&["apply", "recipe.toml", "net.safetensors", "--inverse"], 1, &words);
}

#[test]
fn another_extension_converts() {
    let folder = Folder::with(&["m.a", "m.b"]);
    assert_eq!(folder.run(&["strip", "m", "net.safetensors", "-o", "net.npz"]).status, 0);
    assert_eq!(folder.json(&["ls", "--json", "net.npz"])["format"], "npz");
    assert_eq!(folder.run(&["convert", "net.npz", "net.pth", "--cast", "f16"]).status, 0);
    assert_eq!(folder.run(&["convert", "net.pth", "back.safetensors", "--cast", "f32"]).status, 0);
    let hashes = |name: &str| {
        let listed = folder.json(&["ls", "--json", "--hash", name]);
        let tensors = listed["tensors"].as_array().expect("a list").clone();
        tensors.into_iter().map(|tensor| tensor["sha256"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(folder.keys("back.safetensors"), ["a", "b"]);
    assert_eq!(hashes("back.safetensors"), hashes("net.safetensors"));
}

#[test]
fn a_checkpoint_of_data_parallel_is_unwrapped() {
    let folder = Folder::with(&[]);
    let ran = folder.run(&["unwrap", LENET]);
    let expected = "  \
  module.conv{1..2}.weight -> conv{1..2}.weight  (2 keys)
  module.conv{1..2}.bias -> conv{1..2}.bias  (2 keys)
  module.fc{1..3}.weight -> fc{1..3}.weight  (3 keys)
  module.fc{1..3}.bias -> fc{1..3}.bias  (3 keys)
";
    assert_eq!(ran.out.split_once('\n').expect("two lines").1, expected);
    assert_eq!(folder.run(&["unwrap", LENET, "-o", "lenet.pth"]).status, 0);
    assert_eq!(folder.run(&["add", "module", "lenet.pth", "-o", "wrapped.pth"]).status, 0);
    assert_eq!(folder.keys("wrapped.pth"), folder.keys(LENET));
    assert_eq!(folder.keys("lenet.pth")[0], "conv1.weight");
}

#[cfg(unix)]
#[test]
fn the_mode_of_the_file_is_kept() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::with(&["m.a"]);
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let input = folder.path("net.safetensors");
    fs::set_permissions(&input, fs::Permissions::from_mode(0o640)).expect("allowed");
    folder.run(&["strip", "m", "net.safetensors", "-o", "out.safetensors"]);
    assert_eq!(mode(&folder.path("out.safetensors")), 0o640);
    folder.run(&["strip", "m", "net.safetensors", "-i"]);
    assert_eq!(mode(&input), 0o640);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_a_closed_pipe_is_none() {
    let folder = Folder::with(&["a"]);
    for args in [&["ls", "net.safetensors"][..], &["unwrap", "--help"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a device");
        let ran = folder.command(args).stdout(full).output().expect("it runs");
        assert_eq!(ran.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8_lossy(&ran.stderr).contains("standard output"), "{args:?}");
    }
    let many: Vec<String> = (0..20_000).map(|i| format!("layer.{i}.weight")).collect();
    folder.add(
        "many.safetensors",
        &safetensors(&many.iter().map(String::as_str).collect::<Vec<_>>()),
    );
    let mut child = folder.command(&["ls", "many.safetensors"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    drop(child.stdout.take());
    let ran = child.wait_with_output().expect("it ends");
    assert_eq!((ran.status.code(), ran.stderr.as_slice()), (Some(0), &[][..]));
}
