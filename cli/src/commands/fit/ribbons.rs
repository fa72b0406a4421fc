//! Two columns of groups of keys, and a ribbon for each reason why keys belong together.

use statedict::core::fit::Ambiguous;
use statedict::core::{IndexMap, IndexSet, SEPARATOR};
use statedict::jobs::fit::Outcome;
use statedict::jobs::grouping::grouped_whole;

use crate::commands::fit::FitRequest;
use crate::commands::fit::report::because;
use crate::page::{Grade, Group, Link, Ribbons};

/// Groups of one side, so far as their names can be cut to so few.
const GROUPS: usize = 48;

/// Segments of a group's name, at most.
const DEEPEST: usize = 12;

/// What keys of one form on the left become on the right.
struct Strand {
    old: Option<String>,
    new: Option<String>,
    keys: usize,
    why: String,
    grade: Option<Grade>,
}

/// What goes where.
pub(super) fn ribbons(request: &FitRequest, outcome: &Outcome) -> Ribbons {
    let strands = strands(outcome);
    let depth = (1..=DEEPEST).rev().find(|depth| is_short(&strands, *depth)).unwrap_or(1);
    let (mut left, mut right) = (Side::default(), Side::default());
    let mut links = IndexMap::<(usize, usize, String), (usize, Option<Grade>)>::default();
    for strand in &strands {
        let old = strand.old.as_deref().map(|name| left.group(name, depth));
        let new = strand.new.as_deref().map(|name| right.group(name, depth));
        match (old, new) {
            (Some(old), Some(new)) => {
                left.groups[old].keys += strand.keys;
                right.groups[new].keys += strand.keys;
                let link = links.entry((old, new, strand.why.clone())).or_insert((0, strand.grade));
                link.0 += strand.keys;
            }
            (Some(old), None) => left.groups[old].alone(strand),
            (None, Some(new)) => right.groups[new].alone(strand),
            (None, None) => {}
        }
    }
    let links = links.into_iter().map(|((left, right, reason), (keys, grade))| Link {
        left,
        right,
        keys,
        reason,
        grade,
    });
    let titles = [&outcome.source.path, &request.job.target.file];
    Ribbons {
        titles: titles.map(|path| path.display().to_string()),
        links: links.collect(),
        left: left.groups,
        right: right.groups,
    }
}

/// The groups of a side by their names.
#[derive(Default)]
struct Side {
    known: IndexMap<String, usize>,
    groups: Vec<Group>,
}

impl Side {
    fn group(&mut self, name: &str, depth: usize) -> usize {
        let name = cut(name, depth);
        let next = self.groups.len();
        let place = *self.known.entry(name.clone()).or_insert(next);
        if place == next {
            self.groups.push(Group { name, keys: 0, alone: String::new(), grade: None });
        }
        place
    }
}

impl Group {
    /// Keys that nothing leads to, or from.
    fn alone(&mut self, strand: &Strand) {
        self.keys += strand.keys;
        if self.alone.is_empty() {
            self.alone.clone_from(&strand.why);
        }
        self.grade = self.grade.min(strand.grade).or(strand.grade);
    }
}

/// The first segments of a name, and a mark for the others.
fn cut(name: &str, depth: usize) -> String {
    match name.match_indices(SEPARATOR).nth(depth - 1) {
        Some((end, _)) => format!("{}.**", &name[..end]),
        None => name.to_string(),
    }
}

fn is_short(strands: &[Strand], depth: usize) -> bool {
    let groups = |side: fn(&Strand) -> Option<&String>| {
        let names = strands.iter().filter_map(side).map(|name| cut(name, depth));
        names.collect::<IndexSet<String>>().len()
    };
    groups(|strand| strand.old.as_ref()) <= GROUPS && groups(|strand| strand.new.as_ref()) <= GROUPS
}

/// All keys of both sides, those together that differ in numbers alone, in the order of the model.
fn strands(outcome: &Outcome) -> Vec<Strand> {
    let fit = &outcome.fit;
    let mut pairs = IndexMap::<String, Vec<(&str, Option<&str>)>>::default();
    for pair in &fit.pairs {
        pairs.entry(because(&pair.reason)).or_default().push((&pair.from, Some(&pair.to)));
    }
    let mut strands = Vec::new();
    for (why, keys) in pairs {
        strands.extend(joined(keys, &why, None));
    }
    for computed in &outcome.computed {
        let keys = computed.of.iter().map(|from| (from.as_str(), Some(computed.to.as_str())));
        strands.extend(joined(keys, "computed by the recipe", None));
    }
    let misfits = fit.misfits.iter().map(|it| (it.from.as_str(), Some(it.wanted.key.as_str())));
    strands.extend(joined(misfits, "another shape", Some(Grade::Fault)));
    for Ambiguous { from, to, .. } in &fit.open {
        let keys =
            from.iter().zip(to.iter().cycle()).map(|(from, to)| (from.as_str(), Some(to.as_str())));
        strands.extend(joined(keys, "ambiguous", Some(Grade::Fault)));
    }
    let made = outcome.result.iter().flat_map(|it| &it.made).map(|made| made.wanted.key.as_str());
    let made: IndexSet<&str> = made.collect();
    let open_to = names(fit.open.iter().flat_map(|open| &open.to));
    let missing = fit.missing.iter().map(|it| it.key.as_str());
    let missing = missing.filter(|key| !made.contains(key) && !open_to.contains(key));
    strands.extend(alone(missing, "missing", Some(Grade::Fault)).map(Strand::turned));
    let misfits = names(fit.misfits.iter().map(|it| &it.wanted.key));
    let made = made.iter().copied().filter(|key| !misfits.contains(key));
    strands.extend(alone(made, "made", None).map(Strand::turned));
    let open_from = names(fit.open.iter().flat_map(|open| &open.from));
    let unused = fit.unused.iter().map(String::as_str).filter(|key| !open_from.contains(key));
    strands.extend(alone(unused, "not wanted", None));
    strands.extend(alone(fit.skipped.iter().map(String::as_str), "skipped", None));
    strands
}

fn names<'a>(keys: impl Iterator<Item = &'a String>) -> IndexSet<&'a str> {
    keys.map(String::as_str).collect()
}

fn joined<'a>(
    keys: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    why: &str,
    grade: Option<Grade>,
) -> impl Iterator<Item = Strand> {
    let lines = grouped_whole(keys).into_iter();
    lines.map(move |line| Strand {
        old: Some(line.old),
        new: line.new,
        keys: line.keys,
        why: why.to_string(),
        grade,
    })
}

fn alone<'a>(
    keys: impl Iterator<Item = &'a str>,
    why: &str,
    grade: Option<Grade>,
) -> impl Iterator<Item = Strand> {
    joined(keys.map(|key| (key, None)), why, grade)
}

impl Strand {
    /// The same on the other side.
    fn turned(self) -> Strand {
        Strand { old: self.new, new: self.old, ..self }
    }
}
