//! Elements that no file has, made piece by piece.
//!
//! The same seed gives the same bytes on every machine: ChaCha and the tables of the ziggurat are
//! exact, and what logarithms it takes come from `libm` (see the workspace's manifest), not from
//! the system. Numbers are drawn as `f64` and cast as any others are.

use std::io;
use std::ops::Range;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution, Normal, Uniform};
use sha2::{Digest, Sha256};
use statedict_core::{
    DType,
    init::{Fans, Init, RandomInit},
};

use crate::elements::cast::Cast;
use crate::elements::{PIECE, Sink};

/// What is hashed before a seed, so that no other use of hashes gives the same numbers.
const DOMAIN: &[u8] = b"statedict.init.1";

/// Delivers the elements to `sink`, some at a time.
pub(crate) fn stream(drawing: &RandomInit, sink: &mut Sink<'_>) -> io::Result<()> {
    Drawn::new(drawing).deliver(drawing.shape().iter().product(), sink)
}

/// Elements that are drawn one after another.
pub(crate) struct Drawn {
    numbers: Numbers,
    /// How many were drawn already.
    place: u64,
    generator: ChaCha8Rng,
    /// The bytes of the one number, if all are the same.
    same: Vec<u8>,
    cast: Option<Cast>,
    piece: Vec<u8>,
    out: Vec<u8>,
}

impl Drawn {
    pub(crate) fn new(drawing: &RandomInit) -> Drawn {
        let numbers = Numbers::of(drawing);
        let same = match numbers {
            Numbers::Same(number) => constant(drawing.dtype(), number),
            Numbers::Drawn(_) | Numbers::Placed(_) => Vec::new(),
        };
        let cast = match drawing.dtype() {
            // A cast would pass through f32.
            DType::F64 => None,
            other => Cast::new(&DType::F64, other),
        };
        let generator = generator(drawing);
        let place = 0;
        Drawn { numbers, place, generator, same, cast, piece: Vec::new(), out: Vec::new() }
    }

    /// Delivers the next `count` elements, some at a time.
    pub(crate) fn deliver(&mut self, mut count: u64, sink: &mut Sink<'_>) -> io::Result<()> {
        if let Numbers::Same(_) = self.numbers {
            return same(&self.same, count, sink);
        }
        while count > 0 {
            let now = count.min(PIECE / 8);
            sink(self.draw(now))?;
            count -= now;
        }
        Ok(())
    }

    fn draw(&mut self, count: u64) -> &[u8] {
        self.piece.clear();
        let places = self.place..self.place + count;
        self.place = places.end;
        match &self.numbers {
            Numbers::Same(_) => {}
            Numbers::Placed(pattern) => pattern.write(places, &mut self.piece),
            Numbers::Drawn(distribution) => {
                distribution.draw(count, &mut self.generator, &mut self.piece);
            }
        }
        match &mut self.cast {
            Some(cast) => {
                cast.apply(&self.piece, &mut self.out);
                &self.out
            }
            None => &self.piece,
        }
    }
}

/// The numbers that elements are made of.
enum Numbers {
    Same(f64),
    Placed(Pattern),
    Drawn(Box<dyn Draw>),
}

/// Whole numbers that go by their places.
struct Pattern {
    init: Init,
    dtype: DType,
    /// Rows and columns of the matrices that the tensor is made of.
    matrix: [u64; 2],
}

impl Pattern {
    /// Appends the numbers at these places, whole ones as elements and others as `f64`.
    fn write(&self, places: Range<u64>, into: &mut Vec<u8>) {
        let numbers = places.map(|place| self.number(place));
        if self.dtype.is_float() {
            into.extend(numbers.flat_map(|number| (number as f64).to_le_bytes()));
        } else {
            let width = self.dtype.bytes().and_then(|bytes| usize::try_from(bytes).ok());
            let width = width.unwrap_or(1);
            into.extend(numbers.flat_map(|number| number.to_le_bytes().into_iter().take(width)));
        }
    }

    /// The number at a place.
    fn number(&self, place: u64) -> u64 {
        let (row, column) = self.position(place);
        if self.init == Init::Arange { column } else { u64::from(column <= row) }
    }

    /// The row and the column of a place in its matrix.
    fn position(&self, place: u64) -> (u64, u64) {
        let [rows, columns] = self.matrix.map(|size| size.max(1));
        (place / columns % rows, place % columns)
    }
}

/// A distribution to draw from.
trait Draw {
    /// Appends some numbers.
    fn draw(&self, count: u64, numbers: &mut ChaCha8Rng, into: &mut Vec<u8>);
}

