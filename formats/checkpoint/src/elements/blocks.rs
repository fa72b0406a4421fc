//! Tensors made of blocks of others, delivered in row-major order.
//!
//! The tensor is made window by window. Of each block that has elements in a window, those are
//! gathered from where they are stored and put in their places; so memory stays the window's, however
//! the tensor is put together.

use std::ops::Range;
use std::sync::Arc;

use statedict_core::{Block, Elements, Origin, Source, Storage, Tensor};

use super::draw::Drawn;
use super::gather::{BUDGET, unit_of};
use super::losses::Losses;
use super::scatter::scatter;
use super::window::size;
use super::{PIECE, Sink, StreamError, is_stored, item, place, stream_counting};
use crate::elements::axes::Axis;

/// Delivers the elements to `sink`, some at a time; gives what they lost.
pub(crate) fn stream(
    source: &dyn Source,
    elements: &Elements,
    blocks: &[Block],
    sink: &mut Sink<'_>,
) -> Result<Losses, StreamError> {
    if let Some(fault) = super::obstacle(elements) {
        return Err(fault.into());
    }
    if let Some(runs) = elements.runs() {
        return runs.into_iter().map(|run| stream_counting(source, run, sink)).sum();
    }
    let window = (BUDGET.block / item(elements.dtype())).max(1);
    in_windows(source, elements, blocks, window, sink)
}

/// Fills a buffer with the elements at these places, all of whose blocks are stored tensors; gives what
/// they lost.
pub(crate) fn fill(
    source: &dyn Source,
    elements: &Elements,
    range: Range<u64>,
    into: &mut [u8],
) -> Result<Losses, StreamError> {
    let Origin::Blocks(blocks) = elements.origin() else {
        unreachable!("the elements are made of blocks")
    };
    let before_end = blocks.partition_point(|block| block.offset() < range.end);
    let mut losses = Losses::default();
    for block in blocks[..before_end].iter().filter(|block| block.span().end > range.start) {
        let item = item(elements.dtype());
        let mut target = Window { range: range.clone(), item, bytes: &mut *into };
        losses += Part::new(source, block, true)?.fill(&mut target)?;
    }
    Ok(losses)
}

fn in_windows(
    source: &dyn Source,
    elements: &Elements,
    blocks: &[Block],
    window: u64,
    sink: &mut Sink<'_>,
) -> Result<Losses, StreamError> {
    let item = item(elements.dtype());
    let (count, is_one) = (elements.count(), elements.count() <= window);
    let mut coming = blocks.iter().peekable();
    let mut open = Vec::<Part>::new();
    let mut window_bytes = Vec::new();
    let mut losses = Losses::default();
    for start in (0..count).step_by(size(window)) {
        let range = start..count.min(start + window);
        open.retain(|part| part.span.end > range.start);
        while let Some(block) = coming.next_if(|block| block.offset() < range.end) {
            open.push(Part::new(source, block, is_one)?);
        }
        window_bytes.clear();
        window_bytes.resize(size((range.end - range.start) * item), 0);
        let mut target = Window { range, item, bytes: &mut window_bytes };
        for part in &mut open {
            losses += part.fill(&mut target)?;
        }
        for piece in window_bytes.chunks(size(PIECE)) {
            sink(piece).map_err(StreamError::Sink)?;
        }
    }
    Ok(losses)
}

/// Some elements of the tensor, in memory.
struct Window<'a> {
    /// Their places among all of the tensor's.
    range: Range<u64>,
    /// Bytes of an element.
    item: u64,
    bytes: &'a mut [u8],
}

/// A block, ready to give elements to one window after another.
struct Part<'a> {
    supply: Supply<'a>,
    /// The places in the tensor from its first element to its last.
    span: Range<u64>,
    /// Sizes, and the distances of neighbours in the tensor; the longest come first.
    axes: Vec<(u64, u64)>,
}

