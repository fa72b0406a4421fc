//! Texts and the values they parse to; the error for each bad spelling.

use statedict_core::{
    Prefix, Remap, Rename, Replacement, Rule, RuleKind, Table, Template, TemplatePair, Wrappers,
};

fn prefix(text: &str, separator: char) -> Prefix {
    Prefix::new(text, separator).expect("a prefix")
}

fn templates(texts: &[&str], separator: char) -> Vec<Template> {
    texts.iter().map(|text| Template::parse(text, separator).expect("a template")).collect()
}

fn pair(from: &str, to: &str, separator: char) -> TemplatePair {
    let side = |text| Template::parse(text, separator).expect("a template");
    TemplatePair::new(side(from), side(to)).expect("a pair")
}

fn rename(from: &str, to: &str) -> Remap {
    Remap::Rename(Rename::new(pair(from, to, '.')).expect("an injective pair"))
}

fn table(pairs: &[(&str, &str)]) -> Remap {
    let pairs = pairs.iter().map(|(old, new)| (old.to_string(), new.to_string()));
    Remap::Table(Table::new(pairs).expect("no name is there twice"))
}

fn replacement(pattern: &str, to: &str) -> Rule {
    Rule::Replace(Replacement::new(pattern, to).expect("a regular expression"))
}

fn unwrap(names: &[&str], separator: char) -> Rule {
    let names = names.iter().map(|name| name.to_string()).collect();
    Rule::Unwrap(Wrappers::new(names, separator).expect("wrappers"))
}

/// The text means the value, and the value is printed as the text.
fn check(text: &str, value: impl Into<Rule>) {
    let value = value.into();
    assert_eq!(text.parse::<Rule>(), Ok(value.clone()), "{text}");
    assert_eq!(value.to_string(), text);
}

/// The text means the same as its usual spelling.
fn check_also(text: &str, usual: &str) {
    let rule = text.parse::<Rule>().expect("a rule");
    assert_eq!(rule.to_string(), usual, "{text}");
    assert_eq!(usual.parse::<Rule>(), Ok(rule));
}

fn check_bad(text: &str, message: &str) {
    let error = text.parse::<Rule>().expect_err("bad").to_string();
    assert_eq!(error, message, "{text}");
}

#[test]
fn each_operation_has_a_spelling() {
    check("identity", Remap::Identity);
    check("strip:module.", Remap::Strip(prefix("module", '.')));
    check("add:encoder.layers.", Remap::Add(prefix("encoder.layers", '.')));
    check("rename:a.{n} -> b.{n+1}", rename("a.{n}", "b.{n+1}"));
    check("rename:{r..}.gamma -> {r..}.weight", rename("{r..}.gamma", "{r..}.weight"));
    check("rename:a.{x} -> b", Rule::Rewrite(pair("a.{x}", "b", '.')));
    check("re:^a\\.(\\w+) -> b.$1", replacement("^a\\.(\\w+)", "b.$1"));
    check("keep:a.** *.b", Remap::Keep(templates(&["a.**", "*.b"], '.')));
    check("drop:num_batches_*", Remap::Drop(templates(&["num_batches_*"], '.')));
    check("unwrap:module _orig_mod", unwrap(&["module", "_orig_mod"], '.'));
    check("unwrap", Rule::unwrap_all());
    check("table:a -> b ; b -> a", table(&[("a", "b"), ("b", "a")]));
    check("strip:a. | add:b.", Remap::Strip(prefix("a", '.')).then(Remap::Add(prefix("b", '.'))));
}

#[test]
fn renames_at_once_have_semicolons_between_them() {
    let [a, b] = [rename("a", "b"), rename("b", "a")].map(Rule::from);
    check("rename:a -> b ; b -> a", Rule::FirstOf([a, b.clone()].into()));
    check(
        "rename:a -> b ; re:c$ -> d",
        Rule::FirstOf([rename("a", "b").into(), replacement("c$", "d")].into()),
    );
    check("rename:a -> b ;; c", rename("a", "b ; c"));
    check("rename:a -> ;; ; b -> a", Rule::FirstOf([rename("a", ";").into(), b].into()));
    check("re:a ; b -> c ; d", replacement("a ; b", "c ; d"));
}

#[test]
fn too_few_or_too_many_words_are_refused() {
    let message = |kind: RuleKind, words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
        kind.rule(&words, '.').expect_err("bad").to_string()
    };
    assert_eq!(message(RuleKind::Strip, &[]), "strip takes one prefix");
    assert_eq!(message(RuleKind::Add, &["a", "b"]), "add takes one prefix");
    assert_eq!(message(RuleKind::Rename, &[]), "rename takes at least one 'FROM -> TO'");
    assert_eq!(message(RuleKind::Keep, &[]), "keep takes at least one pattern");
    assert_eq!(message(RuleKind::Table, &["a"]), "table takes a new key for each old one");
}

