//! Front-ends, browsers and administrators: they call use cases, and what they are told is looked
//! at by the checkers.

use std::time::Duration;

use app::admin::{meetings, servers};
use app::api::{self, ApiError, RequestLog};
use app::callbacks::CreateOrigin;
use app::ports::ServerChange;
use bbb::Query;
use bytes::Bytes;
use domain::{AdminState, MeetingKey, ServerId};
use futures_util::StreamExt as _;
use tokio::time::sleep;

use super::checkers::{self, FinishedUseCase, UseCaseOutcome};
use super::replica::ReplicaContext;
use super::sim_run::SimRun;
use super::use_case::{ServerAction, UseCase, UseCaseKind, meeting_name};
use super::workload::CreateRequest;

/// How long a browser takes to follow a redirect.
const REDIRECT_DELAY: Duration = Duration::from_millis(150);

/// A use case is over: whatever it did, it took a while.
pub(crate) fn finish_use_case(world: &SimRun, op: &UseCase) {
    let mut ledger = world.expectations();
    ledger.running.remove(&op.number);
    if let UseCaseKind::End(key) | UseCaseKind::AdminEnd(key) = &op.kind {
        ledger.end_times.insert(key.clone(), (op.started_at, world.now()));
    }
    drop(ledger);
    let verdict = checkers::use_case_results::check_duration(op, world.now(), &world.rules);
    world.record_check("use_cases_end_in_time", verdict);
}

/// A use case is over with that outcome.
fn check_outcome(
    world: &SimRun,
    op: &UseCase,
    server: Option<&ServerId>,
    outcome: &UseCaseOutcome,
) {
    finish_use_case(world, op);
    world.write_trace(|| {
        let at = server.map_or_else(String::new, |server| format!(" at {server}"));
        format!("{op}{at}: {}", outcome.summary())
    });
    world.count_event(outcome.name());
    let done = FinishedUseCase { sim: world, use_case: op, server, outcome };
    for (checker, check) in checkers::USE_CASE_CHECKERS {
        world.record_check(checker, check(&done));
    }
}

fn tenant_name(key: Option<&String>) -> Option<String> {
    key.map(|tenant| format!("name-of-{tenant}"))
}

fn meeting_query(key: &MeetingKey) -> Query {
    let mut query = Query::default();
    query.set("meetingID", &key.id);
    query
}

impl CreateRequest {
    fn to_query(&self) -> Query {
        let mut query = meeting_query(&self.key);
        query.set("name", "Room");
        if self.with_passwords {
            let whose = self.key.tenant.as_deref().unwrap_or("nobody");
            query.set("attendeePW", &format!("ap-{whose}"));
            query.set("moderatorPW", &format!("mp-{whose}"));
        }
        if let Some(number) = self.voice_bridge {
            query.set("voiceBridge", number);
        }
        query.set("meta_origin", "simulator");
        query
    }
}

/// A front-end creates a meeting.
pub(crate) async fn create_meeting(body: ReplicaContext, create: CreateRequest) {
    let (app, op) = body.begin_use_case(UseCaseKind::Create(create.key.clone()));
    let label = tenant_name(create.key.tenant.as_ref());
    let (created, log) = match api::identify_caller(&app, label.as_deref()).await {
        Ok(caller) => {
            let origin = CreateOrigin::default();
            app::create::create(&app, &caller, origin, create.to_query(), None).await
        }
        Err(error) => (Err(error), RequestLog::default()),
    };
    let outcome = UseCaseOutcome::Created(created);
    check_outcome(body.sim(), &op, log.server.as_ref(), &outcome);
}

/// A front-end sends a user to a meeting, and the browser follows.
pub(crate) async fn join_meeting(body: ReplicaContext, key: MeetingKey) {
    let (app, op) = body.begin_use_case(UseCaseKind::Join(key.clone()));
    let mut trail = RequestLog::default();
    let mut query = meeting_query(&key);
    query.set("fullName", "User");
    query.set("role", "VIEWER");
    let joined = match api::identify_caller(&app, tenant_name(key.tenant.as_ref()).as_deref()).await
    {
        Ok(caller) => {
            api::join(&app, &caller, query, &mut trail).await.map_err(|refused| refused.error)
        }
        Err(error) => Err(error),
    };
    let outcome = UseCaseOutcome::Joined(joined);
    check_outcome(body.sim(), &op, trail.server.as_ref(), &outcome);
    if let UseCaseOutcome::Joined(Ok(url)) = outcome {
        sleep(REDIRECT_DELAY).await;
        follow_redirect(body.sim(), &op, &url);
    }
}

