//! A recipe as text, which [`parse`](super::parse) reads back.

use statedict_core::{Remap, Rule, RuleKind, SEPARATOR, Words};

use crate::jobs::suggestions::separator_of;
use crate::jobs::words::is_hidden;

/// The stages as TOML; `None` if a recipe cannot say one of them, as it cannot for plans, or if
/// they split keys at different characters.
pub fn to_text(stages: &[Rule]) -> Option<String> {
    let separator = separator_of(stages);
    if stages.iter().filter_map(Rule::separator).any(|other| other != separator) {
        return None;
    }
    let mut text = String::new();
    if separator != SEPARATOR {
        text = format!("separator = {}\n\n", quoted(&separator.to_string()));
    }
    let lines = stages.iter().map(lines).collect::<Option<Vec<_>>>()?.concat();
    for (i, line) in lines.iter().enumerate() {
        let gap = if i == 0 { "" } else { "\n" };
        text += &format!("{gap}[[stage]]\n{line}\n");
    }
    Some(text)
}

/// The stages of a recipe that a rule becomes: none for the identity, several for a chain.
fn lines(rule: &Rule) -> Option<Vec<String>> {
    match rule {
        Rule::Remap(Remap::Identity) => Some(Vec::new()),
        Rule::Remap(Remap::Then(first, second)) => {
            let (first, second) = ((**first).clone().into(), (**second).clone().into());
            Some([lines(&first)?, lines(&second)?].concat())
        }
        rule => {
            let (kind, words) = rule.words()?;
            Some(vec![line(kind, &words)])
        }
    }
}

fn line(kind: RuleKind, words: &[String]) -> String {
    let name = kind.name();
    match (kind.words(), words) {
        (Words::Pairs, words) => entries(name, words),
        (Words::Segments, []) => format!("{name} = true"),
        (_, [only]) => format!("{name} = {}", quoted(only)),
        (_, several) => {
            let lines: String =
                several.iter().map(|text| format!("  {},\n", quoted(text))).collect();
            format!("{name} = [\n{lines}]")
        }
    }
}

fn entries(name: &str, words: &[String]) -> String {
    let (pairs, _) = words.as_chunks::<2>();
    let lines = pairs.iter().map(|[old, new]| format!("{} = {}\n", quoted(old), quoted(new)));
    format!("[stage.{name}]\n{}", lines.collect::<String>().trim_end())
}

/// A text on one line, as a value or as a key; backslashes as they are where that can be.
fn quoted(text: &str) -> String {
    if text.contains(['"', '\\']) && !text.contains('\'') && !text.contains(is_hidden) {
        format!("'{text}'")
    } else {
        format!("\"{}\"", text.chars().map(escaped).collect::<String>())
    }
}

/// A character of a basic string, which shows what is not seen.
fn escaped(c: char) -> String {
    match c {
        '"' | '\\' => format!("\\{c}"),
        c if is_hidden(c) => format!("\\U{:08x}", u32::from(c)),
        c => c.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::recipe::stages;
    use statedict_core::{Fate, Table};

    fn check(stages_of: &[&str], expected: &str) {
        let rules: Vec<Rule> = stages_of.iter().map(|text| text.parse().expect("a rule")).collect();
        let text = to_text(&rules).expect("a recipe");
        assert_eq!(text, expected);
        assert_eq!(stages(&text, None).expect("read back"), rules);
    }

    #[test]
    fn recipes_are_read_back() {
        check(&["strip:module"], "[[stage]]\nstrip = \"module\"\n");
        check(
            &["drop:a.** b", "unwrap:module _orig_mod"],
            "[[stage]]\ndrop = [\n  \"a.**\",\n  \"b\",\n]\n\n\
             [[stage]]\nunwrap = [\n  \"module\",\n  \"_orig_mod\",\n]\n",
        );
        check(&["rename:a.{i} -> b.{i}"], "[[stage]]\nrename = \"a.{i} -> b.{i}\"\n");
        check(&["re:\\.x$ -> .y"], "[[stage]]\nrename = 're:\\.x$ -> .y'\n");
        check(&["table:a.b -> c"], "[[stage]]\n[stage.table]\n\"a.b\" = \"c\"\n");
        check(
            &["strip[/]:module", "drop[/]:a/**"],
            "separator = \"/\"\n\n[[stage]]\nstrip = \"module\"\n\n[[stage]]\ndrop = \"a/**\"\n",
        );
        assert_eq!(to_text(&[Rule::unwrap_all()]).as_deref(), Some("[[stage]]\nunwrap = true\n"));
    }

    #[test]
    fn a_table_beside_other_rules_is_written_line_by_line() {
        let table = Table::new([("a{".to_string(), "re:b".to_string())]).expect("a table");
        let rules = [Remap::Table(table).into(), "rename:c.{i} -> d.{i}".parse().expect("a rule")];
        let text = to_text(&[Rule::FirstOf(rules.into())]).expect("a recipe");
        let read = stages(&text, None).expect("read back");
        assert_eq!(read[0].apply("a{"), Fate::Becomes("re:b".into()));
        assert_eq!(read[0].apply("c.1"), Fate::Becomes("d.1".into()));
    }

    #[test]
    fn a_plan_has_no_recipe() {
        assert_eq!(to_text(&[Rule::Fates(Default::default())]), None);
    }
}
