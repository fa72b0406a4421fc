//! Command lines: the one that would do what was only shown, and those that stand for jobs.

use std::env;
use std::path::Path;

use statedict::core::{Rule, RuleKind, Separators, Undefined, Words};
use statedict::jobs::diff;
use statedict::jobs::explain::Fix;
use statedict::jobs::rename::{Destination, Extent, Pickles};
use statedict::{Convert, Fit, Rename, Rules};

use crate::terminal::text::{as_operand, shell_word};

/// What was typed after the program's name.
pub(crate) fn typed() -> Vec<String> {
    let words = env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    of_command(words.collect())
}

/// The words from the command on, without options before it, which say how much is said.
fn of_command(mut words: Vec<String>) -> Vec<String> {
    while let Some(option) = words.first().filter(|word| word.starts_with('-')) {
        let values = usize::from(option == "--color");
        words.drain(..words.len().min(1 + values));
    }
    words
}

/// What was typed, to be done in earnest, with an output where there was none.
pub(crate) fn suggestion(words: &[String], output: Option<&Path>) -> String {
    let mut words = words.to_vec();
    let options = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let dry = |word: &String| word == "-n" || word == "--dry-run";
    if let Some(at) = words[..options].iter().position(dry) {
        words.remove(at);
    }
    let names_output = |word: &String| {
        ["-o", "-i", "--output", "--in-place"].contains(&word.as_str())
            || word.starts_with("--output=")
    };
    let is_named = words.iter().any(names_output);
    let Some(output) = output.filter(|_| !is_named) else { return typed_as(&words) };
    forget_saved_plan(&mut words);
    // After `--` nothing is an option, and the subcommand comes before everything else.
    let at = if words.iter().any(|word| word == "--") { 1 } else { words.len() };
    words.splice(at..at, ["-o".into(), as_operand(output)]);
    let words: Vec<_> = words.iter().map(|word| shell_word(word)).collect();
    format!("statedict {}", words.join(" "))
}

/// Options that write something beside the output.
const SAVES: [&str; 3] = ["--save-plan", "--save-recipe", "--html"];

/// Takes these out, which has been done by then.
fn forget_saved_plan(words: &mut Vec<String>) {
    let saved = |words: &[String]| {
        let options = words.iter().position(|word| word == "--").unwrap_or(words.len());
        words[..options].iter().position(|word| SAVES.contains(&word.as_str()))
    };
    while let Some(at) = saved(words) {
        words.drain(at..words.len().min(at + 2));
    }
    let is_saved =
        |word: &String| word.split_once('=').is_some_and(|(option, _)| SAVES.contains(&option));
    words.retain(|word| !is_saved(word));
}

/// The command that does what a job of `explain` does, as it can be typed.
pub(crate) fn of_fix(fix: &Fix) -> Option<String> {
    Some(typed_as(&words(fix)?))
}

/// The command that converts.
pub(crate) fn of_convert(convert: &Convert) -> String {
    typed_as(&words_of_convert(convert))
}

/// The command that renames the keys of the first file of a comparison as they are in the second.
pub(crate) fn renaming(outcome: &diff::Outcome) -> Option<String> {
    let (name, mut positional, mut options) = words_of_rule(outcome.renaming.as_ref()?)?;
    positional.push(as_operand(&outcome.a.file.path));
    if outcome.a.state_dicts > 1 {
        options.extend(at(Some(&outcome.a.path)));
    }
    Some(typed_as(&joined(name, positional, options)))
}

fn typed_as(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| shell_word(word)).collect();
    format!("statedict {}", words.join(" "))
}

/// The words of the command that does what a job of `explain` does, after the program's name.
pub(crate) fn words(fix: &Fix) -> Option<Vec<String>> {
    Some(match fix {
        Fix::Rename(rename) => words_of_rename(rename)?,
        Fix::Convert(convert) => words_of_convert(convert),
        Fix::Fit(fit) => words_of_fit(fit),
        Fix::Check(file) => joined("check", vec![as_operand(file)], Vec::new()),
        Fix::List(file) => joined("ls", vec![as_operand(file)], Vec::new()),
    })
}

fn words_of_rename(rename: &Rename) -> Option<Vec<String>> {
    let Rules::Stages(stages) = &rename.rules else { return None };
    let (name, mut positional, mut options) = match stages.as_slice() {
        [] => (RuleKind::Rename.name(), Vec::new(), Vec::new()),
        [rule] => words_of_rule(rule)?,
        _ => return None,
    };
    positional.push(as_operand(&rename.file));
    for (key, value) in &rename.metadata.set {
        options.extend(option("--metadata", &format!("{key}={value}")));
    }
    options.extend(at(rename.at.as_ref()));
    options.extend((rename.policy.undefined == Undefined::Drop).then(|| "--only".into()));
    options.extend((rename.encoding.extent == Extent::Alone).then(|| "--alone".into()));
    if let Destination::File(output) = &rename.destination {
        options.extend(["-o".into(), as_operand(output)]);
    }
    Some(joined(name, positional, options))
}

fn words_of_convert(convert: &Convert) -> Vec<String> {
    let encoding = &convert.encoding;
    let mut options = at(convert.at.as_ref());
    options.extend((encoding.extent == Extent::Alone).then(|| "--alone".into()));
    if encoding.pickles == Pickles::Protocol2 {
        options.extend(["--protocol".into(), "2".into()]);
    }
    for rule in &encoding.casting.rules {
        options.extend(["--cast".into(), rule.to.to_string().to_lowercase()]);
    }
    let files = [&convert.file].into_iter().chain(&convert.output);
    joined("convert", files.map(|file| as_operand(file)).collect(), options)
}

