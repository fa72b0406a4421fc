//! Rules of tensors as text: what is read, what is printed, what is refused.

use statedict_core::{Captured, Rule};

fn parsed(text: &str) -> Rule {
    Rule::rename(text, '.').unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The text is printed as it was written.
fn check(text: &str) {
    check_also(text, text);
}

/// The text means the same as another, which is the one printed.
fn check_also(text: &str, usual: &str) {
    let rule = parsed(text);
    let words = rule.renames().expect("words").join(" ; ");
    assert_eq!(words, usual, "{text}");
    let again: Vec<Rule> = words.split(" ; ").map(parsed).collect();
    assert_eq!(again, rule.alternatives(), "{text}");
}

fn check_bad(text: &str, message: &str) {
    let error = Rule::rename(text, '.').expect_err(text).to_string();
    let plain = error.strip_prefix(&format!("rule '{text}': ")).unwrap_or(&error);
    assert_eq!(plain, message, "{text}");
}

#[test]
fn rules_of_tensors_are_read_and_printed() {
    check("a.kernel[i o] -> a.weight[o i]");
    check("k[h w i o] -> w[o i h w]");
    check("q[o i 1 1] -> q[o i]");
    check("qkv[(p o) ..] -> {p=q,k,v}[o ..]");
    check("w[(shift | scale=shift) ..] -> w[(scale | shift) ..]");
    check("experts.{e}.{p=w1,w3}.weight[o d] -> experts.gate_up[e (p o) d]");
    check("q.kernel[d n h k] -> block.{n}.q.weight[(h k) d]");
    check("wq[(heads x 2) d] -> q[(heads 2 x) d]");
    check("w13[(x 2) d] -> gate_up[(2 x) d]");
    check("r[o (a=2 b=2 c)] -> r[o (c b a)]");
    check("a.weight -> b.weight = c.weight");
    check("a[] -> b[1]");
    check("a.{last-i}.w[o i2] -> b.{i}.w[i2 o]");
    check("a.{=last}.w[(x | y=x) ..] -> b.{=last}.w[(y | x) ..]");
    check("a[(x | y=4*x+2) ..] -> b[x ..], c[y ..]");
    check_also(
        "l1[(q | k=q | m=4*q) ..] -> {to_q,to.k,mlp}[{q,k,m} ..]",
        "l1[(q | k=q | m=4*q) ..] -> to_q[q ..], to.k[k ..], mlp[m ..]",
    );
    check_also(
        "{q,k,v}[(kv {q,k,v} h) d] -> qkv[(kv (q | k=1 | v=1) h) d]",
        "q[(kv q h) d], k[(kv k=1 h) d], v[(kv v=1 h) d] -> qkv[(kv (q | k | v) h) d]",
    );
    check_also("a[( x y )  z] -> b[z ((y) x)]", "a[(x y) z] -> b[z (y x)]");
    check_also("a[(x | y = 2 * x) ..] -> b[(y|x) ..]", "a[(x | y=2*x) ..] -> b[(y | x) ..]");
}

#[test]
fn lists_on_both_sides_go_in_step() {
    check_also("h.{a,b}.w -> t.{c,d}.w", "h.a.w -> t.c.w ; h.b.w -> t.d.w");
    check_also("{a,b}[x y] -> {c,d}[y x]", "a[x y] -> c[y x] ; b[x y] -> d[y x]");
    check_also("q.A -> to_q.A = to_{k,v}.A", "q.A -> to_q.A = to_k.A = to_v.A");
}

#[test]
fn a_key_is_recognised_with_what_its_captures_hold() {
    let rule = parsed("l.{i}.{p=w1,w3}.weight[o d], l.{i}.b[x] -> g.{i}[(p o) d], h.{i}[x]");
    let Rule::Tensor(rule) = rule else { panic!("a rule of tensors") };
    let (term, held) = rule.recognise("l.12.w3.weight").expect("recognised");
    assert_eq!((term, held.get("i")), (0, Some(&Captured::Text("12".into()))));
    assert_eq!(held.get("p"), Some(&Captured::Number(1)));
    assert_eq!(rule.recognise("l.3.b").map(|(term, _)| term), Some(1));
    assert_eq!(rule.recognise("l.3.c"), None);
}

#[test]
fn what_is_wrong_is_said() {
    check_bad("a[x y] -> b[x]", "in 'a[x y]': the place 'y' is on one side of '->' only");
    check_bad("a[x -> b[x]", "in 'a[x': '[' is not closed; write \\[ for a bracket in a key");
}
