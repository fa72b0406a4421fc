//! Sums, differences, products and quotients of sizes: `num_attention_heads / num_key_value_heads`.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

use crate::rules::limits::{MAX_DEPTH, MAX_EXPRESSION, MAX_SIZE};
use crate::rules::template::{Name, is_identifier};

/// An expression over sizes, which has no other operations than these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SizeExpression {
    /// A number.
    Number(u64),
    /// The value of a size, or of an entry of a configuration: `text_config.hidden_size`.
    Name(Name),
    /// Two expressions and what is between them.
    Both(Box<SizeExpression>, Operation, Box<SizeExpression>),
}

/// What an expression may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`, which must leave no remainder.
    Divide,
}

/// What is wrong with an expression, or with its value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadSize {
    /// Not an expression.
    #[error("'{text}' is not a size; expected a number, names, + - * / and parentheses{at}")]
    Syntax {
        /// What was read.
        text: String,
        /// Where it stops being one.
        at: String,
    },
    /// More of something than there may be.
    #[error("{what} in '{text}' exceeds the limit of {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// Where.
        text: String,
        /// How much there may be.
        limit: u64,
    },
    /// A division that leaves something.
    #[error("{a} / {b} leaves a remainder in '{text}'")]
    Remainder {
        /// What is divided.
        a: i128,
        /// By what.
        b: i128,
        /// The expression.
        text: String,
    },
    /// A division by zero.
    #[error("division by zero in '{0}'")]
    Zero(String),
    /// A size below zero.
    #[error("'{text}' is {value}, and a size cannot be negative")]
    Negative {
        /// The expression.
        text: String,
        /// Its value.
        value: i128,
    },
    /// An entry of a configuration that is something else.
    #[error("'{name}' is {found}, not a whole number")]
    NotANumber {
        /// The entry.
        name: String,
        /// What it is.
        found: String,
    },
}

/// The value behind a name; `None` if it is not known.
pub type Lookup<'a> = dyn FnMut(&str) -> Result<Option<u64>, BadSize> + 'a;

impl SizeExpression {
    /// Reads an expression.
    ///
    /// # Errors
    /// A text that is not one, or one beyond the limits.
    pub fn parse(text: &str) -> Result<SizeExpression, BadSize> {
        let mut parser = Parser::new(text)?;
        let expression = parser.sum(0)?;
        match parser.peek() {
            None => Ok(expression),
            Some(_) => Err(parser.unexpected()),
        }
    }

    /// Reads the expression that a text begins with; gives the rest as well.
    pub(crate) fn parse_start(text: &str) -> Result<(SizeExpression, &str), BadSize> {
        let mut parser = Parser::new(text)?;
        let expression = parser.sum(0)?;
        Ok((expression, &text[parser.at..]))
    }

    /// The value, if every name in it has one.
    ///
    /// # Errors
    /// A value that is negative, too large, or a quotient with a remainder.
    pub fn evaluate(&self, lookup: &mut Lookup) -> Result<Option<u64>, BadSize> {
        let Some(value) = self.value(lookup)? else { return Ok(None) };
        let negative = || BadSize::Negative { text: self.to_string(), value };
        u64::try_from(value).map(Some).map_err(|_| negative())
    }

    fn value(&self, lookup: &mut Lookup) -> Result<Option<i128>, BadSize> {
        let (a, operation, b) = match self {
            SizeExpression::Number(number) => return Ok(Some(i128::from(*number))),
            SizeExpression::Name(name) => return Ok(lookup(name)?.map(i128::from)),
            SizeExpression::Both(a, operation, b) => (a, operation, b),
        };
        let (Some(a), Some(b)) = (a.value(lookup)?, b.value(lookup)?) else { return Ok(None) };
        let value = match operation {
            Operation::Add => a.checked_add(b),
            Operation::Subtract => a.checked_sub(b),
            Operation::Multiply => a.checked_mul(b),
            Operation::Divide if b == 0 => return Err(BadSize::Zero(self.to_string())),
            Operation::Divide if a % b != 0 => {
                return Err(BadSize::Remainder { a, b, text: self.to_string() });
            }
            Operation::Divide => a.checked_div(b),
        };
        let in_range = value.filter(|value| value.unsigned_abs() <= u128::from(MAX_SIZE));
        in_range.map(Some).ok_or_else(|| limit("the value", &self.to_string(), MAX_SIZE))
    }

