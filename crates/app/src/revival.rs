//! Revival: a meeting whose server is offline is made anew on another server when users want to join it.
//!
//! [`domain::revival`] says which meetings may be revived; how the meeting was created is kept with its
//! record ([`crate::kept_create`]); [`crate::create`] makes it anew like any other meeting, and replaces
//! only the record that was found. So of many joins, in all replicas, one makes the meeting, and the others
//! wait for it ([`crate::state::Revivals`]). If the old server comes back with the meeting, polls decide between the two copies.

use std::time::Duration;

use bbb::Query;
use domain::revival::{is_over, may_be_revived};
use domain::twins::list_twins;
use domain::{Meeting, Server};
use tokio::time::{Instant, timeout_at};

use crate::audit::{self, AuditEvent};
use crate::context::App;
use crate::create::{Recreated, recreate_meeting};
use crate::kept_create::CreateParameters;
use crate::origin;
use crate::ports::{KeptCreate, MeetingOnServer, StoreError};
use crate::state::RevivalStart;
use crate::tenancy::Caller;

/// A join waits for a revival at most so long, in ms; browsers and proxies wait longer.
const MAX_WAIT_MS: u64 = 25_000;

/// Returns how long a join waits for a revival.
pub(crate) fn max_wait(app: &App) -> Duration {
    Duration::from_millis(app.policy.max_create_ms().min(MAX_WAIT_MS))
}

/// Waits until a revival of the meeting that this process has under way is over, or until the deadline.
pub(crate) async fn wait_for_revival(app: &App, meeting: &Meeting, deadline: Instant) {
    if let Some(ended) = app.revivals.find(&meeting.key) {
        let _ = timeout_at(deadline, ended).await;
    }
}

/// Makes the meeting anew if that may be done, or waits for a join that does so already, until the deadline.
/// Returns whether the meeting may be joined by now; its record says where.
pub(crate) async fn revive(
    app: &App,
    caller: &Caller,
    offline: &MeetingOnServer,
    deadline: Instant,
) -> bool {
    let MeetingOnServer { meeting, server } = offline;
    let now = app.clock.now();
    if !may_be_revived(meeting, server, now, app.policy.revival_window_ms) {
        return false;
    }
    let ended = match app.revivals.start(&meeting.key) {
        RevivalStart::Running(ended) => ended,
        RevivalStart::TooSoon => return false,
        RevivalStart::Started(running, ended) => {
            let (app, caller, offline) = (app.clone(), caller.clone(), offline.clone());
            // It runs to its end even if the browser hangs up.
            tokio::spawn(origin::keep_origin(async move {
                let _permit = app.revivals.acquire_permit().await;
                let has_succeeded = run_revival(&app, &caller, &offline).await;
                app.meters.failed_revivals.add(usize::from(!has_succeeded));
                running.end(has_succeeded);
            }));
            ended
        }
    };
    timeout_at(deadline, ended).await.is_ok()
}

/// Makes the meeting anew, and logs what came of it. Returns false if it failed.
async fn run_revival(app: &App, caller: &Caller, offline: &MeetingOnServer) -> bool {
    let MeetingOnServer { meeting, server } = offline;
    let (id, from, from_host) = (&meeting.key.id, &server.id, server.hostname());
    let (kept, parameters) = match find_parameters(app, offline).await {
        Ok(found) => found,
        Err(reason) => {
            tracing::info!(meeting = id, %from, from_host, reason, "meeting not revived");
            return false;
        }
    };
    match recreate_meeting(app, caller, offline, &kept, parameters).await {
        Recreated::Made(server) => {
            app.meters.revivals.count();
            let seen_ms = app.clock.now().ms_since(meeting.seen_at);
            let users = meeting.load.users;
            let host = app.known_hosts.find(&server);
            let host = host.as_deref();
            tracing::info!(meeting = id, %from, from_host, %server, host, users, seen_ms, "meeting revived");
            let event = AuditEvent::new("meeting.revive").on_meeting(&meeting.key);
            let before = serde_json::json!({ "server": from.0, "host": from_host });
            let event = event.on_server_id(&server.0, host).before(before);
            audit::note_automatic(app, "revival", event);
        }
        Recreated::Elsewhere => tracing::debug!(meeting = id, %from, "meeting is elsewhere"),
        Recreated::Ended => {
            tracing::info!(meeting = id, %from, from_host, "meeting not revived: it was ended");
        }
        Recreated::Failed(reason) => {
            tracing::warn!(meeting = id, %from, from_host, %reason, "meeting not revived");
            return false;
        }
    }
    true
}

/// Returns what is needed to make the meeting anew, or why that is not done.
async fn find_parameters(
    app: &App,
    offline: &MeetingOnServer,
) -> Result<(KeptCreate, CreateParameters), &'static str> {
    const STORE_FAILED: &str = "the store failed";
    let MeetingOnServer { meeting, server } = offline;
    let kept = app.kept_creates.find_kept_create(&meeting.key).await;
    let kept = kept.map_err(|_| STORE_FAILED)?.ok_or("its create is not kept")?;
    let parameters = CreateParameters::open(app, &meeting.key, &kept);
    let parameters = parameters.ok_or("its create was kept under another secret")?;
    let began_at = meeting.origin.identity.as_ref().map(|identity| identity.created_at);
    let duration = parameters.query.get("duration");
    let max_min = app.policy.max_meeting_duration_min;
    let now = app.clock.now();
    if began_at.is_none_or(|began_at| is_over(began_at, duration.as_deref(), max_min, now)) {
        return Err("its duration is over");
    }
    if has_online_twin(app, server).await.map_err(|_| STORE_FAILED)? {
        return Err("its server is online under another name");
    }
    Ok((kept, parameters))
}

/// Whether another entry of the same server is online. The meeting runs there, and a poll moves its record.
async fn has_online_twin(app: &App, server: &Server) -> Result<bool, StoreError> {
    let servers = app.pool.list_servers().await?;
    let twins = list_twins(server, &servers);
    Ok(servers.iter().any(|other| other.is_online() && twins.contains(&&other.id)))
}

/// Gives a join to a revived meeting the meeting's `createTime` in place of that of the copy that it has
/// replaced. BBB refuses joins with another one than the meeting's.
pub(crate) async fn translate_create_time(app: &App, target: &MeetingOnServer, query: &mut Query) {
    let meeting = &target.meeting;
    let Some(identity) = meeting.origin.identity.as_ref().filter(|_| meeting.is_revived()) else {
        return;
    };
    let current = identity.created_at.0.to_string();
    let given = query.get("createTime").map(std::borrow::Cow::into_owned);
    let Some(given) = given.filter(|given| *given != current) else { return };
    let kept = match app.kept_creates.find_kept_create(&meeting.key).await {
        Ok(kept) => kept,
        Err(error) => {
            tracing::warn!(meeting = meeting.key.id, %error, "createTime not translated");
            None
        }
    };
    let parameters = kept.and_then(|kept| CreateParameters::open(app, &meeting.key, &kept));
    if parameters.is_some_and(|parameters| parameters.had_create_time(&given)) {
        query.set("createTime", &current);
    }
}
