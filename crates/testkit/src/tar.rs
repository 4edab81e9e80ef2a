//! Makes tar archives for tests with the crate `tar`: valid archives, and hostile ones with paths, kinds and sizes that
//! the crate's own checks would refuse.

use ::tar::{Builder, EntryType, Header};

/// GNU tar fills an archive up to a multiple of 20 blocks of 512 bytes.
const RECORD_BYTES: usize = 20 * 512;
/// Longest name that fits into a header, in bytes.
const MAX_NAME_BYTES: usize = 100;
/// Set-uid and executable, so that tests notice if the permissions in an archive are applied.
const MODE: u32 = 0o4755;

/// An archive that is built in memory. Paths and link targets are written as given.
pub struct TarBuilder {
    builder: Builder<Vec<u8>>,
}

impl Default for TarBuilder {
    fn default() -> Self {
        Self { builder: Builder::new(Vec::new()) }
    }
}

impl TarBuilder {
    /// Creates an empty archive.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a regular file.
    #[must_use]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        self.entry(path, b'0', "", content.len() as u64, content)
    }

    /// Adds a regular file whose path, of at most 100 bytes, need not be UTF-8.
    #[must_use]
    #[expect(clippy::expect_used, reason = "writing into memory does not fail")]
    pub fn raw_file(mut self, path: &[u8], content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path);
        header.set_entry_type(EntryType::Regular);
        header.set_mode(MODE);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.builder.append(&header, content).expect("written into memory");
        self
    }

    /// Adds a directory.
    #[must_use]
    pub fn dir(self, path: &str) -> Self {
        self.entry(path, b'5', "", 0, b"")
    }

    /// Adds a link: kind `1` is a hard link, kind `2` a symbolic link.
    #[must_use]
    pub fn link(self, kind: u8, path: &str, target: &str) -> Self {
        self.entry(path, kind, target, 0, b"")
    }

    /// Adds an entry of any kind. `size` is what its header says, which may differ from the length of the content.
    #[must_use]
    pub fn entry(mut self, path: &str, kind: u8, target: &str, size: u64, content: &[u8]) -> Self {
        let name = if path.len() > MAX_NAME_BYTES {
            let long_name = [path.as_bytes(), &[0]].concat();
            self.append("././@LongLink", b'L', "", long_name.len() as u64, &long_name);
            &path[..path.floor_char_boundary(MAX_NAME_BYTES)]
        } else {
            path
        };
        self.append(name, kind, target, size, content);
        self
    }

    /// Adds an extended header for the next entry.
    #[must_use]
    #[expect(clippy::expect_used, reason = "writing into memory does not fail")]
    pub fn pax(mut self, records: &[(&str, &str)]) -> Self {
        let records = records.iter().map(|(key, value)| (*key, value.as_bytes()));
        self.builder.append_pax_extensions(records).expect("written into memory");
        self
    }

    #[expect(clippy::expect_used, reason = "writing into memory does not fail")]
    fn append(&mut self, name: &str, kind: u8, target: &str, size: u64, content: &[u8]) {
        let mut header = Header::new_gnu();
        // `set_path` and `set_link_name` refuse absolute paths and `..`.
        let target = if target.len() > MAX_NAME_BYTES {
            let long_target = [target.as_bytes(), &[0]].concat();
            self.append("././@LongLink", b'K', "", long_target.len() as u64, &long_target);
            &target[..target.floor_char_boundary(MAX_NAME_BYTES)]
        } else {
            target
        };
        let fields = header.as_old_mut();
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        fields.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(EntryType::new(kind));
        header.set_mode(MODE);
        header.set_size(size);
        header.set_cksum();
        self.builder.append(&header, content).expect("written into memory");
    }

    /// Returns the archive without the two empty blocks that end it.
    #[must_use]
    pub fn into_unfinished_bytes(self) -> Vec<u8> {
        self.builder.get_ref().clone()
    }

    /// Returns the complete archive.
    #[must_use]
    #[expect(clippy::expect_used, reason = "writing into memory does not fail")]
    pub fn into_bytes(self) -> Vec<u8> {
        let mut bytes = self.builder.into_inner().expect("written into memory");
        bytes.resize(bytes.len().next_multiple_of(RECORD_BYTES), 0);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn gnu_tar_lists_the_archive() {
        let long = format!("{}/b", "a".repeat(120));
        let tar = TarBuilder::new().dir("d/").file("d/f", "x").file(&long, "y").into_bytes();
        let mut child = Command::new("tar")
            .arg("-tf-")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&tar).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("d/\nd/f\n{long}\n"));
        assert!(output.status.success());
    }
}
