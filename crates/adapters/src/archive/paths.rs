//! Paths in archives: `<format>/<record_id>/…`, possibly below BBB's directory of published recordings.

use app::ports::RecordingFormatId;
use domain::recording::{FormatName, RecordId};

/// Directories below which people archive recordings. None of them is a format.
const PREFIXES: [&[&str]; 6] = [
    &["var", "bigbluebutton", "published"],
    &["var", "bigbluebutton", "unpublished"],
    &["bigbluebutton", "published"],
    &["bigbluebutton", "unpublished"],
    &["published"],
    &["unpublished"],
];

/// What a path in an archive belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PathPlace<'a> {
    /// A directory above the recordings, such as `var/bigbluebutton`.
    Above,
    /// A format, with the parts of the path below its directory.
    Format(RecordingFormatId, Vec<&'a str>),
}

/// Finds the format that a path belongs to.
///
/// # Errors
/// A description of what is wrong with the path.
pub(super) fn locate(path: &str) -> Result<PathPlace<'_>, &'static str> {
    let parts = split_path(path).ok_or("not a valid path")?;
    if PREFIXES.iter().any(|prefix| prefix.starts_with(&parts)) {
        return Ok(PathPlace::Above);
    }
    let below = PREFIXES.iter().find_map(|prefix| parts.strip_prefix(*prefix));
    let [format, record_id, path_in_format @ ..] = below.unwrap_or(&parts) else {
        return Ok(PathPlace::Above);
    };
    let names = FormatName::parse(format).zip(RecordId::parse(record_id));
    let (format, record_id) = names.ok_or("does not begin with a format and a record id")?;
    let format_id = RecordingFormatId { format, record_id };
    Ok(PathPlace::Format(format_id, path_in_format.to_vec()))
}

/// Splits a path into its components. Returns `None` if it may lead out of the target directory.
fn split_path(path: &str) -> Option<Vec<&str>> {
    if path.is_empty() || path.starts_with('/') || path.contains('\0') {
        return None;
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    let parts: Vec<&str> = path.split('/').skip_while(|part| *part == ".").collect();
    (!parts.iter().any(|part| matches!(*part, "" | "." | ".."))).then_some(parts)
}

/// Returns a path for use in messages: at most 120 characters, with special characters escaped.
pub(super) fn escape_path(path: &str) -> String {
    let short: String = path.chars().take(120).collect();
    short.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_found_below_the_directories_of_bbb() {
        let id = RecordingFormatId::parse("r1", "video").unwrap();
        let place = || Ok(PathPlace::Format(id.clone(), vec!["a", "b"]));
        for prefix in ["", "./", "published/", "./var/bigbluebutton/published/", "unpublished/"] {
            assert_eq!(locate(&format!("{prefix}video/r1/a/b")), place(), "{prefix}");
        }
        for above in ["./", "video/", "var/", "var/bigbluebutton/", "published/", "published/video"]
        {
            assert_eq!(locate(above), Ok(PathPlace::Above), "{above}");
        }
        for wrong in ["/video/r1/a", "published/../video/r1/a", "var/x y/r1/a"] {
            assert!(locate(wrong).is_err(), "{wrong}");
        }
    }
}
