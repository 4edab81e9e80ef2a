//! Front-ends, browsers and administrators: they call use cases, and the checkers look at the
//! results.

use std::time::Duration;

use app::App;
use app::admin::{meetings, servers};
use app::api::{self, ApiError, RequestLog};
use app::callbacks::CreateOrigin;
use app::ports::ServerChange;
use app::tenancy::Caller;
use bbb::Query;
use bytes::Bytes;
use domain::{AdminState, MeetingKey, ServerId};
use futures_util::StreamExt as _;
use tokio::time::sleep;

use super::checkers::{self, FinishedUseCase, UseCaseOutcome};
use super::hostile::FLOOD_NAME;
use super::mutant::Mutant;
use super::replica::ReplicaContext;
use super::sim_run::SimRun;
use super::twin_entries;
use super::use_case::{ServerAction, UseCase, UseCaseKind, meeting_name};
use super::workload::{CreateRequest, tenant_name};

/// How long a browser takes to follow a redirect.
const REDIRECT_DELAY: Duration = Duration::from_millis(150);

/// Removes a use case from the running ones, and checks how long it took.
pub(crate) fn finish_use_case(sim: &SimRun, use_case: &UseCase) {
    let mut expectations = sim.expectations();
    expectations.running.remove(&use_case.number);
    if let UseCaseKind::End(key) | UseCaseKind::AdminEnd(key) = &use_case.kind {
        expectations.end_times.insert(key.clone(), (use_case.started_at, sim.now()));
    }
    drop(expectations);
    let result = checkers::use_case_results::check_duration(use_case, sim.now(), &sim.rules);
    sim.record_check("use_cases_end_in_time", result);
}

/// Ends a use case, and has its outcome checked.
fn check_outcome(
    context: &ReplicaContext,
    use_case: &UseCase,
    server: Option<&ServerId>,
    outcome: &UseCaseOutcome,
) {
    let sim = context.sim();
    finish_use_case(sim, use_case);
    sim.write_trace(|| {
        let server = server.map_or_else(String::new, |server| format!(" at {server}"));
        format!("{use_case}{server}: {}", outcome.summary())
    });
    sim.count_event(outcome.name());
    let finished = FinishedUseCase { sim, use_case, server, outcome };
    for (checker, check) in checkers::USE_CASE_CHECKERS {
        sim.record_check(checker, check(&finished));
    }
}

/// Identifies a front-end by the name of its tenant.
async fn identify_caller(app: &App, tenant: Option<&String>) -> Result<Caller, ApiError> {
    let name = tenant.map(|tenant| tenant_name(tenant));
    api::identify_caller(app, name.as_deref()).await
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
            let tenant = self.key.tenant.as_deref().unwrap_or("no-tenant");
            query.set("attendeePW", &format!("ap-{tenant}"));
            query.set("moderatorPW", &format!("mp-{tenant}"));
        }
        if let Some(number) = self.voice_bridge {
            query.set("voiceBridge", number);
        }
        query.set("meta_origin", "simulator");
        query.set("meta_endCallbackUrl", &end_address(&self.key));
        query
    }
}

/// Returns the address at which the front-end of a meeting is told that it is over.
fn end_address(key: &MeetingKey) -> String {
    format!("http://front-end/{}", key.tenant.as_deref().unwrap_or_default())
}

/// Returns the meeting whose end a call to the address of a front-end tells.
#[must_use]
pub(crate) fn told_meeting(url: &str) -> Option<MeetingKey> {
    let (tenant, query) = url.strip_prefix("http://front-end/")?.split_once('?')?;
    let id = Query::parse(query).get("meetingID")?.into_owned();
    Some(MeetingKey { tenant: (!tenant.is_empty()).then(|| tenant.to_owned()), id })
}

/// A front-end creates a meeting.
pub(crate) async fn create_meeting(context: ReplicaContext, create: CreateRequest) {
    let (app, use_case) = context.begin_use_case(UseCaseKind::Create(create.key.clone()));
    let (created, request_log) = match identify_caller(&app, create.key.tenant.as_ref()).await {
        Ok(caller) => {
            let origin = CreateOrigin::default();
            app::create::create(&app, &caller, origin, create.to_query(), None).await
        }
        Err(error) => (Err(error), RequestLog::default()),
    };
    let outcome = UseCaseOutcome::Created(created);
    checkers::told_ends::note_create(context.sim(), &create.key, &outcome);
    if context.sim().store.mutant() == Some(Mutant::ForgetsEndCallbacks) {
        context.sim().forget_end_callbacks(&create.key).await;
    }
    check_outcome(&context, &use_case, request_log.server.as_ref(), &outcome);
}

/// A front-end sends a user to a meeting, and the browser follows the redirect.
pub(crate) async fn join_meeting(context: ReplicaContext, key: MeetingKey) {
    let (app, use_case) = context.begin_use_case(UseCaseKind::Join(key.clone()));
    let mut request_log = RequestLog::default();
    let mut query = meeting_query(&key);
    query.set("fullName", "User");
    query.set("role", "VIEWER");
    let joined = async {
        let caller = identify_caller(&app, key.tenant.as_ref()).await?;
        api::join(&app, &caller, query, &mut request_log).await.map_err(|failure| failure.error)
    };
    let outcome = UseCaseOutcome::Joined(joined.await);
    check_outcome(&context, &use_case, request_log.server.as_ref(), &outcome);
    if let UseCaseOutcome::Joined(Ok(url)) = outcome {
        sleep(REDIRECT_DELAY).await;
        follow_redirect(context.sim(), &use_case, &url);
    }
}