impl<D: Distribution<f64>> Draw for D {
    fn draw(&self, count: u64, numbers: &mut ChaCha8Rng, into: &mut Vec<u8>) {
        into.extend((0..count).flat_map(|_| self.sample(numbers).to_le_bytes()));
    }
}

impl Numbers {
    fn of(drawing: &RandomInit) -> Numbers {
        match drawing.init() {
            Init::Constant(number) => Numbers::Same(number),
            init @ (Init::Arange | Init::Triangle) => {
                let (dtype, matrix) = (drawing.dtype().clone(), drawing.matrix());
                Numbers::Placed(Pattern { init, dtype, matrix })
            }
            Init::Uniform { low, high } => Numbers::between(low, high),
            Init::Normal { mean, deviation } => match Normal::new(mean, deviation) {
                Ok(normal) if deviation > 0.0 => Numbers::Drawn(Box::new(normal)),
                _ => Numbers::Same(mean),
            },
            init => {
                let bound = drawing.fans().map_or(0.0, |fans| bound(init, fans));
                Numbers::between(-bound, bound)
            }
        }
    }

    fn between(low: f64, high: f64) -> Numbers {
        match Uniform::new(low, high) {
            Ok(uniform) => Numbers::Drawn(Box::new(uniform)),
            // There is nothing between equal bounds.
            Err(_) => Numbers::Same(low),
        }
    }
}

/// The bound that numbers are drawn within, as `torch.nn.init` has it.
fn bound(init: Init, fans: Fans) -> f64 {
    let (incoming, outgoing) = (fans.incoming as f64, fans.outgoing as f64);
    match init {
        Init::XavierUniform => (6.0 / (incoming + outgoing)).sqrt(),
        Init::KaimingUniform { slope } => (6.0 / ((1.0 + slope * slope) * incoming)).sqrt(),
        Init::Constant(_)
        | Init::Uniform { .. }
        | Init::Normal { .. }
        | Init::Arange
        | Init::Triangle
        | Init::Target => 0.0,
    }
}

/// One number in the bytes of a type that holds it.
fn constant(dtype: &DType, number: f64) -> Vec<u8> {
    match dtype {
        DType::F64 => number.to_le_bytes().into(),
        DType::C64 => [(number as f32).to_le_bytes(), [0; 4]].concat(),
        DType::C128 => [number.to_le_bytes(), [0; 8]].concat(),
        other => match Cast::new(&DType::F64, other) {
            Some(mut cast) => {
                let mut out = Vec::new();
                cast.apply(&number.to_le_bytes(), &mut out);
                out
            }
            None => {
                // A whole number in the bounds of its type, or a zero: the drawing saw to it.
                let width = other.bytes().and_then(|bytes| usize::try_from(bytes).ok());
                (number as i128).to_le_bytes().into_iter().take(width.unwrap_or(1)).collect()
            }
        },
    }
}

fn same(element: &[u8], mut left: u64, sink: &mut Sink<'_>) -> io::Result<()> {
    let most = PIECE / element.len().max(1) as u64;
    let piece = element.repeat(length(left.min(most)));
    while left > 0 {
        let now = left.min(most);
        sink(&piece[..length(now) * element.len()])?;
        left -= now;
    }
    Ok(())
}

/// The generator of one tensor's numbers.
fn generator(drawing: &RandomInit) -> ChaCha8Rng {
    let stream = drawing.stream();
    let seed = Sha256::new()
        .chain_update(DOMAIN)
        .chain_update(stream.seed.to_le_bytes())
        .chain_update(&stream.key);
    ChaCha8Rng::from_seed(seed.finalize().into())
}

