//! Rules of renames and of tensors as text.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::rules::limits::{MAX_RULE, MAX_STEPS};
use crate::rules::separators::Separators;
use crate::rules::template::Template;
use crate::rules::tensor::expand::{Sides, all_terms, written_out};
use crate::rules::tensor::place::Dimensions;
use crate::rules::tensor::{BadTensorRule, Inline, Problem, TensorRule, Term};
use crate::{Arithmetic, BadRemap};

/// What a text asks for.
pub(crate) enum Parsed {
    /// A pair of templates, and nothing else.
    Plain(Template, Template),
    /// Tensors that become others.
    Tensor(Box<TensorRule>),
}

/// Reads the two sides of a rule, which are several rules where a list is written out.
pub(crate) fn parse(
    (text, from, to): (&str, &str, &str),
    separators: Separators,
) -> Result<Vec<Parsed>, BadRemap> {
    let refuse = |term: Option<&str>, problem: Problem| {
        let (rule, term) = (text.into(), term.map(Box::from));
        BadTensorRule { rule, term, problem }
    };
    if text.len() > MAX_RULE {
        return Err(refuse(None, Problem::limit("the length of a rule", MAX_RULE)).into());
    }
    let left = split(from, separators.left).map_err(|problem| refuse(Some(from), problem))?;
    let right = split(to, separators.right).map_err(|problem| refuse(Some(to), problem))?;
    let is_single = left.len() == 1 && right.len() == 1;
    let all = || left.iter().chain(&right);
    let is_plain = is_single && all().all(Written::is_plain);
    let mut inline = Inline::default();
    let mut read = |terms: &[Written], separator: char| {
        let terms = terms.iter().map(|term| {
            let read = term.read(separator, &mut inline, is_plain);
            read.map_err(|problem| match problem {
                Problem::Template(bad) if is_plain => BadRemap::Template(bad),
                problem => refuse(Some(term.text), problem).into(),
            })
        });
        terms.collect::<Result<Vec<Term>, BadRemap>>()
    };
    let sides =
        Sides { left: read(&left, separators.left)?, right: read(&right, separators.right)? };
    if !is_plain && to.contains("->") {
        return Err(refuse(None, Problem::Arrows).into());
    }
    let rules = written_out(sides).map_err(|(term, problem)| refuse(term.as_deref(), problem))?;
    let rules = rules.into_iter().map(|Sides { left, right }| match (&left[..], &right[..]) {
        ([from], [to]) if from.is_plain() && to.is_plain() => {
            Ok(Parsed::Plain(from.template.clone(), to.template.clone()))
        }
        _ => {
            let rule = TensorRule::new(left, right, inline.clone());
            rule.map(|rule| Parsed::Tensor(Box::new(rule)))
                .map_err(|bad| BadTensorRule { rule: text.into(), ..bad }.into())
        }
    });
    rules.collect()
}

/// Reads one term, with nothing after it.
pub(crate) fn read_term(text: &str, separator: char, inline: &mut Inline) -> Result<Term, Problem> {
    let (written, after) = term(text, separator)?;
    match after {
        None => written.read(separator, inline, false),
        Some(after) => Err(Problem::AfterPlaces(after.chars().take(20).collect())),
    }
}

/// The terms that a term stands for, its lists written out.
pub(crate) fn terms_of(term: Term) -> Result<Vec<Term>, Problem> {
    all_terms([term].into()).map_err(|(_, problem)| problem)
}

/// A term as it is written.
#[derive(Debug)]
struct Written<'a> {
    text: &'a str,
    key: &'a str,
    places: Option<&'a str>,
    steps: Vec<Arithmetic>,
    ties: Vec<&'a str>,
    /// True if a key has a comma with no blank behind it.
    has_comma: bool,
}

impl Written<'_> {
    fn is_plain(&self) -> bool {
        self.places.is_none() && self.ties.is_empty() && self.steps.is_empty()
    }

    fn read(&self, separator: char, inline: &mut Inline, is_plain: bool) -> Result<Term, Problem> {
        if is_plain {
            // Blanks at the ends of a key have always been a part of it.
            return Ok(Term::new(Template::parse(self.key, separator)?, None, Vec::new()));
        }
        if self.has_comma {
            return Err(Problem::CommaBetweenTerms);
        }
        let template = |key: &str| Template::parse(key.trim_matches(' '), separator);
        let places = self.places.map(|places| Dimensions::parse(places, inline)).transpose()?;
        let ties = self.ties.iter().map(|key| template(key)).collect::<Result<_, _>>()?;
        if self.steps.len() > MAX_STEPS {
            return Err(Problem::limit("the number of constants", MAX_STEPS));
        }
        Ok(Term::new(template(self.key)?, places, ties).combined(self.steps.clone()))
    }
}

