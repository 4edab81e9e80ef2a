//! Finds the server that a join is sent to. A suspect server is asked first, and a meeting whose server is
//! offline is made anew.

use std::time::Duration;

use domain::MeetingKey;
use domain::health::HealthState;
use tokio::time::{Instant, sleep};

use crate::api::{ApiError, RequestLog, is_own_meeting};
use crate::context::App;
use crate::ports::{MeetingOnServer, StoreError};
use crate::revival;
use crate::suspect_check;
use crate::tenancy::Caller;

/// How often a join looks whether the revival of another replica is over.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// What a join does with the record of a meeting.
enum Assessment {
    /// The browser is sent there.
    Joinable,
    /// The meeting may be another tenant's.
    NotFound,
    /// It is being made anew.
    BeingRevived,
    /// Its server failed lately.
    Suspect,
    /// Its server is offline or disabled.
    Unreachable,
}

/// Returns the meeting on the server that a user is sent to, and counts the user. What few joins need is boxed: every join
/// reserves and moves the room of its largest step.
///
/// # Errors
/// When the meeting is unknown, or its server is offline or disabled and the meeting is not made anew.
pub(crate) async fn find_join_target(
    app: &App,
    caller: &Caller,
    key: &MeetingKey,
    log: &mut RequestLog,
) -> Result<MeetingOnServer, ApiError> {
    let mut found = app.pool.record_join(key, app.clock.now()).await?.ok_or(ApiError::NotFound)?;
    let deadline = Instant::now() + revival::max_wait(app);
    let (mut has_asked, mut has_revived) = (false, false);
    loop {
        log.name_server(app, &found.server);
        let goes_on = match assess(app, &found) {
            Assessment::Joinable => return Ok(found),
            Assessment::NotFound => return Err(ApiError::NotFound),
            Assessment::BeingRevived => {
                Box::pin(revival::wait_for_revival(app, &found.meeting, deadline)).await;
                sleep(CHECK_INTERVAL).await;
                Instant::now() < deadline
            }
            Assessment::Suspect => {
                if Box::pin(suspect_check::is_alive(app, &found.server, &key.id)).await {
                    return Ok(found);
                }
                !std::mem::replace(&mut has_asked, true)
            }
            Assessment::Unreachable => {
                !std::mem::replace(&mut has_revived, true)
                    && Box::pin(revival::revive(app, caller, &found, deadline)).await
            }
        };
        if !goes_on {
            return Err(ApiError::ServerUnavailable);
        }
        found = read_again(app, key).await?.ok_or(ApiError::NotFound)?;
    }
}

fn assess(app: &App, found: &MeetingOnServer) -> Assessment {
    let MeetingOnServer { meeting, server } = found;
    let now = app.clock.now();
    if meeting.is_revived() && meeting.is_being_created(now) {
        return Assessment::BeingRevived;
    }
    if !is_own_meeting(meeting) {
        return Assessment::NotFound;
    }
    if !found.is_reachable() {
        return Assessment::Unreachable;
    }
    match server.health.state(now) {
        HealthState::Suspect => Assessment::Suspect,
        HealthState::Online | HealthState::Offline | HealthState::Probation => Assessment::Joinable,
    }
}

/// Reads the record of the meeting again. What joins have read before may be older than the store.
async fn read_again(app: &App, key: &MeetingKey) -> Result<Option<MeetingOnServer>, StoreError> {
    let joined = app.pool.record_join(key, app.clock.now()).await?;
    match joined.filter(MeetingOnServer::is_reachable) {
        Some(reachable) => Ok(Some(reachable)),
        None => app.pool.find_meeting(key).await,
    }
}
