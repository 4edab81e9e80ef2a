//! Converts the metadata files of an archive to a recording.

use bbb::metadata::{Metadata, MetadataImage};
use domain::Timestamp;
use domain::recording::catalog::{INTERNAL_KEYS, IncomingRecording};
use domain::recording::{BreakoutPlace, PlaybackFormat, Recording, Thumbnail};

use super::importer::ImportRules;

/// Builds one recording of the metadata of its formats. Where they differ, the first format that
/// has a value decides.
pub(super) fn build_incoming<'a>(
    formats: impl IntoIterator<Item = &'a Metadata>,
    rules: ImportRules,
) -> IncomingRecording {
    let mut recording = Recording { protected: rules.protected, ..Recording::default() };
    for (index, metadata) in formats.into_iter().enumerate() {
        if index == 0 {
            recording.record_id = metadata.id.clone();
            (recording.published, recording.state) = read_publication(metadata, rules);
            recording.metadata = read_meta(metadata);
        }
        fill_missing(&mut recording, metadata);
        recording.formats.push(convert_format(metadata));
    }
    recording.formats.sort_by(|a, b| a.format.cmp(&b.format));
    IncomingRecording { recording }
}

/// Fills the fields that earlier formats had no value for.
fn fill_missing(recording: &mut Recording, metadata: &Metadata) {
    let meta_text =
        |key: &str| metadata.meta(key).filter(|text| !text.is_empty()).map(str::to_owned);
    let meeting = &metadata.meeting;
    let meeting_id = meta_text("meetingId").or_else(|| meeting.external_id.clone());
    set_if_missing(&mut recording.meeting_id, meeting_id);
    let name = meta_text("meetingName").or_else(|| meeting.name.as_deref().map(unescape));
    set_if_missing(&mut recording.name, name);
    set_if_missing(&mut recording.participants, metadata.participants);
    set_if_missing(&mut recording.started_at, find_start_time(metadata));
    set_if_missing(&mut recording.ended_at, metadata.end_time_ms.map(Timestamp));
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
    // Formats whose metadata file is written only once have the state `available`.
    let state = if metadata.state == "available" { "published" } else { metadata.state.as_str() };
    let published = metadata.published.unwrap_or(state == "published");
    let default_state = if published { "published" } else { "unpublished" };
    (published, Some(if state.is_empty() { default_state } else { state }.to_owned()))
}

fn read_meta(metadata: &Metadata) -> Vec<(String, Option<String>)> {
    let kept = metadata.meta.iter().filter(|(key, _)| !INTERNAL_KEYS.contains(&key.as_str()));
    let mut kept: Vec<_> = kept.map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    kept.sort();
    kept
}

/// Returns when the meeting began. Metadata stubs have no start time, but BBB's record ids end with
/// it.
fn find_start_time(metadata: &Metadata) -> Option<Timestamp> {
    let from_id = || {
        let (_, ms) = metadata.id.rsplit_once('-').filter(|(_, ms)| ms.len() == 13)?;
        ms.bytes().all(|byte| byte.is_ascii_digit()).then(|| ms.parse().ok())?
    };
    metadata.start_time_ms.or_else(from_id).map(Timestamp)
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

    fn parse_metadata(xml: &str) -> Metadata {
        let text = format!("<recording><id>{ID}</id>{xml}</recording>");
        Metadata::read(text.as_bytes()).unwrap()
    }

    fn build_recording(formats: &[Metadata]) -> Recording {
        build_incoming(formats, ImportRules::default()).recording
    }

    #[test]
    fn formats_complete_each_other() {
        let video = parse_metadata(
            "<state>available</state><published>true</published><start_time/>\
             <playback><format>video</format><link> https://n/playback/video/x/?a=b#c </link>\
             <duration>90000</duration></playback>\
             <meta><meetingId>m</meetingId><isBreakout>false</isBreakout><z>1</z><a/></meta>",
        );
        let slides = parse_metadata(
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
    fn the_published_flag_decides_and_the_settings_override_it() {
        let hidden = [parse_metadata("<state>published</state><published>false</published>")];
        let recording = build_recording(&hidden);
        assert_eq!((recording.published, recording.state.as_deref()), (false, Some("published")));
        let shown = [parse_metadata("<published>true</published>")];
        let rules = ImportRules { unpublished: true, protected: true };
        let recording = build_incoming(&shown, rules).recording;
        assert_eq!((recording.published, recording.state.as_deref()), (false, Some("unpublished")));
        assert!(recording.protected && build_recording(&shown).published);
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
