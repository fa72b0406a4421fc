//! What pickles bring in.

use std::fmt;

use super::care::Care;
use super::kind::Kind;
use super::python2::{FIRST_UNMAPPED, in_python_3};
use crate::pickle::opcode;

/// Something that a pickle brings in by name.
#[derive(Clone, Debug)]
pub(super) struct Import {
    /// The byte of the opcode that first brings it in.
    pub(super) at: u64,
    /// The name of that opcode.
    pub(super) opcode: &'static str,
    /// What its calls make, as far as that is known.
    pub(super) makes: Kind,
    /// What its calls have to be held against.
    pub(super) care: Care,
    /// The first call of it.
    pub(super) call: Option<Call>,
    /// True if it was called with arguments of the pickle's choosing, and not only made bare
    /// (`cls.__new__`) to be filled.
    pub(super) reduced: bool,
    /// The byte of the first `BUILD` on the thing itself.
    pub(super) changed: Option<u64>,
    /// The first use of it that does harm, though others do none.
    pub(super) misuse: Option<Misuse>,
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

/// A use that does harm.
#[derive(Clone, Debug)]
pub(super) struct Misuse {
    /// The byte of the opcode that uses it so.
    pub(super) at: u64,
    pub(super) opcode: u8,
    /// What the pickle does with it.
    pub(super) what: String,
    pub(super) harm: Harm,
}

/// What comes of a misuse.
#[derive(Clone, Copy, Debug)]
pub(super) enum Harm {
    /// It runs or reaches something of the file's choosing, for this reason.
    Runs(&'static str),
    /// Weights-only loading would do it too, and fail.
    Fails(&'static str),
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
    /// Names that a budget had no room for, after this one.
    Further(String),
}

impl Import {
    pub(super) fn new(named: &Named, at: u64, code: u8) -> Import {
        let path = named.as_path().unwrap_or_default();
        Import {
            at,
            opcode: name_of(code),
            makes: Kind::made_by(path),
            care: Care::of(path),
            call: None,
            reduced: false,
            changed: None,
            misuse: None,
        }
    }

    /// The same, with places counted from further on.
    pub(super) fn shifted(mut self, by: u64) -> Import {
        self.at = self.at.saturating_add(by);
        self.changed = self.changed.map(|at| at.saturating_add(by));
        if let Some(call) = &mut self.call {
            call.at = call.at.saturating_add(by);
        }
        if let Some(misuse) = &mut self.misuse {
            misuse.at = misuse.at.saturating_add(by);
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

impl Misuse {
    /// The name of the opcode that uses it so.
    pub(super) fn opcode(&self) -> &'static str {
        name_of(self.opcode)
    }
}

impl Named {
    /// What a module and a name stand for in a pickle of a protocol.
    pub(super) fn path(module: &str, name: &str, protocol: u64) -> Named {
        Named::Path(match protocol {
            ..FIRST_UNMAPPED => in_python_3(module, name),
            _ => format!("{module}.{name}"),
        })
    }

    /// The path, if it is in the pickle.
    pub(super) fn as_path(&self) -> Option<&str> {
        match self {
            Named::Path(path) => Some(path),
            _ => None,
        }
    }

    /// Bytes of texts that it holds.
    pub(super) fn len(&self) -> usize {
        match self {
            Named::Path(text) | Named::Returned(text) | Named::Further(text) => text.len(),
            Named::Computed { module, name } => {
                module.as_ref().map_or(0, String::len) + name.as_ref().map_or(0, String::len)
            }
            Named::Extension(_) => 0,
        }
    }

    /// True if every part of the path could be a name in Python.
    pub(super) fn is_plausible(&self) -> bool {
        let Named::Path(path) = self else { return true };
        let is_start = |c: char| c.is_alphabetic() || c == '_';
        let is_name = |part: &str| {
            part.starts_with(is_start) && part.chars().all(|c| c.is_alphanumeric() || c == '_')
        };
        path.split('.').all(is_name)
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
            Named::Further(path) => write!(f, "{} and further names", path.escape_debug()),
        }
    }
}

fn name_of(code: u8) -> &'static str {
    match code {
        opcode::GLOBAL => "GLOBAL",
        opcode::STACK_GLOBAL => "STACK_GLOBAL",
        opcode::INST => "INST",
        opcode::OBJ => "OBJ",
        opcode::BUILD => "BUILD",
        opcode::REDUCE => "REDUCE",
        opcode::NEWOBJ => "NEWOBJ",
        opcode::NEWOBJ_EX => "NEWOBJ_EX",
        opcode::EXT1 => "EXT1",
        opcode::EXT2 => "EXT2",
        opcode::EXT4 => "EXT4",
        _ => "opcode",
    }
}
