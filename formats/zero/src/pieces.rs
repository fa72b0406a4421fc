//! Where the pieces of a parameter are in the shares of its ranks, as DeepSpeed writes it down.
//!
//! Source: `deepspeed/checkpoint/affine.py` and `ds_to_universal.py`, 0.19.

use statedict_core::{IndexMap, Joint, Node, Piece, PieceCopy, row_major_strides};

/// The most pieces of one parameter: one for each head in each of hundreds of ranks.
const MAX_PIECES: usize = 1 << 16;

/// The version of the lists from which on the widths of parts are always written down.
const WITH_WIDTHS: f64 = 0.4;

/// A map of a parameter: boxes of it, and where they are in the shares.
#[derive(Debug)]
pub(crate) struct Map {
    whole: Vec<u64>,
    /// The shape of each rank's share.
    shares: Vec<Vec<u64>>,
    pieces: Vec<Piece>,
}

impl Map {
    /// Reads a map.
    ///
    /// # Errors
    /// What it lacks, and what pieces are that are no boxes.
    pub(crate) fn read(node: Node<'_>) -> Result<Map, String> {
        let whole = sizes(node, "logical_shape")?;
        let ranks = node.get("ranks").ok_or("it has no ranks")?;
        let (mut shares, mut boxes) = (Vec::new(), IndexMap::<_, Vec<PieceCopy>>::default());
        let mut count = 0;
        for rank in 0..ranks.entries().count() {
            let of_rank = ranks.numbered(rank).ok_or_else(|| format!("it has no rank {rank}"))?;
            let share = sizes(of_rank, "shard_shape")?;
            for piece in of_rank.get("pieces").map(Node::items).unwrap_or_default() {
                count += 1;
                if count > MAX_PIECES {
                    return Err("it has too many pieces".into());
                }
                let size = sizes(piece, "shape")?;
                if piece.get("scale").is_some_and(|scale| scale.number() != Some(1.0)) {
                    return Err("a piece is multiplied by a constant, which is not read".into());
                }
                if size.contains(&0) {
                    continue;
                }
                let at = place(piece, "source", &whole, &size)?;
                let copy = PieceCopy { rank, at: place(piece, "dest", &share, &size)? };
                boxes.entry((at, size)).or_default().push(copy);
            }
            shares.push(share);
        }
        let pieces = boxes.into_iter().map(|((at, size), copies)| Piece { at, size, copies });
        Ok(Map { whole, shares, pieces: pieces.collect() })
    }

    /// True if there is anything on it.
    pub(crate) fn has_elements(&self) -> bool {
        !self.whole.contains(&0)
    }

    /// True if each rank has all of the parameter.
    pub(crate) fn is_copied(&self) -> bool {
        matches!(self.pieces.as_slice(), [all]
            if all.size == self.whole && all.copies.len() == self.shares.len())
            && self.shares.iter().all(|share| *share == self.whole)
    }

    /// How shares of these shapes make the parameter.
    ///
    /// # Errors
    /// Why they do not.
    pub(crate) fn joint(&self, shapes: &[&[u64]]) -> Result<Joint, String> {
        if self.shares.len() != shapes.len() {
            return Err(format!(
                "its map is of {} ranks, and there are {}",
                self.shares.len(),
                shapes.len()
            ));
        }
        let inner = self.whole.clone();
        let shape = outer(&self.shares, shapes, &inner)?;
        let (views, pieces) = (self.shares.clone(), self.pieces.clone());
        Ok(Joint { shape, inner, views, pieces })
    }
}

/// The sizes under a key.
fn sizes(node: Node<'_>, key: &str) -> Result<Vec<u64>, String> {
    let sizes = node.get(key).and_then(Node::sizes);
    sizes.ok_or_else(|| format!("its {key} is not made of sizes"))
}

/// Where a piece begins in a shape, of which it has to be a box.
fn place(piece: Node<'_>, side: &str, shape: &[u64], size: &[u64]) -> Result<Vec<u64>, String> {
    let items = piece.get(side).map(Node::items).unwrap_or_default();
    let offset = items.first().and_then(|offset| offset.count());
    let strides = items.get(1).and_then(|strides| strides.sizes());
    let (Some(mut offset), Some(steps), 2) = (offset, strides, items.len()) else {
        return Err(format!("the {side} of a piece is not a place with strides"));
    };
    let not_a_box = || format!("a piece is no box of {shape:?}");
    if steps.len() != shape.len() || size.len() != shape.len() {
        return Err(not_a_box());
    }
    let strides = row_major_strides(shape);
    let mut at = Vec::new();
    for axis in 0..shape.len() {
        // A dimension of one entry is never stepped through.
        if size[axis] > 1 && steps[axis] != strides[axis] {
            return Err(not_a_box());
        }
        let index = offset / strides[axis].max(1);
        offset -= index * strides[axis];
        if index.checked_add(size[axis]).is_none_or(|end| end > shape[axis]) {
            return Err(not_a_box());
        }
        at.push(index);
    }
    match offset {
        0 => Ok(at),
        _ => Err(not_a_box()),
    }
}

