//! Pieces that the Hugging Face writer of torch leaves: safetensors of every rank.
//!
//! ```text
//! shard-00001-model-00001-of-00002.safetensors     rank 1, group 1 of 2
//! ```
//! Each piece says where it begins, and nothing says how large the whole is: that is as far as the
//! pieces reach, so of a missing last rank only the numbers of the files can tell.
//!
//! Source: `torch/distributed/checkpoint/hf_storage.py`, 2.8 to 2.15.

use statedict_core::{
    Assembled, DType, Depth, Facts, Fault, Folder, FolderFormat, Format, Incomplete, IndexMap,
    Opening, PendingFiles, Rectangle, Shortfall, Step, Store, Tensor, TensorBlock, TensorSet,
    Total, Tree, Unassembled, UnsupportedTensors, check_coverage, sorting,
};
use statedict_safetensors::SAFETENSORS;

use crate::item::places;

/// Pieces of safetensors.
pub struct Hub;

/// The format, for the registry.
pub static HUB: Hub = Hub;

static FACTS: Facts = Facts::of_tensors("safetensors-pieces", &[]);

/// The folder below the model in which pieces are that were consolidated.
const FOLDER: &str = "sharded";

/// A number of ranks or groups that no name of a file is trusted to exceed.
const MAX_NUMBER: u64 = 1 << 20;

/// A piece, by the name of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    rank: u64,
    group: u64,
    groups: u64,
}

impl Piece {
    fn of(name: &str) -> Option<Piece> {
        let rest = name.strip_prefix("shard-")?.strip_suffix(".safetensors")?;
        let (rank, rest) = rest.split_once("-model-")?;
        let (group, groups) = rest.split_once("-of-")?;
        let number = |text: &str| text.parse().ok().filter(|number| *number <= MAX_NUMBER);
        Some(Piece { rank: number(rank)?, group: number(group)?, groups: number(groups)? })
    }
}

/// All pieces of one tensor.
struct Pieces {
    dtype: DType,
    parts: Vec<TensorBlock>,
}

impl Format for Hub {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn folders(&self) -> Option<&dyn FolderFormat> {
        Some(self)
    }

    fn encode(&self, contents: &TensorSet) -> Result<PendingFiles, UnsupportedTensors> {
        let why = "pieces of safetensors are read and not written";
        Err(UnsupportedTensors::none_written(contents, why))
    }
}

impl FolderFormat for Hub {
    fn kind(&self) -> &'static str {
        "pieces of PyTorch's Hugging Face writer"
    }

    fn manifest(&self) -> &'static str {
        "piece"
    }

    fn is_manifest(&self, _name: &str) -> bool {
        // A piece can be looked at by itself.
        false
    }

    fn manifests_among(&self, names: &[String]) -> Result<Vec<String>, Fault> {
        Ok(names
            .iter()
            .filter(|name| Piece::of(name).is_some())
            .min()
            .cloned()
            .into_iter()
            .collect())
    }

    fn subfolder(&self) -> Option<&'static str> {
        Some(FOLDER)
    }

    fn files(&self, store: &dyn Store, _manifest: &str) -> Result<Vec<String>, Fault> {
        Ok(store.list()?.into_iter().filter(|name| Piece::of(name).is_some()).collect())
    }

    fn open(
        &self,
        store: &dyn Store,
        manifest: &str,
        opening: &Opening,
    ) -> Result<Box<dyn Folder>, Fault> {
        // A missing last rank is not noticed otherwise.
        let folders = store.folders_in("")?;
        if let Some(folder) = folders.iter().find(|name| Piece::of(name).is_some()) {
            return Err(Fault::broken("it is a folder; expected a piece").in_file(folder.as_str()));
        }
        Ok(Box::new(open(store, &self.files(store, manifest)?, opening)?))
    }
}

/// The name of the first rank whose files are missing between others.
///
/// # Errors
/// Files of saves in different numbers of groups.
fn missing_rank(files: &[String]) -> Result<Option<String>, Fault> {
    let mut pieces: Vec<(Piece, &String)> =
        files.iter().filter_map(|name| Some((Piece::of(name)?, name))).collect();
    sorting::sort_by_key(&mut pieces, |(piece, _)| (piece.rank, piece.group));
    let Some((first, name)) = pieces.first() else { return Ok(None) };
    if let Some((_, other)) = pieces.iter().find(|(piece, _)| piece.groups != first.groups) {
        return Err(Fault::broken(format!("'{name}' and '{other}' are of two saves")));
    }
    let mut ranks: Vec<u64> = pieces.iter().map(|(piece, _)| piece.rank).collect();
    ranks.dedup();
    let hole = (1..).zip(ranks).find(|(expected, rank)| expected != rank);
    Ok(hole.map(|(rank, _)| format!("shard-{rank:05}-model-*")))
}

/// That the last ranks may be missing, for all that the files say.
fn inferred(files: &[String]) -> Option<String> {
    let last = files.iter().filter_map(|name| Piece::of(name)).map(|piece| piece.rank).max()?;
    Some(format!(
        "the full shapes are inferred from the pieces up to rank {last}, since no file says them; \
         a missing last rank would not be noticed"
    ))
}

