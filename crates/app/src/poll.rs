//! The poller: one `getMeetings` per server and cycle gives load, statistics, health and the list
//! of its meetings; the version document is read now and then.

use bbb::meetings::{ListedMeeting as Reported, MeetingList};
use domain::health::HealthChange;
use domain::poll::{PollObservation, ReportedMeeting, UnwantedMeeting};
use domain::voice_bridge::{VoiceBridgePolicy, generate_candidates};
use domain::{Meeting, Server, ServerId, Timestamp};
use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::backend::{CallOptions, end_query, meeting_query};
use crate::context::App;
use crate::ports::{CallPriority, CallTimeouts, PollReport, StoreError};
use crate::sessions;

/// At most this many meetings of a lost server are ended at the same time.
const MAX_CONCURRENT_ENDS: usize = 16;
/// At most this many are ended after one poll; the next one ends more.
const MAX_UNWANTED_ENDS: usize = 64;
/// Patience when somebody waits for the verdict, in ms.
const PROBE_TIMEOUT_MS: u64 = 4_000;
/// Texts of servers are kept only this long.
const MAX_VERSION_BYTES: usize = 64;

/// What a cycle found, for the log and the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PollSummary {
    /// Servers that answered.
    pub answered: usize,
    /// Servers that did not.
    pub failed: usize,
    /// Meetings forgotten.
    pub forgotten: usize,
}

/// Polls all servers, so many at a time, each with its own deadline: the whole takes at most
/// servers / concurrency × three deadlines (its meetings, its version, the ends of a lost one).
/// `cycle` is the number of the turn that this is, if it is one.
///
/// # Errors
/// When the store fails.
pub async fn poll_all_servers(
    app: &App,
    versions: bool,
    cycle: Option<u64>,
) -> Result<PollSummary, StoreError> {
    let servers = app.pool.list_servers().await?;
    let polls: Vec<_> = servers
        .into_iter()
        .map(|server| poll_server(app, server, versions, cycle).boxed())
        .collect();
    let mut polled = stream::iter(polls).buffer_unordered(app.policy.poll_concurrency.max(1));
    let mut summary = PollSummary::default();
    while let Some(report) = polled.next().await {
        let report = match report {
            // What cannot be read of one server must not keep the others from being polled.
            Err(StoreError::Corrupt(reason)) => {
                tracing::error!(reason, "a poll was not recorded");
                summary.failed += 1;
                continue;
            }
            report => report?,
        };
        let Some(report) = report else { continue };
        let answered = report.server.health.unhealthy_count == 0 && report.server.is_online();
        if answered {
            summary.answered += 1;
        } else {
            summary.failed += 1;
        }
        summary.forgotten += report.forgotten.len();
    }
    drop(polled);
    let expired = app.clock.now().plus_ms(-app.policy.meeting_ttl_ms);
    summary.forgotten += app.pool.forget_unseen(expired).await?.len();
    sessions::forget_old_sessions(app).await?;
    Ok(summary)
}

/// Polls one server and records what was found; `None` if it was removed meanwhile, or if a later
/// cycle was faster.
///
/// # Errors
/// When the store fails.
pub async fn poll_server(
    app: &App,
    server: Server,
    versions: bool,
    cycle: Option<u64>,
) -> Result<Option<PollReport>, StoreError> {
    let observation = observe_server(app, &server, app.policy.poll_timeout_ms).await;
    record_observation(app, &server.id, &observation, versions, cycle).await
}

/// The same out of turn and with little patience: somebody waits for the verdict.
///
/// # Errors
/// When the store fails.
pub async fn probe_server(app: &App, server: Server) -> Result<Option<PollReport>, StoreError> {
    let observation =
        observe_server(app, &server, app.policy.poll_timeout_ms.min(PROBE_TIMEOUT_MS)).await;
    record_observation(app, &server.id, &observation, false, None).await
}

async fn record_observation(
    app: &App,
    id: &ServerId,
    observation: &PollObservation,
    versions: bool,
    cycle: Option<u64>,
) -> Result<Option<PollReport>, StoreError> {
    let recorded = app.pool.record_poll(id, observation, &app.policy.poll, cycle).await?;
    let Some(mut report) = recorded else {
        return Ok(None);
    };
    log_poll(&report, observation);
    for meeting in &report.forgotten {
        sessions::record_ended_meeting(app, meeting, None).await;
    }
    if !report.outcome.unwanted.is_empty() {
        let deadline = Duration::from_millis(app.policy.poll_timeout_ms);
        // The next poll ends what is left.
        let _ = tokio::time::timeout(deadline, end_unwanted_meetings(app, &report)).await;
    }
    let unknown = report.server.bbb_version.is_none() || report.outcome.change.is_some();
    if observation.result.is_ok() && (versions || unknown) {
        report.server.bbb_version = refresh_version(app, &report.server).await?;
    }
    Ok(Some(report))
}

/// Polls of servers that failed lately, out of turn: whether they are gone or back should not wait
/// for the next cycle, and none of them for another.
#[derive(Clone, Debug, Default)]
pub struct Rechecks(Arc<Mutex<HashSet<Recheck>>>);

