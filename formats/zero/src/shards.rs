//! Stage 3: every parameter is cut over all ranks.
//!
//! Source: `deepspeed/runtime/zero/stage3.py` and `utils/zero_to_fp32.py`, 0.19.

use statedict_core::{Fault, IndexMap, Node, sorting};
use statedict_pth::SavedFile;

use crate::flat::{Flat, Made, count, cut, first, made};
use crate::partitions::{MOMENTS, Parameter, Parameters, Ranks};
use crate::states::shapes;

/// The vectors of one rank, one for each sub-group, laid end to end; none where its file is missing.
type OfRank = Option<Vec<Flat>>;

/// All parameters of the model states, put together.
pub(crate) fn parameters(ranks: &Ranks<'_>, model: &SavedFile) -> Result<Parameters, Fault> {
    let masters = vectors(ranks, |states| {
        states.get("fp32_flat_groups").map(Node::items).unwrap_or_default()
    })?;
    let mut moments = Vec::new();
    for moment in MOMENTS {
        let vectors = vectors(ranks, |states| of_moment(states, moment))?;
        // What some groups lack is of no use.
        if lengths(&vectors) == lengths(&masters) {
            moments.push((moment, vectors));
        }
    }
    let (mut parameters, mut at) = (Parameters::default(), 0u64);
    for group in model.need(model.root(), "param_shapes")?.items() {
        for (name, shape) in shapes(model, group)? {
            let size = count(&name, &shape)?;
            let each = size.div_ceil(ranks.len().max(1));
            let part = |vectors: &[OfRank]| shard(&name, &shape, ranks, vectors, (at, each));
            let value = part(&masters)?;
            let moments = moments.iter().map(|(moment, vectors)| Ok((*moment, part(vectors)?)));
            let moments = moments.collect::<Result<Vec<_>, Fault>>()?;
            parameters.insert(name, Parameter { shape, value, moments });
            let next = at.checked_add(each);
            at = next.ok_or_else(|| model.broken("its parameters are beyond counting"))?;
        }
    }
    for (rank, vectors) in masters.iter().enumerate() {
        let found = vectors.as_ref().map(|flats| flats.iter().map(Flat::len).sum::<u64>());
        if found.is_some_and(|found| found != at) {
            let found = found.unwrap_or_default();
            let what = format!("its partitions have {found} elements, and parameters take {at}");
            return Err(Fault::broken(what).in_file(ranks.file(rank as u64)));
        }
    }
    Ok(parameters)
}

/// A parameter of which each rank has as many elements, the last of them padding.
fn shard(
    name: &str,
    shape: &[u64],
    ranks: &Ranks<'_>,
    vectors: &[OfRank],
    (at, each): (u64, u64),
) -> Result<Made, Fault> {
    let missing = |rank: usize| Flat::Missing { file: ranks.file(rank as u64), len: each };
    let lost: IndexMap<usize, Flat> = (0..vectors.len())
        .filter(|rank| vectors[*rank].is_none())
        .map(|rank| (rank, missing(rank)))
        .collect();
    let mut runs = Vec::new();
    for (rank, flats) in vectors.iter().enumerate() {
        match flats {
            Some(flats) => runs.extend(cut(flats, at, each)),
            None => runs.extend(cut(lost.get(&rank), 0, each)),
        }
    }
    made(name, shape, &first(runs, count(name, shape)?))
}

/// The moments of a rank, by sub-group.
fn of_moment<'a>(states: Node<'a>, moment: &str) -> Vec<Node<'a>> {
    let groups = states.get("optimizer_state_dict").and_then(|it| it.get("state"));
    let groups = groups.map(|groups| groups.entries()).into_iter().flatten();
    let mut groups: Vec<(u64, Node<'a>)> =
        groups.filter_map(|(key, group)| Some((key.as_str().parse().ok()?, group))).collect();
    sorting::sort_by_key(&mut groups, |(number, _)| *number);
    groups.into_iter().filter_map(|(_, group)| group.get(moment)).collect()
}

/// The vectors of each rank.
fn vectors<'a>(
    ranks: &Ranks<'a>,
    find: impl Fn(Node<'a>) -> Vec<Node<'a>>,
) -> Result<Vec<OfRank>, Fault> {
    let of_rank = |rank: u64| {
        let Some((states, node)) = ranks.of(rank) else { return Ok(None) };
        let flats = find(node).into_iter().filter_map(Node::tensor).map(Flat::new);
        let flats = flats.collect::<Result<Vec<Flat>, Fault>>();
        flats.map(Some).map_err(|fault| fault.in_file(&states.name))
    };
    (0..ranks.len()).map(of_rank).collect()
}

fn lengths(vectors: &[OfRank]) -> Vec<Option<Vec<u64>>> {
    let of_rank = |flats: &OfRank| Some(flats.as_ref()?.iter().map(Flat::len).collect());
    vectors.iter().map(of_rank).collect()
}
