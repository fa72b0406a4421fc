//! What a fit becomes: the target's tensors, each from the source or initialised.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

use crate::matching::fit::options::TargetTensor;
use crate::matching::fit::{Fit, FitPair, ShapeMismatch};
use crate::plan::Fates;
use crate::{
    DType, Elements, Expression, IndexMap, IndexSet, Omitted, Origination, SEPARATOR, Section,
    Template, Tensor, TensorSet,
    diff::Side,
    init::{Init, InitRule, Initialiser, Needed, NotMade, ResizeRule},
};

/// How to fill what the source has not, or has otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FillOptions {
    /// What to do with elements of another floating-point type.
    pub casts: Casts,
    /// How missing tensors are made, and those of another shape.
    pub initialiser: Initialiser,
    /// Tensors of which what both have is kept, in the dimensions that are named; all rules that
    /// match a key speak of it.
    pub resize: Vec<ResizeRule>,
}

/// What to do with elements of another floating-point type than the target's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Casts {
    /// Refuse them.
    #[default]
    Refuse,
    /// Cast them to the target's type.
    Make,
}

/// The target's tensors, ready to be written.
#[derive(Clone, Debug)]
pub struct Assembled {
    /// The tensors in the target's order, with the versions of modules the source knows.
    pub contents: TensorSet,
    /// What each of them is made of.
    pub expressions: IndexMap<String, Expression>,
    /// What of the source has no place among them.
    pub left: Omitted,
    /// The tensors that are not the source's, or not wholly.
    pub made: Vec<Made>,
}

/// A tensor that is not the source's, or not wholly.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// What it is to be.
    pub wanted: TargetTensor,
    /// How it comes about.
    pub how: InitSource,
}

/// How a tensor comes about that the source has not.
#[derive(Clone, Debug, PartialEq)]
pub enum InitSource {
    /// By an initialiser.
    Init(Init),
    /// Of the rows that the source has too, and of others by a rule.
    Rows {
        /// How many are the source's.
        kept: u64,
        /// How many are made.
        new: u64,
    },
    /// Of what the source has too, and of others by a rule, in other dimensions than the first.
    Resized {
        /// The shape that the source has.
        from: Vec<u64>,
    },
    /// As 0: a counter of batches that the source has not.
    Counter,
}

/// Why a tensor of the target cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FitError {
    /// No source key was found for it.
    #[error("'{}' is missing: {} {:?}{}", .0.key, .0.dtype, .0.shape, Because(.1))]
    Missing(TargetTensor, NotMade),
    /// The source's tensor has another shape, or elements of another kind.
    #[error("{}{}", Difference(.0), Because(.1))]
    ShapeMismatch(Box<ShapeMismatch>, NotMade),
    /// The elements are of another type.
    #[error("'{key}': file has {has}, target wants {wanted}")]
    Cast {
        /// The target key.
        key: String,
        /// The type in the source.
        has: DType,
        /// The type in the target.
        wanted: DType,
    },
    /// What was found was mostly found by shapes, in a checkpoint of which most is not wanted.
    #[error(
        "{unused} of its tensors are not wanted, and most of the {found} that are were matched by \
         shape only"
    )]
    Doubtful {
        /// How many keys were found.
        found: usize,
        /// How many keys of the source are left.
        unused: usize,
    },
    /// The target's value is not a tensor.
    #[error("'{0}' is not a tensor in the target")]
    NoTensor(String),
    /// The source's tensor has no plain elements.
    #[error("'{key}': {why}")]
    UnsupportedTensors {
        /// The source key.
        key: String,
        /// The reason.
        why: String,
    },
}

/// Why it is not made either; that no rule was given goes without saying.
struct Because<'a>(&'a NotMade);

impl fmt::Display for Because<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            NotMade::NoRule => Ok(()),
            why => write!(f, " ({why})"),
        }
    }
}

/// What the file has and what the target wants.
struct Difference<'a>(&'a ShapeMismatch);

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShapeMismatch { from, has_dtype, has, wanted } = self.0;
        if *from != wanted.key {
            write!(f, "'{from}' -> ")?;
        }
        if *has == wanted.shape {
            write!(f, "'{}': file has {has_dtype}, target wants {}", wanted.key, wanted.dtype)
        } else {
            write!(f, "'{}': file has {has:?}, target wants {:?}", wanted.key, wanted.shape)
        }
    }
}

impl Fit {
    /// What becomes of every key of the source: its name in the target, or none, and the target's
    /// type where that is another one.
    pub fn section(&self, source: Side) -> Section {
        let pairs: IndexMap<&str, &str> =
            self.pairs.iter().map(|pair| (pair.from.as_str(), pair.to.as_str())).collect();
        let keys = source.state_dict.shared_keys();
        let fates = keys.map(|key| (key.clone(), pairs.get(&**key).map(|new| Arc::from(*new))));
        let casts = self.pairs.iter();
        let casts = casts.filter_map(|it| Some((it.from.clone(), it.cast.as_ref()?.1.clone())));
        Section {
            path: source.state_dict.path.clone(),
            fates: fates.collect::<Fates>().into(),
            casts: casts.collect(),
            ..Section::default()
        }
    }

