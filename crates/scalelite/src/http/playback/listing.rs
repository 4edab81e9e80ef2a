//! The listing page of a recording without a page of its own: plays its videos and audio, shows its
//! slides and lists its files. It needs no script and nothing from other hosts.

use app::ports::BlobError;
use bbb::response::escape_xml;
use domain::recording::playback_access::PlaybackPermit;
use domain::recording::{FilePath, FileType};
use http::{HeaderValue, StatusCode, header};

use super::error::PlaybackResult;
use super::paths;
use super::service::PlaybackService;
use crate::http::respond;

/// Largest number of files that are listed.
const MAX_LISTED_FILES: usize = 2_000;

const SECURITY_POLICY: &str = "default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'; \
    base-uri 'none'; form-action 'none'; frame-ancestors *";

const STYLE: &str = "body{font-family:system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
    line-height:1.5;color:#222;background:#fff}video,audio{width:100%;margin:.5rem 0}ul{padding-left:1.2rem}\
    img{max-width:15rem;height:auto;margin:.25rem;border:1px solid #ccc}li span{color:#666}\
    @media(prefers-color-scheme:dark){body{color:#ddd;background:#111}a{color:#8cf}}";

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
    let mut response = respond::html(StatusCode::OK, render_page(permit, &files));
    let headers = response.headers_mut();
    respond::set_security_headers(headers, SECURITY_POLICY);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(Some(response))
}

fn render_page(permit: &PlaybackPermit, files: &[(FilePath, u64)]) -> String {
    let (format, record_id) = (&permit.format_id().format, &permit.format_id().record_id);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>{format}: {record_id}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>Recording ({format})</h1>\n"
    );
    let media = MediaItem::group_files(files);
    for medium in &media {
        page.push_str(&medium.to_html(files));
    }
    let slides: Vec<&FilePath> = files.iter().map(|(path, _)| path).filter(is_slide).collect();
    if !slides.is_empty() {
        page.push_str("<h2>Slides</h2>\n<p>\n");
        for slide in slides {
            let at = escape_xml(&paths::encode(slide));
            page.push_str(&format!(
                "<a href=\"{at}\"><img src=\"{at}\" loading=\"lazy\" alt=\"\"></a>\n"
            ));
        }
        page.push_str("</p>\n");
    }
    page.push_str("<h2>Files</h2>\n<ul>\n");
    for (path, size) in files {
        let (at, name) = (escape_xml(&paths::encode(path)), escape_xml(path.as_str()));
        page.push_str(&format!(
            "<li><a href=\"{at}\">{name}</a> <span>{}</span></li>\n",
            format_size(*size)
        ));
    }
    page.push_str("</ul>\n</body>\n</html>\n");
    page
}

/// Something to watch or listen to, in all the spellings that there are.
struct MediaItem<'a> {
    is_video: bool,
    /// Path without what names the spelling.
    stem: &'a str,
    sources: Vec<&'a FilePath>,
}

impl<'a> MediaItem<'a> {
    fn group_files(files: &'a [(FilePath, u64)]) -> Vec<Self> {
        let mut media: Vec<Self> = Vec::new();
        for (path, _) in files {
            let kind = FileType::from_name(path.name());
            let is_video = kind.is_video();
            if !is_video && !kind.is_audio() {
                continue;
            }
            let stem = path.as_str().rsplit_once('.').map_or(path.as_str(), |(stem, _)| stem);
            match media.iter_mut().find(|medium| medium.stem == stem && medium.is_video == is_video)
            {
                Some(medium) => medium.sources.push(path),
                None => media.push(Self { is_video, stem, sources: vec![path] }),
            }
        }
        // What shows most comes first.
        media.sort_by_key(|medium| !medium.is_video);
        media
    }

    fn to_html(&self, files: &[(FilePath, u64)]) -> String {
        let element = if self.is_video { "video" } else { "audio" };
        let mut html = format!(
            "<h2>{}</h2>\n<{element} controls preload=\"metadata\">\n",
            escape_xml(self.stem)
        );
        for source in &self.sources {
            let kind = FileType::from_name(source.name()).content_type;
            let at = escape_xml(&paths::encode(source));
            html.push_str(&format!("<source src=\"{at}\" type=\"{kind}\">\n"));
        }
        if self.is_video {
            let captions = files.iter().map(|(path, _)| path);
            for captions in captions.filter(|path| path.as_str().ends_with(".vtt")) {
                let name = captions.name().trim_start_matches("caption_").trim_end_matches(".vtt");
                let (at, name) = (escape_xml(&paths::encode(captions)), escape_xml(name));
                html.push_str(&format!(
                    "<track kind=\"captions\" src=\"{at}\" srclang=\"{name}\" label=\"{name}\">\n"
                ));
            }
        }
        html.push_str(&format!("</{element}>\n"));
        html
    }
}

/// `presentation/<id>/slide-1.png`.
fn is_slide(path: &&FilePath) -> bool {
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
    use domain::recording::catalog::TenantScope;
    use domain::recording::playback_access::{PlaybackAccess, Wish};
    use domain::recording::{PlaybackFormat, Recording};

    use super::*;

    fn render_listing(names: &[&str]) -> String {
        let format = PlaybackFormat { format: "video".to_owned(), ..PlaybackFormat::default() };
        let recording = Recording {
            record_id: "r1".to_owned(),
            published: true,
            formats: vec![format],
            ..Recording::default()
        };
        let wish = Wish::parse("r1", "video").unwrap();
        let permit = PlaybackAccess::evaluate(wish, Some(&recording), &TenantScope::All, true)
            .authorize(None)
            .unwrap();
        let files: Vec<_> = names.iter().map(|name| (FilePath::parse(name).unwrap(), 5)).collect();
        render_page(&permit, &files)
    }

    #[test]
    fn one_player_with_all_spellings() {
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
    fn names_are_text() {
        let page = render_listing(&["a\"><script>x", "presentation/p/slide-1.png"]);
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("<img src=\"presentation/p/slide-1.png\""));
    }
}
