//! Tensors made of parts of others: cut, turned, joined, and put together again.
//!
//! A block says where some elements go by one number: the place of its first element among all of
//! the tensor's in row-major order, and for each of its own dimensions the distance to the next.
//! So a reshape changes nothing but the shape; the others find out which dimension of the tensor each
//! of a block's own steps through, and renumber its places.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::computed::cannot_be;
use super::{Elements, Origin};
use crate::catalog::tensor::count_of;
use crate::sorting;
use crate::{Arithmetic, Blocks, DType, row_major_strides};

/// Blocks beyond which no tensor is cut: more would take more memory than elements of that size.
const MAX_BLOCKS: usize = 1 << 20;

/// Some elements of a tensor, and where in the tensor they are.
///
/// Its elements are those of one stored tensor, drawn, or what a formula gives. The blocks of one tensor do not overlap and
/// leave nothing out.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    offset: u64,
    strides: Vec<u64>,
    elements: Elements,
}

impl Block {
    /// All elements of a tensor with one origin.
    fn whole(elements: Elements) -> Block {
        Block { offset: 0, strides: row_major_strides(elements.shape()), elements }
    }

    /// A rectangle of a tensor of shape `whole`, which begins at the index `at`.
    pub(super) fn rectangle(elements: Elements, at: &[u64], whole: &[u64]) -> Block {
        let strides = row_major_strides(whole);
        let offset = at.iter().zip(&strides).map(|(index, stride)| index * stride).sum();
        Block { offset, strides, elements }
    }

    /// The place of the first element among all of the tensor's, in row-major order.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The distance of neighbours in each of the block's dimensions, in elements of the tensor.
    pub fn strides(&self) -> &[u64] {
        &self.strides
    }

    /// The elements; their shape is the block's.
    pub fn elements(&self) -> &Elements {
        &self.elements
    }

    pub(super) fn cast(&mut self, to: &DType) {
        self.elements = self.elements.clone().cast(to);
    }

    pub(super) fn combine(&mut self, step: Arithmetic) -> Result<(), String> {
        self.elements = self.elements.clone().combined(step)?;
        Ok(())
    }

    pub(super) fn shift(&mut self, by: u64) {
        self.elements.shift(by);
    }

    /// The places from the first element to the last; others may lie between them.
    pub fn span(&self) -> Range<u64> {
        let steps = self.elements.shape().iter().zip(&self.strides);
        let last: u64 = steps.map(|(size, stride)| size.saturating_sub(1) * stride).sum();
        self.offset..self.offset + last + 1
    }

    /// True if the elements are side by side in the tensor, in their own order.
    pub fn is_run(&self) -> bool {
        let mut next = 1;
        let shape = self.elements.shape();
        shape.iter().zip(&self.strides).rev().all(|(size, stride)| {
            let follows = *size == 1 || *stride == next;
            next *= size;
            follows
        })
    }
}

impl Elements {
    /// The blocks that it is made of; none where there is no element.
    pub fn blocks(&self) -> Vec<Block> {
        match &self.origin {
            _ if self.count() == 0 => Vec::new(),
            Origin::Blocks(blocks) => blocks.clone(),
            Origin::Tensor(_) | Origin::Drawn(_) | Origin::Computed(_) => {
                [Block::whole(self.clone())].into()
            }
        }
    }

    /// The parts of the tensor one after another, if each is a run of it.
    pub fn runs(&self) -> Option<Vec<&Elements>> {
        let Origin::Blocks(blocks) = &self.origin else { return None };
        blocks.iter().all(Block::is_run).then(|| blocks.iter().map(Block::elements).collect())
    }

