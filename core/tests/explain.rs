//! What is read from error texts, and what is concluded.

use statedict_core::{
    Catalog, Rule,
    explain::{Cause, LoadError, Remedy, Shapes, diagnose},
};

fn read(text: &str) -> LoadError {
    LoadError::read(text).unwrap_or_else(|| panic!("not known: {text}"))
}

#[test]
fn texts_of_every_age_have_their_meaning() {
    let check = |text: &str, expected: LoadError| assert_eq!(read(text), expected, "{text}");
    let class = |name: &str| LoadError::NoClass(name.into());
    check("_pickle.UnpicklingError: invalid load key, 'v'.", LoadError::Foreign(b'v'));
    check(r"UnpicklingError: invalid load key, '\x1f'.", LoadError::Foreign(0x1f));
    check(r"UnpicklingError: invalid load key, '\n'.", LoadError::Foreign(b'\n'));
    check("WeightsUnpickler error: Unsupported operand 118", LoadError::Foreign(118));
    check("Weights only load failed. Unsupported operand 149", LoadError::Protocol);
    check("ValueError: unsupported pickle protocol: 5", LoadError::Protocol);
    check(
        "WeightsUnpickler error: Unsupported global: GLOBAL a.B was not an allowed global by default.",
        LoadError::NotAllowed(vec!["a.B".into()]),
    );
    check(
        "Weights only load failed. Unsupported class a.B",
        LoadError::NotAllowed(vec!["a.B".into()]),
    );
    check("EOFError: Ran out of input", LoadError::Empty);
    check(
        "RuntimeError: unexpected EOF, expected 12 more bytes. The file might be corrupted.",
        LoadError::Damaged,
    );
    check(
        "PytorchStreamReader failed reading zip archive: failed finding central directory",
        LoadError::Damaged,
    );
    check("RuntimeError: storage has wrong byte size: expected 4 got 8", LoadError::Damaged);
    check(
        "Cannot use ``weights_only=True`` with files saved in the legacy .tar format.",
        LoadError::Tar,
    );
    check(
        "Cannot use ``weights_only=True`` with TorchScript archives passed to ``torch.load``.",
        LoadError::Script,
    );
    check("ModuleNotFoundError: No module named 'models'", class("models"));
    check(
        "AttributeError: Can't get attribute 'Net' on <module '__main__' from 'a.py'>",
        class("__main__.Net"),
    );
    check(
        "AttributeError: 'collections.OrderedDict' object has no attribute 'eval'",
        LoadError::NotAModel { attribute: "eval".into() },
    );
    check(
        "AttributeError: 'Net' object has no attribute 'copy'",
        LoadError::NotAStateDict { class: "Net".into() },
    );
    check(
        "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False.",
        LoadError::NoDevice("CUDA".into()),
    );
    check("Error while deserializing header: HeaderTooLarge", LoadError::NotSafetensors);
    check("Error while deserializing header: MetadataIncompleteBuffer", LoadError::Damaged);
    check("KeyError: 'state_dict'", LoadError::NoEntry("state_dict".into()));
}

#[test]
fn what_is_about_something_else_is_not_known() {
    for text in
        ["", "ModuleNotFoundError: No module named 'torch'", "KeyError: 'lr'", "missing keys: 0"]
    {
        assert_eq!(LoadError::read(text), None, "{text}");
    }
}

#[test]
fn pytorch_0_4_said_shapes_the_wrong_way_round() {
    let shapes = |text: &str| match read(text) {
        LoadError::Mismatch(mismatch) => mismatch.misfits,
        other => panic!("{other:?}"),
    };
    let expected = [Shapes { key: "fc.w".into(), checkpoint: vec![9, 4], model: vec![5, 4] }];
    let texts = [
        "size mismatch for fc.w: copying a param with shape torch.Size([9, 4]) from checkpoint, the shape in current model is torch.Size([5, 4]).",
        "size mismatch for fc.w: copying a param of torch.Size([5, 4]) from checkpoint, where the shape is torch.Size([9, 4]) in current model.",
        "While copying the parameter named fc.w, whose dimensions in the model are torch.Size([5, 4]) and whose dimensions in the checkpoint are torch.Size([9, 4]).",
        "While copying the parameter named \"fc.w\", whose dimensions in the model are torch.Size([5, 4]) and whose dimensions in the checkpoint are torch.Size([9, 4]).",
    ];
    for text in texts {
        assert_eq!(shapes(text), expected, "{text}");
    }
}