/// A server, and whether it was online then: one that went offline meanwhile is asked with less
/// patience, and does not wait for the end of the patience that it had.
type Recheck = (ServerId, bool);

impl Rechecks {
    /// Begins to poll those that nobody is polling.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn start_due(&self, app: &App) -> Result<(), StoreError> {
        for server in app.pool.list_servers().await? {
            let is_due = server.health.needs_recheck();
            let recheck = (server.id.clone(), server.is_online());
            if is_due && self.lock().insert(recheck.clone()) {
                let (rechecks, app) = (self.clone(), app.clone());
                tokio::spawn(async move {
                    if let Err(error) = poll_server(&app, server, false, None).await {
                        tracing::error!(%error, "poll not recorded");
                    }
                    rechecks.lock().remove(&recheck);
                });
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Recheck>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads and records the version of every server that answers polls.
///
/// # Errors
/// When the store fails.
pub async fn refresh_versions(app: &App) -> Result<(), StoreError> {
    let servers = app.pool.list_servers().await?;
    let online = servers.iter().filter(|server| server.is_online());
    let asked: Vec<_> = online.map(|server| refresh_version(app, server).boxed()).collect();
    let mut asked = stream::iter(asked).buffer_unordered(app.policy.poll_concurrency.max(1));
    while let Some(result) = asked.next().await {
        result?;
    }
    Ok(())
}

fn poll_options(app: &App, server: &Server) -> CallOptions {
    let patience = app.policy.timeouts_for(server.is_online());
    let response_ms = patience.response_ms.min(app.policy.poll_timeout_ms);
    CallOptions {
        priority: CallPriority::Internal,
        timeouts: CallTimeouts { response_ms, ..patience },
    }
}

async fn observe_server(app: &App, server: &Server, wait_ms: u64) -> PollObservation {
    let started_at = app.clock.now();
    let deadline = Duration::from_millis(wait_ms);
    let asked =
        tokio::time::timeout(deadline, app.fetch_meetings(server, poll_options(app, server))).await;
    let result = match asked {
        Err(_) => Err(format!("no answer within {wait_ms} ms")),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(answer)) => match MeetingList::read(&answer.body) {
            Ok(meetings) => {
                Ok(meetings.meetings.into_iter().map(|one| to_reported_meeting(app, one)).collect())
            }
            Err(bbb::InvalidResponse::Failed) => Err(refusal_reason(&answer.body)),
            Err(error) => Err(error.to_string()),
        },
    };
    PollObservation { started_at, finished_at: app.clock.now(), result }
}

/// The meetings that a server reports.
///
/// # Errors
/// Why there is no usable answer.
pub async fn list_reported_meetings(
    app: &App,
    server: &Server,
) -> Result<Vec<ReportedMeeting>, String> {
    observe_server(app, server, app.policy.poll_timeout_ms).await.result
}

/// A server that answers FAILED says why: mostly a wrong secret.
pub(crate) fn refusal_reason(body: &[u8]) -> String {
    let answer = bbb::Response::read(body).unwrap_or_default();
    let key: String = answer.message_key.chars().filter(|c| !c.is_control()).take(60).collect();
    format!("refused: {key}")
}

fn to_reported_meeting(app: &App, meeting: Reported) -> ReportedMeeting {
    let tenant = meeting.meta("tenant-id").filter(|id| app.policy.multitenancy && !id.is_empty());
    let tenant = tenant.map(str::to_owned);
    let ours = tenant.is_some() || is_ours(&meeting, app.policy.voice_bridge);
    ReportedMeeting {
        id: meeting.id,
        tenant,
        created_at: Timestamp(meeting.create_time_ms),
        users: meeting.participants,
        videos: meeting.videos,
        is_breakout: meeting.is_breakout,
        voice_bridge: meeting.voice_bridge,
        moderator_pw: meeting.moderator_pw,
        is_ours: ours,
    }
}

/// Whether a balancer of this pool made the meeting: its number is one that follows from its id.
/// Where front-ends choose numbers, any will do.
fn is_ours(meeting: &Reported, policy: VoiceBridgePolicy) -> bool {
    let Some(number) = &meeting.voice_bridge else {
        return false;
    };
    policy.use_external || generate_candidates(policy, &meeting.id, None).contains(number)
}

async fn refresh_version(app: &App, server: &Server) -> Result<Option<String>, StoreError> {
    let body = match app.fetch_version(server, poll_options(app, server)).await {
        Ok(body) => body,
        Err(error) => {
            tracing::debug!(server = %server.id, %error, "no version document");
            return Ok(server.bbb_version.clone());
        }
    };
    let found =
        bbb::response::parse_bbb_version(&body).filter(|text| text.len() <= MAX_VERSION_BYTES);
    match found {
        Some(found) if server.bbb_version.as_ref() != Some(&found) => {
            app.pool.record_version(&server.id, &found).await?;
            Ok(Some(found))
        }
        _ => Ok(server.bbb_version.clone()),
    }
}

/// Tries to end meetings that the balancer no longer counts on, with little patience: nothing
/// depends on it, and mostly the server is broken.
pub async fn end_meetings(app: &App, server: &Server, meetings: &[Meeting]) {
    let ends: Vec<_> =
        meetings.iter().map(|meeting| end_meeting(app, server, meeting).boxed()).collect();
    stream::iter(ends)
        .buffer_unordered(MAX_CONCURRENT_ENDS)
        .for_each(|()| std::future::ready(()))
        .await;
}

/// Ends meetings where they are not wanted.
async fn end_unwanted_meetings(app: &App, report: &PollReport) {
    for stray in report.outcome.unwanted.iter().take(MAX_UNWANTED_ENDS) {
        let server = match &stray.server {
            id if *id == report.server.id => Some(report.server.clone()),
            id => app.pool.find_server(id).await.ok().flatten(),
        };
        let Some(server) = server else { continue };
        if !is_still_unwanted(app, stray).await || is_other_tenants(app, stray).await {
            continue;
        }
        let mut query = meeting_query(&stray.key.id);
        if let Some(password) = &stray.moderator_pw {
            query.set("password", password);
        }
        let ended = app
            .call_server_briefly(&server, "end", &query)
            .await
            .map(|reply| reply.response.success);
        tracing::warn!(server = %server.id, meeting = stray.key.id, ?ended, "not wanted there: ended");
    }
}

/// Whether it is still not wanted there. A create may have settled it there meanwhile, or wait for an
/// answer from there, and of two none is ended while it is not sure that the other one runs.
async fn is_still_unwanted(app: &App, stray: &UnwantedMeeting) -> bool {
    let record = find_record_location(app, stray).await;
    let Some(keeper) = &stray.kept_by else {
        return !matches!(record, RecordLocation::Unsure);
    };
    let RecordLocation::OtherServer(server) = record else { return false };
    if server.id != *keeper {
        return false;
    }
    let query = meeting_query(&stray.key.id);
    let shown = app.call_server_briefly(&server, "getMeetingInfo", &query).await;
    // That took a while, and the record may be another one by now.
    shown.is_ok_and(|reply| reply.response.success)
        && matches!(find_record_location(app, stray).await, RecordLocation::OtherServer(server) if server.id == *keeper)
}

/// Whether another tenant's meeting of that id is recorded there: servers know no tenants, and would end
/// that one.
async fn is_other_tenants(app: &App, stray: &UnwantedMeeting) -> bool {
    if stray.key.tenant.is_none() {
        return false;
    }
    let there = app.pool.list_meetings(Some(&stray.server)).await;
    let is_other = |one: &Meeting| one.key.id == stray.key.id && one.key.tenant != stray.key.tenant;
    there.map_or(true, |there| there.iter().any(is_other))
}

/// Where the record of a stray is, as far as that matters to it.
enum RecordLocation {
    /// On another server.
    OtherServer(Box<Server>),
    NotRecorded,
    /// Where the stray is, or a create is about to settle it, or the store does not say.
    Unsure,
}

async fn find_record_location(app: &App, stray: &UnwantedMeeting) -> RecordLocation {
    match app.pool.find_meeting(&stray.key).await {
        Ok(None) => RecordLocation::NotRecorded,
        Ok(Some(one)) if one.server.id != stray.server && one.meeting.claim.is_none() => {
            RecordLocation::OtherServer(Box::new(one.server))
        }
        Ok(Some(_)) | Err(_) => RecordLocation::Unsure,
    }
}

async fn end_meeting(app: &App, server: &Server, meeting: &Meeting) {
    if let Err(error) = app.call_server_briefly(server, "end", &end_query(meeting)).await {
        tracing::debug!(server = %server.id, meeting = meeting.key.id, %error, "not ended");
    }
}

fn log_poll(report: &PollReport, observation: &PollObservation) {
    let server = &report.server;
    let took_ms = observation.finished_at.ms_since(observation.started_at);
    match &observation.result {
        Ok(_) => tracing::debug!(server = %server.id, took_ms, load = server.load, "polled"),
        Err(reason) => tracing::warn!(server = %server.id, took_ms, reason, "poll failed"),
    }
    match report.outcome.change {
        Some(HealthChange::WentOnline) => tracing::info!(server = %server.id, "server is online"),
        Some(HealthChange::WentOffline) => {
            let detached = report.outcome.meeting_updates.len();
            tracing::error!(server = %server.id, detached, "server is offline");
        }
        None => {}
    }
    if report.outcome.drained {
        tracing::info!(server = %server.id, "cordoned server has no meetings left: disabled");
    }
    if report.outcome.attached > 0 {
        let meetings = report.outcome.attached;
        tracing::info!(server = %server.id, meetings, "meetings are back with their server");
    }
    for meeting in &report.outcome.adopted {
        tracing::warn!(server = %server.id, meeting = meeting.key.id, "meeting adopted");
    }
    for meeting in &report.forgotten {
        tracing::info!(server = %server.id, meeting = meeting.key.id, "meeting forgotten");
    }
}
