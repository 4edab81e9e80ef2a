//! Tests of filters, of changes through the API, and of merging archives.

use super::*;
use crate::time::Timestamp;

fn recording(id: &str) -> Recording {
    let state = Some("published".to_owned());
    Recording { record_id: id.to_owned(), published: true, state, ..Recording::default() }
}

fn format(name: &str, length: i32) -> PlaybackFormat {
    let length = Some(length);
    PlaybackFormat { format: name.to_owned(), length_minutes: length, ..PlaybackFormat::default() }
}

fn pair(key: &str, value: &str) -> (String, Option<String>) {
    (key.to_owned(), Some(value.to_owned()))
}

#[test]
fn metadata_matches_are_parsed() {
    let text = |text: &str| text.to_owned();
    assert_eq!(MetadataMatch::parse("a%b"), MetadataMatch::Exact(text("a%b")));
    assert_eq!(MetadataMatch::parse("a%"), MetadataMatch::Prefix(text("a")));
    assert_eq!(MetadataMatch::parse("%a"), MetadataMatch::Suffix(text("a")));
    assert_eq!(MetadataMatch::parse("%a%"), MetadataMatch::Substring(text("a")));
    assert_eq!(MetadataMatch::parse("%"), MetadataMatch::Suffix(text("")));
    assert!(MetadataMatch::parse("%").accepts("anything"));
}

#[test]
fn the_newest_recordings_come_first() {
    let started =
        |id: &str, ms: Option<i64>| Recording { started_at: ms.map(Timestamp), ..recording(id) };
    let mut all =
        [started("a", None), started("b", Some(1)), started("d", Some(2)), started("c", Some(2))];
    all.sort_by(compare_newest_first);
    assert_eq!(all.map(|recording| recording.record_id), ["c", "d", "b", "a"]);
}

#[test]
fn an_archive_adds_new_formats_and_replaces_existing_ones() {
    let mut before = recording("r");
    before.formats = vec![format("notes", 1), format("video", 1)];
    before.details.raw_size = Some(9);
    let mut incoming = recording("r");
    incoming.formats = vec![format("video", 2), format("podcast", 2)];
    let merged = merge_recording(Some(&before), &incoming).unwrap();
    let formats: Vec<_> = merged
        .formats
        .iter()
        .map(|format| (format.format.as_str(), format.length_minutes))
        .collect();
    assert_eq!(formats, [("notes", Some(1)), ("podcast", Some(2)), ("video", Some(2))]);
    assert_eq!(merged.details.raw_size, Some(9));
}

#[test]
fn an_archive_keeps_changes_made_through_the_api() {
    let mut before = recording("r");
    before.metadata = vec![pair("a", "1"), pair("b", "1"), pair(TENANT_KEY, "t")];
    let metadata = vec![("a".to_owned(), Some("2".to_owned())), ("b".to_owned(), None)];
    RecordingChange { metadata, protected: Some(true), tenant: None }.apply(&mut before);
    before.published = false;
    before.state = Some("unpublished".to_owned());
    before.publish_updated = true;
    let mut incoming = recording("r");
    incoming.metadata = vec![pair("a", "1"), pair("b", "1"), pair("c", "1"), pair(TENANT_KEY, "u")];
    let merged = merge_recording(Some(&before), &incoming).unwrap();
    assert_eq!(merged.metadata, [pair("a", "2"), pair("c", "1"), pair(TENANT_KEY, "t")]);
    assert_eq!((merged.published, merged.protected), (false, true));
    assert_eq!(merged.state.as_deref(), Some("unpublished"));
    assert_eq!(
        merge_recording(Some(&before), &merged),
        Some(merged.clone()),
        "importing it again changes nothing"
    );
}

/// An archive with one format and these values.
fn archive(name: &str, metadata: &[(&str, &str)]) -> Recording {
    let mut archive = Recording { formats: vec![format(name, 1)], ..recording("r") };
    archive.metadata = metadata.iter().map(|(key, value)| pair(key, value)).collect();
    let source = |(key, _): &(&str, &str)| ((*key).to_owned(), name.to_owned());
    archive.details.metadata_formats = metadata.iter().map(source).collect();
    archive
}

#[test]
fn metadata_of_all_formats_is_united_and_the_first_that_came_decides() {
    let merge = |before: &Recording, incoming| merge_recording(Some(before), &incoming).unwrap();
    let first = archive("presentation", &[("a", "1"), ("b", "1")]);
    let second = merge(&first, archive("capture", &[("b", "2"), ("c", "2")]));
    assert_eq!(second.metadata, [pair("a", "1"), pair("b", "1"), pair("c", "2")]);
    // A format that comes again replaces what it brought, and nothing vanishes.
    let again = merge(&second, archive("presentation", &[("b", "3"), ("c", "3")]));
    assert_eq!(again.metadata, [pair("a", "1"), pair("b", "3"), pair("c", "2")]);
    assert_eq!(merge(&again, archive("presentation", &[("b", "3"), ("c", "3")])), again);
    // It is not known which formats the values of the original came with.
    let mut original = first;
    original.details.metadata_formats.clear();
    let further = merge(&original, archive("video", &[("a", "2"), ("d", "2")]));
    assert_eq!(further.metadata, [pair("a", "1"), pair("b", "1"), pair("d", "2")]);
    let rebuilt = merge(&original, archive("presentation", &[("a", "2")]));
    assert_eq!(rebuilt.metadata, [pair("a", "2"), pair("b", "1")]);
}

#[test]
fn edits_outlast_the_metadata_of_later_archives() {
    let mut before = archive("notes", &[("a", "1"), ("b", "1")]);
    let metadata = vec![("a".to_owned(), Some("edited".to_owned())), ("b".to_owned(), None)];
    RecordingChange { metadata, ..RecordingChange::default() }.apply(&mut before);
    let incoming = archive("video", &[("a", "2"), ("b", "2"), ("c", "2")]);
    let merged = merge_recording(Some(&before), &incoming).unwrap();
    assert_eq!(merged.metadata, [pair("a", "edited"), pair("c", "2")]);
}

#[test]
fn deleted_recordings_stay_deleted_and_internal_metadata_is_dropped() {
    let mut incoming = recording("r");
    incoming.metadata = INTERNAL_KEYS.iter().map(|key| pair(key, "x")).collect();
    assert_eq!(merge_recording(None, &incoming).unwrap().metadata, []);
    let deleted = Recording { state: Some("deleted".to_owned()), ..recording("r") };
    assert_eq!(merge_recording(Some(&deleted), &incoming), None);
}
