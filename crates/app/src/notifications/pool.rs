//! The problems of the pool. One replica looks for them in each interval; what was told is kept in the store, so that another replica, or the
//! next process, tells nothing twice and misses nothing.

use domain::health::HealthState;
use domain::{AdminState, Server, Timestamp, server};

use super::NotificationCenter;
use super::problem::{FoundProblem, ProblemKind};
use super::transitions::TransitionLog;
use crate::admin::capacity::{MINUTES_AHEAD, PoolCapacity, forecast_capacity};
use crate::context::App;
use crate::ports::{
    ArchiveRecord, ImportStage, KeyedRequest, OutboxMessage, RequestClaim, StoreError,
};

/// Archives that are looked at, those that changed last.
const MAX_ARCHIVES: u32 = 200;
/// Callbacks that were given up and are looked at, the newest first.
const MAX_MESSAGES: u32 = 200;
/// Requests that the store remembers at most: as many as the management API lets it.
const MAX_REMEMBERED: usize = 10_000;
/// How long it is kept what was told. It is written anew with each change.
const KEPT_MS: i64 = 365 * 86_400_000;
/// With fewer places nobody can join.
const ONE_PLACE: f64 = 1.0;

/// Looks at the pool, and queues what is to be told.
///
/// # Errors
/// When the state store fails.
pub async fn watch_pool(app: &App, center: &NotificationCenter) -> Result<(), StoreError> {
    let now = app.clock.now();
    let servers = app.pool.list_servers().await?;
    let capacity = forecast_capacity(app, &servers).await?;
    let mut problems = find_server_problems(&servers, &capacity, now);
    let mut unknown = Vec::new();
    if let Some(store) = &app.recording_store {
        match store.list_archives(MAX_ARCHIVES).await {
            Ok(archives) => problems.extend(archives.iter().filter_map(find_archive_problem)),
            Err(_) => unknown.push(ProblemKind::ArchiveQuarantined),
        }
        match store.list_given_up(MAX_MESSAGES).await {
            Ok(messages) => problems.extend(messages.iter().map(find_callback_problem)),
            Err(_) => unknown.push(ProblemKind::CallbackGivenUp),
        }
    }
    let former = read_log(app, now).await?;
    let mut log = former.clone();
    let transitions = log.note(problems, &unknown, now, center.is_quiet(now));
    if log != former {
        // First, so that nothing is told twice.
        write_log(app, &log, now).await?;
    }
    center.queue(&transitions);
    Ok(())
}

fn kept_key() -> KeyedRequest {
    KeyedRequest { key: "notifications".to_owned(), fingerprint: "pool".to_owned() }
}

async fn read_log(app: &App, now: Timestamp) -> Result<TransitionLog, StoreError> {
    let until = now.plus_ms(KEPT_MS);
    let claim = app.requests.claim_request(&kept_key(), now, until, MAX_REMEMBERED).await?;
    Ok(match claim {
        RequestClaim::Answered(text) => serde_json::from_str(&text).unwrap_or_default(),
        _ => TransitionLog::default(),
    })
}

async fn write_log(app: &App, log: &TransitionLog, now: Timestamp) -> Result<(), StoreError> {
    let text = serde_json::to_string(log).unwrap_or_default();
    app.requests.remember_answer(&kept_key(), &text, now.plus_ms(KEPT_MS)).await
}

fn find_server_problems(
    servers: &[Server],
    capacity: &PoolCapacity,
    now: Timestamp,
) -> Vec<FoundProblem> {
    let is_offline = |server: &&Server| {
        server.state != AdminState::Disabled
            && server.health.state(now) == HealthState::Offline
            // One that was just added was never asked.
            && server.health.last_failure.is_some()
    };
    let to_problem = |server: &Server| {
        let failure = server.health.last_failure.as_ref();
        let reason = failure.map_or("", |failure| failure.reason.as_str());
        FoundProblem::new(ProblemKind::ServerOffline, &server.id.0, server.hostname(), reason)
    };
    let offline = servers.iter().filter(is_offline).map(to_problem);
    offline.chain(find_shortage(servers, capacity)).collect()
}

