//! `getRecordings`: a page, or everything, page by page as the client reads it.

use std::sync::Arc;

use bbb::Query;
use bbb::answer::success;
use bytes::Bytes;
use domain::recording::Recording;
use domain::recording::library::{Filter, Scope};
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use futures_util::stream::{self, BoxStream};

use super::element::View;
use super::wanted::{Page, filter};
use super::{records, scope};
use crate::api::ApiError;
use crate::context::App;
use crate::ports::{Cursor, Grant, Records, StoreError};
use crate::tenancy::Caller;

/// Recordings that are read from the store at once.
const AT_ONCE: u32 = 100;
/// Message of an empty list, as the original words it.
const NONE: &str = "There are not recordings for the meetings";
const HEAD: &str = "<response><returncode>SUCCESS</returncode><recordings>";

/// The answer without any recording: clients need container *and* key.
#[must_use]
pub fn no_recordings() -> String {
    success(&[("recordings", ""), ("messageKey", "noRecordings"), ("message", NONE)])
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
    let filter = filter(query)?;
    let named = !filter.record_ids.is_empty() || !filter.meeting_ids.is_empty();
    if app.policy.recordings.filtered && !named {
        return Err(ApiError::MissingParameters);
    }
    let search = Search {
        app: app.clone(),
        records: records(app)?.clone(),
        filter,
        scope: scope(caller),
        origin: origin.to_owned(),
    };
    match Page::of(query) {
        Some(page) => search.page(page).await,
        None => search.all().await,
    }
}

/// A search under way.
struct Search {
    app: App,
    records: Arc<dyn Records>,
    filter: Filter,
    scope: Scope,
    origin: String,
}

fn once(text: String) -> BoxStream<'static, Bytes> {
    stream::iter([Bytes::from(text)]).boxed()
}

impl Search {
    async fn page(&self, page: Page) -> Result<BoxStream<'static, Bytes>, ApiError> {
        let Page { offset, limit } = page;
        let found = self.records.page_of_recordings(&self.filter, &self.scope, offset, limit);
        let (recordings, count) = found.await?;
        let elements = self.shown(&recordings).await?;
        let none = format!("<messageKey>noRecordings</messageKey><message>{NONE}</message>");
        let none = if recordings.is_empty() { none.as_str() } else { "" };
        Ok(once(format!(
            "{HEAD}{elements}</recordings>{none}<pagination><pageable><offset>{offset}</offset>\
             <limit>{limit}</limit><paged>true</paged><unpaged>false</unpaged></pageable>\
             <totalElements>{count}</totalElements><empty>{}</empty></pagination></response>",
            recordings.is_empty()
        )))
    }

    async fn all(self) -> Result<BoxStream<'static, Bytes>, ApiError> {
        let (first, cursor) = self.next(None).await?;
        if first.is_empty() {
            return Ok(once(no_recordings()));
        }
        let rest = stream::unfold(Some((self, cursor)), |state| async move {
            let (search, cursor) = state?;
            let Some(after) = cursor else {
                return Some((Bytes::from_static(b"</recordings></response>"), None));
            };
            match search.next(Some(&after)).await {
                Ok((text, cursor)) => Some((Bytes::from(text), Some((search, cursor)))),
                Err(error) => {
                    // What was sent cannot be taken back: cut off it is no list that somebody takes for whole.
                    tracing::error!(%error, "a list of recordings was cut off");
                    None
                }
            }
        });
        Ok(once(format!("{HEAD}{first}")).chain(rest).boxed())
    }

    /// The next elements, and after which recording it goes on, if it may.
    async fn next(&self, after: Option<&Cursor>) -> Result<(String, Option<Cursor>), StoreError> {
        let found = self.records.find_recordings(&self.filter, &self.scope, after, AT_ONCE).await?;
        let is_full = u32::try_from(found.len()).is_ok_and(|found| found >= AT_ONCE);
        let last = found.last().filter(|_| is_full).map(Cursor::after);
        Ok((self.shown(&found).await?, last))
    }

    async fn shown(&self, recordings: &[Recording]) -> Result<String, StoreError> {
        let protectable = self.app.policy.recordings.protectable;
        let view = View { origin: &self.origin, protectable };
        let mut xml = String::new();
        for recording in recordings {
            let tokens = if protectable && recording.protected {
                let formats = recording.formats.iter();
                let tokens = formats.map(|format| self.token(recording, &format.format));
                Some(try_join_all(tokens).await?)
            } else {
                None
            };
            xml.push_str(&view.recording(recording, tokens.as_deref()));
        }
        Ok(xml)
    }

    /// A token that opens a format once.
    async fn token(&self, recording: &Recording, format: &str) -> Result<String, StoreError> {
        let App { entropy, clock, tokens, policy, .. } = &self.app;
        let noise = [entropy.noise(), entropy.noise()].concat();
        let token: String = noise.iter().map(|byte| format!("{byte:02x}")).collect();
        let grant = Grant { record_id: recording.record_id.clone(), format: format.to_owned() };
        let now = clock.now();
        tokens.put_token(&token, &grant, now, now.plus_ms(policy.recordings.token_ms)).await?;
        Ok(token)
    }
}
