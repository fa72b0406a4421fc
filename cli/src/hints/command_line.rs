//! Command lines: the one that would do what was only shown, and those that stand for jobs.

use std::env;
use std::path::Path;

use statedict::core::{Remap, Rule, Undefined};
use statedict::jobs::diff;
use statedict::jobs::explain::Fix;
use statedict::jobs::rename::{Destination, Extent, Pickles};
use statedict::{Convert, Fit, Rename, Rules};

use crate::terminal::text::{as_operand, shell_option, shell_word};

/// What was typed after the program's name.
pub(crate) fn typed() -> Vec<String> {
    env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect()
}

/// What was typed, with an output.
pub(crate) fn suggestion(words: &[String], output: &Path) -> String {
    let mut words = words.to_vec();
    forget_saved_plan(&mut words);
    // After `--` nothing is an option, and the subcommand comes before everything else.
    let at = if words.iter().any(|word| word == "--") { 1 } else { words.len() };
    words.splice(at..at, ["-o".into(), as_operand(output)]);
    let words: Vec<_> = words.iter().map(|word| shell_word(word)).collect();
    format!("statedict {}", words.join(" "))
}

/// Options that write something beside the output.
const SAVES: [&str; 2] = ["--save-plan", "--save-recipe"];

/// Takes these out, which has been done by then.
fn forget_saved_plan(words: &mut Vec<String>) {
    let options = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let option = words[..options].iter().position(|word| SAVES.contains(&word.as_str()));
    if let Some(at) = option {
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
    let (name, mut positional) = words_of_rule(outcome.renaming.as_ref()?)?;
    positional.push(as_operand(&outcome.a.file.path));
    let at = (outcome.a.state_dicts > 1).then(|| shell_option("--at", &outcome.a.at));
    let at = at.map(|at| format!(" {at}")).unwrap_or_default();
    let mark = if positional.iter().any(|word| word.starts_with('-')) { " --" } else { "" };
    let positional: Vec<_> = positional.iter().map(|word| shell_word(word)).collect();
    Some(format!("statedict {name}{at}{mark} {}", positional.join(" ")))
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
    let (name, mut positional) = match stages.first() {
        Some(rule) => words_of_rule(rule)?,
        None => ("rename", Vec::new()),
    };
    positional.push(as_operand(&rename.file));
    let set = rename.metadata.set.iter().map(|(key, value)| format!("{key}={value}"));
    let mut options: Vec<String> = set.flat_map(|pair| ["--metadata".into(), pair]).collect();
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
    path.map(|path| vec!["--at".into(), path.clone()]).unwrap_or_default()
}

/// Options come last, as people write them, unless a word would be taken for one.
fn joined(name: &str, positional: Vec<String>, options: Vec<String>) -> Vec<String> {
    let name = vec![name.to_string()];
    if positional.iter().any(|word| word.starts_with('-')) {
        return [name, options, vec!["--".into()], positional].concat();
    }
    [name, positional, options].concat()
}

/// The command of a rule, and the words that come before the file.
fn words_of_rule(rule: &Rule) -> Option<(&'static str, Vec<String>)> {
    Some(match rule {
        Rule::Unwrap(_) => ("unwrap", Vec::new()),
        Rule::Remap(Remap::Strip(prefix)) => ("strip", vec![prefix.text().to_string()]),
        Rule::Remap(Remap::Add(prefix)) => ("add", vec![prefix.text().to_string()]),
        Rule::Remap(Remap::Drop(templates)) => {
            ("drop", templates.iter().map(ToString::to_string).collect())
        }
        rules => {
            let words = rules.alternatives().iter().map(word_of_rename);
            ("rename", words.collect::<Option<_>>()?)
        }
    })
}

/// The word that `rename` takes for a rule.
fn word_of_rename(rule: &Rule) -> Option<String> {
    match rule {
        Rule::Remap(Remap::Rename(rename)) => Some(rename.pair().to_string()),
        Rule::Rewrite(pair) => Some(pair.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use statedict::{Explain, silent};

    fn check(typed: &[&str], expected: &str) {
        let words: Vec<String> = typed.iter().map(|word| (*word).to_string()).collect();
        assert_eq!(suggestion(&words, Path::new("in/net-new.pth")), expected);
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
        assert_eq!(suggestion(&words, Path::new("-x-new.pth")), expected);
    }

    fn check_explained(text: &str, expected: &str) {
        let explain = Explain { text: text.into(), ..Explain::default() };
        let outcome = explain.run(&silent()).expect("it is known");
        let found = outcome.fix.as_ref().and_then(words).map(|words| words.join(" "));
        assert_eq!(found.as_deref(), Some(expected), "{text}");
    }

    #[test]
    fn commands_name_the_files_or_words_that_stand_for_them() {
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
