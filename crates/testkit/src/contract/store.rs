//! A store under test whose calls cannot fail, and the servers and meetings to fill it with.

use std::sync::Arc;

use app::ports::{Cluster, Located, PlaceRequest, Placed, PollReport, ServerChange};
use domain::health::{Failure, Thresholds};
use domain::load::LoadPolicy;
use domain::placement::{Ask, seed};
use domain::poll::{Ending, Observation, PollPolicy, SeenMeeting};
use domain::{AdminState, Claim, Meeting, MeetingKey, Seats, Server, ServerId, Timestamp};

use super::Factory;

/// When everything happens, unless a case says otherwise.
pub(super) const NOW: Timestamp = Timestamp(1_700_000_000_000);
/// How long the claims of [`request`] stand.
pub(super) const CLAIM_MS: i64 = 20_000;
/// Seats that [`request`] reserves.
pub(super) const SEATS: u32 = 15;
/// One failure is forgiven, and young meetings weigh what [`request`] reserves.
pub(super) const POLICY: PollPolicy = PollPolicy {
    thresholds: Thresholds { healthy: 1, unhealthy: 2 },
    load: LoadPolicy { min_user_count: SEATS, join_buffer_ms: 900_000 },
    grace_ms: GRACE_MS,
};
/// How long [`POLICY`] lets meetings be young.
pub(super) const GRACE_MS: i64 = 1000;

/// A store under test. Lists that have no order of their own come sorted.
#[derive(Clone)]
pub(super) struct Store(Arc<dyn Cluster>);

impl Store {
    /// This one.
    pub(super) fn over(cluster: Arc<dyn Cluster>) -> Self {
        Self(cluster)
    }

    /// An empty one.
    pub(super) async fn new(factory: Factory<'_>) -> Self {
        Self(factory().await)
    }

    /// One with these servers.
    pub(super) async fn with(factory: Factory<'_>, servers: &[Server]) -> Self {
        let store = Self::new(factory).await;
        for server in servers {
            assert!(store.add(server).await, "{} is new", server.id);
        }
        store
    }

    pub(super) async fn check(&self) {
        self.0.check().await.expect("check");
    }

    pub(super) async fn servers(&self) -> Vec<Server> {
        self.0.servers().await.expect("servers")
    }

    pub(super) async fn server(&self, id: &str) -> Option<Server> {
        self.0.server(&server_id(id)).await.expect("server")
    }

    /// The load of a server that exists, which both ways to read it must agree on.
    pub(super) async fn load(&self, id: &str) -> Option<f64> {
        let one = self.server(id).await.expect("a server");
        let all = self.servers().await;
        let listed = all.iter().find(|server| server.id.0 == id);
        assert_eq!(listed, Some(&one), "server and servers tell the same");
        assert!(one.load.is_none_or(|load| load >= 0.0), "{:?}", one.load);
        one.load
    }

    pub(super) async fn add(&self, server: &Server) -> bool {
        self.0.add_server(server.clone()).await.expect("add_server")
    }

    pub(super) async fn update(&self, id: &str, change: ServerChange) -> Option<Server> {
        let id = server_id(id);
        let updated = self.0.update_server(&id, change).await;
        updated.expect("update_server")
    }

    pub(super) async fn remove(&self, id: &str) -> Option<Vec<Meeting>> {
        let removed = self.0.remove_server(&server_id(id)).await;
        removed.expect("remove_server").map(sorted)
    }

    pub(super) async fn record_version(&self, id: &str, version: &str) {
        let recorded = self.0.record_version(&server_id(id), version).await;
        recorded.expect("record_version");
    }

    /// A call failed that was no poll.
    pub(super) async fn doubt(&self, id: &str, failure: &Failure) {
        let doubted = self.0.record_failure(&server_id(id), failure, POLICY.thresholds).await;
        doubted.expect("record_failure");
    }

    pub(super) async fn poll(&self, id: &str, observation: &Observation) -> Option<PollReport> {
        self.poll_by(id, observation, &POLICY).await
    }

    pub(super) async fn poll_by(
        &self,
        id: &str,
        observation: &Observation,
        policy: &PollPolicy,
    ) -> Option<PollReport> {
        self.record(id, observation, policy, None).await
    }

    /// A poll that belongs to a cycle, or to none.
    pub(super) async fn poll_in(
        &self,
        id: &str,
        observation: &Observation,
        cycle: Option<u64>,
    ) -> Option<PollReport> {
        self.record(id, observation, &POLICY, cycle).await
    }

