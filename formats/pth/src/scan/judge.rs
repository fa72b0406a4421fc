//! From what a pickle brings in to what that makes the file.
//!
//! | what is brought in | verdict |
//! |---|---|
//! | what weights-only loading admits (`admitted`) | safe |
//! | what does nothing, used so (`inert`, `care`) | safe, with a note |
//! | a class of the archive's own code, in TorchScript | safe |
//! | what is known to do harm (`known`), and all of Python itself that is not inert (`standard`) | dangerous, saying how |
//! | a function of a package that is not known, which is called | dangerous |
//! | any other class or function of such a package | unknown |
//! | computed names, extension codes, results that are called | dangerous |
//! | `BUILD` on any of these themselves, instead of on an instance | dangerous |
//!
//! Of known harm it does not matter whether it is called: importing a module runs it, and a
//! function at hand can be called by another.

use statedict_core::Finding;

use super::admitted::is_admitted;
use super::imports::{Harm, Import, Named};
use super::inert::{Inert, inert};
use super::known::known;
use super::python2::of_python_2;
use super::standard::{is_standard, is_value};

/// Who reads a pickle, which decides what its names mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loader {
    /// Python's `pickle`, in one of its guises.
    Python,
    /// PyTorch's reader of TorchScript, which imports nothing: classes are the archive's own code.
    TorchScript,
}

/// What something that a pickle brings in says of the file; `None` if nothing.
///
/// Places count from the pickle's own start.
pub(super) fn judge(named: &Named, import: &Import, loader: Loader) -> Option<Finding> {
    if let Some(at) = import.changed {
        let what = format!("changes {named} itself");
        let finding = Finding::dangerous(format!("BUILD at byte {at}"), what, ALTERS);
        return Some(finding.about(named.to_string()));
    }
    let standing = standing(named, import, loader);
    if let Some(misuse) = &import.misuse
        && !matches!(standing, Standing::Harmful(_))
    {
        let place = format!("{} at byte {}", misuse.opcode(), misuse.at);
        let finding = match misuse.harm {
            Harm::Runs(why) => Finding::dangerous(place, &misuse.what, why),
            Harm::Fails(why) => Finding::malformed(place, &misuse.what, why),
        };
        return Some(finding.about(named.to_string()));
    }
    let (place, what) = (place(import), use_of(named, import));
    let finding = match standing {
        Standing::Admitted => return None,
        Standing::Inert => Finding::note(place, what, NOTED),
        Standing::Unknown(why) => Finding::unknown(place, what, why),
        Standing::Harmful(why) => Finding::dangerous(place, what, why),
    };
    Some(finding.about(named.to_string()))
}

fn place(import: &Import) -> String {
    let place = format!("{} at byte {}", import.opcode, import.at);
    match &import.call {
        Some(call) if call.at != import.at => {
            format!("{place}, {} at byte {}", call.opcode(), call.at)
        }
        _ => place,
    }
}

fn use_of(named: &Named, import: &Import) -> String {
    match &import.call {
        Some(call) => format!("calls {named}({})", call.arguments),
        None => format!("imports {named}"),
    }
}

const ALTERS: &str = "it alters the running program";
const NOTED: &str = "weights-only loading refuses it, and it does nothing";
const UNKNOWN: &str =
    "weights-only loading does not know it; what it does depends on what is installed";
const CALLED: &str = "a function that is not known is called with arguments of the file's choosing";
const STANDARD: &str = "a part of Python itself that weights-only loading does not admit";
const DISGUISED: &str = "no module or class has such a name; it looks like another";
const PYTHON_2: &str = "a module of Python 2, which this protocol does not map to Python 3's: \
    whatever lies beside the file under that name runs";
const COMPUTED: &str = "its name is computed while the pickle is loaded, so it can be anything";
const EXTENSION: &str = "the number stands for whatever the loading program registered under it";
const TOO_MANY: &str = "its names take over 16 MiB, the limit, and no loader needs so many";
const RETURNED: &str = "what a call returns is called in turn, so it can be anything";