impl Term {
    fn is_plain(&self) -> bool {
        self.places.is_none() && self.ties.is_empty() && self.steps.is_empty()
    }
}

/// The terms of a side.
fn split(text: &str, separator: char) -> Result<Vec<Written<'_>>, Problem> {
    let mut terms = Vec::new();
    let mut rest = text;
    loop {
        let (term, after) = term(rest, separator)?;
        terms.push(term);
        match after {
            Some(after) => rest = after,
            None => return Ok(terms),
        }
    }
}

/// The first term of a side, and what comes after the comma, if there is one.
fn term(text: &str, separator: char) -> Result<(Written<'_>, Option<&str>), Problem> {
    let (mut key, mut rest) = key(text, separator)?;
    let mut term = Written {
        text,
        key: key.text,
        places: None,
        steps: Vec::new(),
        ties: Vec::new(),
        has_comma: key.has_comma,
    };
    if let Some(places) = rest.strip_prefix('[') {
        let (places, after) = places.split_once(']').ok_or(Problem::Bracket)?;
        term.places = Some(places);
        rest = after_places(after)?;
    }
    while let Some((step, after)) = constant(rest)? {
        term.steps.push(step);
        rest = after;
    }
    while let Some(tie) = rest.strip_prefix(" = ") {
        (key, rest) = self::key(tie, separator)?;
        term.ties.push(key.text);
        term.has_comma |= key.has_comma;
        if rest.starts_with('[') {
            return Err(Problem::PlacesOnTie);
        }
    }
    term.text = &text[..text.len() - rest.len()];
    Ok((term, rest.strip_prefix(", ")))
}

/// What follows places: nothing, a comma, or a tie, whatever blanks are around it.
fn after_places(text: &str) -> Result<&str, Problem> {
    let after = text.trim_start_matches(' ');
    match after.chars().next() {
        None => Ok(""),
        Some(',') if after.starts_with(", ") => Ok(after),
        Some(',') => Err(Problem::CommaBetweenTerms),
        Some('=') if text.starts_with(" = ") => Ok(text),
        Some('=') => Err(Problem::Equals),
        Some('+' | '-' | '*' | '/') if constant(text)?.is_some() => Ok(text),
        Some('+' | '-' | '*' | '/') => Err(Problem::Constant(after.chars().take(20).collect())),
        Some(_) => Err(Problem::AfterPlaces(after.chars().take(20).collect())),
    }
}

struct Key<'a> {
    text: &'a str,
    has_comma: bool,
}

/// The key that a text begins with, and the rest: places, a tie, another term, or nothing.
fn key(text: &str, separator: char) -> Result<(Key<'_>, &str), Problem> {
    let (mut escaped, mut inside, mut has_comma) = (false, false, false);
    for (at, c) in text.char_indices() {
        let (before, after) = (&text[..at], &text[at..]);
        if c == ' ' && !escaped && !inside && constant(after)?.is_some() {
            return Ok((Key { text: before, has_comma }, after));
        }
        if escaped || c == separator && !inside {
            escaped = false;
            continue;
        }
        match c {
            '\\' => escaped = true,
            '{' | '}' => inside = c == '{',
            _ if inside => {}
            '[' => return Ok((Key { text: before, has_comma }, after)),
            ',' if after.starts_with(", ") => return Ok((Key { text: before, has_comma }, after)),
            ',' => has_comma = true,
            '=' if before.ends_with(' ') && after.starts_with("= ") => {
                let (text, rest) = text.split_at(at - 1);
                return Ok((Key { text, has_comma }, rest));
            }
            '=' => return Err(Problem::Equals),
            _ => {}
        }
    }
    Ok((Key { text, has_comma }, ""))
}

/// The constant that a text begins with, ` + 1`, and what follows it.
fn constant(text: &str) -> Result<Option<(Arithmetic, &str)>, Problem> {
    let mut characters = text.trim_start_matches(' ').chars();
    let sign = characters.next().filter(|_| text.starts_with(' '));
    let Some(rest) = characters.as_str().strip_prefix(' ') else { return Ok(None) };
    let rest = rest.trim_start_matches(' ');
    let end = rest.find([' ', ',']).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    let is_number = word.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
    let Some(number) = word.parse::<f64>().ok().filter(|_| is_number) else { return Ok(None) };
    let step = match sign {
        Some('+') => Arithmetic::add(number),
        Some('-') => Arithmetic::add(-number),
        Some('*') => Arithmetic::multiply(number),
        Some('/') => Arithmetic::divide(number),
        _ => return Ok(None),
    };
    let step = step.ok_or_else(|| Problem::Constant(text.trim().chars().take(20).collect()))?;
    Ok(Some((step, after)))
}
