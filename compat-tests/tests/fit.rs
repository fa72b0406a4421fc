//! A trained network's tensors start another one off, as `myOwnLoad` does it, and safely.
//!
//! The classic snippet walks the keys of the checkpoint and of the model side by side, copies by
//! position all but the last two, and draws a new head: `myFc.weight` from normal(0, 0.02),
//! `myFc.bias` 0.

use std::fs;
use std::path::Path;

use compat_tests::{Run, oracle, statedict};
use serde_json::{Value, json};

const HEAD: &str = "--init myFc.weight=normal(0,0.02) --init myFc.bias=zeros";

/// Has Python do one step in the folder; gives its complaint, or what it measured.
fn python(folder: &Path, chapter: &str) -> Value {
    oracle(json!({ "do": "transfer", "chapter": chapter, "folder": folder }))
}

/// Runs `statedict` on files of the folder, which are the words with a dot and no equals sign.
fn run(folder: &Path, words: &str) -> Run {
    let word = |word: &str| {
        if word.contains('.') && !word.contains('=') {
            folder.join(word).into_os_string()
        } else {
            word.into()
        }
    };
    statedict(words.split_whitespace().map(word))
}

fn done(folder: &Path, words: &str) -> Run {
    let run = run(folder, words);
    assert_eq!(run.status, Some(0), "{words}: {}", run.stderr);
    run
}

fn saved() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    python(folder.path(), "save");
    folder
}

/// `out.pth` is what the snippet makes, and the head is drawn as was asked.
fn is_what_the_snippet_makes(folder: &Path) {
    let judged = python(folder, "judge");
    let number = |name: &str| judged[name].as_f64().unwrap_or_else(|| panic!("{judged}"));
    // Five standard errors of 3,200 numbers.
    assert!(number("mean").abs() < 5.0 * 0.02 / 3200_f64.sqrt(), "{judged}");
    assert!((number("deviation") - 0.02).abs() < 5.0 * 0.02 / 6400_f64.sqrt(), "{judged}");
    assert_eq!(number("bias"), 0.0);
}

#[test]
fn the_snippets_case_is_fitted_and_loads_strictly() {
    let folder = saved();
    let folder = folder.path();

    // The head has 1,000 classes in the file and 200 in the model: that is said, and refused.
    let refused = run(folder, "fit trained.pth --to model.pth -o out.pth");
    assert_eq!(refused.status, Some(1));
    let complaint = "'myFc.weight': file has [1000, 16], target wants [200, 16]";
    assert!(refused.stderr.contains(complaint), "{}", refused.stderr);
    assert!(!folder.join("out.pth").exists());

    // Told how to make a new one, the file has the model's keys and loads with strict=True; the
    // tensors that the snippet copies are the very same, without a position having been trusted.
    done(folder, &format!("fit trained.pth --to model.pth {HEAD} -o out.pth"));
    is_what_the_snippet_makes(folder);

    // The model's keys, types and shapes are enough; no weights are needed.
    let listing = done(folder, "ls model.pth --json").stdout;
    fs::write(folder.join("model.json"), listing).expect("written");
    done(folder, &format!("fit trained.pth --to model.json {HEAD} -o out.pth --force"));
    is_what_the_snippet_makes(folder);
}

#[test]
fn the_snippets_own_rule_is_there_made_safe() {
    let folder = saved();
    let folder = folder.path();

    // All but the last two, by position; what is to be made takes no part.
    let words = format!("fit trained.pth --to model.pth --by position --drop-last 2 {HEAD}");
    done(folder, &format!("{words} -o out.pth"));
    is_what_the_snippet_makes(folder);

    // The snippet stops at the shorter list; here both sides must have as many keys.
    let refused = run(folder, "fit old.pth --to same.pth --by position --drop-last 1 -o no.pth");
    assert_eq!(refused.status, Some(1));
    assert!(
        refused.stderr.contains("25 keys of the source are to go to 26 of the target"),
        "{}",
        refused.stderr
    );

    // The snippet trusts an order that safetensors files do not have.
    done(folder, "convert trained.pth trained.safetensors");
    let refused = run(folder, "fit trained.safetensors --to model.pth --by position");
    assert_eq!(refused.status, Some(1));
    assert!(refused.stderr.contains("the order of keys in the source means nothing"));
}

#[test]
fn the_same_network_under_other_names_keeps_the_versions_of_its_modules() {
    let folder = saved();
    let folder = folder.path();
    done(folder, "fit trained.pth --to same.pth -o out.pth");
    assert_eq!(python(folder, "load same"), Value::Null);

    // From a trainer's checkpoint comes what the model loads, and what stays behind is named.
    let fitted = done(folder, "fit trainer.pth --to same.pth -o out.pth --force");
    assert!(fitted.stderr.contains("not written"), "{}", fitted.stderr);
    assert_eq!(python(folder, "load same"), Value::Null);
}

#[test]
fn an_old_checkpoint_without_batch_counters_loads_strictly() {
    let folder = saved();
    let folder = folder.path();
    let fitted = done(folder, &format!("fit old.pth --to model.pth {HEAD} -o out.pth"));
    assert!(fitted.stderr.contains("num_batches_tracked: 0"), "{}", fitted.stderr);
    assert_eq!(python(folder, "load"), Value::Null);
}

#[test]
fn half_precision_is_cast_only_if_that_is_asked_for() {
    let folder = saved();
    let folder = folder.path();
    let words = format!("fit half.pth --to model.pth {HEAD} -o out.pth");
    assert_eq!(run(folder, &words).status, Some(1));
    done(folder, &format!("{words} --cast"));
    assert_eq!(python(folder, "load"), Value::Null);
}

#[test]
fn rows_that_both_have_can_be_kept_in_another_format() {
    let folder = saved();
    let folder = folder.path();
    done(folder, "fit trained.pth --to model.pth --resize myFc.*=rows -o out.safetensors");
    assert_eq!(python(folder, "load safetensors"), Value::Null);
}

#[test]
fn a_recipe_found_on_one_checkpoint_fits_its_sister_with_more_layers() {
    let folder = saved();
    let folder = folder.path();
    done(folder, "fit trained.pth --to same.pth --save-recipe fit.toml");
    done(folder, "apply fit.toml sister.pth -o out.pth");
    assert_eq!(python(folder, "load sister"), Value::Null);
}