/// Finds out whether the pool takes no more users, or soon will not.
fn find_shortage(servers: &[Server], capacity: &PoolCapacity) -> Option<FoundProblem> {
    let problem = |kind, reason: &str| Some(FoundProblem::new(kind, "", "the pool", reason));
    if !servers.iter().any(Server::accepts_meetings) {
        let was_never_asked = |server: &Server| {
            server.state == AdminState::Enabled
                && !server.is_online()
                && server.health.last_failure.is_none()
        };
        if servers.is_empty() || servers.iter().any(was_never_asked) {
            return None;
        }
        let count = |state| servers.iter().filter(|server| server.state == state).count();
        let [enabled, cordoned, disabled] =
            [AdminState::Enabled, AdminState::Cordoned, AdminState::Disabled].map(count);
        let reason = format!(
            "{enabled} servers are enabled and none of them is online; {cordoned} are cordoned, {disabled} are disabled."
        );
        return problem(ProblemKind::NoServer, &reason);
    }
    let places = capacity.free_places.filter(|_| capacity.unlimited == 0)?;
    let mut times = MINUTES_AHEAD.iter().zip(places);
    let (minutes, _) = times.find(|(_, places)| *places < ONE_PLACE)?;
    match minutes {
        0 => problem(
            ProblemKind::NoPlaces,
            "All servers have as many users or meetings as their limits allow.",
        ),
        _ => problem(
            ProblemKind::NoPlacesAhead,
            &format!(
                "In {minutes} minutes the users that are expected reach the limits of all servers."
            ),
        ),
    }
}

fn find_archive_problem(archive: &ArchiveRecord) -> Option<FoundProblem> {
    let reason = archive.reason.as_deref().unwrap_or_default();
    let kind = ProblemKind::ArchiveQuarantined;
    let is_kept = archive.stage == ImportStage::Quarantined;
    is_kept.then(|| FoundProblem::new(kind, &archive.name, &archive.name, reason))
}

fn find_callback_problem(message: &OutboxMessage) -> FoundProblem {
    // The rest of a URL may contain secrets.
    let host = server::hostname(&message.url).unwrap_or("a front-end");
    let reason = message.failure.as_deref().unwrap_or_default();
    FoundProblem::new(ProblemKind::CallbackGivenUp, &message.id, host, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_app::test_server;
    use domain::health::ServerFailure;

    fn kinds(servers: &[Server], capacity: &PoolCapacity) -> Vec<ProblemKind> {
        let found = find_server_problems(servers, capacity, Timestamp(0));
        found.iter().map(|problem| problem.kind).collect()
    }

    #[test]
    fn offline_servers_and_shortages_are_problems() {
        let server = |host, is_online: bool| {
            let mut server = test_server(host);
            server.health.online = is_online;
            let reason = "no answer".to_owned();
            server.health.last_failure =
                (!is_online).then_some(ServerFailure { at: Timestamp(0), reason });
            server
        };
        let none = PoolCapacity::default();
        assert_eq!(kinds(&[], &none), [], "a pool that is being set up");
        let mut new = server("new", false);
        new.health.last_failure = None;
        assert_eq!(kinds(&[new], &none), [], "not asked yet");
        let (one, mut other) = (server("one", true), server("other", false));
        assert_eq!(kinds(&[one.clone(), other.clone()], &none), [ProblemKind::ServerOffline]);
        let both = [ProblemKind::ServerOffline, ProblemKind::NoServer];
        assert_eq!(kinds(std::slice::from_ref(&other), &none), both);
        other.state = AdminState::Disabled;
        assert_eq!(kinds(&[other], &none), [ProblemKind::NoServer]);
        let full = |places| PoolCapacity { free_places: Some(places), ..PoolCapacity::default() };
        let one = [one];
        let now = full([0.5, 9.0, 9.0, 9.0, 9.0]);
        assert_eq!(kinds(&one, &now), [ProblemKind::NoPlaces]);
        let later = full([9.0, 9.0, 0.0, 9.0, 9.0]);
        assert_eq!(kinds(&one, &later), [ProblemKind::NoPlacesAhead]);
        let unlimited = PoolCapacity { unlimited: 1, ..later };
        assert_eq!(kinds(&one, &unlimited), []);
    }
}