fn open(store: &dyn Store, files: &[String], opening: &Opening) -> Result<Assembled, Fault> {
    let missing = missing_rank(files)?;
    let mut all = IndexMap::<String, Pieces>::default();
    for file in files {
        read(store, file, &mut all).map_err(|fault| fault.in_file(file))?;
    }
    let (mut tree, mut shortfall, mut total) =
        (Tree::default(), Shortfall::default(), Total::default());
    for (name, pieces) in all {
        let shape = corner(&pieces.parts);
        let whole = Tensor::unlocated(pieces.dtype.clone(), shape.clone());
        total.add(whole.count());
        let rectangles: Vec<Rectangle<'_>> = pieces
            .parts
            .iter()
            .map(|part| Rectangle { at: &part.at, size: &part.tensor.shape })
            .collect();
        match check_coverage(&shape, &rectangles) {
            Ok(()) => {
                let tensor = match opening.depth {
                    Depth::Listing => whole,
                    Depth::Elements => made(pieces, shape)
                        .map_err(|why| Fault::broken(format!("'{name}': {why}")))?,
                };
                let added = tree.add_tensor(&[Step::key(name)], tensor);
                added.map_err(|twice| Fault::broken(twice.to_string()))?;
            }
            Err(Unassembled::Incomplete { found, count }) => {
                let gap =
                    || format!("'{name}': {} of {count} elements are in no piece", count - found);
                let cause = missing.as_ref().map(|file| format!("'{file}' is missing"));
                shortfall.tensor(&name, cause.unwrap_or_else(gap), count - found);
            }
            Err(why) => return Err(Fault::broken(format!("'{name}': {why}"))),
        }
    }
    if opening.incomplete == Incomplete::Refused {
        shortfall.refuse(total, None)?;
        if let Some(file) = missing {
            let what = format!("'{file}' is missing");
            return Err(Fault::Incomplete { what, whole: total.tensors });
        }
    }
    Ok(Assembled {
        format: &HUB,
        files: files.to_vec(),
        catalog: tree.into_catalog(),
        left_out: shortfall.left_out(str::to_string),
        inferred: inferred(files),
        payload: None,
    })
}

/// Adds the pieces of one file.
fn read(store: &dyn Store, file: &str, all: &mut IndexMap<String, Pieces>) -> Result<(), Fault> {
    let opened = store.open(file)?;
    let Some(container) = SAFETENSORS.open(opened.source.as_ref())? else {
        return Err(Fault::broken("it is not safetensors"));
    };
    let places = places(&container.metadata())?;
    for row in &container.catalog().rows {
        let (name, tensor) = (row.key.as_str(), row.tensor.moved(opened.start));
        let at = places.get(name).cloned().unwrap_or(vec![0; tensor.shape.len()]);
        if at.len() != tensor.shape.len() {
            return Err(Fault::broken(format!("'{name}' begins at {at:?}, in other dimensions")));
        }
        let dtype = tensor.dtype.clone();
        let pieces = all.entry(name.to_string()).or_insert(Pieces { dtype, parts: Vec::new() });
        let first = pieces.parts.first().map_or(at.len(), |part| part.at.len());
        if pieces.dtype != tensor.dtype || first != at.len() {
            return Err(Fault::broken(format!("'{name}' is of another type than in other files")));
        }
        pieces.parts.push(TensorBlock { at, tensor });
    }
    Ok(())
}

/// How far pieces reach in each dimension.
fn corner(parts: &[TensorBlock]) -> Vec<u64> {
    let dimensions = parts.first().map_or(0, |part| part.at.len());
    let reach = |axis: usize| {
        let ends = parts.iter().map(|part| part.at[axis].saturating_add(part.tensor.shape[axis]));
        ends.max().unwrap_or(0)
    };
    (0..dimensions).map(reach).collect()
}

fn made(pieces: Pieces, shape: Vec<u64>) -> Result<Tensor, Unassembled> {
    match pieces.parts.as_slice() {
        [only] => Ok(only.tensor.clone()),
        _ => Tensor::of_blocks(pieces.dtype, shape.clone(), shape, pieces.parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_shapes_are_inferred_names_the_last_rank() {
        let files = ["shard-00002-model-00001-of-00001.safetensors", "README.md"];
        let said = inferred(&files.map(String::from)).expect("there are pieces");
        assert!(said.contains("up to rank 2, since no file says them"), "{said}");
        assert_eq!(inferred(&["model.safetensors".to_string()]), None);
    }

    #[test]
    fn ranks_between_others_are_missed_and_two_saves_told_apart() {
        let check = |names: &[&str], expected: Result<Option<&str>, &str>| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_string()).collect();
            let found = missing_rank(&names).map_err(|fault| fault.to_string());
            let expected = expected.map(|it| it.map(String::from)).map_err(String::from);
            assert_eq!(found, expected, "{names:?}");
        };
        let [one, two] = ["00001", "00002"].map(|group| {
            [1, 2, 3].map(|rank| format!("shard-0000{rank}-model-{group}-of-00002.safetensors"))
        });
        check(&[&one[0], &one[1], &two[0], &two[2]], Ok(None));
        check(&[&one[0], &one[2]], Ok(Some("shard-00002-model-*")));
        let stale = "shard-00001-model-00001-of-00001.safetensors";
        let error = format!("'{stale}' and '{}' are of two saves", one[0]);
        check(&[stale, &one[0], &one[1]], Err(&error));
    }
}
