//! Finds out whether meetings are over, and tells their front-ends. What is not certain is asked
//! again: an end is told late rather than falsely.

use domain::{MeetingIdentity, Server, Timestamp};
use futures_util::stream::{self, StreamExt as _};

use crate::backend::meeting_query;
use crate::context::App;
use crate::ports::{
    EndCallback, EndParameter, MeetingOnServer, MeetingPlace, RecordingStore, StoreError,
};

use super::message::end_message;

/// Time between two checks of a meeting that nobody says is over, in ms.
pub(super) const QUIET_MS: i64 = 60_000;
/// Time until the next check while something is unclear, in ms.
const SOON_MS: i64 = 5_000;
/// How long a suspicion lasts against a server that says that the meeting runs, in ms. Then it was
/// about a copy that lost.
const MAX_SUSPICION_MS: i64 = 120_000;
/// How long the server's report is awaited, which says whether the recording has marks, in ms.
const REPORT_WAIT_MS: i64 = 10_000;
/// How long a meeting may be unrecorded while its server is not in the pool, in ms: an entry may be
/// replaced by another one of the same server.
const REMOVED_SERVER_WAIT_MS: i64 = 5 * 60_000;
/// How long copies on other servers, or servers that may have one, delay the message, in ms.
const COPIES_WAIT_MS: i64 = 10 * 60_000;
/// How long a check is reserved for this process, in ms: longer than it takes.
const LEASE_MS: i64 = 2 * 60_000;
/// Maximum number of checks in one run, and at the same time.
const MAX_CHECKS: u32 = 64;
const MAX_CONCURRENT_CHECKS: usize = 16;

/// What a check finds.
#[derive(Debug, PartialEq, Eq)]
enum EndFinding {
    /// The meeting is recorded here, and nothing says that it is over.
    Runs(MeetingPlace),
    /// Not certain yet. With a time, the end is suspected since then.
    Unclear { suspected_at: Option<Timestamp>, check_in_ms: i64 },
    /// The create failed, so there is nothing to tell.
    NeverMade,
    /// The meeting is over.
    Over,
}

/// What a server says about a meeting.
enum MeetingAnswer {
    /// It has one of this id.
    Runs(Option<MeetingIdentity>),
    /// It has none.
    Gone,
    /// It says that the id is invalid, as some releases do of meetings that they do not have.
    Refused,
    /// Nothing of use.
    Silent,
}

/// Checks the end callbacks that are due; returns their number.
///
/// # Errors
/// When a store fails.
pub async fn settle_due_ends(app: &App) -> Result<usize, StoreError> {
    let Some(records) = &app.recording_store else {
        return Ok(0);
    };
    let now = app.clock.now();
    let due = records.take_due_end_callbacks(now, now.plus_ms(LEASE_MS), MAX_CHECKS).await?;
    let count = due.len();
    let checks: Vec<_> =
        due.into_iter().map(|callback| settle_end(app, records.as_ref(), callback)).collect();
    let mut checks = stream::iter(checks).buffer_unordered(MAX_CONCURRENT_CHECKS);
    let mut result = Ok(count);
    while let Some(settled) = checks.next().await {
        // An error does not stop the other checks.
        result = settled.and(result);
    }
    result
}

async fn settle_end(
    app: &App,
    records: &dyn RecordingStore,
    callback: EndCallback,
) -> Result<(), StoreError> {
    let started_at = app.clock.now();
    let finding = match find_out(app, &callback, started_at).await? {
        EndFinding::Over => confirm_over(app, &callback, started_at).await?,
        finding => finding,
    };
    let now = app.clock.now();
    match finding {
        EndFinding::Runs(place) => {
            let check_at = now.plus_ms(QUIET_MS);
            records.postpone_end_check(&callback, Some(&place), None, check_at).await
        }
        EndFinding::Unclear { suspected_at, check_in_ms } => {
            let check_at = now.plus_ms(check_in_ms);
            records.postpone_end_check(&callback, None, suspected_at, check_at).await
        }
        EndFinding::NeverMade => records.finish_end_callback(&callback, None).await.map(drop),
        EndFinding::Over => {
            let message = end_message(&callback, now);
            if records.finish_end_callback(&callback, Some(&message)).await? {
                let (meeting, tenant) = (&callback.key.id, &callback.key.tenant);
                tracing::info!(meeting, tenant, "meeting over: its front-end is told");
            }
            Ok(())
        }
    }
}

