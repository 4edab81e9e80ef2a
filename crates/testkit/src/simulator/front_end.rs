//! Front-ends, browsers and administrators: they call use cases, and what they are told is looked
//! at by the checkers.

use std::time::Duration;

use app::admin::{meetings, servers};
use app::api::{self, ApiError, Trail};
use app::callbacks::Asked;
use app::ports::ServerChange;
use bbb::Query;
use bytes::Bytes;
use domain::{AdminState, MeetingKey, ServerId};
use futures_util::StreamExt as _;
use tokio::time::sleep;

use super::checkers::{self, Done, Outcome};
use super::op::{Kind, Op, ServerDeed, name};
use super::replica::Body;
use super::workload::Create;
use super::world::World;

/// How long a browser takes to follow a redirect.
const REDIRECT: Duration = Duration::from_millis(150);

/// A use case is over: whatever it did, it took a while.
pub(crate) fn finish(world: &World, op: &Op) {
    let mut ledger = world.ledger();
    ledger.under_way.remove(&op.number);
    if let Kind::End(key) | Kind::Dismiss(key) = &op.kind {
        ledger.ends.insert(key.clone(), (op.began, world.now()));
    }
    drop(ledger);
    let verdict = checkers::done::ends_in_time(op, world.now(), &world.rules);
    world.judge("use_cases_end_in_time", verdict);
}

/// A use case is over with that outcome.
fn conclude(world: &World, op: &Op, server: Option<&ServerId>, outcome: &Outcome) {
    finish(world, op);
    world.say(|| {
        let at = server.map_or_else(String::new, |server| format!(" at {server}"));
        format!("{op}{at}: {}", outcome.brief())
    });
    world.count(outcome.name());
    let done = Done { world, op, server, outcome };
    for (checker, check) in checkers::DONE {
        world.judge(checker, check(&done));
    }
}

fn tenant_name(key: Option<&String>) -> Option<String> {
    key.map(|tenant| format!("name-of-{tenant}"))
}

fn query_of(key: &MeetingKey) -> Query {
    let mut query = Query::default();
    query.set("meetingID", &key.id);
    query
}

