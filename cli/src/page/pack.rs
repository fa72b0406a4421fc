//! A sheet's tensors as one block of text: columns of bytes behind a JSON head, deflated, in base64.

use std::hash::Hash;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde::Serialize;
use statedict::core::IndexMap;

use super::columns::{Scale, planes, width_of};
use super::keys::front_coded;
use super::model::{Group, Kind, Link, Ribbons, Sheet, Tensors, shown};

/// What precedes the columns. The columns come in this order: shared characters of keys, paths,
/// kinds, labels, figures, histograms.
#[derive(Serialize)]
struct Head<'a> {
    /// What each key has other than the one before.
    rests: Vec<&'a str>,
    paths: Indexed<&'a str>,
    kinds: Indexed<(&'a str, &'a str, f64, f64, &'a str)>,
    labels: Vec<LabelHead<'a>>,
    figures: Vec<FigureHead>,
    histograms: bool,
    shade: Option<&'a str>,
    ribbons: Option<RibbonsHead>,
}

/// The distinct things of a column, and how many bytes the number of one takes.
#[derive(Serialize)]
struct Indexed<T> {
    distinct: Vec<T>,
    width: u8,
}

#[derive(Serialize)]
struct LabelHead<'a> {
    name: &'a str,
    title: &'a str,
    values: Indexed<&'a str>,
}

#[derive(Serialize)]
struct FigureHead {
    name: &'static str,
    title: &'static str,
    #[serde(flatten)]
    scale: Scale,
}

#[derive(Serialize)]
struct RibbonsHead {
    titles: [String; 2],
    /// Name, keys, what is said if it is alone, grade.
    groups: [Vec<(String, usize, String, &'static str)>; 2],
    /// Left, right, keys, reason, grade.
    links: Vec<(usize, usize, usize, String, &'static str)>,
}

/// The tensors and ribbons of a sheet.
pub(super) fn packed(sheet: &Sheet) -> String {
    let Tensors { rows, labels, figures, histograms, shade } = &sheet.tensors;
    let keys: Vec<String> = rows.iter().map(|row| shown(&row.key)).collect();
    let paths: Vec<String> = rows.iter().map(|row| shown(&row.path)).collect();
    let mut columns = Vec::new();
    let (shared, rests) = front_coded(keys.iter().map(String::as_str));
    columns.extend(shared);
    let paths = indexed(paths.iter().map(String::as_str), &mut columns);
    let kinds = indexed(rows.iter().map(|row| &row.kind), &mut columns);
    let labels: Vec<LabelHead> = labels
        .iter()
        .map(|label| {
            let values = indexed(label.values.iter().map(String::as_str), &mut columns);
            LabelHead { name: label.name, title: label.title, values }
        })
        .collect();
    let figures = figures.iter().map(|figure| {
        let scale = Scale::of(&figure.values);
        let codes = figure.values.iter().map(|number| scale.code(*number));
        columns.extend(planes(codes, scale.width));
        FigureHead { name: figure.name, title: figure.title, scale }
    });
    let figures = figures.collect();
    for pair in 0..8 {
        columns.extend(histograms.iter().map(|bins| bins[2 * pair] | bins[2 * pair + 1] << 4));
    }
    let head = Head {
        rests,
        paths,
        kinds: Indexed {
            distinct: kinds.distinct.into_iter().map(described).collect(),
            width: kinds.width,
        },
        labels,
        figures,
        histograms: !histograms.is_empty(),
        shade: *shade,
        ribbons: sheet.ribbons.as_ref().map(ribbons),
    };
    let head = serde_json::to_vec(&head).expect("texts and numbers are JSON");
    deflated(&[&(head.len() as u32).to_le_bytes()[..], &head, &columns])
}

fn described(kind: &Kind) -> (&str, &str, f64, f64, &str) {
    (&kind.dtype, &kind.shape, kind.count as f64, kind.bytes as f64, &kind.layout)
}

/// The distinct things among these, whose numbers become a column.
fn indexed<T: Eq + Hash + Copy>(all: impl Iterator<Item = T>, columns: &mut Vec<u8>) -> Indexed<T> {
    let mut places = IndexMap::<T, u32>::default();
    let numbers: Vec<u32> = all
        .map(|thing| {
            let next = places.len() as u32;
            *places.entry(thing).or_insert(next)
        })
        .collect();
    let width = width_of(places.len());
    columns.extend(planes(numbers.into_iter(), width));
    Indexed { distinct: places.into_keys().collect(), width }
}

fn ribbons(ribbons: &Ribbons) -> RibbonsHead {
    let group = |group: &Group| {
        let grade = group.grade.map_or("", |grade| grade.name());
        (shown(&group.name), group.keys, shown(&group.alone), grade)
    };
    let link = |link: &Link| {
        let grade = link.grade.map_or("", |grade| grade.name());
        (link.left, link.right, link.keys, shown(&link.reason), grade)
    };
    RibbonsHead {
        titles: ribbons.titles.each_ref().map(|title| shown(title)),
        groups: [&ribbons.left, &ribbons.right].map(|side| side.iter().map(group).collect()),
        links: ribbons.links.iter().map(link).collect(),
    }
}

fn deflated(parts: &[&[u8]]) -> String {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    for part in parts {
        encoder.write_all(part).expect("memory takes everything");
    }
    STANDARD.encode(encoder.finish().expect("memory takes everything"))
}
