//! Tensors that a source lacks, or has in another size.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

use crate::init::random::{RandomInit, Stream};
use crate::{
    DType, Expression, Origination, Template, Tensor,
    init::{BadInit, Init, InitRule},
};

/// How tensors are made that a source lacks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Initialiser {
    /// The first rule whose pattern matches a key decides.
    pub rules: Vec<InitRule>,
    /// The same seed gives the same numbers, whatever else is made.
    pub seed: u64,
}

/// A tensor that a new file is to have.
#[derive(Clone, Copy, Debug)]
pub struct Needed<'a> {
    /// Its key.
    pub key: &'a str,
    /// The type of its elements.
    pub dtype: &'a DType,
    /// Its size in each dimension.
    pub shape: &'a [u64],
    /// What the target has there; none where the target is a listing.
    pub target: Option<&'a Tensor>,
}

/// The keys whose tensors may be longer or shorter than the source's in some dimensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResizeRule {
    /// The keys.
    pub pattern: Template,
    /// The dimensions, sorted, each once; 0 is that of the rows.
    pub dimensions: Vec<usize>,
}

/// Why a tensor cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotMade {
    /// No rule says how.
    #[error("no rule says how to make it")]
    NoRule,
    /// The target's own elements are asked for, and there are none.
    #[error("the target is a listing, which has no elements to keep")]
    NoTarget,
    /// Another reason.
    #[error("{0}")]
    Misfit(String),
}

impl Initialiser {
    /// The rule for a key, by its position.
    pub fn rule(&self, key: &str) -> Option<usize> {
        self.rules.iter().position(|rule| rule.pattern.matches(key))
    }

    /// A tensor that the source lacks.
    ///
    /// # Errors
    /// Why no rule makes it.
    pub fn make(&self, needed: Needed<'_>) -> Result<Expression, NotMade> {
        match self.init(needed)? {
            Init::Target => needed.target(),
            init => self.draw(init, needed).map(Expression::Init),
        }
    }

    /// The elements that the source's tensor `key` and the new one both have, and the others made by
    /// a rule.
    ///
    /// The tensor is of the type that is needed, or `cast` is that type; nothing but the sizes of
    /// `dimensions` may differ.
    ///
    /// # Errors
    /// Why the shapes cannot be brought together, or no rule makes what is new.
    pub fn resize(
        &self,
        (key, source): (&str, &Tensor),
        cast: Option<&DType>,
        needed: Needed<'_>,
        dimensions: &[usize],
    ) -> Result<Expression, NotMade> {
        refuse_other_differences(&source.shape, needed.shape, dimensions)?;
        let cast = cast.filter(|to| source.dtype.is_float() && **to != source.dtype);
        let theirs = cast.unwrap_or(&source.dtype);
        if theirs != needed.dtype {
            let what = format!("{} is expected, and the source has {theirs}", needed.dtype);
            return Err(NotMade::Misfit(what));
        }
        let sizes = source.shape.iter().zip(needed.shape);
        let kept =
            sizes.enumerate().fold(Expression::key(key, source), |kept, (axis, (theirs, ours))| {
                kept.slice(axis, 0..*theirs.min(ours))
            });
        let kept = match cast {
            Some(to) => kept.cast(to.clone()),
            None => kept,
        };
        // From the last dimension to the first, so that what is joined lies side by side.
        let mut dimensions = (0..needed.shape.len()).rev();
        dimensions.try_fold(kept, |kept, dimension| self.lengthen(kept, dimension, needed))
    }

    /// The elements with others made after them in one dimension, as many as are needed.
    fn lengthen(
        &self,
        kept: Expression,
        dimension: usize,
        needed: Needed<'_>,
    ) -> Result<Expression, NotMade> {
        let mut shape = kept.shape();
        let (has, wants) = (shape[dimension], needed.shape[dimension]);
        if has == wants {
            return Ok(kept);
        }
        shape[dimension] = wants - has;
        let made = match self.init(needed)? {
            Init::Target => needed.rest_of_target(&shape, dimension)?,
            init @ (Init::Arange | Init::Triangle) => {
                return Err(NotMade::Misfit(alloc::format!(
                    "{init} is for a whole tensor, not for what is longer of one"
                )));
            }
            init => {
                let drawing = self.draw_beside(init, needed, dimension)?;
                Expression::Init(drawing.with_shape(shape))
            }
        };
        Ok(Expression::Concat { axis: dimension, parts: [kept, made].into() })
    }

    fn init(&self, needed: Needed<'_>) -> Result<Init, NotMade> {
        let rule = self.rules.iter().find(|rule| rule.pattern.matches(needed.key));
        rule.map(|rule| rule.init).ok_or(NotMade::NoRule)
    }

    fn draw(&self, init: Init, needed: Needed<'_>) -> Result<RandomInit, NotMade> {
        let stream = Stream::new(self.seed, needed.key);
        RandomInit::new(init, needed.dtype, needed.shape, stream).map_err(NotMade::Misfit)
    }

