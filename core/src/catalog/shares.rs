//! What each rank of tensor parallelism has of a tensor, and the whole that the shares make.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;

use crate::catalog::tensor::count_of;
use crate::{Data, Tensor, TensorBlock};

/// How many parts of shares are held against pieces for one tensor: a hundred times what a model of
/// thousands of ranks and hundreds of heads needs, and done in a moment.
const MAX_LOOKS: usize = 1 << 24;

/// How the shares of all ranks make one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joint {
    /// The shape of the whole.
    pub shape: Vec<u64>,
    /// What the pieces are boxes of: as many elements as the whole, in the same order.
    pub inner: Vec<u64>,
    /// The shape in which the share of each rank is looked at: as many elements as it has, in the
    /// same order.
    pub views: Vec<Vec<u64>>,
    /// The boxes that make the whole.
    pub pieces: Vec<Piece>,
}

/// A box of the whole that some ranks have, each a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The index of its first element in each dimension of the whole.
    pub at: Vec<u64>,
    /// Its size in each dimension.
    pub size: Vec<u64>,
    /// Where it is in the shares; the first is taken.
    pub copies: Vec<PieceCopy>,
}

/// Where a rank has a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PieceCopy {
    /// The rank.
    pub rank: usize,
    /// The index of its first element in each dimension of the rank's share.
    pub at: Vec<u64>,
}

impl Joint {
    /// The same in all ranks.
    pub fn copied(shape: &[u64], ranks: usize) -> Joint {
        let at = alloc::vec![0; shape.len()];
        let copies = (0..ranks).map(|rank| PieceCopy { rank, at: at.clone() }).collect();
        let pieces = [Piece { at, size: shape.to_vec(), copies }].into();
        let views = alloc::vec![shape.to_vec(); ranks];
        Joint { shape: shape.to_vec(), inner: shape.to_vec(), views, pieces }
    }

    /// Each share after the one before it, along a dimension.
    ///
    /// # Errors
    /// Why shares of these shapes cannot lie so.
    pub fn along(dimension: usize, shapes: &[&[u64]]) -> Result<Joint, String> {
        let widths = sizes(dimension, shapes)?;
        Joint::in_parts(dimension, &[widths], shapes)
    }

    /// The same of tensors that were two halves, put together in each rank: the first halves of all
    /// shares, then the second ones.
    ///
    /// # Errors
    /// Why shares of these shapes cannot lie so.
    pub fn halves(dimension: usize, shapes: &[&[u64]]) -> Result<Joint, String> {
        let sizes = sizes(dimension, shapes)?;
        if let Some(odd) = sizes.iter().find(|size| !size.is_multiple_of(2)) {
            return Err(format!("{odd} rows of two halves cannot be halved"));
        }
        let half: Vec<u64> = sizes.iter().map(|size| size / 2).collect();
        Joint::in_parts(dimension, &[half.clone(), half], shapes)
    }

    /// The same of tensors that were several, put together in each rank: the shares of the first of
    /// them, then those of the second; `widths` says of each how much every rank has of it.
    ///
    /// # Errors
    /// Why shares of these shapes cannot lie so.
    pub fn in_parts(
        dimension: usize,
        widths: &[Vec<u64>],
        shapes: &[&[u64]],
    ) -> Result<Joint, String> {
        let sizes = sizes(dimension, shapes)?;
        let mut shape = shapes.first().map(|first| first.to_vec()).unwrap_or_default();
        let mut within = alloc::vec![0u64; shapes.len()];
        let (mut pieces, mut start) = (Vec::new(), 0u64);
        for part in widths {
            if part.len() != shapes.len() {
                return Err(format!("{} widths are given for {} ranks", part.len(), shapes.len()));
            }
            for (rank, width) in part.iter().enumerate() {
                let (mut at, mut from) = (alloc::vec![0; shape.len()], alloc::vec![0; shape.len()]);
                (at[dimension], from[dimension]) = (start, within[rank]);
                let mut size = shape.clone();
                size[dimension] = *width;
                pieces.push(Piece { at, size, copies: [PieceCopy { rank, at: from }].into() });
                start = start.checked_add(*width).ok_or("it is beyond counting")?;
                within[rank] = within[rank].saturating_add(*width);
            }
        }
        if within != sizes {
            return Err(format!(
                "its ranks have {sizes:?} of dimension {dimension}, and {within:?} are said"
            ));
        }
        shape[dimension] = start;
        let views = shapes.iter().map(|shape| shape.to_vec()).collect();
        Ok(Joint { inner: shape.clone(), shape, views, pieces })
    }

