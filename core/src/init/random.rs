//! Elements that are made as they are written.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::{
    DType,
    init::{Init, counted_to},
};

/// Elements that no file has: what is to be drawn, and from which stream of numbers.
///
/// The type has room for the numbers, and an initialiser that needs [`Fans`] has them;
/// its constructor sees to it.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomInit {
    init: Init,
    dtype: DType,
    shape: Vec<u64>,
    fans: Option<Fans>,
    /// The last two dimensions of the whole tensor, by which elements go that go by their places.
    matrix: [u64; 2],
    stream: Stream,
}

/// Where random numbers come from: a seed, and a name that gives each tensor numbers of its own.
///
/// So a tensor's elements do not depend on which others are drawn, nor in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The same seed gives the same numbers.
    pub seed: u64,
    /// The tensor's key.
    pub key: String,
}

/// How many numbers go into one output of a layer, and how many outputs one input goes into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fans {
    /// Numbers that are summed up in one output.
    pub incoming: u64,
    /// Outputs that one number has a part in.
    pub outgoing: u64,
}

impl Fans {
    /// The fans of a weight, counted as `torch.nn.init` counts them: the first dimension is that of
    /// the outputs, the second that of the inputs, those after it are the kernel's.
    ///
    /// None for fewer than two dimensions.
    pub fn of(shape: &[u64]) -> Option<Fans> {
        let [outputs, inputs, kernel @ ..] = shape else { return None };
        let field = kernel.iter().fold(1u64, |field, size| field.saturating_mul(*size));
        Some(Fans {
            incoming: inputs.saturating_mul(field),
            outgoing: outputs.saturating_mul(field),
        })
    }
}

impl RandomInit {
    /// The first `rows` of a tensor of this type and shape, or all of it.
    ///
    /// # Errors
    /// Why a tensor of this type and shape cannot be made so.
    pub(super) fn new(
        init: Init,
        dtype: &DType,
        shape: &[u64],
        stream: Stream,
    ) -> Result<RandomInit, String> {
        let fans = Fans::of(shape);
        RandomInit::of_whole(init, dtype.clone(), shape.to_vec(), fans, stream)
    }

    /// A part, of this shape, of a tensor with these fans.
    ///
    /// # Errors
    /// Why such a tensor cannot be made so.
    pub(crate) fn of_whole(
        init: Init,
        dtype: DType,
        shape: Vec<u64>,
        fans: Option<Fans>,
        stream: Stream,
    ) -> Result<RandomInit, String> {
        if init == Init::Target {
            return Err(alloc::format!("{init} is not a way to make elements"));
        }
        if let Some(why) = init.misfit(&dtype) {
            return Err(why);
        }
        check_pattern(init, &dtype, &shape)?;
        let needs_fans = matches!(init, Init::XavierUniform | Init::KaimingUniform { .. });
        if needs_fans && fans.is_none() {
            return Err(alloc::format!("{init} needs two dimensions, and the shape is {shape:?}"));
        }
        let matrix = match shape.as_slice() {
            [.., rows, columns] => [*rows, *columns],
            [columns] => [1, *columns],
            [] => [1, 1],
        };
        Ok(RandomInit { init, dtype, shape, fans, matrix, stream })
    }

    /// What a filling says: elements that are the same whatever the seed.
    ///
    /// # Errors
    /// Why a tensor of this type and shape cannot be made so.
    pub(crate) fn fixed(init: Init, dtype: DType, shape: Vec<u64>) -> Result<RandomInit, String> {
        let fans = Fans::of(&shape);
        RandomInit::of_whole(init, dtype, shape, fans, Stream::new(0, ""))
    }

    /// A part of this shape; the fans stay those of the whole tensor.
    pub(crate) fn with_shape(self, shape: Vec<u64>) -> RandomInit {
        RandomInit { shape, ..self }
    }

    /// The same numbers in another type.
    pub(crate) fn with_dtype(self, dtype: DType) -> RandomInit {
        RandomInit { dtype, ..self }
    }

    /// How the elements are made; never [`Init::Target`].
    pub fn init(&self) -> Init {
        self.init
    }

    /// The type of the elements.
    pub fn dtype(&self) -> &DType {
        &self.dtype
    }

    /// The size in each dimension of what is drawn.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The fans of the tensor; none for fewer than two dimensions.
    pub fn fans(&self) -> Option<Fans> {
        self.fans
    }

    /// The last two dimensions of the whole tensor, rows and columns.
    pub fn matrix(&self) -> [u64; 2] {
        self.matrix
    }

    /// Where the random numbers come from.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }
}

/// Holds elements that go by their places against the shape.
fn check_pattern(init: Init, dtype: &DType, shape: &[u64]) -> Result<(), String> {
    match (init, shape) {
        (Init::Triangle, [] | [_]) => {
            Err(alloc::format!("{init} needs two dimensions, and the shape is {shape:?}"))
        }
        (Init::Arange, []) => Err(alloc::format!("{init} needs a dimension to count along")),
        (Init::Arange, [.., last]) => {
            // Types that do not count were refused before.
            if counted_to(dtype).is_none_or(|most| last.saturating_sub(1) <= most) {
                return Ok(());
            }
            Err(alloc::format!("{dtype} does not hold every number to {}", last - 1))
        }
        _ => Ok(()),
    }
}

impl Stream {
    /// The numbers of one tensor.
    pub(super) fn new(seed: u64, key: &str) -> Stream {
        Stream { seed, key: key.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `torch.nn.init._calculate_fan_in_and_fan_out` counts.
    #[test]
    fn fans_are_counted_as_pytorch_counts_them() {
        let check = |shape: &[u64], expected: Option<(u64, u64)>| {
            let fans = Fans::of(shape).map(|fans| (fans.incoming, fans.outgoing));
            assert_eq!(fans, expected, "{shape:?}");
        };
        check(&[], None);
        check(&[7], None);
        check(&[200, 1024], Some((1024, 200)));
        check(&[64, 3, 7, 7], Some((147, 3136)));
        check(&[u64::MAX, 2, 2], Some((4, u64::MAX)));
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        let check = |init: &str, dtype: DType, shape: &[u64], expected: Option<&str>| {
            let init = init.parse().expect("an initialiser");
            let drawing = RandomInit::new(init, &dtype, shape, Stream::new(0, "k"));
            assert_eq!(drawing.err().as_deref(), expected);
        };
        check("xavier_uniform", DType::F32, &[2, 3], None);
        let why = "xavier_uniform needs two dimensions, and the shape is [3]";
        check("xavier_uniform", DType::F32, &[3], Some(why));
        check("normal(0,1)", DType::F32, &[], None);
        check("constant(1)", DType::F4, &[2], Some("F4 does not hold 1"));
    }
}
