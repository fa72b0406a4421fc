//! Figures as comma-separated values.

use std::borrow::Cow;
use std::io::Write;

use statedict::core::Statistics;
use statedict::jobs::stats::Outcome;

use crate::failure::Failure;

/// The names of the columns, as `--json` has them.
const HEAD: &str = "at,key,dtype,shape,count,mean,std,min,max,absmax,l2,zeros,nan,inf,histogram";

/// A line for every tensor; what is not known is empty.
pub(crate) fn table(outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
    writeln!(out, "{HEAD}")?;
    for tensor in outcome.tensors() {
        let entry = tensor.entry;
        let [path, key] = [&*entry.path, entry.key.as_str()].map(quoted);
        let dtype = quoted(entry.tensor.dtype.name());
        let shape = joined(&entry.tensor.shape, "x");
        let figures = match tensor.measured {
            Ok(found) => figures(found),
            Err(_) => format!("{}{}", entry.tensor.count(), ",".repeat(10)),
        };
        writeln!(out, "{path},{key},{dtype},{shape},{figures}")?;
    }
    Ok(())
}

fn figures(found: &Statistics) -> String {
    let number = |figure: Option<f64>| figure.map_or_else(String::new, |it| format!("{it:?}"));
    let counts = found.histogram().map(|histogram| histogram.counts()).unwrap_or_default();
    [
        found.count.to_string(),
        number(found.mean()),
        number(found.std()),
        number(found.min()),
        number(found.max()),
        number(found.absmax()),
        number(found.l2()),
        found.zeros.to_string(),
        found.nan.to_string(),
        found.inf.to_string(),
        joined(&counts, " "),
    ]
    .join(",")
}

fn joined(numbers: &[u64], between: &str) -> String {
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(between)
}

/// A text as a field of its own, whatever is in it.
fn quoted(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(text)
    }
}
