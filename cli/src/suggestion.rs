//! The command line that would do what was only shown.

use std::path::Path;

use crate::text::shell_word;

/// What was typed after the program's name, with an output.
pub(crate) fn suggestion(mut words: Vec<String>, file: &Path) -> String {
    forget_saved_plan(&mut words);
    // After `--` nothing is an option, and the subcommand comes before everything else.
    let at = if words.iter().any(|word| word == "--") { 1 } else { words.len() };
    words.splice(at..at, ["-o".into(), beside(file)]);
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

/// `net-new.pth` for `net.pth`.
fn beside(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let name = match file.extension() {
        Some(extension) => format!("{stem}-new.{}", extension.to_string_lossy()),
        None => format!("{stem}-new"),
    };
    file.with_file_name(name).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &[&str], expected: &str) {
        let words = typed.iter().map(|word| (*word).to_string()).collect();
        assert_eq!(suggestion(words, Path::new("in/net.pth")), expected);
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
}
