//! `metadata.xml`: what BBB's record-and-playback says of one format of a recording. It is written by scripts of many
//! releases and rewritten by bbb-web, so that order, padding and absent elements mean nothing.

use crate::xml::{XmlStep, walk};

/// Longest file that is read, in bytes. Real ones have a few thousand.
pub const MAX_BYTES: usize = 1 << 20;
/// More than BBB's three previews, and than any meeting's metadata.
const MAX_ELEMENTS: usize = 1000;

/// Why a file tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metadata.xml: {0}")]
pub struct MetadataError(&'static str);

/// One format of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// `id`: the internal meeting id.
    pub id: String,
    /// `state`, as written: `published`, `available` (which means the same), `processing`…
    pub state: String,
    /// `published`.
    pub published: Option<bool>,
    /// `start_time`, in ms since 1970. Empty in stubs.
    pub start_time_ms: Option<i64>,
    /// `end_time`, in ms since 1970.
    pub end_time_ms: Option<i64>,
    /// `participants`.
    pub participants: Option<i32>,
    /// `meeting`: absent in `video`.
    pub meeting: MetadataMeeting,
    /// `breakout`, in recordings of breakout rooms.
    pub breakout: Option<MetadataBreakout>,
    /// `breakoutRooms/breakoutRoom`: internal ids.
    pub breakout_rooms: Vec<String>,
    /// `meta/*`: any names and texts; of one name the last.
    pub meta: Vec<(String, String)>,
    /// `playback`.
    pub playback: MetadataPlayback,
    /// `raw_size`, in bytes.
    pub raw_size: Option<i64>,
}

/// The attributes of `meeting`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataMeeting {
    /// `externalId`: the id that the front-end gave.
    pub external_id: Option<String>,
    /// `name`; BBB escapes it once more than XML needs.
    pub name: Option<String>,
    /// `breakout`.
    pub breakout: Option<bool>,
}

/// The attributes of `breakout`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataBreakout {
    /// `parentMeetingId` (or `meetingId`): the parent's internal id.
    pub parent_id: String,
    /// `sequence`.
    pub sequence: Option<i32>,
    /// `freeJoin`.
    pub free_join: Option<bool>,
}

/// How to watch it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataPlayback {
    /// `format`, which is also the directory's name.
    pub format: String,
    /// `link`, without the blanks around it.
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

/// A preview.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataImage {
    /// `width`, in pixels.
    pub width: Option<i32>,
    /// `height`, in pixels.
    pub height: Option<i32>,
    /// `alt`.
    pub alt: Option<String>,
    /// Its URL.
    pub url: String,
}

impl Metadata {
    /// Reads a whole file.
    ///
    /// # Errors
    /// When it is longer than [`MAX_BYTES`], no well-formed XML, has a document type, or is no recording.
    pub fn read(bytes: &[u8]) -> Result<Self, MetadataError> {
        if bytes.len() > MAX_BYTES {
            return Err(MetadataError("is too long"));
        }
        let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
        let mut reading = MetadataParser::default();
        walk(&text, |step| reading.handle_step(step)).map_err(MetadataError)?;
        if !reading.is_recording || reading.has_too_many {
            let why =
                if reading.has_too_many { "has too much of everything" } else { "is no recording" };
            return Err(MetadataError(why));
        }
        Ok(reading.metadata)
    }

    /// The text of a metadata element.
    #[must_use]
    pub fn meta(&self, name: &str) -> Option<&str> {
        self.meta.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

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
                // What stands within a metadata element is part of its text.
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
        let [root, above @ ..] = &self.path[..] else { return };
        if *root != "recording" {
            return;
        }
        let (found, value) = (&mut self.metadata, self.value.as_str());
        let text = value.trim();
        match above {
            ["id"] => text.clone_into(&mut found.id),
            ["state"] => text.clone_into(&mut found.state),
            ["published"] => found.published = parse_bool(text),
            ["start_time"] => found.start_time_ms = parse_number(text),
            ["end_time"] => found.end_time_ms = parse_number(text),
            ["participants"] => found.participants = parse_number(text),
            ["raw_size"] => found.raw_size = parse_number(text),
            ["breakoutRooms", "breakoutRoom"] => found.breakout_rooms.extend(non_empty(text)),
            ["meta", name] => {
                found.meta.retain(|(known, _)| known != name);
                found.meta.push(((*name).to_owned(), value.to_owned()));
            }
            ["playback", "format"] => text.clone_into(&mut found.playback.format),
            ["playback", "link"] => text.clone_into(&mut found.playback.link),
            ["playback", "processing_time"] => {
                found.playback.processing_time_ms = parse_number(text)
            }
            ["playback", "duration"] => found.playback.duration_ms = parse_number(text),
            ["playback", "size"] => found.playback.size = parse_number(text),
            ["playback", "extensions", "preview", "images", "image"] => {
                if let Some(image) = found.playback.images.last_mut() {
                    text.clone_into(&mut image.url);
                }
            }
            _ => {}
        }
        self.has_too_many |=
            found.meta.len() > MAX_ELEMENTS || found.breakout_rooms.len() > MAX_ELEMENTS;
    }
}

/// A number that is not negative.
fn parse_number<T: TryFrom<u64>>(text: &str) -> Option<T> {
    text.trim().parse::<u64>().ok().and_then(|number| T::try_from(number).ok())
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