impl Create {
    fn query(&self) -> Query {
        let mut query = query_of(&self.key);
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
pub(crate) async fn create(body: Body, create: Create) {
    let (app, op) = body.begin(Kind::Create(create.key.clone()));
    let mut trail = Trail::default();
    let label = tenant_name(create.key.tenant.as_ref());
    let created = match api::caller(&app, label.as_deref()).await {
        Ok(caller) => {
            let asked = Asked::default();
            api::create(&app, &caller, asked, create.query(), None, &mut trail).await
        }
        Err(error) => Err(error),
    };
    let outcome = Outcome::Created(created);
    conclude(body.world(), &op, trail.server.as_ref(), &outcome);
}

/// A front-end sends a user to a meeting, and the browser follows.
pub(crate) async fn join(body: Body, key: MeetingKey) {
    let (app, op) = body.begin(Kind::Join(key.clone()));
    let mut trail = Trail::default();
    let mut query = query_of(&key);
    query.set("fullName", "User");
    query.set("role", "VIEWER");
    let joined = match api::caller(&app, tenant_name(key.tenant.as_ref()).as_deref()).await {
        Ok(caller) => {
            api::join(&app, &caller, query, &mut trail).await.map_err(|refused| refused.error)
        }
        Err(error) => Err(error),
    };
    let outcome = Outcome::Joined(joined);
    conclude(body.world(), &op, trail.server.as_ref(), &outcome);
    if let Outcome::Joined(Ok(url)) = outcome {
        sleep(REDIRECT).await;
        land(body.world(), &op, &url);
    }
}

/// A browser arrives where it was sent.
fn land(world: &World, op: &Op, url: &str) {
    let now = world.now();
    let Some(key) = op.kind.key() else { return };
    let host = domain::server::hostname(url).unwrap_or_default();
    let verdict = {
        let ledger = world.ledger();
        let mut machines = world.machines();
        let Some(machine) = machines.get_mut(host) else { return };
        machine.tidy(now);
        let verdict = checkers::landing::verdict(world, &ledger, machine, op);
        if machine.down_until.is_none()
            && let Some(room) = machine.rooms.get_mut(&key.id)
        {
            room.enter(now);
        }
        verdict
    };
    world.say(|| format!("{op}: browser at {host}: {verdict:?}"));
    world.judge("browsers_find_their_own_meeting", verdict);
}

/// A front-end ends a meeting.
pub(crate) async fn end(body: Body, key: MeetingKey) {
    let (app, op) = body.begin(Kind::End(key.clone()));
    let home = settled_home(body.world(), &key);
    write_off(body.world(), "a front-end ended it", |room| room == &key);
    let mut trail = Trail::default();
    let ended = match api::caller(&app, tenant_name(key.tenant.as_ref()).as_deref()).await {
        Ok(caller) => api::end(&app, &caller, &query_of(&key), &mut trail).await,
        Err(error) => Err(error),
    };
    let asked = home.filter(|home| trail.server.as_ref() == Some(home));
    if let (Some(home), Ok(_) | Err(ApiError::NotFound)) = (asked, &ended) {
        mark_ended(body.world(), &op, &home);
    }
    conclude(body.world(), &op, trail.server.as_ref(), &Outcome::Ended(ended));
}

/// The server of a meeting that nobody is creating.
fn settled_home(world: &World, key: &MeetingKey) -> Option<ServerId> {
    let ledger = world.ledger();
    let record = ledger.last.meeting(key).filter(|meeting| meeting.claim.is_none());
    record.map(|meeting| meeting.server.clone())
}

/// A front-end was told that its meeting is over, whatever still runs.
fn mark_ended(world: &World, op: &Op, home: &ServerId) {
    let now = world.now();
    let mut machines = world.machines();
    let room = op.kind.key().and_then(|key| machines.get_mut(&home.0)?.rooms.get_mut(&key.id));
    if let Some(room) = room.filter(|room| room.born_at < op.began) {
        room.ended_at = Some(now);
    }
}

/// A front-end asks whether somebody is in a meeting.
pub(crate) async fn running(body: Body, key: MeetingKey) {
    let (app, op) = body.begin(Kind::Running(key.clone()));
    let mut trail = Trail::default();
    let asked = match api::caller(&app, tenant_name(key.tenant.as_ref()).as_deref()).await {
        Ok(caller) => api::is_meeting_running(&app, &caller, &query_of(&key), &mut trail).await,
        Err(error) => Err(error),
    };
    conclude(body.world(), &op, trail.server.as_ref(), &Outcome::Running(asked));
}

/// A front-end asks for the details of a meeting.
pub(crate) async fn info(body: Body, key: MeetingKey) {
    let (app, op) = body.begin(Kind::Info(key.clone()));
    let mut trail = Trail::default();
    let asked = match api::caller(&app, tenant_name(key.tenant.as_ref()).as_deref()).await {
        Ok(caller) => api::get_meeting_info(&app, &caller, &query_of(&key), &mut trail).await,
        Err(error) => Err(error),
    };
    conclude(body.world(), &op, trail.server.as_ref(), &Outcome::Info(asked));
}

/// A front-end asks for all of its meetings.
pub(crate) async fn list(body: Body, tenant: Option<String>) {
    let (app, op) = body.begin(Kind::List(tenant.clone()));
    let listed = match api::caller(&app, tenant_name(tenant.as_ref()).as_deref()).await {
        Ok(caller) => match api::get_meetings(&app, &caller).await {
            Ok(pieces) => Ok(Bytes::from(pieces.collect::<Vec<Bytes>>().await.concat())),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    conclude(body.world(), &op, None, &Outcome::Listed(listed));
}

/// An administrator ends a meeting.
pub(crate) async fn dismiss(body: Body, key: MeetingKey) {
    let (app, op) = body.begin(Kind::Dismiss(key.clone()));
    write_off(body.world(), "an administrator ended it", |room| room == &key);
    let listed = meetings::list(&app, std::slice::from_ref(&key.id)).await.unwrap_or_default();
    let mut outcome = Ok(());
    for meeting in listed.iter().filter(|meeting| meeting.key == key) {
        outcome = meetings::end(&app, meeting).await.map_err(|error| error.to_string());
    }
    conclude(body.world(), &op, None, &Outcome::Done(outcome));
}

/// An administrator changes a server.
pub(crate) async fn server(body: Body, deed: ServerDeed, host: String) {
    let (app, op) = body.begin(Kind::Server(deed, host.clone()));
    if deed.forgets() {
        let ids: Vec<MeetingKey> = {
            let machines = body.world().machines();
            machines
                .get(&host)
                .into_iter()
                .flat_map(|one| one.rooms.values())
                .map(|room| room.key.clone())
                .collect()
        };
        write_off(body.world(), "its server was cleared", |room| ids.contains(room));
    }
    let state = |state| servers::update(&app, &host, ServerChange::state(state));
    let outcome = match deed {
        ServerDeed::Enable => state(AdminState::Enabled).await.map(drop),
        ServerDeed::Cordon => state(AdminState::Cordoned).await.map(drop),
        ServerDeed::Disable => state(AdminState::Disabled).await.map(drop),
        ServerDeed::Remove => servers::remove(&app, &host).await.map(drop),
        ServerDeed::Panic => {
            let how = servers::Panic { keep_state: op.number % 2 == 0, skip_end_calls: false };
            servers::panic(&app, &host, how).await.map(drop)
        }
        ServerDeed::Add => {
            let new = body.world().machines().get(&host).map(|machine| servers::NewServer {
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
    conclude(body.world(), &op, None, &Outcome::Done(outcome));
}

/// Meetings that the balancer need not know any longer.
fn write_off(world: &World, why: &'static str, which: impl Fn(&MeetingKey) -> bool) {
    for machine in world.machines().values_mut() {
        for room in machine.rooms.values_mut().filter(|room| which(&room.key)) {
            (room.written_off, room.ended_at) = (Some(why), None);
        }
    }
    world.say(|| format!("written off: {why}"));
}

/// The keys of running meetings, for whoever chooses one.
#[must_use]
pub(crate) fn running_keys(world: &World) -> Vec<MeetingKey> {
    let machines = world.machines();
    let rooms = machines.values().flat_map(|machine| machine.rooms.values());
    rooms.map(|room| room.key.clone()).collect()
}

/// Somebody leaves a meeting.
pub(crate) fn leave(world: &World, key: &MeetingKey) {
    let now = world.now();
    for machine in world.machines().values_mut() {
        if let Some(room) = machine.rooms.get_mut(&key.id).filter(|room| room.key == *key) {
            room.leave(now);
        }
    }
    world.say(|| format!("somebody leaves {}", name(key)));
}
