//! Likeness of names: what distinguishes alternatives on each side, compared.

use alloc::string::String;
use alloc::vec::Vec;

use crate::SEPARATOR;
use crate::matching::fit::likeness::{likeness, words};
use crate::matching::fit::roles::{parts, sameness};
use crate::matching::numbered::Numbered;

/// Alternatives of one side, beyond which nothing is compared.
const MAX_ALTERNATIVES: usize = 64;

/// Alternatives, from which on it is not by chance that all of them have names alike.
const MIN_WHOLE: usize = 3;

/// Which of several alternatives belong together, as their names and their order say.
///
/// Two belong together if what distinguishes them from the others of their side is the same, or if their
/// names stand for the same part of a layer. If it is only alike (`q` and `query`), their places among the others must be the same too, unless all of
/// them have names alike; and so must that of the last one left on both sides.
pub(super) fn match_by_name(
    sources: &[&str],
    targets: &[&str],
    are_ordered: bool,
) -> Vec<(usize, usize)> {
    if sources.len().max(targets.len()) > MAX_ALTERNATIVES {
        return Vec::new();
    }
    let (roles, wanted) = (parts(sources), parts(targets));
    let counts = (sources.len(), targets.len());
    let by_role = mutual(counts, &[], |a, b| sameness(roles[a].as_ref(), wanted[b].as_ref()));
    let (own, theirs) = (distinctions(sources), distinctions(targets));
    let mut found =
        mutual(counts, &[], |a, b| usize::from(!own[a].is_empty() && own[a] == theirs[b]));
    // Numbers that some have and others have not could be shifted.
    let has_digits = own.iter().chain(&theirs).any(|name| name.contains(is_digit));
    let is_whole = found.len() == sources.len() && found.len() == targets.len();
    if !is_whole && has_digits {
        found.clear();
    }
    found = united(&by_role, &found);
    if sources.len() != targets.len() {
        return found;
    }
    let own: Vec<_> = own.iter().map(|name| words(name)).collect();
    let theirs: Vec<_> = theirs.iter().map(|name| words(name)).collect();
    let by_words = mutual(counts, &found, |a, b| likeness(&own[a], &theirs[b]));
    let is_whole = found.len() + by_words.len() == sources.len() && sources.len() >= MIN_WHOLE;
    // Where names and order contradict each other, neither is believed, but for all names together.
    if !is_whole && (!are_ordered || by_words.iter().any(|(a, b)| a != b)) {
        return found;
    }
    found.extend(by_words);
    let source = only_one_left(sources.len(), found.iter().map(|(a, _)| *a));
    let target = only_one_left(targets.len(), found.iter().map(|(_, b)| *b));
    if let (Some(source), Some(target)) = (source, target)
        && source == target
        && are_ordered
        && !found.is_empty()
    {
        found.push((source, target));
    }
    found
}

/// The pairs of both lists but for those that contradict each other.
fn united(a: &[(usize, usize)], b: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let own = a.iter().filter(|pair| !contradicts(pair, b));
    let new = b.iter().filter(|pair| !contradicts(pair, a) && !a.contains(pair));
    own.chain(new).copied().collect()
}

/// The words of several paths, each once.
pub(super) struct Rivals(Vec<Vec<String>>);

impl Rivals {
    /// The words of these paths; none if there are too many to compare.
    pub(super) fn of<'p>(paths: impl Iterator<Item = &'p str>) -> Option<Rivals> {
        let mut all = Vec::new();
        for path in paths {
            let words = words(path);
            if !all.contains(&words) {
                all.push(words);
            }
            if all.len() > MAX_ALTERNATIVES {
                return None;
            }
        }
        Some(Rivals(all))
    }

    /// True if one of them is more like the path than its partner is.
    pub(super) fn outdo(&self, path: &str, partner: &str) -> bool {
        let (path, partner) = (words(path), words(partner));
        let own = likeness(&path, &partner);
        self.0.iter().any(|rival| likeness(&path, rival) > own)
    }
}

/// Words that say of what kind a module is, and not which it is.
const KINDS: [&str; 9] =
    ["dense", "linear", "conv", "norm", "layernorm", "batchnorm", "layer", "weight", "bias"];

/// True if the last names of two paths have a word in common.
pub(super) fn are_alike(source: &str, target: &str) -> bool {
    likeness(&words(last_name(source)), &words(last_name(target))) > 0
}

/// True if the last names of two paths have a word in common, and the paths do not say of two
/// modules of that kind that they are others: `pooler.dense` is not `lm_head.dense`.
pub(super) fn may_be_the_same(source: &str, target: &str) -> bool {
    let [own, theirs] = [source, target].map(|path| {
        let mut words = words(path);
        words.retain(|word| !KINDS.contains(&word.as_str()));
        words
    });
    let are_others = !own.is_empty() && !theirs.is_empty() && likeness(&own, &theirs) == 0;
    are_alike(source, target) && !are_others
}

/// Pairs of which each is the other's best, with no second best as good.
fn mutual(
    (sources, targets): (usize, usize),
    taken: &[(usize, usize)],
    score: impl Fn(usize, usize) -> usize,
) -> Vec<(usize, usize)> {
    let own: Vec<usize> = (0..sources).filter(|a| taken.iter().all(|it| it.0 != *a)).collect();
    let theirs: Vec<usize> = (0..targets).filter(|b| taken.iter().all(|it| it.1 != *b)).collect();
    let pairs = own.iter().filter_map(|&a| {
        let b = best(theirs.iter().map(|&b| (b, score(a, b))))?;
        (best(own.iter().map(|&other| (other, score(other, b))))? == a).then_some((a, b))
    });
    pairs.collect()
}

