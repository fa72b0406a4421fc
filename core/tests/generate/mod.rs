#![allow(dead_code, reason = "each test file uses the part it needs")]
//! Keys, and remaps made from those keys, so that most of what is generated applies to something.
//!
//! A scene is decided by a list of dice throws; zero is always the plainest choice, so a failing
//! case shrinks to plain keys and short remaps.

use std::collections::HashSet;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use statedict_core::{
    Fate, Prefix, Remap, Rename, Replacement, Rule, Table, Template, TemplatePair, WRAPPERS,
    Wrappers,
};

/// Segments that real keys are made of.
const PLAIN: [&str; 12] =
    ["a", "b", "module", "layer1", "0", "1", "10", "layer2", "weight", "_orig_mod", "01", "layers"];

/// Segments that break careless code.
const ODD: [&str; 25] = [
    "",
    "é",
    "模型",
    "*",
    "**",
    "{a}",
    "}",
    "\\",
    "|",
    " | ",
    "\"",
    "\n",
    "a b",
    " ",
    "x->y",
    " -> ",
    "re:a",
    "; ",
    "-",
    ">",
    "x/y",
    "identity",
    ":",
    "18446744073709551615",
    "\\s",
];

/// Throws that decide a scene; all zeros once they are used up.
#[derive(Clone, Debug)]
pub(crate) struct Dice(std::vec::IntoIter<u8>);

/// A list of distinct keys, and dice for what is to be made of them.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) keys: Vec<String>,
    pub(crate) dice: Dice,
}

pub(crate) fn scenes() -> impl Strategy<Value = Scene> {
    vec(any::<u8>(), 0..300).prop_map(|throws| {
        let mut dice = Dice(throws.into_iter());
        let keys = dice.keys();
        Scene { keys, dice }
    })
}

