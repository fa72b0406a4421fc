//! How the module paths of `_metadata` follow the keys.
//!
//! For prefixes the expected paths are those PyTorch itself would have written for the model that
//! the new keys belong to; where its own prefix function gives the same, so much the better.

use statedict_core::{Catalog, Modules, Plan, Policy, Rule, plan_stages};

/// Keys as `state_dict()` of a small network gives them: modules conv, relu (no keys) and fc.
const NET: [&str; 3] = ["conv.weight", "fc.weight", "fc.bias"];
const NET_PATHS: [&str; 4] = ["", "conv", "relu", "fc"];

fn section(rule: &str, keys: &[String]) -> Plan {
    let catalog = Catalog::of_keys(keys).expect("keys are unique");
    let stages: Vec<Rule> = match rule.strip_prefix("unwrap") {
        Some("") => vec![Rule::unwrap_all()],
        _ => rule.split(" | ").map(|rule| rule.parse().expect("a rule")).collect(),
    };
    let selected = catalog.select(None).expect("one state dict");
    plan_stages(&stages, &catalog, &selected, Policy::default()).expect("can be planned").plan
}

/// Checks the new paths, in order, each with the old one it comes from; `+` marks one that is added.
fn check(rule: &str, keys: &[&str], paths: &[&str], expected: &[(&str, &str)]) {
    let keys: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
    let paths: Vec<String> = paths.iter().map(|path| path.to_string()).collect();
    let plan = section(rule, &keys);
    let modules = plan.section("").expect("the root").modules(&paths);
    let found = in_order(&modules);
    let found: Vec<(&str, &str)> = found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(found, expected, "{rule}");
}

fn in_order(modules: &Modules) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (old, new) in &modules.fates {
        let above = modules.added.iter().filter(|(_, before)| before == old);
        all.extend(above.map(|(path, _)| ("+".to_string(), path.clone())));
        all.extend(new.clone().map(|new| (old.clone(), new)));
    }
    all
}

fn below(prefix: &str, names: &[&str]) -> Vec<String> {
    let join = |name: &&str| match (prefix, *name) {
        ("", name) => name.to_string(),
        (prefix, "") => prefix.to_string(),
        (prefix, name) => format!("{prefix}.{name}"),
    };
    names.iter().map(join).collect()
}

fn check_net(rule: &str, prefix: &str, above: &[&str], expected: &[(&str, &str)]) {
    let keys = below(prefix, &NET);
    let paths = below(prefix, &NET_PATHS);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let paths: Vec<&str> = above.iter().copied().chain(paths.iter().map(String::as_str)).collect();
    check(rule, &keys, &paths, expected);
}

#[test]
fn stripping_makes_the_prefix_the_root() {
    let expected =
        [("module", ""), ("module.conv", "conv"), ("module.relu", "relu"), ("module.fc", "fc")];
    check_net("strip:module", "module", &[""], &expected);
    check_net("unwrap", "module", &[""], &expected);
    check_net("rename:module.{r..} -> {r..}", "module", &[""], &expected);
    check_net(r"re:^module\. -> ", "module", &[""], &expected);
}

#[test]
fn adding_makes_the_root_the_prefix_and_a_new_root() {
    check_net(
        "add:module",
        "",
        &[],
        &[
            ("+", ""),
            ("", "module"),
            ("conv", "module.conv"),
            ("relu", "module.relu"),
            ("fc", "module.fc"),
        ],
    );
}

#[test]
fn adding_a_longer_prefix_adds_every_ancestor() {
    check_net(
        "add:a.b",
        "",
        &[],
        &[
            ("+", ""),
            ("+", "a"),
            ("", "a.b"),
            ("conv", "a.b.conv"),
            ("relu", "a.b.relu"),
            ("fc", "a.b.fc"),
        ],
    );
}

#[test]
fn stripping_a_longer_prefix_leaves_none_of_its_ancestors() {
    check_net(
        "strip:a.module",
        "a.module",
        &["", "a"],
        &[
            ("a.module", ""),
            ("a.module.conv", "conv"),
            ("a.module.relu", "relu"),
            ("a.module.fc", "fc"),
        ],
    );
}

#[test]
fn adding_and_stripping_again_leads_back() {
    check_net(
        "add:a.b | strip:a.b",
        "",
        &[],
        &[("", ""), ("conv", "conv"), ("relu", "relu"), ("fc", "fc")],
    );
}

#[test]
fn stripping_once_leaves_the_second_wrapper() {
    check_net(
        "strip:module",
        "module.module",
        &["", "module"],
        &[
            ("module", ""),
            ("module.module", "module"),
            ("module.module.conv", "module.conv"),
            ("module.module.relu", "module.relu"),
            ("module.module.fc", "module.fc"),
        ],
    );
}

#[test]
fn unwrapping_reaches_through_every_wrapper() {
    check_net(
        "unwrap",
        "_orig_mod.module",
        &["", "_orig_mod"],
        &[
            ("_orig_mod.module", ""),
            ("_orig_mod.module.conv", "conv"),
            ("_orig_mod.module.relu", "relu"),
            ("_orig_mod.module.fc", "fc"),
        ],
    );
}

#[test]
fn a_wrapper_inside_gives_way_to_what_it_wraps_and_the_root_stays() {
    let keys = ["features.module.0.weight", "classifier.weight"];
    let paths =
        ["", "features", "features.module", "features.module.0", "features.module.1", "classifier"];
    let expected = [
        ("", ""),
        ("features.module", "features"),
        ("features.module.0", "features.0"),
        ("features.module.1", "features.1"),
        ("classifier", "classifier"),
    ];
    check("unwrap", &keys, &paths, &expected);
    check("unwrap", &keys[..1], &paths[..5], &expected[..4]);
}

