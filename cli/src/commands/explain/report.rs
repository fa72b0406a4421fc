//! An explanation, as text.

use std::io::Write;

use statedict::Explain;
use statedict::core::explain::{LoadError, Remedy};
use statedict::jobs::explain::{MODEL, Outcome, Verdict};

use crate::failure::Failure;
use crate::hints;
use crate::hints::command_line;
use crate::terminal::Verbosity;
use crate::terminal::text::{NAMED, count, first_few, printable, sentence};

/// What happened and the command; the command alone where little is to be said.
pub(crate) fn explanation(
    job: &Explain,
    outcome: &Outcome,
    verbosity: Verbosity,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let command = outcome.fix.as_ref().and_then(command_line::of_fix);
    if verbosity == Verbosity::Errors {
        return Ok(command.iter().try_for_each(|line| writeln!(out, "{}", printable(line)))?);
    }
    writeln!(out, "{}", printable(&sentence(&outcome.diagnosis.message)))?;
    if let Some(choice) = &outcome.choice {
        let others: Vec<String> = choice.others.iter().map(hints::state_dict).collect();
        let (taken, others) = (hints::state_dict(&choice.taken), first_few(&others, NAMED));
        let line = format!("This is about {taken}; the file also holds {others} (--at PATH).");
        writeln!(out, "{}", printable(&line))?;
    }
    let Some(command) = command else {
        writeln!(out, "statedict cannot fix this")?;
        return Ok(());
    };
    writeln!(out, "{}", printable(&heading(job, outcome)))?;
    writeln!(out, "  {}", printable(&command))?;
    if outcome.needs_model {
        writeln!(
            out,
            "{MODEL} is a file that the model's own program saves: \
             torch.save(model.state_dict(), \"{MODEL}\")"
        )?;
    }
    Ok(())
}

/// What the command does, and whether that was seen.
fn heading(job: &Explain, outcome: &Outcome) -> String {
    let file = job.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    if outcome.diagnosis.remedy == Remedy::Look {
        return "for details:".into();
    }
    let shows = outcome.diagnosis.remedy == Remedy::Check;
    match (&outcome.verdict, shows) {
        (Verdict::Verified, true) => format!("for details ({file} is as the text says):"),
        (Verdict::Verified, false) => format!("fix (verified on {file}{}):", found(outcome)),
        (Verdict::Refuted(_), _) => "closest command (not verified):".into(),
        (Verdict::Open, true) => "for details:".into(),
        (Verdict::Open, false) => "fix:".into(),
    }
}

/// How many keys were seen to be there.
fn found(outcome: &Outcome) -> String {
    match &outcome.error {
        LoadError::Mismatch(mismatch) if !mismatch.missing.is_empty() => {
            format!(", all {} found", count(mismatch.missing.len(), "missing key"))
        }
        _ => String::new(),
    }
}
