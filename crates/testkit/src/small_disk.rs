//! Small file systems that a test may fill to the last byte.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system, mounted at a path. It is unmounted when this is dropped.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts a file system of this size. Returns `None`, and prints a note, if the process may not
    /// mount file systems.
    ///
    /// # Errors
    /// When the directory cannot be created.
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

    /// Fills the file system.
    ///
    /// # Errors
    /// When no file can be created.
    pub fn fill(&self) -> io::Result<()> {
        let mut file = File::create(self.filler_path())?;
        for size in [65_536, 4_096, 1] {
            while file.write(&vec![0; size]).is_ok_and(|written| written == size) {}
        }
        Ok(())
    }

    /// Removes what [`SmallDisk::fill`] has written.
    ///
    /// # Errors
    /// When the file system was not filled.
    pub fn free_space(&self) -> io::Result<()> {
        std::fs::remove_file(self.filler_path())
    }

    fn filler_path(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A lazy unmount works while a process still uses the file system.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
