//! What the metadata files of an archive say of its recording, in our terms.

use bbb::metadata::{Metadata, MetadataImage};
use domain::Timestamp;
use domain::recording::catalog::IncomingRecording;
use domain::recording::{BreakoutPlace, PlaybackFormat, Recording, RecordingFormatId, Thumbnail};

use super::ImportRules;

/// Metadata that has a place of its own.
const INTERNAL_META_KEYS: [&str; 3] = ["meetingId", "meetingName", "isBreakout"];

/// Whether a file tells of the format and recording in whose directory it lies.
///
/// # Errors
/// What does not fit.
pub(super) fn check_identity(book: &RecordingFormatId, metadata: &Metadata) -> Result<(), String> {
    if metadata.id != book.record_id.as_str() {
        return Err("its metadata.xml has another id than its directory".to_owned());
    }
    if metadata.playback.format != book.format.as_str() {
        return Err("its metadata.xml names another format than its directory".to_owned());
    }
    if metadata.state == "deleted" {
        return Err("its metadata.xml says that it was deleted".to_owned());
    }
    Ok(())
}

/// One recording of several formats. Where they differ the first one that says anything counts.
pub(super) fn build_incoming(
    found: &[(RecordingFormatId, Metadata)],
    rules: ImportRules,
) -> IncomingRecording {
    let mut recording = Recording { protected: rules.protected, ..Recording::default() };
    for (at, (book, metadata)) in found.iter().enumerate() {
        if at == 0 {
            recording.record_id = metadata.id.clone();
            (recording.published, recording.state) = read_publication(metadata, rules);
            recording.metadata = read_meta(metadata);
        }
        fill_missing(&mut recording, metadata);
        recording.formats.push(convert_format(book, metadata));
    }
    recording.formats.sort_by(|one, other| one.format.cmp(&other.format));
    IncomingRecording { recording }
}

/// Adds what is not known yet.
fn fill_missing(recording: &mut Recording, metadata: &Metadata) {
    let named = |key: &str| metadata.meta(key).filter(|text| !text.is_empty()).map(str::to_owned);
    let own = |text: &Option<String>| text.clone();
    let meeting = &metadata.meeting;
    set_if_missing(
        &mut recording.meeting_id,
        named("meetingId").or_else(|| own(&meeting.external_id)),
    );
    let escaped = meeting.name.as_deref().map(unescape);
    set_if_missing(&mut recording.name, named("meetingName").or(escaped));
    set_if_missing(&mut recording.participants, metadata.participants);
    set_if_missing(&mut recording.started_at, find_start_time(metadata));
    set_if_missing(&mut recording.ended_at, metadata.end_time_ms.map(Timestamp));
    let facts = &mut recording.details;
    let is_breakout = metadata.meta("isBreakout").map(|text| text == "true");
    set_if_missing(&mut facts.is_breakout, is_breakout.or(meeting.breakout));
    set_if_missing(&mut facts.raw_size, metadata.raw_size);
    set_if_missing(&mut facts.breakout, convert_breakout(metadata));
    if facts.breakout_rooms.is_empty() {
        facts.breakout_rooms.clone_from(&metadata.breakout_rooms);
    }
}

fn set_if_missing<T>(known: &mut Option<T>, found: Option<T>) {
    if known.is_none() {
        *known = found;
    }
}

fn read_publication(metadata: &Metadata, rules: ImportRules) -> (bool, Option<String>) {
    if rules.unpublished {
        return (false, Some("unpublished".to_owned()));
    }
    // Formats that write their file once say `available`.
    let state = if metadata.state == "available" { "published" } else { metadata.state.as_str() };
    let published = metadata.published.unwrap_or(state == "published");
    let usual = if published { "published" } else { "unpublished" };
    (published, Some(if state.is_empty() { usual } else { state }.to_owned()))
}

fn read_meta(metadata: &Metadata) -> Vec<(String, Option<String>)> {
    let stored =
        metadata.meta.iter().filter(|(key, _)| !INTERNAL_META_KEYS.contains(&key.as_str()));
    let mut stored: Vec<_> =
        stored.map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    stored.sort();
    stored
}

/// When the meeting began. Stubs do not say so, but the end of BBB's ids does.
fn find_start_time(metadata: &Metadata) -> Option<Timestamp> {
    let by_id = || {
        let (_, ms) = metadata.id.rsplit_once('-').filter(|(_, ms)| ms.len() == 13)?;
        ms.bytes().all(|byte| byte.is_ascii_digit()).then(|| ms.parse().ok())?
    };
    metadata.start_time_ms.or_else(by_id).map(Timestamp)
}

fn convert_breakout(metadata: &Metadata) -> Option<BreakoutPlace> {
    let breakout = metadata.breakout.as_ref().filter(|it| !it.parent_id.is_empty())?;
    Some(BreakoutPlace {
        parent_id: breakout.parent_id.clone(),
        sequence: breakout.sequence,
        free_join: breakout.free_join,
    })
}

fn convert_format(book: &RecordingFormatId, metadata: &Metadata) -> PlaybackFormat {
    let playback = &metadata.playback;
    let images = (0..).zip(&playback.images);
    PlaybackFormat {
        format: book.format.as_str().to_owned(),
        url: path_and_query(&playback.link),
        length_minutes: playback.duration_ms.and_then(to_minutes),
        processing_time_ms: playback.processing_time_ms.and_then(|ms| i32::try_from(ms).ok()),
        thumbnails: images.map(|(sequence, image)| convert_thumbnail(sequence, image)).collect(),
        size: playback.size,
    }
}