    /// The same whole in another shape, which has as many elements.
    #[must_use]
    pub fn shaped(self, shape: Vec<u64>) -> Joint {
        Joint { shape, ..self }
    }

    /// The first rows of the whole: what is behind them is padding.
    ///
    /// None if the whole has fewer.
    #[must_use]
    pub fn rows(mut self, rows: u64) -> Option<Joint> {
        if self.shape != self.inner || *self.shape.first()? < rows {
            return None;
        }
        self.shape[0] = rows;
        self.inner.clone_from(&self.shape);
        self.pieces.retain(|piece| piece.at[0] < rows);
        for piece in &mut self.pieces {
            piece.size[0] = piece.size[0].min(rows - piece.at[0]);
        }
        Some(self)
    }

    /// The whole that these shares make.
    ///
    /// # Errors
    /// Why they do not make one.
    pub fn tensor(&self, shares: &[&Tensor]) -> Result<Tensor, String> {
        // A share without elements may be left over from before an optimizer had them.
        let mut full = shares.iter().filter(|share| share.count() > 0);
        let first = full.next().or(shares.first()).ok_or("no rank has it")?;
        if let Some(other) = full.find(|share| share.dtype != first.dtype) {
            return Err(format!(
                "it is {} in one rank and {} in another",
                first.dtype, other.dtype
            ));
        }
        let dtype = first.dtype.clone();
        let shares = shares.iter().zip(&self.views);
        let shares: Vec<Vec<TensorBlock>> =
            shares.map(|(share, view)| parts(share, view)).collect::<Result<_, String>>()?;
        let (mut blocks, mut looks) = (Vec::new(), 0);
        for piece in &self.pieces {
            let Some(copy) = piece.copies.first().filter(|_| !piece.size.contains(&0)) else {
                continue;
            };
            let share = shares.get(copy.rank).ok_or("there is no such rank")?;
            looks += share.len();
            if looks > MAX_LOOKS {
                return Err("it is in too many pieces".into());
            }
            for part in share {
                if let Some((offset, tensor)) = within(part, &copy.at, &piece.size)? {
                    let at = piece.at.iter().zip(offset).map(|(at, offset)| at.checked_add(offset));
                    let at = at.collect::<Option<_>>().ok_or("it is beyond counting")?;
                    blocks.push(TensorBlock { at, tensor });
                }
            }
        }
        let made = Tensor::of_blocks(dtype, self.shape.clone(), self.inner.clone(), blocks);
        made.map_err(|why| why.to_string())
    }

    /// A piece as one of the ranks has it, to be compared with what the others have.
    ///
    /// # Errors
    /// Why it is not there.
    pub fn copy(&self, piece: &Piece, copy: &PieceCopy, share: &Tensor) -> Result<Tensor, String> {
        let view = self.views.get(copy.rank).ok_or("there is no such rank")?;
        if !matches!(share.data, Data::Blocks(_)) {
            let parts = parts(share, view)?;
            let found =
                parts.first().map(|part| within(part, &copy.at, &piece.size)).transpose()?;
            let found = found.flatten().map(|(_, tensor)| tensor);
            return found.ok_or_else(|| "a piece is not within a share".into());
        }
        let range = run(view, &copy.at, &piece.size);
        let range = range.ok_or("copies of a piece are not one after another in a share")?;
        let mut blocks = Vec::new();
        for part in parts(share, &[share.count()])? {
            let size = [range.end - range.start];
            if let Some((offset, tensor)) = within(&part, &[range.start], &size)? {
                blocks.push(TensorBlock { at: offset, tensor });
            }
        }
        let (dtype, count) = (share.dtype.clone(), range.end - range.start);
        let made = Tensor::of_blocks(dtype, piece.size.clone(), alloc::vec![count], blocks);
        made.map_err(|why| why.to_string())
    }
}

/// How much each share has of a dimension; in all others they are alike.
fn sizes(dimension: usize, shapes: &[&[u64]]) -> Result<Vec<u64>, String> {
    let first = shapes.first().ok_or("no rank has it")?;
    let dimensions = first.len();
    if dimension >= dimensions {
        return Err(format!("it was cut along dimension {dimension}, and has {dimensions}"));
    }
    let is_alike = |shape: &&&[u64]| {
        shape.len() == dimensions
            && (0..dimensions).all(|axis| axis == dimension || shape[axis] == first[axis])
    };
    if let Some(other) = shapes.iter().find(|shape| !is_alike(shape)) {
        return Err(format!(
            "{first:?} and {other:?} cannot be joined along dimension {dimension}"
        ));
    }
    Ok(shapes.iter().map(|shape| shape[dimension]).collect())
}