/// What a block's elements come from.
enum Supply<'a> {
    Stored(&'a dyn Source, Elements),
    /// What a formula gives, row by row.
    Computed(&'a dyn Source, Elements),
    /// Unpacked and cast, for a packed storage is read from its start each time.
    Held(Vec<u8>, Elements),
    Drawn(Box<Drawn>),
}

impl<'a> Part<'a> {
    fn new(source: &'a dyn Source, block: &Block, is_only: bool) -> Result<Part<'a>, StreamError> {
        let elements = block.elements();
        let mut order: Vec<usize> = (0..block.strides().len()).collect();
        order.sort_by_key(|axis| std::cmp::Reverse(block.strides()[*axis]));
        let axes =
            order.iter().map(|axis| (elements.shape()[*axis], block.strides()[*axis])).collect();
        let supply = match elements.origin() {
            Origin::Drawn(drawing) => Supply::Drawn(Box::new(Drawn::new(drawing))),
            Origin::Tensor(tensor) if is_only || is_stored(tensor) => {
                Supply::Stored(source, turned(elements.clone(), &order))
            }
            Origin::Computed(_) => Supply::Computed(source, turned(elements.clone(), &order)),
            _ => {
                let mut bytes = Vec::new();
                super::stream(source, elements, &mut |piece| {
                    bytes.extend_from_slice(piece);
                    Ok(())
                })?;
                let held = in_memory(elements, bytes.len() as u64);
                Supply::Held(bytes, turned(held, &order))
            }
        };
        Ok(Part { supply, span: block.span(), axes })
    }

    /// Puts what the window has of it in its places.
    fn fill(&mut self, window: &mut Window<'_>) -> Result<Losses, StreamError> {
        let mut boxes = Vec::new();
        let mut whole: Vec<Range<u64>> = self.axes.iter().map(|(size, _)| 0..*size).collect();
        self.meet(0, self.span.start, &window.range, &mut whole, &mut boxes);
        boxes.iter().map(|(first, ranges)| self.put(*first, ranges, window)).sum()
    }

    /// The indices of each axis from `depth` on for which elements are in a range of the tensor, in as
    /// few boxes as hold no others; `first` is the place of the first.
    fn meet(
        &self,
        depth: usize,
        first: u64,
        range: &Range<u64>,
        ranges: &mut Vec<Range<u64>>,
        boxes: &mut Vec<(u64, Vec<Range<u64>>)>,
    ) {
        let reach = self.reach(depth);
        if first >= range.end || first + reach < range.start {
            return;
        }
        if first >= range.start && first + reach < range.end {
            boxes.push((first, ranges.clone()));
            return;
        }
        // A single element is within the range or outside of it.
        let (count, stride) = self.axes[depth];
        let inner = self.reach(depth + 1);
        let whole = range.start.saturating_sub(first).div_ceil(stride);
        let met = (range.end - first).div_ceil(stride).min(count);
        let within = (range.end - first).checked_sub(inner + 1).map_or(0, |room| room / stride + 1);
        let within = within.min(met);
        let before = range.start.saturating_sub(first + inner).div_ceil(stride);
        let mut index = before;
        while index < met {
            let is_whole = index >= whole && index < within;
            let next = if is_whole { within } else { index + 1 };
            ranges[depth] = index..next;
            let place = first + index * stride;
            if is_whole {
                boxes.push((place, ranges.clone()));
            } else {
                self.meet(depth + 1, place, range, ranges, boxes);
            }
            index = next;
        }
        ranges[depth] = 0..count;
    }

    /// From the first element of the axes from `depth` on to their last, as places in the tensor.
    fn reach(&self, depth: usize) -> u64 {
        self.axes[depth..].iter().map(|(count, stride)| (count - 1) * stride).sum()
    }

    /// Puts the elements of one box into the window, the first of them at a place of the tensor.
    fn put(
        &mut self,
        first: u64,
        ranges: &[Range<u64>],
        window: &mut Window<'_>,
    ) -> Result<Losses, StreamError> {
        let counts: Vec<u64> = ranges.iter().map(|range| range.end - range.start).collect();
        let len = size(counts.iter().product::<u64>() * window.item);
        let at = size((first - window.range.start) * window.item);
        if let Supply::Stored(source, elements) = &self.supply {
            let targets: Vec<u64> = self.axes.iter().map(|(_, stride)| *stride).collect();
            return place(*source, &part(elements, ranges), &targets, &mut window.bytes[at..]);
        }
        let axes = self.scattered(&counts);
        if axes.iter().all(|axis| axis.source == axis.target) {
            return self.supply.read(ranges, &mut window.bytes[at..at + len]);
        }
        let mut gathered = vec![0; len];
        let losses = self.supply.read(ranges, &mut gathered)?;
        scatter_elements(window.item, &gathered, &mut window.bytes[at..], axes);
        Ok(losses)
    }

    /// The axes of a box: its own elements one after another, and their places in the tensor.
    fn scattered(&self, counts: &[u64]) -> Vec<Axis> {
        let targets: Vec<u64> = self.axes.iter().map(|(_, stride)| *stride).collect();
        scattered(counts, &targets)
    }
}

impl Supply<'_> {
    /// Fills the buffer with the elements of these ranges of the axes, cast as they are to be.
    fn read(&mut self, ranges: &[Range<u64>], into: &mut [u8]) -> Result<Losses, StreamError> {
        let mut filled = 0;
        let mut fill = |bytes: &[u8]| {
            into[filled..filled + bytes.len()].copy_from_slice(bytes);
            filled += bytes.len();
            Ok(())
        };
        match self {
            Supply::Stored(source, elements) | Supply::Computed(source, elements) => {
                stream_counting(*source, &part(elements, ranges), &mut fill)
            }
            Supply::Held(bytes, elements) => {
                stream_counting(&bytes.as_slice(), &part(elements, ranges), &mut fill)
            }
            Supply::Drawn(numbers) => {
                let count = ranges.iter().map(|range| range.end - range.start).product();
                numbers.deliver(count, &mut fill).map_err(StreamError::Sink)?;
                Ok(Losses::default())
            }
        }
    }
}

/// The axes of elements that are one after another, and neighbours of which go so far apart.
pub(super) fn scattered(shape: &[u64], targets: &[u64]) -> Vec<Axis> {
    let own = statedict_core::row_major_strides(shape);
    let axes = shape.iter().zip(own).zip(targets);
    let axes = axes.map(|((size, source), target)| Axis { size: *size, source, target: *target });
    axes.filter(|axis| axis.size != 1).collect()
}

/// What these ranges of the axes have of a tensor.
fn part(elements: &Elements, ranges: &[Range<u64>]) -> Elements {
    let mut ranges = ranges.iter().enumerate();
    let part =
        ranges.try_fold(elements.clone(), |part, (axis, range)| part.slice(axis, range.clone()));
    part.expect("a part of a tensor whose elements are whole bytes")
}

/// Puts elements of `item` bytes, which are one after another, in their places; the axes are counted
/// in elements.
pub(super) fn scatter_elements(item: u64, gathered: &[u8], into: &mut [u8], axes: Vec<Axis>) {
    let unit = unit_of(item);
    let units = item / unit;
    let mut axes: Vec<Axis> = axes
        .into_iter()
        .map(|axis| Axis { source: axis.source * units, target: axis.target * units, ..axis })
        .collect();
    axes.push(Axis { size: units, source: 1, target: 1 });
    scatter(unit, gathered, into, &axes);
}

fn turned(elements: Elements, order: &[usize]) -> Elements {
    elements.permute(order).expect("the dimensions of a stored tensor in another order")
}

/// Elements of this type and shape that are the bytes of memory.
fn in_memory(elements: &Elements, len: u64) -> Elements {
    let strides = statedict_core::row_major_strides(elements.shape());
    let storage = Arc::new(Storage::stored(0..len));
    let (dtype, shape) = (elements.dtype().clone(), elements.shape().to_vec());
    let tensor = Tensor::view(dtype, shape, strides, 0, storage).expect("all of the bytes");
    Elements::new(tensor, None).expect("a view")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elements::portions::tests::in_portions;
    use ndarray::{ArrayD, Axis as Dimension, IxDyn, Slice, concatenate, stack};
    use proptest::prelude::{Strategy, any, prop_oneof, proptest};
    use statedict_core::DType;
    use statedict_core::init::{InitRule, Initialiser, Needed};

    /// One step of putting tensors together; numbers are taken modulo what there is.
    #[derive(Clone, Debug)]
    enum Step {
        Slice(usize, u64, u64),
        Permute(Vec<u8>),
        Reshape(Vec<u64>),
        Concat(usize, u64),
        Stack(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (any::<usize>(), any::<u64>(), any::<u64>()).prop_map(|(a, b, c)| Step::Slice(a, b, c)),
            proptest::collection::vec(any::<u8>(), 6).prop_map(Step::Permute),
            proptest::collection::vec(1u64..5, 0..4).prop_map(Step::Reshape),
            (any::<usize>(), any::<u64>()).prop_map(|(a, b)| Step::Concat(a, b)),
            any::<usize>().prop_map(Step::Stack),
        ]
    }

    /// What a tensor is by the definition of each step, and as it is put together here.
    #[derive(Clone)]
    struct Twin {
        model: ArrayD<u16>,
        made: Elements,
    }

    impl Twin {
        fn new(shape: &[u64], first: u64) -> Twin {
            let sizes: Vec<usize> = shape.iter().map(|size| *size as usize).collect();
            let numbers = (0..shape.iter().product::<u64>()).map(|i| (first + i) as u16).collect();
            let model = ArrayD::from_shape_vec(IxDyn(&sizes), numbers).expect("a shape");
            let strides = statedict_core::row_major_strides(shape);
            let storage = Arc::new(Storage::stored(0..20_000));
            let tensor = Tensor::view(DType::U16, shape.into(), strides, first, storage);
            Twin { model, made: Elements::new(tensor.expect("within"), None).expect("plain") }
        }

        /// The step done to both, or nothing where there is no such step.
        fn after(&self, step: &Step) -> Option<Twin> {
            let (rank, made) = (self.model.ndim(), self.made.clone());
            let shape = self.made.shape().to_vec();
            match step {
                Step::Slice(axis, from, to) => {
                    let axis = axis % rank.max(1);
                    let size = *shape.get(axis)?;
                    let from = from % size;
                    let range = from..from + 1 + to % (size - from);
                    let cut = Slice::from(range.start as usize..range.end as usize);
                    let model = self.model.slice_axis(Dimension(axis), cut).to_owned();
                    Some(Twin { model, made: made.slice(axis, range).expect("a part") })
                }
                Step::Permute(keys) => {
                    let mut axes: Vec<usize> = (0..rank).collect();
                    axes.sort_by_key(|axis| keys.get(*axis).copied());
                    let model = self.model.clone().permuted_axes(IxDyn(&axes));
                    let model = model.as_standard_layout().to_owned();
                    Some(Twin { model, made: made.permute(&axes).expect("an order") })
                }
                Step::Reshape(factors) => {
                    let (mut left, mut shape) = (made.count(), Vec::new());
                    for factor in factors.iter().filter(|factor| **factor > 0) {
                        if left % factor == 0 {
                            shape.push(*factor);
                            left /= factor;
                        }
                    }
                    shape.push(left);
                    let sizes: Vec<usize> = shape.iter().map(|size| *size as usize).collect();
                    let model = self.model.to_shape(IxDyn(&sizes)).expect("as many").to_owned();
                    Some(Twin { model, made: made.reshape(shape).expect("as many") })
                }
                Step::Concat(axis, size) if made.count() < 2_000 => {
                    let axis = axis % rank.max(1);
                    let mut other = shape;
                    *other.get_mut(axis)? = 1 + size % 3;
                    let other = Twin::new(&other, 7_000);
                    let both = [self.model.view(), other.model.view()];
                    let model = concatenate(Dimension(axis), &both).expect("alike");
                    let made = Elements::concat(axis, vec![made, other.made]).expect("alike");
                    Some(Twin { model, made })
                }
                Step::Stack(axis) if made.count() < 2_000 && rank < 6 => {
                    let axis = axis % (rank + 1);
                    let model = stack(Dimension(axis), &[self.model.view(), self.model.view()]);
                    let made = Elements::stack(axis, vec![made.clone(), made]).expect("alike");
                    Some(Twin { model: model.expect("alike"), made })
                }
                Step::Concat(..) | Step::Stack(_) => None,
            }
        }
    }

    fn streamed(made: &Elements, window: u64) -> Vec<u8> {
        let file: Vec<u8> = (0..10_000u16).flat_map(u16::to_le_bytes).collect();
        let mut out = Vec::new();
        let mut sink = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok(())
        };
        let done = match made.origin() {
            Origin::Blocks(blocks) => {
                in_windows(&file.as_slice(), made, blocks, window, &mut sink).map(drop)
            }
            _ => crate::elements::stream(&file.as_slice(), made, &mut sink),
        };
        done.expect("readable");
        out
    }

    proptest! {
        #[test]
        fn tensors_put_together_are_what_each_step_says(
            shape in proptest::collection::vec(1u64..5, 1..4),
            steps in proptest::collection::vec(step(), 0..7),
            window in 1u64..40,
        ) {
            let mut twin = Twin::new(&shape, 3);
            for step in &steps {
                twin = twin.after(step).unwrap_or(twin);
            }
            let expected: Vec<u8> = twin.model.iter().flat_map(|n| n.to_le_bytes()).collect();
            let sizes: Vec<u64> = twin.model.shape().iter().map(|size| *size as u64).collect();
            assert_eq!(twin.made.shape(), sizes);
            assert_eq!(streamed(&twin.made, window), expected);
            assert_eq!(streamed(&twin.made, 1 << 20), expected);
            let file: Vec<u8> = (0..10_000u16).flat_map(u16::to_le_bytes).collect();
            let portions = in_portions(&file, &twin.made, window);
            assert_eq!(portions, Some(expected));
        }
    }

    /// A tensor of bytes counted up from `start`, its dimensions in the order of its strides.
    fn bytes(shape: &[u64], strides: &[u64], start: u64) -> Tensor {
        let storage = Arc::new(Storage::stored(start..200));
        Tensor::view(DType::U8, shape.into(), strides.into(), 0, storage).expect("within")
    }

    fn resized(source: &Tensor, target: &Tensor, init: &str, dimensions: &[usize]) -> Vec<u8> {
        let rule = InitRule::parse(&format!("k={init}"), '.').expect("a rule");
        let initialiser = Initialiser { rules: vec![rule], seed: 0 };
        let shape = &target.shape;
        let needed = Needed { key: "k", dtype: &DType::U8, shape, target: Some(target) };
        let made = initialiser.resize(("s", source), None, needed, dimensions).expect("resized");
        let tensor = |_, key: &str| Some(if key == "s" { source } else { target });
        let made = made.evaluate(&tensor).expect("there");
        assert_eq!(made.shape(), shape);
        let file: Vec<u8> = (0..200).collect();
        let mut out = Vec::new();
        let streamed = crate::elements::stream(&&file[..], &made, &mut |bytes| {
            out.extend_from_slice(bytes);
            Ok(())
        });
        assert!(streamed.is_ok() && out.len() as u64 == made.byte_len());
        out
    }

    #[test]
    fn columns_are_kept_and_others_stand_beside_them() {
        let source = bytes(&[2, 2], &[2, 1], 0);
        let target = bytes(&[2, 3], &[3, 1], 100);
        assert_eq!(resized(&source, &target, "constant(9)", &[1]), [0, 1, 9, 2, 3, 9]);
        assert_eq!(resized(&source, &target, "target", &[1]), [0, 1, 102, 2, 3, 105]);
        let narrow = bytes(&[2, 1], &[1, 1], 100);
        assert_eq!(resized(&source, &narrow, "zeros", &[1]), [0, 2]);
    }

    #[test]
    fn several_dimensions_are_resized_at_once() {
        let source = bytes(&[1, 2, 1, 2], &[4, 2, 2, 1], 0);
        let target = bytes(&[2, 2, 2, 3], &[12, 6, 3, 1], 100);
        let expected =
            [[0, 1, 102, 103, 104, 105, 2, 3, 108, 109, 110, 111].to_vec(), (112..124).collect()];
        assert_eq!(resized(&source, &target, "target", &[0, 2, 3]), expected.concat());
        let smaller = bytes(&[1, 1, 1, 3], &[3, 3, 3, 1], 100);
        assert_eq!(resized(&source, &smaller, "constant(7)", &[1, 3]), [0, 1, 7]);
    }

    #[test]
    fn strides_of_either_side_are_followed() {
        let source = bytes(&[2, 2], &[1, 2], 0);
        let target = bytes(&[2, 3], &[1, 2], 100);
        assert_eq!(resized(&source, &target, "target", &[1]), [0, 2, 104, 1, 3, 105]);
    }

    #[test]
    fn a_side_without_elements_leaves_the_other() {
        let source = bytes(&[2, 0], &[1, 1], 0);
        let target = bytes(&[2, 2], &[2, 1], 100);
        assert_eq!(resized(&source, &target, "target", &[1]), [100, 101, 102, 103]);
    }
}