/// The shape of the whole where shares go by other shapes than what is written down of them: a fused
/// layer of three parts has one dimension more there.
fn outer(views: &[Vec<u64>], shapes: &[&[u64]], whole: &[u64]) -> Result<Vec<u64>, String> {
    let mut found = None;
    for (view, shape) in views.iter().zip(shapes) {
        let of_rank = merged(view, shape, whole);
        let of_rank = of_rank.ok_or_else(|| format!("it is {view:?} there, and here {shape:?}"))?;
        if found.get_or_insert_with(|| of_rank.clone()) != &of_rank {
            return Err("its ranks lead to different shapes".into());
        }
    }
    found.ok_or_else(|| "no rank has it".into())
}

/// A whole whose dimensions are merged as those of a share were, which went by `view` before.
fn merged(view: &[u64], share: &[u64], whole: &[u64]) -> Option<Vec<u64>> {
    let mut dimensions = view.iter().zip(whole).peekable();
    let mut merged = Vec::new();
    for (place, size) in share.iter().enumerate() {
        let (mut own, mut all) = dimensions.next().map(|(own, all)| (*own, *all))?;
        let is_last = place + 1 == share.len();
        while own != *size || (is_last && dimensions.peek().is_some()) {
            let (next, of_whole) = dimensions.next()?;
            (own, all) = (own.checked_mul(*next)?, all.checked_mul(*of_whole)?);
        }
        merged.push(all);
    }
    (dimensions.next().is_none() && view.len() == whole.len()).then_some(merged)
}

/// A parameter that is several in one, of which each rank has a share of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'i> {
    /// `shape` and `partition_dim`.
    pub(crate) entry: Node<'i>,
    /// How much each rank has of each part, if that is written down.
    pub(crate) widths: Option<Node<'i>>,
    /// The version of the lists.
    pub(crate) version: f64,
}

/// A dimension as it is written down: a size, or the sizes of parts; -1 is what is left.
enum Dimension {
    Size(Option<u64>),
    Parts(Vec<u64>),
}

impl Parts<'_> {
    /// How shares of these shapes make the parameter.
    ///
    /// # Errors
    /// Why they do not.
    pub(crate) fn joint(&self, shapes: &[&[u64]]) -> Result<Joint, String> {
        let along = self.entry.get("partition_dim").and_then(Node::count);
        let along = along.and_then(|along| usize::try_from(along).ok());
        let along = along.ok_or("its sub-parameters have no partition_dim")?;
        let spec = self.entry.get("shape").map(Node::items).unwrap_or_default();
        let spec = spec.into_iter().map(dimension).collect::<Option<Vec<_>>>();
        let spec = spec.ok_or("the shape of its sub-parameters is not made of sizes")?;
        let sizes = match spec.get(along) {
            Some(Dimension::Parts(sizes)) => sizes.clone(),
            Some(Dimension::Size(Some(count))) if self.version < WITH_WIDTHS => {
                alike(*count, along, shapes)?
            }
            _ => return Err("the sizes of its sub-parameters are not written down".into()),
        };
        let widths = self.widths(&sizes, shapes.len())?;
        let whole = resolved(&spec, along, &sizes, shapes)?;
        let view = |rank: usize| {
            let mut view = whole.clone();
            view[along] = widths.iter().map(|part| part[rank]).fold(0, u64::saturating_add);
            view
        };
        let views: Vec<Vec<u64>> = (0..shapes.len()).map(view).collect();
        let shape = outer(&views, shapes, &whole)?;
        let views: Vec<&[u64]> = views.iter().map(Vec::as_slice).collect();
        Ok(Joint::in_parts(along, &widths, &views)?.shaped(shape))
    }

    /// How much each rank has of each part.
    fn widths(&self, sizes: &[u64], ranks: usize) -> Result<Vec<Vec<u64>>, String> {
        let Some(written) = self.widths else {
            if self.version >= WITH_WIDTHS {
                return Err("no sub_param_shard_widths are written down for it".into());
            }
            let even = |size: &u64| match size.is_multiple_of(ranks as u64) {
                true => Ok(vec![size / ranks as u64; ranks]),
                false => {
                    Err(format!("a sub-parameter of {size} is not cut evenly over {ranks} ranks"))
                }
            };
            return sizes.iter().map(even).collect();
        };
        let widths: Option<Vec<Vec<u64>>> = written.items().into_iter().map(Node::sizes).collect();
        let widths = widths.ok_or("its sub_param_shard_widths are not made of sizes")?;
        let is_of = |(part, size): (&Vec<u64>, &u64)| {
            part.len() == ranks
                && part.iter().try_fold(0u64, |all, it| all.checked_add(*it)) == Some(*size)
        };
        if widths.len() != sizes.len() || !widths.iter().zip(sizes).all(is_of) {
            return Err(format!(
                "its sub-parameters have {sizes:?}, and {ranks} ranks of them {widths:?}"
            ));
        }
        Ok(widths)
    }
}

