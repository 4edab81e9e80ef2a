//! Unpacks an archive and reads the metadata of its formats.

use std::collections::BTreeMap;

use bbb::metadata::Metadata;
use domain::recording::{FormatName, RecordId, RecordingFormatId};

use super::importer::Importer;
use super::result::{ImportFailure, join_some};
use crate::ports::{UnpackedFormat, UploadId};

/// The contents of an unpacked archive.
#[derive(Default)]
pub(super) struct UnpackedArchive {
    /// The recordings, in the order of their ids.
    pub(super) recordings: Vec<UnpackedRecording>,
    /// Why formats cannot be imported, one text for each.
    pub(super) errors: Vec<String>,
    /// What was left out of the formats, one text for each.
    pub(super) left_out: Vec<String>,
}

/// The formats of one recording in an unpacked archive.
pub(super) struct UnpackedRecording {
    /// The recording.
    pub(super) record_id: RecordId,
    /// The formats that can be imported, at least one, with their metadata.
    pub(super) formats: Vec<(UnpackedFormat, Metadata)>,
}

impl Importer {
    /// Unpacks an archive.
    ///
    /// # Errors
    /// When the archive cannot be unpacked, or none of its formats can be imported.
    pub(super) async fn unpack_archive(
        &self,
        name: &str,
        token: &str,
    ) -> Result<UnpackedArchive, ImportFailure> {
        let mut archive = UnpackedArchive::default();
        let mut recordings = BTreeMap::<RecordId, Vec<_>>::new();
        for unpacked in self.spool.unpack_archive(name, token).await? {
            let RecordingFormatId { format, record_id } = unpacked.format_id.clone();
            match parse_format_metadata(name, &unpacked) {
                Ok(metadata) => {
                    let left_out = unpacked.left_out.iter();
                    archive.left_out.extend(left_out.map(|text| format!("{format}: {text}")));
                    recordings.entry(record_id).or_default().push((unpacked, metadata));
                }
                Err(reason) => archive.errors.push(format!("{format}: {reason}")),
            }
        }
        let recordings = recordings.into_iter();
        archive.recordings = recordings
            .map(|(record_id, formats)| UnpackedRecording { record_id, formats })
            .collect();
        match (archive.recordings.is_empty(), archive.errors.is_empty()) {
            (false, _) => Ok(archive),
            (true, true) => {
                Err(ImportFailure::InvalidArchive("there is no recording in it".to_owned()))
            }
            (true, false) => Err(ImportFailure::InvalidArchive(join_some(&archive.errors))),
        }
    }
}

/// Parses the metadata of a format, and checks that the format belongs into this archive.
fn parse_format_metadata(archive: &str, unpacked: &UnpackedFormat) -> Result<Metadata, String> {
    let bytes = unpacked.metadata.as_ref().map_err(Clone::clone)?;
    if !may_contain(archive, &unpacked.format_id) {
        let record_id = &unpacked.format_id.record_id;
        return Err(format!("{record_id} is not what the archive's name says"));
    }
    let metadata = Metadata::read(bytes).map_err(|error| error.to_string())?;
    check_identity(&unpacked.format_id, &metadata)?;
    Ok(metadata)
}

/// Whether an archive of this name may contain a format. The name of an archive that a BBB server
/// sends is a record id, alone or with a format, and must name what is in it. Other names say
/// nothing about the contents.
fn may_contain(archive: &str, format_id: &RecordingFormatId) -> bool {
    if let Some(upload) = UploadId::from_archive_name(archive) {
        return upload.record_id == format_id.record_id;
    }
    const EXTENSIONS: [&str; 5] = [".tar.gz", ".tar.zst", ".tgz", ".tzst", ".tar"];
    let strip = |extension: &&str| {
        let (stem, ending) =
            archive.split_at_checked(archive.len().checked_sub(extension.len())?)?;
        ending.eq_ignore_ascii_case(extension).then_some(stem)
    };
    let stem = EXTENSIONS.iter().find_map(strip).unwrap_or(archive);
    let RecordingFormatId { record_id, format } = format_id;
    let is_named = stem == record_id.as_str() || *stem == format!("{record_id}-{format}");
    is_named || !names_recording(stem)
}

/// Whether a name is an id as BBB makes them, possibly with a format.
fn names_recording(stem: &str) -> bool {
    let second_dash = stem.match_indices('-').nth(1).map(|(at, _)| at);
    let (id, format) = match second_dash {
        Some(at) => (&stem[..at], Some(&stem[at + 1..])),
        None => (stem, None),
    };
    RecordId::parse(id).is_some_and(|id| id.is_made_by_bbb())
        && format.is_none_or(|format| FormatName::parse(format).is_some())
}

/// Checks that a metadata file describes the format and recording in whose directory it lies.
///
/// # Errors
/// The first mismatch.
pub(in crate::recordings) fn check_identity(
    format_id: &RecordingFormatId,
    metadata: &Metadata,
) -> Result<(), String> {
    if metadata.id != format_id.record_id.as_str() {
        return Err("its metadata.xml has another id than its directory".to_owned());
    }
    if metadata.playback.format != format_id.format.as_str() {
        return Err("its metadata.xml names another format than its directory".to_owned());
    }
    if metadata.state == "deleted" {
        return Err("its metadata.xml says that it was deleted".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_in_the_wrong_directory_is_refused() {
        let xml = b"<recording><id>r1</id><playback><format>video</format></playback></recording>";
        let metadata = Metadata::read(xml).unwrap();
        let check = |format: &str, metadata: &Metadata| {
            check_identity(&RecordingFormatId::parse("r1", format).unwrap(), metadata)
        };
        assert_eq!(check("video", &metadata), Ok(()));
        assert!(check("notes", &metadata).is_err());
        let deleted = Metadata { state: "deleted".to_owned(), ..metadata.clone() };
        assert!(check("video", &deleted).is_err());
        let other = Metadata { id: "other".to_owned(), ..metadata };
        assert!(check("video", &other).is_err());
    }

    #[test]
    fn only_names_of_recordings_bind_the_contents() {
        const ID: &str = "0aa9d7c1f26d0e4a8b1c3d5e7f9a1b2c3d4e5f60-1718000000123";
        const OTHER: &str = "1aa9d7c1f26d0e4a8b1c3d5e7f9a1b2c3d4e5f60-1718000000123";
        let video = RecordingFormatId::parse(ID, "video").unwrap();
        for name in ["lecture.tar", "Vorlesung 3 (Kopie).tar.zst", "a.tgz", "a-1718000000123.tar"] {
            assert!(may_contain(name, &video), "{name}");
        }
        let upload = "~0123456789abcdef.upload.tar";
        for suffix in [".tar", ".TAR", ".tar.gz", ".tar.zst", "-video.tar", upload] {
            assert!(may_contain(&format!("{ID}{suffix}"), &video), "{suffix}");
            assert!(!may_contain(&format!("{OTHER}{suffix}"), &video), "{suffix}");
        }
        assert!(!may_contain(&format!("{ID}-notes.tar"), &video));
        assert!(may_contain(&format!("{OTHER} (1).tar"), &video));
        assert!(!may_contain(&format!("lecture{upload}"), &video));
    }
}
