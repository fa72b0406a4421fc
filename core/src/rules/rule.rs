//! Rules: renamings that become injective only once the keys are known.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use regex::Regex;

use crate::rules::formula::FormulaRule;
use crate::rules::remap::split_arrow;
use crate::rules::remap::{Matched, Step};
use crate::rules::separators::Separators;
use crate::rules::tensor::{self, Parsed, TensorRule};
use crate::{BadRemap, Fate, IndexMap, Remap, SEPARATOR, TemplatePair};

/// Segments that wrappers put into keys.
///
/// `nn.DataParallel` and DistributedDataParallel, `torch.compile`, FSDP, activation checkpointing,
/// DeepSpeed and torch_xla.
pub const WRAPPERS: [&str; 5] = [
    "module",
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
    "_forward_module",
];

/// What a user asks for: a [`Remap`], or a renaming that may send two keys to one.
///
/// [`plan`](crate::plan) resolves a rule against the keys of a state dict and refuses collisions.
#[derive(Clone, Debug)]
pub enum Rule {
    /// A renaming that is injective by itself.
    Remap(Remap),
    /// Takes wrapper segments out, at any depth, however often they occur.
    Unwrap(Wrappers),
    /// Rewrites keys of one form into another, forgetting part of them.
    Rewrite(TemplatePair),
    /// Replaces what a regular expression matches.
    Replace(Replacement),
    /// Makes tensors of other tensors.
    Tensor(Box<TensorRule>),
    /// Calculates tensors from several others, or adds some.
    Formula(Box<FormulaRule>),
    /// What a saved plan says: key by key, a new name or `None` for dropped.
    Fates(IndexMap<Arc<str>, Option<Arc<str>>>),
    /// All at once: the first rule that recognises a key decides.
    FirstOf(Vec<Rule>),
}

/// Segments to take out of keys wherever they are, the last segment excepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrappers {
    names: Vec<String>,
    separator: char,
}

/// A regular expression and what replaces each of its matches.
#[derive(Clone, Debug)]
pub struct Replacement {
    regex: Regex,
    to: String,
    /// The same as the regex crate reads it.
    expansion: String,
}

impl Rule {
    /// Reads what `rename` takes: `FROM -> TO` with templates, or `re:FROM -> TO`.
    ///
    /// Templates may have places behind them, several on a side, and further keys: a rule of
    /// tensors. A list without a name on both sides makes several rules at once.
    pub fn rename(text: &str, separators: impl Into<Separators>) -> Result<Rule, BadRemap> {
        let separators = separators.into();
        if let Some(text) = text.strip_prefix("re:") {
            return Ok(Rule::Replace(Replacement::parse(text)?));
        }
        let (from, to) = split_arrow(text)?;
        let mut rules = Vec::new();
        for parsed in tensor::parse((text, from, to), separators)? {
            rules.push(match parsed {
                Parsed::Plain(from, to) => TemplatePair::across(from, to)?.into(),
                Parsed::Tensor(rule) => Rule::Tensor(rule),
            });
        }
        Ok(Rule::at_once(rules))
    }

    /// Rules at once: the first that recognises a key decides.
    pub fn at_once(rules: Vec<Rule>) -> Rule {
        let flat = rules.into_iter().flat_map(|rule| match rule {
            Rule::FirstOf(rules) => rules,
            rule => Vec::from([rule]),
        });
        let mut flat: Vec<Rule> = flat.collect();
        match flat.len() {
            1 => flat.remove(0),
            _ => Rule::FirstOf(flat),
        }
    }

    /// Takes out the segments that the usual wrappers add.
    pub fn unwrap_all() -> Rule {
        Rule::Unwrap(Wrappers::usual())
    }

    /// What becomes of a key.
    pub fn apply(&self, key: &str) -> Fate {
        self.step(key).0.into()
    }

    /// The rule that leads back, if this one never sends two keys to one.
    pub fn invert(&self) -> Option<Rule> {
        match self {
            Rule::Remap(remap) => Some(Rule::Remap(remap.invert())),
            Rule::Tensor(rule) => rule.invert().map(|rule| Rule::Tensor(Box::new(rule))),
            Rule::Fates(fates) => {
                let kept = fates.iter().filter_map(|(old, new)| Some((new.clone()?, old)));
                Some(Rule::Fates(kept.map(|(new, old)| (new, Some(old.clone()))).collect()))
            }
            _ => None,
        }
    }

    /// The rules that act at once: those of a `FirstOf`, or this one.
    pub fn alternatives(&self) -> &[Rule] {
        match self {
            Rule::FirstOf(rules) => rules,
            single => core::slice::from_ref(single),
        }
    }