/// What an import is, as it is used.
enum Standing {
    Admitted,
    Inert,
    Unknown(&'static str),
    Harmful(&'static str),
}

fn standing(named: &Named, import: &Import, loader: Loader) -> Standing {
    let path = match named {
        Named::Path(path) => path.as_str(),
        Named::Further(_) => return Standing::Harmful(TOO_MANY),
        Named::Computed { .. } => return Standing::Harmful(COMPUTED),
        Named::Extension(_) => return Standing::Harmful(EXTENSION),
        Named::Returned(_) => return Standing::Harmful(RETURNED),
    };
    if is_admitted(path) || (loader == Loader::TorchScript && is_scripted(path)) {
        return Standing::Admitted;
    }
    let is_inert = match inert(path) {
        Some(Inert::Called) => true,
        Some(Inert::OnlyCalled) => import.call.is_some(),
        Some(Inert::Filled) => !import.reduced,
        Some(Inert::Named) => import.call.is_none(),
        None => false,
    };
    if is_inert {
        return Standing::Inert;
    }
    let is_kept = path == "functools.partial" && import.call.is_some() && import.misuse.is_none();
    if is_kept || is_value(path) {
        return Standing::Unknown(UNKNOWN);
    }
    match harm(path) {
        Some(why) => Standing::Harmful(why),
        None if is_disguised(path) => Standing::Harmful(DISGUISED),
        None if is_python_2(path) => Standing::Unknown(PYTHON_2),
        None if import.reduced && is_function(path) => Standing::Harmful(CALLED),
        None => Standing::Unknown(UNKNOWN),
    }
}

/// What is known to come of something, or of its namesake of Python 2.
fn harm(path: &str) -> Option<&'static str> {
    let named_harm = |path: &str| known(path).or(is_standard(path).then_some(STANDARD));
    let moved = || of_python_2(path).filter(|_| is_python_2(path));
    named_harm(path).or_else(|| {
        let is_quiet = |path: &str| {
            is_admitted(path) || inert(path).is_some_and(|inert| inert != Inert::OnlyCalled)
        };
        named_harm(&moved().filter(|moved| !is_quiet(moved))?)
    })
}

/// True if a module is one of Python 2's that Python 3 does not have.
fn is_python_2(path: &str) -> bool {
    !is_standard(path) && of_python_2(path).is_some()
}

/// True if what has this path does harm by itself.
pub(super) fn is_harmful(path: &str) -> bool {
    !is_admitted(path) && inert(path).is_none() && !is_value(path) && harm(path).is_some()
}

/// True for the name of a function: a class begins with a capital letter, and functions that only
/// put objects together again say so.
fn is_function(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or_default();
    let is_class = name.trim_start_matches('_').starts_with(|c: char| c.is_uppercase());
    let rebuilds = ["reconstruct", "rebuild", "unpickle", "_ctor"];
    let begins = ["_new_", "_make_", "_restore_", "_from_"];
    let is_helper = rebuilds.iter().any(|word| name.starts_with('_') && name.contains(word))
        || begins.iter().any(|word| name.starts_with(word));
    !is_class && !is_helper
}

/// True for a name that nobody gives a module or a class, or that looks like another name: with
/// spaces or signs in it, or with letters of two scripts in one word.
fn is_disguised(path: &str) -> bool {
    let is_sign = |c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.');
    let is_mixed = |part: &str| {
        let is_ascii = |c: char| c.is_ascii_alphabetic();
        part.contains(is_ascii) && !part.is_ascii()
    };
    path.contains(is_sign) || path.split('.').any(is_mixed)
}

/// What PyTorch's reader of TorchScript knows by itself.
///
/// Source: `Unpickler::readGlobal` in `torch/csrc/jit/serialization/unpickler.cpp`.
fn is_scripted(path: &str) -> bool {
    let helpers = [
        "build_boollist",
        "build_doublelist",
        "build_intlist",
        "build_tensor_from_id",
        "build_tensorlist",
        "restore_type_tag",
    ];
    path.starts_with("__torch__.")
        || path.strip_prefix("torch.jit._pickle.").is_some_and(|name| helpers.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_told_from_classes_and_from_helpers_of_picklers() {
        for name in ["zoo.registry.build", "pandas.read_csv", "a.b._run", "a.B.method", "a.rebuild"]
        {
            assert!(is_function(name), "{name}");
        }
        for name in [
            "a.Class",
            "a._Private",
            "pandas._libs.internals._unpickle_block",
            "pandas.core.indexes.base._new_Index",
            "numpy.random._pickle.__bit_generator_ctor",
        ] {
            assert!(!is_function(name), "{name}");
        }
    }

    #[test]
    fn names_in_disguise_are_told_from_those_of_other_alphabets() {
        for path in ["torch._utils .x", "torch._ut\u{456}ls.x", "a.<lambda>", "c/llections.A"] {
            assert!(is_disguised(path), "{path}");
        }
        for path in ["transformers_modules.org.Phi-3.4af.Config", "\u{6a21}\u{578b}.Net", "a._b.C1"]
        {
            assert!(!is_disguised(path), "{path}");
        }
    }

    #[test]
    fn what_is_known_to_do_harm_is_no_unknown_class() {
        for path in ["os.system", "linecache.getline", "torch.hub.load", "torch.load", "dill.loads"]
        {
            assert!(is_harmful(path), "{path}");
        }
        for path in ["ultralytics.nn.tasks.DetectionModel", "typing.Any", "torch.optim.adam.Adam"] {
            assert!(!is_harmful(path), "{path}");
        }
    }
}
