//! Rules: renamings that become injective only once the keys are known.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use regex::Regex;

use crate::remap::{Matched, Step};
use crate::{BadRemap, Fate, IndexMap, Remap, Rename, SEPARATOR, TemplatePair, remap::split_arrow};

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
    /// What a saved plan says: key by key, a new name or `None` for dropped.
    Fates(IndexMap<String, Option<String>>),
    /// All at once: the first rule that recognises a key decides.
    FirstOf(Vec<Rule>),
}

/// Segments to take out of keys wherever they stand, the last segment excepted.
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
}

impl Rule {
    /// Reads what `rename` takes: `FROM -> TO` with templates, or `re:FROM -> TO`.
    pub fn rename(text: &str, separator: char) -> Result<Rule, BadRemap> {
        if let Some(text) = text.strip_prefix("re:") {
            return Ok(Rule::Replace(Replacement::parse(text)?));
        }
        let pair = TemplatePair::parse(text, separator)?;
        Ok(match Rename::new(pair.clone()) {
            Some(rename) => Rule::Remap(Remap::Rename(rename)),
            None => Rule::Rewrite(pair),
        })
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
                Some(Some(new)) if new != key => (Step::named(new.clone()), true),
                Some(Some(same)) => (Step::Becomes(same.clone()), true),
                Some(None) => (Step::Dropped, true),
                None => (Step::Undefined, false),
            },
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
            (Rule::Fates(a), Rule::Fates(b)) => a == b,
            (Rule::FirstOf(a), Rule::FirstOf(b)) => a == b,
            _ => false,
        }
    }
}

impl Wrappers {
    /// These segments.
    pub fn new(names: Vec<String>, separator: char) -> Result<Wrappers, BadRemap> {
        match names.is_empty() || names.iter().any(String::is_empty) {
            true => Err(BadRemap::EmptyPrefix),
            false => Ok(Wrappers { names, separator }),
        }
    }

    /// The segments of [`WRAPPERS`], between dots.
    pub fn usual() -> Wrappers {
        Wrappers { names: WRAPPERS.map(String::from).into(), separator: SEPARATOR }
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
        let to_text = to.to_string();
        if let Some(group) = groups_in(to).find(|group| *group >= regex.captures_len()) {
            let known = regex.captures_len() - 1;
            return Err(bad(format!("'{to}' uses group {group}, and there are {known}")));
        }
        Ok(Replacement { regex, to: to_text })
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
        Step::named(self.regex.replace_all(key, braced(&self.to).as_str()).into_owned())
    }
}

/// The replacement as the regex crate reads it: `$1` and `\1` are group 1 whatever follows.
fn braced(to: &str) -> String {
    let mut out = String::new();
    let mut rest = to;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        if (c == '$' || c == '\\') && digits > 0 {
            out.push_str(&format!("${{{}}}", &after[..digits]));
            rest = &after[digits..];
        } else {
            out.push(c);
            rest = after;
        }
    }
    out
}

/// The numbered groups that a replacement uses.
fn groups_in(to: &str) -> impl Iterator<Item = usize> {
    to.match_indices(['$', '\\']).filter_map(move |(at, _)| {
        let rest = to[at + 1..].trim_start_matches('{');
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        rest[..digits].parse().ok()
    })
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