/// A browser arrives where it was sent.
fn follow_redirect(world: &SimRun, op: &UseCase, url: &str) {
    let now = world.now();
    let Some(key) = op.kind.key() else { return };
    let host = domain::server::hostname(url).unwrap_or_default();
    let verdict = {
        let ledger = world.expectations();
        let mut machines = world.servers();
        let Some(machine) = machines.get_mut(host) else { return };
        machine.advance(now);
        let verdict = checkers::join_redirects::check_redirect(world, &ledger, machine, op);
        if machine.down_until.is_none()
            && let Some(room) = machine.meetings.get_mut(&key.id)
        {
            room.add_user(now);
        }
        verdict
    };
    world.write_trace(|| format!("{op}: browser at {host}: {verdict:?}"));
    world.record_check("browsers_find_their_own_meeting", verdict);
}

/// A front-end ends a meeting.
pub(crate) async fn end_meeting(body: ReplicaContext, key: MeetingKey) {
    let (app, op) = body.begin_use_case(UseCaseKind::End(key.clone()));
    let home = confirmed_server(body.sim(), &key);
    abandon_meetings(body.sim(), "a front-end ended it", |room| room == &key);
    let mut trail = RequestLog::default();
    let ended = match api::identify_caller(&app, tenant_name(key.tenant.as_ref()).as_deref()).await
    {
        Ok(caller) => api::end(&app, &caller, &meeting_query(&key), &mut trail).await,
        Err(error) => Err(error),
    };
    let asked = home.filter(|home| trail.server.as_ref() == Some(home));
    if let (Some(home), Ok(_) | Err(ApiError::NotFound)) = (asked, &ended) {
        mark_ended(body.sim(), &op, &home);
    }
    check_outcome(body.sim(), &op, trail.server.as_ref(), &UseCaseOutcome::Ended(ended));
}

/// The server of a meeting that nobody is creating.
fn confirmed_server(world: &SimRun, key: &MeetingKey) -> Option<ServerId> {
    let ledger = world.expectations();
    let record = ledger.last_snapshot.meeting(key).filter(|meeting| meeting.claim.is_none());
    record.map(|meeting| meeting.server.clone())
}

/// A front-end was told that its meeting is over, whatever still runs.
fn mark_ended(world: &SimRun, op: &UseCase, home: &ServerId) {
    let now = world.now();
    let mut machines = world.servers();
    let room = op.kind.key().and_then(|key| machines.get_mut(&home.0)?.meetings.get_mut(&key.id));
    if let Some(room) = room.filter(|room| room.created_at < op.started_at) {
        room.ended_at = Some(now);
    }
}

/// A front-end asks whether somebody is in a meeting.
pub(crate) async fn is_meeting_running(body: ReplicaContext, key: MeetingKey) {
    let (app, op) = body.begin_use_case(UseCaseKind::IsMeetingRunning(key.clone()));
    let mut trail = RequestLog::default();
    let asked = match api::identify_caller(&app, tenant_name(key.tenant.as_ref()).as_deref()).await
    {
        Ok(caller) => {
            api::is_meeting_running(&app, &caller, &meeting_query(&key), &mut trail).await
        }
        Err(error) => Err(error),
    };
    check_outcome(body.sim(), &op, trail.server.as_ref(), &UseCaseOutcome::RunningChecked(asked));
}

/// A front-end asks for the details of a meeting.
pub(crate) async fn get_meeting_info(body: ReplicaContext, key: MeetingKey) {
    let (app, op) = body.begin_use_case(UseCaseKind::GetMeetingInfo(key.clone()));
    let mut trail = RequestLog::default();
    let asked = match api::identify_caller(&app, tenant_name(key.tenant.as_ref()).as_deref()).await
    {
        Ok(caller) => api::get_meeting_info(&app, &caller, &meeting_query(&key), &mut trail).await,
        Err(error) => Err(error),
    };
    check_outcome(body.sim(), &op, trail.server.as_ref(), &UseCaseOutcome::InfoReturned(asked));
}