fn convert_thumbnail(sequence: i32, image: &MetadataImage) -> Thumbnail {
    Thumbnail {
        width: image.width,
        height: image.height,
        alt: image.alt.clone(),
        url: path_and_query(&image.url),
        sequence: Some(sequence),
    }
}

/// Milliseconds in minutes, rounded half up, as the original does.
fn to_minutes(ms: i64) -> Option<i32> {
    i32::try_from(ms.saturating_add(30_000) / 60_000).ok()
}

/// What of a URL is the same on every host, with one slash at its beginning: two would name a host.
fn path_and_query(url: &str) -> Option<String> {
    let url = url.split('#').next().unwrap_or_default();
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find(['/', '?']).map_or("", |at| &rest[at..]),
        None => url.starts_with('/').then_some(url)?,
    };
    let strange = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
    (!path.contains(strange)).then(|| format!("/{}", path.trim_start_matches('/')))
}

/// BBB escapes names once more than XML needs.
fn unescape(name: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    pairs.iter().fold(name.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use domain::recording::{FormatName, RecordId};

    use super::*;

    const ID: &str = "0aa9d7c1f26d0e4a8b1c3d5e7f9a1b2c3d4e5f60-1718000000123";

    fn parse_format(format: &str, xml: &str) -> (RecordingFormatId, Metadata) {
        let text = format!("<recording><id>{ID}</id>{xml}</recording>");
        let book = RecordingFormatId {
            format: FormatName::parse(format).unwrap(),
            record_id: RecordId::parse(ID).unwrap(),
        };
        (book, Metadata::read(text.as_bytes()).unwrap())
    }

    fn build_recording(found: &[(RecordingFormatId, Metadata)]) -> Recording {
        build_incoming(found, ImportRules::default()).recording
    }

    #[test]
    fn formats_complete_each_other() {
        let video = parse_format(
            "video",
            "<state>available</state><published>true</published><start_time/>\
             <playback><format>video</format><link> https://n/playback/video/x/?a=b#c </link>\
             <duration>90000</duration></playback>\
             <meta><meetingId>m</meetingId><isBreakout>false</isBreakout><z>1</z><a/></meta>",
        );
        let slides = parse_format(
            "presentation",
            "<state>published</state><participants>3</participants><end_time>5</end_time>\
             <meeting name=\"A &amp;amp; B\" externalId=\"other\"/><raw_size>7</raw_size>\
             <playback><format>presentation</format><link>https://n</link><duration>89999</duration>\
             <extensions><preview><images><image>https://n//p/t.png</image></images></preview></extensions></playback>",
        );
        let recording = build_recording(&[video, slides]);
        assert_eq!((recording.published, recording.state.as_deref()), (true, Some("published")));
        assert_eq!(recording.meeting_id.as_deref(), Some("m"));
        assert_eq!(recording.name.as_deref(), Some("A & B"));
        assert_eq!(recording.started_at, Some(Timestamp(1_718_000_000_123)));
        assert_eq!((recording.ended_at, recording.participants), (Some(Timestamp(5)), Some(3)));
        assert_eq!(
            (recording.details.is_breakout, recording.details.raw_size),
            (Some(false), Some(7))
        );
        let pair = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
        assert_eq!(recording.metadata, [pair("a", ""), pair("z", "1")]);
        let [slides, video] = &recording.formats[..] else { panic!("two formats") };
        assert_eq!(video.url.as_deref(), Some("/playback/video/x/?a=b"));
        assert_eq!((video.length_minutes, slides.length_minutes), (Some(2), Some(1)));
        assert_eq!(slides.url.as_deref(), Some("/"));
        assert_eq!(slides.thumbnails[0].url.as_deref(), Some("/p/t.png"));
    }

    #[test]
    fn the_flag_decides_where_the_files_go_and_the_settings_win() {
        let hidden =
            [parse_format("notes", "<state>published</state><published>false</published>")];
        let told = build_recording(&hidden);
        assert_eq!((told.published, told.state.as_deref()), (false, Some("published")));
        let shown = [parse_format("notes", "<published>true</published>")];
        let rules = ImportRules { unpublished: true, protected: true };
        let told = build_incoming(&shown, rules).recording;
        assert_eq!((told.published, told.state.as_deref()), (false, Some("unpublished")));
        assert!(told.protected && build_recording(&shown).published);
    }

    #[test]
    fn invalid_links_are_dropped() {
        for bad in ["", "x/y", "javascript:alert(1)", "https://n/a b", "https://n/a\\b"] {
            assert_eq!(path_and_query(bad), None, "{bad}");
        }
        assert_eq!(path_and_query("https://n?x").as_deref(), Some("/?x"));
        assert_eq!(path_and_query("//evil/x").as_deref(), Some("/evil/x"));
    }

    #[test]
    fn metadata_in_the_wrong_directory_is_refused() {
        let (book, metadata) = parse_format("video", "<playback><format>video</format></playback>");
        assert_eq!(check_identity(&book, &metadata), Ok(()));
        let elsewhere =
            RecordingFormatId { format: FormatName::parse("notes").unwrap(), ..book.clone() };
        assert!(check_identity(&elsewhere, &metadata).is_err());
        let deleted = Metadata { state: "deleted".to_owned(), ..metadata.clone() };
        assert!(check_identity(&book, &deleted).is_err());
        let other = Metadata { id: "other".to_owned(), ..metadata };
        assert!(check_identity(&book, &other).is_err());
    }
}
