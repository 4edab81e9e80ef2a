//! Text tracks: the captions of a recording, as its playback formats hold them: `captions.json`, a list of
//! languages, and a file for each of them, `caption_<language>.vtt`.

use bytes::Bytes;
use domain::recording::captions::{Language, to_vtt};
use domain::recording::catalog::TenantScope;
use domain::recording::{FilePath, FormatName, RecordId, Recording, RecordingFormatId};
use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};

use super::Playback;
use crate::ports::{BlobError, StoreError, Visibility};

/// Formats whose players show captions, the first one first.
const CAPTION_FORMATS: [&str; 3] = ["presentation", "video", "screenshare"];
/// Longest list of languages that is read, in bytes.
const MAX_LIST_BYTES: u64 = 256 * 1024;

/// Captions in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Path of the file.
    pub path: String,
    /// `subtitles` or `captions`.
    pub kind: String,
    /// Its name for people.
    pub label: String,
    /// Its language.
    pub lang: String,
    /// `live`, `automatic` or `upload`.
    pub source: String,
}

/// Captions to be added, or to take the place of others in their language.
#[derive(Clone, Debug)]
pub struct NewTrack {
    /// `subtitles` or `captions`.
    pub kind: String,
    /// Its name for people; the language if it is empty.
    pub label: String,
    /// Its language.
    pub lang: Language,
    /// WebVTT or SubRip.
    pub content: Bytes,
}

/// Why there are no text tracks.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TrackError {
    /// No such recording, or not the caller's.
    #[error("no such recording")]
    NoRecording,
    /// It cannot have captions: there is no format whose player shows them.
    #[error("no format with captions")]
    NoFormat,
    /// What was uploaded is no captions.
    #[error("not WebVTT or SubRip")]
    NotCaptions,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Files cannot be had.
    #[error(transparent)]
    Files(#[from] BlobError),
}

/// A language in `captions.json`. What players read are the first two; what else a list says stays.
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
    /// The captions of a recording; a language that several formats have is told once.
    ///
    /// # Errors
    /// When there is no such recording in the scope, or a store fails.
    pub async fn list_tracks(
        &self,
        scope: &TenantScope,
        record_id: &str,
    ) -> Result<Vec<Track>, TrackError> {
        let mut tracks: Vec<Track> = Vec::new();
        for (book, shelf) in self.list_caption_formats(scope, record_id).await? {
            for listed in self.read_track_list(&book, shelf).await? {
                let Some(lang) = Language::parse(&listed.locale) else { continue };
                if tracks.iter().any(|track| track.lang == lang.as_str()) {
                    continue;
                }
                tracks.push(Track {
                    path: format!(
                        "/{}/{}/{}",
                        book.format,
                        book.record_id,
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

    /// Whether there is such a recording in the scope.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub async fn check_recording(
        &self,
        scope: &TenantScope,
        record_id: &str,
    ) -> Result<(), TrackError> {
        self.find_recording(scope, record_id).await.map(drop)
    }

    /// Puts captions beside those of every format that can show them.
    ///
    /// # Errors
    /// When there is no such recording in the scope, they are no captions, or a store fails.
    pub async fn put_track(
        &self,
        scope: &TenantScope,
        record_id: &str,
        track: &NewTrack,
    ) -> Result<(), TrackError> {
        let vtt = to_vtt(&track.content).map_err(|_| TrackError::NotCaptions)?;
        // Of two at a time, one would be missing in the list.
        let _turn = self.track_write_lock.lock().await;
        let books = self.list_caption_formats(scope, record_id).await?;
        if books.is_empty() {
            return Err(TrackError::NoFormat);
        }
        for (book, shelf) in books {
            let mut list = self.read_track_list(&book, shelf).await?;
            list.retain(|listed| listed.locale != track.lang.as_str());
            list.push(track.to_listed_track());
            let vtt = Bytes::from(vtt.clone());
            self.write_file(&book, shelf, &caption_file_name(track.lang.as_str()), vtt).await?;
            let list = serde_json::to_vec(&list)
                .map_err(|_| BlobError::Unavailable("a list that cannot be written".to_owned()))?;
            self.write_file(&book, shelf, LIST_FILE, list.into()).await?;
        }
        Ok(())
    }

    async fn find_recording(
        &self,
        scope: &TenantScope,
        record_id: &str,
    ) -> Result<Recording, TrackError> {
        let found = self.recordings.find_recording(record_id).await?;
        let there = found.filter(|it| scope.accepts(it) && !it.is_deleted());
        there.ok_or(TrackError::NoRecording)
    }

    /// The formats of a recording that can have captions, and where they are.
    async fn list_caption_formats(
        &self,
        scope: &TenantScope,
        record_id: &str,
    ) -> Result<Vec<(RecordingFormatId, Visibility)>, TrackError> {
        let recording = self.find_recording(scope, record_id).await?;
        let record_id = RecordId::parse(record_id).ok_or(TrackError::NoRecording)?;
        let mut found = Vec::new();
        for name in CAPTION_FORMATS {
            let has_it = recording.formats.iter().any(|format| format.format == name);
            let Some(format) = FormatName::parse(name).filter(|_| has_it) else { continue };
            let book = RecordingFormatId { format, record_id: record_id.clone() };
            let shelves = self.blobs.locate_format(&book).await?;
            found.extend(shelves.first().map(|shelf| (book, *shelf)));
        }
        Ok(found)
    }

    async fn read_track_list(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
    ) -> Result<Vec<ListedTrack>, TrackError> {
        let Some(path) = FilePath::parse(LIST_FILE) else { return Ok(Vec::new()) };
        let Some((info, bytes)) = self.blobs.open_file(book, shelf, &path, None).await? else {
            return Ok(Vec::new());
        };
        if info.size > MAX_LIST_BYTES {
            return Ok(Vec::new());
        }
        let pieces: Vec<Bytes> = bytes.try_collect().await?;
        // Scripts of BBB wrote it; one that cannot be read has no languages.
        Ok(serde_json::from_slice(&pieces.concat()).unwrap_or_default())
    }

    async fn write_file(
        &self,
        book: &RecordingFormatId,
        shelf: Visibility,
        name: &str,
        content: Bytes,
    ) -> Result<(), TrackError> {
        let path = FilePath::parse(name).ok_or(TrackError::NotCaptions)?;
        Ok(self.blobs.write_file(book, shelf, &path, content).await?)
    }
}

const LIST_FILE: &str = "captions.json";

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