#[test]
fn wrapping_inside_keeps_the_root_and_what_is_above() {
    let keys = ["features.0.weight", "classifier.weight"];
    let paths = ["", "features", "features.0", "classifier"];
    check(
        "rename:features.{r..} -> features.module.{r..}",
        &keys,
        &paths,
        &[
            ("", ""),
            ("+", "features"),
            ("features", "features.module"),
            ("features.0", "features.module.0"),
            ("classifier", "classifier"),
        ],
    );
}

#[test]
fn a_counter_beside_the_wrapped_model_stays_at_the_root() {
    let keys = ["n_averaged", "module.conv.weight"];
    check(
        "strip:module",
        &keys,
        &["", "module", "module.conv"],
        &[("module", ""), ("module.conv", "conv")],
    );
}

#[test]
fn keys_without_the_prefix_keep_their_modules() {
    let keys = ["module.a.weight", "modules.c.weight", "b.weight"];
    let paths = ["", "module", "module.a", "modules", "modules.c", "b"];
    check(
        "strip:module",
        &keys,
        &paths,
        &[
            ("module", ""),
            ("module.a", "a"),
            ("modules", "modules"),
            ("modules.c", "modules.c"),
            ("b", "b"),
        ],
    );
}

#[test]
fn templates_rename_modules_along_with_their_keys() {
    let keys = ["layers.0.attn.q.weight", "layers.0.mlp.weight", "head.weight"];
    let paths = ["", "layers", "layers.0", "layers.0.attn", "layers.0.attn.q", "layers.0.mlp"];
    check(
        "rename:layers.{i}.{r..} -> blocks.{i+1}.{r..}",
        &keys,
        &paths,
        &[
            ("", ""),
            ("layers", "blocks"),
            ("layers.0", "blocks.1"),
            ("layers.0.attn", "blocks.1.attn"),
            ("layers.0.attn.q", "blocks.1.attn.q"),
            ("layers.0.mlp", "blocks.1.mlp"),
        ],
    );
    check(
        "rename:layers.{i}.attn.{r..} -> layers.{i}.attention.{r..}",
        &keys,
        &paths,
        &[
            ("", ""),
            ("layers", "layers"),
            ("layers.0", "layers.0"),
            ("layers.0.attn", "layers.0.attention"),
            ("layers.0.attn.q", "layers.0.attention.q"),
            ("layers.0.mlp", "layers.0.mlp"),
        ],
    );
    check(
        "rename:layers.{i}.attn.{r..} -> blocks.{i}.attention.{r..}",
        &keys[..1],
        &paths[..5],
        &[
            ("", ""),
            ("layers", "blocks"),
            ("layers.0", "blocks.0"),
            ("layers.0.attn", "blocks.0.attention"),
            ("layers.0.attn.q", "blocks.0.attention.q"),
        ],
    );
}

#[test]
fn swapping_two_modules_swaps_their_paths() {
    let keys = ["a.weight", "b.weight"];
    check(
        "table:a.weight -> b.weight ; b.weight -> a.weight",
        &keys,
        &["", "a", "b"],
        &[("", ""), ("a", "b"), ("b", "a")],
    );
}

#[test]
fn renaming_tensors_within_a_module_moves_no_path() {
    check("re:gamma$ -> weight", &["ln.gamma", "ln.beta"], &["", "ln"], &[("", ""), ("ln", "ln")]);
}

#[test]
fn dropped_modules_take_their_paths_along() {
    let paths = ["", "conv", "relu", "fc"];
    check("drop:fc.**", &NET, &paths, &[("", ""), ("conv", "conv"), ("relu", "relu")]);
    check("keep:fc.**", &NET, &paths, &[("", ""), ("relu", "relu"), ("fc", "fc")]);
    check(
        "drop:fc.bias",
        &NET,
        &paths,
        &[("", ""), ("conv", "conv"), ("relu", "relu"), ("fc", "fc")],
    );
}

#[test]
fn taking_a_subtree_makes_it_the_root() {
    let keys = ["encoder.conv.weight", "decoder.fc.weight"];
    let paths = ["", "encoder", "encoder.conv", "encoder.relu", "decoder", "decoder.fc"];
    check(
        "keep:encoder.** | strip:encoder",
        &keys,
        &paths,
        &[("encoder", ""), ("encoder.conv", "conv"), ("encoder.relu", "relu")],
    );
}

#[test]
fn renaming_nothing_moves_no_path_however_odd() {
    check("identity", &["a.b"], &["", "x.y", "x"], &[("", ""), ("x.y", "x.y"), ("x", "x")]);
}

#[test]
fn versions_follow_their_modules_and_new_ones_are_plain() {
    let keys: Vec<String> = NET.iter().map(|key| key.to_string()).collect();
    let versions = [("", Some(1)), ("conv", Some(1)), ("relu", None), ("fc", Some(2))];
    let versions =
        versions.map(|(path, version)| (path.to_string(), version)).into_iter().collect();
    let plan = section("add:net", &keys);
    let (found, unknown) = plan.section("").expect("the root").versions(&versions);
    let expected = [("", 1), ("net", 1), ("net.conv", 1), ("net.fc", 2)];
    assert_eq!(found, expected.map(|(path, version)| (path.to_string(), version)));
    assert_eq!(unknown, ["relu"]);
}
