//! From a path to what it means: the links, files and player paths of BBB's web servers, and those of their older
//! releases that stored links still name.

use std::borrow::Cow;

use domain::recording::FilePath;
use http::StatusCode;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What does not stand in a segment of a path as it is.
const SEGMENT: &AsciiSet = &CONTROLS
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

/// Where a target leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// `/recording/<id>/<format>`: the link that getRecordings gives.
    Link { record_id: &'a str, format: &'a str, query: &'a str },
    /// `/<format>/<id>/…`; no path if it is one that cannot be.
    File { record_id: &'a str, format: &'a str, path: Option<Path>, query: &'a str },
    /// A file of the player.
    Player(Option<Path>),
    /// Elsewhere.
    Moved { status: StatusCode, to: String },
}

/// The part of a path behind a recording or the player.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// Without it, the directory itself is meant.
    pub(super) file: Option<FilePath>,
    /// Whether it ends with a slash, or is empty.
    pub(super) slash: bool,
    /// Whether there is nothing at all, not even a slash.
    pub(super) bare: bool,
}

impl<'a> Place<'a> {
    /// Reads a target; `None` if it is not about recordings. `with_player` is whether the player's paths are ours.
    pub(super) fn of(target: &'a str, formats: &[String], with_player: bool) -> Option<Self> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut rest = path.trim_start_matches('/');
        let first = next(&mut rest)?;
        match first {
            "recording" => Self::link(rest, query),
            "playback" if with_player => Self::playback(rest, query),
            format if formats.iter().any(|known| known == format) => {
                let record_id = next(&mut rest)?;
                Some(Self::File { record_id, format, path: Path::read(rest), query })
            }
            _ => None,
        }
    }

    /// What the log calls it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Link { .. } => "play",
            Self::File { .. } => "watch",
            Self::Player(_) => "player",
            Self::Moved { .. } => "moved",
        }
    }

    fn link(mut rest: &'a str, query: &'a str) -> Option<Self> {
        let record_id = next(&mut rest)?;
        if record_id == "screenshare" && !rest.is_empty() {
            return Some(Self::temporarily("/screenshare", rest, query));
        }
        let format = next(&mut rest)?;
        rest.trim_matches('/').is_empty().then_some(Self::Link { record_id, format, query })
    }

    /// What BBB's nginx does below `/playback`.
    fn playback(mut rest: &'a str, query: &'a str) -> Option<Self> {
        match next(&mut rest)? {
            "video" => Some(Self::temporarily("/video", rest, query)),
            "presentation" => {
                let version = next(&mut rest)?;
                if version == "playback.html" && rest.is_empty() {
                    return Some(Self::moved("/playback/presentation/0.81/playback.html", query));
                }
                if rest == "/playback.html" {
                    let meeting = parameter(query, "meetingId")?;
                    let meeting = utf8_percent_encode(&meeting, SEGMENT).to_string();
                    let to = format!("/playback/presentation/2.3/{}", meeting.replace('/', "%2F"));
                    return Some(Self::moved(&to, query));
                }
                (version == "2.3").then(|| Self::Player(Path::read(rest)))
            }
            _ => None,
        }
    }

    fn moved(to: &str, query: &str) -> Self {
        Self::Moved { status: StatusCode::MOVED_PERMANENTLY, to: with_query(to, query) }
    }

    /// The same path elsewhere, for now.
    fn temporarily(to: &str, rest: &str, query: &str) -> Self {
        let to = with_query(&format!("{to}{rest}"), query);
        Self::Moved { status: StatusCode::TEMPORARY_REDIRECT, to }
    }
}

impl Path {
    /// Reads what is left of a path; `None` if it leads elsewhere or is none. Empty segments count for nothing.
    fn read(rest: &str) -> Option<Self> {
        let (slash, bare) = (rest.is_empty() || rest.ends_with('/'), rest.is_empty());
        let mut parts: Vec<Cow<'_, str>> = Vec::new();
        for part in rest.split('/').filter(|part| !part.is_empty()) {
            let part = percent_decode_str(part).decode_utf8().ok()?;
            // A slash that was spelled otherwise is part of no name.
            if part.contains('/') {
                return None;
            }
            parts.push(part);
        }
        if parts.is_empty() {
            return Some(Self { file: None, slash, bare });
        }
        Some(Self { file: Some(FilePath::parse(&parts.join("/"))?), slash, bare })
    }