/// What has the highest score above 0, if nothing else has as much.
fn best(scores: impl Iterator<Item = (usize, usize)>) -> Option<usize> {
    let mut best: Option<(usize, usize, bool)> = None;
    for (at, score) in scores.filter(|(_, score)| *score > 0) {
        best = match best {
            Some((_, most, _)) if score < most => best,
            Some((other, most, _)) if score == most => Some((other, most, true)),
            _ => Some((at, score, false)),
        };
    }
    best.filter(|(_, _, is_shared)| !is_shared).map(|(at, _, _)| at)
}

/// The one of so many that is not used.
fn only_one_left(count: usize, used: impl Iterator<Item = usize> + Clone) -> Option<usize> {
    let mut left = (0..count).filter(|at| !used.clone().any(|used| used == *at));
    left.next().filter(|_| left.next().is_none())
}

fn contradicts(pair: &(usize, usize), others: &[(usize, usize)]) -> bool {
    others.iter().any(|other| (other.0 == pair.0) != (other.1 == pair.1))
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// What is left of each name without what all of them begin and end with, in small letters.
fn distinctions(names: &[&str]) -> Vec<String> {
    let lower: Vec<Vec<char>> =
        names.iter().map(|name| name.to_lowercase().chars().collect()).collect();
    let first = lower.first().map_or(&[][..], Vec::as_slice);
    let heads = lower.iter().map(|name| common(first.iter(), name.iter()));
    let head = heads.min().unwrap_or(0);
    let tails = lower.iter().map(|name| common(first.iter().rev(), name.iter().rev()));
    let tail = tails.min().unwrap_or(0);
    let own = lower.iter().map(|name| &name[head..name.len().saturating_sub(tail).max(head)]);
    own.map(|name| name.iter().collect()).collect()
}

/// How many characters are the same before the first that is not.
fn common<'c>(a: impl Iterator<Item = &'c char>, b: impl Iterator<Item = &'c char>) -> usize {
    a.zip(b).take_while(|(a, b)| a == b).count()
}

/// The last segment of a path that is not a number.
fn last_name(path: &str) -> &str {
    path.rsplit(SEPARATOR).find(|segment| !Numbered::of(segment).is_bare()).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sources: &[&str], targets: &[&str], expected: &[(&str, &str)]) {
        let found = match_by_name(sources, targets, true);
        let mut found: Vec<_> = found.iter().map(|(a, b)| (sources[*a], targets[*b])).collect();
        found.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_differs_is_the_same_on_both_sides() {
        check(
            &["attention.wq", "attention.wk", "attention.wo"],
            &["attn.k_proj", "attn.o_proj", "attn.q_proj"],
            &[
                ("attention.wk", "attn.k_proj"),
                ("attention.wo", "attn.o_proj"),
                ("attention.wq", "attn.q_proj"),
            ],
        );
    }

    #[test]
    fn alike_names_need_the_same_order() {
        check(
            &["a.q_lin", "a.k_lin", "a.v_lin", "a.out_lin"],
            &["self.query", "self.key", "self.value", "output.dense"],
            &[
                ("a.k_lin", "self.key"),
                ("a.out_lin", "output.dense"),
                ("a.q_lin", "self.query"),
                ("a.v_lin", "self.value"),
            ],
        );
        check(&["a.q_lin", "a.k_lin"], &["key", "query"], &[]);
        check(
            &["k_proj", "v_proj", "q_proj"],
            &["self.query", "self.key", "self.value"],
            &[("k_proj", "self.key"), ("q_proj", "self.query"), ("v_proj", "self.value")],
        );
        check(
            &["attention_norm", "ffn_norm"],
            &["input_layernorm", "post_attention_layernorm"],
            &[],
        );
        check(
            &["l.0.attention_norm", "l.0.ffn_norm"],
            &["h.0.input_layernorm", "h.0.post_attention_layernorm"],
            &[
                ("l.0.attention_norm", "h.0.input_layernorm"),
                ("l.0.ffn_norm", "h.0.post_attention_layernorm"),
            ],
        );
    }

    #[test]
    fn the_last_one_left_needs_others_that_were_found() {
        check(&["feed.a1", "feed.a3"], &["mlp.gate", "mlp.up"], &[]);
        check(
            &["tok_embeddings", "output"],
            &["model.embed_tokens", "lm_head"],
            &[("output", "lm_head"), ("tok_embeddings", "model.embed_tokens")],
        );
    }

    #[test]
    fn words_are_found_in_all_spellings() {
        assert_eq!(words("SelfAttention_1.qkv"), ["self", "attention", "qkv"]);
        assert!(are_alike("blocks.0.norm.1", "model.final_layernorm"));
        assert!(are_alike("stem.bn", "norm"));
        assert!(!may_be_the_same("ln_pre", "fc_norm"));
        assert!(may_be_the_same("norm", "vit.layernorm"));
        assert!(!may_be_the_same("pooler.dense", "lm_head.dense"));
    }
}