impl Dice {
    pub(crate) fn throw(&mut self, sides: usize) -> usize {
        usize::from(self.0.next().unwrap_or(0)) % sides
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.throw(from.len())]
    }

    /// One of these keys, or a new one if there are none.
    pub(crate) fn key_of(&mut self, keys: &[String]) -> String {
        match keys {
            [] => self.key(),
            keys => keys[self.throw(keys.len())].clone(),
        }
    }

    pub(crate) fn segment(&mut self) -> &'static str {
        if self.throw(4) == 3 { self.pick(&ODD) } else { self.pick(&PLAIN) }
    }

    pub(crate) fn key(&mut self) -> String {
        let count = 1 + self.throw(4);
        (0..count).map(|_| self.segment()).collect::<Vec<_>>().join(".")
    }

    /// Distinct keys, many of which share a prefix.
    fn keys(&mut self) -> Vec<String> {
        let count = 1 + self.throw(9);
        let shared = self.key();
        let keys = (0..count).map(|_| match self.throw(3) {
            0 => format!("{shared}.{}", self.key()),
            1 => self.key(),
            _ => format!("{shared}{}", self.pick(&["", ".", "x.a", ".module.a", ".0.a"])),
        });
        let mut seen = HashSet::new();
        keys.filter(|key| seen.insert(key.clone())).collect()
    }

    /// Leading segments of a key, now and then some that no key has.
    pub(crate) fn prefix(&mut self, keys: &[String], separator: char) -> Prefix {
        let key = if self.throw(5) == 4 { self.key() } else { self.key_of(keys) };
        let segments: Vec<&str> = key.split(separator).collect();
        let len = 1 + self.throw(segments.len().max(2) - 1);
        let text = segments[..len].join(&separator.to_string());
        let text = if text.is_empty() { "module" } else { &text };
        Prefix::new(text, separator).unwrap_or_else(|_| Prefix::new("a", '.').expect("a segment"))
    }

    pub(crate) fn separator(&mut self) -> char {
        ['.', '.', '.', '.', '/', ':', '|', '_'][self.throw(8)]
    }

    /// A remap that is not a chain.
    pub(crate) fn leaf(&mut self, keys: &[String]) -> Remap {
        let separator = self.separator();
        match self.throw(9) {
            0 | 1 => Remap::Strip(self.prefix(keys, separator)),
            2 => Remap::Add(self.prefix(keys, separator)),
            3 | 4 => self
                .pair(keys, separator)
                .and_then(Rename::new)
                .map_or_else(|| Remap::Add(self.prefix(keys, separator)), Remap::Rename),
            5 => Remap::Keep(self.templates(keys, separator)),
            6 => Remap::Drop(self.templates(keys, separator)),
            7 => Remap::Table(self.table(keys)),
            _ => Remap::Identity,
        }
    }

    /// A leaf or a chain, each link made from what the link before gives.
    pub(crate) fn remap(&mut self, keys: &[String]) -> Remap {
        let first = self.leaf(keys);
        match self.throw(3) {
            2 => {
                let second = self.remap(&images(&first, keys));
                first.then(second)
            }
            _ => first,
        }
    }

    pub(crate) fn rule(&mut self, keys: &[String]) -> Rule {
        let separator = self.separator();
        match self.throw(6) {
            0..=2 => Rule::Remap(self.remap(keys)),
            3 => match self.pair(keys, separator) {
                Some(pair) => match Rename::new(pair.clone()) {
                    Some(rename) => Rule::Remap(Remap::Rename(rename)),
                    None => Rule::Rewrite(pair),
                },
                None => Rule::unwrap_all(),
            },
            4 => self.unwrap(separator),
            _ => Rule::Replace(self.replacement()),
        }
    }

    fn unwrap(&mut self, separator: char) -> Rule {
        let names = match self.throw(3) {
            0 => WRAPPERS.map(String::from).to_vec(),
            _ => vec![self.segment().to_string(), self.segment().to_string()],
        };
        match Wrappers::new(names, separator) {
            Ok(wrappers) => Rule::Unwrap(wrappers),
            Err(_) => Rule::unwrap_all(),
        }
    }

    fn replacement(&mut self) -> Replacement {
        const PATTERNS: [&str; 9] =
            ["^a", r"(\w+)\.(\d+)", r"^module\.", "_", " ", r"\|", "\"", "x->y", "a ?-"];
        let pattern = self.pick(&PATTERNS);
        let to = self.pick(&["", "b", "$1", " ", "x.", " | ", "->", "\\", "\""]);
        let to = if to == "$1" && !pattern.contains('(') { "b" } else { to };
        Replacement::new(pattern, to).expect("a regular expression that compiles")
    }

    fn templates(&mut self, keys: &[String], separator: char) -> Vec<Template> {
        let count = 1 + self.throw(2);
        (0..count).map(|_| self.wild(keys, separator)).collect()
    }

    /// A template made from a key by forgetting some of its segments.
    fn wild(&mut self, keys: &[String], separator: char) -> Template {
        let key = self.key_of(keys);
        let mut parts: Vec<String> = key.split(separator).map(escaped).collect();
        let at = self.throw(parts.len());
        match self.throw(4) {
            0 => parts[at] = "*".into(),
            1 => parts.splice(at.., ["**".to_string()]).for_each(drop),
            2 => parts.insert(at, "**".into()),
            _ => {}
        }
        let text = parts.join(&separator.to_string());
        Template::parse(&text, separator).unwrap_or_else(|_| Template::literal("a", separator))
    }

    /// Two templates made from a key: captures, shifts, a rest; literals changed, moved, left out.
    pub(crate) fn pair(&mut self, keys: &[String], separator: char) -> Option<TemplatePair> {
        let key = self.key_of(keys);
        let segments: Vec<&str> = key.split(separator).collect();
        let rest = self.throw(segments.len() + 1);
        let mut from = Vec::new();
        let mut to = Vec::new();
        for (i, segment) in segments.iter().enumerate() {
            if i == rest {
                from.push("{r..}".to_string());
                to.push("{r..}".to_string());
                if self.throw(3) < 2 {
                    break;
                }
            }
            let (left, right) = self.segment_pair(segment, i);
            from.push(left);
            to.push(right);
        }
        match self.throw(6) {
            1 => to.insert(0, escaped(self.segment())),
            2 => to.reverse(),
            3 => drop(to.remove(0)),
            4 => to.push("x".into()),
            _ => {}
        }
        let glue = separator.to_string();
        let from = Template::parse(&from.join(&glue), separator).ok()?;
        let to = Template::parse(&to.join(&glue), separator).ok()?;
        TemplatePair::new(from, to).ok()
    }

    fn segment_pair(&mut self, segment: &str, at: usize) -> (String, String) {
        let literal = escaped(segment);
        let mut letters = segment.chars();
        let first = letters.next().map(|c| escaped(&c.to_string())).unwrap_or_default();
        match self.throw(11) {
            0 => (literal.clone(), literal),
            1 => (literal, escaped(self.segment())),
            2 => (format!("{{c{at}}}"), format!("{{c{at}}}")),
            3 => (format!("{{c{at}+1}}"), format!("y{{c{at}}}")),
            4 => (format!("{{c{at}}}"), format!("{{c{at}+1}}")),
            5 => (format!("{first}{{c{at}}}"), format!("{{c{at}}}{first}")),
            6 => {
                let (own, other) = (escaped_word(segment), escaped_word(self.segment()));
                (format!("{{c{at}={own},q.r}}"), format!("x{{c{at}={other},}}"))
            }
            7 => (format!("{{12-c{at}}}"), format!("{{c{at}:02}}{first}")),
            8 => (format!("{{2c{at}+1}}"), format!("{{c{at}+1}}")),
            9 => (format!("{{c{at}}}{{d{at}=a,1}}"), format!("{{d{at}=x,y}}{{c{at}}}")),
            _ => (format!("{{c{at}}}{first}"), format!("x{{c{at}}}")),
        }
    }

    fn table(&mut self, keys: &[String]) -> Table {
        let rename = |key: &String, dice: &mut Dice| match dice.throw(4) {
            0 => dice.key(),
            1 => dice.key_of(keys),
            2 => format!("{key}x"),
            _ => key.clone(),
        };
        let mut taken = HashSet::new();
        let pairs = keys.iter().map(|key| (key.clone(), rename(key, self)));
        let distinct = pairs
            .filter(|(old, new)| !old.is_empty() && !new.is_empty() && taken.insert(new.clone()));
        Table::new(distinct.collect::<Vec<_>>()).expect("no name is there twice")
    }
}

/// The text as it is written in a template to mean itself.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if ['\\', '{', '}', '*'].contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The text as it is written in a list to mean itself.
fn escaped_word(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if ['\\', '{', '}', ',', ' ', '='].contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// What the keys become, those left out for which the remap is undefined.
pub(crate) fn images(remap: &Remap, keys: &[String]) -> Vec<String> {
    keys.iter().filter_map(|key| becomes(remap.apply(key))).collect()
}

pub(crate) fn becomes(fate: Fate) -> Option<String> {
    match fate {
        Fate::Becomes(key) => Some(key),
        Fate::Dropped | Fate::Undefined => None,
    }
}