    /// The file that is meant if this is a directory.
    pub(super) fn index(&self) -> Option<FilePath> {
        match &self.file {
            None => FilePath::parse("index.html"),
            Some(directory) => FilePath::parse(&format!("{}/index.html", directory.as_str())),
        }
    }

    /// As it stands in a URL, with what separates it from what is before it.
    pub(super) fn encoded(&self) -> String {
        let file = self.file.as_ref().map_or("", FilePath::as_str);
        let mut text = String::new();
        for part in file.split('/').filter(|part| !part.is_empty()) {
            text.push('/');
            text.extend(utf8_percent_encode(part, SEGMENT));
        }
        if self.slash && !self.bare {
            text.push('/');
        }
        text
    }
}

/// A file's path as it stands in a URL.
pub(super) fn encode(path: &FilePath) -> String {
    let parts: Vec<String> = path
        .as_str()
        .split('/')
        .map(|part| utf8_percent_encode(part, SEGMENT).to_string())
        .collect();
    parts.join("/")
}

/// The next segment; what is left begins with a slash or is empty.
fn next<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let text = rest.trim_start_matches('/');
    let end = text.find('/').unwrap_or(text.len());
    let (segment, left) = text.split_at(end);
    *rest = left;
    (!segment.is_empty()).then_some(segment)
}

/// A target with its query.
pub(super) fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// The first parameter of that name that says anything.
pub(super) fn parameter<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(target: &str) -> Option<Place<'_>> {
        let formats = ["presentation", "video", "screenshare"].map(str::to_owned);
        Place::of(target, &formats, true)
    }

    fn moved(target: &str) -> (u16, String) {
        match place(target) {
            Some(Place::Moved { status, to }) => (status.as_u16(), to),
            other => panic!("{target}: {other:?}"),
        }
    }

    fn file(target: &str) -> Option<String> {
        match place(target) {
            Some(Place::File { path, .. }) => path.map(|path| path.encoded()),
            other => panic!("{target}: {other:?}"),
        }
    }

    #[test]
    fn links_of_older_releases_lead_on() {
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
            assert_eq!(moved(target), (status, to.to_owned()), "{target}");
        }
        assert_eq!(place("/playback/presentation/2.0/playback.html"), None);
        assert_eq!(place("/playback/presentation/1.0/x"), None);
        assert_eq!(place("/playback/other"), None);
    }

    #[test]
    fn files_and_links() {
        let link = Place::Link { record_id: "r", format: "video", query: "token=x" };
        assert_eq!(place("/recording/r/video?token=x"), Some(link));
        assert_eq!(place("/recording/r/video/more"), None);
        assert_eq!(place("/recording/r"), None);
        assert_eq!(place("/notes/r/x"), None);
        assert_eq!(place("/video"), None);
        assert_eq!(place("/"), None);
        assert_eq!(file("/video/r").as_deref(), Some(""));
        assert_eq!(file("/video/r/").as_deref(), Some("/"));
        assert_eq!(file("//video//r//a%20b//c%3f.webm?x").as_deref(), Some("/a%20b/c%3F.webm"));
        for elsewhere in
            ["/video/r/..", "/video/r/%2e%2e/x", "/video/r/a%2fb", "/video/r/%ff", "/video/r/a%00"]
        {
            assert_eq!(file(elsewhere), None, "{elsewhere}");
        }
        assert!(matches!(
            place("/playback/presentation/2.3/static/a.js"),
            Some(Place::Player(Some(_)))
        ));
        assert_eq!(Place::of("/playback/presentation/2.3/x", &[], false), None);
    }

    proptest! {
        #[test]
        fn what_is_read_stays_within_and_is_read_again(rest in "(/|\\.|%2e|%2F|%25|a|ü|\\\\){0,12}") {
            if let Some(path) = Path::read(&format!("/{rest}")) {
                let encoded = path.encoded();
                prop_assert!(!encoded.split('/').any(|part| part == ".." || part == "."));
                let again = Path::read(&encoded).unwrap();
                prop_assert_eq!(again.file, path.file);
            }
        }
    }
}
