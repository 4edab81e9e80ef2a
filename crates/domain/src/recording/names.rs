//! Validated names that become parts of paths. A value of these types cannot lead out of its
//! directory.

use std::fmt;

/// Maximum length of a recording id, in bytes. Those of BBB have 54.
const MAX_RECORD_ID_BYTES: usize = 128;
/// Maximum length of the name of a playback format, in bytes.
const MAX_FORMAT_BYTES: usize = 32;

/// The id of a recording. BBB generates 40 hexadecimal digits, a hyphen and 13 digits. Other ids
/// are accepted if they consist of ASCII letters, digits, `-`, `_` and `.`, and begin with a letter
/// or digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId(String);

impl RecordId {
    /// Parses a recording id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        is_valid_name(text, MAX_RECORD_ID_BYTES, is_allowed).then(|| Self(text.to_owned()))
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the id is one that BBB generates.
    #[must_use]
    pub fn is_made_by_bbb(&self) -> bool {
        self.0.split_once('-').is_some_and(|(hash, time)| {
            hash.len() == 40
                && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
                && time.len() == 13
                && time.bytes().all(|byte| byte.is_ascii_digit())
        })
    }
}

/// The name of a playback format: `presentation`, `video`, `notes`… It consists of lower-case ASCII
/// letters, digits, `-` and `_`, and begins with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FormatName(String);

impl FormatName {
    /// Parses the name of a playback format.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        is_valid_name(text, MAX_FORMAT_BYTES, is_allowed).then(|| Self(text.to_owned()))
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for FormatName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_valid_name(text: &str, max_length: usize, is_allowed: impl Fn(u8) -> bool) -> bool {
    let has_valid_start = text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    has_valid_start && text.len() <= max_length && text.bytes().all(is_allowed)
}

/// Identifies one playback format of one recording. Its files are moved and removed together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordingFormatId {
    /// The format.
    pub format: FormatName,
    /// The recording.
    pub record_id: RecordId,
}

impl RecordingFormatId {
    /// Parses the id of a recording and the name of a format.
    #[must_use]
    pub fn parse(record_id: &str, format: &str) -> Option<Self> {
        Some(Self { format: FormatName::parse(format)?, record_id: RecordId::parse(record_id)? })
    }

    /// Returns the subject (claim `sub`) of access tokens for this format: `/FORMAT/RECORD_ID`, the
    /// path of its files.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("/{}/{}", self.format, self.record_id)
    }
}

/// The path of a file of a playback format, relative to the directory of the format.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilePath(String);

impl FilePath {
    /// Parses a path of at most 4096 bytes whose parts are separated by single slashes. No part may
    /// be empty, `.` or `..`, be longer than 255 bytes, or contain a control character or a
    /// backslash.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_valid_part = |part: &str| {
            let is_refused = |c: char| c.is_control() || c == '\\';
            !matches!(part, "" | "." | "..") && part.len() <= 255 && !part.contains(is_refused)
        };
        (text.len() <= 4096 && text.split('/').all(is_valid_part)).then(|| Self(text.to_owned()))
    }

    /// Returns the path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the last part of the path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_out_of_the_directory_are_refused() {
        for text in ["", ".", "..", "../a", "a/b", "-a", ".a", "a b", "a\0", "ä", "a\\b"] {
            assert_eq!(RecordId::parse(text), None, "{text:?}");
            assert_eq!(FormatName::parse(text), None, "{text:?}");
        }
        for text in ["", "/a", "a/", "a//b", "./a", "a/..", "a/../b", "a\\b", "a\nb"] {
            assert_eq!(FilePath::parse(text), None, "{text:?}");
        }
        assert_eq!(FormatName::parse("Video"), None);
        assert_eq!(RecordId::parse(&"a".repeat(129)), None);
        assert_eq!(RecordingFormatId::parse("..", "video"), None);
        assert_eq!(RecordingFormatId::parse("r1", "../x"), None);
    }

    #[test]
    fn usual_names_are_accepted() {
        let id = "5d2f0c9a4be17c33a1f0b6de0d92cf5a7b1e8c44-1760000000111";
        assert_eq!(RecordId::parse(id).unwrap().as_str(), id);
        assert!(FormatName::parse("presentation").is_some());
        let path = FilePath::parse("presentation/p 1/thumbnails/Übung..png").unwrap();
        assert_eq!(path.name(), "Übung..png");
    }
}