fn length(count: u64) -> usize {
    usize::try_from(count).expect("a piece fits in memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elements;
    use statedict_core::{
        Elements,
        init::{InitRule, Initialiser, Needed},
    };

    fn made(init: &str, seed: u64, key: &str, dtype: &DType, shape: &[u64]) -> Elements {
        let rule = InitRule::parse(&format!("**={init}"), '.').expect("a rule");
        let initialiser = Initialiser { rules: vec![rule], seed };
        let needed = Needed { key, dtype, shape, target: None };
        let made = initialiser.make(needed).expect("made");
        made.evaluate(&|_, _| None).expect("made of nothing else")
    }

    fn bytes(elements: &Elements) -> Vec<u8> {
        let mut out = Vec::new();
        let streamed = elements::stream(&&[0u8; 0][..], elements, &mut |bytes| {
            out.extend_from_slice(bytes);
            Ok(())
        });
        assert!(streamed.is_ok() && out.len() as u64 == elements.byte_len());
        out
    }

    fn numbers(init: &str, shape: &[u64]) -> Vec<f64> {
        let bytes = bytes(&made(init, 0, "k", &DType::F64, shape));
        bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
    }

    /// Mean and standard deviation.
    fn moments(numbers: &[f64]) -> (f64, f64) {
        let count = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / count;
        let variance = numbers.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / count;
        (mean, variance.sqrt())
    }

    #[test]
    fn constants_have_the_bytes_of_their_type() {
        let check = |init: &str, dtype: DType, expected: &[u8]| {
            assert_eq!(bytes(&made(init, 0, "k", &dtype, &[2])), expected.repeat(2), "{dtype}");
        };
        check("ones", DType::F32, &1f32.to_le_bytes());
        check("ones", DType::Bf16, &[0x80, 0x3F]);
        check("constant(-2)", DType::F16, &[0, 0xC0]);
        check("constant(0.1)", DType::F64, &0.1f64.to_le_bytes());
        check("constant(-inf)", DType::F32, &f32::NEG_INFINITY.to_le_bytes());
        check("constant(-2)", DType::I64, &(-2i64).to_le_bytes());
        check("constant(200)", DType::U8, &[200]);
        check("ones", DType::Bool, &[1]);
        check("ones", DType::C64, &[0, 0, 0x80, 0x3F, 0, 0, 0, 0]);
        check("zeros", DType::F8E5M2, &[0]);
    }

    #[test]
    fn a_long_tensor_comes_in_pieces_to_its_end() {
        let count = 2 * PIECE + 3;
        let ones = bytes(&made("ones", 0, "k", &DType::I16, &[count]));
        assert!(ones.as_chunks().0.iter().all(|one| *one == [1, 0]));
        let drawn = bytes(&made("normal(0,1)", 0, "k", &DType::F16, &[count]));
        let first = bytes(&made("normal(0,1)", 0, "k", &DType::F16, &[7]));
        assert_eq!(drawn[..14], first);
        assert!(bytes(&made("normal(0,1)", 0, "k", &DType::F16, &[0, 5])).is_empty());
    }

    #[test]
    fn numbers_are_those_of_the_distribution() {
        let (mean, deviation) = moments(&numbers("normal(3,0.02)", &[200, 1024]));
        assert!((mean - 3.0).abs() < 2e-4 && (deviation - 0.02).abs() < 2e-4);
        let within = |init: &str, bound: f64| {
            let numbers = numbers(init, &[200, 1024]);
            let (mean, deviation) = moments(&numbers);
            let largest = numbers.iter().fold(0f64, |most, number| most.max(number.abs()));
            assert!(largest < bound && largest > 0.999 * bound, "{init}: {largest}, not {bound}");
            assert!(
                mean.abs() < 0.01 * bound && (deviation * 3f64.sqrt() / bound - 1.0).abs() < 0.01
            );
        };
        within("uniform(-2,2)", 2.0);
        within("xavier_uniform", (6.0 / 1224f64).sqrt());
        within("kaiming_uniform", (6.0 / 1024f64).sqrt());
        within("kaiming_uniform(2.23606797749979)", 1.0 / 32.0);
    }

    #[test]
    fn distributions_of_one_number_are_that_number() {
        assert_eq!(numbers("normal(3,0)", &[2]), [3.0, 3.0]);
        assert_eq!(numbers("uniform(-1,-1)", &[2]), [-1.0, -1.0]);
        assert!(numbers("xavier_uniform", &[0, 4]).is_empty());
    }

    #[test]
    fn seed_and_key_decide_and_nothing_else() {
        let drawn = |seed, key| bytes(&made("normal(0,1)", seed, key, &DType::F32, &[64]));
        assert_eq!(drawn(0, "a"), drawn(0, "a"));
        assert_ne!(drawn(0, "a"), drawn(1, "a"));
        assert_ne!(drawn(0, "a"), drawn(0, "b"));
    }

    /// What was drawn once is drawn for ever: these bytes are those of the first version.
    #[test]
    fn the_same_seed_gives_the_same_bytes_on_every_machine() {
        let check = |init: &str, dtype: DType, expected: &str| {
            let hash = Sha256::digest(bytes(&made(init, 7, "fc.weight", &dtype, &[100, 1000])));
            let hash: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hash, expected, "{init} {dtype}");
        };
        check("normal(0,0.02)", DType::F64, "03afdf61b19a3b3a");
        check("normal(0,0.02)", DType::F32, "0746977738f4658a");
        check("normal(0,0.02)", DType::Bf16, "43a336d8c5c86eaf");
        check("uniform(-1,1)", DType::F64, "33778428b7c13db1");
        check("kaiming_uniform", DType::F32, "3aa04698aac7c1c8");
    }
}