/// A share in parts that are boxes of `view`, a shape with as many elements in the same order.
fn parts(share: &Tensor, view: &[u64]) -> Result<Vec<TensorBlock>, String> {
    if count_of(view) != count_of(&share.shape) {
        return Err(format!("a share of shape {:?} is not of {view:?}", share.shape));
    }
    let strange = || "its elements are in places that cannot be looked at so".to_string();
    match &share.data {
        Data::View(_) if share.shape == view => {
            Ok([TensorBlock { at: alloc::vec![0; view.len()], tensor: share.clone() }].into())
        }
        Data::View(_) => {
            let tensor = share.reshaped(view.to_vec()).ok_or_else(strange)?;
            Ok([TensorBlock { at: alloc::vec![0; view.len()], tensor }].into())
        }
        Data::Blocks(blocks) if blocks.shape() == view => Ok(blocks.parts().to_vec()),
        Data::Blocks(blocks) if blocks.shape().len() == 1 => {
            let mut boxes = Vec::new();
            for part in blocks.parts() {
                boxes.extend(boxes_of(view, part).ok_or_else(strange)?);
            }
            Ok(boxes)
        }
        Data::Blocks(_) => Err(strange()),
        Data::Unlocated | Data::Opaque { .. } => Err("it has no plain elements".into()),
    }
}

/// Some elements that are one after another, as boxes of a shape: the rest of the row they begin in,
/// the rows that are theirs, and the beginning of the last one, in every dimension.
fn boxes_of(shape: &[u64], run: &TensorBlock) -> Option<Vec<TensorBlock>> {
    let strides = crate::row_major_strides(shape);
    let (first, mut done, count) = (*run.at.first()?, 0, run.tensor.count());
    let mut boxes = Vec::new();
    while done < count {
        let (start, left) = (first.checked_add(done)?, count - done);
        let mut rest = start;
        let at: Vec<u64> = strides
            .iter()
            .map(|stride| {
                let index = rest / stride.max(&1);
                rest -= index * stride;
                index
            })
            .collect();
        let is_axis = |axis: &usize| start.is_multiple_of(strides[*axis]) && strides[*axis] <= left;
        let axis = (0..shape.len()).find(is_axis)?;
        let entries = (left / strides[axis]).min(shape[axis].checked_sub(at[axis])?);
        let mut size = alloc::vec![1; axis];
        size.push(entries);
        size.extend(&shape[axis + 1..]);
        let taken = entries.checked_mul(strides[axis]).filter(|taken| *taken > 0)?;
        let tensor = run.tensor.strided(size.clone(), crate::row_major_strides(&size), done)?;
        boxes.push(TensorBlock { at, tensor });
        done += taken;
    }
    Some(boxes)
}

/// What a part has of a box, and where in the box that is; none if it has nothing of it.
fn within(
    part: &TensorBlock,
    at: &[u64],
    size: &[u64],
) -> Result<Option<(Vec<u64>, Tensor)>, String> {
    let dimensions = part.at.len();
    if at.len() != dimensions || size.len() != dimensions {
        return Err(format!("a piece has {} dimensions, and a share {dimensions}", at.len()));
    }
    let (mut tensor, mut offset) = (part.tensor.clone(), Vec::new());
    for axis in 0..dimensions {
        let (start, own) = (part.at[axis], tensor.shape[axis]);
        let end = at[axis].checked_add(size[axis]).ok_or("a piece is beyond counting")?;
        let (low, high) = (start.max(at[axis]), start.saturating_add(own).min(end));
        if low >= high {
            return Ok(None);
        }
        if high - low < own {
            let cut = tensor.narrowed(axis, low - start..high - start);
            tensor = cut.ok_or("it has no plain elements")?;
        }
        offset.push(low - at[axis]);
    }
    Ok(Some((offset, tensor)))
}

