//! What pickles bring in.

use std::fmt;

use crate::pickle::opcode;

/// Something that a pickle brings in by name.
#[derive(Clone, Debug)]
pub(super) struct Import {
    /// What it is.
    pub(super) named: Named,
    /// The byte of the opcode that first brings it in.
    pub(super) at: u64,
    /// The name of that opcode.
    pub(super) opcode: &'static str,
    /// The first call of it.
    pub(super) call: Option<Call>,
    /// True if it was called with arguments of the pickle's choosing, and not only made bare
    /// (`cls.__new__`) to be filled.
    pub(super) reduced: bool,
    /// The byte of the first `BUILD` on the thing itself.
    pub(super) changed: Option<u64>,
}

/// A call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The byte of the opcode that calls.
    pub(super) at: u64,
    pub(super) opcode: u8,
    /// The arguments, as far as they can be shown.
    pub(super) arguments: String,
}

/// How a pickle names what it brings in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Named {
    /// By module and name, joined by a dot; in Python 3's names.
    Path(String),
    /// By a number of copyreg's extension registry.
    Extension(u32),
    /// By texts that are not in the pickle, but computed while it is loaded.
    Computed {
        /// The module, if its text is in the pickle.
        module: Option<String>,
        /// The name, if its text is in the pickle.
        name: Option<String>,
    },
    /// As what a call of another import returned.
    Returned(String),
}

impl Import {
    pub(super) fn new(named: Named, at: u64, code: u8) -> Import {
        Import { named, at, opcode: name_of(code), call: None, reduced: false, changed: None }
    }

    /// The same, with places counted from further on.
    pub(super) fn shifted(mut self, by: u64) -> Import {
        self.at = self.at.saturating_add(by);
        self.changed = self.changed.map(|at| at.saturating_add(by));
        if let Some(call) = &mut self.call {
            call.at = call.at.saturating_add(by);
        }
        self
    }
}

impl Call {
    /// The name of the opcode that calls.
    pub(super) fn opcode(&self) -> &'static str {
        name_of(self.opcode)
    }
}

impl Named {
    pub(super) fn path(module: &str, name: &str) -> Named {
        let (module, name) = in_python_3(module, name);
        Named::Path(format!("{module}.{name}"))
    }

    /// True if every part of the path could be a name in Python.
    pub(super) fn is_plausible(&self) -> bool {
        let Named::Path(path) = self else { return true };
        let is_start = |c: char| c.is_alphabetic() || c == '_';
        let is_name = |part: &str| {
            part.starts_with(is_start) && part.chars().all(|c| c.is_alphanumeric() || c == '_')
        };
        path.len() <= 200 && path.split('.').all(is_name)
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |text: &Option<String>| text.clone().unwrap_or_else(|| "<computed>".into());
        match self {
            Named::Path(path) => write!(f, "{}", path.escape_debug()),
            Named::Extension(code) => write!(f, "copyreg extension {code}"),
            Named::Computed { module, name } => {
                write!(f, "{}.{}", part(module).escape_debug(), part(name).escape_debug())
            }
            Named::Returned(by) => write!(f, "what {by} returned"),
        }
    }
}

/// The name in Python 3 of what a pickle of Python 2 names.
///
/// Source: `_compat_pickle` in CPython, as far as pickles are known to use it.
fn in_python_3<'a>(module: &'a str, name: &'a str) -> (&'a str, &'a str) {
    match (module, name) {
        ("__builtin__", "xrange") => ("builtins", "range"),
        ("__builtin__", "reduce") => ("functools", "reduce"),
        ("__builtin__", "intern") => ("sys", "intern"),
        ("__builtin__", "unicode") => ("builtins", "str"),
        ("__builtin__", "long") => ("builtins", "int"),
        ("__builtin__", "unichr") => ("builtins", "chr"),
        ("itertools", "izip") => ("builtins", "zip"),
        ("itertools", "imap") => ("builtins", "map"),
        ("itertools", "ifilter") => ("builtins", "filter"),
        ("UserDict" | "UserList" | "UserString", name) => ("collections", name),
        ("__builtin__", name) => ("builtins", name),
        ("copy_reg", name) => ("copyreg", name),
        ("cPickle", name) => ("pickle", name),
        ("commands", name) => ("subprocess", name),
        ("urllib2", name) => ("urllib.request", name),
        other => other,
    }
}

fn name_of(code: u8) -> &'static str {
    match code {
        opcode::GLOBAL => "GLOBAL",
        opcode::STACK_GLOBAL => "STACK_GLOBAL",
        opcode::INST => "INST",
        opcode::OBJ => "OBJ",
        opcode::REDUCE => "REDUCE",
        opcode::NEWOBJ => "NEWOBJ",
        opcode::NEWOBJ_EX => "NEWOBJ_EX",
        opcode::EXT1 => "EXT1",
        opcode::EXT2 => "EXT2",
        opcode::EXT4 => "EXT4",
        _ => "opcode",
    }
}
