//! How tensors are made that no file has: all one number, or drawn at random.
//!
//! What a rule says is read here and held against the tensor it is to make; the numbers themselves
//! are drawn as the file is written, by whoever writes it.

mod fill;
mod random;
mod spelling;

pub use fill::{Initialiser, Needed, NotMade, ResizeRule};
pub use random::{Fans, RandomInit, Stream};
pub use spelling::BadInit;

use alloc::string::String;
use core::ops::Range;

use crate::{DType, Template};

/// How the elements of a new tensor are made.
///
/// The names are those of `torch.nn.init`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All the same number; `zeros` and `ones` are constants too. Infinities are fine, NaN is not.
    Constant(f64),
    /// Drawn evenly from `low` to `high`, `high` itself excepted.
    Uniform {
        /// The lowest number.
        low: f64,
        /// The number above all.
        high: f64,
    },
    /// Drawn from a normal distribution.
    Normal {
        /// Its mean.
        mean: f64,
        /// Its standard deviation, at least 0.
        deviation: f64,
    },
    /// Drawn evenly from ±√(6 / (fan in + fan out)), as Glorot and Bengio do.
    XavierUniform,
    /// Drawn evenly from ±√(6 / ((1 + slope²) · fan in)), as He and others do.
    KaimingUniform {
        /// The slope of the leaky ReLU that follows below 0; 0 is `torch.nn.init`'s default, √5 what
        /// `nn.Linear` and the convolutions take.
        slope: f64,
    },
    /// 0, 1, 2, … along the last dimension.
    Arange,
    /// 1 on and below the diagonal of the last two dimensions, 0 above it.
    Triangle,
    /// The elements that the target has under the key, as they are.
    Target,
}

/// The keys that are made in some way.
#[derive(Clone, Debug, PartialEq)]
pub struct InitRule {
    /// The keys.
    pub pattern: Template,
    /// How their tensors are made.
    pub init: Init,
}

impl Init {
    /// All elements 0.
    pub const ZEROS: Init = Init::Constant(0.0);
    /// All elements 1.
    pub const ONES: Init = Init::Constant(1.0);

    /// True if no number is drawn: the elements are the same whatever the seed.
    pub fn is_fixed(&self) -> bool {
        matches!(self, Init::Constant(_) | Init::Arange | Init::Triangle)
    }

    /// True if all elements are the same number.
    pub fn is_constant(&self) -> bool {
        matches!(self, Init::Constant(_))
    }

    /// Why tensors of this type cannot be made so, if they cannot.
    pub(crate) fn misfit(&self, dtype: &DType) -> Option<String> {
        let is_drawn = matches!(
            self,
            Init::Uniform { .. }
                | Init::Normal { .. }
                | Init::XavierUniform
                | Init::KaimingUniform { .. }
        );
        match self {
            Init::Constant(number) if !holds(dtype, *number) => {
                Some(alloc::format!("{dtype} does not hold {}", spelling::Short(*number)))
            }
            Init::Triangle if !holds(dtype, 1.0) => Some(alloc::format!("{dtype} does not hold 1")),
            Init::Arange if counted_to(dtype).is_none() => {
                Some(alloc::format!("{dtype} is not a type that counts"))
            }
            _ if is_drawn && !is_drawable(dtype) => Some(alloc::format!(
                "numbers are drawn for F16, BF16, F32 and F64, and this is {dtype}"
            )),
            _ => None,
        }
    }
}

fn is_drawable(dtype: &DType) -> bool {
    matches!(dtype, DType::F16 | DType::Bf16 | DType::F32 | DType::F64)
}

