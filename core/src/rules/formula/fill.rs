//! A tensor that is added, made of constants: `h.{i}.ln.weight -> h.{i}.mask[1 1 n n] = triangle BOOL`.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

use crate::init::Init;
use crate::rules::binding::bound;
use crate::rules::limits::MAX_RULE;
use crate::rules::remap::split_arrow;
use crate::rules::separators::Separators;
use crate::rules::sizes::{BadSizes, SizeExpression, Sizes};
use crate::rules::template::Name;
use crate::rules::tensor::{BEYOND, Dimensions, Inline, Place, Problem, Term, read_term, terms_of};
use crate::{DType, IndexMap, IndexSet, Template};

/// Tensors that are added, one for each that there is of another form.
///
/// What is on the left of the arrow stays, and says how many there are, what their captures hold, how
/// large their places are, and of which type the new ones are where that is not said.
#[derive(Clone, Debug, PartialEq)]
pub struct Fill {
    from: Option<Term>,
    /// As it is written.
    to: Term,
    /// With its lists written out.
    terms: Vec<Term>,
    what: Init,
    dtype: Option<DType>,
    inline: Inline,
    sizes: IndexMap<Name, u64>,
}

/// What is wrong with a fill.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{text}': {problem}")]
pub struct BadFill {
    /// What was read.
    pub text: Box<str>,
    /// What is wrong with it.
    pub problem: FillProblem,
}

/// What is wrong with a fill.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FillProblem {
    /// There is nothing to fill with.
    #[error(
        "expected 'KEY[places] = WHAT DTYPE', perhaps with 'FROM ->' in front, such as \
         'h.{{i}}.k.weight[o d] -> h.{{i}}.k.bias[o] = zeros'"
    )]
    Form,
    /// What is filled in is none of those that are known.
    #[error("'{0}' is not a filling; expected zeros, ones, constant(c), arange or triangle")]
    What(String),
    /// The type is none that there is.
    #[error("unknown dtype '{0}'; expected one as ls prints it, such as F32, I64 or BOOL")]
    DType(String),
    /// Nothing says the type.
    #[error("the type of '{0}' is not said; write it at the end, such as '= zeros F32'")]
    NoType(String),
    /// Nothing says the shape.
    #[error("the shape of '{0}' is not said; write it in brackets, [] for a single number")]
    NoShape(String),
    /// The type does not hold what is filled in.
    #[error("{0}")]
    Misfit(String),
    /// A capture that the left side does not have.
    #[error("{{{0}}} is not captured on the left of '->'")]
    Uncaptured(String),
    /// A second tensor.
    #[error("a filling has one key on each side of '->', and no ties")]
    Several,
    /// A term that cannot be read.
    #[error(transparent)]
    Term(#[from] Problem),
}

impl Fill {
    /// Reads `[FROM -> ]KEY[places] = WHAT[ DTYPE]`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, separators: Separators) -> Result<Fill, BadFill> {
        read(text, separators).map_err(|problem| BadFill { text: text.into(), problem })
    }

    /// What there must be for a tensor to be added; none where one is added in any case.
    pub fn from(&self) -> Option<&Term> {
        self.from.as_ref()
    }

    /// The forms of what is added.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// What it is filled with.
    pub fn what(&self) -> Init {
        self.what
    }

    /// Its type; none where it is that of what there is.
    pub fn dtype(&self) -> Option<&DType> {
        self.dtype.as_ref()
    }

    pub(crate) fn inline(&self) -> &IndexMap<Name, SizeExpression> {
        &self.inline
    }

    pub(crate) fn sizes(&self) -> &IndexMap<Name, u64> {
        &self.sizes
    }

    /// Without an arrow the one side has the separator of the keys there are.
    pub(super) fn separators(&self) -> Separators {
        let left = self.from.as_ref().unwrap_or(&self.to).template.separator();
        Separators { left, right: self.to.template.separator() }
    }

    pub(super) fn templates(&self) -> Vec<&Template> {
        self.from.iter().chain(&self.terms).map(Term::template).collect()
    }

    pub(super) fn size_names(&self) -> IndexSet<Name> {
        let mut names: IndexSet<Name> =
            self.from.iter().chain(&self.terms).flat_map(Term::place_names).collect();
        names.extend(self.inline.values().flat_map(SizeExpression::names).cloned());
        names
    }

    /// The places of what is added that what there is does not have.
    pub(super) fn wanted_sizes(&self) -> IndexSet<Name> {
        let known: IndexSet<Name> = self.from.iter().flat_map(Term::place_names).collect();
        let all = self.terms.iter().flat_map(Term::place_names);
        let mut wanted: IndexSet<Name> = all
            .filter(|name| !known.contains(name) && !self.inline.contains_key(name))
            .filter(|name| !self.sizes.contains_key(name))
            .collect();
        let of_inline = self.inline.values().flat_map(SizeExpression::names).cloned();
        wanted.extend(of_inline.filter(|it| !known.contains(it) && !self.sizes.contains_key(it)));
        wanted
    }

    pub(super) fn with_sizes(&self, sizes: &Sizes) -> Result<Fill, BadSizes> {
        let mut fill = self.clone();
        for term in fill.from.iter_mut().chain(&mut fill.terms).chain([&mut fill.to]) {
            term.template = bound(&term.template, sizes, self)?;
        }
        let known = self.size_names().into_iter();
        fill.sizes = known.filter_map(|name| Some((name.clone(), sizes.get(&name)?))).collect();
        Ok(fill)
    }

    pub(super) fn in_words(&self) -> String {
        let each = match &self.from {
            Some(from) => format!(", one for each {}", from.template),
            None => String::new(),
        };
        format!("adds {}, {}{each}", self.to.template, described(self.what))
    }
}

