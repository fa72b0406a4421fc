//! Files that are read whole, up to a limit.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::jobs::error::Error;

/// How long a file may be that is read whole.
pub(crate) struct Limit {
    bytes: u64,
    /// What files it is for.
    of: &'static str,
}

/// The longest configuration; those of real models have a few thousand bytes.
pub(crate) const CONFIGURATION: Limit = Limit { bytes: 16 << 20, of: "configurations" };

/// The longest recipe or plan: room for a million keys.
pub(crate) const RECIPE: Limit = Limit { bytes: 256 << 20, of: "recipes" };

/// The bytes of a file, which may come through a pipe.
///
/// # Errors
/// A file that cannot be read, or is longer than the limit.
pub(crate) fn bytes(path: &Path, limit: &Limit) -> Result<Vec<u8>, Error> {
    let Limit { bytes, of } = limit;
    let mut read = Vec::new();
    let file = File::open(path).map_err(|error| Error::unreadable(path, error))?;
    file.take(bytes + 1).read_to_end(&mut read).map_err(|error| Error::unreadable(path, error))?;
    if read.len() as u64 > *bytes {
        let problem = format_args!("it has over {bytes} bytes, the limit of {of}");
        return Err(Error::in_file(path, problem));
    }
    Ok(read)
}

/// The text of a file.
///
/// # Errors
/// As [`bytes`], and bytes that are not UTF-8.
pub(crate) fn text(path: &Path, limit: &Limit) -> Result<String, Error> {
    let bytes = bytes(path, limit)?;
    String::from_utf8(bytes).map_err(|_| Error::in_file(path, "expected text in UTF-8"))
}

/// The folder that files beside a checkpoint are in; a model folder itself.
pub(crate) fn folder_of(checkpoint: &Path) -> &Path {
    match checkpoint.parent() {
        Some(folder) if !checkpoint.is_dir() => folder,
        _ => checkpoint,
    }
}