/// A browser requests the URL to which a join redirected it.
fn follow_redirect(sim: &SimRun, use_case: &UseCase, url: &str) {
    let now = sim.now();
    let Some(key) = use_case.kind.key() else { return };
    let host = domain::server::hostname(url).unwrap_or_default();
    let result = {
        let expectations = sim.expectations();
        let mut sim_servers = sim.servers();
        let Some(sim_server) = sim_servers.get_mut(host) else { return };
        sim_server.advance(now);
        let result =
            checkers::join_redirects::check_redirect(sim, &expectations, sim_server, use_case);
        if sim_server.down_until.is_none()
            && let Some(sim_meeting) = sim_server.meetings.get_mut(&key.id)
        {
            sim_meeting.add_user(now);
        }
        result
    };
    sim.write_trace(|| format!("{use_case}: browser at {host}: {result:?}"));
    sim.record_check("browsers_find_their_own_meeting", result);
}

/// A front-end ends a meeting.
pub(crate) async fn end_meeting(context: ReplicaContext, key: MeetingKey) {
    let (app, use_case) = context.begin_use_case(UseCaseKind::End(key.clone()));
    let recorded_server = confirmed_server(context.sim(), &key);
    abandon_meetings(context.sim(), "a front-end ended it", |running| running == &key);
    let mut request_log = RequestLog::default();
    let ended = async {
        let caller = identify_caller(&app, key.tenant.as_ref()).await?;
        api::end(&app, &caller, &meeting_query(&key), &mut request_log).await
    };
    let ended = ended.await;
    let called_server = recorded_server.filter(|id| request_log.server.as_ref() == Some(id));
    if let (Some(server), Ok(_) | Err(ApiError::NotFound)) = (called_server, &ended) {
        mark_ended(context.sim(), &use_case, &server);
    }
    if let Ok(_) | Err(ApiError::NotFound) = &ended {
        let times = (use_case.started_at, context.sim().now());
        context.sim().expectations().confirmed_ends.insert(key.clone(), times);
    }
    let outcome = UseCaseOutcome::Ended(ended);
    check_outcome(&context, &use_case, request_log.server.as_ref(), &outcome);
}

/// Returns the server of a recorded meeting that no create has claimed.
fn confirmed_server(sim: &SimRun, key: &MeetingKey) -> Option<ServerId> {
    let expectations = sim.expectations();
    let record = expectations.last_snapshot.meeting(key).filter(|meeting| meeting.claim.is_none());
    record.map(|meeting| meeting.server.clone())
}

/// Notes at a meeting which still runs that its front-end was told that it is over.
fn mark_ended(sim: &SimRun, use_case: &UseCase, server: &ServerId) {
    let now = sim.now();
    let Some(key) = use_case.kind.key() else { return };
    let mut sim_servers = sim.servers();
    let Some(sim_server) = sim_servers.get_mut(&server.0) else { return };
    if let Some(sim_meeting) = sim_server.meetings.get_mut(&key.id)
        && sim_meeting.listed_since < use_case.started_at
    {
        sim_meeting.ended_at = Some(now);
    }
}

/// A front-end asks whether a meeting has users.
pub(crate) async fn is_meeting_running(context: ReplicaContext, key: MeetingKey) {
    let (app, use_case) = context.begin_use_case(UseCaseKind::IsMeetingRunning(key.clone()));
    let mut request_log = RequestLog::default();
    let checked = async {
        let caller = identify_caller(&app, key.tenant.as_ref()).await?;
        api::is_meeting_running(&app, &caller, &meeting_query(&key), &mut request_log).await
    };
    let outcome = UseCaseOutcome::RunningChecked(checked.await);
    check_outcome(&context, &use_case, request_log.server.as_ref(), &outcome);
}

/// A front-end asks for the details of a meeting.
pub(crate) async fn get_meeting_info(context: ReplicaContext, key: MeetingKey) {
    let (app, use_case) = context.begin_use_case(UseCaseKind::GetMeetingInfo(key.clone()));
    let mut request_log = RequestLog::default();
    let info = async {
        let caller = identify_caller(&app, key.tenant.as_ref()).await?;
        api::get_meeting_info(&app, &caller, &meeting_query(&key), &mut request_log).await
    };
    let outcome = UseCaseOutcome::InfoReturned(info.await);
    check_outcome(&context, &use_case, request_log.server.as_ref(), &outcome);
}

