//! The files of all ranks, opened together.

use statedict_core::{
    Assembled, Comparison, Depth, Fault, Incomplete, IndexMap, IndexSet, Key, Nested, Node,
    Opening, Rectangle, Shortfall, Step, Store, Tensor, TensorBlock, Total, Tree, Unassembled,
    check_coverage,
};
use statedict_pth::SavedFile;

use crate::RANKS;
use crate::flat;
use crate::names::{RankFile, set_of};
use crate::placement::Axis;
use crate::wrapped::{OfRank, Parts, of_rank, rectangles};

/// How deeply mappings may nest that hold tensors.
const MAX_DEPTH: usize = 64;

/// A thing that some ranks have under one path.
type Leaf<'a> = Vec<(usize, Node<'a>)>;

/// Opens the files of all ranks.
pub(crate) fn open(store: &dyn Store, first: &str, opening: &Opening) -> Result<Assembled, Fault> {
    let names = set_of(first, &store.list()?);
    let ranks = names.values().map(|name| SavedFile::open(store, name));
    let ranks = ranks.collect::<Result<Vec<_>, _>>()?;
    let mut leaves = IndexMap::<Vec<Step>, Leaf<'_>>::default();
    for (number, rank) in ranks.iter().enumerate() {
        walk(rank.root(), &mut Vec::new(), &mut |path, node| {
            leaves.entry(path).or_default().push((number, node));
        });
    }
    let set = Set {
        ranks: &ranks,
        missing: missing(first, &names),
        says_world: RankFile::of(first).and_then(|file| file.world()).is_some(),
        is_cut: leaves.values().flatten().any(|(_, node)| of_rank(*node).is_some()),
        depth: opening.depth,
    };
    let (mut tree, mut shortfall, mut total) =
        (Tree::default(), Shortfall::default(), Total::default());
    let mut payload = Nested::default();
    let mut names_of_tensors = flat::Names::default();
    leaves.keys().for_each(|path| names_of_tensors.add(path));
    for (path, leaf) in &leaves {
        let name = Step::joined(path);
        let is_flat = flat::is_flat(path) && leaf[0].1.tensor().is_none();
        let added = match set.joined(&name, leaf)? {
            Some(Ok(_)) if is_flat && opening.shapes.is_empty() => {
                let what = format!(
                    "'{name}' is several parameters as one vector (LOCAL_STATE_DICT of FSDP): \
                     their names and shapes are in no file, and have to be given"
                );
                return Err(Fault::Unsupported(what));
            }
            Some(Ok(tensor)) if is_flat => {
                total.add(tensor.count());
                let (world, shapes) = (ranks.len() as u64, &opening.shapes);
                let parameters = names_of_tensors.parameters(path, &tensor, world, shapes)?;
                parameters.into_iter().try_for_each(|(path, it)| tree.add_tensor(&path, it))
            }
            Some(Ok(tensor)) => {
                total.add(tensor.count());
                tree.add_tensor(path, tensor)
            }
            Some(Err((cause, lost, count))) => {
                total.add(count);
                shortfall.tensor(&name, cause, lost);
                Ok(())
            }
            None => {
                let value = leaf[0].1.shown();
                let added = tree.add_object(path, value.kind());
                payload.place(path, value);
                added
            }
        };
        added.map_err(|twice| Fault::broken(twice.to_string()))?;
    }
    if opening.incomplete == Incomplete::Refused {
        let hint = set.missing.first().map(|file| format!("'{file}' is missing"));
        shortfall.refuse(total, hint.clone())?;
        match hint {
            Some(what) if set.is_cut || set.says_world => {
                return Err(Fault::Incomplete { what, whole: total.tensors });
            }
            Some(what) => return Err(Fault::Unsupported(format!("{what}, {NOT_ONE}"))),
            None => {}
        }
    }
    let payload = payload.into_value();
    Ok(Assembled {
        format: &RANKS,
        files: names.values().cloned().collect(),
        catalog: tree.into_catalog(),
        left_out: shortfall.left_out(str::to_string),
        inferred: None,
        payload: Some(Box::new(move || Ok(payload.clone()))),
    })
}

/// The files of ranks between others, or below the number that their names say, that are not there.
fn missing(first: &str, names: &IndexMap<u64, String>) -> Vec<String> {
    let Some(file) = RankFile::of(first) else { return Vec::new() };
    let highest = names.keys().max().map_or(0, |rank| rank + 1);
    let world = file.world().unwrap_or(highest).max(highest);
    (0..world).filter(|rank| !names.contains_key(rank)).map(|rank| file.of_rank(rank)).collect()
}