/// The places of a box's elements among all of a shape, if they are one after another.
fn run(shape: &[u64], at: &[u64], size: &[u64]) -> Option<Range<u64>> {
    if at.len() != shape.len() || size.len() != shape.len() {
        return None;
    }
    let longest = (0..shape.len()).find(|axis| size[*axis] != 1).unwrap_or(shape.len());
    let is_whole = |axis: usize| at[axis] == 0 && size[axis] == shape[axis];
    if !(longest + 1..shape.len()).all(is_whole) {
        return None;
    }
    let strides = crate::row_major_strides(shape);
    let steps = at.iter().zip(&strides).map(|(index, stride)| index.checked_mul(*stride));
    let start = steps.sum::<Option<u64>>()?;
    Some(start..start.checked_add(count_of(size)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Storage};
    use alloc::sync::Arc;
    use alloc::vec;

    /// A tensor of bytes from `start` on.
    fn dense(shape: &[u64], start: u64) -> Tensor {
        let count = shape.iter().product::<u64>();
        let storage = Arc::new(Storage::stored(start..start + count));
        Tensor::dense(DType::U8, shape.into(), 0, storage).expect("within")
    }

    /// The same in runs that begin at these places.
    fn in_runs(shape: &[u64], start: u64, starts: &[u64]) -> Tensor {
        let count = shape.iter().product::<u64>();
        let ends = starts[1..].iter().copied().chain([count]);
        let runs = starts
            .iter()
            .zip(ends)
            .map(|(at, end)| TensorBlock { at: vec![*at], tensor: dense(&[end - at], start + at) });
        Tensor::of_blocks(DType::U8, shape.into(), vec![count], runs.collect()).expect("whole")
    }

    /// The places of a tensor's elements in their file, in order.
    fn places(tensor: &Tensor) -> Vec<u64> {
        let Data::Blocks(blocks) = &tensor.data else { panic!("no blocks") };
        let strides = crate::row_major_strides(blocks.shape());
        let mut places = vec![u64::MAX; usize::try_from(tensor.count()).expect("few")];
        for part in blocks.parts() {
            let view = part.tensor.as_view().expect("a view");
            for index in indices(&part.tensor.shape) {
                let of = |at: &[u64], strides: &[u64]| -> u64 {
                    at.iter().zip(strides).map(|(at, stride)| at * stride).sum()
                };
                let to = of(&part.at, &strides) + of(&index, &strides);
                let from = view.storage().location.range().start + view.offset();
                places[usize::try_from(to).expect("few")] = from + of(&index, view.strides());
            }
        }
        places
    }

    fn indices(shape: &[u64]) -> Vec<Vec<u64>> {
        let longer = |all: Vec<Vec<u64>>, size: &u64| {
            let each = |index: Vec<u64>| (0..*size).map(move |last| [&index[..], &[last]].concat());
            all.into_iter().flat_map(each).collect()
        };
        shape.iter().fold(vec![vec![]], longer)
    }

    fn joined(joint: Result<Joint, String>, shares: &[Tensor]) -> Result<Vec<u64>, String> {
        let shares: Vec<&Tensor> = shares.iter().collect();
        joint?.tensor(&shares).map(|whole| places(&whole))
    }

    #[test]
    fn shares_of_other_sizes_lie_one_after_another() {
        let shares = [dense(&[1, 2], 0), dense(&[2, 2], 100)];
        let shapes: [&[u64]; 2] = [&[1, 2], &[2, 2]];
        assert_eq!(joined(Joint::along(0, &shapes), &shares), Ok(vec![0, 1, 100, 101, 102, 103]));
        let shares = [dense(&[2, 1], 0), dense(&[2, 0], 50), dense(&[2, 2], 100)];
        let shapes: [&[u64]; 3] = [&[2, 1], &[2, 0], &[2, 2]];
        assert_eq!(joined(Joint::along(1, &shapes), &shares), Ok(vec![0, 100, 101, 1, 102, 103]));
        let why = "[2, 1] and [2, 0] cannot be joined along dimension 0";
        assert_eq!(joined(Joint::along(0, &shapes), &shares), Err(why.into()));
        let why = "it was cut along dimension 2, and has 2";
        assert_eq!(joined(Joint::along(2, &shapes), &shares), Err(why.into()));
    }

    #[test]
    fn shares_in_runs_are_cut_into_the_boxes_of_their_rows() {
        // However the runs of a flat partition lie, the whole is the same.
        for starts in [&[0][..], &[0, 1], &[0, 5, 9], &[0, 3, 6], &[0, 1, 2, 3, 4, 11]] {
            let shares = [in_runs(&[4, 3], 0, starts), in_runs(&[4, 3], 100, &[0, 4, 8])];
            let expected: Vec<u64> = (0..4)
                .flat_map(|row| [0, 100].map(|of| (0..3).map(move |at| of + row * 3 + at)))
                .flatten()
                .collect();
            let joint = Joint::along(1, &[&[4, 3], &[4, 3]]);
            assert_eq!(joined(joint, &shares), Ok(expected), "{starts:?}");
        }
        let share = in_runs(&[2, 3, 4], 0, &[0, 7, 9, 22]);
        let whole = joined(Joint::along(1, &[&[2, 3, 4]]), &[share]);
        assert_eq!(whole, Ok((0..24).collect()));
    }

    #[test]
    fn several_tensors_in_one_are_each_joined() {
        let shapes: [&[u64]; 2] = [&[4], &[2]];
        let shares = [dense(&[4], 0), dense(&[2], 100)];
        assert_eq!(joined(Joint::halves(0, &shapes), &shares), Ok(vec![0, 1, 100, 2, 3, 101]));
        let parts = |widths: &[[u64; 2]]| {
            let widths: Vec<Vec<u64>> = widths.iter().map(|it| it.to_vec()).collect();
            joined(Joint::in_parts(0, &widths, &shapes), &shares)
        };
        assert_eq!(parts(&[[1, 0], [3, 2]]), Ok(vec![0, 1, 2, 3, 100, 101]));
        assert_eq!(parts(&[[1, 2], [3, 0]]), Ok(vec![0, 100, 101, 1, 2, 3]));
        let why = "its ranks have [4, 2] of dimension 0, and [4, 3] are said";
        assert_eq!(parts(&[[4, 3]]), Err(why.into()));
        let odd = Joint::halves(0, &[&[3]]).expect_err("odd");
        assert_eq!(odd, "3 rows of two halves cannot be halved");
    }

    #[test]
    fn padding_is_cut_off_behind_the_last_row() {
        let shapes: [&[u64]; 2] = [&[2, 1], &[2, 1]];
        let shares = [dense(&[2, 1], 0), dense(&[2, 1], 100)];
        let rows = |rows| Joint::along(0, &shapes).expect("alike").rows(rows);
        assert_eq!(joined(Ok(rows(3).expect("fewer")), &shares), Ok(vec![0, 1, 100]));
        assert_eq!(joined(Ok(rows(1).expect("fewer")), &shares), Ok(vec![0]));
        assert_eq!(rows(5), None);
    }

    #[test]
    fn pieces_that_overlap_or_leave_a_gap_make_no_whole() {
        let piece = |at: u64, from: u64| Piece {
            at: vec![at],
            size: vec![2],
            copies: vec![PieceCopy { rank: 0, at: vec![from] }],
        };
        let of = |pieces| {
            let (inner, views) = (vec![4], vec![vec![4]]);
            joined(Ok(Joint { shape: inner.clone(), inner, views, pieces }), &[dense(&[4], 0)])
        };
        assert_eq!(of(vec![piece(0, 2), piece(2, 0)]), Ok(vec![2, 3, 0, 1]));
        assert_eq!(of(vec![piece(0, 0)]), Err("2 of 4 elements are there".into()));
        assert_eq!(of(vec![piece(0, 0), piece(2, 3)]), Err("3 of 4 elements are there".into()));
        let overlap = "the parts at [0] and [1] overlap";
        assert_eq!(of(vec![piece(0, 0), piece(1, 2)]), Err(overlap.into()));
        assert!(of(vec![piece(3, 0)]).is_err());
    }

    #[test]
    fn a_copy_of_a_piece_is_a_tensor_of_its_own() {
        let piece = Piece { at: vec![0, 0], size: vec![2, 2], copies: Vec::new() };
        let copy = PieceCopy { rank: 0, at: vec![1, 0] };
        let joint = |view: Vec<u64>| {
            let (shape, pieces) = (view.clone(), Vec::new());
            Joint { inner: shape.clone(), shape, views: vec![view], pieces }
        };
        let share = in_runs(&[3, 2], 0, &[0, 3]);
        let taken = joint(vec![3, 2]).copy(&piece, &copy, &share).expect("there");
        assert_eq!((taken.shape.clone(), places(&taken)), (vec![2, 2], vec![2, 3, 4, 5]));
        let share = dense(&[3, 4], 0);
        let taken = joint(vec![3, 4]).copy(&piece, &copy, &share).expect("there");
        assert_eq!(
            taken.as_view().map(|view| (view.offset(), view.is_contiguous())),
            Some((4, false))
        );
        let share = in_runs(&[3, 4], 0, &[0, 3]);
        assert!(joint(vec![3, 4]).copy(&piece, &copy, &share).is_err());
    }

    #[test]
    fn types_that_differ_are_not_joined() {
        let other = Tensor { dtype: DType::I8, ..dense(&[2], 0) };
        let whole = joined(Joint::along(0, &[&[2], &[2]]), &[dense(&[2], 0), other]);
        assert_eq!(whole, Err("it is U8 in one rank and I8 in another".into()));
        let empty = Tensor { dtype: DType::I8, ..dense(&[0], 0) };
        let whole = joined(Joint::along(0, &[&[0], &[2]]), &[empty, dense(&[2], 0)]);
        assert_eq!(whole, Ok(vec![0, 1]));
    }
}
