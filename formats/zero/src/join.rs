//! What all ranks of tensor parallelism saved, joined.
//!
//! Each rank is a save of its own, with a share of some tensors and a copy of the others.

use std::collections::BTreeMap;

use statedict_core::{
    Comparison, Depth, EndToEnd, Fault, IndexSet, Joint, NamedCopy, Tensor, WholeTensor,
};
use statedict_pth::SavedFile;

use crate::cutting::{Cutting, Rule, Rules};
use crate::flat::{Lost, Made};
use crate::names::of_tensor_rank;
use crate::save::{Save, Whole};

/// The ranks of tensor parallelism whose files are there.
pub(crate) struct TensorRanks<'a> {
    present: Vec<&'a Save>,
    /// How many others there were, and a file of the first of them.
    missing: Option<(u64, String)>,
    /// All of their files.
    source: EndToEnd<'a>,
}

/// What a rank has of a tensor.
struct Share<'a> {
    file: &'a str,
    shape: &'a [u64],
    made: &'a Made,
}

impl<'a> TensorRanks<'a> {
    /// The saves of so many ranks; those that lack the optimizer states that others have count as
    /// missing, unless parameters are not taken from there.
    pub(crate) fn new(
        saves: &'a BTreeMap<u64, Save>,
        world: u64,
        needs_models_alone: bool,
    ) -> TensorRanks<'a> {
        let like = saves.values().find_map(|save| save.like.as_ref());
        let like = like.filter(|_| !needs_models_alone);
        let is_whole = |save: &&Save| like.is_none() || save.like.is_some();
        let present: Vec<&Save> = saves.values().filter(is_whole).collect();
        let gap = (0..world).find(|rank| !saves.get(rank).as_ref().is_some_and(is_whole));
        let missing = gap.map(|rank| {
            let model = saves.values().next().map(|save| save.models.first().name.as_str());
            let name = match (saves.get(&rank), like) {
                // A rank's model states are there.
                (Some(save), Some(like)) => beside(&save.models.first().name, like),
                _ => model.unwrap_or_default().to_string(),
            };
            (world - present.len() as u64, of_tensor_rank(&name, rank))
        });
        let files = saves.values().flat_map(Save::files).map(SavedFile::place);
        TensorRanks { present, missing, source: EndToEnd::new(files) }
    }

    /// A tensor as a copy that can be compared.
    fn copy<'t>(&'t self, file: &'t str, tensor: &'t Tensor) -> NamedCopy<'t> {
        NamedCopy { file, whole: WholeTensor { source: &self.source, start: 0, tensor } }
    }
}

/// The path of a file beside another.
fn beside(path: &str, name: &str) -> String {
    path.rsplit_once('/').map_or(name.to_string(), |(folder, _)| format!("{folder}/{name}"))
}

/// Everything that the ranks have, each tensor joined as the rules say it was cut.
///
/// # Errors
/// Ranks that do not fit together, and tensors of which nobody knows how to join them.
pub(crate) fn join(
    ranks: &TensorRanks<'_>,
    rules: &Rules<'_>,
    whole: impl Fn(&Save) -> Result<Whole, Fault>,
) -> Result<Whole, Fault> {
    let of_rank = |save: &&Save| Ok((save.models.first().name.clone(), whole(save)?));
    let mut wholes = ranks.present.iter().map(of_rank).collect::<Result<Vec<_>, Fault>>()?;
    if ranks.missing.is_none() && wholes.len() == 1 {
        return Ok(wholes.remove(0).1);
    }
    let Some(((file, first), others)) = wholes.split_first() else { return Ok(Whole::default()) };
    for (other_file, other) in others {
        let odd = other.parameters.keys().find(|name| !first.parameters.contains_key(*name));
        if let Some(odd) = odd {
            let what = format!("it has a tensor '{odd}', and '{file}' has none");
            return Err(Fault::broken(what).in_file(other_file));
        }
    }
    let mut joined = Whole::default();
    let joining = Joining { ranks, rules, vocabulary: vocabulary(&wholes, rules)? };
    for name in first.parameters.keys() {
        let shares = shares(&wholes, name, |whole| whole.parameters.get(name))?;
        joined.parameters.insert(name.clone(), joining.tensor(name, &shares)?);
    }
    // A rank without elements of a tensor has no state of it.
    let moments: IndexSet<_> = wholes.iter().flat_map(|(_, whole)| whole.moments.keys()).collect();
    for key in moments {
        let (name, moment) = key;
        let shares = shares(&wholes, &format!("{name}/{moment}"), |whole| {
            let parameter = whole.parameters.get(name);
            let empty = || parameter.filter(|(shape, _)| shape.contains(&0));
            whole.moments.get(key).or_else(empty)
        })?;
        joined.moments.insert(key.clone(), joining.tensor(name, &shares)?);
    }
    Ok(joined)
}