/// A front-end asks for all of its meetings.
pub(crate) async fn get_meetings(context: ReplicaContext, tenant: Option<String>) {
    let (app, use_case) = context.begin_use_case(UseCaseKind::GetMeetings(tenant.clone()));
    let listed = async {
        let caller = identify_caller(&app, tenant.as_ref()).await?;
        let chunks = api::get_meetings(&app, &caller).await?;
        Ok(Bytes::from(chunks.collect::<Vec<Bytes>>().await.concat()))
    };
    let outcome = UseCaseOutcome::Listed(listed.await);
    check_outcome(&context, &use_case, None, &outcome);
}

/// An administrator ends a meeting.
pub(crate) async fn end_as_admin(context: ReplicaContext, key: MeetingKey) {
    let (app, use_case) = context.begin_use_case(UseCaseKind::AdminEnd(key.clone()));
    abandon_meetings(context.sim(), "an administrator ended it", |running| running == &key);
    let listed = meetings::list(&app, std::slice::from_ref(&key.id)).await.unwrap_or_default();
    let mut result = Ok(());
    for meeting in listed.iter().filter(|meeting| meeting.key == key) {
        result = meetings::end(&app, meeting).await.map_err(|error| error.to_string());
    }
    check_outcome(&context, &use_case, None, &UseCaseOutcome::Administered(result));
}

/// An administrator changes a server.
pub(crate) async fn change_server(context: ReplicaContext, action: ServerAction, host: String) {
    let (app, use_case) = context.begin_use_case(UseCaseKind::ChangeServer(action, host.clone()));
    if action.may_forget_meetings() {
        let keys: Vec<MeetingKey> = {
            let sim_servers = context.sim().servers();
            let meetings = sim_servers.get(&host).into_iter().flat_map(|it| it.meetings.values());
            meetings.map(|sim_meeting| sim_meeting.key.clone()).collect()
        };
        let reason = "its server was removed or put into panic mode";
        abandon_meetings(context.sim(), reason, |running| keys.contains(running));
    }
    let set_state = |state| servers::update(&app, &host, ServerChange::with_state(state));
    let result = match action {
        ServerAction::Enable => set_state(AdminState::Enabled).await.map(drop),
        ServerAction::Cordon => set_state(AdminState::Cordoned).await.map(drop),
        ServerAction::Disable => set_state(AdminState::Disabled).await.map(drop),
        ServerAction::Remove => servers::remove(&app, &host).await.map(drop),
        ServerAction::Panic => {
            let keep_state = use_case.number % 2 == 0;
            let options = servers::PanicOptions { keep_state, skip_end_calls: false };
            servers::panic(&app, &host, options).await.map(drop)
        }
        ServerAction::Add => {
            let new = context.sim().servers().get(&host).map(|sim_server| servers::NewServer {
                url: sim_server.url(),
                secret: sim_server.secret.clone(),
                ..servers::NewServer::default()
            });
            match servers::add(&app, new.unwrap_or_default()).await {
                Ok(_) => set_state(AdminState::Enabled).await.map(drop),
                Err(error) => Err(error),
            }
        }
        ServerAction::AddTwin => twin_entries::add_twin(&app, context.sim(), &host).await,
        ServerAction::Rename => twin_entries::rename(&app, context.sim(), &host).await,
        ServerAction::AddSpelling => twin_entries::add_spelling(&app, context.sim(), &host).await,
    };
    let result = result.map_err(|error| error.to_string());
    check_outcome(&context, &use_case, None, &UseCaseOutcome::Administered(result));
}

/// Marks running meetings that the balancer need not know any longer.
fn abandon_meetings(sim: &SimRun, reason: &'static str, applies: impl Fn(&MeetingKey) -> bool) {
    for sim_server in sim.servers().values_mut() {
        for sim_meeting in sim_server.meetings.values_mut() {
            if applies(&sim_meeting.key) {
                (sim_meeting.abandon_reason, sim_meeting.ended_at) = (Some(reason), None);
            }
        }
    }
    sim.write_trace(|| format!("abandoned: {reason}"));
}

/// Returns the keys of all running meetings, and of those that were lost with their servers.
#[must_use]
pub(crate) fn running_keys(sim: &SimRun) -> Vec<MeetingKey> {
    let expectations = sim.expectations();
    let sim_servers = sim.servers();
    let sim_meetings = sim_servers.values().flat_map(|sim_server| sim_server.meetings.values());
    let mut keys: Vec<_> = sim_meetings.map(|sim_meeting| sim_meeting.key.clone()).collect();
    let is_down = |id: &ServerId| sim_servers.get(&id.0).is_some_and(|it| it.down_until.is_some());
    let recorded = expectations.last_snapshot.meetings.iter();
    keys.extend(recorded.filter(|it| is_down(&it.server)).map(|it| it.key.clone()));
    // What a server lists without end no front-end knows.
    keys.retain(|key| !key.id.starts_with(FLOOD_NAME));
    keys
}

/// Removes a user from a meeting.
pub(crate) fn leave_meeting(sim: &SimRun, key: &MeetingKey) {
    let now = sim.now();
    for sim_server in sim.servers().values_mut() {
        if let Some(sim_meeting) = sim_server.meetings.get_mut(&key.id)
            && sim_meeting.key == *key
        {
            sim_meeting.remove_user(now);
        }
    }
    sim.write_trace(|| format!("a user leaves {}", meeting_name(key)));
}
