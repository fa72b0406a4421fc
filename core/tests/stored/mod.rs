//! Where the elements of a new tensor are in the old file.

use statedict_core::{Elements, Origin, row_major_strides};

/// Where each element is stored, in row-major order.
pub(crate) fn of_each(elements: &Elements) -> Vec<u64> {
    let mut all = vec![u64::MAX; elements.count() as usize];
    for block in elements.blocks() {
        let Origin::Tensor(tensor) = block.elements().origin() else { panic!("stored") };
        let view = tensor.as_view().expect("a view");
        let own = row_major_strides(&tensor.shape);
        for number in 0..tensor.count() {
            let (mut to, mut from) = (block.offset(), view.offset());
            for (axis, size) in tensor.shape.iter().enumerate() {
                let index = number / own[axis] % size;
                to += index * block.strides()[axis];
                from += index * view.strides()[axis];
            }
            all[to as usize] = from;
        }
    }
    all
}
