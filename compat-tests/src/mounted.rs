//! File systems of their own, in image files that are mounted.

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A mounted file system; unmounted and gone when dropped.
#[derive(Debug)]
pub struct Mounted {
    folder: TempDir,
}

impl Mounted {
    /// A new file system of a kind and size; the error says why there cannot be one here.
    ///
    /// # Errors
    /// Whoever runs the test may not mount, or the kernel or the tools do not know the kind.
    ///
    /// # Panics
    /// If no temporary folder can be made.
    pub fn new(kind: &str, mebibytes: u64) -> Result<Mounted, String> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mounted = Mounted { folder };
        std::fs::create_dir(mounted.path()).expect("a folder can be made");
        if kind == "tmpfs" {
            let size = format!("size={mebibytes}m");
            run(Command::new("mount").args(["-t", kind, "-o", &size, kind]).arg(mounted.path()))?;
            return Ok(mounted);
        }
        let image = mounted.folder.path().join("image");
        let made = std::fs::File::create(&image).and_then(|file| file.set_len(mebibytes << 20));
        made.map_err(|error| error.to_string())?;
        run(Command::new(format!("mkfs.{kind}")).arg("-q").arg(&image))?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(mounted.path()))?;
        Ok(mounted)
    }

    /// Where it is mounted.
    pub fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("mounted")
    }

    /// The bytes that are free on it, once all that was written is on the disk.
    ///
    /// # Panics
    /// If the system does not say.
    pub fn free(&self) -> u64 {
        free(&self.path()).expect("a mounted file system says how much is free")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Also while a test fails; what is not mounted cannot be unmounted, which is as well.
        let _ = run(Command::new("umount").arg(self.path()));
    }
}

fn free(path: &Path) -> Option<u64> {
    Command::new("sync").arg("-f").arg(path).status().ok()?;
    let output = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(path).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (blocks, size) = text.trim().split_once(' ')?;
    blocks.parse::<u64>().ok()?.checked_mul(size.parse().ok()?)
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
    output.status.success().then_some(()).ok_or_else(|| format!("{name}: {said}"))
}
