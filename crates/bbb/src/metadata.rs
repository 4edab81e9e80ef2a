//! Parses `metadata.xml`, in which BBB's record-and-playback describes one format of a recording.
//! Scripts of many releases write the file and bbb-web rewrites it, so the order of elements,
//! padding and missing elements have no meaning.

mod encoding;
mod numbers;

use self::numbers::parse_number;
use crate::xml::{XmlStep, walk};

/// Maximum size of a file, in bytes. Real files have a few thousand.
pub const MAX_BYTES: usize = 1 << 20;
/// Maximum number of previews, breakout rooms and metadata elements each. BBB writes three
/// previews.
const MAX_ELEMENTS: usize = 1000;

/// The reason why a file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metadata.xml: {0}")]
pub struct MetadataError(&'static str);

/// The description of one format of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// `id`: the internal meeting id.
    pub id: String,
    /// `state`, as written: `published`, `available` (equivalent to `published`), `processing`…
    pub state: String,
    /// `published`.
    pub published: Option<bool>,
    /// `start_time`, in ms since 1970; empty in stubs.
    pub start_time_ms: Option<i64>,
    /// `end_time`, in ms since 1970.
    pub end_time_ms: Option<i64>,
    /// `participants`.
    pub participants: Option<i32>,
    /// `meeting`; missing in files of the format `video`.
    pub meeting: MetadataMeeting,
    /// `breakout`, in recordings of breakout rooms.
    pub breakout: Option<MetadataBreakout>,
    /// `breakoutRooms/breakoutRoom`: internal meeting ids.
    pub breakout_rooms: Vec<String>,
    /// `meta/*`: names and texts. Of a repeated name only the last element is kept.
    pub meta: Vec<(String, String)>,
    /// `playback`.
    pub playback: MetadataPlayback,
    /// `raw_size`, in bytes.
    pub raw_size: Option<i64>,
}

/// The attributes of `meeting`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataMeeting {
    /// `externalId`: the meeting id that the front-end chose.
    pub external_id: Option<String>,
    /// `name`. BBB escapes it once more than XML requires.
    pub name: Option<String>,
    /// `breakout`.
    pub breakout: Option<bool>,
}

/// The attributes of `breakout`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataBreakout {
    /// `parentMeetingId` (or `meetingId`): the internal id of the parent meeting.
    pub parent_id: String,
    /// `sequence`.
    pub sequence: Option<i32>,
    /// `freeJoin`.
    pub free_join: Option<bool>,
}

/// The element `playback`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataPlayback {
    /// `format`, which is also the name of the format's directory.
    pub format: String,
    /// `link`, without surrounding blanks.
    pub link: String,
    /// `processing_time`, in ms.
    pub processing_time_ms: Option<i64>,
    /// `duration`, in ms: the recorded length without pauses.
    pub duration_ms: Option<i64>,
    /// `size`, in bytes.
    pub size: Option<i64>,
    /// `extensions/preview/images/image`.
    pub images: Vec<MetadataImage>,
}

/// A preview image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataImage {
    /// `width`, in pixels.
    pub width: Option<i32>,
    /// `height`, in pixels.
    pub height: Option<i32>,
    /// `alt`.
    pub alt: Option<String>,
    /// The URL, which is the text of the element.
    pub url: String,
}

impl Metadata {
    /// Parses a complete file.
    ///
    /// # Errors
    /// When the file is longer than [`MAX_BYTES`], is not well-formed XML, has a document type, has
    /// too many elements, or does not have the root `recording`.
    pub fn read(bytes: &[u8]) -> Result<Self, MetadataError> {
        if bytes.len() > MAX_BYTES {
            return Err(MetadataError("is too long"));
        }
        let text = encoding::decode(bytes);
        let mut parser = MetadataParser::default();
        walk(&text, |step| parser.handle_step(step)).map_err(MetadataError)?;
        if parser.has_too_many {
            return Err(MetadataError("has too many elements"));
        }
        if !parser.is_recording {
            return Err(MetadataError("is not a recording"));
        }
        Ok(parser.metadata)
    }

