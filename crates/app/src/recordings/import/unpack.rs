//! Unpacks an archive and reads the metadata of its formats.

use bbb::metadata::Metadata;
use domain::recording::{RecordId, RecordingFormatId};

use super::importer::Importer;
use super::result::ImportFailure;
use crate::ports::UnpackedFormat;

/// The formats of an unpacked archive. An archive holds formats of a single recording.
pub(super) struct UnpackedRecording {
    /// The recording.
    pub(super) record_id: RecordId,
    /// The formats that can be imported, at least one, with their metadata.
    pub(super) formats: Vec<(UnpackedFormat, Metadata)>,
    /// Why the other formats cannot be imported, one text for each.
    pub(super) errors: Vec<String>,
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
    ) -> Result<UnpackedRecording, ImportFailure> {
        let (mut formats, mut errors) = (Vec::new(), Vec::new());
        for unpacked in self.spool.unpack_archive(name, token).await? {
            match parse_format_metadata(name, &unpacked) {
                Ok(metadata) => formats.push((unpacked, metadata)),
                Err(reason) => errors.push(format!("{}: {reason}", unpacked.format_id.format)),
            }
        }
        // The name of an archive holds one record id, and formats of any other recording are
        // errors.
        let first = formats.first().map(|(format, _)| format.format_id.record_id.clone());
        match first {
            Some(record_id) => Ok(UnpackedRecording { record_id, formats, errors }),
            None if errors.is_empty() => {
                Err(ImportFailure::InvalidArchive("there is no recording in it".to_owned()))
            }
            None => Err(ImportFailure::InvalidArchive(errors.join("; "))),
        }
    }
}

/// Parses the metadata of a format, and checks that the format belongs into this archive.
fn parse_format_metadata(archive: &str, unpacked: &UnpackedFormat) -> Result<Metadata, String> {
    let bytes = unpacked.metadata.as_ref().map_err(Clone::clone)?;
    let format_id = &unpacked.format_id;
    let RecordingFormatId { record_id, format } = format_id;
    let stem = [".tar.gz", ".tgz", ".tar"].iter().find_map(|end| archive.strip_suffix(end));
    let valid_stems = [record_id.to_string(), format!("{record_id}-{format}")];
    if stem.is_none_or(|stem| !valid_stems.iter().any(|valid| valid == stem)) {
        return Err(format!("{record_id} is not what the archive's name says"));
    }
    let metadata = Metadata::read(bytes).map_err(|error| error.to_string())?;
    check_identity(format_id, &metadata)?;
    Ok(metadata)
}

/// Checks that a metadata file describes the format and recording in whose directory it lies.
///
/// # Errors
/// The first mismatch.
fn check_identity(format_id: &RecordingFormatId, metadata: &Metadata) -> Result<(), String> {
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
}
