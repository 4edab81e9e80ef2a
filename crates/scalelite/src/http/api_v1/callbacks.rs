//! Callbacks that have not been delivered: list, and another attempt.

use app::admin::callbacks as admin;
use app::ports::OutboxMessage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::{Call, Reply};
use super::input::Nothing;
use super::paging::{Page, cut_page};
use super::problem::Problem;
use super::recordings::store;
use super::views::show_time;

/// Most callbacks that are looked at.
const MAX_CALLBACKS: u32 = 10_000;

/// A callback that has not been delivered.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Callback")]
pub(super) struct CallbackView {
    id: String,
    /// recording_ready, analytics or meeting_ended.
    topic: &'static str,
    tenant: Option<String>,
    meeting_id: String,
    record_id: Option<String>,
    /// The host that is called. The rest of the address may contain secrets.
    host: String,
    posted_at: String,
    attempts: u32,
    /// When it is tried again; absent if it was given up.
    next_at: Option<String>,
    /// Why the last attempt failed.
    failure: Option<String>,
}

fn view(message: OutboxMessage) -> CallbackView {
    let uri: Option<http::Uri> = message.url.parse().ok();
    let host = uri.and_then(|uri| uri.host().map(str::to_owned));
    CallbackView {
        id: message.id,
        topic: message.topic.name(),
        tenant: message.tenant,
        meeting_id: message.meeting_id,
        record_id: message.record_id,
        host: host.unwrap_or_else(|| "?".to_owned()),
        posted_at: show_time(message.posted_at),
        attempts: message.attempts,
        next_at: message.due_at.map(show_time),
        failure: message.failure,
    }
}

/// Which callbacks are wanted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CallbackQuery {
    /// Entries of a page.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
    /// Where the page begins: `next` of the one before.
    #[schemars(length(max = 2000), regex(pattern = r"^([0-9a-f]{2})*$"))]
    cursor: Option<String>,
}

async fn find_all(call: &Call) -> Result<Vec<OutboxMessage>, Problem> {
    let mut messages = store(call)?.list_messages(MAX_CALLBACKS).await?;
    if let Some(tenant) = call.tenant() {
        messages.retain(|message| message.tenant.as_deref() == Some(tenant));
    }
    Ok(messages)
}

pub(super) async fn list(
    call: Call,
    query: CallbackQuery,
    _: Nothing,
) -> Result<Reply<Page<CallbackView>>, Problem> {
    let messages = find_all(&call).await?;
    let key = |message: &OutboxMessage| message.id.clone();
    let page = cut_page(messages, key, query.limit, query.cursor.as_deref())?;
    Ok(page.map(view).into())
}

/// Callbacks that are due now.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CallbackCount")]
pub(super) struct CallbackCount {
    callbacks: u64,
}

pub(super) async fn retry_one(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<CallbackCount>, Problem> {
    let id = call.part(0);
    if !find_all(&call).await?.iter().any(|message| message.id == id) {
        return Err(Problem::not_found("callback"));
    }
    match admin::retry(call.app(), store(&call)?, Some(id)).await? {
        0 => Err(Problem::not_found("callback")),
        callbacks => Ok(CallbackCount { callbacks }.into()),
    }
}

pub(super) async fn retry_all(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<CallbackCount>, Problem> {
    call.require_all_tenants()?;
    let callbacks = admin::retry(call.app(), store(&call)?, None).await?;
    Ok(CallbackCount { callbacks }.into())
}