async fn find_out(
    app: &App,
    callback: &EndCallback,
    now: Timestamp,
) -> Result<EndFinding, StoreError> {
    let unclear =
        |check_in_ms| EndFinding::Unclear { suspected_at: callback.suspected_at, check_in_ms };
    if now <= callback.create_until {
        return Ok(unclear(SOON_MS));
    }
    match app.pool.find_meeting(&callback.key).await? {
        Some(recorded) if recorded.meeting.claim.is_some() => Ok(unclear(SOON_MS)),
        Some(recorded) => Ok(find_out_recorded(app, callback, &recorded, now).await),
        None if !callback.is_confirmed => Ok(EndFinding::NeverMade),
        None => find_out_unrecorded(app, callback, now).await,
    }
}

/// The meeting is recorded: it is over if that is suspected and its server does not have it.
async fn find_out_recorded(
    app: &App,
    callback: &EndCallback,
    recorded: &MeetingOnServer,
    now: Timestamp,
) -> EndFinding {
    let unclear =
        |check_in_ms| EndFinding::Unclear { suspected_at: callback.suspected_at, check_in_ms };
    let identity = recorded.meeting.origin.identity.as_ref();
    let place = MeetingPlace {
        server: recorded.server.id.clone(),
        internal_id: identity.map(|identity| identity.internal_id.clone()),
    };
    let Some(suspected_at) = callback.suspected_at else {
        return EndFinding::Runs(place);
    };
    if recorded.is_detached_or_offline() {
        return unclear(QUIET_MS);
    }
    match ask(app, &recorded.server, &callback.key.id).await {
        MeetingAnswer::Runs(_) if now.ms_since(suspected_at) > MAX_SUSPICION_MS => {
            EndFinding::Runs(place)
        }
        MeetingAnswer::Runs(_) | MeetingAnswer::Silent => unclear(SOON_MS),
        MeetingAnswer::Gone => EndFinding::Over,
        // Polls decide.
        MeetingAnswer::Refused => unclear(QUIET_MS),
    }
}

/// The meeting is not recorded any longer: it is over if the server that had it last does not have it.
async fn find_out_unrecorded(
    app: &App,
    callback: &EndCallback,
    now: Timestamp,
) -> Result<EndFinding, StoreError> {
    let suspected_at = callback.suspected_at.unwrap_or(now);
    let suspected_ms = now.ms_since(suspected_at);
    let unclear =
        EndFinding::Unclear { suspected_at: Some(suspected_at), check_in_ms: QUIET_MS / 2 };
    if callback.server.is_none() {
        // The end was certain, and its message was withdrawn for a create that has failed.
        return Ok(EndFinding::Over);
    }
    let servers = app.pool.list_servers().await?;
    let Some(server) = servers.iter().find(|server| callback.server.as_ref() == Some(&server.id))
    else {
        // A store without servers has lost them.
        let is_removed = !servers.is_empty() && suspected_ms >= REMOVED_SERVER_WAIT_MS;
        return Ok(if is_removed { EndFinding::Over } else { unclear });
    };
    Ok(match ask(app, server, &callback.key.id).await {
        MeetingAnswer::Gone | MeetingAnswer::Refused => EndFinding::Over,
        MeetingAnswer::Runs(found) => {
            let ids = found.as_ref().zip(callback.internal_id.as_ref());
            let is_another = ids.is_some_and(|(found, known)| found.internal_id != *known);
            if is_another { EndFinding::Over } else { unclear }
        }
        MeetingAnswer::Silent if suspected_ms >= app.policy.meeting_ttl_ms => EndFinding::Over,
        MeetingAnswer::Silent => unclear,
    })
}

