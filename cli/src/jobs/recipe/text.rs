//! A recipe as text, which [`parse`](super::parse) reads back.

use statedict_core::{Remap, Rule, SEPARATOR, Table, Template, TemplatePair, WRAPPERS, Wrappers};
use toml::Value;

use crate::jobs::suggestions::separator_of;
use crate::jobs::words::is_hidden;

/// The stages as TOML; `None` if a recipe cannot say one of them, as it cannot for plans.
pub fn to_text(stages: &[Rule]) -> Option<String> {
    let lines = stages.iter().map(lines).collect::<Option<Vec<_>>>()?.concat();
    let mut text = match separator_of(stages) {
        SEPARATOR => String::new(),
        other => format!("separator = {}\n\n", quoted(&other.to_string())),
    };
    for (i, line) in lines.iter().enumerate() {
        let gap = if i == 0 { "" } else { "\n" };
        text += &format!("{gap}[[stage]]\n{line}\n");
    }
    Some(text)
}

/// A line for each stage of the recipe that a rule becomes.
fn lines(rule: &Rule) -> Option<Vec<String>> {
    Some(match rule {
        Rule::Remap(Remap::Identity) => Vec::new(),
        Rule::Remap(Remap::Then(first, second)) => {
            [lines(&(**first).clone().into())?, lines(&(**second).clone().into())?].concat()
        }
        Rule::Remap(Remap::Strip(prefix)) => vec![one("strip", prefix.text())],
        Rule::Remap(Remap::Add(prefix)) => vec![one("add", prefix.text())],
        Rule::Remap(Remap::Keep(templates)) => vec![list("keep", texts(templates))],
        Rule::Remap(Remap::Drop(templates)) => vec![list("drop", texts(templates))],
        Rule::Remap(Remap::Table(table)) => vec![entries(table)],
        Rule::Unwrap(wrappers) => vec![unwrap(wrappers)],
        Rule::Remap(Remap::Rename(_)) | Rule::Rewrite(_) | Rule::Replace(_) | Rule::FirstOf(_) => {
            let all = rule.alternatives().iter().map(renames).collect::<Option<Vec<_>>>()?;
            vec![list("rename", all.concat())]
        }
        Rule::Fates(_) => return None,
    })
}

/// What `rename` takes for a rule beside others; a table becomes a line for each key.
fn renames(rule: &Rule) -> Option<Vec<String>> {
    match rule {
        Rule::Remap(Remap::Rename(rename)) => Some(vec![rename.pair().to_string()]),
        Rule::Rewrite(both) => Some(vec![both.to_string()]),
        Rule::Replace(replacement) => {
            Some(vec![format!("re:{} -> {}", replacement.pattern(), replacement.to())])
        }
        Rule::Remap(Remap::Table(table)) => {
            let literal = |key: &str| Template::literal(key, SEPARATOR);
            let pairs = table.pairs().map(|(old, new)| (literal(old), literal(new)));
            pairs.map(|(old, new)| Some(TemplatePair::new(old, new).ok()?.to_string())).collect()
        }
        _ => None,
    }
}

fn texts(templates: &[Template]) -> Vec<String> {
    templates.iter().map(ToString::to_string).collect()
}

fn unwrap(wrappers: &Wrappers) -> String {
    match wrappers.names() {
        usual if usual == WRAPPERS => "unwrap = true".into(),
        names => list("unwrap", names.to_vec()),
    }
}

fn entries(table: &Table) -> String {
    let lines = table.pairs().map(|(old, new)| format!("{} = {}\n", quoted(old), quoted(new)));
    format!("[stage.table]\n{}", lines.collect::<String>().trim_end())
}

fn one(name: &str, text: &str) -> String {
    format!("{name} = {}", quoted(text))
}

/// A list, each text on a line of its own where there are several.
fn list(name: &str, texts: Vec<String>) -> String {
    match texts.as_slice() {
        [only] => one(name, only),
        several => {
            let lines: String =
                several.iter().map(|text| format!("  {},\n", quoted(text))).collect();
            format!("{name} = [\n{lines}]")
        }
    }
}

fn quoted(text: &str) -> String {
    if text.contains(is_hidden) {
        format!("\"{}\"", text.chars().map(escaped).collect::<String>())
    } else {
        Value::String(text.into()).to_string()
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
    use statedict_core::Fate;

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