#[test]
fn a_copy_that_failed_for_another_reason_is_not_a_misfit() {
    let text = "While copying the parameter named \"w\", whose dimensions in the model are torch.Size([5]) and whose dimensions in the checkpoint are torch.Size([5]).";
    assert_eq!(LoadError::read(text), None);
}

/// The cause for these missing and unexpected keys, and the rule as text.
fn diagnosed(missing: &[&str], unexpected: &[&str], held: Option<&[&str]>) -> (Cause, String) {
    let list =
        |keys: &[&str]| keys.iter().map(|key| format!("\"{key}\"")).collect::<Vec<_>>().join(", ");
    let mut text = String::from("Error(s) in loading state_dict for Net:\n");
    for (name, keys) in [("Missing", missing), ("Unexpected", unexpected)] {
        if !keys.is_empty() {
            text += &format!("\t{name} key(s) in state_dict: {}. \n", list(keys));
        }
    }
    let held = held.map(|keys| Catalog::of_keys(keys).expect("unique"));
    let found = diagnose(&read(&text), held.as_ref());
    let remedy = match &found.remedy {
        Remedy::Rename { rule: Rule::Unwrap(_), .. } => "unwrap".into(),
        Remedy::Rename { rule, .. } => rule.to_string(),
        other => format!("{other:?}"),
    };
    (found.cause, remedy)
}

#[test]
fn the_gentlest_rule_is_chosen() {
    let check = |missing: &[&str], unexpected: &[&str], cause: Cause, remedy: &str| {
        assert_eq!(
            diagnosed(missing, unexpected, None),
            (cause, remedy.to_string()),
            "{missing:?}"
        );
    };
    check(&["a.w"], &["module.a.w"], Cause::Wrapped, "unwrap");
    check(&["a.w"], &["_orig_mod.module.a.w"], Cause::Wrapped, "unwrap");
    check(&["a.b.w"], &["a.module.b.w"], Cause::Wrapped, "unwrap");
    check(&["module.a.w"], &["a.w"], Cause::Unwrapped, "add:module.");
    check(&["a.w"], &["model.a.w"], Cause::Prefix, "strip:model.");
    check(&["a.b.x.w"], &["x.w"], Cause::Prefix, "add:a.b.");
    check(&["x.w", "x.b"], &["y.w", "y.b"], Cause::Renamed, "rename:y.{rest..} -> x.{rest..}");
}

#[test]
fn keys_that_could_belong_together_in_two_ways_are_left_to_a_fit() {
    let (cause, remedy) = diagnosed(&["a.w", "b.w"], &["c.w", "d.w"], None);
    assert_eq!(cause, Cause::Renamed);
    assert!(remedy.starts_with("Fit"), "{remedy}");
}

#[test]
fn keys_that_both_have_are_left_alone() {
    // Without the file the prefix could be anyone's; with it, 'head' must keep its name.
    let held = ["conv.w", "conv.b", "head.w"];
    let (_, remedy) = diagnosed(&["net.conv.w", "net.conv.b"], &["conv.w", "conv.b"], Some(&held));
    assert_eq!(remedy, "rename:conv.{rest..} -> net.conv.{rest..}");
}

#[test]
fn a_file_without_the_keys_of_the_message_is_doubted() {
    let text =
        r#"Missing key(s) in state_dict: "a.w". Unexpected key(s) in state_dict: "module.a.w". "#;
    let held = Catalog::of_keys(["module.b.w"]).expect("unique");
    let found = diagnose(&read(text), Some(&held));
    assert_eq!(found.caveat.as_deref(), Some("the file has no key 'module.a.w'"));
}

#[test]
fn long_lists_are_read_in_time() {
    let list = |prefix: &str| {
        (0..4_000).map(|n| format!("\"{prefix}layers.{n}.weight\"")).collect::<Vec<_>>().join(", ")
    };
    let text = format!(
        "Missing key(s) in state_dict: {}. Unexpected key(s) in state_dict: {}. ",
        list(""),
        list("module.")
    );
    let LoadError::Mismatch(mismatch) = read(&text) else { panic!("keys") };
    assert_eq!((mismatch.missing.len(), mismatch.unexpected.len()), (4_000, 4_000));
    assert_eq!(diagnose(&LoadError::Mismatch(mismatch), None).cause, Cause::Wrapped);
}
