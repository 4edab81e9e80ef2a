//! Builds tar archives byte by byte: valid ones as GNU tar writes them, and invalid ones.

const BLOCK: usize = 512;

/// An archive that is being built.
#[derive(Clone, Debug, Default)]
pub struct TarBuilder {
    bytes: Vec<u8>,
}

impl TarBuilder {
    /// An empty archive.
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

    /// Adds a directory.
    #[must_use]
    pub fn dir(self, path: &str) -> Self {
        self.entry(path, b'5', "", 0, b"")
    }

    /// Adds a link. The kind `1` is a hard link, `2` a symbolic link.
    #[must_use]
    pub fn link(self, kind: u8, path: &str, target: &str) -> Self {
        self.entry(path, kind, target, 0, b"")
    }

    /// Adds an entry of any kind. The size in its header may differ from that of the content.
    #[must_use]
    pub fn entry(mut self, path: &str, kind: u8, target: &str, size: u64, content: &[u8]) -> Self {
        let header_path = if path.len() > 100 {
            self.push(
                "././@LongLink",
                b'L',
                "",
                path.len() as u64 + 1,
                &[path.as_bytes(), &[0]].concat(),
            );
            &path[..path.floor_char_boundary(100)]
        } else {
            path
        };
        self.push(header_path, kind, target, size, content);
        self
    }

    /// Adds an extended header (pax) for the next entry.
    #[must_use]
    pub fn pax(mut self, records: &[(&str, &str)]) -> Self {
        let record = |(key, value): &(&str, &str)| {
            let rest = format!(" {key}={value}\n");
            let mut length = rest.len() + 1;
            while length != rest.len() + length.to_string().len() {
                length = rest.len() + length.to_string().len();
            }
            format!("{length}{rest}")
        };
        let text: String = records.iter().map(record).collect();
        self.push("PaxHeaders/x", b'x', "", text.len() as u64, text.as_bytes());
        self
    }

    fn push(&mut self, path: &str, kind: u8, target: &str, size: u64, content: &[u8]) {
        let mut header = [0; BLOCK];
        let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
        put(0, path.as_bytes());
        put(100, b"0004755\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        if size < 0o100_000_000_000 {
            put(124, format!("{size:011o}\0").as_bytes());
        } else {
            put(124, &[&[0x80, 0, 0, 0][..], &size.to_be_bytes()].concat());
        }
        put(136, b"14622360300\0");
        put(148, b"        ");
        put(156, &[kind]);
        put(157, target.as_bytes());
        put(257, b"ustar  \0");
        let sum: u32 = header.iter().copied().map(u32::from).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.bytes.extend(header);
        self.bytes.extend(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
    }

    /// The archive without the blocks that end it.
    #[must_use]
    pub fn into_unfinished_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The complete archive, padded to a multiple of 20 blocks.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        let length = (self.bytes.len() + 2 * BLOCK).next_multiple_of(20 * BLOCK);
        self.bytes.resize(length, 0);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn gnu_tar_reads_it() {
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