    pub(crate) fn step(&self, key: &str) -> (Step, Matched) {
        match self {
            Rule::Remap(remap) => remap.step(key),
            Rule::FirstOf(rules) => {
                let recognised = rules.iter().map(|rule| rule.step(key)).find(|(_, hit)| *hit);
                recognised.unwrap_or((Step::Undefined, false))
            }
            Rule::Fates(fates) => match fates.get(key) {
                Some(Some(new)) if **new != *key => (Step::named(String::from(&**new)), true),
                Some(Some(same)) => (Step::Becomes(String::from(&**same)), true),
                Some(None) => (Step::Dropped, true),
                None => (Step::Undefined, false),
            },
            // Its tensors are not told by their keys alone.
            Rule::Tensor(_) | Rule::Formula(_) => (Step::Undefined, false),
            _ if key.is_empty() => (Step::Undefined, false),
            Rule::Unwrap(wrappers) => hit(wrappers.step(key)),
            Rule::Rewrite(pair) => hit(pair.step(key)),
            Rule::Replace(replacement) => hit(replacement.step(key)),
        }
    }
}

fn hit(step: Step) -> (Step, Matched) {
    let hit = step != Step::Undefined;
    (step, hit)
}

impl From<Remap> for Rule {
    fn from(remap: Remap) -> Rule {
        Rule::Remap(remap)
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Rule) -> bool {
        match (self, other) {
            (Rule::Remap(a), Rule::Remap(b)) => a == b,
            (Rule::Unwrap(a), Rule::Unwrap(b)) => a == b,
            (Rule::Rewrite(a), Rule::Rewrite(b)) => a == b,
            (Rule::Replace(a), Rule::Replace(b)) => {
                a.regex.as_str() == b.regex.as_str() && a.to == b.to
            }
            (Rule::Tensor(a), Rule::Tensor(b)) => a == b,
            (Rule::Formula(a), Rule::Formula(b)) => a == b,
            (Rule::Fates(a), Rule::Fates(b)) => a == b,
            (Rule::FirstOf(a), Rule::FirstOf(b)) => a == b,
            _ => false,
        }
    }
}

impl Wrappers {
    /// These segments.
    pub fn new(names: Vec<String>, separator: char) -> Result<Wrappers, BadRemap> {
        if names.is_empty() || names.iter().any(String::is_empty) {
            return Err(BadRemap::EmptyPrefix);
        }
        Ok(Wrappers { names, separator })
    }

    /// The segments of [`WRAPPERS`], between dots.
    pub fn usual() -> Wrappers {
        Wrappers::usual_at(SEPARATOR)
    }

    /// The segments of [`WRAPPERS`], between these characters.
    pub fn usual_at(separator: char) -> Wrappers {
        Wrappers { names: WRAPPERS.map(String::from).into(), separator }
    }

    /// True if they are those of [`WRAPPERS`].
    pub fn are_usual(&self) -> bool {
        self.names == WRAPPERS
    }

    /// The segments.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What segments are joined by.
    pub fn separator(&self) -> char {
        self.separator
    }

    /// The key without its wrapper segments; the last segment names the tensor itself and stays.
    fn step(&self, key: &str) -> Step {
        let Some((path, last)) = key.rsplit_once(self.separator) else { return Step::Undefined };
        let is_wrapper = |segment: &str| self.names.iter().any(|name| name == segment);
        if !path.split(self.separator).any(is_wrapper) {
            return Step::Undefined;
        }
        let mut name = String::with_capacity(key.len());
        for segment in path.split(self.separator).filter(|segment| !is_wrapper(segment)) {
            name.push_str(segment);
            name.push(self.separator);
        }
        name.push_str(last);
        Step::named(name)
    }
}

impl Replacement {
    /// A regular expression and a replacement in which `$1` or `\1` is the first group.
    pub fn new(pattern: &str, to: &str) -> Result<Replacement, BadRemap> {
        let bad = |reason: String| BadRemap::Regex { pattern: pattern.to_string(), reason };
        let regex = Regex::new(pattern).map_err(|error| bad(last_line(&error.to_string())))?;
        let (expansion, groups) = expansion_of(to);
        let count = regex.captures_len();
        for group in groups {
            match group.parse::<usize>() {
                Ok(number) if number < count => {}
                Ok(number) => {
                    let known = count - 1;
                    return Err(bad(format!("'{to}' uses group {number}, and there are {known}")));
                }
                Err(_) if regex.capture_names().any(|name| name == Some(group)) => {}
                Err(_) => return Err(bad(no_such_group(to, group))),
            }
        }
        let to = to.to_string();
        Ok(Replacement { regex, to, expansion })
    }

    /// Reads `FROM -> TO`.
    pub fn parse(text: &str) -> Result<Replacement, BadRemap> {
        let (pattern, to) = split_arrow(text)?;
        Replacement::new(pattern, to)
    }

    /// The regular expression.
    pub fn pattern(&self) -> &str {
        self.regex.as_str()
    }

    /// What replaces each match.
    pub fn to(&self) -> &str {
        &self.to
    }

    fn step(&self, key: &str) -> Step {
        if !self.regex.is_match(key) {
            return Step::Undefined;
        }
        Step::named(self.regex.replace_all(key, self.expansion.as_str()).into_owned())
    }
}

