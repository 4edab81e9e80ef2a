//! Text tracks: the captions of a recording. Each playback format stores them as `captions.json`, a
//! list of languages, and a file `caption_<language>.vtt` for each language.

use bytes::Bytes;
use domain::recording::captions::{Language, to_vtt};
use domain::recording::catalog::TenantScope;
use domain::recording::{FilePath, FormatName, RecordId, Recording, RecordingFormatId};
use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};

use super::Playback;
use crate::ports::{BlobError, StoreError, Visibility};

/// Formats whose players show captions, in the order in which they are searched.
const CAPTION_FORMATS: [&str; 3] = ["presentation", "video", "screenshare"];
/// Maximum size of a list of languages that is read, in bytes.
const MAX_LIST_BYTES: u64 = 256 * 1024;
/// The file with the list of languages.
const LIST_FILE: &str = "captions.json";

/// Captions in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// The path of the file.
    pub path: String,
    /// `subtitles` or `captions`.
    pub kind: String,
    /// The name shown to people.
    pub label: String,
    /// The language.
    pub lang: String,
    /// `live`, `automatic` or `upload`.
    pub source: String,
}

/// Captions to be added, which replace others in the same language.
#[derive(Clone, Debug)]
pub struct NewTrack {
    /// `subtitles` or `captions`.
    pub kind: String,
    /// The name shown to people; if it is empty, the language is shown.
    pub label: String,
    /// The language.
    pub lang: Language,
    /// WebVTT or SubRip.
    pub content: Bytes,
}

/// Why text tracks cannot be listed or changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TrackError {
    /// There is no such recording in the scope of the caller.
    #[error("no such recording")]
    NoRecording,
    /// The recording cannot have captions: it has no format whose player shows them.
    #[error("no format with captions")]
    NoFormat,
    /// The uploaded file is neither WebVTT nor SubRip.
    #[error("not WebVTT or SubRip")]
    NotCaptions,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Files cannot be read or written.
    #[error(transparent)]
    Files(#[from] BlobError),
}

/// A language in `captions.json`. Players read `locale` and `localeName`; all other fields are
/// kept.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct ListedTrack {
    #[serde(default)]
    locale: String,
    #[serde(default, rename = "localeName")]
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(flatten)]
    extra_fields: serde_json::Map<String, serde_json::Value>,
}

impl Playback {
    /// Lists the captions of a recording. A language that several formats have is listed once.
    ///
    /// # Errors
    /// When there is no such recording in the scope, or a store fails.
    pub async fn list_tracks(
        &self,
        scope: &TenantScope,
        record_id: &str,
    ) -> Result<Vec<Track>, TrackError> {
        let mut tracks: Vec<Track> = Vec::new();
        for (format_id, visibility) in self.list_caption_formats(scope, record_id).await? {
            for listed in self.read_track_list(&format_id, visibility).await? {
                let Some(lang) = Language::parse(&listed.locale) else { continue };
                if tracks.iter().any(|track| track.lang == lang.as_str()) {
                    continue;
                }
                tracks.push(Track {
                    path: format!(
                        "/{}/{}/{}",
                        format_id.format,
                        format_id.record_id,
                        caption_file_name(&listed.locale)
                    ),
                    kind: listed.kind.unwrap_or_else(|| "captions".to_owned()),
                    label: if listed.name.is_empty() { listed.locale } else { listed.name },
                    lang: lang.as_str().to_owned(),
                    source: listed.source.unwrap_or_else(|| "live".to_owned()),
                });
            }
        }
        Ok(tracks)
    }

    /// Checks that there is such a recording in the scope.
    ///
    /// # Errors
    /// [`TrackError::NoRecording`] if there is none; [`TrackError::Store`] if the store fails.
    pub async fn check_recording(
        &self,
        scope: &TenantScope,
        record_id: &str,
    ) -> Result<(), TrackError> {
        self.find_recording(scope, record_id).await.map(drop)
    }