/// What a tensor is made of, in words.
fn described(what: Init) -> String {
    match what {
        Init::ZEROS => "all zeros".into(),
        Init::ONES => "all ones".into(),
        Init::Arange => "numbers 0, 1, 2, … along its last dimension".into(),
        Init::Triangle => "ones on and below the diagonal and zeros above it".into(),
        other => format!("filled with {other}"),
    }
}

fn read(text: &str, separators: Separators) -> Result<Fill, FillProblem> {
    if text.len() > MAX_RULE {
        return Err(Problem::limit("the length of a rule", MAX_RULE).into());
    }
    let (tensors, filling) = text.rsplit_once(" = ").ok_or(FillProblem::Form)?;
    let (what, dtype) = read_filling(filling.trim())?;
    let (from, to) = match split_arrow(tensors) {
        Ok((from, to)) => (Some(from), to),
        Err(_) => (None, tensors),
    };
    let mut inline = Inline::default();
    // Without an arrow the one side is that of the keys there are.
    let right = if from.is_some() { separators.right } else { separators.left };
    let from = from.map(|from| read_term(from, separators.left, &mut inline)).transpose()?;
    let to = read_term(to, right, &mut inline)?;
    let terms = terms_of(to.clone())?;
    let fill = Fill { from, to, terms, what, dtype, inline, sizes: IndexMap::default() };
    fill.checked()
}

/// `triangle BOOL`, `constant(-1, …)`: what is filled in, and the type if it is said.
fn read_filling(text: &str) -> Result<(Init, Option<DType>), FillProblem> {
    let end = text.find(')').map(|at| at + 1).or_else(|| text.find(' ')).unwrap_or(text.len());
    let (what, dtype) = text.split_at(end);
    let unknown = || FillProblem::What(what.trim().to_string());
    let what: Init = what.parse().map_err(|_| unknown())?;
    if !matches!(what, Init::Constant(_) | Init::Arange | Init::Triangle) {
        return Err(unknown());
    }
    let name = dtype.trim();
    if name.is_empty() {
        return Ok((what, None));
    }
    let dtype = DType::named(&name.to_ascii_uppercase());
    let dtype = dtype.ok_or_else(|| FillProblem::DType(name.to_string()))?;
    match what.misfit(&dtype) {
        None => Ok((what, Some(dtype))),
        Some(why) => Err(FillProblem::Misfit(why)),
    }
}

impl Fill {
    fn checked(mut self) -> Result<Fill, FillProblem> {
        let all = || self.from.iter().chain(&self.terms);
        if all().any(|term| !term.ties.is_empty() || !term.steps.is_empty()) {
            return Err(FillProblem::Several);
        }
        if self.from.is_none() && self.dtype.is_none() {
            return Err(FillProblem::NoType(self.to.template.to_string()));
        }
        let known: IndexSet<&str> =
            self.from.iter().flat_map(|term| term.template.names()).collect();
        for term in all() {
            let is_left = self.from.as_ref().is_some_and(|from| core::ptr::eq(from, term));
            if !is_left && term.template.has_wildcards() {
                return Err(Problem::Wildcard.into());
            }
            if let Some(name) = term.template.names().find(|name| !known.contains(name)) {
                return Err(FillProblem::Uncaptured(name.to_string()));
            }
            let mut leaves = term.places().into_iter().flat_map(Dimensions::leaves);
            if leaves.any(|place| matches!(place, Place::Beyond { .. })) {
                return Err(Problem::NotAName(BEYOND.into()).into());
            }
        }
        let has_rest = |term: &Term| term.places().is_none_or(Dimensions::has_rest);
        if self.terms.iter().any(has_rest) && !self.from.as_ref().is_some_and(has_rest) {
            return Err(FillProblem::NoShape(self.to.template.to_string()));
        }
        self.take_numbers();
        Ok(self)
    }

    /// Takes captures that have the form of numbers somewhere for numbers.
    fn take_numbers(&mut self) {
        let affine = self.templates().into_iter().flat_map(Template::affine_names);
        let numbers: IndexSet<Name> = affine.cloned().collect();
        for term in self.from.iter_mut().chain(&mut self.terms) {
            term.template = term.template.clone().with_numbers(&numbers);
        }
    }
}

impl fmt::Display for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms = self.from.iter().chain([&self.to]);
        Term::write_all(terms, &self.inline, " -> ", f)?;
        write!(f, " = {}", self.what)?;
        match &self.dtype {
            Some(dtype) => write!(f, " {}", dtype.name()),
            None => Ok(()),
        }
    }
}