    async fn record(
        &self,
        id: &str,
        observation: &Observation,
        policy: &PollPolicy,
        cycle: Option<u64>,
    ) -> Option<PollReport> {
        let id = server_id(id);
        let report = self.0.record_poll(&id, observation, policy, cycle).await;
        let mut report = report.expect("record_poll")?;
        report.forgotten = sorted(report.forgotten);
        let fates = &mut report.verdict.fates;
        fates.sort_by(|one, other| one.0.cmp(&other.0));
        Some(report)
    }

    pub(super) async fn meeting(&self, key: &MeetingKey) -> Option<Located> {
        self.0.meeting(key).await.expect("meeting")
    }

    pub(super) async fn meetings(&self) -> Vec<Meeting> {
        sorted(self.0.meetings(None).await.expect("meetings"))
    }

    pub(super) async fn meetings_on(&self, id: &str) -> Vec<Meeting> {
        let id = server_id(id);
        sorted(self.0.meetings(Some(&id)).await.expect("meetings"))
    }

    pub(super) async fn place(&self, request: PlaceRequest) -> Placed {
        self.0.place(request).await.expect("place")
    }

    /// Places a meeting that must be new.
    pub(super) async fn win(&self, request: PlaceRequest) -> Located {
        let name = format!("{:?}", request.key);
        match self.place(request).await {
            Placed::Won(located) => located,
            other => panic!("{name} is to be placed, but it is {other:?}"),
        }
    }

    /// Places a meeting and confirms it.
    pub(super) async fn settle(&self, request: PlaceRequest) -> Meeting {
        let now = request.now;
        let key = request.key.clone();
        let won = self.win(request).await;
        self.confirm(&won.meeting, now).await;
        self.meeting(&key).await.expect("a confirmed one").meeting
    }

    pub(super) async fn confirm(&self, meeting: &Meeting, now: Timestamp) {
        self.confirm_and_end(meeting, now, &[]).await;
    }

    pub(super) async fn confirm_and_end(&self, it: &Meeting, now: Timestamp, endings: &[Ending]) {
        self.0.confirm(it, now, endings).await.expect("confirm");
    }

    pub(super) async fn release(&self, key: &MeetingKey, token: &str) -> bool {
        self.release_and_end(key, token, &[]).await
    }

    pub(super) async fn release_and_end(
        &self,
        key: &MeetingKey,
        token: &str,
        endings: &[Ending],
    ) -> bool {
        self.0.release(key, token, endings).await.expect("release")
    }

    pub(super) async fn forget(&self, key: &MeetingKey, id: &str) -> bool {
        self.forget_and_end(key, id, None).await
    }

    pub(super) async fn forget_and_end(
        &self,
        key: &MeetingKey,
        id: &str,
        ending: Option<&Ending>,
    ) -> bool {
        self.0.forget(key, &server_id(id), None, ending).await.expect("forget")
    }

    /// Which come in an order of their own.
    pub(super) async fn endings(&self) -> Vec<Ending> {
        self.0.endings().await.expect("endings")
    }

    pub(super) async fn put_back(&self, lost: &str, servers: &[Server]) -> bool {
        self.0.put_back(lost, servers).await.expect("put back")
    }

    /// Forgets it unless it was confirmed since then.
    pub(super) async fn forget_old(&self, one: &Meeting, ending: &Ending) -> bool {
        let seen_at = Some(one.seen_at);
        self.0.forget(&one.key, &one.server, seen_at, Some(ending)).await.expect("forget")
    }

    pub(super) async fn mark(&self, mark: &str) -> String {
        self.0.mark(mark).await.expect("mark")
    }

    pub(super) async fn forget_all(&self, id: &str) -> Vec<Meeting> {
        let forgotten = self.0.forget_all(&server_id(id)).await;
        sorted(forgotten.expect("forget_all"))
    }

    /// Counts a user; the users and load that this returns may be those before other joins.
    pub(super) async fn join(&self, key: &MeetingKey, now: Timestamp) -> Option<Located> {
        self.0.join(key, now).await.expect("join")
    }

    pub(super) async fn restore(&self, meeting: &Meeting) -> bool {
        self.0.restore(meeting).await.expect("restore")
    }

    pub(super) async fn sweep(&self, unseen_since: Timestamp) -> Vec<Meeting> {
        sorted(self.0.sweep(unseen_since).await.expect("sweep"))
    }

    /// Whether a voice bridge is free: nobody is left to hold it back from a new meeting.
    pub(super) async fn is_free(&self, bridge: &str) -> bool {
        let probe = request("is this number free?", &[bridge]);
        match self.place(probe.clone()).await {
            Placed::Won(_) => {
                let token = &probe.claim.token;
                assert!(self.release(&probe.key, token).await, "the probe ends");
                true
            }
            Placed::NoVoiceBridge => false,
            other => panic!("cannot tell whether {bridge} is free: {other:?}"),
        }
    }
}

