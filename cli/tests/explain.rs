//! `statedict explain` as its users meet it.

mod folder;

use serde_json::Value;

use folder::Folder;

/// A key with its shape.
type Tensor<'a> = (&'a str, &'a [u64]);

const WRAPPED: [Tensor; 3] =
    [("module.fc.weight", &[2, 3]), ("module.fc.bias", &[2]), ("module.norm.weight", &[3])];

const ERROR: &str = "Traceback (most recent call last):\n  File \"train.py\", line 9, in <module>\n\
    RuntimeError: Error(s) in loading state_dict for Net:\n\
    \tMissing key(s) in state_dict: \"fc.weight\", \"fc.bias\", \"norm.weight\". \n\
    \tUnexpected key(s) in state_dict: \"module.fc.weight\", \"module.fc.bias\", \"module.norm.weight\". \n";

impl Folder {
    /// A folder with these safetensors files.
    fn with(files: &[(&str, &[Tensor])]) -> Folder {
        Folder::of(files.iter().map(|(name, tensors)| (*name, safetensors(tensors))))
    }

    fn json(&self, words: &str, input: &str) -> Value {
        let ran = self.typed_with(words, input.as_bytes());
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.err))
    }
}

/// A file of zeros.
fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let (mut header, mut length) = (serde_json::Map::new(), 0);
    for (key, shape) in tensors {
        let bytes = 4 * shape.iter().product::<u64>();
        let entry = serde_json::json!({
            "dtype": "F32", "shape": shape, "data_offsets": [length, length + bytes],
        });
        header.insert((*key).into(), entry);
        length += bytes;
    }
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.extend(vec![0; length as usize]);
    file
}

/// The command for a text alone.
fn check(text: &str, command: &str) {
    let folder = Folder::with(&[]);
    let ran = folder.typed_with("explain -q", text.as_bytes());
    assert_eq!(ran.out.trim_end(), command, "{text}\n{}", ran.err);
}

#[test]
fn a_command_is_printed_and_does_what_it_is_to_do() {
    let folder = Folder::with(&[("net.safetensors", &WRAPPED)]);
    let ran = folder.typed_with("explain net.safetensors", ERROR.as_bytes());
    assert_eq!(ran.status, 0, "{}", ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].contains("wrapped in DataParallel"), "{}", ran.out);
    assert_eq!(lines[1], "fix (verified on net.safetensors, all 3 missing keys found):");
    assert_eq!(lines[2], "  statedict unwrap net.safetensors -o net-new.safetensors");
    assert_eq!(folder.typed_with("unwrap net.safetensors -o net-new.safetensors", b"").status, 0);
}

#[test]
fn a_file_that_is_another_one_refutes_the_command() {
    let folder = Folder::with(&[("other.safetensors", &[("conv.weight", &[2, 3])])]);
    let ran = folder.typed_with("explain other.safetensors", ERROR.as_bytes());
    assert_eq!(ran.status, 1);
    assert!(
        ran.err.contains("not verified: the file has no key 'module.fc.weight'"),
        "{}",
        ran.err
    );
    let explained = folder.json("explain other.safetensors --json", ERROR);
    assert_eq!(explained["verified"], false);
}

#[test]
fn one_object_holds_all_that_is_known() {
    let folder = Folder::with(&[("net.safetensors", &WRAPPED)]);
    let explained = folder.json("explain net.safetensors --json", ERROR);
    assert_eq!(explained["cause"], "wrapped");
    assert_eq!(explained["verified"], true);
    assert_eq!(
        explained["words"],
        serde_json::json!(["unwrap", "net.safetensors", "-o", "net-new.safetensors"])
    );
    assert_eq!(explained["missing"], 3);
    assert_eq!(folder.json("explain --json", ERROR)["verified"], Value::Null);
}

#[test]
fn a_fit_is_tried_on_the_model_if_that_is_given() {
    let folder = Folder::with(&[
        ("net.safetensors", &[("fc.weight", &[9, 3]), ("fc.bias", &[9])]),
        ("model.safetensors", &[("fc.weight", &[2, 3]), ("fc.bias", &[2])]),
    ]);
    let text = "size mismatch for fc.weight: copying a param with shape torch.Size([9, 3]) from checkpoint, \
                the shape in current model is torch.Size([2, 3]).\n\
                size mismatch for fc.bias: copying a param with shape torch.Size([9]) from checkpoint, \
                the shape in current model is torch.Size([2]).";
    let explained = folder.json("explain net.safetensors --json", text);
    assert_eq!((&explained["verified"], &explained["needs_model"]), (&Value::Null, &true.into()));
    let explained = folder.json("explain net.safetensors --to model.safetensors --json", text);
    assert_eq!((&explained["verified"], &explained["needs_model"]), (&true.into(), &false.into()));
    let command = "statedict fit net.safetensors --to model.safetensors --init 'fc.*=target' -o net-new.safetensors";
    assert_eq!(explained["command"], command);
}

