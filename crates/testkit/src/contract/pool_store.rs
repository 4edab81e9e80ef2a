//! A store under test whose calls cannot fail, and the servers and meetings to fill it with.

use std::sync::Arc;

use app::ports::{
    MeetingOnServer, PlaceOutcome, PlaceRequest, PollReport, PoolStore, ServerChange,
};
use domain::health::{ServerFailure, Thresholds};
use domain::load::LoadPolicy;
use domain::placement::{PlacementCriteria, meeting_seed};
use domain::poll::{PendingEnd, PollObservation, PollPolicy, ReportedMeeting, UnreadableMeetings};
use domain::{AdminState, Claim, Meeting, MeetingKey, MeetingLoad, Server, ServerId, Timestamp};

use super::PoolFactory;

/// When everything happens, unless a case says otherwise.
pub(super) const NOW: Timestamp = Timestamp(1_700_000_000_000);
/// How long the claims of [`request`] stand.
pub(super) const CLAIM_MS: i64 = 20_000;
/// Seats that [`request`] reserves.
pub(super) const EXPECTED_USERS: u32 = 15;
/// One failure is forgiven, and young meetings weigh what [`request`] reserves.
pub(super) const POLICY: PollPolicy = PollPolicy {
    thresholds: Thresholds { healthy: 1, unhealthy: 2 },
    load: LoadPolicy { min_user_count: EXPECTED_USERS, join_buffer_ms: 900_000 },
    grace_ms: GRACE_MS,
};
/// How long [`POLICY`] lets meetings be young.
pub(super) const GRACE_MS: i64 = 1000;

/// A store under test. Lists that have no order of their own come sorted.
#[derive(Clone)]
pub(super) struct TestPoolStore(Arc<dyn PoolStore>);

impl TestPoolStore {
    /// This one.
    pub(super) fn from_pool(cluster: Arc<dyn PoolStore>) -> Self {
        Self(cluster)
    }

    /// An empty one.
    pub(super) async fn new(factory: PoolFactory<'_>) -> Self {
        Self(factory().await)
    }

    /// One with these servers.
    pub(super) async fn with(factory: PoolFactory<'_>, servers: &[Server]) -> Self {
        let store = Self::new(factory).await;
        for server in servers {
            assert!(store.add_server(server).await, "{} is new", server.id);
        }
        store
    }

    pub(super) async fn check_store(&self) {
        self.0.check_store().await.expect("check");
    }

    pub(super) async fn list_servers(&self) -> Vec<Server> {
        self.0.list_servers().await.expect("servers")
    }

    pub(super) async fn find_server(&self, id: &str) -> Option<Server> {
        self.0.find_server(&server_id(id)).await.expect("server")
    }

    /// The load of a server that exists, which both ways to read it must agree on.
    pub(super) async fn find_load(&self, id: &str) -> Option<f64> {
        let one = self.find_server(id).await.expect("a server");
        let all = self.list_servers().await;
        let listed = all.iter().find(|server| server.id.0 == id);
        assert_eq!(listed, Some(&one), "server and servers tell the same");
        assert!(one.load.is_none_or(|load| load >= 0.0), "{:?}", one.load);
        one.load
    }

    pub(super) async fn add_server(&self, server: &Server) -> bool {
        self.0.add_server(server.clone()).await.expect("add_server")
    }

    pub(super) async fn update_server(&self, id: &str, change: ServerChange) -> Option<Server> {
        let id = server_id(id);
        let updated = self.0.update_server(&id, change).await;
        updated.expect("update_server")
    }

    pub(super) async fn remove_server(&self, id: &str) -> Option<Vec<Meeting>> {
        let removed = self.0.remove_server(&server_id(id)).await;
        removed.expect("remove_server").map(sort_meetings)
    }

    pub(super) async fn record_version(&self, id: &str, version: &str) {
        let recorded = self.0.record_version(&server_id(id), version).await;
        recorded.expect("record_version");
    }

    /// A call failed that was no poll.
    pub(super) async fn report_failure(&self, id: &str, failure: &ServerFailure) {
        let doubted = self.0.record_failure(&server_id(id), failure, POLICY.thresholds).await;
        doubted.expect("record_failure");
    }

    pub(super) async fn record_poll(
        &self,
        id: &str,
        observation: &PollObservation,
    ) -> Option<PollReport> {
        self.record_poll_with(id, observation, &POLICY).await
    }

    pub(super) async fn record_poll_with(
        &self,
        id: &str,
        observation: &PollObservation,
        policy: &PollPolicy,
    ) -> Option<PollReport> {
        self.record_observation(id, observation, policy, None).await
    }

    /// A poll that belongs to a cycle, or to none.
    pub(super) async fn record_poll_in(
        &self,
        id: &str,
        observation: &PollObservation,
        cycle: Option<u64>,
    ) -> Option<PollReport> {
        self.record_observation(id, observation, &POLICY, cycle).await
    }

