//! Files that cannot be read, and programs that take one thing for another.

use alloc::format;
use alloc::string::{String, ToString};

use crate::explain::diagnosis::mismatch::needed_path;
use crate::{
    Catalog,
    explain::{Cause, Diagnosis, LoadError, Remedy},
};

/// What a first byte gives away, and what would help.
const BYTES: [(u8, &str, &str); 12] = [
    (
        b'v',
        "a Git LFS pointer, a few lines of text that stand for the file",
        "fetch the file itself (git lfs pull)",
    ),
    (
        b'<',
        "a web page, probably an error or a page to log in",
        "download it again, from the address of the file itself",
    ),
    (
        b'{',
        "JSON text, perhaps the index of a checkpoint in several files",
        "give the file of the weights",
    ),
    (b'[', "JSON text", "give the file of the weights"),
    (0x1f, "compressed with gzip", "decompress it first (gunzip)"),
    (0xfd, "compressed with xz", "decompress it first (unxz)"),
    (b'7', "a 7z archive", "unpack it first"),
    (b'R', "a RAR archive, or a text", "unpack it first"),
    (b'P', "a zip archive that PyTorch did not write", "unpack it first"),
    (0x93, "a NumPy array (.npy)", "load it with numpy.load"),
    (0x89, "an HDF5 file (Keras) or a picture", "use the program that wrote it"),
    (b'H', "an HDF5 file (Keras)", "use the program that wrote it"),
];