    /// The same with numbers of its own for each dimension.
    fn draw_beside(
        &self,
        init: Init,
        needed: Needed<'_>,
        dimension: usize,
    ) -> Result<RandomInit, NotMade> {
        let key = match dimension {
            0 => needed.key.to_string(),
            other => format!("{}\u{0}{other}", needed.key),
        };
        let stream = Stream::new(self.seed, &key);
        RandomInit::new(init, needed.dtype, needed.shape, stream).map_err(NotMade::Misfit)
    }
}

impl Needed<'_> {
    /// The target's own tensor.
    fn target(&self) -> Result<Expression, NotMade> {
        let tensor = self.target.ok_or(NotMade::NoTarget)?;
        let (key, shape) = (self.key.to_string(), tensor.shape.clone());
        Ok(Expression::Key { of: Origination::Target, key, shape })
    }

    /// The target's own elements of this shape that come last in a dimension and first in the others.
    fn rest_of_target(&self, shape: &[u64], dimension: usize) -> Result<Expression, NotMade> {
        Ok(shape.iter().enumerate().fold(self.target()?, |rest, (axis, size)| {
            let start = if axis == dimension { self.shape[axis] - size } else { 0 };
            rest.slice(axis, start..start + size)
        }))
    }
}

/// Refuses shapes that differ in anything but the sizes of these dimensions.
fn refuse_other_differences(
    theirs: &[u64],
    ours: &[u64],
    dimensions: &[usize],
) -> Result<(), NotMade> {
    if theirs.len() != ours.len()
        || (0..ours.len()).any(|at| theirs[at] != ours[at] && !dimensions.contains(&at))
    {
        let named = NamedDimensions(dimensions);
        return Err(NotMade::Misfit(format!(
            "{theirs:?} and {ours:?} differ in more than {named}"
        )));
    }
    Ok(())
}

impl ResizeRule {
    /// Reads `PATTERN=rows`, or dimensions by their numbers: `PATTERN=dim1`, `PATTERN=dim0,dim1`.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn parse(text: &str, separator: char) -> Result<ResizeRule, BadInit> {
        let bad = || BadInit::NoRows(text.to_string());
        let (pattern, how) = text.rsplit_once('=').ok_or_else(bad)?;
        let dimensions = how.split(',').map(|word| match word.trim() {
            "rows" => Some(0),
            word => word.strip_prefix("dim")?.parse().ok().filter(|at| *at < MAX_DIMENSIONS),
        });
        let mut dimensions: Vec<usize> = dimensions.collect::<Option<_>>().ok_or_else(bad)?;
        dimensions.sort_unstable();
        dimensions.dedup();
        Ok(ResizeRule { pattern: Template::parse(pattern.trim(), separator)?, dimensions })
    }
}

/// Dimensions beyond which no tensor goes: PyTorch has at most 64.
const MAX_DIMENSIONS: usize = 64;

impl fmt::Display for ResizeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.pattern, NumberedDimensions(&self.dimensions))
    }
}

/// Dimensions as rules name them: `rows`, `dim1`, `dim0,dim1`.
pub(crate) struct NumberedDimensions<'a>(pub(crate) &'a [usize]);

impl fmt::Display for NumberedDimensions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == [0] {
            return f.write_str("rows");
        }
        for (place, dimension) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}dim{dimension}")?;
        }
        Ok(())
    }
}

/// Dimensions as sentences name them.
struct NamedDimensions<'a>(&'a [usize]);

