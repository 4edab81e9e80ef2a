//! What files are, by their names: those that BBB's recordings and its player are made of.

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileType {
    /// Its content type.
    pub content_type: &'static str,
    /// Whether it is text, so that it is UTF-8 and worth compressing.
    pub is_text: bool,
}

const HTML: FileType = FileType { content_type: "text/html", is_text: true };
const UNKNOWN: FileType = FileType { content_type: "application/octet-stream", is_text: false };

/// Ends of names, content types, and whether it is text.
const FILE_TYPES: &[(&str, &str, bool)] = &[
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
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation", false),
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

impl FileType {
    /// What a file of that name is.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        find_file_type(name).unwrap_or(UNKNOWN)
    }

    /// The same, but what has no end that is known passes for a page: so the original tells a web server in front of
    /// it.
    #[must_use]
    pub fn from_name_or_html(name: &str) -> Self {
        find_file_type(name).unwrap_or(HTML)
    }

    /// The value of the header.
    #[must_use]
    pub fn content_type_header(self) -> String {
        let charset = if self.is_text { "; charset=utf-8" } else { "" };
        format!("{}{charset}", self.content_type)
    }

    /// Whether browsers show it as a page, with scripts.
    #[must_use]
    pub fn is_html(self) -> bool {
        self == HTML
    }

    /// Whether it can be watched.
    #[must_use]
    pub fn is_video(self) -> bool {
        self.content_type.starts_with("video/")
    }

    /// Whether it can be listened to.
    #[must_use]
    pub fn is_audio(self) -> bool {
        self.content_type.starts_with("audio/")
    }

    /// Whether it is a picture.
    #[must_use]
    pub fn is_image(self) -> bool {
        self.content_type.starts_with("image/")
    }
}

fn find_file_type(name: &str) -> Option<FileType> {
    let (_, end) = name.rsplit_once('.')?;
    let (_, content_type, text) =
        FILE_TYPES.iter().find(|(known, ..)| known.eq_ignore_ascii_case(end))?;
    Some(FileType { content_type, is_text: *text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_files() {
        for (name, header) in [
            ("index.HTML", "text/html; charset=utf-8"),
            ("metadata.xml", "application/xml; charset=utf-8"),
            ("video-0.m4v", "video/mp4"),
            ("audio.ogg", "audio/ogg"),
            ("caption_de.vtt", "text/vtt; charset=utf-8"),
            ("a.b.svg", "image/svg+xml; charset=utf-8"),
            ("LICENSE", "application/octet-stream"),
            ("x.exe", "application/octet-stream"),
        ] {
            assert_eq!(FileType::from_name(name).content_type_header(), header, "{name}");
        }
        assert_eq!(FileType::from_name_or_html("secret").content_type, "text/html");
        assert_eq!(FileType::from_name_or_html("a.webm").content_type, "video/webm");
        let ends: Vec<&str> = FILE_TYPES.iter().map(|(end, ..)| *end).collect();
        assert!(ends.is_sorted());
    }
}
