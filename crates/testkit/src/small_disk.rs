//! A small file system of a test's own, to be filled to the last byte.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// It is gone when this is dropped.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// One of so many MiB. None, which it says, where we may not mount.
    ///
    /// # Errors
    /// When there can be no directory to mount it on.
    pub fn mount(path: &Path, size_mib: u32) -> io::Result<Option<Self>> {
        std::fs::create_dir_all(path)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size_mib}m"), "scalelite-test"]);
        if !mount.arg(path).output().is_ok_and(|output| output.status.success()) {
            println!("skipped: mounting a small file system takes root");
            return Ok(None);
        }
        Ok(Some(Self(path.to_owned())))
    }

    /// Leaves room for nothing.
    ///
    /// # Errors
    /// When nothing can be written at all.
    pub fn fill(&self) -> io::Result<()> {
        let mut file = File::create(self.filler_path())?;
        for size in [65_536, 4_096, 1] {
            while file.write(&vec![0; size]).is_ok_and(|written| written == size) {}
        }
        Ok(())
    }

    /// Leaves room again.
    ///
    /// # Errors
    /// When it was not filled.
    pub fn free_space(&self) -> io::Result<()> {
        std::fs::remove_file(self.filler_path())
    }

    fn filler_path(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, since the product may still be on its way out.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