    /// The same elements in the same order under another shape.
    ///
    /// # Errors
    /// A shape of another number of elements.
    pub fn reshape(self, shape: Vec<u64>) -> Result<Elements, String> {
        if count_of(&shape).is_none_or(|count| count != self.count()) {
            return Err(format!("{:?} cannot be reshaped to {shape:?}", self.shape));
        }
        if self.shape == shape {
            return Ok(self);
        }
        let reshaped = match &self.origin {
            Origin::Tensor(tensor) => tensor.reshaped(shape.clone()).map(Origin::Tensor),
            Origin::Drawn(drawing) => {
                Some(Origin::Drawn(drawing.clone().with_shape(shape.clone())))
            }
            Origin::Computed(computed) => Some(Origin::Computed(computed.clone())),
            Origin::Blocks(_) => None,
        };
        let origin = reshaped.unwrap_or_else(|| Origin::Blocks(self.blocks()));
        Ok(Elements { origin, dtype: self.dtype, shape })
    }

    /// The dimensions in another order, each of `axes` being one of this tensor.
    ///
    /// # Errors
    /// Axes that are not all of them, packed elements, and random numbers, which have an order.
    pub fn permute(self, axes: &[usize]) -> Result<Elements, String> {
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..self.shape.len()) {
            return Err(format!("{axes:?} does not order the dimensions of {:?}", self.shape));
        }
        if sorted == axes {
            return Ok(self);
        }
        let shape: Vec<u64> = axes.iter().map(|axis| self.shape[*axis]).collect();
        if let Origin::Tensor(tensor) = &self.origin {
            let turned = tensor.permuted(axes).ok_or_else(|| packed(&self.dtype))?;
            return Ok(Elements { origin: Origin::Tensor(turned), dtype: self.dtype, shape });
        }
        let mut becomes = sorted;
        for (new, old) in axes.iter().enumerate() {
            becomes[*old] = new;
        }
        let mut blocks = Vec::new();
        for mut aligned in self.aligned()? {
            aligned.elements.refuse_ordered("turned")?;
            aligned.at = axes.iter().map(|axis| aligned.at[*axis]).collect();
            aligned.axes.iter_mut().for_each(|axis| axis.dimension = becomes[axis.dimension]);
            blocks.push(aligned.within(&shape));
        }
        Elements::of_blocks(self.dtype, shape, blocks)
    }

    /// What a range of one dimension counts.
    ///
    /// # Errors
    /// A dimension or range that there is not, elements cut within a byte, and some of random numbers.
    pub fn slice(self, axis: usize, range: Range<u64>) -> Result<Elements, String> {
        let size = self.shape.get(axis).copied().unwrap_or(0);
        if range.start > range.end || range.end > size || axis >= self.shape.len() {
            let shape = &self.shape;
            return Err(format!("{shape:?} has no {}..{} in dim {axis}", range.start, range.end));
        }
        if range == (0..size) {
            return Ok(self);
        }
        let mut shape = self.shape.clone();
        shape[axis] = range.end - range.start;
        if let Origin::Tensor(tensor) = &self.origin {
            let cut = tensor.narrowed(axis, range).ok_or_else(|| packed(&self.dtype))?;
            return Ok(Elements { origin: Origin::Tensor(cut), dtype: self.dtype, shape });
        }
        if let Origin::Computed(computed) = &self.origin {
            let cut = computed.cut(&self.shape, axis, &range)?;
            return Ok(Elements { origin: Origin::Computed(cut), dtype: self.dtype, shape });
        }
        let mut kept = Vec::new();
        for aligned in self.aligned()? {
            aligned.cut(axis, &range, &mut kept)?;
        }
        kept.iter_mut().for_each(|aligned| aligned.at[axis] -= range.start);
        let blocks = kept.into_iter().map(|aligned| aligned.within(&shape)).collect();
        Elements::of_blocks(self.dtype, shape, blocks)
    }

    /// Tensors one after another along a dimension.
    ///
    /// # Errors
    /// No tensor at all, other types, and shapes that differ in another dimension.
    pub fn concat(axis: usize, parts: Vec<Elements>) -> Result<Elements, String> {
        let [first, ..] = parts.as_slice() else { return Err("nothing to join".into()) };
        let mut shape = first.shape.clone();
        let Some(all) = shape.get_mut(axis) else {
            return Err(format!("{:?} has no dim {axis}", first.shape));
        };
        *all = 0;
        for part in &parts {
            let (a, b) = (&first.shape, &part.shape);
            if a.len() != b.len() || (0..a.len()).any(|at| at != axis && a[at] != b[at]) {
                return Err(format!("{a:?} and {b:?} cannot be joined along dim {axis}"));
            }
            if part.dtype != first.dtype {
                return Err(format!("{} and {} cannot be joined", first.dtype, part.dtype));
            }
            shape[axis] = shape[axis].checked_add(part.shape[axis]).ok_or("too many elements")?;
        }
        count_of(&shape).ok_or("too many elements")?;
        let dtype = first.dtype.clone();
        let (mut blocks, mut start) = (Vec::new(), 0);
        for part in parts {
            let next = start + part.shape[axis];
            // What the outermost dimension counts is one run after another.
            if axis == 0 {
                let by = start * row_major_strides(&shape)[0];
                let own = part.blocks().into_iter();
                blocks.extend(own.map(|block| Block { offset: block.offset + by, ..block }));
            } else {
                for mut aligned in part.aligned()? {
                    aligned
                        .elements
                        .refuse_computed("joined along another dimension than the first")?;
                    aligned.at[axis] += start;
                    blocks.push(aligned.within(&shape));
                }
            }
            start = next;
        }
        Elements::of_blocks(dtype, shape, blocks)
    }

    /// Tensors of one shape as the entries of a new dimension.
    ///
    /// # Errors
    /// As [`Elements::concat`].
    pub fn stack(axis: usize, parts: Vec<Elements>) -> Result<Elements, String> {
        let mut lifted = Vec::new();
        for part in parts {
            let mut shape = part.shape.clone();
            if axis > shape.len() {
                return Err(format!("{shape:?} has no place for a new dim {axis}"));
            }
            shape.insert(axis, 1);
            lifted.push(part.reshape(shape)?);
        }
        Elements::concat(axis, lifted)
    }

    /// The elements of a tensor that is kept in parts.
    pub(super) fn assembled(
        dtype: DType,
        shape: Vec<u64>,
        blocks: &Blocks,
    ) -> Result<Elements, String> {
        let mut parts = Vec::new();
        for part in blocks.parts() {
            let elements = Elements::new(part.tensor.clone(), None)?;
            parts.push(Block::rectangle(elements, &part.at, blocks.shape()));
        }
        Elements::of_blocks(dtype, shape, parts)
    }

    /// A tensor made of these blocks.
    fn of_blocks(
        dtype: DType,
        shape: Vec<u64>,
        mut blocks: Vec<Block>,
    ) -> Result<Elements, String> {
        let bits = dtype.bits();
        let is_whole = |places: u64| (places % 8 * bits).is_multiple_of(8);
        let are_apart = blocks.iter().all(|block| {
            block.is_run() && is_whole(block.offset) && is_whole(block.elements.count())
        });
        if !bits.is_multiple_of(8) && !are_apart {
            return Err(packed(&dtype));
        }
        room(blocks.len())?;
        sorting::sort_by_key(&mut blocks, Block::offset);
        if let [only] = blocks.as_slice()
            && only.elements.shape == shape
            && only.strides == row_major_strides(&shape)
        {
            return Ok(blocks.remove(0).elements);
        }
        Ok(Elements { origin: Origin::Blocks(blocks), dtype, shape })
    }

    /// Refuses elements that come in one order alone.
    fn refuse_ordered(&self, done: &str) -> Result<(), String> {
        match &self.origin {
            Origin::Drawn(drawing) if !drawing.init().is_constant() => {
                Err(format!("{} is drawn in order, and cannot be {done}", drawing.init()))
            }
            _ => self.refuse_computed(done),
        }
    }

    fn refuse_computed(&self, done: &str) -> Result<(), String> {
        match &self.origin {
            Origin::Computed(_) => Err(cannot_be(done)),
            _ => Ok(()),
        }
    }

    fn aligned(&self) -> Result<Vec<Aligned>, String> {
        let mut aligned = Vec::new();
        for block in self.blocks() {
            align(block, &self.shape, &mut aligned)?;
        }
        Ok(aligned)
    }

    /// Elements of one origin under another shape, some of their dimensions split or gone.
    fn refined(&self, shape: Vec<u64>, strides: impl FnOnce(&[u64]) -> Vec<u64>) -> Elements {
        let origin = match &self.origin {
            Origin::Tensor(tensor) => {
                Origin::Tensor(tensor.refined(shape.clone(), strides).expect("the same elements"))
            }
            Origin::Drawn(drawing) => Origin::Drawn(drawing.clone().with_shape(shape.clone())),
            Origin::Computed(computed) => Origin::Computed(computed.clone()),
            Origin::Blocks(_) => unreachable!("a block has one origin"),
        };
        Elements { origin, dtype: self.dtype.clone(), shape }
    }

    /// The dimension `axis` as two, of which the inner one has `inner` entries.
    fn split(&self, axis: usize, inner: u64) -> Elements {
        let mut shape = self.shape.clone();
        shape[axis] /= inner;
        shape.insert(axis + 1, inner);
        self.refined(shape, |strides| {
            let mut strides = strides.to_vec();
            strides.insert(axis, strides[axis] * inner);
            strides
        })
    }

    /// The elements without a dimension of one entry.
    fn without(&self, axis: usize) -> Elements {
        let mut shape = self.shape.clone();
        shape.remove(axis);
        self.refined(shape, |strides| {
            let mut strides = strides.to_vec();
            strides.remove(axis);
            strides
        })
    }

    /// Some entries of a dimension of elements with one origin.
    fn narrowed(&self, axis: usize, range: Range<u64>) -> Result<Elements, String> {
        let mut shape = self.shape.clone();
        shape[axis] = range.end - range.start;
        let origin = match &self.origin {
            Origin::Tensor(tensor) => {
                Origin::Tensor(tensor.narrowed(axis, range).ok_or_else(|| packed(&self.dtype))?)
            }
            Origin::Drawn(drawing) => {
                self.refuse_ordered("cut")?;
                Origin::Drawn(drawing.clone().with_shape(shape.clone()))
            }
            Origin::Computed(computed) => {
                Origin::Computed(computed.cut(&self.shape, axis, &range)?)
            }
            Origin::Blocks(_) => unreachable!("a block has one origin"),
        };
        Ok(Elements { origin, dtype: self.dtype.clone(), shape })
    }
}

