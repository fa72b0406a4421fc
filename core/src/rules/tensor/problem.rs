//! What is wrong with a rule of tensors.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use thiserror::Error;

use crate::rules::sizes::BadSize;
use crate::rules::template::{BadTemplate, Name};

/// What is wrong with a rule of tensors, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadTensorRule {
    /// The rule, as it was written.
    pub rule: Box<str>,
    /// The term it is about; none if it is about the whole.
    pub term: Option<Box<str>>,
    /// What is wrong.
    pub problem: Problem,
}

/// How much of a rule is shown where it is refused.
const SHOWN: usize = 300;

impl fmt::Display for BadTensorRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule '{}': ", Shortened(&self.rule))?;
        if let Some(term) = self.term.as_ref().filter(|term| **term != self.rule) {
            write!(f, "in '{}': ", Shortened(term))?;
        }
        self.problem.fmt(f)
    }
}

impl core::error::Error for BadTensorRule {}

struct Shortened<'a>(&'a str);

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN) {
            Some((end, _)) => write!(f, "{}…", &self.0[..end]),
            None => f.write_str(self.0),
        }
    }
}

/// What is wrong with a rule of tensors.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// A template that cannot be read.
    #[error(transparent)]
    Template(#[from] BadTemplate),
    /// A size that cannot be read.
    #[error(transparent)]
    Size(#[from] BadSize),
    /// More of something than there may be.
    #[error("{what} exceeds the limit of {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        limit: u64,
    },

    /// `[` without `]`.
    #[error("'[' is not closed; write \\[ for a bracket in a key")]
    Bracket,
    /// Something between `]` and the end of the term.
    #[error("'{0}' follows ']', which ends a term; write \\[ for a bracket in a key")]
    AfterPlaces(String),
    /// A comma that separates nothing.
    #[error("between terms a comma has a blank after it; write \\, for a comma in a key")]
    CommaBetweenTerms,
    /// An equals sign in a key.
    #[error(
        "write ' = ', with blanks, before another key of the same tensor, or \\= for an equals \
         sign in a key"
    )]
    Equals,
    /// A second arrow.
    #[error("there is more than one '->'")]
    Arrows,
    /// Places on a key after ` = `.
    #[error(
        "the key after ' = ' has the same tensor as the one before, and so no places of its own"
    )]
    PlacesOnTie,
    /// A tie on the left.
    #[error("' = ' names another key for a tensor that is made, so only on the right of '->'")]
    TieOnLeft,

    /// A constant that tensors cannot be combined with.
    #[error(
        "'{0}' is not a constant; write ' + 1', ' - 1', ' * 2' or ' / 2', with blanks, and not 0 where it multiplies"
    )]
    Constant(String),

    /// `|` outside of parentheses.
    #[error("'|' is between parts of one dimension, which has parentheses: [(a | b)]")]
    BareSum,
    /// A parenthesis without its partner.
    #[error("'{0}' has a parenthesis without its partner")]
    Parenthesis(String),
    /// A brace without its partner.
    #[error("'{0}' has a brace without its partner")]
    Brace(String),
    /// `..` in parentheses.
    #[error("'..' is any number of dimensions, so it cannot be a part of one, in parentheses")]
    RestInside,
    /// `..` twice.
    #[error("'..' is there twice, so it is not said which dimensions are which")]
    RestTwice,
    /// Nothing in parentheses, or beside `|`.
    #[error("a part in parentheses is empty")]
    EmptyPart,
    /// A capture among places.
    #[error("'{{{0}}}' cannot be among places; a place is a name without braces, or {{q,k,v}}")]
    CaptureAmongPlaces(String),
    /// What is not a name.
    #[error("'{0}' is not a name for a place; a name has letters, digits and '_', a letter first")]
    NotAName(String),
    /// A place of no elements.
    #[error("a place cannot have the size 0")]
    NoElements,
    /// A size after a list.
    #[error("'{{{0}}}' is several names, which cannot have one size; say it on the other side")]
    SizeOfList(String),
    /// A size after a number.
    #[error("'{0}' is a number, and a number is its own size")]
    SizeOfNumber(String),
    /// Two sizes of a name.
    #[error("the size of '{name}' is {a} and {b}")]
    SizedTwice {
        /// The place.
        name: Name,
        /// What is said first.
        a: String,
        /// What is said then.
        b: String,
    },
    /// A comma among places.
    #[error("places have blanks between them, not commas")]
    Comma,
    /// A character that means nothing.
    #[error("'{0}' means nothing among places, which are names, numbers, '..' and parentheses")]
    Character(char),
    /// `_` elsewhere than as a part of a sum.
    #[error("'_' is what is cut off or filled in, a part of a dimension of its own: [(v | _) d]")]
    Beyond,
    /// `_` twice in one sum.
    #[error("'_' is there twice in one dimension, so it is not said how much each of them has")]
    BeyondTwice,
    /// `_` on the right without a number.
    #[error("on the right '_' says what is filled in: write _=0")]
    Unfilled,
    /// What is filled in is no number.
    #[error("'{0}' after '_=' is not a number to fill in")]
    NotAFilling(String),

    /// A name twice in one part.
    #[error("'{0}' is there twice, so it is not said which of the two goes where")]
    NameTwice(Name),
    /// A number twice in one part.
    #[error("{0} is there twice; give the places names: a={0} b={0}")]
    NumberTwice(Name),
    /// A name in the key and among the places.
    #[error(
        "'{0}' is a part of the key and a place in the same term; give one of them another name, \
         as {{n}} for the layer where the places are h w i o"
    )]
    KeyAndPlace(Name),
    /// A part of keys that is a place elsewhere.
    #[error(
        "'{0}' is a part of the keys on both sides, and a place as well; give the place another \
         name"
    )]
    CarriedAndPlace(Name),
    /// `*` in a rule of tensors.
    #[error("'*' does not say what becomes of what it stands for; capture it as {{name}}")]
    Wildcard,
    /// A part of keys that goes nowhere.
    #[error("{{{0}}} is on one side of '->' only")]
    Forgotten(Name),
    /// A part of keys that a term does not have.
    #[error("{{{0}}} is in other keys of the rule and not in this one")]
    NotEverywhere(Name),
    /// Whole segments as a place.
    #[error("{{{0}..}} is any number of segments, so it cannot be a place")]
    RestAsPlace(Name),
    /// One segment and any number of them.
    #[error("'{{{0}}}' is one segment in one key and any number in another")]
    Kind(Name),
    /// Words on one side alone.
    #[error("'{0}' is a list of words in one key and {{{0}}} in another; say its words there, too")]
    ListAgainstText(Name),
    /// Lists of one name that differ in length.
    #[error("the lists of '{name}' have {a} and {b} words")]
    ListLengths {
        /// The capture.
        name: Name,
        /// How many words one list has.
        a: usize,
        /// How many another has.
        b: usize,
    },
    /// Lists without a name that differ in length.
    #[error("the lists in braces have {0} and {1} words, and go in step")]
    Lists(usize, usize),
    /// A size beside a list.
    #[error("'{name}' has the size {size}, and its list has {words} words")]
    ListSize {
        /// The capture.
        name: Name,
        /// The size that is said.
        size: u64,
        /// How many words there are.
        words: usize,
    },
    /// Sizes that are made of each other.
    #[error("the size of '{0}' is said by itself")]
    Circle(Name),
    /// A size among places that is an entry of a configuration.
    #[error("'{0}' is not the name of a place or a size")]
    SizeName(Name),

    /// Two terms of a side with the same keys.
    #[error("the key '{0}' is there twice on one side of '->'")]
    SameKey(String),
    /// A place that is on one side only.
    #[error(
        "the place '{0}' is on one side of '->' only; what repeats is a 1 on the other: \
         [1 d] -> [n d]"
    )]
    OneSided(Name),
    /// Several tensors that hold the same.
    #[error(
        "'{a}' and '{b}' both hold [{part}]; give their parts different names, as \
         {{q,k,v}}[{{q,k,v}} ..] on one side and [(q | k | v) ..] on the other; a comma in a key \
         is written \\,"
    )]
    Same {
        /// One of them.
        a: String,
        /// The other.
        b: String,
        /// The names.
        part: String,
    },
    /// A part that is there twice in one tensor.
    #[error("[{0}] is there twice in one tensor; give the parts different names")]
    PartTwice(String),
    /// A part that the other side does not have.
    #[error("[{part}] of '{term}' is nowhere on the other side of '->'")]
    Nowhere {
        /// The names.
        part: String,
        /// Where it is.
        term: String,
    },
}

impl Problem {
    pub(crate) fn limit(what: &'static str, limit: usize) -> Problem {
        Problem::Limit { what, limit: u64::try_from(limit).unwrap_or(u64::MAX) }
    }
}