/// Every leaf of nested mappings and lists, with its path.
fn walk<'a>(node: Node<'a>, path: &mut Vec<Step>, found: &mut impl FnMut(Vec<Step>, Node<'a>)) {
    let is_leaf = of_rank(node).is_some() || node.tensor().is_some() || path.len() >= MAX_DEPTH;
    let entries: Vec<_> = if is_leaf { Vec::new() } else { node.entries().collect() };
    let items = if is_leaf || !entries.is_empty() { Vec::new() } else { node.items() };
    let holds_tensors = |item: &Node<'_>| {
        item.tensor().is_some() || of_rank(*item).is_some() || item.entries().next().is_some()
    };
    if !entries.is_empty() {
        for (key, value) in entries {
            path.push(match key {
                Key::Text(text) => Step::Key(text.clone()),
                Key::Other(text) => text.parse().map_or(Step::Key(text.clone()), Step::Index),
            });
            walk(value, path, found);
            path.pop();
        }
    } else if items.iter().any(holds_tensors) {
        for (number, item) in items.into_iter().enumerate() {
            path.push(Step::Index(number as u64));
            walk(item, path, found);
            path.pop();
        }
    } else if !path.is_empty() {
        found(path.clone(), node);
    }
}

/// What is said of files that have the names of ranks' and whose tensors say nothing of others.
const NOT_ONE: &str = "and nothing in these files says that they are of one checkpoint: each can \
    be opened by itself";

/// The files of all ranks.
struct Set<'r> {
    ranks: &'r [SavedFile],
    /// The names of those that are not there.
    missing: Vec<String>,
    /// True if the names say how many there are.
    says_world: bool,
    /// True if any tensor is a part of one. Other files may be of several ranks and yet each have its
    /// own, such as random states; or be of no rank at all, for that may be one of a matrix.
    is_cut: bool,
    depth: Depth,
}

/// A tensor that was put together, or why not with how many elements it lacks and should have.
type Joined = Result<Tensor, (String, u64, u64)>;

impl Set<'_> {
    /// What all ranks have under one path; none if it is no tensor.
    fn joined(&self, name: &str, leaf: &Leaf<'_>) -> Result<Option<Joined>, Fault> {
        let [(_, first), ..] = leaf.as_slice() else { return Ok(None) };
        if let Some(tensor) = first.tensor() {
            let copies: Vec<(usize, &Tensor)> =
                leaf.iter().filter_map(|(rank, node)| Some((*rank, node.tensor()?))).collect();
            if copies.len() != leaf.len() {
                return Err(Fault::broken(format!("'{name}' is a tensor in some files alone")));
            }
            if self.depth == Depth::Elements {
                self.refuse_differing(name, &copies)?;
            }
            return Ok(Some(Ok(tensor.clone())));
        }
        let parts = leaf.iter().filter_map(|(rank, node)| Some((*rank, of_rank(*node)?)));
        let mut all = Vec::new();
        for (rank, part) in parts {
            let in_file = |why: String| Fault::Unsupported(format!("'{name}': {why}"));
            all.push(part.map_err(|why| in_file(why).in_file(&self.ranks[rank].name))?);
        }
        let [first, ..] = all.as_slice() else { return Ok(None) };
        if all.iter().any(|it| (&it.dtype, &it.shape) != (&first.dtype, &first.shape)) {
            return Err(Fault::broken(format!(
                "the ranks do not agree on the type and shape of '{name}'"
            )));
        }
        let broken = |why: String| Fault::broken(format!("'{name}': {why}"));
        let blocks = blocks(&all, &self.missing).map_err(broken)?;
        let rectangles: Vec<Rectangle<'_>> =
            blocks.iter().map(|it| Rectangle { at: &it.at, size: &it.tensor.shape }).collect();
        let (dtype, shape) = (first.dtype.clone(), first.shape.clone());
        match check_coverage(&shape, &rectangles) {
            Ok(()) => {}
            Err(Unassembled::Incomplete { found, count }) => {
                let gone = count - found;
                let cause = match self.missing.as_slice() {
                    [] => format!("'{name}': no file has {gone} of {count} elements"),
                    [file, ..] => format!("'{file}' is missing"),
                };
                return Ok(Some(Err((cause, gone, count))));
            }
            Err(why) => return Err(broken(why.to_string())),
        }
        let made = Tensor::of_blocks(dtype, shape.clone(), shape, blocks);
        made.map(|tensor| Some(Ok(tensor))).map_err(|why| broken(why.to_string()))
    }

    /// Plain tensors are copies, and have to be the same in all files.
    fn refuse_differing(&self, name: &str, copies: &[(usize, &Tensor)]) -> Result<(), Fault> {
        let ranks = self.ranks;
        let Some(((first, one), others)) = copies.split_first() else { return Ok(()) };
        for (rank, other) in others {
            let what = |why: &str| {
                let (a, b) = (&ranks[*first].name, &ranks[*rank].name);
                let what = format!("'{name}' {why} in '{a}' and '{b}'");
                match self.is_cut {
                    true => Fault::broken(format!("{what}, and is no part of a whole")),
                    false => Fault::Unsupported(format!("{what}, {NOT_ONE}")),
                }
            };
            match ranks[*first].whole(one).compared(&ranks[*rank].whole(other))? {
                Comparison::Same | Comparison::Packed => {}
                Comparison::Unlike => return Err(what("differs in type, shape or order")),
                Comparison::OtherElements => return Err(what("has other elements")),
            }
        }
        Ok(())
    }
}

