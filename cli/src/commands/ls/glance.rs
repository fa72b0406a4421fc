//! What a file holds at a glance, as text.

use std::io::{self, Write};

use statedict::jobs::list::{Glance, Outcome};

use crate::terminal::color::{Meaning, Stream, painted};
use crate::terminal::numbers::amount;
use crate::terminal::text::{count, printable, size};

/// `6.79 M parameters in 57 tensors, 27.2 MB F32 (pth)`, and what else is known.
pub(crate) fn head(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    let glance = &outcome.glance;
    let kind = outcome.checkpoint.kind();
    let parameters = match glance.parameters {
        1 => "1 parameter".to_string(),
        parameters => format!("{} parameters", amount(parameters)),
    };
    let tensors = count(glance.tensors, "tensor");
    let title = format!("{parameters} in {tensors}, {} ({kind})", printable(&bytes(glance)));
    writeln!(out, "{}", painted(Stream::Out, Meaning::Title, &title))?;
    let mut facts = glance.facts.clone();
    if glance.load_bytes > glance.bytes() {
        facts.push(format!("{} to load all of it", size(glance.load_bytes)));
    }
    if !facts.is_empty() {
        writeln!(out, "{}", printable(&facts.join(", ")))?;
    }
    Ok(())
}

/// `27.2 MB F32`, or what each type takes.
fn bytes(glance: &Glance) -> String {
    match glance.dtypes.as_slice() {
        [] => size(0),
        [(dtype, bytes)] => format!("{} {dtype}", size(*bytes)),
        several => {
            let each = several.iter().map(|(dtype, bytes)| format!("{} {dtype}", size(*bytes)));
            format!("{}: {}", size(glance.bytes()), each.collect::<Vec<_>>().join(", "))
        }
    }
}
