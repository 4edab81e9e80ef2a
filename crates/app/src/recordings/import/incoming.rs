//! Converts the metadata files of an archive to a recording.

use bbb::metadata::{Metadata, MetadataImage};
use domain::Timestamp;
use domain::recording::catalog::{INTERNAL_KEYS, IncomingRecording};
use domain::recording::times::{believable, time_in_id};
use domain::recording::{BreakoutPlace, PlaybackFormat, Recording, Thumbnail};

use super::importer::ImportRules;

/// Builds one recording of the metadata of its formats. Where they differ, the first format that
/// has a value decides. Metadata is that of all formats.
pub(in crate::recordings) fn build_incoming<'a>(
    formats: impl IntoIterator<Item = &'a Metadata>,
    rules: ImportRules,
    now: Timestamp,
) -> IncomingRecording {
    let mut recording = Recording { protected: rules.protected, ..Recording::default() };
    for (index, metadata) in formats.into_iter().enumerate() {
        if index == 0 {
            recording.record_id = metadata.id.clone();
            (recording.published, recording.state) = read_publication(metadata, rules);
        }
        add_meta(&mut recording, metadata);
        fill_missing(&mut recording, metadata, now);
        recording.formats.push(convert_format(metadata));
    }
    recording.formats.sort_by(|a, b| a.format.cmp(&b.format));
    recording.metadata.sort();
    recording.details.metadata_formats.sort();
    IncomingRecording { recording }
}

/// Fills the fields that earlier formats had no value for.
fn fill_missing(recording: &mut Recording, metadata: &Metadata, now: Timestamp) {
    let meta_text =
        |key: &str| metadata.meta(key).filter(|text| !text.is_empty()).map(str::to_owned);
    let meeting = &metadata.meeting;
    let meeting_id = meta_text("meetingId").or_else(|| meeting.external_id.clone());
    set_if_missing(&mut recording.meeting_id, meeting_id);
    let name = meta_text("meetingName").or_else(|| meeting.name.as_deref().map(unescape));
    set_if_missing(&mut recording.name, name);
    set_if_missing(&mut recording.participants, metadata.participants);
    let (started_at, ended_at) = find_times(metadata, now);
    set_if_missing(&mut recording.started_at, started_at);
    set_if_missing(&mut recording.ended_at, ended_at);
    let details = &mut recording.details;
    let is_breakout = metadata.meta("isBreakout").map(|text| text == "true");
    set_if_missing(&mut details.is_breakout, is_breakout.or(meeting.breakout));
    set_if_missing(&mut details.raw_size, metadata.raw_size);
    set_if_missing(&mut details.breakout, convert_breakout(metadata));
    if details.breakout_rooms.is_empty() {
        details.breakout_rooms.clone_from(&metadata.breakout_rooms);
    }
}

fn set_if_missing<T>(field: &mut Option<T>, value: Option<T>) {
    if field.is_none() {
        *field = value;
    }
}

/// Returns whether the recording is published, and its state.
fn read_publication(metadata: &Metadata, rules: ImportRules) -> (bool, Option<String>) {
    if rules.unpublished {
        return (false, Some("unpublished".to_owned()));
    }
    const KNOWN_STATES: [&str; 4] = ["published", "unpublished", "processing", "processed"];
    // Formats whose metadata file is written only once have the state `available`. Of an unknown
    // state, `published` decides.
    let state = match metadata.state.as_str() {
        "available" => "published",
        known if KNOWN_STATES.contains(&known) => known,
        _ => "",
    };
    let published = metadata.published.unwrap_or(state == "published");
    let default_state = if published { "published" } else { "unpublished" };
    (published, Some(if state.is_empty() { default_state } else { state }.to_owned()))
}

/// Adds the metadata whose keys earlier formats did not have.
fn add_meta(recording: &mut Recording, metadata: &Metadata) {
    for (key, value) in &metadata.meta {
        let is_known = recording.metadata.iter().any(|(name, _)| name == key);
        if is_known || INTERNAL_KEYS.contains(&key.as_str()) {
            continue;
        }
        recording.metadata.push((key.clone(), Some(value.clone())));
        let format = metadata.playback.format.clone();
        recording.details.metadata_formats.push((key.clone(), format));
    }
}

/// Returns when the meeting began and ended, as far as the times can be true. Metadata stubs have no
/// start time, but BBB's record ids end with it.
fn find_times(metadata: &Metadata, now: Timestamp) -> (Option<Timestamp>, Option<Timestamp>) {
    let started_at = believable(metadata.start_time_ms.map(Timestamp), now);
    let started_at = started_at.or_else(|| believable(time_in_id(&metadata.id), now));
    let ended_at = believable(metadata.end_time_ms.map(Timestamp), now);
    (started_at, ended_at.filter(|ended_at| started_at.is_none_or(|start| start <= *ended_at)))
}

fn convert_breakout(metadata: &Metadata) -> Option<BreakoutPlace> {
    let breakout = metadata.breakout.as_ref().filter(|breakout| !breakout.parent_id.is_empty())?;
    Some(BreakoutPlace {
        parent_id: breakout.parent_id.clone(),
        sequence: breakout.sequence,
        free_join: breakout.free_join,
    })
}