    /// Returns the text of a metadata element.
    #[must_use]
    pub fn meta(&self, name: &str) -> Option<&str> {
        self.meta.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Collects the description while the file is walked.
#[derive(Default)]
struct MetadataParser<'a> {
    path: Vec<&'a str>,
    value: String,
    metadata: Metadata,
    is_recording: bool,
    has_too_many: bool,
}

impl<'a> MetadataParser<'a> {
    fn handle_step(&mut self, step: XmlStep<'a, '_>) -> bool {
        match step {
            XmlStep::Open(name, _) => {
                // Text of elements nested in a metadata element belongs to that element.
                if self.path.len() < 3 || self.path[1] != "meta" {
                    self.value.clear();
                }
                self.path.push(name);
                self.open_element();
            }
            XmlStep::Attribute(name, value) => self.set_attribute(name, value),
            XmlStep::Text(text) => self.value.push_str(text),
            XmlStep::Close(_) => {
                self.close_element();
                self.path.pop();
            }
        }
        !self.has_too_many
    }

    fn open_element(&mut self) {
        match self.path[..] {
            ["recording"] => self.is_recording = true,
            ["recording", "breakout"] => self.metadata.breakout = Some(MetadataBreakout::default()),
            ["recording", "playback", "extensions", "preview", "images", "image"] => {
                self.metadata.playback.images.push(MetadataImage::default());
                self.has_too_many |= self.metadata.playback.images.len() > MAX_ELEMENTS;
            }
            _ => {}
        }
    }

    fn set_attribute(&mut self, name: &str, value: &str) {
        let Metadata { meeting, breakout, playback, .. } = &mut self.metadata;
        match self.path[..] {
            ["recording", "meeting"] => match name {
                "externalId" => meeting.external_id = non_empty(value),
                "name" => meeting.name = non_empty(value),
                "breakout" => meeting.breakout = parse_bool(value),
                _ => {}
            },
            ["recording", "breakout"] => {
                let Some(breakout) = breakout else { return };
                match name {
                    "parentMeetingId" => value.trim().clone_into(&mut breakout.parent_id),
                    "meetingId" if breakout.parent_id.is_empty() => {
                        value.trim().clone_into(&mut breakout.parent_id);
                    }
                    "sequence" => breakout.sequence = parse_number(value),
                    "freeJoin" => breakout.free_join = parse_bool(value),
                    _ => {}
                }
            }
            ["recording", "playback", "extensions", "preview", "images", "image"] => {
                let Some(image) = playback.images.last_mut() else { return };
                match name {
                    "width" => image.width = parse_number(value),
                    "height" => image.height = parse_number(value),
                    "alt" => image.alt = Some(value.to_owned()),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn close_element(&mut self) {
        let [root, path @ ..] = &self.path[..] else { return };
        if *root != "recording" {
            return;
        }
        let (metadata, value) = (&mut self.metadata, self.value.as_str());
        let text = value.trim();
        match path {
            ["id"] => text.clone_into(&mut metadata.id),
            ["state"] => text.clone_into(&mut metadata.state),
            ["published"] => metadata.published = parse_bool(text),
            ["start_time"] => metadata.start_time_ms = parse_number(text),
            ["end_time"] => metadata.end_time_ms = parse_number(text),
            ["participants"] => metadata.participants = parse_number(text),
            ["raw_size"] => metadata.raw_size = parse_number(text),
            ["breakoutRooms", "breakoutRoom"] => metadata.breakout_rooms.extend(non_empty(text)),
            ["meta", name] => {
                metadata.meta.retain(|(other_name, _)| other_name != name);
                metadata.meta.push(((*name).to_owned(), value.to_owned()));
            }
            ["playback", "format"] => text.clone_into(&mut metadata.playback.format),
            ["playback", "link"] => text.clone_into(&mut metadata.playback.link),
            ["playback", "processing_time"] => {
                metadata.playback.processing_time_ms = parse_number(text);
            }
            ["playback", "duration"] => metadata.playback.duration_ms = parse_number(text),
            ["playback", "size"] => metadata.playback.size = parse_number(text),
            ["playback", "extensions", "preview", "images", "image"] => {
                if let Some(image) = metadata.playback.images.last_mut() {
                    text.clone_into(&mut image.url);
                }
            }
            _ => {}
        }
        self.has_too_many |=
            metadata.meta.len() > MAX_ELEMENTS || metadata.breakout_rooms.len() > MAX_ELEMENTS;
    }
}

fn parse_bool(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn non_empty(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
