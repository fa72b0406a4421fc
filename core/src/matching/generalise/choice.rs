//! Which templates to take: the most general first, then what must come before it.

use alloc::string::ToString;
use alloc::vec::Vec;

use crate::matching::generalise::sketch::{Cuttable, Sketch};
use crate::rules::remap::Step;
use crate::sorting;
use crate::{IndexMap, Remap, Rename, Rule, TemplatePair};

/// Templates that are looked at, those that most pairs suggest first.
const MAX_CANDIDATES: usize = 4096;

/// Rules of one list; beyond them pairs are listed one by one, which is easier to read.
const MAX_RULES: usize = 256;

/// Templates that are held against all keys, each of which takes time in proportion to the keys.
const MAX_TRIALS: usize = 1024;

/// Pairs that share a form, and what became of their template when it was tried.
struct Candidate {
    sketch: Sketch,
    /// The pairs that suggest it.
    pairs: Vec<usize>,
    trial: Option<Trial>,
}

/// What a template does to the old keys; none of it if there is no such template.
#[derive(Default)]
struct Trial {
    rename: Option<Rename>,
    /// Characters of both sides, to prefer what is shorter.
    length: usize,
    right: Vec<usize>,
    wrong: Vec<usize>,
}

/// What a rule of the list makes of a key.
#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Silent,
    Right,
    Wrong,
}

/// Rules of which the first that recognises a key decides, and the pairs left to be listed.
///
/// The list grows from its end: what most keys have in common comes last, and each rule put before
/// it sets right what those after it get wrong.
pub(super) fn choose<'a>(pairs: &[(&'a str, &'a str)]) -> (Vec<Rule>, Vec<(&'a str, &'a str)>) {
    let mut search = Search::new(pairs);
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < MAX_RULES
        && let Some(best) = search.best()
    {
        search.take(best);
        chosen.push(best);
    }
    chosen.reverse();
    let chosen = search.without_idle(chosen);
    let literal = search.errors();
    let renames = chosen.iter().map(|at| search.rename(*at).clone());
    (renames.map(|rename| Remap::Rename(rename).into()).collect(), literal)
}

struct Search<'p, 'a> {
    pairs: &'p [(&'a str, &'a str)],
    cuttable: Vec<Option<Cuttable<'a>>>,
    sorted: Vec<usize>,
    candidates: Vec<Candidate>,
    /// True for pairs that the list so far gets wrong.
    wrong: Vec<bool>,
    trials: usize,
}

impl<'p, 'a> Search<'p, 'a> {
    fn new(pairs: &'p [(&'a str, &'a str)]) -> Search<'p, 'a> {
        let cuttable: Vec<_> = pairs.iter().map(|(old, new)| Cuttable::new(old, new)).collect();
        let wrong: Vec<bool> = pairs.iter().map(|(old, new)| old != new).collect();
        let mut sorted: Vec<usize> = (0..pairs.len()).collect();
        sorted.sort_unstable_by_key(|at| pairs[*at].0);
        // Where nothing is renamed nothing is looked for.
        let candidates = if wrong.contains(&true) { candidates(&cuttable) } else { Vec::new() };
        Search { pairs, cuttable, sorted, candidates, wrong, trials: 0 }
    }

    /// The template that sets most pairs right, those that it gets wrong counted against it; it
    /// must win two at least.
    fn best(&mut self) -> Option<usize> {
        let bounds = self.candidates.iter().map(|candidate| match &candidate.trial {
            Some(trial) => trial.gain(&self.wrong).max(0).unsigned_abs(),
            None => candidate.pairs.iter().filter(|pair| self.wrong[**pair]).count(),
        });
        let bounds = bounds.enumerate().filter(|(_, bound)| *bound > 1);
        let mut bounds: Vec<(usize, usize)> = bounds.collect();
        sorting::sort_by_key(&mut bounds, |(_, bound)| usize::MAX - bound);
        let mut best: Option<(isize, usize, usize)> = None;
        for (at, bound) in bounds {
            if best.is_some_and(|(gain, _, _)| gain.unsigned_abs() > bound) {
                break;
            }
            self.try_out(at);
            let Some(trial) = &self.candidates[at].trial else { continue };
            let gain = trial.gain(&self.wrong);
            let is_better =
                best.is_none_or(|(most, length, _)| (gain, length) > (most, trial.length));
            if gain > 1 && trial.rename.is_some() && is_better {
                best = Some((gain, trial.length, at));
            }
        }
        best.map(|(_, _, at)| at)
    }

    /// Holds a template against all keys, once.
    fn try_out(&mut self, at: usize) {
        if self.candidates[at].trial.is_some() || self.trials == MAX_TRIALS {
            return;
        }
        self.trials += 1;
        let candidate = &self.candidates[at];
        let suggesting: Vec<&Cuttable> =
            candidate.pairs.iter().filter_map(|pair| self.cuttable[*pair].as_ref()).collect();
        let trial = candidate.sketch.resolve(&suggesting).map(|pair| self.trial(pair));
        self.candidates[at].trial = Some(trial.unwrap_or_default());
    }