pub(super) fn diagnose(fault: &LoadError, held: Option<&Catalog>) -> Diagnosis {
    let (cause, message, remedy) = match fault {
        LoadError::NoEntry(entry) => return no_entry(entry, held),
        LoadError::NotAModel { attribute } => (
            Cause::Program,
            format!(
                "The file holds a state dict, which is a dict of tensors, and the program calls \
                 '{attribute}' on it as if it were a model. The file is as it should be: build the \
                 model first, then model.load_state_dict(torch.load(path))."
            ),
            Remedy::Look,
        ),
        LoadError::NotAStateDict { class } if matches!(class.as_str(), "str" | "pathlib.PosixPath") => (
            Cause::Program,
            "The program gives load_state_dict the path of the file instead of what is in it. The \
             file need not change: model.load_state_dict(torch.load(path))."
                .into(),
            Remedy::Look,
        ),
        LoadError::NotAStateDict { class } => (
            Cause::Program,
            format!(
                "The file holds a whole model ('{class}'), not its state dict. The state dict can \
                 be taken out of it without running anything."
            ),
            Remedy::Extract,
        ),
        LoadError::Optimizer => (
            Cause::OtherModel,
            "The optimizer's state belongs to a different set of parameters: the model has other \
             layers than the one that was trained, or its parameters are grouped differently. No \
             renaming can help; load the model's weights alone, and start the optimizer again."
                .into(),
            Remedy::Nothing,
        ),
        LoadError::NoClass(class) => (
            Cause::Classes,
            format!(
                "The file is a pickle of whole Python objects, and needs '{class}', which this \
                 program does not have. The tensors need no class: the state dict can be taken out \
                 without running anything."
            ),
            Remedy::Extract,
        ),
        LoadError::NotAllowed(classes) => not_allowed(classes),
        LoadError::Protocol => (
            Cause::Protocol,
            "The file was pickled in a newer protocol than the loader reads; weights-only loading, \
             the default since PyTorch 2.6, reads protocol 2. The same content can be written in \
             that one."
                .into(),
            Remedy::Protocol,
        ),
        LoadError::Foreign(byte) => foreign(*byte),
        LoadError::Empty => (
            Cause::Damaged,
            "The file is empty, or ends before the first tensor: it was not written to its end, or \
             is still being written. It has to be saved or downloaded again."
                .into(),
            Remedy::Check,
        ),
        LoadError::Damaged => (
            Cause::Damaged,
            "The file is damaged: it ends early, or its parts contradict each other, as after a \
             download that broke off or a disk that was full. A check shows what is wrong, and \
             what can still be read."
                .into(),
            Remedy::Check,
        ),
        LoadError::Tar => (
            Cause::OtherFormat,
            "The file is a tar archive, as PyTorch wrote them before 0.1.10, which weights-only \
             loading does not read. It can be rewritten as a zip archive."
                .into(),
            Remedy::Convert("pth"),
        ),
        LoadError::Script => (
            Cause::OtherFormat,
            "The file is a TorchScript archive: a model with its code, which torch.load does not \
             read by default. Its state dict can be taken out without running anything."
                .into(),
            Remedy::Extract,
        ),
        LoadError::NotAScript => (
            Cause::Program,
            "The program reads the file with torch.jit.load, and it is not a TorchScript archive: \
             it holds tensors without code. The file need not change: build the model, then \
             model.load_state_dict(torch.load(path))."
                .into(),
            Remedy::Look,
        ),
        LoadError::Newer => (
            Cause::OtherFormat,
            "The file is newer than the PyTorch that reads it: zip archives are read since 1.4 and \
             written since 1.6. NumPy reads an .npz of the same tensors beside any PyTorch \
             ({key: torch.from_numpy(value) for key, value in numpy.load(path).items()})."
                .into(),
            Remedy::Convert("npz"),
        ),
        LoadError::BarePickle => (
            Cause::OtherFormat,
            "The file is a bare pickle or of another format, not one that torch.save wrote. If \
             tensors are in it, they can be written as PyTorch reads them."
                .into(),
            Remedy::Convert("pth"),
        ),
        LoadError::Encoding => (
            Cause::OtherFormat,
            "The file was written by Python 2, whose strings are bytes outside of ASCII. Its \
             tensors can be rewritten, or loaded with torch.load(path, encoding=\"latin1\")."
                .into(),
            Remedy::Extract,
        ),
        LoadError::NoDevice(device) => (
            Cause::Device,
            format!(
                "The tensors were saved on a device ({device}) that this machine does not have. In \
                 the program that is torch.load(path, map_location=\"cpu\"); a state dict that is \
                 rewritten names no device but the CPU."
            ),
            Remedy::Extract,
        ),
        LoadError::NotSafetensors => (
            Cause::OtherFormat,
            "The file is not a safetensors file: it may be a PyTorch file under that name, a Git \
             LFS pointer, a web page, or empty. If there are tensors in it, they can be written \
             as safetensors."
                .into(),
            Remedy::Convert("safetensors"),
        ),
        LoadError::Shared => (
            Cause::Shared,
            "Some of the tensors share memory, as tied weights do, and safetensors stores each on \
             its own. They can be written under each key."
                .into(),
            Remedy::Convert("safetensors"),
        ),
        LoadError::NotATensor { key, class } => (
            Cause::OtherFormat,
            format!(
                "safetensors holds tensors alone, and the dict that is saved has '{key}', which is \
                 of class {class}. In the program: save the state dict without it. A file that \
                 torch.save wrote can be converted; what has no place is then listed."
            ),
            Remedy::Convert("safetensors"),
        ),
        LoadError::NoFramework => (
            Cause::OtherFormat,
            "transformers wants the metadata of a safetensors file to name the framework that \
             wrote it ('format: pt'), and this file's does not. The tensors themselves are fine. \
             In the program that wrote it: save_file(tensors, path, metadata={\"format\": \
             \"pt\"})."
                .into(),
            Remedy::Metadata("format=pt"),
        ),
        LoadError::Path(class) => other_system(class),
        LoadError::Meta => (
            Cause::Program,
            "Parameters of the model are on the meta device (init_empty_weights, device_map, or \
             torch.device(\"meta\")) and have no data, since the checkpoint did not fill them: it \
             lacks their keys, or they have other names. In the program, load_state_dict(..., \
             assign=True) or model.to_empty(device=...); which keys the file has is shown by:"
                .into(),
            Remedy::Look,
        ),
        LoadError::Distributed => (
            Cause::Program,
            "The model's parameters are DTensors, spread over processes by FSDP or tensor \
             parallelism, and what is loaded are plain tensors, or the reverse. The file need not \
             change: in the program, \
             torch.distributed.checkpoint.state_dict.set_model_state_dict(model, state_dict, \
             options=StateDictOptions(full_state_dict=True)), or load before the model is \
             sharded."
                .into(),
            Remedy::Look,
        ),
        LoadError::Float8 => return float8(held),
        LoadError::OtherArchitecture => (
            Cause::OtherModel,
            "The checkpoint has a different architecture from the model, or was trained with \
             different settings; the text does not say which keys differ. What the file holds is \
             shown by:"
                .into(),
            Remedy::Look,
        ),
        LoadError::Mismatch(_) => (Cause::OtherModel, String::new(), Remedy::Nothing),
    };
    let mut diagnosis = Diagnosis::new(cause, message, remedy);
    diagnosis.path = held.and_then(only_path);
    diagnosis
}

/// The path of the state dict that is most likely meant, where there are several.
fn only_path(catalog: &Catalog) -> Option<String> {
    match catalog.select(None) {
        Ok(_) => None,
        Err(_) => {
            let first =
                catalog.state_dicts.iter().find(|state_dict| !state_dict.path.contains("ema"));
            first.and_then(|state_dict| needed_path(catalog, state_dict))
        }
    }
}