/// A block each of whose dimensions steps through one dimension of its tensor.
struct Aligned {
    /// The index of the first element in each dimension of the tensor.
    at: Vec<u64>,
    /// For each dimension of the block.
    axes: Vec<Axis>,
    elements: Elements,
}

/// Through which dimension of the tensor a block's own steps, and how far at a time.
#[derive(Clone, Copy)]
struct Axis {
    dimension: usize,
    step: u64,
}

impl Aligned {
    /// The block in a tensor of this shape.
    fn within(self, shape: &[u64]) -> Block {
        let all = row_major_strides(shape);
        let offset = self.at.iter().zip(&all).map(|(index, stride)| index * stride).sum();
        let strides = self.axes.iter().map(|axis| axis.step * all[axis.dimension]).collect();
        Block { offset, strides, elements: self.elements }
    }

    /// How far its elements reach beyond the first in a dimension.
    fn reach(&self, dimension: usize) -> u64 {
        let axes = self.axes.iter().zip(self.elements.shape());
        let of_it = axes.filter(|(axis, _)| axis.dimension == dimension);
        of_it.map(|(axis, size)| axis.step * (size - 1)).sum()
    }

    /// The block's dimension of the largest steps through one of the tensor.
    fn widest(&self, dimension: usize) -> Option<usize> {
        let of_it = (0..self.axes.len()).filter(|at| self.axes[*at].dimension == dimension);
        of_it.max_by_key(|at| self.axes[*at].step)
    }

