//! The listing page of a recording without a page of its own: plays its videos and audio, shows its
//! slides and lists its files. It needs no script and nothing from other hosts.

use app::ports::BlobError;
use askama::Template;
use domain::recording::playback_access::PlaybackPermit;
use domain::recording::{FilePath, FileType};
use http::{HeaderValue, StatusCode, header};

use super::error::{PlaybackError, PlaybackResult};
use super::paths;
use super::service::PlaybackService;
use crate::http::respond;

/// Largest number of files that are listed.
const MAX_LISTED_FILES: usize = 2_000;

const SECURITY_POLICY: &str = "default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'; \
    base-uri 'none'; form-action 'none'; frame-ancestors *";

/// Sends the page; returns `None` if the recording has no files.
pub(super) async fn send_page(
    service: &PlaybackService,
    permit: &PlaybackPermit,
) -> PlaybackResult {
    let files: Result<Vec<(FilePath, u64)>, BlobError> =
        service.playback.list_files(permit, MAX_LISTED_FILES).await;
    let files = files?;
    if files.is_empty() {
        return Ok(None);
    }
    let page = ListingPage::new(permit, &files).render();
    let page = page.map_err(|_| PlaybackError::Internal("rendering the listing page failed"))?;
    let mut response = respond::html(StatusCode::OK, page);
    let headers = response.headers_mut();
    respond::set_security_headers(headers, HeaderValue::from_static(SECURITY_POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(Some(response))
}

#[derive(Template)]
#[template(path = "listing.html")]
struct ListingPage<'a> {
    /// The name of the meeting; the id of the recording if it has none.
    name: &'a str,
    /// What the format is, in words.
    format: String,
    media: Vec<MediaItem<'a>>,
    captions: Vec<CaptionTrack<'a>>,
    /// URLs.
    slides: Vec<String>,
    files: Vec<ListedFile<'a>>,
}

impl<'a> ListingPage<'a> {
    fn new(permit: &'a PlaybackPermit, files: &'a [(FilePath, u64)]) -> Self {
        let paths = || files.iter().map(|(path, _)| path);
        let to_file = |(path, size): &'a (FilePath, u64)| ListedFile {
            url: paths::relative_url(path),
            name: path.as_str(),
            size: format_size(*size),
        };
        Self {
            name: permit
                .name()
                .filter(|name| !name.trim().is_empty())
                .unwrap_or(permit.format_id().record_id.as_str()),
            format: describe_format(permit.format_id().format.as_str()),
            media: MediaItem::group_files(files),
            captions: paths().filter_map(CaptionTrack::from_path).collect(),
            slides: paths().filter(|path| is_slide(path)).map(paths::relative_url).collect(),
            files: files.iter().map(to_file).collect(),
        }
    }
}

/// Returns what a format is, in words.
fn describe_format(format: &str) -> String {
    match format {
        "presentation" => "Presentation".to_owned(),
        "video" => "Video".to_owned(),
        "screenshare" => "Shared screen".to_owned(),
        "podcast" => "Audio".to_owned(),
        "notes" => "Shared notes".to_owned(),
        "capture" => "Video of the room".to_owned(),
        other => with_capital(other),
    }
}

fn with_capital(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(characters).collect()
}

struct ListedFile<'a> {
    url: String,
    name: &'a str,
    size: String,
}

/// A video or an audio recording, in all encodings in which it exists.
struct MediaItem<'a> {
    is_video: bool,
    /// Whether it shows the shared screen, which has no sound.
    is_screen: bool,
    /// Path without the extension.
    stem: &'a str,
    sources: Vec<MediaSource>,
}

struct MediaSource {
    url: String,
    content_type: &'static str,
}

impl<'a> MediaItem<'a> {
    /// Groups the video and audio files: videos first, those without sound last.
    fn group_files(files: &'a [(FilePath, u64)]) -> Vec<Self> {
        let mut items: Vec<Self> = Vec::new();
        for (path, _) in files {
            let file_type = FileType::from_name(path.name());
            let is_video = file_type.is_video();
            if !is_video && !file_type.is_audio() {
                continue;
            }
            let source = MediaSource {
                url: paths::relative_url(path),
                content_type: file_type.content_type,
            };
            let stem = path.as_str().rsplit_once('.').map_or(path.as_str(), |(stem, _)| stem);
            match items.iter_mut().find(|item| item.stem == stem && item.is_video == is_video) {
                Some(item) => item.sources.push(source),
                None => {
                    let name = stem.rsplit('/').next().unwrap_or(stem);
                    let is_screen = name.starts_with("deskshare");
                    items.push(Self { is_video, is_screen, stem, sources: vec![source] });
                }
            }
        }
        items.sort_by_key(|item| (!item.is_video, item.is_screen));
        items
    }

