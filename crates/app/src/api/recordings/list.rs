//! `getRecordings`: one page, or the whole list, which is read from the store as the client reads
//! the response.

use std::sync::Arc;

use bbb::Query;
use bbb::response::build_success;
use bytes::Bytes;
use domain::recording::catalog::{RecordingFilter, TenantScope};
use domain::recording::{Recording, RecordingFormatId};
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use futures_util::stream::{self, BoxStream};

use super::element::RecordingRenderer;
use super::list_filter::{PageRequest, parse_filter};
use super::parameters::recording_store;
use crate::api::errors::ApiError;
use crate::context::App;
use crate::playback::caller_scope;
use crate::ports::{RecordingCursor, RecordingStore, StoreError};
use crate::tenancy::Caller;

/// Number of recordings that are read from the store at once.
const READ_PAGE_SIZE: u32 = 100;
/// The message of an empty list, in the words of the original.
const NO_RECORDINGS_MESSAGE: &str = "There are not recordings for the meetings";
const RESPONSE_HEAD: &str = "<response><returncode>SUCCESS</returncode><recordings>";

/// Builds the response without any recording: clients need both the empty container and the message
/// key.
#[must_use]
pub fn no_recordings_response() -> String {
    build_success(&[
        ("recordings", ""),
        ("messageKey", "noRecordings"),
        ("message", NO_RECORDINGS_MESSAGE),
    ])
}

/// Returns the response in chunks. Links begin with `origin`, a scheme and host.
///
/// # Errors
/// When the call names neither recordings nor meetings although `GET_RECORDINGS_API_FILTERED`
/// requires it, when its filter is too large, or when the store fails before the first chunk.
pub async fn get_recordings(
    app: &App,
    caller: &Caller,
    query: &Query,
    origin: &str,
) -> Result<BoxStream<'static, Bytes>, ApiError> {
    let filter = parse_filter(query)?;
    let is_filtered = !filter.record_ids.is_empty() || !filter.meeting_ids.is_empty();
    if app.policy.recordings.filter_required && !is_filtered {
        return Err(ApiError::MissingParameters);
    }
    let search = RecordingSearch {
        app: app.clone(),
        records: recording_store(app)?.clone(),
        filter,
        scope: caller_scope(caller),
        origin: origin.to_owned(),
    };
    match PageRequest::from_query(query) {
        Some(page) => search.render_page(page).await,
        None => search.stream_all().await,
    }
}

/// The search of one call.
struct RecordingSearch {
    app: App,
    records: Arc<dyn RecordingStore>,
    filter: RecordingFilter,
    scope: TenantScope,
    origin: String,
}

fn single_chunk(text: String) -> BoxStream<'static, Bytes> {
    stream::iter([Bytes::from(text)]).boxed()
}

impl RecordingSearch {
    async fn render_page(&self, page: PageRequest) -> Result<BoxStream<'static, Bytes>, ApiError> {
        let PageRequest { offset, limit } = page;
        let found = self.records.search_recordings_page(&self.filter, &self.scope, offset, limit);
        let (recordings, count) = found.await?;
        let elements = self.render_recordings(&recordings).await?;
        let message = if recordings.is_empty() {
            format!(
                "<messageKey>noRecordings</messageKey><message>{NO_RECORDINGS_MESSAGE}</message>"
            )
        } else {
            String::new()
        };
        Ok(single_chunk(format!(
            "{RESPONSE_HEAD}{elements}</recordings>{message}<pagination><pageable><offset>{offset}</offset>\
             <limit>{limit}</limit><paged>true</paged><unpaged>false</unpaged></pageable>\
             <totalElements>{count}</totalElements><empty>{}</empty></pagination></response>",
            recordings.is_empty()
        )))
    }

    async fn stream_all(self) -> Result<BoxStream<'static, Bytes>, ApiError> {
        let (first, cursor) = self.render_next(None).await?;
        if first.is_empty() {
            return Ok(single_chunk(no_recordings_response()));
        }
        let rest = stream::unfold(Some((self, cursor)), |state| async move {
            let (search, cursor) = state?;
            let Some(after) = cursor else {
                return Some((Bytes::from_static(b"</recordings></response>"), None));
            };
            match search.render_next(Some(&after)).await {
                Ok((text, cursor)) => Some((Bytes::from(text), Some((search, cursor)))),
                Err(error) => {
                    // Part of the response is sent already. Without its end clients do not take it
                    // for a complete list.
                    tracing::error!(%error, "getRecordings response cut off");
                    None
                }
            }
        });
        Ok(single_chunk(format!("{RESPONSE_HEAD}{first}")).chain(rest).boxed())
    }

    /// Renders the next recordings; also returns the cursor of the following ones, if there may be
    /// any.
    async fn render_next(
        &self,
        after: Option<&RecordingCursor>,
    ) -> Result<(String, Option<RecordingCursor>), StoreError> {
        let found = self
            .records
            .search_recordings(&self.filter, &self.scope, after, READ_PAGE_SIZE)
            .await?;
        let is_full = u32::try_from(found.len()).is_ok_and(|found| found >= READ_PAGE_SIZE);
        let last = found.last().filter(|_| is_full).map(RecordingCursor::from_recording);
        Ok((self.render_recordings(&found).await?, last))
    }

    async fn render_recordings(&self, recordings: &[Recording]) -> Result<String, StoreError> {
        let protection_enabled = self.app.policy.recordings.protection_enabled;
        let renderer = RecordingRenderer { origin: &self.origin, protection_enabled };
        let mut xml = String::new();
        for recording in recordings {
            let tokens = if protection_enabled && recording.protected {
                let formats = recording.formats.iter();
                let tokens = formats.map(|format| self.issue_token(recording, &format.format));
                Some(try_join_all(tokens).await?)
            } else {
                None
            };
            xml.push_str(&renderer.render_recording(recording, tokens.as_deref()));
        }
        Ok(xml)
    }

    /// Issues a token that grants access to a format once.
    async fn issue_token(&self, recording: &Recording, format: &str) -> Result<String, StoreError> {
        let App { entropy, clock, tokens, policy, .. } = &self.app;
        let bytes = [entropy.generate_bytes(), entropy.generate_bytes()].concat();
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        // A format with an invalid name has no files, so its link needs no valid token.
        if let Some(format_id) = RecordingFormatId::parse(&recording.record_id, format) {
            let now = clock.now();
            let until = now.plus_ms(policy.recordings.token_lifetime_ms);
            tokens.put_token(&token, &format_id, now, until).await?;
        }
        Ok(token)
    }
}