    /// Old names with new ones, of all keys that belong together, whatever their shapes; for
    /// [`generalise`](crate::generalise).
    pub fn renames(&self) -> Vec<(String, String)> {
        let pairs = self.pairs.iter().map(|pair| (pair.from.clone(), pair.to.clone()));
        let misfits = self.misfits.iter().map(|it| (it.from.clone(), it.wanted.key.clone()));
        pairs.chain(misfits).collect()
    }

    /// The target's tensors, each from the source or made as `filling` says.
    ///
    /// `source` is the side that was fitted; `target` the other one if its elements can be had,
    /// with places in the same file.
    ///
    /// # Errors
    /// Every tensor that cannot be had.
    pub fn assemble(
        &self,
        source: Side,
        target: Option<Side>,
        filling: &FillOptions,
    ) -> Result<Assembled, Vec<FitError>> {
        let mut assembly = Assembly::new(self, source, target, filling);
        let mut unmet: Vec<FitError> =
            self.no_tensors.iter().cloned().map(FitError::NoTensor).collect();
        unmet.extend(self.doubt());
        let (mut tensors, mut made) = (Vec::new(), Vec::new());
        let mut expressions = IndexMap::default();
        for wanted in &self.wanted {
            let key = wanted.key.clone();
            let found = assembly.expression(wanted);
            match found.and_then(|(it, how)| Ok((assembly.elements(&key, &it)?, it, how))) {
                Ok((elements, expression, how)) => {
                    tensors.push((key.clone(), elements));
                    expressions.insert(key, expression);
                    made.extend(how.map(|how| Made { wanted: wanted.clone(), how }));
                }
                Err(why) => unmet.push(why),
            }
        }
        if !unmet.is_empty() {
            return Err(unmet);
        }
        let (modules, unknown) = self.section(source).versions(&source.state_dict.modules);
        let contents = TensorSet { tensors, modules, ..TensorSet::default() };
        let mut left = self.left_behind(source);
        let strange = unknown.into_iter().map(|path| (path, "a module's version".to_string()));
        left.payload.extend(strange);
        Ok(Assembled { contents, expressions, left, made })
    }

    /// That this is a checkpoint of another model which happens to have tensors of these shapes.
    fn doubt(&self) -> Option<FitError> {
        let weak = self.pairs.iter().filter(|pair| pair.reason.is_weak()).count();
        let (found, unused) = (self.pairs.len(), self.unused.len());
        (unused > found && 2 * weak > found).then_some(FitError::Doubtful { found, unused })
    }

    /// What of the source is not a tensor, and what lies beside the state dict.
    fn left_behind(&self, source: Side) -> Omitted {
        let Side { catalog, state_dict } = source;
        let others = state_dict.keys().filter(|key| catalog.tensor(state_dict, key).is_none());
        let mut keys = catalog.described(state_dict, others.map(String::from).collect());
        keys.extend(catalog.unnamed(state_dict));
        Omitted { keys, payload: catalog.beside(state_dict), ..Omitted::default() }
    }
}

/// What is known of each key of the target.
struct Assembly<'a> {
    source: Side<'a>,
    target: Option<Side<'a>>,
    filling: &'a FillOptions,
    /// Makes counters.
    zero: Initialiser,
    pairs: IndexMap<&'a str, &'a FitPair>,
    misfits: IndexMap<&'a str, &'a ShapeMismatch>,
    counters: IndexSet<&'a str>,
    /// What was resized so far, by where it comes from and what it becomes; ties stay tied.
    resized: IndexMap<String, Expression>,
}

