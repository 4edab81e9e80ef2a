//! A recording as `getRecordings` shows it. Elements and their order: the original's, and BBB's where only BBB has
//! them.

use bbb::answer::escape;
use domain::Timestamp;
use domain::recording::{PlaybackFormat, Recording, Thumbnail};

/// How recordings are shown to a caller.
pub(super) struct View<'a> {
    /// Scheme and host that links begin with.
    pub(super) origin: &'a str,
    /// Whether recordings can be protected at all.
    pub(super) protectable: bool,
}

/// Opens an element, fills it and closes it.
fn element(xml: &mut String, name: &str, text: &str) {
    xml.push_str(&format!("<{name}>{}</{name}>", escape(text)));
}

fn number(xml: &mut String, name: &str, number: Option<impl ToString>) {
    element(xml, name, &number.map(|number| number.to_string()).unwrap_or_default());
}

/// What is known is shown; what is not has no element.
fn known(xml: &mut String, name: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        element(xml, name, &value.to_string());
    }
}

impl View<'_> {
    /// A recording; `tokens` are those of its formats, in order, if it takes one to watch it.
    pub(super) fn recording(&self, recording: &Recording, tokens: Option<&[String]>) -> String {
        let mut xml = String::from("<recording>");
        self.head(&mut xml, recording);
        metadata(&mut xml, recording);
        breakout(&mut xml, recording);
        let sizes: Vec<i64> = recording.formats.iter().filter_map(|one| one.size).collect();
        known(&mut xml, "size", (!sizes.is_empty()).then(|| sizes.iter().sum::<i64>()));
        xml.push_str("<playback>");
        for (at, format) in recording.formats.iter().enumerate() {
            let token = tokens.and_then(|tokens| tokens.get(at));
            self.format(&mut xml, recording, format, token.map(String::as_str));
        }
        xml.push_str("</playback></recording>");
        xml
    }

    fn head(&self, xml: &mut String, recording: &Recording) {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        element(xml, "recordID", &recording.record_id);
        element(xml, "meetingID", &text(&recording.meeting_id));
        element(xml, "internalMeetingID", &recording.record_id);
        element(xml, "name", &text(&recording.name));
        known(xml, "isBreakout", recording.facts.is_breakout);
        element(xml, "published", &recording.published.to_string());
        known(xml, "protected", self.protectable.then_some(recording.protected));
        element(xml, "state", &text(&recording.state));
        let ms = |time: Option<Timestamp>| Some(time.map_or(0, |time| time.0));
        number(xml, "startTime", ms(recording.started_at));
        number(xml, "endTime", ms(recording.ended_at));
        number(xml, "participants", recording.participants);
        known(xml, "rawSize", recording.facts.raw_size);
    }

    fn format(
        &self,
        xml: &mut String,
        recording: &Recording,
        format: &PlaybackFormat,
        token: Option<&str>,
    ) {
        xml.push_str("<format>");
        element(xml, "type", &format.format);
        let url = match token {
            Some(token) => {
                let (id, name) = (&recording.record_id, &format.format);
                format!("{}/recording/{id}/{name}?token={token}", self.origin)
            }
            None => self.absolute(format.url.as_deref().unwrap_or_default()),
        };
        element(xml, "url", &url);
        known(xml, "processingTime", format.processing_time);
        number(xml, "length", format.length);
        known(xml, "size", format.size);
        // Whoever needs a token to watch must not see slides without one.
        if token.is_none() && !format.thumbnails.is_empty() {
            xml.push_str("<preview><images>");
            format.thumbnails.iter().for_each(|one| self.image(xml, one));
            xml.push_str("</images></preview>");
        }
        xml.push_str("</format>");
    }

    fn image(&self, xml: &mut String, thumbnail: &Thumbnail) {
        let size = |size: Option<i32>| size.map(|size| size.to_string()).unwrap_or_default();
        let url = self.absolute(thumbnail.url.as_deref().unwrap_or_default());
        xml.push_str(&format!(
            "<image alt=\"{}\" height=\"{}\" width=\"{}\">{}</image>",
            escape(thumbnail.alt.as_deref().unwrap_or_default()),
            size(thumbnail.height),
            size(thumbnail.width),
            escape(&url)
        ));
    }

    /// A link with scheme and host, which some old rows have already.
    fn absolute(&self, path: &str) -> String {
        match path {
            whole if whole.starts_with("https://") || whole.starts_with("http://") => {
                whole.to_owned()
            }
            path if path.starts_with('/') => format!("{}{path}", self.origin),
            path => format!("{}/{path}", self.origin),
        }
    }
}

fn metadata(xml: &mut String, recording: &Recording) {
    xml.push_str("<metadata>");
    for (key, value) in &recording.metadata {
        let name = element_name(key);
        match value.as_deref().unwrap_or_default() {
            // Some front-ends need a node in it.
            "" => xml.push_str(&format!("<{name}><![CDATA[]]></{name}>")),
            value => element(xml, &name, value),
        }
    }
    xml.push_str("</metadata>");
}

fn breakout(xml: &mut String, recording: &Recording) {
    if let Some(place) = &recording.facts.breakout {
        xml.push_str("<breakout>");
        element(xml, "parentId", &place.parent_id);
        known(xml, "sequence", place.sequence);
        known(xml, "freeJoin", place.free_join);
        xml.push_str("</breakout>");
    }
    if !recording.facts.breakout_rooms.is_empty() {
        xml.push_str("<breakoutRooms>");
        let rooms = &recording.facts.breakout_rooms;
        rooms.iter().for_each(|room| element(xml, "breakoutRoom", room));
        xml.push_str("</breakoutRooms>");
    }
}

/// A key as the name of an element: what cannot stand in one becomes `_`.
fn element_name(key: &str) -> String {
    let usable = |c: char| c.is_alphanumeric() && c.is_ascii() || "-_.".contains(c);
    let mut name: String = key.chars().map(|c| if usable(c) { c } else { '_' }).collect();
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !begins_well || name.to_ascii_lowercase().starts_with("xml") {
        name.insert(0, '_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_names_of_elements() {
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
        let view = View { origin: "https://lb.test", protectable: false };
        assert_eq!(view.absolute("/video/r/?a=1"), "https://lb.test/video/r/?a=1");
        assert_eq!(view.absolute("video/r/"), "https://lb.test/video/r/");
        assert_eq!(view.absolute("http://other/video/r/"), "http://other/video/r/");
    }
}