#[test]
fn another_separator_is_given_in_brackets() {
    check("strip[/]:module/", Remap::Strip(prefix("module", '/')));
    check("add[:]:scope:", Remap::Add(prefix("scope", ':')));
    check("keep[/]:a/**", Remap::Keep(templates(&["a/**"], '/')));
    check("unwrap[/]:module", unwrap(&["module"], '/'));
    check("unwrap[/]:", Rule::Unwrap(Wrappers::usual_at('/')));
}

#[test]
fn names_with_odd_characters_can_be_spelled() {
    check("strip:\"a | b.\"", Remap::Strip(prefix("a | b", '.')));
    check("strip:\"say \\\"x\\\".\"", Remap::Strip(prefix("say \"x\"", '.')));
    check("add:\"two\\nlines.\"", Remap::Add(prefix("two\nlines", '.')));
    check("table:a\\sb -> c\\;d", table(&[("a b", "c;d")]));
    check("keep:a\\ b c\\*", Remap::Keep(templates(&["a b", "c\\*"], '.')));
    check("rename:x-\\>y -> z", rename("x-\\>y", "z"));
    check("rename:\\re:a -> b", rename("r\\e:a", "b"));
    check("unwrap:my\\swrapper", unwrap(&["my wrapper"], '.'));
    check_also("re:x->y", "re:x -> y");
    assert_eq!(replacement("x->y", "z").to_string(), "re:x-\\x3Ey -> z");
}

#[test]
fn what_is_left_out_is_understood() {
    check_also("strip:module", "strip:module.");
    check_also("rename:a->b", "rename:a -> b");
    check_also("keep:a\\b", "keep:ab");
    check_also("table:a -> b;c -> d;", "table:a -> b ; c -> d");
    check_also("unwrap:  module", "unwrap:module");
    check_also("rename:{n+0} -> x{n-0}", "rename:{n} -> x{n}");
}

#[test]
fn each_bad_spelling_says_what_is_wrong() {
    let kinds = "expected identity, re:, strip:, add:, unwrap:, rename:, keep:, drop:, table:, \
         dequantise:, fold-weight-norm: or fill:";
    check_bad("", &format!("cannot parse rule ''; {kinds}"));
    check_bad("stripe:a", &format!("cannot parse rule 'stripe:a'; {kinds}"));
    check_bad("identity:a", &format!("cannot parse rule 'identity:a'; {kinds}"));
    check_bad("strip[/:a", &format!("cannot parse rule 'strip[/:a'; {kinds}"));
    check_bad("strip[//]:a", &format!("cannot parse rule 'strip[//]:a'; {kinds}"));
    check_bad("strip:a | ", &format!("cannot parse rule ''; {kinds}"));
    check_bad("strip:", "a prefix needs at least one segment");
    check_bad("add:.", "a prefix needs at least one segment");
    check_bad("keep:", "a template cannot be empty");
    check_bad("rename:a", "cannot parse rule 'a'; expected 'FROM -> TO'");
    check_bad("rename:a -> ", "a template cannot be empty");
    check_bad("rename:a -> {x}", "'{x}' is used on the right of '->' and not captured on the left");
    check_bad(
        "rename:* -> b.*",
        "'b.*' has a wildcard on the right of '->'; capture it on the left as {name}",
    );
    check_bad(
        "rename:{x..} -> b.{x}",
        "'{x}' is one segment on one side of '->' and any number on the other",
    );
    check_bad("rename:{x}.{x} -> {x}", "'{x}' is captured twice");
    check_bad("drop:a*b*", "segment 'a*b*' has more than one '*' or capture");
    check_bad("table:a", "cannot parse rule 'table:a'; expected 'OLD -> NEW ; OLD -> NEW'");
    check_bad("table:a -> b ; c -> b", "duplicate key 'b' in table");
    check_bad("table:a -> b ; a -> c", "duplicate key 'a' in table");
    check_bad("re:(a -> b", "regular expression '(a': unclosed group");
    check_bad("re:a -> $1", "regular expression 'a': '$1' uses group 1, and there are 0");
}

#[test]
fn a_chain_takes_no_rule_that_could_send_two_keys_to_one() {
    let message = |text: &str| text.parse::<Remap>().expect_err("bad").to_string();
    let expected = "expected rules that never send two keys to one";
    for text in ["re:a -> b", "strip:a | unwrap:b"] {
        assert_eq!(message(text), format!("cannot parse rule '{text}'; {expected}"));
    }
}

#[test]
fn two_sides_must_be_split_at_the_same_character() {
    let side = |text, separator| Template::parse(text, separator).expect("a template");
    let error = TemplatePair::new(side("a.{x}", '.'), side("a/{x}", '/')).expect_err("bad");
    assert_eq!(error.to_string(), "'a.{x}' is split at '.' and 'a/{x}' at '/'");
}