/// The rectangles that all ranks have together, each once.
fn blocks(all: &[OfRank<'_>], missing: &[String]) -> Result<Vec<TensorBlock>, String> {
    let mut blocks = IndexMap::<(Vec<u64>, Vec<u64>), Tensor>::default();
    let sizes = mesh(all, missing);
    for OfRank { shape, parts, .. } in all {
        let own = match parts {
            Parts::Shards(own) => {
                own.iter().map(|(at, tensor)| (at.clone(), (*tensor).clone())).collect()
            }
            Parts::Placed { local, placements, coordinate } => {
                let axes: Vec<Axis> = placements
                    .iter()
                    .zip(coordinate)
                    .zip(&sizes)
                    .map(|((placement, coordinate), size)| Axis {
                        placement: *placement,
                        coordinate: *coordinate,
                        size: *size,
                    })
                    .collect();
                rectangles(shape, local, &axes)?
            }
        };
        for (at, tensor) in own {
            // What another axis of the mesh replicates is there several times.
            blocks.entry((at, tensor.shape.clone())).or_insert(tensor);
        }
    }
    Ok(blocks.into_iter().map(|((at, _), tensor)| TensorBlock { at, tensor }).collect())
}

/// The size of the mesh along each of its axes: one more than the highest place of a rank on it.
fn mesh(all: &[OfRank<'_>], missing: &[String]) -> Vec<u64> {
    let coordinates = all.iter().filter_map(|it| match &it.parts {
        Parts::Placed { coordinate, .. } => Some(coordinate.as_slice()),
        Parts::Shards(_) => None,
    });
    let coordinates: Vec<&[u64]> = coordinates.collect();
    let mut sizes = Vec::<u64>::new();
    for coordinate in &coordinates {
        sizes.resize(sizes.len().max(coordinate.len()), 1);
        for (size, place) in sizes.iter_mut().zip(*coordinate) {
            *size = (*size).max(place.saturating_add(1));
        }
    }
    // Files that are missing may be those of the last ranks, where every rank has a place of its own;
    // a mesh of some of the ranks has several at one place.
    let different: IndexSet<&[u64]> = coordinates.iter().copied().collect();
    if let [size] = sizes.as_mut_slice()
        && different.len() == coordinates.len()
    {
        *size = (*size).max((all.len() + missing.len()) as u64);
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::Placement;
    use statedict_core::DType;

    #[test]
    fn a_mesh_is_as_large_as_its_places_reach_and_may_be_of_some_of_the_ranks() {
        let local = Tensor::unlocated(DType::F32, vec![1]);
        let check = |places: &[&[u64]], missing: usize, expected: &[u64]| {
            let of_rank = |place: &&[u64]| OfRank {
                dtype: DType::F32,
                shape: vec![4],
                parts: Parts::Placed {
                    local: &local,
                    placements: vec![Placement::Shard { dim: 0 }; place.len()],
                    coordinate: place.to_vec(),
                },
            };
            let all: Vec<_> = places.iter().map(of_rank).collect();
            assert_eq!(mesh(&all, &vec![String::new(); missing]), expected, "{places:?}");
        };
        check(&[&[0], &[1], &[2]], 0, &[3]);
        check(&[&[0], &[1]], 1, &[3]);
        check(&[&[0], &[0], &[1], &[1]], 0, &[2]);
        check(&[&[0, 0], &[0, 1], &[1, 0]], 1, &[2, 2]);
    }
}