/// What each rank has of a tensor.
fn shares<'w>(
    wholes: &'w [(String, Whole)],
    name: &str,
    find: impl Fn(&'w Whole) -> Option<&'w (Vec<u64>, Made)>,
) -> Result<Vec<Share<'w>>, Fault> {
    let of_rank = |(file, whole): &'w (String, Whole)| match find(whole) {
        Some((shape, made)) => Ok(Share { file, shape, made }),
        None => Err(Fault::broken(format!("it has no tensor '{name}'")).in_file(file)),
    };
    wholes.iter().map(of_rank).collect()
}

/// How many rows of a vocabulary are no padding; none if that is not said, or not of which one.
///
/// # Errors
/// Patterns that are not read.
fn vocabulary(wholes: &[(String, Whole)], rules: &Rules<'_>) -> Result<Option<u64>, Fault> {
    let Some(rows) = rules.vocabulary_rows() else { return Ok(None) };
    let mut padded = None;
    let names = wholes.first().map(|(_, first)| first.parameters.keys()).into_iter().flatten();
    for name in names {
        if rules.is_vocabulary(name)? {
            let of_rank =
                |(_, whole): &(String, Whole)| whole.parameters.get(name)?.0.first().copied();
            let all = wholes.iter().filter_map(of_rank).fold(0u64, u64::saturating_add);
            if padded.replace(all).is_some_and(|padded| padded != all) {
                return Ok(None);
            }
        }
    }
    Ok(Some(rows))
}

/// Tensors that are joined.
struct Joining<'j> {
    ranks: &'j TensorRanks<'j>,
    rules: &'j Rules<'j>,
    /// How many rows of a vocabulary are no padding.
    vocabulary: Option<u64>,
}

/// What became of a tensor: its shape, and its elements, if they are there.
type Joined = (Vec<u64>, Made);