#[test]
fn what_is_not_known_is_said_to_be() {
    let folder = Folder::with(&[]);
    let check = |input: &[u8], expected: &str| {
        let ran = folder.typed_with("explain", input);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{}", ran.err);
        assert!(ran.err.starts_with(expected), "{}", ran.err);
    };
    check(b"", "error: standard input is empty");
    check(b" \n\t", "error: standard input is empty");
    check(b"the weather is fine", "error: nothing in the text is known");
    check(b"\xff\xfd\x00", "error: nothing in the text is known");
    check(&[0x80; 4096], "error: nothing in the text is known");
    check(&vec![b'y'; 9 << 20], "error: standard input goes on beyond 8 MiB");
    let ran = folder.typed_with("explain not-there.pth", ERROR.as_bytes());
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("not-there.pth"), "{}", ran.err);
}

#[test]
fn noise_around_a_text_and_in_it_is_passed_over() {
    let command = "statedict unwrap CKPT -o OUT.pth";
    check(ERROR, command);
    let prefixed: String = ERROR.lines().map(|line| format!("[rank0]: {line}\n")).collect();
    check(&prefixed, command);
    check(&format!("{prefixed}{prefixed}"), command);
    check(&ERROR.replace('\n', "\r\n"), command);
    check(&ERROR.replace('"', "&quot;"), command);
    check(&ERROR.replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t"), command);
    check(&ERROR.replace(", ", ",\n    "), command);
    let mut bytes = b"\x80\xff progress \x1b[31m".to_vec();
    bytes.extend(ERROR.bytes());
    let folder = Folder::with(&[]);
    assert_eq!(folder.typed_with("explain -q", &bytes).out.trim_end(), command);
    let utf16: Vec<u8> =
        [0xfeff].into_iter().chain(ERROR.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_eq!(folder.typed_with("explain -q", &utf16).out.trim_end(), command);
}

#[test]
fn lists_cut_short_are_enough() {
    let text = r#"Missing key(s) in state_dict: "a.w", "b.w", ... Unexpected key(s) in state_dict: "model.a.w", "model.c.w", ..."#;
    check(text, "statedict strip model CKPT -o OUT.pth");
}

#[test]
fn words_are_quoted_for_the_shell() {
    let text = r#"Missing key(s) in state_dict: "a.w". Unexpected key(s) in state_dict: "it's mine.a.w". "#;
    check(text, r"statedict strip 'it'\''s mine' CKPT -o OUT.pth");
}

#[test]
fn every_loader_is_understood() {
    check(
        "KeyError: 'unexpected key \"module.conv1.weight\" in state_dict'",
        "statedict unwrap CKPT -o OUT.pth",
    );
    check(
        "_IncompatibleKeys(missing_keys=['a.w'], unexpected_keys=['net.a.w'])",
        "statedict strip net CKPT -o OUT.pth",
    );
    check(
        "The model and loaded state dict do not match exactly\n\nunexpected key in source state_dict: \
         a.w, a.b\n\nmissing keys in source state_dict: backbone.a.w, backbone.a.b\n",
        "statedict add backbone CKPT -o OUT.pth",
    );
    check(
        "Some weights of the model checkpoint at x were not used when initializing BertModel: \
         ['cls.bias', 'cls.weight']\n- This IS expected if you are initializing",
        "statedict drop cls.bias cls.weight CKPT -o OUT.pth",
    );
    check(
        "Some weights of BertForX were not initialized from the model checkpoint at x and are newly \
         initialized: ['classifier.bias', 'classifier.weight']\nYou should probably TRAIN this model",
        "statedict fit CKPT --to MODEL --init 'classifier.*=target' -o OUT.pth",
    );
    check(
        "- classifier.weight: found shape torch.Size([2, 768]) in the checkpoint and torch.Size([3, 768]) in the model instantiated",
        "statedict fit CKPT --to MODEL --init classifier.weight=target -o OUT.pth",
    );
    check(
        "Net LOAD REPORT from: x\nKey | Status |\nh.{0, 1}.w | MISSING |\nmodule.h.{0...1}.w | UNEXPECTED |\n",
        "statedict unwrap CKPT -o OUT.pth",
    );
    check(
        "size mismatch for wte.weight: copying a param with shape torch.Size([9, 4]) from checkpoint, \
         the shape in current model is torch.Size([12, 4]).",
        "statedict fit CKPT --to MODEL --init wte.weight=target --resize wte.weight=rows -o OUT.pth",
    );
}

const BELOW: [Tensor; 3] =
    [("backbone.conv1.weight", &[2, 3]), ("backbone.bn1.weight", &[2]), ("head.w", &[3])];

/// The command for a text and a file with the tensors of `BELOW`; none if nothing helps.
fn helped(text: &str) -> (Option<String>, String) {
    let folder = Folder::with(&[("net.safetensors", &BELOW)]);
    let json = folder.json("explain --json net.safetensors", text);
    let words = |field: &str| json[field].as_str().map(String::from);
    (words("command"), words("explanation").unwrap_or_default())
}

#[test]
fn new_keys_are_looked_for_below_other_prefixes() {
    for text in [
        "Some weights of ResNet were not initialized from the model checkpoint at m and are newly initialized: ['conv1.weight', 'bn1.weight']",
        "UserWarning: Found missing adapter keys while loading the checkpoint: ['conv1.weight', 'bn1.weight'].",
        "Loading adapter weights from state_dict led to missing keys in the model: conv1.weight, bn1.weight",
        "ValueError: Cannot load <class 'U'> because the following keys are missing: \n conv1.weight, bn1.weight. \n Please",
    ] {
        let command = "statedict strip backbone net.safetensors -o net-new.safetensors";
        assert_eq!(helped(text).0.as_deref(), Some(command), "{text}");
    }
    let other = "newly initialized: ['classifier.weight']";
    let text = format!(
        "Some weights of X were not initialized from the model checkpoint at m and are {other}"
    );
    assert!(helped(&text).0.expect("a fit").contains("--init classifier.weight=target"));
}

#[test]
fn a_remedy_never_leaves_an_empty_file() {
    let unused = |keys: &str| {
        let head = "Some weights of the model checkpoint at m were not used when initializing X: ";
        helped(&format!("{head}[{keys}]")).0.expect("a command")
    };
    let fit = "statedict fit net.safetensors --to MODEL -o net-new.safetensors";
    assert_eq!(unused("'backbone.conv1.weight', 'backbone.bn1.weight', 'head.w'"), fit);
    assert_eq!(unused("'backbone.conv1.weight, backbone.bn1.weight, head.w'"), fit);
    assert_eq!(
        unused("'head.w'"),
        "statedict drop 'head.**' net.safetensors -o net-new.safetensors"
    );
}

#[test]
fn texts_of_other_loaders_are_known() {
    let check = |text: &str, said: &str, command: Option<&str>| {
        let (found, explanation) = helped(text);
        assert!(explanation.contains(said), "{text}: {explanation}");
        assert_eq!(found.as_deref(), command.map(|it| format!("statedict {it}")).as_deref());
    };
    let alone = Some("convert net.safetensors net-new.safetensors --alone");
    let look = Some("ls net.safetensors");
    check("NotImplementedError: cannot instantiate 'PosixPath' on your system", "PosixPath", alone);
    check(
        "pathlib._abc.UnsupportedOperation: cannot instantiate 'WindowsPath' on your system",
        "pathlib.WindowsPath",
        alone,
    );
    check(
        "ValueError: Key `epoch` is invalid, expected torch.Tensor but received <class 'int'>",
        "'epoch', which is of class int",
        Some("convert net.safetensors net-new.safetensors"),
    );
    check("NotImplementedError: Cannot copy out of meta tensor; no data!", "meta device", look);
    check(
        "RuntimeError: aten.copy_.default: got mixed torch.Tensor and DTensor, need to convert",
        "DTensors",
        look,
    );
    check(
        "Exception: Cannot load model parameters from checkpoint m; please ensure that the architectures match.",
        "a different architecture",
        look,
    );
    check(
        "RuntimeError: Promotion for Float8 Types is not supported, attempted to promote Float8_e4m3fn and Float",
        "8-bit floats",
        Some("convert net.safetensors net-new.safetensors --cast bf16"),
    );
    check(
        "size mismatch for a.w: copying a param with shape torch.Size([0]) from checkpoint, the shape in current model is torch.Size([2, 2]).",
        "zero_to_fp32.py",
        None,
    );
    check("KeyError: 'pytorch-lightning_version'", "pytorch-lightning_version", look);
}

#[test]
fn shapes_are_read_as_other_loaders_print_them() {
    let command = "statedict fit CKPT --to MODEL --init head.weight=target -o OUT.pth";
    check(
        "| key         | expected shape     | loaded shape       |\n\
         | head.weight | torch.Size([5, 4]) | torch.Size([9, 4]) |",
        command,
    );
    check(
        "ValueError: Cannot load m because head.weight expected shape torch.Size([5, 4]), but got torch.Size([9, 4]).",
        command,
    );
    check(
        "because head.weight expected shape tensor(..., device='meta', size=(5, 4)), but got torch.Size([9, 4]).",
        command,
    );
    check(
        "ValueError: Trying to set a tensor of shape torch.Size([9, 4]) in \"weight\" (which has shape torch.Size([5, 4])), this look incorrect.",
        "statedict fit CKPT --to MODEL --init weight=target -o OUT.pth",
    );
}

#[test]
fn metadata_that_name_no_framework_are_given_it() {
    let folder = Folder::with(&[("net.safetensors", &BELOW)]);
    let text = "OSError: The safetensors archive passed at m does not contain the valid metadata.";
    let ran = folder.typed_with("explain -q net.safetensors", text.as_bytes());
    let command = "rename net.safetensors --metadata format=pt -o net-new.safetensors";
    assert_eq!(ran.out.trim_end(), format!("statedict {command}"));
    assert_eq!(folder.typed(command).status, 0);
    let json = folder.json("explain --json net-new.safetensors", text);
    assert_eq!(json["verified"], false);
    let listed = folder.json("ls --json net-new.safetensors", "");
    assert_eq!(listed["metadata"], serde_json::json!({ "format": "pt" }));
}

#[test]
fn a_model_folder_is_mended_into_another_folder() {
    let folder = Folder::with(&[]);
    std::fs::create_dir(folder.path("llama-2.7b")).expect("made");
    folder.add("llama-2.7b/model.safetensors", &safetensors(&BELOW));
    folder.add("llama-2.7b/config.json", b"{}");
    let text = "OSError: The safetensors archive passed at m does not contain the valid metadata.";
    let ran = folder.typed_with("explain -q llama-2.7b", text.as_bytes());
    let command = "rename llama-2.7b --metadata format=pt -o llama-2.7b-new";
    assert_eq!(ran.out.trim_end(), format!("statedict {command}"));
    assert_eq!(folder.typed(command).status, 0);
    assert!(folder.path("llama-2.7b-new/config.json").exists());
}

#[test]
fn a_size_that_differs_beyond_the_rows_can_be_kept_in_part() {
    let misfit = |key: &str, checkpoint: &str, model: &str| {
        format!(
            "size mismatch for {key}: copying a param with shape torch.Size({checkpoint}) from \
             checkpoint, the shape in current model is torch.Size({model})."
        )
    };
    let fit = |init: &str, resize: &str| {
        format!("statedict fit CKPT --to MODEL --init {init}=target{resize} -o OUT.pth")
    };
    check(
        &misfit("conv_in.weight", "[320, 4, 3, 3]", "[320, 9, 3, 3]"),
        &fit("conv_in.weight", " --resize conv_in.weight=dim1"),
    );
    check(
        &misfit("vit.pos_embed", "[1, 197, 768]", "[1, 577, 768]"),
        &fit("vit.pos_embed", " --resize vit.pos_embed=dim1"),
    );
    check(&misfit("fc.weight", "[10, 4]", "[5, 8]"), &fit("fc.weight", ""));
}

#[test]
fn what_is_said_of_paths_of_another_system_is_looked_for_in_the_file() {
    let folder = Folder::with(&[("net.safetensors", &BELOW)]);
    let text = "NotImplementedError: cannot instantiate 'PosixPath' on your system";
    let ran = folder.typed_with("explain net.safetensors", text.as_bytes());
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("not verified: the file holds no pathlib.PosixPath"), "{}", ran.err);
}