    async fn record_observation(
        &self,
        id: &str,
        observation: &PollObservation,
        policy: &PollPolicy,
        cycle: Option<u64>,
    ) -> Option<PollReport> {
        let id = server_id(id);
        let report = self.0.record_poll(&id, observation, policy, cycle).await;
        let mut report = report.expect("record_poll")?;
        report.forgotten = sort_meetings(report.forgotten);
        let fates = &mut report.outcome.meeting_updates;
        fates.sort_by(|one, other| one.0.cmp(&other.0));
        Some(report)
    }

    pub(super) async fn find_meeting(&self, key: &MeetingKey) -> Option<MeetingOnServer> {
        self.0.find_meeting(key).await.expect("meeting")
    }

    pub(super) async fn list_meetings(&self) -> Vec<Meeting> {
        sort_meetings(self.0.list_meetings(None).await.expect("meetings"))
    }

    pub(super) async fn list_meetings_on(&self, id: &str) -> Vec<Meeting> {
        let id = server_id(id);
        sort_meetings(self.0.list_meetings(Some(&id)).await.expect("meetings"))
    }

    pub(super) async fn place_meeting(&self, request: PlaceRequest) -> PlaceOutcome {
        self.0.place_meeting(request).await.expect("place")
    }

    /// Places a meeting that must be new.
    pub(super) async fn place_new_meeting(&self, request: PlaceRequest) -> MeetingOnServer {
        let name = format!("{:?}", request.key);
        match self.place_meeting(request).await {
            PlaceOutcome::Claimed(located) => located,
            other => panic!("{name} is to be placed, but it is {other:?}"),
        }
    }

    /// Places a meeting and confirms it.
    pub(super) async fn place_and_confirm(&self, request: PlaceRequest) -> Meeting {
        let now = request.now;
        let key = request.key.clone();
        let won = self.place_new_meeting(request).await;
        self.confirm_meeting(&won.meeting, now).await;
        self.find_meeting(&key).await.expect("a confirmed one").meeting
    }

    pub(super) async fn confirm_meeting(&self, meeting: &Meeting, now: Timestamp) {
        self.confirm_and_end(meeting, now, &[]).await;
    }

    pub(super) async fn confirm_and_end(
        &self,
        it: &Meeting,
        now: Timestamp,
        endings: &[PendingEnd],
    ) {
        self.0.confirm_meeting(it, now, endings).await.expect("confirm");
    }

    pub(super) async fn release_claim(&self, key: &MeetingKey, token: &str) -> bool {
        self.release_and_end(key, token, &[]).await
    }

    pub(super) async fn release_and_end(
        &self,
        key: &MeetingKey,
        token: &str,
        endings: &[PendingEnd],
    ) -> bool {
        self.0.release_claim(key, token, endings).await.expect("release")
    }

    pub(super) async fn forget_meeting(&self, key: &MeetingKey, id: &str) -> bool {
        self.forget_and_end(key, id, None).await
    }

    pub(super) async fn forget_and_end(
        &self,
        key: &MeetingKey,
        id: &str,
        ending: Option<&PendingEnd>,
    ) -> bool {
        self.0.forget_meeting(key, &server_id(id), None, ending).await.expect("forget")
    }

    /// Which come in an order of their own.
    pub(super) async fn list_pending_ends(&self) -> Vec<PendingEnd> {
        self.0.list_pending_ends().await.expect("endings")
    }

    pub(super) async fn restore_servers(&self, lost: &str, servers: &[Server]) -> bool {
        self.0.restore_servers(lost, servers).await.expect("put back")
    }

    /// Forgets it unless it was confirmed since then.
    pub(super) async fn forget_old(&self, one: &Meeting, ending: &PendingEnd) -> bool {
        let seen_at = Some(one.seen_at);
        self.0.forget_meeting(&one.key, &one.server, seen_at, Some(ending)).await.expect("forget")
    }

    pub(super) async fn claim_store_id(&self, mark: &str) -> String {
        self.0.claim_store_id(mark).await.expect("mark")
    }

    pub(super) async fn forget_server_meetings(&self, id: &str) -> Vec<Meeting> {
        let forgotten = self.0.forget_server_meetings(&server_id(id)).await;
        sort_meetings(forgotten.expect("forget_all"))
    }

    /// Counts a user; the users and load that this returns may be those before other joins.
    pub(super) async fn record_join(
        &self,
        key: &MeetingKey,
        now: Timestamp,
    ) -> Option<MeetingOnServer> {
        self.0.record_join(key, now).await.expect("join")
    }

    pub(super) async fn restore_meeting(&self, meeting: &Meeting) -> bool {
        self.0.restore_meeting(meeting).await.expect("restore")
    }

    pub(super) async fn forget_unseen(&self, unseen_since: Timestamp) -> Vec<Meeting> {
        sort_meetings(self.0.forget_unseen(unseen_since).await.expect("sweep"))
    }

