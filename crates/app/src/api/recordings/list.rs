//! `getRecordings`: a page, or everything, page by page as the client reads it.

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
use super::{recording_store, tenant_scope};
use crate::api::ApiError;
use crate::context::App;
use crate::ports::{RecordingCursor, RecordingStore, StoreError};
use crate::tenancy::Caller;

/// Recordings that are read from the store at once.
const READ_PAGE_SIZE: u32 = 100;
/// Message of an empty list, as the original words it.
const NO_RECORDINGS_MESSAGE: &str = "There are not recordings for the meetings";
const RESPONSE_HEAD: &str = "<response><returncode>SUCCESS</returncode><recordings>";

/// The answer without any recording: clients need container *and* key.
#[must_use]
pub fn no_recordings_response() -> String {
    build_success(&[
        ("recordings", ""),
        ("messageKey", "noRecordings"),
        ("message", NO_RECORDINGS_MESSAGE),
    ])
}

/// The answer, piece by piece. Links begin with `origin`, scheme and host.
///
/// # Errors
/// When nothing is named although it must be (`GET_RECORDINGS_API_FILTERED`), when too much is, or when
/// the store fails before there is anything to send.
pub async fn get_recordings(
    app: &App,
    caller: &Caller,
    query: &Query,
    origin: &str,
) -> Result<BoxStream<'static, Bytes>, ApiError> {
    let filter = parse_filter(query)?;
    let named = !filter.record_ids.is_empty() || !filter.meeting_ids.is_empty();
    if app.policy.recordings.filter_required && !named {
        return Err(ApiError::MissingParameters);
    }
    let search = RecordingSearch {
        app: app.clone(),
        records: recording_store(app)?.clone(),
        filter,
        scope: tenant_scope(caller),
        origin: origin.to_owned(),
    };
    match PageRequest::from_query(query) {
        Some(page) => search.render_page(page).await,
        None => search.stream_all().await,
    }
}

/// A search under way.
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
        let none = format!(
            "<messageKey>noRecordings</messageKey><message>{NO_RECORDINGS_MESSAGE}</message>"
        );
        let none = if recordings.is_empty() { none.as_str() } else { "" };
        Ok(single_chunk(format!(
            "{RESPONSE_HEAD}{elements}</recordings>{none}<pagination><pageable><offset>{offset}</offset>\
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
                    // What was sent cannot be taken back: cut off it is no list that somebody takes for whole.
                    tracing::error!(%error, "a list of recordings was cut off");
                    None
                }
            }
        });
        Ok(single_chunk(format!("{RESPONSE_HEAD}{first}")).chain(rest).boxed())
    }

    /// The next elements, and after which recording it goes on, if it may.
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
        let protectable = self.app.policy.recordings.protection_enabled;
        let view = RecordingRenderer { origin: &self.origin, protection_enabled: protectable };
        let mut xml = String::new();
        for recording in recordings {
            let tokens = if protectable && recording.protected {
                let formats = recording.formats.iter();
                let tokens = formats.map(|format| self.issue_token(recording, &format.format));
                Some(try_join_all(tokens).await?)
            } else {
                None
            };
            xml.push_str(&view.render_recording(recording, tokens.as_deref()));
        }
        Ok(xml)
    }

    /// A token that opens a format once.
    async fn issue_token(&self, recording: &Recording, format: &str) -> Result<String, StoreError> {
        let App { entropy, clock, tokens, policy, .. } = &self.app;
        let noise = [entropy.generate_bytes(), entropy.generate_bytes()].concat();
        let token: String = noise.iter().map(|byte| format!("{byte:02x}")).collect();
        // A format with an invalid name has no files, so its link needs no valid token.
        if let Some(format_id) = RecordingFormatId::parse(&recording.record_id, format) {
            let now = clock.now();
            let until = now.plus_ms(policy.recordings.token_lifetime_ms);
            tokens.put_token(&token, &format_id, now, until).await?;
        }
        Ok(token)
    }
}