impl Joining<'_> {
    /// A tensor of which the ranks have these shares.
    fn tensor(&self, name: &str, shares: &[Share<'_>]) -> Result<Joined, Fault> {
        let Some(first) = shares.first() else { return Err(Fault::broken("there is no rank")) };
        let broken = |why: String| Fault::broken(format!("'{name}': {why}")).in_file(first.file);
        match self.rules.of(name)? {
            Cutting::Copied => self.copied(name, shares),
            Cutting::Unknown => match self.lost(shares) {
                Some(lost) => Ok(lost),
                None => self.uncut(name, shares),
            },
            Cutting::Shared { rule, is_said } => {
                if let Some(lost) = self.lost(shares) {
                    return Ok(lost);
                }
                let shapes: Vec<&[u64]> = shares.iter().map(|share| share.shape).collect();
                let joint = rule.joint(&shapes).map_err(broken)?;
                let joint = match rule {
                    // A map says what the model has.
                    Rule::Map(_) => joint,
                    _ => self.without_padding(name, joint)?.ok_or_else(|| broken(FEW.into()))?,
                };
                if !is_said {
                    self.refuse_copies(name, shares)?;
                }
                let tensors: Vec<&Tensor> = tensors(shares).collect();
                self.refuse_other_pieces(name, &joint, shares)?;
                let made = joint.tensor(&tensors).map_err(broken)?;
                Ok((joint.shape, Ok(made)))
            }
        }
    }

    /// A tensor that is not there, if nothing but all shares would make it.
    fn lost(&self, shares: &[Share<'_>]) -> Option<Joined> {
        let (missing, file) = match &self.ranks.missing {
            Some((missing, file)) => (*missing, Some(format!("'{file}' is missing"))),
            None => (0, None),
        };
        let mut own = shares.iter().filter_map(|share| share.made.as_ref().err());
        let first = own.clone().next().map(|lost| lost.cause.clone());
        let cause = file.or(first)?;
        let each =
            |share: &Share<'_>| share.shape.iter().fold(1u64, |all, it| all.saturating_mul(*it));
        let of_missing = shares.first().map_or(0, each).saturating_mul(missing);
        let all = shares.iter().map(each).fold(of_missing, u64::saturating_add);
        let count = own.by_ref().map(|lost| lost.count).fold(of_missing, u64::saturating_add);
        // Its shape is not known without them; how much there was of it is.
        Some((vec![all], Err(Lost { cause, count })))
    }

    /// A tensor of which every rank has a copy: one is as good as another.
    fn copied(&self, name: &str, shares: &[Share<'_>]) -> Result<Joined, Fault> {
        let mut there = shares.iter().filter(|share| share.made.is_ok());
        let Some(first) = there.next() else {
            return Ok((shares[0].shape.to_vec(), shares[0].made.clone()));
        };
        for other in there {
            self.refuse_other(first, other, |one, two| one.refuse_other(name, two, COPIED))?;
        }
        self.first_copy(name, first)
    }

    /// A tensor of which nothing says that it was cut.
    fn uncut(&self, name: &str, shares: &[Share<'_>]) -> Result<Joined, Fault> {
        for other in &shares[1..] {
            self.refuse_other(&shares[0], other, |one, two| one.refuse_uncut(name, two))?;
        }
        self.first_copy(name, &shares[0])
    }

    fn first_copy(&self, name: &str, first: &Share<'_>) -> Result<Joined, Fault> {
        let whole = Joint::copied(first.shape, 1);
        let fault = |why: &str| Fault::broken(format!("'{name}': {why}")).in_file(first.file);
        let joint = self.without_padding(name, whole)?.ok_or_else(|| fault(FEW))?;
        match first.made {
            Ok(tensor) if joint.shape != first.shape => {
                let cut = joint.tensor(&[tensor]).map_err(|why| fault(&why))?;
                Ok((joint.shape, Ok(cut)))
            }
            made => Ok((first.shape.to_vec(), made.clone())),
        }
    }

    /// A vocabulary without the rows that fill it up; none if it has too few.
    fn without_padding(&self, name: &str, joint: Joint) -> Result<Option<Joint>, Fault> {
        match self.vocabulary {
            Some(rows) if self.rules.is_vocabulary(name)? => Ok(joint.rows(rows)),
            _ => Ok(Some(joint)),
        }
    }

    /// Compares two copies, of which a listing looks at no elements.
    fn refuse_other(
        &self,
        one: &Share<'_>,
        two: &Share<'_>,
        refuse: impl FnOnce(&NamedCopy<'_>, &NamedCopy<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let (Ok(first), Ok(second)) = (one.made, two.made) else { return Ok(()) };
        let is_alike = first.dtype == second.dtype && first.shape == second.shape;
        if is_alike && self.rules.depth() == Depth::Listing {
            return Ok(());
        }
        refuse(&self.ranks.copy(one.file, first), &self.ranks.copy(two.file, second))
    }

    /// Refuses shares of a matrix that are all the same, where no file and no user says that it was
    /// cut: it may be one of which every rank has a copy.
    fn refuse_copies(&self, name: &str, shares: &[Share<'_>]) -> Result<(), Fault> {
        let all: Vec<&Tensor> = tensors(shares).collect();
        let is_plain = shares.len() < 2 || all[0].shape.len() < 2 || all[0].count() == 0;
        if is_plain || self.rules.depth() == Depth::Listing {
            return Ok(());
        }
        let first = self.ranks.copy(shares[0].file, all[0]).whole;
        for (share, tensor) in shares.iter().zip(&all).skip(1) {
            if first.compared(&self.ranks.copy(share.file, tensor).whole)? != Comparison::Same {
                return Ok(());
            }
        }
        let what = format!(
            "'{name}' is the same in all ranks, and tensors of such names are cut along a \
             dimension, which no file says"
        );
        Err(Fault::Uncut { what, key: name.into() }.in_file(shares[0].file))
    }

    /// Refuses pieces that several ranks have and that are not the same in all of them.
    fn refuse_other_pieces(
        &self,
        name: &str,
        joint: &Joint,
        shares: &[Share<'_>],
    ) -> Result<(), Fault> {
        if self.rules.depth() == Depth::Listing {
            return Ok(());
        }
        for piece in joint.pieces.iter().filter(|piece| piece.copies.len() > 1) {
            let mut copies = Vec::new();
            for copy in &piece.copies {
                let Some(Share { file, made: Ok(tensor), .. }) = shares.get(copy.rank) else {
                    continue;
                };
                let taken = joint.copy(piece, copy, tensor);
                let broken = |why| Fault::broken(format!("'{name}': {why}")).in_file(*file);
                copies.push((*file, taken.map_err(broken)?));
            }
            let Some(((file, first), others)) = copies.split_first() else { continue };
            for (other_file, other) in others {
                let other = self.ranks.copy(other_file, other);
                self.ranks.copy(file, first).refuse_other(name, &other, COPIED)?;
            }
        }
        Ok(())
    }
}

/// Why copies have to be the same.
const COPIED: &str = "the save says that these ranks have copies";

/// Why a vocabulary has no rows of padding.
const FEW: &str = "it has fewer rows than original_vocab_size says";

/// The tensors of shares that are whole.
fn tensors<'s>(shares: &'s [Share<'s>]) -> impl Iterator<Item = &'s Tensor> {
    shares.iter().filter_map(|share| share.made.as_ref().ok())
}