    /// Returns what the item is, in words.
    fn title(&self) -> String {
        let name = self.stem.rsplit('/').next().unwrap_or(self.stem);
        match name {
            "webcams" => "Webcams".to_owned(),
            "deskshare" | "screenshare" => "Shared screen".to_owned(),
            "audio" => "Sound".to_owned(),
            "video" | "video-0" => "Video".to_owned(),
            "capture" => "Video of the room".to_owned(),
            other => with_capital(&other.replace(['_', '-'], " ")),
        }
    }

    /// Returns the name of the HTML element that plays the item.
    fn element(&self) -> &'static str {
        if self.is_video { "video" } else { "audio" }
    }
}

struct CaptionTrack<'a> {
    url: String,
    language: &'a str,
}

impl<'a> CaptionTrack<'a> {
    /// Captions are named `caption_<language>.vtt`.
    fn from_path(path: &'a FilePath) -> Option<Self> {
        let name = path.name().strip_suffix(".vtt")?;
        Some(Self { url: paths::relative_url(path), language: name.trim_start_matches("caption_") })
    }
}

/// Returns whether a file is a slide, `presentation/<id>/slide-1.png`.
fn is_slide(path: &FilePath) -> bool {
    path.name().starts_with("slide-") && FileType::from_name(path.name()).is_image()
}

fn format_size(bytes: u64) -> String {
    match bytes {
        0..=1023 => format!("{bytes} B"),
        1024..=1_048_575 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

#[cfg(test)]
mod tests {
    use domain::recording::RecordingFormatId;
    use domain::recording::catalog::TenantScope;
    use domain::recording::playback_access::PlaybackAccess;
    use domain::recording::{PlaybackFormat, Recording};

    use super::*;

    fn render_listing(names: &[&str]) -> String {
        render_named(names, None)
    }

    fn render_named(names: &[&str], name: Option<&str>) -> String {
        let format = PlaybackFormat { format: "video".to_owned(), ..PlaybackFormat::default() };
        let recording = Recording {
            record_id: "r1".to_owned(),
            name: name.map(str::to_owned),
            published: true,
            formats: vec![format],
            ..Recording::default()
        };
        let format_id = RecordingFormatId::parse("r1", "video").unwrap();
        let permit = PlaybackAccess::evaluate(format_id, Some(&recording), &TenantScope::All, true)
            .authorize(None)
            .unwrap();
        let files: Vec<_> = names.iter().map(|name| (FilePath::parse(name).unwrap(), 5)).collect();
        ListingPage::new(&permit, &files).render().unwrap()
    }

    #[test]
    fn one_player_plays_all_encodings_of_a_video() {
        let page =
            render_listing(&["caption_de.vtt", "video-0.m4v", "video-0.webm", "audio/audio.ogg"]);
        assert_eq!(page.matches("<video").count(), 1);
        assert_eq!(page.matches("<source src=\"video-0.").count(), 2);
        assert!(
            page.contains("<audio")
                && page.contains("<track kind=\"captions\" src=\"caption_de.vtt\"")
        );
        assert!(page.find("<video").unwrap() < page.find("<audio").unwrap());
    }

    #[test]
    fn the_page_speaks_of_the_meeting_in_words() {
        let files = ["deskshare/deskshare.webm", "video/webcams.webm", "audio/audio.ogg"];
        let page = render_named(&files, Some("Algebra <1>"));
        assert!(page.contains("<h1>Algebra &#60;1&#62;</h1>"), "{page}");
        let at = |heading: &str| page.find(&format!("<h2>{heading}</h2>")).unwrap();
        assert!(at("Webcams") < at("Shared screen") && at("Shared screen") < at("Sound"), "{page}");
        assert!(!page.contains("<h2>video/webcams"), "{page}");
        assert!(page.contains("Video</p>") && render_listing(&files).contains("<h1>r1</h1>"));
    }

    #[test]
    fn file_names_are_escaped() {
        let page = render_listing(&["a\"><script>x", "presentation/p/slide-1.png"]);
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("<img src=\"presentation/p/slide-1.png\""));
        let page = render_listing(&["javascript:alert(1)", "a:b/c:d.webm", "e/f:g"]);
        assert!(page.contains("href=\"./javascript:alert(1)\""), "{page}");
        assert!(page.contains("\"./a:b/c:d.webm\"") && page.contains("\"e/f:g\""), "{page}");
    }
}