    /// The names in it.
    pub fn names(&self) -> Vec<&Name> {
        match self {
            SizeExpression::Number(_) => Vec::new(),
            SizeExpression::Name(name) => [name].into(),
            SizeExpression::Both(a, _, b) => {
                let mut names = a.names();
                names.extend(b.names());
                names
            }
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, within: u8) -> fmt::Result {
        let (a, operation, b) = match self {
            SizeExpression::Number(number) => return write!(f, "{number}"),
            SizeExpression::Name(name) => return f.write_str(name),
            SizeExpression::Both(a, operation, b) => (a, operation, b),
        };
        let (sign, binds) = match operation {
            Operation::Add => ('+', 1),
            Operation::Subtract => ('-', 1),
            Operation::Multiply => ('*', 2),
            Operation::Divide => ('/', 2),
        };
        if binds < within {
            f.write_str("(")?;
        }
        a.write(f, binds)?;
        write!(f, "{sign}")?;
        b.write(f, binds + 1)?;
        if binds < within {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Display for SizeExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

fn limit(what: &'static str, text: &str, limit: u64) -> BadSize {
    BadSize::Limit { what, text: shortened(text), limit }
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

/// A number that is not beyond what a size may be.
pub(crate) fn parse_number(digits: &str) -> Result<u64, BadSize> {
    let number = digits.parse().ok().filter(|number| *number <= MAX_SIZE);
    number.ok_or_else(|| limit("a number", digits, MAX_SIZE))
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// How many numbers, names and operations were read.
    steps: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Parser<'a>, BadSize> {
        Ok(Parser { text, at: 0, steps: 0 })
    }

    /// The next character that is not a blank; blanks before it are read only with it.
    fn peek(&self) -> Option<char> {
        self.text[self.at..].trim_start_matches(' ').chars().next()
    }

    fn take(&mut self) {
        let rest = self.text[self.at..].trim_start_matches(' ');
        let len = rest.chars().next().map_or(0, char::len_utf8);
        self.at = self.text.len() - rest.len() + len;
    }

    fn sum(&mut self, depth: usize) -> Result<SizeExpression, BadSize> {
        let mut left = self.product(depth)?;
        loop {
            let operation = match self.peek() {
                Some('+') => Operation::Add,
                Some('-') => Operation::Subtract,
                _ => return Ok(left),
            };
            self.take();
            let right = self.product(depth)?;
            left = SizeExpression::Both(Box::new(left), operation, Box::new(right));
        }
    }

    fn product(&mut self, depth: usize) -> Result<SizeExpression, BadSize> {
        let mut left = self.factor(depth)?;
        loop {
            let operation = match self.peek() {
                Some('*') => Operation::Multiply,
                Some('/') => Operation::Divide,
                _ => return Ok(left),
            };
            self.take();
            let right = self.factor(depth)?;
            left = SizeExpression::Both(Box::new(left), operation, Box::new(right));
        }
    }

    fn factor(&mut self, depth: usize) -> Result<SizeExpression, BadSize> {
        self.steps += 1;
        if self.steps > MAX_EXPRESSION {
            let most = u64::try_from(MAX_EXPRESSION).unwrap_or(u64::MAX);
            return Err(limit("the number of operations", self.text, most));
        }
        if depth > MAX_DEPTH {
            let most = u64::try_from(MAX_DEPTH).unwrap_or(u64::MAX);
            return Err(limit("the depth of parentheses", self.text, most));
        }
        match self.peek() {
            Some('(') => {
                self.take();
                let inner = self.sum(depth + 1)?;
                if self.peek() != Some(')') {
                    return Err(self.unexpected());
                }
                self.take();
                Ok(inner)
            }
            Some(c) if c.is_ascii_digit() => {
                let digits = self.word(|c| c.is_ascii_digit());
                Ok(SizeExpression::Number(parse_number(digits)?))
            }
            Some(_) => {
                let word = self.word(|c| c.is_alphanumeric() || c == '_' || c == '.');
                if !is_path(word) {
                    self.at -= word.len();
                    return Err(self.unexpected());
                }
                Ok(SizeExpression::Name(Arc::from(word)))
            }
            None => Err(self.unexpected()),
        }
    }

    fn word(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.text[self.at..].trim_start_matches(' ');
        let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at = self.text.len() - rest.len() + end;
        &rest[..end]
    }

    fn unexpected(&self) -> BadSize {
        let rest = self.text[self.at..].trim_start_matches(' ');
        let at = match rest.chars().next() {
            Some(_) => alloc::format!(", and found '{}'", shortened(rest)),
            None => String::new(),
        };
        BadSize::Syntax { text: shortened(self.text), at }
    }
}

/// True for names with dots between them; all but the first may be numbers, of items of a list.
fn is_path(text: &str) -> bool {
    let mut names = text.split('.');
    let is_number = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    names.next().is_some_and(is_identifier)
        && names.all(|name| is_identifier(name) || is_number(name))
}