    /// Adds captions to every format whose player shows captions.
    ///
    /// # Errors
    /// When there is no such recording in the scope, it has no such format, the content is not
    /// captions, or a store fails.
    pub async fn put_track(
        &self,
        scope: &TenantScope,
        record_id: &str,
        track: &NewTrack,
    ) -> Result<(), TrackError> {
        let vtt = to_vtt(&track.content).map_err(|_| TrackError::NotCaptions)?;
        // Two changes at the same time could lose one of the two languages in the list.
        let _lock = self.track_write_lock.lock().await;
        let formats = self.list_caption_formats(scope, record_id).await?;
        if formats.is_empty() {
            return Err(TrackError::NoFormat);
        }
        for (format_id, visibility) in formats {
            let mut list = self.read_track_list(&format_id, visibility).await?;
            list.retain(|listed| listed.locale != track.lang.as_str());
            list.push(track.to_listed_track());
            let vtt = Bytes::from(vtt.clone());
            self.write_file(&format_id, visibility, &caption_file_name(track.lang.as_str()), vtt)
                .await?;
            let list = serde_json::to_vec(&list).map_err(|_| {
                BlobError::Unavailable("the list of captions cannot be serialized".to_owned())
            })?;
            self.write_file(&format_id, visibility, LIST_FILE, list.into()).await?;
        }
        Ok(())
    }

    async fn find_recording(
        &self,
        scope: &TenantScope,
        record_id: &str,
    ) -> Result<Recording, TrackError> {
        let recording = self.recordings.find_recording(record_id).await?;
        let is_visible =
            |recording: &Recording| scope.accepts(recording) && !recording.is_deleted();
        recording.filter(is_visible).ok_or(TrackError::NoRecording)
    }

    /// Lists the formats of a recording whose players show captions, and where their files are.
    async fn list_caption_formats(
        &self,
        scope: &TenantScope,
        record_id: &str,
    ) -> Result<Vec<(RecordingFormatId, Visibility)>, TrackError> {
        let recording = self.find_recording(scope, record_id).await?;
        let record_id = RecordId::parse(record_id).ok_or(TrackError::NoRecording)?;
        let mut caption_formats = Vec::new();
        for name in CAPTION_FORMATS {
            let has_format = recording.formats.iter().any(|format| format.format == name);
            let Some(format) = FormatName::parse(name).filter(|_| has_format) else { continue };
            let format_id = RecordingFormatId { format, record_id: record_id.clone() };
            let locations = self.blobs.locate_format(&format_id).await?;
            caption_formats.extend(locations.first().map(|location| (format_id, *location)));
        }
        Ok(caption_formats)
    }

    /// Reads the list of languages; a missing or oversized list counts as empty.
    async fn read_track_list(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<Vec<ListedTrack>, TrackError> {
        let Some(path) = FilePath::parse(LIST_FILE) else { return Ok(Vec::new()) };
        let Some((info, bytes)) = self.blobs.open_file(format_id, visibility, &path, None).await?
        else {
            return Ok(Vec::new());
        };
        if info.size > MAX_LIST_BYTES {
            return Ok(Vec::new());
        }
        let chunks: Vec<Bytes> = bytes.try_collect().await?;
        // Scripts of BBB write this file. If it cannot be parsed, it counts as empty.
        Ok(serde_json::from_slice(&chunks.concat()).unwrap_or_default())
    }

    async fn write_file(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        name: &str,
        content: Bytes,
    ) -> Result<(), TrackError> {
        let path = FilePath::parse(name).ok_or(TrackError::NotCaptions)?;
        Ok(self.blobs.write_file(format_id, visibility, &path, content).await?)
    }
}

fn caption_file_name(locale: &str) -> String {
    format!("caption_{locale}.vtt")
}

impl NewTrack {
    fn to_listed_track(&self) -> ListedTrack {
        let lang = self.lang.as_str();
        ListedTrack {
            locale: lang.to_owned(),
            name: if self.label.is_empty() { lang } else { &self.label }.to_owned(),
            kind: Some(self.kind.clone()),
            source: Some("upload".to_owned()),
            extra_fields: serde_json::Map::new(),
        }
    }
}
