//! Pages: what a command found as one HTML file that needs no network.
//!
//! A command makes a [`Page`] (`model`). Sentences and commands become HTML (`html`), tensors with
//! their figures become a packed block (`pack`), which the page's own script unpacks and draws.
//! The same page has the same bytes.

mod columns;
mod html;
mod keys;
mod model;
mod pack;
mod save;

pub(crate) use model::{
    Block, Entry, Fact, Figure, Finding, Grade, Group, Kind, Label, Link, Page, Ribbons, Row,
    Sheet, Tensors,
};
pub(crate) use save::PageFile;