    /// The parts of it within a range of one dimension.
    fn cut(
        self,
        dimension: usize,
        range: &Range<u64>,
        kept: &mut Vec<Aligned>,
    ) -> Result<(), String> {
        let first = self.at[dimension];
        let last = first + self.reach(dimension);
        if last < range.start || first >= range.end {
            return Ok(());
        }
        if first >= range.start && last < range.end {
            kept.push(self);
            return room(kept.len());
        }
        let widest = self.widest(dimension).expect("what is cut has more than one entry");
        let (step, size) = (self.axes[widest].step, self.elements.shape()[widest]);
        if step * (size - 1) == last - first {
            let from = range.start.saturating_sub(first).div_ceil(step);
            let to = ((range.end - 1 - first) / step + 1).min(size);
            if from < to {
                let mut at = self.at;
                at[dimension] += from * step;
                let elements = self.elements.narrowed(widest, from..to)?;
                kept.push(Aligned { at, axes: self.axes, elements });
            }
            return room(kept.len());
        }
        for index in 0..size {
            let (mut at, mut axes) = (self.at.clone(), self.axes.clone());
            at[dimension] += index * step;
            axes.remove(widest);
            let elements = self.elements.narrowed(widest, index..index + 1)?.without(widest);
            Aligned { at, axes, elements }.cut(dimension, range, kept)?;
        }
        Ok(())
    }
}

