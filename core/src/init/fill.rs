//! Tensors that a source lacks, or has in another size.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

use crate::init::drawing::{Drawing, Stream};
use crate::{BadInit, DType, Elements, Init, InitRule, Template, Tensor};

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

/// The keys whose tensors may have more or fewer rows than the source's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResizeRule {
    /// The keys.
    pub pattern: Template,
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
    /// Something else stands in the way.
    #[error("{0}")]
    Misfit(String),
}

impl Initialiser {
    /// The rule for a key, by its position.
    pub fn rule(&self, key: &str) -> Option<usize> {
        self.rules.iter().position(|rule| rule.pattern.matches(key))
    }

    /// The elements of a tensor that the source lacks.
    ///
    /// # Errors
    /// Why no rule makes it.
    pub fn make(&self, needed: Needed<'_>) -> Result<Elements, NotMade> {
        match self.init(needed)? {
            Init::Target => needed.target(),
            init => self.draw(init, needed).map(Elements::drawn),
        }
    }

    /// The rows of `source` that the new tensor has too, and the others made by a rule.
    ///
    /// `source` is of the type that is needed, or `cast` is that type.
    ///
    /// # Errors
    /// Why the shapes cannot be brought together, or no rule makes what is new.
    pub fn resize(
        &self,
        source: &Tensor,
        cast: Option<&DType>,
        needed: Needed<'_>,
    ) -> Result<Elements, NotMade> {
        let (theirs, rows) = rows(&source.shape, needed.shape)?;
        let kept = first_rows(source, theirs.min(rows))?;
        let kept = Elements::new(kept, cast).map_err(NotMade::Misfit)?;
        if kept.dtype() != needed.dtype {
            let (ours, theirs) = (needed.dtype, kept.dtype());
            let what = alloc::format!("{ours} is expected, and the source has {theirs}");
            return Err(NotMade::Misfit(what));
        }
        if rows <= theirs {
            return Ok(kept);
        }
        let made = match self.init(needed)? {
            Init::Target => {
                let tensor = needed.target.ok_or(NotMade::NoTarget)?;
                let rest = tensor.rows(theirs..rows).ok_or_else(|| uncut(tensor))?;
                Needed { target: Some(&rest), ..needed }.target()?
            }
            init => Elements::drawn(self.draw(init, needed)?.with_rows(rows - theirs)),
        };
        Ok(Elements::stacked(needed.dtype.clone(), needed.shape.to_vec(), [kept, made].into()))
    }

    fn init(&self, needed: Needed<'_>) -> Result<Init, NotMade> {
        let rule = self.rules.iter().find(|rule| rule.pattern.matches(needed.key));
        rule.map(|rule| rule.init).ok_or(NotMade::NoRule)
    }

    fn draw(&self, init: Init, needed: Needed<'_>) -> Result<Drawing, NotMade> {
        let stream = Stream::new(self.seed, needed.key);
        Drawing::new(init, needed.dtype, needed.shape, stream).map_err(NotMade::Misfit)
    }
}

impl Needed<'_> {
    fn target(&self) -> Result<Elements, NotMade> {
        let tensor = self.target.ok_or(NotMade::NoTarget)?;
        Elements::new(tensor.clone(), None).map_err(NotMade::Misfit)
    }
}

/// How many rows each side has, if the shapes differ in nothing else.
fn rows(theirs: &[u64], ours: &[u64]) -> Result<(u64, u64), NotMade> {
    match (theirs, ours) {
        ([a, of_a @ ..], [b, of_b @ ..]) if of_a == of_b => Ok((*a, *b)),
        _ => Err(NotMade::Misfit(alloc::format!(
            "{theirs:?} and {ours:?} differ in more than their rows"
        ))),
    }
}

fn first_rows(tensor: &Tensor, rows: u64) -> Result<Tensor, NotMade> {
    tensor.rows(0..rows).ok_or_else(|| uncut(tensor))
}

fn uncut(tensor: &Tensor) -> NotMade {
    NotMade::Misfit(alloc::format!("{} {:?} cannot be cut", tensor.dtype, tensor.shape))
}

impl ResizeRule {
    /// Reads `PATTERN=rows`.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn parse(text: &str, separator: char) -> Result<ResizeRule, BadInit> {
        match text.rsplit_once('=') {
            Some((pattern, how)) if how.trim() == "rows" => {
                Ok(ResizeRule { pattern: Template::parse(pattern.trim(), separator)? })
            }
            _ => Err(BadInit::NoRows(text.to_string())),
        }
    }
}

impl fmt::Display for ResizeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=rows", self.pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, Origin, Part, SEPARATOR, Storage};
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

    fn message(made: Result<Elements, NotMade>) -> String {
        made.expect_err("not made").to_string()
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let initialiser = initialiser(&["head.bias=zeros", "head.**=normal(0,1)"]);
        let init = |key| {
            let made = initialiser.make(needed(key, &[2], None)).ok()?;
            match made.origin() {
                Origin::Drawn(drawing) => Some((drawing.init(), drawing.stream().key.clone())),
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
        assert_eq!(parts(made), ([(5000, 5024)].into(), [].into()));
        let listing = initialiser.make(needed("a", &[2, 3], None));
        assert_eq!(message(listing), "the target is a listing, which has no elements to keep");
    }

    #[test]
    fn rows_that_both_have_are_kept_and_the_rest_is_made() {
        let check = |rule: &str, shape: &[u64], copied: &[(u64, u64)], drawn: &[&[u64]]| {
            let (source, own) = (f32s(&[4, 3], 0), f32s(shape, 5000));
            let made = initialiser(&[rule]).resize(&source, None, needed("a", shape, Some(&own)));
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
            .resize(&f32s(&[4, 3], 0), None, needed("a", &[6, 3], None))
            .expect("made");
        let Origin::Stacked(stacked) = made.origin() else { panic!("{made:?}") };
        let Origin::Drawn(drawing) = stacked[1].origin() else { panic!("{made:?}") };
        assert_eq!(drawing.fans().map(|fans| fans.outgoing), Some(6));
    }

    #[test]
    fn what_cannot_be_resized_says_why() {
        let resized = |rule: &str, theirs: &[u64], ours: &[u64]| {
            let source = f32s(theirs, 0);
            message(initialiser(&[rule]).resize(&source, None, needed("a", ours, None)))
        };
        assert_eq!(resized("b=ones", &[2], &[3]), "no rule says how to make it");
        let why = "[2, 3] and [3, 4] differ in more than their rows";
        assert_eq!(resized("a=ones", &[2, 3], &[3, 4]), why);
        assert_eq!(resized("a=ones", &[], &[]), "[] and [] differ in more than their rows");
        let source = f32s(&[2], 0);
        let halves = Needed { dtype: &DType::I64, ..needed("a", &[3], None) };
        let refused = initialiser(&["a=ones"]).resize(&source, None, halves);
        assert_eq!(message(refused), "I64 is expected, and the source has F32");
    }

    #[test]
    fn rules_for_rows_are_read_and_printed() {
        let rule = ResizeRule::parse("head.*=rows", SEPARATOR).expect("a rule");
        assert_eq!(rule.to_string(), "head.*=rows");
        let message = ResizeRule::parse("head.*=columns", SEPARATOR).expect_err("bad").to_string();
        let expected = "'head.*=columns' is no rule; expected PATTERN=rows, such as 'head.*=rows'";
        assert_eq!(message, expected);
    }
}