impl<'a> Assembly<'a> {
    fn new(
        fit: &'a Fit,
        source: Side<'a>,
        target: Option<Side<'a>>,
        filling: &'a FillOptions,
    ) -> Assembly<'a> {
        let all = Template::parse("**", SEPARATOR).expect("a template");
        let zero = InitRule { pattern: all, init: Init::ZEROS };
        Assembly {
            source,
            target,
            filling,
            zero: Initialiser { rules: [zero].into(), seed: 0 },
            pairs: fit.pairs.iter().map(|pair| (pair.to.as_str(), pair)).collect(),
            misfits: fit.misfits.iter().map(|it| (it.wanted.key.as_str(), it)).collect(),
            counters: fit.counters.iter().map(|wanted| wanted.key.as_str()).collect(),
            resized: IndexMap::default(),
        }
    }

    /// Where the elements of a tensor are.
    fn elements(&self, key: &str, expression: &Expression) -> Result<Elements, FitError> {
        let tensor = |of, key: &str| match of {
            Origination::Source => self.tensor(key),
            Origination::Target => {
                self.target.and_then(|side| side.catalog.tensor(side.state_dict, key))
            }
            Origination::Adapter => None,
        };
        let elements = expression.evaluate(&tensor);
        elements.map_err(|why| FitError::UnsupportedTensors { key: key.to_string(), why })
    }

    fn expression(
        &mut self,
        wanted: &TargetTensor,
    ) -> Result<(Expression, Option<InitSource>), FitError> {
        let key = wanted.key.as_str();
        if let Some(pair) = self.pairs.get(key) {
            return Ok((self.copied(pair)?, None));
        }
        if let Some(misfit) = self.misfits.get(key).copied() {
            return match self.resized(misfit).or_else(|why| match why {
                NotMade::NoRule => self.made(wanted),
                why => Err(why),
            }) {
                Ok((elements, how)) => Ok((elements, Some(how))),
                Err(why) => Err(FitError::ShapeMismatch(Box::new(misfit.clone()), why)),
            };
        }
        let made = self.made(wanted).or_else(|why| match why {
            NotMade::NoRule if self.counters.contains(key) => {
                Ok((self.zero.make(self.needed(wanted))?, InitSource::Counter))
            }
            why => Err(why),
        });
        made.map(|(elements, how)| (elements, Some(how)))
            .map_err(|why| FitError::Missing(wanted.clone(), why))
    }

    /// The source's elements, cast if they must be and may be.
    fn copied(&self, pair: &FitPair) -> Result<Expression, FitError> {
        let unholdable = |why| FitError::UnsupportedTensors { key: pair.from.clone(), why };
        let tensor =
            self.tensor(&pair.from).ok_or_else(|| unholdable("it is not a tensor".into()))?;
        let cast = match (&pair.cast, self.filling.casts) {
            (Some((from, to)), Casts::Refuse) => {
                let (has, wanted) = (from.clone(), to.clone());
                return Err(FitError::Cast { key: pair.to.clone(), has, wanted });
            }
            (Some((_, to)), Casts::Make) => Some(to),
            (None, _) => None,
        };
        if !tensor.has_elements() {
            // Only here is it known which of the source's keys is the obstacle.
            Elements::new(tensor.clone(), cast).map_err(unholdable)?;
        }
        let copied = Expression::key(&pair.from, tensor);
        Ok(match cast {
            Some(to) => copied.cast(to.clone()),
            None => copied,
        })
    }

    /// What both have, if that is asked for; tensors that were one are resized once.
    fn resized(&mut self, misfit: &ShapeMismatch) -> Result<(Expression, InitSource), NotMade> {
        let wanted = &misfit.wanted;
        let dimensions = self.dimensions(&wanted.key);
        let is_asked = !dimensions.is_empty();
        let tensor = self.tensor(&misfit.from).filter(|_| is_asked).ok_or(NotMade::NoRule)?;
        let cast = Some(&wanted.dtype).filter(|_| self.filling.casts == Casts::Make);
        let whole = Elements::new(tensor.clone(), cast).map_err(NotMade::Misfit)?;
        let place = whole.place().map(|place| format!("{place:?} {:?}", wanted.shape));
        let made = match place.as_ref().and_then(|place| self.resized.get(place)) {
            Some(made) => made.clone(),
            None => {
                let (needed, initialiser) = (self.needed(wanted), &self.filling.initialiser);
                initialiser.resize((&misfit.from, tensor), cast, needed, &dimensions)?
            }
        };
        self.resized.extend(place.map(|place| (place, made.clone())));
        Ok((made, how_resized(misfit)))
    }

    /// The dimensions that may be resized.
    fn dimensions(&self, key: &str) -> Vec<usize> {
        let rules = self.filling.resize.iter().filter(|rule| rule.pattern.matches(key));
        let mut dimensions: Vec<usize> =
            rules.flat_map(|rule| rule.dimensions.iter().copied()).collect();
        dimensions.sort_unstable();
        dimensions.dedup();
        dimensions
    }

    /// A tensor by the first rule that speaks of it.
    fn made(&self, wanted: &TargetTensor) -> Result<(Expression, InitSource), NotMade> {
        let initialiser = &self.filling.initialiser;
        let rule = initialiser.rule(&wanted.key).ok_or(NotMade::NoRule)?;
        let made = initialiser.make(self.needed(wanted))?;
        Ok((made, InitSource::Init(initialiser.rules[rule].init)))
    }

    fn needed<'n>(&'n self, wanted: &'n TargetTensor) -> Needed<'n> {
        let TargetTensor { key, dtype, shape } = wanted;
        let target = self.target.and_then(|side| side.catalog.tensor(side.state_dict, key));
        Needed { key, dtype, shape, target }
    }

    fn tensor(&self, key: &str) -> Option<&'a Tensor> {
        self.source.catalog.tensor(self.source.state_dict, key)
    }
}

/// What becomes of the first dimension where no other differs, or of all of them.
fn how_resized(misfit: &ShapeMismatch) -> InitSource {
    match (misfit.has.as_slice(), misfit.wanted.shape.as_slice()) {
        ([theirs, of_theirs @ ..], [all, of_all @ ..]) if of_theirs == of_all => {
            InitSource::Rows { kept: *theirs.min(all), new: all.saturating_sub(*theirs) }
        }
        _ => InitSource::Resized { from: misfit.has.clone() },
    }
}