fn words_of_fit(fit: &Fit) -> Vec<String> {
    let mut options = vec!["--to".into(), as_operand(&fit.target.file)];
    options.extend(at(fit.source.at.as_ref()));
    for rule in &fit.fill.initialiser.rules {
        options.extend(["--init".into(), rule.to_string()]);
    }
    for rule in &fit.fill.resize {
        options.extend(["--resize".into(), rule.to_string()]);
    }
    if let Some(output) = &fit.output {
        options.extend(["-o".into(), as_operand(output)]);
    }
    joined("fit", vec![as_operand(&fit.source.file)], options)
}

fn at(path: Option<&String>) -> Vec<String> {
    path.map(|path| option("--at", path)).unwrap_or_default()
}

/// An option with its value: two words, or one where the value would be taken for an option.
fn option(name: &str, value: &str) -> Vec<String> {
    if value.starts_with('-') {
        return vec![format!("{name}={value}")];
    }
    vec![name.into(), value.into()]
}

/// Options come last, as people write them, unless a word would be taken for one.
pub(crate) fn joined(name: &str, positional: Vec<String>, options: Vec<String>) -> Vec<String> {
    let name = vec![name.to_string()];
    if positional.iter().any(|word| word.starts_with('-')) {
        return [name, options, vec!["--".into()], positional].concat();
    }
    [name, positional, options].concat()
}

/// The command of a rule, its words, and its options.
pub(crate) fn words_of_rule(rule: &Rule) -> Option<(&'static str, Vec<String>, Vec<String>)> {
    let (kind, words) = rule.words()?;
    let mut options = Vec::new();
    let (name, words) = match kind.words() {
        Words::Prefix => (kind.name(), words),
        Words::Renames | Words::Patterns | Words::Types | Words::Fillings => {
            (kind.name(), guarded(words))
        }
        Words::AnyPatterns => {
            options.extend(words.iter().flat_map(|pattern| option("--weight", pattern)));
            (kind.name(), Vec::new())
        }
        Words::Segments => {
            options.extend(words.iter().flat_map(|name| option("--wrapper", name)));
            (kind.name(), Vec::new())
        }
        Words::Pairs if words.is_empty() => return None,
        Words::Pairs => (RuleKind::Rename.name(), guarded(rule.renames()?)),
    };
    let separators = rule.separators().unwrap_or_default();
    if separators != Separators::default() {
        options.extend(option("--separator", &separators.to_string()));
    }
    Some((name, words, options))
}

/// Templates that no option is like: `\-x` for `-x`.
///
/// The parser of arguments takes the last of several for an option even after `--`.
fn guarded(words: Vec<String>) -> Vec<String> {
    words
        .into_iter()
        .map(|word| if word.starts_with('-') { format!("\\{word}") } else { word })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use statedict::{Explain, silent};

    fn check(typed: &[&str], expected: &str) {
        let words: Vec<String> = typed.iter().map(|word| (*word).to_string()).collect();
        assert_eq!(suggestion(&words, Some(Path::new("in/net-new.pth"))), expected);
    }

    #[test]
    fn an_output_is_put_where_options_go() {
        check(&["unwrap", "in/net.pth"], "statedict unwrap in/net.pth -o in/net-new.pth");
        check(
            &["rename", "a -> b", "in/net.pth"],
            "statedict rename 'a -> b' in/net.pth -o in/net-new.pth",
        );
        check(
            &["strip", "--", "-x", "in/net.pth"],
            "statedict strip -o in/net-new.pth -- -x in/net.pth",
        );
    }

    #[test]
    fn a_plan_is_not_saved_twice() {
        let expected = "statedict add m in/net.pth -o in/net-new.pth";
        check(&["add", "--save-plan", "p", "m", "in/net.pth"], expected);
        check(&["add", "m", "in/net.pth", "--save-plan=p"], expected);
    }

    #[test]
    fn an_output_that_looks_like_an_option_is_given_its_folder() {
        let words = ["unwrap", "--", "-x.pth"].map(String::from);
        let expected = "statedict unwrap -o ./-x-new.pth -- -x.pth";
        assert_eq!(suggestion(&words, Some(Path::new("-x-new.pth"))), expected);
    }

    fn check_explained(text: &str, expected: &str) {
        let explain = Explain { text: text.into(), ..Explain::default() };
        let outcome = explain.run(&silent()).expect("it is known");
        let found = outcome.fix.as_ref().and_then(words).map(|words| words.join(" "));
        assert_eq!(found.as_deref(), Some(expected), "{text}");
    }

    #[test]
    fn commands_name_the_files_or_placeholders() {
        let text = r#"Missing key(s) in state_dict: "a.w". Unexpected key(s) in state_dict: "module.a.w". "#;
        check_explained(text, "unwrap CKPT -o OUT.pth");
        let head = "size mismatch for fc.w: copying a param with shape torch.Size([9, 4]) from \
                    checkpoint, the shape in current model is torch.Size([5, 4]).";
        check_explained(head, "fit CKPT --to MODEL --init fc.w=target -o OUT.pth");
        check_explained("invalid load key, 'v'.", "check CKPT");
    }

    #[test]
    fn words_that_look_like_options_come_after_a_mark() {
        let text =
            r#"Missing key(s) in state_dict: "a". Unexpected key(s) in state_dict: "-x.a". "#;
        check_explained(text, "strip -o OUT.pth -- -x CKPT");
    }
}
