//! The script that submits a job's parts to Slurm.

use std::path::Path;

use crate::jobs::error::Error;
use crate::jobs::parts::texts::absolute;

/// A script for `sh`, which submits parts 1 to `parts` as an array, and `finish` after them.
///
/// A part that was killed is done again, since only a status of a program's own is an answer.
pub(super) fn script(job: &Path, program: &Path, parts: usize) -> Result<String, Error> {
    let (job, program) = (quoted(&absolute(job)?), quoted(&absolute(program)?));
    Ok(format!(
        r#"#!/bin/sh
# Submits the parts of a job of statedict to Slurm as an array, and "finish" to run after them.
#
#   sh FILE [OPTION OF sbatch]...     such as --partition=short --time=2:00:00
#
# Run it again if parts have failed: what is done is not done again.
set -eu
STATEDICT_JOB={job}
STATEDICT=${{STATEDICT:-{program}}}
export STATEDICT_JOB STATEDICT

array=$(sbatch --parsable --requeue --job-name=statedict --array=1-{parts} "$@" <<'PART'
#!/bin/sh
for try in 1 2 3; do
    "$STATEDICT" run-part --quiet "$STATEDICT_JOB" "$SLURM_ARRAY_TASK_ID"
    status=$?
    # 1 and 2 are answers; beyond 128 the program was killed.
    [ "$status" -gt 128 ] || exit "$status"
done
exit "$status"
PART
)
array=${{array%%;*}}

finish=$(sbatch --parsable --requeue --job-name=statedict-finish \
    --dependency="afterok:$array" --kill-on-invalid-dep=yes "$@" <<'FINISH'
#!/bin/sh
exec "$STATEDICT" finish --quiet "$STATEDICT_JOB"
FINISH
)
echo "parts: job $array, finish: job ${{finish%%;*}}"
"#
    ))
}

/// A word for `sh`.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_words_of_the_shell_whatever_is_in_them() {
        let text = script(Path::new("/a b/it's.json"), Path::new("/bin/statedict"), 3);
        let text = text.expect("a script");
        assert!(text.contains(r"STATEDICT_JOB='/a b/it'\''s.json'"), "{text}");
        assert!(text.contains("--array=1-3 "), "{text}");
    }
}
