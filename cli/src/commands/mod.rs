//! One file, one command; what it takes is a value, and what it prints goes to a writer.

pub(crate) mod cat;
pub(crate) mod check;
pub(crate) mod copy_args;
pub(crate) mod derive;
pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod fit;
pub(crate) mod folder_args;
pub(crate) mod index;
pub(crate) mod join;
pub(crate) mod ls;
pub(crate) mod output_args;
pub(crate) mod parts;
pub(crate) mod prune;
pub(crate) mod recipes;
pub(crate) mod recover;
pub(crate) mod rename;
pub(crate) mod several;
pub(crate) mod shell;
pub(crate) mod split;
pub(crate) mod stats;
pub(crate) mod view;