/// What the regex crate reads as the replacement, and the groups that it uses.
///
/// `$1` and `\1` are group 1 whatever follows, `$name` and `${name}` that group, `$$` a dollar.
fn expansion_of(to: &str) -> (String, Vec<&str>) {
    let (mut out, mut groups) = (String::new(), Vec::new());
    let mut rest = to;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match (c, group_at(c, after)) {
            ('$' | '\\', Some((group, after))) => {
                out.push_str(&format!("${{{group}}}"));
                groups.push(group);
                after
            }
            ('$', None) => {
                out.push_str("$$");
                after.strip_prefix('$').unwrap_or(after)
            }
            _ => {
                out.push(c);
                after
            }
        };
    }
    (out, groups)
}

/// The group that a text after a sign names, and what follows; names only after a dollar.
fn group_at(sign: char, text: &str) -> Option<(&str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if digits > 0 {
        return Some(text.split_at(digits));
    }
    if sign != '$' {
        return None;
    }
    if let Some(braced) = text.strip_prefix('{') {
        return braced.split_once('}');
    }
    let name = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    (name > 0).then(|| text.split_at(name))
}

/// What to say where a text uses a group that the expression does not name.
fn no_such_group(to: &str, group: &str) -> String {
    format!("'{to}' uses group '{group}', which is not named; write $$ for a dollar sign")
}

/// The line of a compiler's message that says what is wrong.
fn last_line(message: &str) -> String {
    let line = message.lines().rfind(|line| !line.trim().is_empty()).unwrap_or(message);
    line.trim().trim_start_matches("error: ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: &Rule, key: &str, expected: &str) {
        let fate = match expected {
            "" => Fate::Undefined,
            name => Fate::Becomes(name.to_string()),
        };
        assert_eq!(rule.apply(key), fate, "{key}");
    }

    #[test]
    fn unwrapping_reaches_every_depth_and_spares_lookalikes() {
        let unwrap = Rule::unwrap_all();
        check(&unwrap, "module.fc.weight", "fc.weight");
        check(&unwrap, "module.module.fc.weight", "fc.weight");
        check(&unwrap, "_orig_mod.module.x", "x");
        check(&unwrap, "features.module.0.weight", "features.0.weight");
        check(&unwrap, "conv1._checkpoint_wrapped_module.weight", "conv1.weight");
        check(&unwrap, "mlp_module.layer0", "");
        check(&unwrap, "module", "");
        check(&unwrap, "head.module", "");
        check(&unwrap, "module.", "");
    }

    #[test]
    fn a_regular_expression_replaces_what_it_matches() {
        let rule = |text| Rule::rename(text, '.').expect("a rule");
        check(&rule(r"re:^a\.(\w+) -> b.$1"), "a.x.y", "b.x.y");
        check(&rule(r"re:^a\.(\w+) -> b.\1_new"), "a.x.y", "b.x_new.y");
        check(&rule(r"re:\.gamma$ -> .weight"), "ln.gamma", "ln.weight");
        check(&rule(r"re:\.gamma$ -> .weight"), "ln.gamma.x", "");
        check(&rule("re:_ -> ."), "a_b_c", "a.b.c");
        check(&rule("re:.* -> "), "a", "");
    }

    #[test]
    fn groups_that_are_not_there_are_refused() {
        let message = Rule::rename("re:a(b) -> $2", '.').expect_err("bad").to_string();
        assert_eq!(message, "regular expression 'a(b)': '$2' uses group 2, and there are 1");
        assert!(Rule::rename("re:a( -> b", '.').is_err());
        let message = Rule::rename("re:a(b) -> $b.c", '.').expect_err("bad").to_string();
        let reason = "'$b.c' uses group 'b', which is not named; write $$ for a dollar sign";
        assert_eq!(message, format!("regular expression 'a(b)': {reason}"));
        assert!(Rule::rename("re:a(b) -> ${b}", '.').is_err());
    }

    #[test]
    fn groups_can_be_named_and_dollars_written() {
        let rule = |text| Rule::rename(text, '.').expect("a rule");
        check(&rule(r"re:^(?<n>\w+)\.w -> x.$n.y${n}z"), "a.w", "x.a.yaz");
        check(&rule("re:a -> b$$1"), "a", "b$1");
        check(&rule("re:a -> $.b"), "a", "$.b");
        check(&rule(r"re:(a) -> \n$1"), "a", r"\na");
    }

    #[test]
    fn forgetting_a_capture_makes_a_rule() {
        assert!(matches!(Rule::rename("a.{x} -> b", '.'), Ok(Rule::Rewrite(_))));
        assert!(matches!(Rule::rename("a.{x} -> b.{x}", '.'), Ok(Rule::Remap(_))));
        assert!(matches!(Rule::rename("{a..}.x.{b..} -> {a..}.{b..}", '.'), Ok(Rule::Rewrite(_))));
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        let rules = ["a -> b", "b -> a"].map(|text| Rule::rename(text, '.').expect("a rule"));
        let swap = Rule::FirstOf(rules.into());
        check(&swap, "a", "b");
        check(&swap, "b", "a");
        check(&swap, "c", "");
    }
}