fn dimension(node: Node<'_>) -> Option<Dimension> {
    match node.int() {
        Some(-1) => Some(Dimension::Size(None)),
        Some(size) => Some(Dimension::Size(Some(u64::try_from(size).ok()?))),
        None => node.sizes().filter(|sizes| !sizes.is_empty()).map(Dimension::Parts),
    }
}

/// The sizes of so many parts that are alike.
fn alike(count: u64, along: usize, shapes: &[&[u64]]) -> Result<Vec<u64>, String> {
    let sizes = shapes.iter().map(|shape| shape.get(along).copied()).collect::<Option<Vec<u64>>>();
    let all = sizes.ok_or_else(|| format!("it has no dimension {along}"))?;
    let all = all.into_iter().fold(0, u64::saturating_add);
    match usize::try_from(count) {
        Ok(parts) if parts > 0 && parts <= MAX_PIECES && all.is_multiple_of(count) => {
            Ok(vec![all / count; parts])
        }
        _ => Err(format!("{all} entries are not {count} sub-parameters that are alike")),
    }
}

/// The shape that is written down, with what is left of it found from how many elements there are.
fn resolved(
    spec: &[Dimension],
    along: usize,
    sizes: &[u64],
    shapes: &[&[u64]],
) -> Result<Vec<u64>, String> {
    let product = |sizes: &[u64]| sizes.iter().try_fold(1u64, |all, size| all.checked_mul(*size));
    let sum = |sizes: &[u64]| sizes.iter().try_fold(0u64, |all, size| all.checked_add(*size));
    let beyond = || "its sub-parameters are beyond counting".to_string();
    let counts = shapes.iter().map(|shape| product(shape)).collect::<Option<Vec<u64>>>();
    let count = counts.and_then(|counts| sum(&counts)).ok_or_else(beyond)?;
    let (mut shape, mut open) = (Vec::new(), Vec::new());
    for (axis, dimension) in spec.iter().enumerate() {
        shape.push(match dimension {
            _ if axis == along => sum(sizes).ok_or_else(beyond)?,
            Dimension::Size(Some(size)) => *size,
            Dimension::Parts(sizes) => sum(sizes).ok_or_else(beyond)?,
            Dimension::Size(None) => {
                open.push(axis);
                1
            }
        });
    }
    let known = product(&shape).ok_or_else(beyond)?;
    match open.as_slice() {
        [] if known == count => Ok(shape),
        [axis] if known > 0 && count.is_multiple_of(known) => {
            shape[*axis] = count / known;
            Ok(shape)
        }
        _ => Err(format!("{count} elements are not of the shape of its sub-parameters")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_that_a_share_merged_are_merged_in_the_whole() {
        let check = |view: &[u64], share: &[u64], whole: &[u64], expected: Option<&[u64]>| {
            assert_eq!(merged(view, share, whole).as_deref(), expected, "{view:?} {share:?}");
        };
        check(&[4, 8], &[4, 8], &[8, 8], Some(&[8, 8]));
        check(&[3, 4, 8], &[12, 8], &[3, 8, 8], Some(&[24, 8]));
        check(&[3, 4, 8], &[96], &[3, 8, 8], Some(&[192]));
        check(&[1, 4, 8], &[4, 8], &[2, 4, 8], Some(&[8, 8]));
        check(&[3, 0, 8], &[0, 8], &[3, 2, 8], Some(&[6, 8]));
        check(&[3, 4, 1], &[12], &[3, 4, 2], Some(&[24]));
        check(&[4, 8], &[8, 4], &[8, 8], None);
        check(&[4, 8], &[4], &[8, 8], None);
        check(&[], &[], &[], Some(&[]));
        check(&[u64::MAX, 3], &[5], &[1, 1], None);
    }
}