/// The largest number up to which a type holds every whole one; none for types that do not count.
fn counted_to(dtype: &DType) -> Option<u64> {
    Some(match dtype {
        DType::F16 => 1 << 11,
        DType::Bf16 => 1 << 8,
        DType::F32 => 1 << 24,
        DType::F64 => 1 << 53,
        DType::U8 => u64::from(u8::MAX),
        DType::I8 => i8::MAX as u64,
        DType::U16 => u64::from(u16::MAX),
        DType::I16 => i16::MAX as u64,
        DType::U32 => u64::from(u32::MAX),
        DType::I32 => i32::MAX as u64,
        DType::U64 | DType::I64 => i64::MAX as u64,
        _ => return None,
    })
}

/// True if a type has room for a number, which a float may round.
fn holds(dtype: &DType, number: f64) -> bool {
    const F16_MAX: f64 = 65504.0;
    const BF16_MAX: f64 = 3.389_531_389_251_535_5e38;
    let is_whole_in = |range: Range<f64>| number % 1.0 == 0.0 && range.contains(&number);
    match dtype {
        DType::F16 => number.is_infinite() || number.abs() <= F16_MAX,
        DType::Bf16 => number.is_infinite() || number.abs() <= BF16_MAX,
        DType::F32 | DType::C64 => number.is_infinite() || number.abs() <= f64::from(f32::MAX),
        DType::F64 | DType::C128 => true,
        DType::Bool => number == 0.0 || number == 1.0,
        DType::U8 => is_whole_in(0.0..256.0),
        DType::I8 => is_whole_in(-128.0..128.0),
        DType::U16 => is_whole_in(0.0..65_536.0),
        DType::I16 => is_whole_in(-32_768.0..32_768.0),
        DType::U32 => is_whole_in(0.0..4_294_967_296.0),
        DType::I32 => is_whole_in(-2_147_483_648.0..2_147_483_648.0),
        DType::U64 => is_whole_in(0.0..18_446_744_073_709_551_616.0),
        DType::I64 => is_whole_in(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0),
        // In these every bit of a zero is 0; nothing else is written in them.
        DType::F8E4M3 | DType::F8E5M2 | DType::F8E4M3Fnuz | DType::F8E5M2Fnuz => number == 0.0,
        DType::F8E8M0 | DType::F4 | DType::F6E2M3 | DType::F6E3M2 | DType::Other { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn check(init: &str, dtype: DType, expected: Option<&str>) {
        let init: Init = init.parse().expect("an initialiser");
        assert_eq!(init.misfit(&dtype).as_deref(), expected, "{init} for {dtype}");
    }

    #[test]
    fn constants_are_held_against_the_type() {
        check("zeros", DType::I64, None);
        check("constant(-128)", DType::I8, None);
        check("constant(128)", DType::I8, Some("I8 does not hold 128"));
        check("constant(0.5)", DType::I64, Some("I64 does not hold 0.5"));
        check("constant(-1)", DType::U8, Some("U8 does not hold -1"));
        check("constant(2)", DType::Bool, Some("BOOL does not hold 2"));
        check("constant(65504)", DType::F16, None);
        check("constant(65505)", DType::F16, Some("F16 does not hold 65505"));
        check("constant(-inf)", DType::F16, None);
        check("constant(1e39)", DType::F32, Some("F32 does not hold 1e39"));
        check("constant(1e39)", DType::F64, None);
        check("zeros", DType::F8E4M3, None);
        check("ones", DType::F8E4M3, Some("F8_E4M3 does not hold 1"));
        check("zeros", DType::F8E8M0, Some("F8_E8M0 does not hold 0"));
        check("ones", DType::C64, None);
    }

    #[test]
    fn numbers_are_drawn_for_floats_alone() {
        check("normal(0,1)", DType::Bf16, None);
        let why = "numbers are drawn for F16, BF16, F32 and F64, and this is I64";
        check("normal(0,1)", DType::I64, Some(why));
        check("xavier_uniform", DType::I64, Some(why));
        assert!("kaiming_uniform".parse::<Init>().expect("one").misfit(&DType::C64).is_some());
        assert_eq!(Init::Target.misfit(&DType::other("torch.qint8", 8)), None);
        assert_eq!(Init::ZEROS.to_string(), "zeros");
    }
}
