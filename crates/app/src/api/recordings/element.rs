//! Renders the `<recording>` element of `getRecordings`. The elements and their order are those of
//! the original, or those of BBB where only BBB has them.

use bbb::response::escape_xml;
use domain::Timestamp;
use domain::recording::{PlaybackFormat, Recording, Thumbnail};

/// Renders recordings.
pub(super) struct RecordingRenderer<'a> {
    /// Scheme and host of links.
    pub(super) origin: &'a str,
    /// `PROTECTED_RECORDINGS_ENABLED`.
    pub(super) protection_enabled: bool,
}

/// Writes an element with a text.
fn write_element(xml: &mut String, name: &str, text: &str) {
    xml.push_str(&format!("<{name}>{}</{name}>", escape_xml(text)));
}

fn write_number(xml: &mut String, name: &str, number: Option<impl ToString>) {
    write_element(xml, name, &number.map(|number| number.to_string()).unwrap_or_default());
}

/// Writes an element if there is a value.
fn write_optional(xml: &mut String, name: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        write_element(xml, name, &value.to_string());
    }
}

impl RecordingRenderer<'_> {
    /// Renders a recording. For a protected recording, `tokens` are the one-time tokens of its
    /// formats, in their order.
    pub(super) fn render_recording(
        &self,
        recording: &Recording,
        tokens: Option<&[String]>,
    ) -> String {
        let mut xml = String::from("<recording>");
        self.write_head(&mut xml, recording);
        write_metadata(&mut xml, recording);
        write_breakout(&mut xml, recording);
        let sizes: Vec<i64> = recording.formats.iter().filter_map(|format| format.size).collect();
        write_optional(&mut xml, "size", (!sizes.is_empty()).then(|| sizes.iter().sum::<i64>()));
        xml.push_str("<playback>");
        for (index, format) in recording.formats.iter().enumerate() {
            let token = tokens.and_then(|tokens| tokens.get(index));
            self.write_format(&mut xml, recording, format, token.map(String::as_str));
        }
        xml.push_str("</playback></recording>");
        xml
    }

    fn write_head(&self, xml: &mut String, recording: &Recording) {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        write_element(xml, "recordID", &recording.record_id);
        write_element(xml, "meetingID", &text(&recording.meeting_id));
        write_element(xml, "internalMeetingID", &recording.record_id);
        write_element(xml, "name", &text(&recording.name));
        write_optional(xml, "isBreakout", recording.details.is_breakout);
        write_element(xml, "published", &recording.published.to_string());
        write_optional(xml, "protected", self.protection_enabled.then_some(recording.protected));
        write_element(xml, "state", &text(&recording.state));
        let ms = |time: Option<Timestamp>| Some(time.map_or(0, |time| time.0));
        write_number(xml, "startTime", ms(recording.started_at));
        write_number(xml, "endTime", ms(recording.ended_at));
        write_number(xml, "participants", recording.participants);
        write_optional(xml, "rawSize", recording.details.raw_size);
    }

    fn write_format(
        &self,
        xml: &mut String,
        recording: &Recording,
        format: &PlaybackFormat,
        token: Option<&str>,
    ) {
        xml.push_str("<format>");
        write_element(xml, "type", &format.format);
        let url = match token {
            Some(token) => {
                let (id, name) = (&recording.record_id, &format.format);
                format!("{}/recording/{id}/{name}?token={token}", self.origin)
            }
            None => self.absolute_url(format.url.as_deref().unwrap_or_default()),
        };
        write_element(xml, "url", &url);
        write_optional(xml, "processingTime", format.processing_time_ms);
        write_number(xml, "length", format.length_minutes);
        write_optional(xml, "size", format.size);
        // Previews are served without a token, so protected recordings must not show them.
        if token.is_none() && !format.thumbnails.is_empty() {
            xml.push_str("<preview><images>");
            format.thumbnails.iter().for_each(|thumbnail| self.write_image(xml, thumbnail));
            xml.push_str("</images></preview>");
        }
        xml.push_str("</format>");
    }

    fn write_image(&self, xml: &mut String, thumbnail: &Thumbnail) {
        let size = |size: Option<i32>| size.map(|size| size.to_string()).unwrap_or_default();
        let url = self.absolute_url(thumbnail.url.as_deref().unwrap_or_default());
        xml.push_str(&format!(
            "<image alt=\"{}\" height=\"{}\" width=\"{}\">{}</image>",
            escape_xml(thumbnail.alt.as_deref().unwrap_or_default()),
            size(thumbnail.height),
            size(thumbnail.width),
            escape_xml(&url)
        ));
    }

    /// Returns a URL with scheme and host. Some old rows store absolute URLs.
    fn absolute_url(&self, path: &str) -> String {
        match path {
            url if url.starts_with("https://") || url.starts_with("http://") => url.to_owned(),
            path if path.starts_with('/') => format!("{}{path}", self.origin),
            path => format!("{}/{path}", self.origin),
        }
    }
}

fn write_metadata(xml: &mut String, recording: &Recording) {
    xml.push_str("<metadata>");
    for (key, value) in &recording.metadata {
        let name = element_name(key);
        match value.as_deref().unwrap_or_default() {
            // Some front-ends need a child node in the element.
            "" => xml.push_str(&format!("<{name}><![CDATA[]]></{name}>")),
            value => write_element(xml, &name, value),
        }
    }
    xml.push_str("</metadata>");
}

fn write_breakout(xml: &mut String, recording: &Recording) {
    if let Some(place) = &recording.details.breakout {
        xml.push_str("<breakout>");
        write_element(xml, "parentId", &place.parent_id);
        write_optional(xml, "sequence", place.sequence);
        write_optional(xml, "freeJoin", place.free_join);
        xml.push_str("</breakout>");
    }
    if !recording.details.breakout_rooms.is_empty() {
        xml.push_str("<breakoutRooms>");
        let rooms = &recording.details.breakout_rooms;
        rooms.iter().for_each(|room| write_element(xml, "breakoutRoom", room));
        xml.push_str("</breakoutRooms>");
    }
}

/// Converts a metadata key to the name of an element; characters that are not allowed become `_`.
fn element_name(key: &str) -> String {
    let is_allowed = |c: char| c.is_alphanumeric() && c.is_ascii() || "-_.".contains(c);
    let mut name: String = key.chars().map(|c| if is_allowed(c) { c } else { '_' }).collect();
    let has_valid_start = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !has_valid_start || name.to_ascii_lowercase().starts_with("xml") {
        name.insert(0, '_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_element_names() {
        for (key, name) in [
            ("gl-listed", "gl-listed"),
            ("a b><c/>", "a_b__c__"),
            ("1st", "_1st"),
            ("", "_"),
            ("-a", "_-a"),
            ("xmlns:x", "_xmlns_x"),
            ("ä", "_"),
        ] {
            assert_eq!(element_name(key), name);
        }
    }

    #[test]
    fn links_get_scheme_and_host() {
        let renderer = RecordingRenderer { origin: "https://lb.test", protection_enabled: false };
        assert_eq!(renderer.absolute_url("/video/r/?a=1"), "https://lb.test/video/r/?a=1");
        assert_eq!(renderer.absolute_url("video/r/"), "https://lb.test/video/r/");
        assert_eq!(renderer.absolute_url("http://other/video/r/"), "http://other/video/r/");
    }
}