/// A front-end asks for all of its meetings.
pub(crate) async fn get_meetings(body: ReplicaContext, tenant: Option<String>) {
    let (app, op) = body.begin_use_case(UseCaseKind::GetMeetings(tenant.clone()));
    let listed = match api::identify_caller(&app, tenant_name(tenant.as_ref()).as_deref()).await {
        Ok(caller) => match api::get_meetings(&app, &caller).await {
            Ok(pieces) => Ok(Bytes::from(pieces.collect::<Vec<Bytes>>().await.concat())),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    check_outcome(body.sim(), &op, None, &UseCaseOutcome::Listed(listed));
}

/// An administrator ends a meeting.
pub(crate) async fn end_as_admin(body: ReplicaContext, key: MeetingKey) {
    let (app, op) = body.begin_use_case(UseCaseKind::AdminEnd(key.clone()));
    abandon_meetings(body.sim(), "an administrator ended it", |room| room == &key);
    let listed = meetings::list(&app, std::slice::from_ref(&key.id)).await.unwrap_or_default();
    let mut outcome = Ok(());
    for meeting in listed.iter().filter(|meeting| meeting.key == key) {
        outcome = meetings::end(&app, meeting).await.map_err(|error| error.to_string());
    }
    check_outcome(body.sim(), &op, None, &UseCaseOutcome::Administered(outcome));
}

/// An administrator changes a server.
pub(crate) async fn change_server(body: ReplicaContext, deed: ServerAction, host: String) {
    let (app, op) = body.begin_use_case(UseCaseKind::ChangeServer(deed, host.clone()));
    if deed.may_forget_meetings() {
        let ids: Vec<MeetingKey> = {
            let machines = body.sim().servers();
            machines
                .get(&host)
                .into_iter()
                .flat_map(|one| one.meetings.values())
                .map(|room| room.key.clone())
                .collect()
        };
        abandon_meetings(body.sim(), "its server was cleared", |room| ids.contains(room));
    }
    let state = |state| servers::update(&app, &host, ServerChange::with_state(state));
    let outcome = match deed {
        ServerAction::Enable => state(AdminState::Enabled).await.map(drop),
        ServerAction::Cordon => state(AdminState::Cordoned).await.map(drop),
        ServerAction::Disable => state(AdminState::Disabled).await.map(drop),
        ServerAction::Remove => servers::remove(&app, &host).await.map(drop),
        ServerAction::Panic => {
            let how =
                servers::PanicOptions { keep_state: op.number % 2 == 0, skip_end_calls: false };
            servers::panic(&app, &host, how).await.map(drop)
        }
        ServerAction::Add => {
            let new = body.sim().servers().get(&host).map(|machine| servers::NewServer {
                url: machine.url(),
                secret: machine.secret.clone(),
                ..servers::NewServer::default()
            });
            match servers::add(&app, new.unwrap_or_default()).await {
                Ok(_) => state(AdminState::Enabled).await.map(drop),
                Err(error) => Err(error),
            }
        }
    };
    let outcome = outcome.map_err(|error| error.to_string());
    check_outcome(body.sim(), &op, None, &UseCaseOutcome::Administered(outcome));
}

/// Meetings that the balancer need not know any longer.
fn abandon_meetings(world: &SimRun, why: &'static str, which: impl Fn(&MeetingKey) -> bool) {
    for machine in world.servers().values_mut() {
        for room in machine.meetings.values_mut().filter(|room| which(&room.key)) {
            (room.abandon_reason, room.ended_at) = (Some(why), None);
        }
    }
    world.write_trace(|| format!("written off: {why}"));
}

/// The keys of running meetings, for whoever chooses one.
#[must_use]
pub(crate) fn running_keys(world: &SimRun) -> Vec<MeetingKey> {
    let machines = world.servers();
    let rooms = machines.values().flat_map(|machine| machine.meetings.values());
    rooms.map(|room| room.key.clone()).collect()
}

/// Somebody leaves a meeting.
pub(crate) fn leave_meeting(world: &SimRun, key: &MeetingKey) {
    let now = world.now();
    for machine in world.servers().values_mut() {
        if let Some(room) = machine.meetings.get_mut(&key.id).filter(|room| room.key == *key) {
            room.remove_user(now);
        }
    }
    world.write_trace(|| format!("somebody leaves {}", meeting_name(key)));
}