fn packed(dtype: &DType) -> String {
    format!("{dtype} elements are packed, and can only be cut between whole bytes")
}

fn room(blocks: usize) -> Result<(), String> {
    if blocks > MAX_BLOCKS {
        return Err(format!("it would be cut into more than {MAX_BLOCKS} parts"));
    }
    Ok(())
}

/// Adds the block, or the parts into which it must be cut, as seen from the dimensions of its tensor.
fn align(mut block: Block, shape: &[u64], aligned: &mut Vec<Aligned>) -> Result<(), String> {
    room(aligned.len())?;
    let all = row_major_strides(shape);
    let mut axes = Vec::new();
    while axes.len() < block.strides.len() {
        let i = axes.len();
        let (size, stride) = (block.elements.shape()[i], block.strides[i]);
        if size == 1 {
            block.strides.remove(i);
            block.elements = block.elements.without(i);
            continue;
        }
        let dimension = (0..shape.len()).find(|at| shape[*at] > 1 && all[*at] <= stride);
        let dimension = dimension.expect("the elements of a block are at places of their own");
        let (step, rest) = (stride / all[dimension], stride % all[dimension]);
        let inner = shape[dimension] / step;
        if rest == 0 && step * (size - 1) < shape[dimension] {
            axes.push(Axis { dimension, step });
        } else if rest == 0 && shape[dimension].is_multiple_of(step) && size.is_multiple_of(inner) {
            block.elements = block.elements.split(i, inner);
            block.strides.insert(i, stride * inner);
        } else {
            return explode(&block, i, shape, aligned);
        }
    }
    let at = shape.iter().zip(&all).map(|(size, stride)| block.offset / stride % size).collect();
    let found = Aligned { at, axes, elements: block.elements };
    let crossed = (0..shape.len()).find(|&at| found.at[at] + found.reach(at) >= shape[at]);
    match crossed.and_then(|dimension| found.widest(dimension)) {
        Some(axis) => {
            let block = Block { elements: found.elements, ..block };
            explode(&block, axis, shape, aligned)
        }
        None => {
            aligned.push(found);
            Ok(())
        }
    }
}

/// The same for each entry of one of the block's dimensions by itself.
fn explode(
    block: &Block,
    axis: usize,
    shape: &[u64],
    aligned: &mut Vec<Aligned>,
) -> Result<(), String> {
    for index in 0..block.elements.shape()[axis] {
        let mut strides = block.strides.clone();
        let offset = block.offset + index * strides.remove(axis);
        let elements = block.elements.narrowed(axis, index..index + 1)?.without(axis);
        align(Block { offset, strides, elements }, shape, aligned)?;
    }
    Ok(())
}
