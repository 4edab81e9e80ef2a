//! Parses playback paths: links, files and player paths of BBB's web servers, and those of older
//! releases that stored links still name.

use std::borrow::Cow;

use domain::recording::FilePath;
use http::StatusCode;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// Characters that are percent-encoded in a segment of a path.
const ESCAPED_IN_SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// What a target names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PlaybackTarget<'a> {
    /// `/recording/<id>/<format>`: the link that getRecordings gives.
    Link { record_id: &'a str, format: &'a str, query: &'a str },
    /// `/<format>/<id>/…`; the path is `None` if it is invalid.
    File { record_id: &'a str, format: &'a str, path: Option<RelativePath>, query: &'a str },
    /// `/playback/presentation/2.3/…`, a file of the player; `None` if the path is invalid.
    Player(Option<RelativePath>),
    /// A path of an older release.
    Redirect { status: StatusCode, to: String },
}

/// The part of a path that follows the recording or the player.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RelativePath {
    /// `None` for the directory itself.
    pub(super) file: Option<FilePath>,
    /// Whether the path ends with a slash, or is empty.
    pub(super) trailing_slash: bool,
    /// Whether the path is empty, without even a slash.
    pub(super) empty: bool,
}

impl<'a> PlaybackTarget<'a> {
    /// Parses a target; `None` if it is not a playback path. Without `with_player`, a web server in
    /// front answers the paths of the player.
    pub(super) fn parse(target: &'a str, formats: &[String], with_player: bool) -> Option<Self> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut rest = path.trim_start_matches('/');
        let first = next_segment(&mut rest)?;
        match first {
            "recording" => Self::parse_link(rest, query),
            "playback" if with_player => Self::parse_playback(rest, query),
            format if formats.iter().any(|known| known == format) => {
                let record_id = next_segment(&mut rest)?;
                Some(Self::File { record_id, format, path: RelativePath::parse(rest), query })
            }
            _ => None,
        }
    }

    /// Returns the name for the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Link { .. } => "play",
            Self::File { .. } => "watch",
            Self::Player(_) => "player",
            Self::Redirect { .. } => "moved",
        }
    }

    fn parse_link(mut rest: &'a str, query: &'a str) -> Option<Self> {
        let record_id = next_segment(&mut rest)?;
        if record_id == "screenshare" && !rest.is_empty() {
            return Some(Self::temporary_redirect("/screenshare", rest, query));
        }
        let format = next_segment(&mut rest)?;
        rest.trim_matches('/').is_empty().then_some(Self::Link { record_id, format, query })
    }

    /// Parses what follows `/playback/`, by the rules of BBB's nginx.
    fn parse_playback(mut rest: &'a str, query: &'a str) -> Option<Self> {
        match next_segment(&mut rest)? {
            "video" => Some(Self::temporary_redirect("/video", rest, query)),
            "presentation" => {
                let version = next_segment(&mut rest)?;
                if version == "playback.html" && rest.is_empty() {
                    return Some(Self::permanent_redirect(
                        "/playback/presentation/0.81/playback.html",
                        query,
                    ));
                }
                if rest == "/playback.html" {
                    let meeting = query_parameter(query, "meetingId")?;
                    let meeting = utf8_percent_encode(&meeting, ESCAPED_IN_SEGMENT).to_string();
                    let to = format!("/playback/presentation/2.3/{}", meeting.replace('/', "%2F"));
                    return Some(Self::permanent_redirect(&to, query));
                }
                (version == "2.3").then(|| Self::Player(RelativePath::parse(rest)))
            }
            _ => None,
        }
    }

    fn permanent_redirect(to: &str, query: &str) -> Self {
        Self::Redirect { status: StatusCode::MOVED_PERMANENTLY, to: with_query(to, query) }
    }

    /// Redirects `rest` to the same path below `to`.
    fn temporary_redirect(to: &str, rest: &str, query: &str) -> Self {
        let to = with_query(&format!("{to}{rest}"), query);
        Self::Redirect { status: StatusCode::TEMPORARY_REDIRECT, to }
    }
}

impl RelativePath {
    /// Parses the rest of a path; `None` if it is invalid or leaves the directory. Empty segments
    /// are skipped.
    fn parse(rest: &str) -> Option<Self> {
        let (trailing_slash, empty) = (rest.is_empty() || rest.ends_with('/'), rest.is_empty());
        let mut parts: Vec<Cow<'_, str>> = Vec::new();
        for part in rest.split('/').filter(|part| !part.is_empty()) {
            let part = percent_decode_str(part).decode_utf8().ok()?;
            // A percent-encoded slash.
            if part.contains('/') {
                return None;
            }
            parts.push(part);
        }
        let file = if parts.is_empty() { None } else { Some(FilePath::parse(&parts.join("/"))?) };
        Some(Self { file, trailing_slash, empty })
    }

    /// Returns the index page of the directory at this path.
    pub(super) fn index_file(&self) -> Option<FilePath> {
        match &self.file {
            None => FilePath::parse("index.html"),
            Some(directory) => FilePath::parse(&format!("{}/index.html", directory.as_str())),
        }
    }

