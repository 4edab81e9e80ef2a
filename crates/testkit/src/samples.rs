//! Sample recordings of every format, as BigBlueButton's record-and-playback publishes them, with
//! small real media.

use std::path::{Path, PathBuf};

use crate::tar::TarBuilder;

/// The formats of the samples.
pub const FORMATS: [&str; 6] =
    ["presentation", "video", "screenshare", "podcast", "notes", "capture"];

/// `webcams.mp4`: twelve seconds of a test pattern, with a key frame every two seconds.
pub const WEBCAMS_MP4: &[u8] = include_bytes!("../data/recordings/webcams.mp4");
/// The same test pattern as WebM.
pub const WEBCAMS_WEBM: &[u8] = include_bytes!("../data/recordings/webcams.webm");
/// A shared screen.
pub const DESKSHARE_WEBM: &[u8] = include_bytes!("../data/recordings/deskshare.webm");
/// Twelve seconds of a hum, as Ogg.
pub const AUDIO_OGG: &[u8] = include_bytes!("../data/recordings/audio.ogg");
const SLIDE_PNG: &[u8] = include_bytes!("../data/recordings/slide-1.png");
const THUMB_PNG: &[u8] = include_bytes!("../data/recordings/thumb-1.png");

/// Settings of a balancer with its folders of recordings in `root`.
#[must_use]
pub fn recording_dir_settings(root: &Path) -> [(&'static str, PathBuf); 4] {
    [
        ("RECORDING_SPOOL_DIR", root.join("spool")),
        ("RECORDING_WORK_DIR", root.join("work")),
        ("RECORDING_PUBLISH_DIR", root.join("published")),
        ("RECORDING_UNPUBLISH_DIR", root.join("unpublished")),
    ]
}

/// A sample recording.
#[derive(Clone, Debug)]
pub struct SampleRecording {
    /// The id of the recording.
    pub record_id: String,
    /// The meeting's id, as a client chose it.
    pub meeting_id: String,
    /// The meeting's name.
    pub name: String,
    /// Whether the recording is published.
    pub published: bool,
    /// Metadata in addition to that of every meeting.
    pub meta: Vec<(String, String)>,
}

impl SampleRecording {
    /// The sample of this number. Each has its own id and meeting.
    #[must_use]
    pub fn new(n: u64) -> Self {
        Self {
            record_id: format!("{n:040x}-{}", 1_760_000_000_000 + n),
            meeting_id: format!("course-{n}"),
            name: format!("Algebra & tea {n}"),
            published: true,
            meta: vec![("bbb-origin".to_owned(), "samples".to_owned())],
        }
    }

    /// The paths and contents of the files of a format.
    #[must_use]
    pub fn files(&self, format: &str) -> Vec<(String, Vec<u8>)> {
        let mut files = vec![("metadata.xml".to_owned(), self.metadata_xml(format).into_bytes())];
        let media = match format {
            "presentation" => presentation_files(),
            "video" => vec![
                (
                    "index.html",
                    b"<!DOCTYPE html><video src=\"video-0.m4v\" controls></video>".to_vec(),
                ),
                ("video-0.m4v", WEBCAMS_MP4.to_vec()),
                ("capture_en-US.vtt", CAPTIONS.as_bytes().to_vec()),
            ],
            "screenshare" => vec![
                ("index.html", b"<!DOCTYPE html><video src=\"screenshare.webm\"></video>".to_vec()),
                ("screenshare.webm", DESKSHARE_WEBM.to_vec()),
            ],
            "podcast" => vec![("audio.ogg", AUDIO_OGG.to_vec())],
            "notes" => vec![("notes.pdf", PDF.as_bytes().to_vec())],
            _ => vec![("capture.webm", WEBCAMS_WEBM.to_vec())],
        };
        files.extend(media.into_iter().map(|(path, content)| (path.to_owned(), content)));
        files
    }

    /// An archive with these formats, as BigBlueButton servers send it.
    #[must_use]
    pub fn archive(&self, formats: &[&str]) -> Vec<u8> {
        self.tar(formats).into_bytes()
    }

    /// An archive with these formats, to which entries can be added.
    #[must_use]
    pub fn tar(&self, formats: &[&str]) -> TarBuilder {
        let mut tar = TarBuilder::new();
        for format in formats {
            let root = format!("{format}/{}", self.record_id);
            tar = tar.dir(&format!("{root}/"));
            for (path, content) in self.files(format) {
                tar = tar.file(&format!("{root}/{path}"), content);
            }
        }
        tar
    }

    /// The `metadata.xml` of a format, with the order of elements and the peculiarities of that
    /// format's scripts.
    #[must_use]
    pub fn metadata_xml(&self, format: &str) -> String {
        let Self { record_id: id, meeting_id, name, .. } = self;
        let (name, meeting_id) = (escape_xml(name), escape_xml(meeting_id));
        let is_published_once = matches!(format, "video" | "screenshare");
        let state = match (is_published_once, self.published) {
            (true, _) => "available",
            (_, true) => "published",
            (_, false) => "unpublished",
        };
        let more_metadata: String = self
            .meta
            .iter()
            .map(|(key, value)| format!("<{key}>{}</{key}>", escape_xml(value)))
            .collect();
        let meta = format!(
            "<meta><meetingName>{name}</meetingName><meetingId>{meeting_id}</meetingId>\
             <isBreakout>false</isBreakout>{more_metadata}</meta>"
        );
        let meeting = format!(
            "<meeting id=\"{id}\" externalId=\"{meeting_id}\" name=\"{}\" breakout=\"false\"/>",
            name.replace('&', "&amp;")
        );
        let start: i64 = id.rsplit('-').next().and_then(|ms| ms.parse().ok()).unwrap_or(0);
        let head = format!(
            "<id>{id}</id><state>{state}</state><published>{}</published>\
             <start_time>{start}</start_time><end_time>{}</end_time>",
            self.published,
            start + 3_600_000
        );
        let playback = playback_xml(format, id);
        match format {
            "video" => format!(
                "<?xml version=\"1.0\"?>\n<recording>{head}<participants>4</participants>{playback}{meta}\
                 <raw_size>104857600</raw_size></recording>\n"
            ),
            "screenshare" => format!(
                "<?xml version=\"1.0\"?>\n<recording>{head}{meeting}{playback}{meta}</recording>\n"
            ),
            _ => format!(
                "<recording>\n  {head}<participants>4</participants>\n  {meeting}{meta}\n  {playback}\n  \
                 <raw_size>104857600</raw_size>\n</recording>\n"
            ),
        }
    }
}

fn playback_xml(format: &str, id: &str) -> String {
    let host = "https://node3.example";
    let link = match format {
        "presentation" => format!("\n      {host}/playback/presentation/2.3/{id}\n    "),
        "video" => format!("{host}/playback/video/{id}/"),
        "screenshare" => format!("{host}/recording/screenshare/{id}/"),
        "podcast" => format!("{host}/podcast/{id}/audio.ogg"),
        "notes" => format!("{host}/notes/{id}/notes.pdf"),
        other => format!("{host}/{other}/{id}/capture.webm"),
    };
    let (before, after) = match format {
        "presentation" => (
            "<processing_time>81234</processing_time>".to_owned(),
            format!(
                "<extensions><preview><images><image width=\"176\" height=\"136\" alt=\"First slide\">\
                 {host}/presentation/{id}/presentation/p1/thumbnails/thumb-1.png</image></images></preview>\
                 </extensions><size>73400320</size>"
            ),
        ),
        "screenshare" => (String::new(), String::new()),
        _ => (String::new(), "<size>9000000</size>".to_owned()),
    };
    format!(
        "<playback><format>{format}</format><link>{link}</link>{before}<duration>3541000</duration>\
         {after}</playback>"
    )
}

fn presentation_files() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("shapes.svg", text("<svg xmlns=\"http://www.w3.org/2000/svg\" id=\"svgfile\"/>")),
        ("slides_new.xml", text("<popcorn></popcorn>")),
        ("panzooms.xml", text("<recording id=\"panzoom_events\"></recording>")),
        ("cursor.xml", text("<recording id=\"cursor_events\"></recording>")),
        ("deskshare.xml", text("<recording id=\"deskshare_events\"></recording>")),
        ("captions.json", text("[{\"localeName\":\"English\",\"locale\":\"en-US\"}]")),
        ("caption_en-US.vtt", text(CAPTIONS)),
        ("presentation_text.json", text("{\"p1\":{\"slide-1\":\"Algebra\"}}")),
        ("polls.json", text("[]")),
        ("external_videos.json", text("[]")),
        ("notes.html", text("<p>Übung</p>")),
        ("presentation/p1/slide-1.png", SLIDE_PNG.to_vec()),
        ("presentation/p1/thumbnails/thumb-1.png", THUMB_PNG.to_vec()),
        ("presentation/p1/textfiles/slide-1.txt", text("Algebra")),
        ("presentation/p1/svgs/slide1.svg", text("<svg xmlns=\"http://www.w3.org/2000/svg\"/>")),
        ("video/webcams.webm", WEBCAMS_WEBM.to_vec()),
        ("video/webcams.mp4", WEBCAMS_MP4.to_vec()),
        ("audio/audio.ogg", AUDIO_OGG.to_vec()),
        ("deskshare/deskshare.webm", DESKSHARE_WEBM.to_vec()),
    ]
}

const CAPTIONS: &str = "WEBVTT\n\n00:00.000 --> 00:02.000\nWelcome\n";
const PDF: &str = "%PDF-1.1\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
    3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n";

fn escape_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