fn not_allowed(classes: &[String]) -> (Cause, String, Remedy) {
    let what = match classes {
        [] => "something".to_string(),
        classes => format!("'{}'", classes.join("', '")),
    };
    let message = format!(
        "Weights-only loading, the default since PyTorch 2.6, refuses {what} that the file's \
         pickle brings in beside the tensors. There is no need to trust it: the state dict can be \
         taken out without running anything, and loads by default."
    );
    (Cause::Classes, message, Remedy::Extract)
}

/// A class of paths that only the system has on which the file was written.
fn other_system(class: &str) -> (Cause, String, Remedy) {
    let place = match class {
        "WindowsPath" => "saved on Windows and loaded elsewhere",
        _ => "saved on Linux or macOS and loaded on Windows",
    };
    let message = format!(
        "A pathlib.{class} beside the tensors was {place}, where that class cannot be made. The \
         state dict can be extracted without it and without running anything; the path is not \
         needed to load the weights."
    );
    (Cause::Classes, message, Remedy::Extract)
}

/// Endings of the keys under which 8-bit weights have their scales.
const SCALES: [&str; 3] = ["scale", "scale_inv", "scales"];

/// 8-bit floats, which can be cast only if nothing scales them.
fn float8(held: Option<&Catalog>) -> Diagnosis {
    let rows = held.map_or(&[][..], |catalog| &catalog.rows);
    let is_scaled =
        rows.iter().any(|row| SCALES.iter().any(|scale| row.key.as_str().ends_with(scale)));
    let mut dtypes = rows.iter().map(|row| &row.tensor.dtype);
    let has_any = dtypes.any(|dtype| dtype.is_float() && dtype.bits() == 8);
    let message = "The weights are 8-bit floats (float8), which PyTorch cannot compute with: the \
                   program has to cast them, or to use kernels that support them.";
    if is_scaled {
        let message = format!(
            "{message} Beside them are scales that each has to be multiplied by, so a cast alone \
             would give wrong numbers: load them with the library that wrote them."
        );
        return Diagnosis::new(Cause::Program, message, Remedy::Look);
    }
    let message = format!("{message} Without scales they can be cast to bfloat16.");
    let mut diagnosis = Diagnosis::new(Cause::OtherFormat, message, Remedy::Cast("bf16"));
    diagnosis.path = held.and_then(only_path);
    if held.is_some() && !has_any {
        diagnosis.caveat = Some("the file has no 8-bit floats".into());
    }
    diagnosis
}

fn foreign(byte: u8) -> (Cause, String, Remedy) {
    let known = BYTES.iter().find(|(first, ..)| *first == byte);
    let shown = match byte {
        b' '..=b'~' => format!("'{}'", char::from(byte)),
        byte => format!("byte {byte:#04x}"),
    };
    let (cause, message) = match known {
        Some((_, what, advice)) => (
            Cause::NoCheckpoint,
            format!(
                "The file is not a PyTorch file: its first byte ({shown}) says that it is {what}. \
                 No renaming can help: {advice}."
            ),
        ),
        None if byte.is_ascii_graphic() => (
            Cause::NoCheckpoint,
            format!(
                "The file is not a PyTorch file: it begins with {shown}, so it is probably text, \
                 such as an error message that was saved under its name. Download it again."
            ),
        ),
        None => (
            Cause::OtherFormat,
            format!(
                "The file is not a PyTorch file: it begins with {shown}, which no pickle does. It \
                 may be a safetensors file under another name, or damaged."
            ),
        ),
    };
    (cause, message, Remedy::Check)
}

/// An entry that is not there: the file is the state dict itself, or has it under another name.
fn no_entry(entry: &str, held: Option<&Catalog>) -> Diagnosis {
    let there = held.and_then(|catalog| catalog.select(None).ok()?.first().copied());
    let why = match there {
        Some(state_dict) if state_dict.path.is_empty() => {
            "It is the state dict itself: leave the entry out of the program.".to_string()
        }
        Some(state_dict) => {
            let path = state_dict.path.replace('/', "\"][\"");
            format!("Its state dict is checkpoint[\"{path}\"].")
        }
        None => "It may be the state dict itself, or have it under another name.".to_string(),
    };
    let message = format!(
        "The program takes checkpoint[\"{entry}\"], and the file has no such entry. {why} The file \
         need not change."
    );
    Diagnosis::new(Cause::NoEntry, message, Remedy::Look)
}
