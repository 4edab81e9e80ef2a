//! Names that become paths: whoever holds one holds something that stays within its directory.

use std::fmt;

/// Longest id of a recording, in bytes. BBB's have 54.
const MAX_RECORD_ID_BYTES: usize = 128;
/// Longest name of a playback format, in bytes.
const MAX_FORMAT_BYTES: usize = 32;

/// The id of a recording, as it may stand in paths. BBB makes 40 hexadecimal digits, a dash and 13
/// digits; others are taken as well as long as they are ASCII letters, digits, `-`, `_` and `.`, and begin
/// with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId(String);

impl RecordId {
    /// Takes a text that is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let usable = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        is_valid_name(text, MAX_RECORD_ID_BYTES, usable).then(|| Self(text.to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a playback format: `presentation`, `video`, `notes`…; lower-case letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FormatName(String);

impl FormatName {
    /// Takes a text that is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let usable =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        is_valid_name(text, MAX_FORMAT_BYTES, usable).then(|| Self(text.to_owned()))
    }

    /// As text.
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

/// One playback format of one recording: the unit in which files are stored, moved and removed, and for
/// which access is granted. Ids are ordered by format, then by recording.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordingFormatId {
    // The order of the fields is the order of the ids.
    /// The playback format.
    pub format: FormatName,
    /// The recording.
    pub record_id: RecordId,
}

impl RecordingFormatId {
    /// Parses both names; `None` if one of them is invalid. No files can exist under an invalid name.
    #[must_use]
    pub fn parse(record_id: &str, format: &str) -> Option<Self> {
        Some(Self { format: FormatName::parse(format)?, record_id: RecordId::parse(record_id)? })
    }

    /// Returns the path below which the files are served, `/<format>/<record id>`. It is also the subject
    /// (`sub`) of access cookies.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("/{}/{}", self.format, self.record_id)
    }
}

fn is_valid_name(text: &str, length_max: usize, usable: impl Fn(u8) -> bool) -> bool {
    let begins_well = text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    begins_well && text.len() <= length_max && text.bytes().all(usable)
}

/// A file within a playback format of a recording: relative, each part a plain name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilePath(String);

impl FilePath {
    /// Takes a path whose parts are separated by single slashes. No part is empty, `.` or `..`, is longer than
    /// 255 bytes, or has a control character or a backslash.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |part: &str| {
            let strange = |c: char| c.is_control() || c == '\\';
            !matches!(part, "" | "." | "..") && part.len() <= 255 && !part.contains(strange)
        };
        (text.len() <= 4096 && text.split('/').all(is_plain)).then(|| Self(text.to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its last part.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_directory_are_refused() {
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
    fn usual_names_are_taken() {
        let id = "5d2f0c9a4be17c33a1f0b6de0d92cf5a7b1e8c44-1760000000111";
        assert_eq!(RecordId::parse(id).unwrap().as_str(), id);
        assert!(FormatName::parse("presentation").is_some());
        let path = FilePath::parse("presentation/p 1/thumbnails/Übung..png").unwrap();
        assert_eq!(path.name(), "Übung..png");
    }
}