pub(super) fn sorted(mut meetings: Vec<Meeting>) -> Vec<Meeting> {
    meetings.sort_by(|one, other| one.key.cmp(&other.key));
    meetings
}

pub(super) fn server_id(id: &str) -> ServerId {
    ServerId(id.to_owned())
}

/// The key of a meeting that belongs to no tenant.
pub(super) fn key(id: &str) -> MeetingKey {
    MeetingKey { tenant: None, id: id.to_owned() }
}

/// A server that takes meetings.
pub(super) fn open(id: &str, load: f64) -> Server {
    let url = format!("https://{id}.example.test/bigbluebutton/api");
    let mut server = Server::new(server_id(id), url, format!("secret of {id}"));
    server.state = AdminState::Enabled;
    server.health.online = true;
    server.load = Some(load);
    server
}

/// With so many meetings placed since its last poll.
pub(super) fn holding(mut server: Server, placed: u32) -> Server {
    server.placed = placed;
    server
}

/// One that weighs its users differently.
pub(super) fn weighing(id: &str, load: f64, multiplier: f64) -> Server {
    let mut server = open(id, load);
    server.load_multiplier = multiplier;
    server
}

/// Asks for a place; the claim's token is the meeting's id.
pub(super) fn request(id: &str, voice_bridges: &[&str]) -> PlaceRequest {
    PlaceRequest {
        key: key(id),
        ask: Ask { seats: SEATS, seed: seed(id), now: NOW, ..Ask::default() },
        voice_bridges: voice_bridges.iter().map(ToString::to_string).collect(),
        moderator_pw: Some(format!("password of {id}")),
        claim: Claim { token: id.to_owned(), until: NOW.plus_ms(CLAIM_MS) },
        seats: POLICY.load.seats(NOW, SEATS, 0),
        now: NOW,
        endings: Vec::new(),
    }
}

/// The same at another time.
pub(super) fn request_at(now: Timestamp, id: &str, voice_bridges: &[&str]) -> PlaceRequest {
    let mut request = request(id, voice_bridges);
    request.claim.until = now.plus_ms(CLAIM_MS);
    request.seats = POLICY.load.seats(now, SEATS, 0);
    (request.now, request.ask.now) = (now, now);
    request
}

/// The same by another front-end.
pub(super) fn by(token: &str, mut request: PlaceRequest) -> PlaceRequest {
    token.clone_into(&mut request.claim.token);
    request
}

/// The same by one that has tried these servers.
pub(super) fn avoiding(servers: &[&str], mut request: PlaceRequest) -> PlaceRequest {
    request.ask.avoid = servers.iter().map(|id| server_id(id)).collect();
    request
}

/// The meeting that a request makes on a server, for whatever reason.
pub(super) fn made(request: &PlaceRequest, server: &str, bridge: &str) -> Meeting {
    Meeting {
        key: request.key.clone(),
        server: server_id(server),
        moderator_pw: request.moderator_pw.clone(),
        voice_bridge: Some(bridge.to_owned()),
        claim: Some(request.claim.clone()),
        placed_at: request.now,
        seen_at: request.now,
        seats: Seats { ..request.seats },
        ..Meeting::default()
    }
}

/// A poll that was asked a little before its answer.
pub(super) fn answer(finished_at: Timestamp, meetings: Vec<SeenMeeting>) -> Observation {
    Observation { started_at: finished_at.plus_ms(-50), finished_at, result: Ok(meetings) }
}

/// A poll that found nobody.
pub(super) fn silence(finished_at: Timestamp) -> Observation {
    Observation {
        result: Err("no answer within 1.5 s – «timeout»".to_owned()),
        ..answer(finished_at, Vec::new())
    }
}

/// A meeting as its server reports it.
pub(super) fn reported(id: &str, created_at: Timestamp, users: u32) -> SeenMeeting {
    SeenMeeting { id: id.to_owned(), created_at, users, videos: 1, ..SeenMeeting::default() }
}

/// One that shows that it was made by a balancer of the pool.
pub(super) fn ours(id: &str, created_at: Timestamp, users: u32) -> SeenMeeting {
    SeenMeeting { ours: true, ..reported(id, created_at, users) }
}

/// What is not wanted on a server.
pub(super) fn ending(server: &str, id: &str) -> Ending {
    let moderator_pw = Some(format!("password of {id}"));
    let (server, key, asked_at) = (server_id(server), key(id), Timestamp::default());
    Ending { server, key, moderator_pw, since: NOW, asked_at }
}