    /// Returns the path percent-encoded, with a leading slash.
    pub(super) fn to_encoded(&self) -> String {
        let file = self.file.as_ref().map_or("", FilePath::as_str);
        let mut text = String::new();
        for part in file.split('/').filter(|part| !part.is_empty()) {
            text.push('/');
            text.extend(utf8_percent_encode(part, ESCAPED_IN_SEGMENT));
        }
        if self.trailing_slash && !self.empty {
            text.push('/');
        }
        text
    }
}

/// Returns the path of a file as a URL relative to its recording. It begins with a dot if a browser would take what precedes a colon for a
/// scheme, such as `javascript:`.
pub(super) fn relative_url(path: &FilePath) -> String {
    let url = encode(path);
    let first_segment = url.split('/').next().unwrap_or_default();
    if first_segment.contains(':') { format!("./{url}") } else { url }
}

/// Returns the path of a file percent-encoded.
fn encode(path: &FilePath) -> String {
    let parts: Vec<String> = path
        .as_str()
        .split('/')
        .map(|part| utf8_percent_encode(part, ESCAPED_IN_SEGMENT).to_string())
        .collect();
    parts.join("/")
}

/// Removes and returns the first segment; `rest` then begins with a slash or is empty.
fn next_segment<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let text = rest.trim_start_matches('/');
    let end = text.find('/').unwrap_or(text.len());
    let (segment, left) = text.split_at(end);
    *rest = left;
    (!segment.is_empty()).then_some(segment)
}

/// Appends a query to a path.
pub(super) fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// Returns the first parameter of that name that is not empty.
pub(super) fn query_parameter<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse_target(target: &str) -> Option<PlaybackTarget<'_>> {
        let formats = ["presentation", "video", "screenshare"].map(str::to_owned);
        PlaybackTarget::parse(target, &formats, true)
    }

    fn redirect_of(target: &str) -> (u16, String) {
        match parse_target(target) {
            Some(PlaybackTarget::Redirect { status, to }) => (status.as_u16(), to),
            other => panic!("{target}: {other:?}"),
        }
    }

    fn file_of(target: &str) -> Option<String> {
        match parse_target(target) {
            Some(PlaybackTarget::File { path, .. }) => path.map(|path| path.to_encoded()),
            other => panic!("{target}: {other:?}"),
        }
    }

    #[test]
    fn paths_of_older_releases_are_redirected() {
        for (target, status, to) in [
            (
                "/playback/presentation/playback.html?meetingId=a",
                301,
                "/playback/presentation/0.81/playback.html?meetingId=a",
            ),
            (
                "/playback/presentation/2.0/playback.html?meetingId=a-1&t=2",
                301,
                "/playback/presentation/2.3/a-1?meetingId=a-1&t=2",
            ),
            (
                "/playback/presentation/0.81/playback.html?meetingId=a%2f..",
                301,
                "/playback/presentation/2.3/a%2F..?meetingId=a%2f..",
            ),
            ("/playback/video/a/", 307, "/video/a/"),
            ("/playback/video/a/b%20c?x", 307, "/video/a/b%20c?x"),
            ("/recording/screenshare/a/", 307, "/screenshare/a/"),
        ] {
            assert_eq!(redirect_of(target), (status, to.to_owned()), "{target}");
        }
        assert_eq!(parse_target("/playback/presentation/2.0/playback.html"), None);
        assert_eq!(parse_target("/playback/presentation/1.0/x"), None);
        assert_eq!(parse_target("/playback/other"), None);
    }

    #[test]
    fn files_and_links_are_parsed() {
        let link = PlaybackTarget::Link { record_id: "r", format: "video", query: "token=x" };
        assert_eq!(parse_target("/recording/r/video?token=x"), Some(link));
        assert_eq!(parse_target("/recording/r/video/more"), None);
        assert_eq!(parse_target("/recording/r"), None);
        assert_eq!(parse_target("/notes/r/x"), None);
        assert_eq!(parse_target("/video"), None);
        assert_eq!(parse_target("/"), None);
        assert_eq!(file_of("/video/r").as_deref(), Some(""));
        assert_eq!(file_of("/video/r/").as_deref(), Some("/"));
        assert_eq!(file_of("//video//r//a%20b//c%3f.webm?x").as_deref(), Some("/a%20b/c%3F.webm"));
        for invalid in
            ["/video/r/..", "/video/r/%2e%2e/x", "/video/r/a%2fb", "/video/r/%ff", "/video/r/a%00"]
        {
            assert_eq!(file_of(invalid), None, "{invalid}");
        }
        assert!(matches!(
            parse_target("/playback/presentation/2.3/static/a.js"),
            Some(PlaybackTarget::Player(Some(_)))
        ));
        assert_eq!(PlaybackTarget::parse("/playback/presentation/2.3/x", &[], false), None);
    }

    proptest! {
        #[test]
        fn a_parsed_path_stays_within_its_directory_and_parses_again(rest in "(/|\\.|%2e|%2F|%25|a|ü|\\\\){0,12}") {
            if let Some(path) = RelativePath::parse(&format!("/{rest}")) {
                let encoded = path.to_encoded();
                prop_assert!(!encoded.split('/').any(|part| part == ".." || part == "."));
                let again = RelativePath::parse(&encoded).unwrap();
                prop_assert_eq!(again.file, path.file);
            }
        }
    }
}
