//! A recipe as TOML.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Deserialize;
use statedict_core::sizes::{SizeExpression, SizeTable};
use statedict_core::{Cut, SEPARATOR, Separators, Template, sorting};

use crate::jobs::merge::MergeRules;
use crate::jobs::recipe::stage::{MERGE, MergeHow, MergeLora, Stage, Texts};
use crate::jobs::recipe::text;
use crate::jobs::recipe::{Recipe, RecipeStage, Way};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    title: Option<String>,
    #[serde(default)]
    families: Vec<String>,
    from: Option<String>,
    to: Option<String>,
    #[serde(default)]
    way: Way,
    separator: Option<SeparatorText>,
    #[serde(default)]
    size: BTreeMap<String, SizeText>,
    cut: Option<CutText>,
    expect: Option<Texts>,
    #[serde(default)]
    stage: Vec<Stage>,
}

/// One character, or one for each side.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected one character, or a list of two for the two sides")]
enum SeparatorText {
    Both(char),
    Sides([char; 2]),
}

/// Along which dimensions ranks cut tensors: in order, or a table without one.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a table of patterns with dimensions, or a list of 'PATTERN=DIM'"
)]
enum CutText {
    List(Vec<String>),
    Table(BTreeMap<String, usize>),
}

/// What a size is: a number, an expression, or several of which the first known counts.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number, an expression, or a list of them")]
enum SizeText {
    One(SizeValue),
    FirstOf(Vec<SizeValue>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number or an expression")]
enum SizeValue {
    Number(u64),
    Expression(String),
}

/// The recipe of a text; its own separators go before the ones given.
pub(super) fn parse(text: &str, separators: Option<Separators>) -> Result<Recipe, String> {
    let document: Document = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| 1 + text[..span.start].matches('\n').count());
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        format!("{place}{}", error.message().replace('\n', "; "))
    })?;
    if document.stage.is_empty() {
        return Err("the recipe has no stage; expected at least one [[stage]]".into());
    }
    let own = document.separator.map(SeparatorText::separators);
    let first = own.or(separators).unwrap_or(SEPARATOR.into());
    let given = separators.filter(|_| own.is_none()).map(text::separator_line);
    let (mut merge, mut stages) = (None, Vec::new());
    for (i, mut stage) in document.stage.into_iter().enumerate() {
        if let Some(how) = stage.merge.take() {
            let problem = |why: String| format!("stage {}: {why}", i + 1);
            if i > 0 {
                let why = "an adapter is merged by the names that the file has, so first of all";
                return Err(problem(why.into()));
            }
            merge = Some(merge_rules(how, first.left).map_err(problem)?);
            if stage.expect.is_some() {
                return Err(problem("expect is for stages of rules; say it at the top".into()));
            }
            continue;
        }
        // Only the keys that the file has are split at the first of two.
        let separators = if i == 0 { first } else { first.right.into() };
        let stage = read_stage(&stage, separators);
        stages.push(stage.map_err(|error| format!("stage {}: {error}", i + 1))?);
    }
    Ok(Recipe {
        title: document.title,
        families: document.families,
        from: document.from,
        to: document.to,
        way: document.way,
        sizes: table(document.size)?,
        cuts: cuts(document.cut, first.left).map_err(|error| format!("cut: {error}"))?,
        merge,
        expect: templates(document.expect, first.left)
            .map_err(|error| format!("expect: {error}"))?,
        stages,
        text: given.unwrap_or_default() + text,
    })
}

fn merge_rules(how: MergeLora, separator: char) -> Result<MergeRules, String> {
    let MergeHow { weight, alpha, drop } = how.how();
    let numbers = [("weight", weight), ("alpha", alpha)];
    let bad = numbers.into_iter().find(|(_, it)| it.is_some_and(|number| !number.is_finite()));
    if let Some((name, _)) = bad {
        return Err(format!("{MERGE}: {name} is not a finite number"));
    }
    let drop = templates(drop, separator).map_err(|error| format!("{MERGE}: drop: {error}"))?;
    Ok(MergeRules { config: None, alpha, weight: weight.unwrap_or(1.0), drop })
}

fn read_stage(stage: &Stage, separators: Separators) -> Result<RecipeStage, String> {
    let rule = stage.rule(separators).map_err(|error| error.to_string())?;
    let expect = templates(stage.expect.clone(), separators.left);
    Ok(RecipeStage { rule, expect: expect.map_err(|error| format!("expect: {error}"))? })
}

fn templates(texts: Option<Texts>, separator: char) -> Result<Vec<Template>, String> {
    let texts = texts.map(Texts::list).unwrap_or_default();
    let templates = texts.iter().map(|text| Template::parse(text, separator));
    templates.collect::<Result<_, _>>().map_err(|error| error.to_string())
}

/// What was cut how; of the patterns of a table that match a key the longest decides.
fn cuts(text: Option<CutText>, separator: char) -> Result<Vec<Cut>, String> {
    match text {
        None => Ok(Vec::new()),
        Some(CutText::List(list)) => list.iter().map(|it| parse_cut(it, separator)).collect(),
        Some(CutText::Table(table)) => {
            let mut pairs: Vec<(String, usize)> = table.into_iter().collect();
            sorting::sort_by_key(&mut pairs, |(pattern, _)| Reverse(pattern.len()));
            let cut = |(pattern, dimension): (String, usize)| {
                let pattern = Template::parse(&pattern, separator);
                Ok(Cut { pattern: pattern.map_err(|error| error.to_string())?, dimension })
            };
            pairs.into_iter().map(cut).collect()
        }
    }
}

/// Parses `**.my_proj.weight=1`: tensors, and the dimension along which they were cut.
///
/// # Errors
/// No number behind the last `=`, or a pattern that cannot be read.
pub fn parse_cut(text: &str, separator: char) -> Result<Cut, String> {
    let expected = || "expected PATTERN=DIM, such as **.my_proj.weight=1".to_string();
    let (pattern, dimension) = text.rsplit_once('=').ok_or_else(expected)?;
    let dimension = dimension.trim().parse().map_err(|_| expected())?;
    let pattern = Template::parse(pattern.trim(), separator).map_err(|error| error.to_string())?;
    Ok(Cut { pattern, dimension })
}

fn table(sizes: BTreeMap<String, SizeText>) -> Result<SizeTable, String> {
    let mut table = SizeTable::default();
    for (name, size) in sizes {
        let bad = |error: &dyn std::fmt::Display| format!("size '{name}': {error}");
        let is = match size {
            SizeText::One(one) => vec![one],
            SizeText::FirstOf(several) => several,
        };
        let is = is.into_iter().map(SizeValue::expression).collect::<Result<Vec<_>, _>>();
        let is = is.map_err(|error| bad(&error))?;
        if is.is_empty() {
            return Err(bad(&"expected at least one expression in its list"));
        }
        table.insert(name.as_str().into(), is).map_err(|error| bad(&error))?;
    }
    Ok(table)
}

impl SizeValue {
    fn expression(self) -> Result<SizeExpression, statedict_core::sizes::BadSize> {
        match self {
            SizeValue::Number(number) => SizeExpression::parse(&number.to_string()),
            SizeValue::Expression(text) => SizeExpression::parse(&text),
        }
    }
}

impl SeparatorText {
    fn separators(self) -> Separators {
        match self {
            SeparatorText::Both(both) => both.into(),
            SeparatorText::Sides([left, right]) => Separators { left, right },
        }
    }
}