    fn trial(&self, pair: TemplatePair) -> Trial {
        let mut trial = Trial { length: pair.to_string().chars().count(), ..Trial::default() };
        let start = pair.from().literal_start();
        let first = self.sorted.partition_point(|at| self.pairs[*at].0 < start.as_str());
        let below = self.sorted[first..].iter();
        for at in below.take_while(|at| self.pairs[**at].0.starts_with(&start)) {
            let (old, new) = self.pairs[*at];
            match pair.step(old) {
                Step::Becomes(name) if name == new => trial.right.push(*at),
                Step::Undefined => {}
                _ => trial.wrong.push(*at),
            }
        }
        trial.rename = Rename::new(pair);
        trial
    }

    fn take(&mut self, at: usize) {
        let Some(trial) = &self.candidates[at].trial else { return };
        for pair in &trial.right {
            self.wrong[*pair] = false;
        }
        for pair in &trial.wrong {
            self.wrong[*pair] = true;
        }
    }

    /// The rules without those whose work others after them do as well.
    fn without_idle(&mut self, mut chosen: Vec<usize>) -> Vec<usize> {
        let mut verdicts: Vec<Vec<Verdict>> = chosen.iter().map(|at| self.verdicts(*at)).collect();
        let mut rule = 0;
        while rule < chosen.len() {
            let others: Vec<&Vec<Verdict>> =
                verdicts.iter().enumerate().filter(|(i, _)| *i != rule).map(|(_, v)| v).collect();
            let mut set_right = self.right(chosen[rule]).iter();
            let is_idle = set_right.all(|pair| self.wrong[*pair] || self.is_right(*pair, &others));
            if is_idle {
                verdicts.remove(rule);
                chosen.remove(rule);
            } else {
                rule += 1;
            }
        }
        let verdicts: Vec<&Vec<Verdict>> = verdicts.iter().collect();
        self.wrong = (0..self.pairs.len()).map(|pair| !self.is_right(pair, &verdicts)).collect();
        chosen
    }

    /// The pairs that a template gets right.
    fn right(&self, at: usize) -> &[usize] {
        self.candidates[at].trial.as_ref().map_or(&[], |trial| &trial.right)
    }

    fn verdicts(&self, at: usize) -> Vec<Verdict> {
        let mut verdicts = alloc::vec![Verdict::Silent; self.pairs.len()];
        if let Some(trial) = &self.candidates[at].trial {
            trial.right.iter().for_each(|pair| verdicts[*pair] = Verdict::Right);
            trial.wrong.iter().for_each(|pair| verdicts[*pair] = Verdict::Wrong);
        }
        verdicts
    }

    /// True if the first of these rules that recognises the pair's old key, or none, is right.
    fn is_right(&self, pair: usize, rules: &[&Vec<Verdict>]) -> bool {
        let first = rules.iter().map(|verdicts| verdicts[pair]).find(|v| *v != Verdict::Silent);
        let (old, new) = self.pairs[pair];
        first.map_or(old == new, |verdict| verdict == Verdict::Right)
    }

    fn errors(&self) -> Vec<(&'a str, &'a str)> {
        let wrong = self.pairs.iter().zip(&self.wrong).filter(|(_, wrong)| **wrong);
        wrong.map(|(pair, _)| *pair).collect()
    }

    fn rename(&self, at: usize) -> &Rename {
        let trial = self.candidates[at].trial.as_ref();
        trial.and_then(|trial| trial.rename.as_ref()).expect("only what was tried out is chosen")
    }
}

impl Trial {
    /// Pairs set right, less those that are right without it and would be wrong with it.
    fn gain(&self, wrong: &[bool]) -> isize {
        let mended = self.right.iter().filter(|pair| wrong[**pair]).count();
        let broken = self.wrong.iter().filter(|pair| !wrong[**pair]).count();
        mended.cast_signed() - broken.cast_signed()
    }
}

/// Sketches that two pairs or more have in common.
fn candidates(pairs: &[Option<Cuttable>]) -> Vec<Candidate> {
    let mut forms = IndexMap::<_, Candidate>::default();
    for (at, pair) in pairs.iter().enumerate() {
        for (form, sketch) in pair.iter().flat_map(Cuttable::sketches) {
            let candidate = forms.entry(form);
            let candidate =
                candidate.or_insert_with(|| Candidate { sketch, pairs: Vec::new(), trial: None });
            candidate.pairs.push(at);
        }
    }
    let mut candidates: Vec<Candidate> =
        forms.into_values().filter(|candidate| candidate.pairs.len() > 1).collect();
    sorting::sort_by_key(&mut candidates, |candidate| usize::MAX - candidate.pairs.len());
    candidates.truncate(MAX_CANDIDATES);
    candidates
}
