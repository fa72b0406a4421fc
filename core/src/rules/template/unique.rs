//! Whether every key that matches can be read in one way alone.

use crate::rules::template::matching::Words;
use crate::rules::template::parse::any_pair;
use crate::rules::template::{Op, Template};

impl Template {
    /// True if what the captures hold is all that could be filled in to make the key again.
    ///
    /// So it is where some holes end where the text after them says, whatever comes later, the
    /// others begin where the text before them says, and one at most is left between the two.
    pub(crate) fn reads_in_one_way(&self) -> bool {
        let program = &self.program;
        if program.iter().any(|op| matches!(op, Op::Nothing(_))) {
            return false;
        }
        let mut holes = (0..program.len()).filter(|at| !matches!(program[*at], Op::Literal(_)));
        let mut later = holes.by_ref().skip_while(|at| self.ends_clearly(*at));
        let _free = later.next();
        later.all(|at| self.begins_clearly(at))
    }

    /// True if it is clear where a hole ends that begins where it does.
    fn ends_clearly(&self, at: usize) -> bool {
        let next = self.program.get(at + 1);
        let ends_with_segment = match next {
            None | Some(Op::RestInner(_)) => true,
            Some(Op::Literal(text)) if text.contains(self.separator) => true,
            Some(Op::Literal(_)) => {
                matches!(self.program.get(at + 2), None | Some(Op::RestInner(_)))
            }
            Some(_) => false,
        };
        let ends_with_key = match next {
            None => true,
            Some(Op::Literal(_)) => self.program.get(at + 2).is_none(),
            Some(_) => false,
        };
        match &self.program[at] {
            Op::Text(_) => ends_with_segment,
            Op::Number(..) => ends_with_segment || next.is_some_and(begins_otherwise),
            Op::Words(_, words) => {
                let within = !words.all.iter().any(|word| word.contains(self.separator));
                ends_with_key
                    || ends_with_segment && within
                    || !any_pair(&words.all, |a, b| b.starts_with(a))
            }
            Op::RestWhole(_) => true,
            Op::RestInner(_) => next.is_none(),
            Op::RestStart(_) | Op::Nothing(_) | Op::Never | Op::Literal(_) => false,
        }
    }

    /// True if it is clear where a hole begins that ends where it does.
    fn begins_clearly(&self, at: usize) -> bool {
        let before = |steps: usize| at.checked_sub(steps).and_then(|at| self.program.get(at));
        let previous = before(1);
        let begins_with_segment = match previous {
            None | Some(Op::RestStart(_)) => true,
            Some(Op::Literal(text)) if text.contains(self.separator) => true,
            Some(Op::Literal(_)) => matches!(before(2), None | Some(Op::RestStart(_))),
            Some(_) => false,
        };
        let begins_with_key = match previous {
            None => true,
            Some(Op::Literal(_)) => before(2).is_none(),
            Some(_) => false,
        };
        match &self.program[at] {
            Op::Text(_) => begins_with_segment,
            Op::Number(..) => begins_with_segment || previous.is_some_and(ends_otherwise),
            Op::Words(_, words) => {
                let within = !words.all.iter().any(|word| word.contains(self.separator));
                begins_with_key
                    || begins_with_segment && within
                    || !any_pair(&words.all, |a, b| b.ends_with(a))
            }
            Op::RestWhole(_) | Op::RestStart(_) => true,
            Op::RestInner(_) | Op::Nothing(_) | Op::Never | Op::Literal(_) => false,
        }
    }
}

/// True if no text of the step begins with a digit.
fn begins_otherwise(op: &Op) -> bool {
    let is_other = |text: &str| text.starts_with(|c: char| !c.is_ascii_digit());
    match op {
        Op::Literal(text) => is_other(text),
        Op::Words(_, words) => all(words, is_other),
        _ => false,
    }
}

/// True if no text of the step ends with a digit.
fn ends_otherwise(op: &Op) -> bool {
    let is_other = |text: &str| text.ends_with(|c: char| !c.is_ascii_digit());
    match op {
        Op::Literal(text) => is_other(text),
        Op::Words(_, words) => all(words, is_other),
        _ => false,
    }
}

fn all(words: &Words, holds: impl Fn(&str) -> bool) -> bool {
    words.all.iter().all(|word| holds(word))
}
