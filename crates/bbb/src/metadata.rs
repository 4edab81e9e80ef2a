//! `metadata.xml`: what BBB's record-and-playback says of one format of a recording. It is written by scripts of many
//! releases and rewritten by bbb-web, so that order, padding and absent elements mean nothing.

use crate::xml::{Step, walk};

/// Longest file that is read, in bytes. Real ones have a few thousand.
pub const BYTES_MAX: usize = 1 << 20;
/// More than BBB's three previews, and than any meeting's metadata.
const MANY: usize = 1000;

/// Why a file tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metadata.xml: {0}")]
pub struct Unreadable(&'static str);

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
    pub meeting: Meeting,
    /// `breakout`, in recordings of breakout rooms.
    pub breakout: Option<Breakout>,
    /// `breakoutRooms/breakoutRoom`: internal ids.
    pub breakout_rooms: Vec<String>,
    /// `meta/*`: any names and texts; of one name the last.
    pub meta: Vec<(String, String)>,
    /// `playback`.
    pub playback: Playback,
    /// `raw_size`, in bytes.
    pub raw_size: Option<i64>,
}

/// The attributes of `meeting`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meeting {
    /// `externalId`: the id that the front-end gave.
    pub external_id: Option<String>,
    /// `name`; BBB escapes it once more than XML needs.
    pub name: Option<String>,
    /// `breakout`.
    pub breakout: Option<bool>,
}

/// The attributes of `breakout`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breakout {
    /// `parentMeetingId` (or `meetingId`): the parent's internal id.
    pub parent_id: String,
    /// `sequence`.
    pub sequence: Option<i32>,
    /// `freeJoin`.
    pub free_join: Option<bool>,
}

/// How to watch it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Playback {
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
    pub images: Vec<Image>,
}

/// A preview.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
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
    /// When it is longer than [`BYTES_MAX`], no well-formed XML, has a document type, or is no recording.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        if bytes.len() > BYTES_MAX {
            return Err(Unreadable("is too long"));
        }
        let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
        let mut reading = Reading::default();
        walk(&text, |step| reading.take(step)).map_err(Unreadable)?;
        if !reading.is_recording || reading.many {
            let why = if reading.many { "has too much of everything" } else { "is no recording" };
            return Err(Unreadable(why));
        }
        Ok(reading.found)
    }

    /// The text of a metadata element.
    #[must_use]
    pub fn meta(&self, name: &str) -> Option<&str> {
        self.meta.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct Reading<'a> {
    path: Vec<&'a str>,
    value: String,
    found: Metadata,
    is_recording: bool,
    many: bool,
}

impl<'a> Reading<'a> {
    fn take(&mut self, step: Step<'a, '_>) -> bool {
        match step {
            Step::Open(name, _) => {
                // What stands within a metadata element is part of its text.
                if self.path.len() < 3 || self.path[1] != "meta" {
                    self.value.clear();
                }
                self.path.push(name);
                self.open();
            }
            Step::Attribute(name, value) => self.attribute(name, value),
            Step::Text(text) => self.value.push_str(text),
            Step::Close(_) => {
                self.close();
                self.path.pop();
            }
        }
        !self.many
    }

    fn open(&mut self) {
        match self.path[..] {
            ["recording"] => self.is_recording = true,
            ["recording", "breakout"] => self.found.breakout = Some(Breakout::default()),
            ["recording", "playback", "extensions", "preview", "images", "image"] => {
                self.found.playback.images.push(Image::default());
                self.many |= self.found.playback.images.len() > MANY;
            }
            _ => {}
        }
    }

    fn attribute(&mut self, name: &str, value: &str) {
        let Metadata { meeting, breakout, playback, .. } = &mut self.found;
        match self.path[..] {
            ["recording", "meeting"] => match name {
                "externalId" => meeting.external_id = filled(value),
                "name" => meeting.name = filled(value),
                "breakout" => meeting.breakout = truth(value),
                _ => {}
            },
            ["recording", "breakout"] => {
                let Some(breakout) = breakout else { return };
                match name {
                    "parentMeetingId" => value.trim().clone_into(&mut breakout.parent_id),
                    "meetingId" if breakout.parent_id.is_empty() => {
                        value.trim().clone_into(&mut breakout.parent_id);
                    }
                    "sequence" => breakout.sequence = number(value),
                    "freeJoin" => breakout.free_join = truth(value),
                    _ => {}
                }
            }
            ["recording", "playback", "extensions", "preview", "images", "image"] => {
                let Some(image) = playback.images.last_mut() else { return };
                match name {
                    "width" => image.width = number(value),
                    "height" => image.height = number(value),
                    "alt" => image.alt = Some(value.to_owned()),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn close(&mut self) {
        let [root, above @ ..] = &self.path[..] else { return };
        if *root != "recording" {
            return;
        }
        let (found, value) = (&mut self.found, self.value.as_str());
        let text = value.trim();
        match above {
            ["id"] => text.clone_into(&mut found.id),
            ["state"] => text.clone_into(&mut found.state),
            ["published"] => found.published = truth(text),
            ["start_time"] => found.start_time_ms = number(text),
            ["end_time"] => found.end_time_ms = number(text),
            ["participants"] => found.participants = number(text),
            ["raw_size"] => found.raw_size = number(text),
            ["breakoutRooms", "breakoutRoom"] => found.breakout_rooms.extend(filled(text)),
            ["meta", name] => {
                found.meta.retain(|(known, _)| known != name);
                found.meta.push(((*name).to_owned(), value.to_owned()));
            }
            ["playback", "format"] => text.clone_into(&mut found.playback.format),
            ["playback", "link"] => text.clone_into(&mut found.playback.link),
            ["playback", "processing_time"] => found.playback.processing_time_ms = number(text),
            ["playback", "duration"] => found.playback.duration_ms = number(text),
            ["playback", "size"] => found.playback.size = number(text),
            ["playback", "extensions", "preview", "images", "image"] => {
                if let Some(image) = found.playback.images.last_mut() {
                    text.clone_into(&mut image.url);
                }
            }
            _ => {}
        }
        self.many |= found.meta.len() > MANY || found.breakout_rooms.len() > MANY;
    }
}

/// A number that is not negative.
fn number<T: TryFrom<u64>>(text: &str) -> Option<T> {
    text.trim().parse::<u64>().ok().and_then(|number| T::try_from(number).ok())
}

fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn filled(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
