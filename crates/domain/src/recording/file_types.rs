//! Content types of the files of recordings and of the player, determined by their names. The types
//! come from the crate `mime_guess`, apart from a list of exceptions.

/// The type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileType {
    /// The content type, without parameters.
    pub content_type: &'static str,
    /// Whether it is a text format: encoded in UTF-8 and worth compressing.
    pub is_text: bool,
}

const HTML: FileType = FileType { content_type: "text/html", is_text: true };
const UNKNOWN: FileType = FileType { content_type: "application/octet-stream", is_text: false };

/// Extensions whose content type is missing in `mime_guess`, outdated, or not the one that browsers
/// expect for BBB's files.
const EXCEPTIONS: [(&str, &str); 7] = [
    ("etherpad", "application/json"),
    ("m4a", "audio/mp4"),
    ("m4v", "video/mp4"),
    ("map", "application/json"),
    ("mjs", "text/javascript"),
    ("woff", "font/woff"),
    ("xml", "application/xml"),
];

/// Content types of text formats, besides `text/*` and those that end in `+xml` or `+json`.
const TEXT_TYPES: [&str; 3] = ["application/json", "application/x-subrip", "application/xml"];

impl FileType {
    /// Returns the type of a file with this name; `application/octet-stream` if it is not known.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        find_file_type(name).unwrap_or(UNKNOWN)
    }

    /// Returns the type of a file with this name; `text/html` if it is not known. The original
    /// Scalelite sends that type to a web server in front of it.
    #[must_use]
    pub fn from_name_or_html(name: &str) -> Self {
        find_file_type(name).unwrap_or(HTML)
    }

    /// Returns the value of the `Content-Type` header.
    #[must_use]
    pub fn content_type_header(self) -> String {
        let charset = if self.is_text { "; charset=utf-8" } else { "" };
        format!("{}{charset}", self.content_type)
    }

    /// Returns whether browsers show the file as a page and run its scripts.
    #[must_use]
    pub fn is_html(self) -> bool {
        matches!(self.content_type, "text/html" | "application/xhtml+xml")
    }

    /// Returns whether the file is a video.
    #[must_use]
    pub fn is_video(self) -> bool {
        self.content_type.starts_with("video/")
    }

    /// Returns whether the file is an audio file.
    #[must_use]
    pub fn is_audio(self) -> bool {
        self.content_type.starts_with("audio/")
    }

    /// Returns whether the file is an image.
    #[must_use]
    pub fn is_image(self) -> bool {
        self.content_type.starts_with("image/")
    }
}

fn find_file_type(name: &str) -> Option<FileType> {
    let (_, extension) = name.rsplit_once('.')?;
    let exception = EXCEPTIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(extension));
    let content_type = match exception {
        Some((_, content_type)) => content_type,
        None => mime_guess::from_ext(extension).first_raw()?,
    };
    let is_text = content_type.starts_with("text/")
        || content_type.ends_with("+xml")
        || content_type.ends_with("+json")
        || TEXT_TYPES.contains(&content_type);
    Some(FileType { content_type, is_text })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Extensions of the files that recordings and the player consist of, their content types, and
    /// whether they are text. Updates of `mime_guess` must not change them.
    const EXPECTED_TYPES: &[(&str, &str, bool)] = &[
        ("css", "text/css", true),
        ("csv", "text/csv", true),
        ("doc", "application/msword", false),
        ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", false),
        ("etherpad", "application/json", true),
        ("gif", "image/gif", false),
        ("htm", "text/html", true),
        ("html", "text/html", true),
        ("ico", "image/x-icon", false),
        ("jpeg", "image/jpeg", false),
        ("jpg", "image/jpeg", false),
        ("js", "text/javascript", true),
        ("json", "application/json", true),
        ("m4a", "audio/mp4", false),
        ("m4v", "video/mp4", false),
        ("map", "application/json", true),
        ("md", "text/markdown", true),
        ("mjs", "text/javascript", true),
        ("mp3", "audio/mpeg", false),
        ("mp4", "video/mp4", false),
        ("odp", "application/vnd.oasis.opendocument.presentation", false),
        ("odt", "application/vnd.oasis.opendocument.text", false),
        ("oga", "audio/ogg", false),
        ("ogg", "audio/ogg", false),
        ("ogv", "video/ogg", false),
        ("opus", "audio/ogg", false),
        ("pdf", "application/pdf", false),
        ("png", "image/png", false),
        ("ppt", "application/vnd.ms-powerpoint", false),
        (
            "pptx",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            false,
        ),
        ("srt", "application/x-subrip", true),
        ("svg", "image/svg+xml", true),
        ("ttf", "font/ttf", false),
        ("txt", "text/plain", true),
        ("vtt", "text/vtt", true),
        ("wasm", "application/wasm", false),
        ("wav", "audio/wav", false),
        ("webm", "video/webm", false),
        ("webp", "image/webp", false),
        ("woff", "font/woff", false),
        ("woff2", "font/woff2", false),
        ("xml", "application/xml", true),
        ("zip", "application/zip", false),
    ];

    #[test]
    fn types_of_all_expected_extensions() {
        for (extension, content_type, is_text) in EXPECTED_TYPES {
            let expected = FileType { content_type, is_text: *is_text };
            for name in [format!("a.b.{extension}"), format!("A.{}", extension.to_uppercase())] {
                assert_eq!(FileType::from_name(&name), expected, "{name}");
                assert_eq!(FileType::from_name_or_html(&name), expected, "{name}");
            }
        }
    }

    #[test]
    fn content_type_headers() {
        for (name, header) in [
            ("index.HTML", "text/html; charset=utf-8"),
            ("metadata.xml", "application/xml; charset=utf-8"),
            ("video-0.m4v", "video/mp4"),
            ("audio.ogg", "audio/ogg"),
            ("caption_de.vtt", "text/vtt; charset=utf-8"),
            ("a.b.svg", "image/svg+xml; charset=utf-8"),
            ("LICENSE", "application/octet-stream"),
            ("html", "application/octet-stream"),
            ("x.exe", "application/octet-stream"),
            ("x.unknown", "application/octet-stream"),
        ] {
            assert_eq!(FileType::from_name(name).content_type_header(), header, "{name}");
        }
    }

    #[test]
    fn files_of_unknown_type_count_as_pages_where_the_caller_asks_for_it() {
        assert!(FileType::from_name_or_html("secret").is_html());
        assert_eq!(FileType::from_name_or_html("a.webm").content_type, "video/webm");
    }

    #[test]
    fn all_formats_that_browsers_show_as_pages_count_as_pages() {
        for name in ["a.html", "a.htm", "a.xhtml", "a.xht", "a.shtml"] {
            assert!(FileType::from_name(name).is_html(), "{name}");
        }
        assert!(!FileType::from_name("a.svg").is_html());
    }
}