    /// Whether a voice bridge is free: nobody is left to hold it back from a new meeting.
    pub(super) async fn is_bridge_free(&self, bridge: &str) -> bool {
        let probe = place_request("is this number free?", &[bridge]);
        match self.place_meeting(probe.clone()).await {
            PlaceOutcome::Claimed(_) => {
                let token = &probe.claim.token;
                assert!(self.release_claim(&probe.key, token).await, "the probe ends");
                true
            }
            PlaceOutcome::NoVoiceBridge => false,
            other => panic!("cannot tell whether {bridge} is free: {other:?}"),
        }
    }
}

pub(super) fn sort_meetings(mut meetings: Vec<Meeting>) -> Vec<Meeting> {
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
pub(super) fn open_server(id: &str, load: f64) -> Server {
    let url = format!("https://{id}.example.test/bigbluebutton/api");
    let mut server = Server::new(server_id(id), url, format!("secret of {id}"));
    server.state = AdminState::Enabled;
    server.health.online = true;
    server.load = Some(load);
    server
}

/// With so many meetings placed since its last poll.
pub(super) fn with_placed(mut server: Server, placed: u32) -> Server {
    server.placed_since_poll = placed;
    server
}

/// One that weighs its users differently.
pub(super) fn weighted_server(id: &str, load: f64, multiplier: f64) -> Server {
    let mut server = open_server(id, load);
    server.load_multiplier = multiplier;
    server
}

/// Asks for a place; the claim's token is the meeting's id.
pub(super) fn place_request(id: &str, voice_bridges: &[&str]) -> PlaceRequest {
    PlaceRequest {
        key: key(id),
        criteria: PlacementCriteria {
            expected_users: EXPECTED_USERS,
            seed: meeting_seed(id),
            now: NOW,
            ..PlacementCriteria::default()
        },
        voice_bridges: voice_bridges.iter().map(ToString::to_string).collect(),
        moderator_pw: Some(format!("password of {id}")),
        claim: Claim { token: id.to_owned(), until: NOW.plus_ms(CLAIM_MS) },
        load: POLICY.load.meeting_load(NOW, EXPECTED_USERS, 0),
        now: NOW,
        pending_ends: Vec::new(),
    }
}

/// The same at another time.
pub(super) fn place_request_at(now: Timestamp, id: &str, voice_bridges: &[&str]) -> PlaceRequest {
    let mut request = place_request(id, voice_bridges);
    request.claim.until = now.plus_ms(CLAIM_MS);
    request.load = POLICY.load.meeting_load(now, EXPECTED_USERS, 0);
    (request.now, request.criteria.now) = (now, now);
    request
}

/// The same by another front-end.
pub(super) fn with_token(token: &str, mut request: PlaceRequest) -> PlaceRequest {
    token.clone_into(&mut request.claim.token);
    request
}

/// The same by one that has tried these servers.
pub(super) fn avoiding_servers(servers: &[&str], mut request: PlaceRequest) -> PlaceRequest {
    request.criteria.tried_servers = servers.iter().map(|id| server_id(id)).collect();
    request
}

/// The meeting that a request makes on a server, for whatever reason.
pub(super) fn expected_meeting(request: &PlaceRequest, server: &str, bridge: &str) -> Meeting {
    Meeting {
        key: request.key.clone(),
        server: server_id(server),
        moderator_pw: request.moderator_pw.clone(),
        voice_bridge: Some(bridge.to_owned()),
        claim: Some(request.claim.clone()),
        placed_at: request.now,
        seen_at: request.now,
        load: MeetingLoad { ..request.load },
        ..Meeting::default()
    }
}

/// A poll that was asked a little before its answer.
pub(super) fn successful_poll(
    finished_at: Timestamp,
    meetings: Vec<ReportedMeeting>,
) -> PollObservation {
    PollObservation {
        started_at: finished_at.plus_ms(-50),
        finished_at,
        result: Ok(meetings),
        unreadable: UnreadableMeetings::default(),
    }
}

/// A poll that found nobody.
pub(super) fn failed_poll(finished_at: Timestamp) -> PollObservation {
    PollObservation {
        result: Err("no answer within 1.5 s – «timeout»".to_owned()),
        ..successful_poll(finished_at, Vec::new())
    }
}

/// A meeting as its server reports it.
pub(super) fn reported_meeting(id: &str, created_at: Timestamp, users: u32) -> ReportedMeeting {
    ReportedMeeting {
        id: id.to_owned(),
        created_at,
        users,
        videos: 1,
        ..ReportedMeeting::default()
    }
}

/// One that shows that it was made by a balancer of the pool.
pub(super) fn own_meeting(id: &str, created_at: Timestamp, users: u32) -> ReportedMeeting {
    ReportedMeeting { is_ours: true, ..reported_meeting(id, created_at, users) }
}

/// What is not wanted on a server.
pub(super) fn pending_end(server: &str, id: &str) -> PendingEnd {
    let moderator_pw = Some(format!("password of {id}"));
    let (server, key, asked_at) = (server_id(server), key(id), Timestamp::default());
    PendingEnd { server, key, moderator_pw, since: NOW, create_sent_at: asked_at }
}
