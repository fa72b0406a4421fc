//! Rules of tensors as text: what is read, what is printed, what is refused.

use statedict_core::sizes::{Entry, SizeExpression, SizeTable, Sizes};
use statedict_core::{Captured, Fate, Rule, Separators};

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

/// The text is refused, with a message that says this.
fn check_bad(text: &str, message: &str) {
    let error = Rule::rename(text, '.').expect_err(text).to_string();
    assert!(error.contains(message), "{text}: {error}");
    assert!(error.starts_with(&format!("rule '{text}': ")) || !text.contains('['), "{error}");
}

#[test]
fn rules_of_tensors_are_read_and_printed() {
    check("a.kernel[i o] -> a.weight[o i]");
    check("k[h w i o] -> w[o i h w]");
    check("q[o i 1 1] -> q[o i]");
    check("qkv[(p o) ..] -> {p=q,k,v}[o ..]");
    check("a[(v | _) d] -> b[v d]");
    check("a[(v | _=0) d] -> b[v d]");
    check("a[1 d] -> b[n d]");
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
fn each_trap_is_refused_by_name() {
    check_bad("a[x y] -> b[x]", "in 'a[x y]': the place 'y' is on one side of '->' only");
    check_bad("a[x -> b[x]", "in 'a[x': '[' is not closed; write \\[ for a bracket in a key");
    check_bad("a[0].b -> c", "in 'a[0].b': '.b' follows ']', which ends a term; write \\[");
    check_bad("a.{p=x, y} -> b.{p=x,y}", "'{p=x, y}' has a blank in its list");
    check_bad("a[x],b[y] -> c[(x | y)]", "between terms a comma has a blank after it");
    check_bad("a[x] -> b[x] = c[x]", "has the same tensor as the one before");
    check_bad("a = b -> c", "in 'a = b': ' = ' names another key for a tensor that is made");
    check_bad("a -> b=c", "in 'b=c': write ' = ', with blanks, before another key");
    check_bad("a[x] -> b[x]=c", "write ' = ', with blanks, before another key");
    check_bad("a -> b -> c[x]", "there is more than one '->'");
    check_bad("a[.. o ..] -> b[o ..]", "'..' is there twice");
    check_bad("a[o (..)] -> b[o ..]", "'..' is any number of dimensions, so it cannot be a part");
    check_bad("a[a | b] -> b[a b]", "'|' is between parts of one dimension");
    check_bad("a[(x y] -> b[x y]", "'(x y' has a parenthesis without its partner");
    check_bad("a[x)] -> b[x]", "has a parenthesis without its partner");
    check_bad("a[(x | )] -> b[x]", "a part in parentheses is empty");
    check_bad("a[()] -> b[x]", "a part in parentheses is empty");
    check_bad("a[{i} x] -> b[x]", "'{i}' cannot be among places");
    check_bad("a[x, y] -> b[y x]", "places have blanks between them, not commas");
    check_bad("a[x * y] -> b[y x]", "'*' means nothing among places");
    check_bad("a[2x] -> b[x]", "'2x' is not a name for a place");
    check_bad("a[0 x] -> b[x]", "a place cannot have the size 0");
    check_bad("a[2=3 x] -> b[x]", "'2' is a number, and a number is its own size");
    check_bad("a[(q | k=q | k=2)] -> b[q k]", "the size of 'k' is q and 2");
    check_bad("a[k=k*2] -> b[k]", "the size of 'k' is said by itself");
    check_bad("a[(k=q | q=k) d] -> b[(q | k) d]", "the size of 'k' is said by itself");
    check_bad("a[x=1.5] -> b[x]", "means nothing among places");
    check_bad("a[x x] -> b[x]", "'x' is there twice");
    check_bad("a[2 x 2] -> b[2 x 2]", "2 is there twice; give the places names: a=2 b=2");
    check_bad("l.{i}.w[h w i o] -> l.{i}.w[o i h w]", "'i' is a part of the key and a place in");
    check_bad(
        "a.{e}.w[o], b.{e}[k] -> c.{e}[o], d[(e k)]",
        "'e' is a part of the keys on both sides",
    );
    check_bad("a.{p=x,y}[o] -> b[o]", "{p} is on one side of '->' only");
    check_bad("a.{i}.w[x], s.b[y] -> c.{i}[(x | y)]", "in 's.b[y]': {i} is in other keys");
    check_bad("a.{i} -> b.{i} = c", "in 'b.{i} = c': {i} is in other keys of the rule and not in");
    check_bad("a.{p}[x y] -> b.{p=c,d}[y x]", "'p' is a list of words in one key and {p} in");
    check_bad("a.{p=c,d}[x y] -> b.{p=c,d,e}[y x]", "the lists of 'p' have 2 and 3 words");
    check_bad("a.{p=c,d}[x] -> b[(p=3 x)]", "'p' has the size 3, and its list has 2 words");
    check_bad("{a,b}.w[x y] -> {a,b,c}.w[y x]", "the lists in braces have 2 and 3 words");
    check_bad("a[({q,k} d)] -> b[(q k) d]", "the key 'a' is there twice on one side");
    check_bad("a[(x | y=x) d] -> b[x d], b[y d]", "the key 'b' is there twice on one side");
    check_bad("a.{r..}[x] -> b[r x]", "{r..} is any number of segments, so it cannot be a place");
    check_bad("a.*.w[x y] -> b[y x]", "'*' does not say what becomes of what it stands for");
    check_bad("{q,k}.w[o ..] -> qkv[(q | k=q) ..]", "'q.w' and 'k.w' both hold [.. o]");
    check_bad("qkv[(q | k=q) ..] -> {x,y,z}[{q,k,k} ..]", "'k' twice");
    check_bad("qkv[(q | k=q) ..] -> x[q ..], y[k ..], z[k ..]", "'y' and 'z' both hold [.. k]");
    check_bad("a, b -> c", "'a' and 'b' both hold [..]; give their parts different names");
    check_bad("a[(q | k=q) d] -> b[(q k) d]", "is nowhere on the other side of '->'");
    check_bad("a.{p=fc,fc1}{n}[x y] -> b.{p=a,b}.{n}[y x]", "'{p=fc,fc1}' and '{n}' touch");
    check_bad("a.{i:2x}[x] -> b.{i}[x]", "'{i:2x}' is not a number of a key");
    check_bad("a.{0i}[x] -> b.{i}[x]", "'{0i}' is not a number of a key");
    check_bad("a.{=2}[x] -> b[x]", "'{=2}' is not a size; write {=name}");
    check_bad("a.{p=x,x} -> b.{p=c,d}", "'{p=x,x}' has the word 'x' twice");
}

#[test]
fn plain_renames_have_lists_too() {
    check("a.{p=x,y.z}.{r..} -> b_{p=c.d,e}.{r..}");
    check("l.{last-i}.w -> m.{i:02}.w");
    check("a.{3-i}.{2j+1} -> b.{i}.{j}");
    check("a.{blocks-1-i} -> b.{i}");
    check("x_{a}_{b} -> x.{a}.{b}");
    check("a\\[0].b\\=c -> d\\,e");
    check_bad(
        "a.{p} -> b.{p=c,d}",
        "'p' is a list of words on one side of '->' and {p} on the other",
    );
    check_bad("a.{p=c} -> b.{p=c,d}", "the lists of 'p' have 1 and 2 words");
    for text in ["a.{p=x,y.z} -> b_{p=c.d,e}", "l.{last-i}.w -> m.{i:02}.w"] {
        assert!(matches!(parsed(text), Rule::Remap(_)), "{text}");
    }
    assert!(matches!(parsed("x_{a}_{b} -> x.{a}.{b}"), Rule::Rewrite(_)));
}

#[test]
fn numbers_and_words_become_what_they_say() {
    let becomes = |rule: &str, key: &str, expected: &str| {
        let sizes = [("last".into(), 11)].into_iter().collect();
        let rule = parsed(rule).with_sizes(&sizes).expect("sizes are known");
        let fate = match expected {
            "" => Fate::Undefined,
            name => Fate::Becomes(name.into()),
        };
        assert_eq!(rule.apply(key), fate, "{rule} on {key}");
        if let (Fate::Becomes(name), Some(inverse)) = (&fate, rule.invert()) {
            assert_eq!(inverse.apply(name), Fate::Becomes(key.into()), "{rule} back from {name}");
        }
    };
    becomes("l.{last-i}.w -> m.{i:02}.w", "l.4.w", "m.07.w");
    becomes("l.{last-i}.w -> m.{i:02}.w", "l.12.w", "");
    becomes("l.{last-1-i} -> m.{i}", "l.0", "m.10");
    becomes("b.{3i+1}.x -> d.{i}.x", "b.7.x", "d.2.x");
    becomes("b.{3i+1}.x -> d.{i}.x", "b.8.x", "");
    becomes("b.{=last}.x -> d.x", "b.11.x", "d.x");
    becomes("b.{i} -> d.{i+1:02}", "b.99", "d.100");
    becomes("d.{i+1:02} -> b.{i}", "d.1", "");
    becomes("a.{p=q.x,k}.{t} -> b.{p=c,d.e}_{t}", "a.q.x.w", "b.c_w");
    becomes("a.{p=q.x,k}.{t} -> b.{p=c,d.e}_{t}", "a.k.w", "b.d.e_w");
    becomes("a.{p=q,k} -> b.{p+1}", "a.k", "b.2");
    becomes("n{p=,_1}.w -> m{p=x,}.w", "n.w", "mx.w");
    becomes("mixed_{n}{p=a,b}.w -> m.{n}.{p=0,1}", "mixed_5b.w", "m.5.1");
}

#[test]
fn the_sides_may_be_split_at_different_characters() {
    let separators: Separators = "/,.".parse().expect("a pair");
    let rule = Rule::rename("enc/{r..}/w -> e.{r..}.x", separators).expect("a rule");
    assert_eq!(rule.apply("enc/a/b/w"), Fate::Becomes("e.a.b.x".into()));
    // What would be cut in two is left alone.
    assert_eq!(rule.apply("enc/a.b/w"), Fate::Undefined);
    let back = rule.invert().expect("an inverse");
    assert_eq!(back.apply("e.a.b.x"), Fate::Becomes("enc/a/b/w".into()));
    let text = rule.to_string();
    assert_eq!(text, "rename[/,.]:enc/{r..}/w -> e.{r..}.x");
    assert_eq!(text.parse(), Ok(rule));
}

#[test]
fn unknown_sizes_are_refused_by_name() {
    let message = |text: &str, sizes: &[(&str, u64)]| {
        let sizes = sizes.iter().map(|(name, size)| ((*name).into(), *size)).collect();
        parsed(text).with_sizes(&sizes).expect_err(text).to_string()
    };
    assert_eq!(
        message("l.{last-i} -> m.{i}", &[]),
        "rule 'l.{last-i} -> m.{i}' needs the size 'last': --set last=N, or a config.json"
    );
    let rule = "a[(q | k=q) ..] -> b[q ..], c[k ..]";
    assert_eq!(
        message(rule, &[("q", 4), ("k", 2)]),
        format!("rule '{rule}' has the size 'k' as q, and it is 2")
    );
    let rule = "a.{p=x,y}[o] -> b[(p o)]";
    assert_eq!(
        message(rule, &[("p", 3)]),
        format!("rule '{rule}' has the size 'p' as a list of 2, and it is 3")
    );
}

#[test]
fn limits_are_named() {
    let words = (0..2000).map(|i| format!("w{i}")).collect::<Vec<_>>().join(",");
    let parts = ["(a | b | c | d)"; 8].join(" ");
    let check = |text: &str, limit: &str| {
        let error = Rule::rename(text, '.').expect_err(limit).to_string();
        assert!(error.contains(limit), "{error}");
    };
    check(&format!("a.{{p={words}}} -> b"), "the number of words in 'p=w0");
    check(&format!("a[{}x{}] -> b", "(".repeat(99), ")".repeat(99)), "the depth of parentheses");
    check("a[99999999999999999999 x] -> b", "a number in '99999999999999999999' exceeds");
    check("a[x=9007199254740993 y] -> b", "exceeds the limit of 9007199254740992");
    check("a.{i+4294967296} -> b.{i}", "exceeds the limit of 2147483647");
    check("a.{i:99} -> b.{i}", "the width in 'i:99' exceeds the limit of 20");
    check(&format!("{} -> b", "{a}.".repeat(99)), "the number of captures");
    check(&format!("{} -> b", "a".repeat(99_999)), "the length of a rule exceeds");
    check(&format!("a[{}] -> b", "x ".repeat(999)), "the number of places exceeds");
    check(&format!("a[{parts}] -> b"), "the number of parts of a side exceeds");
    check(&format!("a[x={}1] -> b", "1+".repeat(99)), "the number of operations");
    check(&format!("a[x={}1] -> b", "(".repeat(99)), "the depth of parentheses");
}

#[test]
fn sizes_come_from_what_is_given_the_recipe_and_the_configuration() {
    let config = |path: &str| match path {
        "num_attention_heads" => Some(Entry::Number(8)),
        "text.hidden" => Some(Entry::Number(64)),
        "flag" => Some(Entry::Other("true in config.json".into())),
        _ => None,
    };
    let resolve = |sizes: &[(&str, &[&str])], given: &[(&str, u64)]| {
        let mut table = SizeTable::default();
        for (name, is) in sizes {
            let is = is.iter().map(|text| SizeExpression::parse(text).expect(text)).collect();
            table.insert((*name).into(), is).expect("few sizes");
        }
        let given: Sizes = given.iter().map(|(name, n)| ((*name).into(), *n)).collect();
        table.resolve(&given, &config).map_err(|error| error.to_string())
    };
    let value = |is: &[&str]| resolve(&[("x", is)], &[]).map(|sizes| sizes.get("x"));
    assert_eq!(value(&["num_attention_heads"]), Ok(Some(8)));
    assert_eq!(value(&["missing", "text.hidden / num_attention_heads + 1"]), Ok(Some(9)));
    assert_eq!(value(&["2 * (num_attention_heads - 1)"]), Ok(Some(14)));
    assert_eq!(value(&["missing"]), Ok(None));
    assert_eq!(value(&["x"]), Ok(None));
    assert_eq!(
        value(&["num_attention_heads / 3"]),
        Err("size 'x': 8 / 3 leaves a remainder in 'num_attention_heads/3'".into())
    );
    assert_eq!(
        value(&["1 - num_attention_heads"]),
        Err("size 'x': '1-num_attention_heads' is -7, and a size cannot be negative".into())
    );
    assert_eq!(value(&["3 / 0"]), Err("size 'x': division by zero in '3/0'".into()));
    assert_eq!(
        value(&["flag"]),
        Err("size 'x': 'flag' is true in config.json, not a whole number".into())
    );
    let sizes =
        [("kv", &["num_key_value_heads", "heads"][..]), ("heads", &["num_attention_heads"])];
    assert_eq!(resolve(&sizes, &[]).map(|sizes| sizes.get("kv")), Ok(Some(8)));
    assert_eq!(resolve(&sizes, &[("heads", 2)]).map(|sizes| sizes.get("kv")), Ok(Some(2)));
    let circle = [("a", &["b"][..]), ("b", &["a"])];
    assert_eq!(resolve(&circle, &[]).map(|sizes| sizes.get("a")), Ok(None));
    for text in ["", "1 +", "a b", "2 ** 3", "a.b()", "-1", "1e3", "a..b", "__import__('os')", "(1"]
    {
        let error = SizeExpression::parse(text).expect_err(text).to_string();
        assert!(error.contains("is not a size; expected a number"), "{error}");
    }
}

#[test]
fn keys_that_could_be_read_in_very_many_ways_are_read_at_once() {
    let rule = parsed("{a..}.x_{b}_{c}.{d..}.x_{e}_y.{f..}.z -> q.{a..}.{b}.{c}.{d..}.{e}.{f..}");
    let long = format!("{}x_{}.", "x_a_b.".repeat(20_000), "_".repeat(50_000));
    assert_eq!(rule.apply(&long), Fate::Undefined);
    let rule = parsed("{a}_{b}_{c}_{d}.x -> {a}.{b}.{c}.{d}");
    assert_eq!(rule.apply(&"_".repeat(100_000)), Fate::Undefined);
    assert_eq!(rule.apply("l_a_b_c_d.x"), Fate::Becomes("l.a.b.c_d".into()));
}
