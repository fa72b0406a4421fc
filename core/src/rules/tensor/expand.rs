//! Lists without a name, `{q,k,v}`: a term is written out for each word.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::rules::limits::MAX_TERMS;
use crate::rules::template::{Part, Template};
use crate::rules::tensor::{Dimensions, Place, Problem, Term};

/// The terms of both sides.
pub(super) struct Sides {
    pub(super) left: Vec<Term>,
    pub(super) right: Vec<Term>,
}

/// What is wrong, and with which term.
type Refusal = (Option<String>, Problem);

/// The rule with its lists written out, or the rules that it stands for.
///
/// Where every term has a list in its key and none has one among its places, the words of both
/// sides go in step and each is a rule of its own.
pub(super) fn written_out(sides: Sides) -> Result<Vec<Sides>, Refusal> {
    let mut terms = sides.left.iter().chain(&sides.right);
    let goes_in_step = terms.all(|term| in_key(term).is_some() && in_places(term).is_empty());
    if !goes_in_step {
        let (left, right) = (all_terms(sides.left)?, all_terms(sides.right)?);
        return Ok([Sides { left, right }].into());
    }
    let count = in_step(sides.left.iter().chain(&sides.right).flat_map(lengths))?.unwrap_or(1);
    let mut all = Vec::new();
    for at in 0..count {
        let (left, right) = (chosen_terms(&sides.left, at)?, chosen_terms(&sides.right, at)?);
        all.push(Sides { left, right });
    }
    Ok(all)
}

fn chosen_terms(terms: &[Term], at: usize) -> Result<Vec<Term>, Refusal> {
    let chosen = terms.iter().map(|term| chosen(term, at));
    chosen.collect::<Result<_, _>>().map_err(|problem| (None, problem))
}

pub(super) fn all_terms(terms: Vec<Term>) -> Result<Vec<Term>, Refusal> {
    let mut all = Vec::new();
    for term in terms {
        let at_term = |problem: Problem| (Some(term.to_string()), problem);
        let own = in_key(&term).into_iter().chain(in_places(&term));
        let count = in_step(own).map_err(|(_, problem)| at_term(problem))?;
        if all.len() + count.unwrap_or(1) > MAX_TERMS {
            return Err((None, Problem::limit("the number of terms", MAX_TERMS)));
        }
        let Some(count) = count else {
            let ties = all_ties(&term).map_err(at_term)?;
            all.push(Term { ties, ..term });
            continue;
        };
        in_step(lengths(&term)).map_err(|(_, problem)| at_term(problem))?;
        for at in 0..count {
            all.push(chosen(&term, at).map_err(at_term)?);
        }
    }
    Ok(all)
}

/// The keys after ` = `, each written out for its own list.
fn all_ties(term: &Term) -> Result<Vec<Template>, Problem> {
    let mut all = Vec::new();
    for tie in &term.ties {
        let count = in_step(lists(tie)).map_err(|(_, problem)| problem)?;
        if all.len() + count.unwrap_or(1) > MAX_TERMS {
            return Err(Problem::limit("the number of terms", MAX_TERMS));
        }
        match count {
            None => all.push(tie.clone()),
            Some(count) => {
                for at in 0..count {
                    all.push(template(tie, at)?);
                }
            }
        }
    }
    Ok(all)
}

/// The length that all lists have; none if there is no list.
fn in_step(lengths: impl IntoIterator<Item = usize>) -> Result<Option<usize>, Refusal> {
    let mut common = None;
    for length in lengths {
        match common {
            Some(known) if known != length => return Err((None, Problem::Lists(known, length))),
            _ => common = Some(length),
        }
    }
    Ok(common)
}

/// The lengths of the lists of a template.
fn lists(template: &Template) -> Vec<usize> {
    let choices = template.parts().filter_map(|part| match part {
        Part::Choice(words) => Some(words.len()),
        _ => None,
    });
    choices.collect()
}

/// The length of a term's list in its key, if there is one.
fn in_key(term: &Term) -> Option<usize> {
    lists(&term.template).first().copied()
}

fn in_places(term: &Term) -> Vec<usize> {
    let leaves = term.places.iter().flat_map(Dimensions::leaves);
    let choices = leaves.filter_map(|place| match place {
        Place::Choice(words) => Some(words.len()),
        _ => None,
    });
    choices.collect()
}

/// The lengths of all lists of a term.
fn lengths(term: &Term) -> Vec<usize> {
    let mut all = lists(&term.template);
    all.extend(in_places(term));
    all.extend(term.ties.iter().flat_map(lists));
    all
}

/// The term with each list's word at this place.
fn chosen(term: &Term, at: usize) -> Result<Term, Problem> {
    let places = term.places.clone().map(|places| {
        places.map(&mut |place| match place {
            Place::Choice(words) => {
                Place::Name(words.get(at).map(String::as_str).unwrap_or("").into())
            }
            place => place,
        })
    });
    let ties = term.ties.iter().map(|tie| template(tie, at)).collect::<Result<_, _>>()?;
    let steps = term.steps.clone();
    Ok(Term { template: template(&term.template, at)?, places, steps, ties })
}

/// The template with the words at this place, which may hold separators.
fn template(template: &Template, at: usize) -> Result<Template, Problem> {
    let chosen = template.clone().map_parts(|part| match part {
        Part::Choice(words) => Part::Literal(words.get(at).cloned().unwrap_or_default()),
        part => part,
    });
    Ok(Template::parse(&chosen.to_string(), template.separator())?)
}