fn convert_format(metadata: &Metadata) -> PlaybackFormat {
    let playback = &metadata.playback;
    let images = (0..).zip(&playback.images);
    PlaybackFormat {
        format: playback.format.clone(),
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

/// Converts milliseconds to minutes, rounded half up as the original does.
fn to_minutes(ms: i64) -> Option<i32> {
    i32::try_from(ms.saturating_add(30_000) / 60_000).ok()
}

/// Returns path and query of a URL, which begin with exactly one slash: two would name a host.
/// `None` for anything but an absolute URL or path.
fn path_and_query(url: &str) -> Option<String> {
    let url = url.split('#').next().unwrap_or_default();
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find(['/', '?']).map_or("", |start| &rest[start..]),
        None => url.starts_with('/').then_some(url)?,
    };
    let is_invalid = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
    (!path.contains(is_invalid)).then(|| format!("/{}", path.trim_start_matches('/')))
}

/// Undoes the escaping of a name: BBB escapes names once more than XML needs.
fn unescape(name: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    pairs.iter().fold(name.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0aa9d7c1f26d0e4a8b1c3d5e7f9a1b2c3d4e5f60-1718000000123";

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn parse_metadata(xml: &str) -> Metadata {
        let text = format!("<recording><id>{ID}</id>{xml}</recording>");
        Metadata::read(text.as_bytes()).unwrap()
    }

    fn build_recording(formats: &[Metadata]) -> Recording {
        build_incoming(formats, ImportRules::default(), NOW).recording
    }

    #[test]
    fn formats_complete_each_other() {
        let video = parse_metadata(
            "<state>available</state><published>true</published><start_time/>\
             <playback><format>video</format><link> https://n/playback/video/x/?a=b#c </link>\
             <duration>90000</duration></playback>\
             <meta><meetingId>m</meetingId><isBreakout>false</isBreakout><z>1</z><a/><v>2</v></meta>",
        );
        let slides = parse_metadata(
            "<state>published</state><participants>3</participants>\
             <end_time>1718000000125</end_time><meta><a>first</a><s>1</s></meta>\
             <meeting name=\"A &amp;amp; B\" externalId=\"other\"/><raw_size>7</raw_size>\
             <playback><format>presentation</format><link>https://n</link><duration>89999</duration>\
             <extensions><preview><images><image>https://n//p/t.png</image></images></preview></extensions></playback>",
        );
        let recording = build_recording(&[video, slides]);
        assert_eq!((recording.published, recording.state.as_deref()), (true, Some("published")));
        assert_eq!(recording.meeting_id.as_deref(), Some("m"));
        assert_eq!(recording.name.as_deref(), Some("A & B"));
        assert_eq!(recording.started_at, Some(Timestamp(1_718_000_000_123)));
        assert_eq!(recording.ended_at, Some(Timestamp(1_718_000_000_125)));
        assert_eq!(recording.participants, Some(3));
        assert_eq!(
            (recording.details.is_breakout, recording.details.raw_size),
            (Some(false), Some(7))
        );
        let pair = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
        assert_eq!(
            recording.metadata,
            [pair("a", ""), pair("s", "1"), pair("v", "2"), pair("z", "1")]
        );
        let sources = &recording.details.metadata_formats;
        let source = |key: &str, format: &str| (key.to_owned(), format.to_owned());
        assert_eq!(sources.first(), Some(&source("a", "video")));
        assert_eq!(sources.last(), Some(&source("z", "video")));
        let [slides, video] = &recording.formats[..] else { panic!("two formats") };
        assert_eq!(video.url.as_deref(), Some("/playback/video/x/?a=b"));
        assert_eq!((video.length_minutes, slides.length_minutes), (Some(2), Some(1)));
        assert_eq!(slides.url.as_deref(), Some("/"));
        assert_eq!(slides.thumbnails[0].url.as_deref(), Some("/p/t.png"));
    }

    #[test]
    fn the_published_flag_decides_and_the_settings_override_it() {
        let hidden = [parse_metadata("<state>published</state><published>false</published>")];
        let recording = build_recording(&hidden);
        assert_eq!((recording.published, recording.state.as_deref()), (false, Some("published")));
        let shown = [parse_metadata("<published>true</published>")];
        let rules = ImportRules { unpublished: true, protected: true };
        let recording = build_incoming(&shown, rules, NOW).recording;
        assert_eq!((recording.published, recording.state.as_deref()), (false, Some("unpublished")));
        assert!(recording.protected && build_recording(&shown).published);
    }

    #[test]
    fn unknown_states_follow_from_the_published_flag() {
        for (state, published, expected) in [
            ("archived", "true", "published"),
            ("archived", "false", "unpublished"),
            ("Publié", "", "unpublished"),
            ("processing", "false", "processing"),
            ("", "true", "published"),
        ] {
            let xml = format!("<state>{state}</state><published>{published}</published>");
            let recording = build_recording(&[parse_metadata(&xml)]);
            assert_eq!(recording.state.as_deref(), Some(expected), "{state}");
            assert_eq!(recording.published, expected == "published", "{state}");
        }
    }

    #[test]
    fn times_that_cannot_be_true_are_ignored() {
        let times = |start: &str, end: &str| {
            let xml = format!("<start_time>{start}</start_time><end_time>{end}</end_time>");
            let recording = build_recording(&[parse_metadata(&xml)]);
            (recording.started_at.map(|time| time.0), recording.ended_at.map(|time| time.0))
        };
        let in_id = Some(1_718_000_000_123);
        assert_eq!(times("0", "0"), (in_id, None));
        assert_eq!(times("1718000000", "1718000000999.5"), (in_id, Some(1_718_000_000_999)));
        assert_eq!(times("1718000001000", "1718000000999"), (Some(1_718_000_001_000), None));
        assert_eq!(times("1718000001000", "9718000000999"), (Some(1_718_000_001_000), None));
    }

    #[test]
    fn invalid_links_are_dropped() {
        for bad in ["", "x/y", "javascript:alert(1)", "https://n/a b", "https://n/a\\b"] {
            assert_eq!(path_and_query(bad), None, "{bad}");
        }
        assert_eq!(path_and_query("https://n?x").as_deref(), Some("/?x"));
        assert_eq!(path_and_query("//evil/x").as_deref(), Some("/evil/x"));
    }
}
