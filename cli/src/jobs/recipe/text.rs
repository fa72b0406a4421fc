//! A recipe as text, which [`parse`](super::parse) reads back.

use statedict_core::{Remap, Rule, RuleKind, Separators, Words};

use crate::jobs::words::is_hidden;

/// The stages as TOML; `None` if a recipe cannot say one of them, as it cannot for plans, or if
/// they split keys at different characters.
pub fn to_text(stages: &[Rule]) -> Option<String> {
    let separators = separators_of(stages)?;
    let mut text = String::new();
    if separators != Separators::default() {
        text = separator_line(separators) + "\n";
    }
    let lines = stages.iter().map(lines).collect::<Option<Vec<_>>>()?.concat();
    for (i, line) in lines.iter().enumerate() {
        let gap = if i == 0 { "" } else { "\n" };
        text += &format!("{gap}[[stage]]\n{line}\n");
    }
    Some(text)
}

/// The line that says what segments are joined by.
pub(super) fn separator_line(separators: Separators) -> String {
    let [left, right] = [separators.left, separators.right].map(|c| quoted(&c.to_string()));
    if separators.are_two() {
        format!("separator = [{left}, {right}]\n")
    } else {
        format!("separator = {left}\n")
    }
}

/// What a recipe's keys are split at: before its first stage, and from then on; `None` if it cannot
/// be said for all stages.
fn separators_of(stages: &[Rule]) -> Option<Separators> {
    let mut own = stages.iter().map(Rule::separators);
    let first = own.next().flatten();
    let later: Vec<Separators> = own.flatten().collect();
    let separators = first.or(later.first().copied()).unwrap_or_default();
    let goes_on = |other: &Separators| *other == Separators::from(separators.right);
    later.iter().all(goes_on).then_some(separators)
}

/// What a recipe says beside rules of keys alone.
#[derive(Clone, Debug, Default)]
pub struct Beside<'a> {
    /// The separators of both sides, where one is not `.`.
    pub separators: Option<[char; 2]>,
    /// Names of sizes, and what says them.
    pub sizes: Vec<(&'a str, &'a str)>,
    /// Rules that come before those of the last stage, in the notation of recipes.
    pub rules: Vec<&'a str>,
}

/// The stages as TOML, beside other rules; `None` where [`to_text`] gives none.
pub fn to_text_beside(stages: &[Rule], beside: &Beside<'_>) -> Option<String> {
    if beside.rules.is_empty() {
        return to_text(stages);
    }
    let (drops, renames): (Vec<_>, Vec<_>) =
        stages.iter().cloned().partition(|rule| matches!(rule, Rule::Remap(Remap::Drop(_))));
    let mut text = String::new();
    if let Some(separators) = beside.separators {
        let [from, to] = separators.map(|separator| quoted(&separator.to_string()));
        text += &format!("separator = [{from}, {to}]\n\n");
    }
    if !beside.sizes.is_empty() {
        let lines = beside.sizes.iter().map(|(name, says)| format!("{name} = {}\n", quoted(says)));
        text += &format!("[size]\n{}\n", lines.collect::<String>());
    }
    let mut words: Vec<String> = beside.rules.iter().map(ToString::to_string).collect();
    for rule in renames {
        let list = if matches!(rule, Rule::FirstOf(_)) { rule } else { Rule::FirstOf(vec![rule]) };
        words.extend(list.words()?.1);
    }
    text += "[[stage]]\n";
    for rule in &drops {
        text += &format!("{}\n", words_of(rule)?.concat());
    }
    Some(text + &line(RuleKind::Rename, &words) + "\n")
}

/// The stages of a recipe that a rule becomes: none for the identity, several for a chain.
fn lines(rule: &Rule) -> Option<Vec<String>> {
    match rule {
        Rule::Remap(Remap::Identity) => Some(Vec::new()),
        Rule::Remap(Remap::Then(first, second)) => {
            let (first, second) = ((**first).clone().into(), (**second).clone().into());
            Some([lines(&first)?, lines(&second)?].concat())
        }
        Rule::FirstOf(rules) => match rules.as_slice() {
            [Rule::Remap(drop @ Remap::Drop(_)), renames @ ..] if !renames.is_empty() => {
                let (drop, drops) = drop.words()?;
                let (rename, renames) = Rule::at_once(renames.to_vec()).words()?;
                Some(vec![format!("{}\n{}", line(drop, &drops), line(rename, &renames))])
            }
            _ => words_of(rule),
        },
        rule => words_of(rule),
    }
}

fn words_of(rule: &Rule) -> Option<Vec<String>> {
    let (kind, words) = rule.words()?;
    Some(vec![line(kind, &words)])
}

fn line(kind: RuleKind, words: &[String]) -> String {
    let name = kind.name();
    match (kind.words(), words) {
        (Words::Pairs, words) => entries(name, words),
        (Words::Segments | Words::AnyPatterns, []) => format!("{name} = true"),
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
        check(
            &["rename[/,.]:a/{r..} -> {r..}", "drop:b.**"],
            "separator = [\"/\", \".\"]\n\n[[stage]]\nrename = \"a/{r..} -> {r..}\"\n\n\
             [[stage]]\ndrop = \"b.**\"\n",
        );
        check(
            &["rename:a[x y] -> b[y x] ; c -> d"],
            "[[stage]]\nrename = [\n  \"a[x y] -> b[y x]\",\n  \"c -> d\",\n]\n",
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
    fn drops_and_renames_of_one_stage_stay_together() {
        let text = "[[stage]]\ndrop = \"a.**\"\nrename = \"{r..}.b -> {r..}.c\"\n";
        let rules = stages(text, None).expect("a recipe");
        assert_eq!(rules[0].apply("a.b"), Fate::Dropped);
        assert_eq!(rules[0].apply("x.b"), Fate::Becomes("x.c".into()));
        assert_eq!(rules[0].apply("x"), Fate::Undefined);
        assert_eq!(to_text(&rules).as_deref(), Some(text));
    }

    #[test]
    fn a_plan_has_no_recipe() {
        assert_eq!(to_text(&[Rule::Fates(Default::default())]), None);
    }
}
