//! The command line that would do what was only shown.

use std::env;
use std::path::Path;

use crate::terminal::text::{as_operand, shell_word};

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