/// Looks again before the end is told: while the server was asked, the record may have moved to
/// another copy, or a create may have begun. A copy that polls have still to decide about is awaited,
/// and so is the server's report, if the front-end is to hear of recording marks.
async fn confirm_over(
    app: &App,
    callback: &EndCallback,
    now: Timestamp,
) -> Result<EndFinding, StoreError> {
    let suspected_at = callback.suspected_at.unwrap_or(now);
    let unclear =
        |check_in_ms| EndFinding::Unclear { suspected_at: Some(suspected_at), check_in_ms };
    let recorded = app.pool.find_meeting(&callback.key).await?;
    if let Some(recorded) = &recorded
        && (recorded.meeting.claim.is_some() || !is_gone_there(app, callback, recorded).await)
    {
        return Ok(unclear(SOON_MS));
    }
    let suspected_ms = now.ms_since(suspected_at);
    if suspected_ms < COPIES_WAIT_MS && may_have_copy(app, callback).await? {
        return Ok(unclear(SOON_MS));
    }
    let misses_report =
        callback.parameter == EndParameter::EndCallbackUrl && callback.recording_marks.is_none();
    if misses_report && suspected_ms < REPORT_WAIT_MS {
        return Ok(unclear(REPORT_WAIT_MS - suspected_ms));
    }
    // Servers may have taken seconds to answer.
    let is_same = is_same_record(recorded, app.pool.find_meeting(&callback.key).await?);
    Ok(if is_same { EndFinding::Over } else { unclear(SOON_MS) })
}

/// Whether a meeting is still recorded as it was before, or not at all.
fn is_same_record(before: Option<MeetingOnServer>, now: Option<MeetingOnServer>) -> bool {
    match (before, now) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(before), Some(now)) => {
            let is_same = before.meeting.origin == now.meeting.origin;
            now.meeting.claim.is_none() && now.server.id == before.server.id && is_same
        }
    }
}

/// Whether the server on which the meeting is recorded now does not have it.
async fn is_gone_there(app: &App, callback: &EndCallback, recorded: &MeetingOnServer) -> bool {
    !recorded.is_detached_or_offline()
        && matches!(ask(app, &recorded.server, &callback.key.id).await, MeetingAnswer::Gone)
}

/// Whether a copy of the meeting runs, or may run on a server that does not answer. Polls will end it,
/// or record it when they see it.
async fn may_have_copy(app: &App, callback: &EndCallback) -> Result<bool, StoreError> {
    let mut pending_ends = app.pool.list_pending_ends().await?;
    pending_ends.retain(|end| end.key == callback.key && !end.is_requested());
    for end in pending_ends {
        let Some(server) = app.pool.find_server(&end.server).await? else { continue };
        let may_run = match ask(app, &server, &callback.key.id).await {
            // What was there before the create is no copy.
            MeetingAnswer::Runs(found) => found.is_none_or(|found| end.proves(&found)),
            MeetingAnswer::Silent => true,
            MeetingAnswer::Gone | MeetingAnswer::Refused => false,
        };
        if may_run {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Asks a server whether it has a meeting of this id.
async fn ask(app: &App, server: &Server, id: &str) -> MeetingAnswer {
    let Ok(reply) = app.call_server_briefly(server, "getMeetingInfo", &meeting_query(id)).await
    else {
        return MeetingAnswer::Silent;
    };
    match reply.response.message_key.as_str() {
        _ if reply.response.success => MeetingAnswer::Runs(reply.identity()),
        "notFound" => MeetingAnswer::Gone,
        "validationError" => MeetingAnswer::Refused,
        _ => MeetingAnswer::Silent,
    }
}

#[cfg(test)]
mod tests;
