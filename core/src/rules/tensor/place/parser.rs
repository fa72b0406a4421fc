//! Places as a rule writes them.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::{BEYOND, Dimensions, Filling, Place};
use crate::rules::limits::{MAX_DEPTH, MAX_PLACES};
use crate::rules::sizes::{SizeExpression, parse_number};
use crate::rules::template::{Name, is_identifier, words};
use crate::rules::tensor::{Inline, Problem};

impl Dimensions {
    /// Reads what is between brackets; sizes that are said there go into `inline`.
    pub(in crate::rules::tensor) fn parse(
        text: &str,
        inline: &mut Inline,
    ) -> Result<Dimensions, Problem> {
        let mut parser = Parser { rest: text, inline, places: 0 };
        let mut places = Vec::new();
        loop {
            parser.skip_blanks();
            match parser.rest.chars().next() {
                None => break,
                Some('|') => return Err(Problem::BareSum),
                Some(')') => return Err(Problem::Parenthesis(text.to_owned())),
                Some(_) => places.push(parser.place(0)?),
            }
        }
        if places.iter().filter(|place| **place == Place::Rest).count() > 1 {
            return Err(Problem::RestTwice);
        }
        Ok(Dimensions(places))
    }
}

struct Parser<'a> {
    rest: &'a str,
    inline: &'a mut Inline,
    places: usize,
}

impl<'a> Parser<'a> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    fn place(&mut self, depth: usize) -> Result<Place, Problem> {
        self.places += 1;
        if self.places > MAX_PLACES {
            return Err(Problem::limit("the number of places", MAX_PLACES));
        }
        if depth > MAX_DEPTH {
            return Err(Problem::limit("the depth of parentheses", MAX_DEPTH));
        }
        let c = self.rest.chars().next().unwrap_or(')');
        match c {
            '(' => self.parentheses(depth),
            '{' => self.choice(),
            '.' if self.rest.starts_with("..") => {
                if depth > 0 {
                    return Err(Problem::RestInside);
                }
                self.rest = &self.rest[2..];
                Ok(Place::Rest)
            }
            c if c.is_alphanumeric() || c == '_' => self.axis(),
            ',' => Err(Problem::Comma),
            c => Err(Problem::Character(c)),
        }
    }

    fn parentheses(&mut self, depth: usize) -> Result<Place, Problem> {
        let whole = self.rest;
        self.rest = &self.rest[1..];
        let mut parts = Vec::from([Vec::new()]);
        loop {
            self.skip_blanks();
            let last = parts.last_mut();
            match (self.rest.chars().next(), last) {
                (Some(')'), _) => break,
                (Some('|'), _) => {
                    self.rest = &self.rest[1..];
                    parts.push(Vec::new());
                }
                (Some(_), Some(last)) => last.push(self.place(depth + 1)?),
                _ => return Err(Problem::Parenthesis(whole.to_owned())),
            }
        }
        self.rest = &self.rest[1..];
        if parts.iter().any(Vec::is_empty) {
            return Err(Problem::EmptyPart);
        }
        let place = match parts.len() {
            1 => match parts.pop() {
                Some(mut places) if places.len() == 1 => places.pop().ok_or(Problem::EmptyPart)?,
                places => Place::Product(places.unwrap_or_default()),
            },
            _ => Place::Sum(parts),
        };
        match self.rest.trim_start_matches(' ').strip_prefix('=') {
            None => Ok(place),
            Some(size) => {
                let (size, rest) = SizeExpression::parse_start(size)?;
                self.rest = rest;
                self.end()?;
                Ok(Place::Sized(Box::new(place), size))
            }
        }
    }

    /// `_`, or `_=0`.
    fn beyond(&mut self) -> Result<Place, Problem> {
        let name = BEYOND.into();
        let behind = self.rest.trim_start_matches(' ');
        let Some(number) = behind.strip_prefix('=') else {
            self.end()?;
            return Ok(Place::Beyond { name, filled: None });
        };
        let number = number.trim_start_matches(' ');
        let end = number.find([' ', '|', ')']).unwrap_or(number.len());
        let (word, rest) = number.split_at(end);
        let filled = word.parse().ok().and_then(Filling::new);
        let filled = filled.ok_or_else(|| Problem::NotAFilling(word.to_owned()))?;
        self.rest = rest;
        self.end()?;
        Ok(Place::Beyond { name, filled: Some(filled) })
    }

    /// Refuses what cannot follow a place: that is a blank, a bar or a parenthesis.
    fn end(&self) -> Result<(), Problem> {
        match self.rest.chars().next() {
            None | Some(' ' | '|' | '(' | ')') => Ok(()),
            Some('.') if self.rest.starts_with("..") => Ok(()),
            Some(',') => Err(Problem::Comma),
            Some(c) => Err(Problem::Character(c)),
        }
    }

    fn choice(&mut self) -> Result<Place, Problem> {
        let Some((inside, after)) = self.rest[1..].split_once('}') else {
            return Err(Problem::Brace(self.rest.to_owned()));
        };
        if inside.contains('=') {
            return Err(Problem::CaptureAmongPlaces(inside.to_owned()));
        }
        let words = words(inside, inside)?;
        if let Some(word) = words.iter().find(|word| !is_identifier(word)) {
            return Err(Problem::NotAName(word.clone()));
        }
        if words.len() == 1 {
            return Err(Problem::CaptureAmongPlaces(inside.to_owned()));
        }
        self.rest = after;
        self.skip_blanks();
        if self.rest.starts_with('=') {
            return Err(Problem::SizeOfList(inside.to_owned()));
        }
        Ok(Place::Choice(words))
    }

    fn axis(&mut self) -> Result<Place, Problem> {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let (word, after) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = after;
        if word == BEYOND {
            return self.beyond();
        }
        let place = if word.bytes().all(|byte| byte.is_ascii_digit()) {
            match parse_number(word)? {
                0 => return Err(Problem::NoElements),
                number => Place::Number(number),
            }
        } else if is_identifier(word) {
            Place::Name(word.into())
        } else {
            return Err(Problem::NotAName(word.to_owned()));
        };
        let behind = self.rest.trim_start_matches(' ');
        if let Some(size) = behind.strip_prefix('=') {
            let (size, rest) = SizeExpression::parse_start(size)?;
            self.rest = rest;
            let Place::Name(name) = &place else {
                return Err(Problem::SizeOfNumber(word.to_owned()));
            };
            self.note(name, size)?;
        }
        // `(a.b)`, `2x`
        self.end()?;
        Ok(place)
    }

    fn note(&mut self, name: &Name, size: SizeExpression) -> Result<(), Problem> {
        match self.inline.get(name) {
            Some(known) if *known != size => {
                let (name, a, b) = (name.clone(), known.to_string(), size.to_string());
                Err(Problem::SizedTwice { name, a, b })
            }
            _ => {
                self.inline.insert(name.clone(), size);
                Ok(())
            }
        }
    }
}