impl fmt::Display for NamedDimensions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [0] => f.write_str("their rows"),
            dimensions => write!(f, "{}", NumberedDimensions(dimensions)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Elements, Layout, Origin, Part, SEPARATOR, Storage};
    use alloc::sync::Arc;

    fn initialiser(rules: &[&str]) -> Initialiser {
        let rule = |text: &&str| InitRule::parse(text, SEPARATOR).expect("a rule");
        Initialiser { rules: rules.iter().map(rule).collect(), seed: 7 }
    }

    fn f32s(shape: &[u64], start: u64) -> Tensor {
        let storage = Arc::new(Storage::stored(start..start + 1000));
        Tensor::dense(DType::F32, shape.into(), 0, storage).expect("within")
    }

    fn needed<'a>(key: &'a str, shape: &'a [u64], target: Option<&'a Tensor>) -> Needed<'a> {
        Needed { key, dtype: &DType::F32, shape, target }
    }

    /// What is written for the elements: copied ranges, and the shapes of what is drawn.
    fn parts(elements: Elements) -> (Vec<(u64, u64)>, Vec<Vec<u64>>) {
        let mut layout = Layout::new();
        let len = elements.byte_len();
        layout.elements(elements);
        assert_eq!(layout.len(), len);
        let (mut copied, mut drawn) = (Vec::new(), Vec::new());
        for part in layout.parts() {
            match part {
                Part::Copy(range) => copied.push((range.start, range.end)),
                Part::Elements(elements) => match elements.origin() {
                    Origin::Drawn(drawing) => drawn.push(drawing.shape().to_vec()),
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            }
        }
        (copied, drawn)
    }

    /// Where the elements are, the source's tensor being named `a`.
    fn found(made: Expression, source: &Tensor, target: &Tensor) -> Elements {
        let tensor = |of, key: &str| {
            assert_eq!(key, "a");
            Some(if of == Origination::Source { source } else { target })
        };
        made.evaluate(&tensor).expect("there")
    }

    fn message(made: Result<Expression, NotMade>) -> String {
        made.expect_err("not made").to_string()
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let initialiser = initialiser(&["head.bias=zeros", "head.**=normal(0,1)"]);
        let init = |key| {
            let made = initialiser.make(needed(key, &[2], None)).ok()?;
            match made {
                Expression::Init(drawing) => Some((drawing.init(), drawing.stream().key.clone())),
                _ => None,
            }
        };
        assert_eq!(init("head.bias"), Some((Init::ZEROS, "head.bias".into())));
        let normal = Init::Normal { mean: 0.0, deviation: 1.0 };
        assert_eq!(init("head.weight"), Some((normal, "head.weight".into())));
        assert_eq!(init("body.weight"), None);
        assert_eq!(initialiser.rule("head.weight"), Some(1));
    }

    #[test]
    fn the_target_keeps_its_own() {
        let (initialiser, own) = (initialiser(&["a=target"]), f32s(&[2, 3], 5000));
        let made = initialiser.make(needed("a", &[2, 3], Some(&own))).expect("made");
        assert_eq!(parts(found(made, &own, &own)), ([(5000, 5024)].into(), [].into()));
        let listing = initialiser.make(needed("a", &[2, 3], None));
        assert_eq!(message(listing), "the target is a listing, which has no elements to keep");
    }

    #[test]
    fn rows_that_both_have_are_kept_and_the_rest_is_made() {
        let check = |rule: &str, shape: &[u64], copied: &[(u64, u64)], drawn: &[&[u64]]| {
            let (source, own) = (f32s(&[4, 3], 0), f32s(shape, 5000));
            let made = initialiser(&[rule]).resize(
                ("a", &source),
                None,
                needed("a", shape, Some(&own)),
                &[0],
            );
            let made = made.map(|made| found(made, &source, &own));
            let drawn: Vec<Vec<u64>> = drawn.iter().map(|shape| shape.to_vec()).collect();
            assert_eq!(made.map(parts), Ok((copied.to_vec(), drawn)));
        };
        check("a=zeros", &[6, 3], &[(0, 48)], &[&[2, 3]]);
        check("a=target", &[6, 3], &[(0, 48), (5048, 5072)], &[]);
        check("b=zeros", &[2, 3], &[(0, 24)], &[]);
        check("b=zeros", &[4, 3], &[(0, 48)], &[]);
    }

    #[test]
    fn the_fans_of_new_rows_are_those_of_the_whole() {
        let made = initialiser(&["a=xavier_uniform"])
            .resize(("a", &f32s(&[4, 3], 0)), None, needed("a", &[6, 3], None), &[0])
            .expect("made");
        let Expression::Concat { parts, .. } = &made else { panic!("{made:?}") };
        let Expression::Init(drawing) = &parts[1] else { panic!("{made:?}") };
        assert_eq!(drawing.fans().map(|fans| fans.outgoing), Some(6));
    }

    #[test]
    fn what_cannot_be_resized_says_why() {
        let resized = |rule: &str, theirs: &[u64], ours: &[u64]| {
            let source = f32s(theirs, 0);
            message(initialiser(&[rule]).resize(
                ("a", &source),
                None,
                needed("a", ours, None),
                &[0],
            ))
        };
        assert_eq!(resized("b=ones", &[2], &[3]), "no rule says how to make it");
        let why = "[2, 3] and [3, 4] differ in more than their rows";
        assert_eq!(resized("a=ones", &[2, 3], &[3, 4]), why);
        assert_eq!(resized("a=ones", &[], &[1]), "[] and [1] differ in more than their rows");
        let source = f32s(&[2], 0);
        let halves = Needed { dtype: &DType::I64, ..needed("a", &[3], None) };
        let refused = initialiser(&["a=ones"]).resize(("a", &source), None, halves, &[0]);
        assert_eq!(message(refused), "I64 is expected, and the source has F32");
    }

    #[test]
    fn rules_for_rows_are_read_and_printed() {
        let check = |text: &str, printed: &str| {
            let rule = ResizeRule::parse(text, SEPARATOR).expect("a rule");
            assert_eq!(rule.to_string(), printed);
        };
        check("head.*=rows", "head.*=rows");
        check("head.*=dim0", "head.*=rows");
        check("conv.weight=dim1", "conv.weight=dim1");
        check("a=dim1, rows", "a=dim0,dim1");
        for bad in ["a=dim", "a=dim-1", "a=dim64", "a=", "a", "a=dim1,"] {
            assert!(ResizeRule::parse(bad, SEPARATOR).is_err(), "{bad}");
        }
        let message = ResizeRule::parse("head.*=columns", SEPARATOR).expect_err("bad").to_string();
        let expected =
            "cannot parse 'head.*=columns'; expected PATTERN=rows, or dimensions: PATTERN=dim1";
        assert_eq!(message, expected);
    }
}
