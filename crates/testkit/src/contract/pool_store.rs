//! A store of servers and meetings under test, whose methods panic when a call fails.

use std::sync::Arc;

use app::ports::{
    KeptCreate, MeetingOnServer, PlaceOutcome, PlaceRequest, PollReport, PoolStore, ServerChange,
};
use domain::health::ServerFailure;
use domain::poll::{PendingEnd, PollObservation, PollPolicy};
use domain::{Meeting, MeetingKey, Server, Timestamp};

use super::PoolFactory;
use super::fixtures::{POLICY, place_request, server_id, sort_meetings};

/// A store under test. Its methods panic when a call fails, and sort lists that have no order.
#[derive(Clone)]
pub(super) struct TestPoolStore(Arc<dyn PoolStore>);

impl TestPoolStore {
    /// Wraps a store.
    pub(super) fn from_pool(pool: Arc<dyn PoolStore>) -> Self {
        Self(pool)
    }

    /// A new, empty store.
    pub(super) async fn new(factory: PoolFactory<'_>) -> Self {
        Self(factory().await)
    }

    /// A new store with these servers.
    pub(super) async fn with(factory: PoolFactory<'_>, servers: &[Server]) -> Self {
        let store = Self::new(factory).await;
        for server in servers {
            assert!(store.add_server(server).await, "{} is new", server.id);
        }
        store
    }

    pub(super) async fn check_store(&self) {
        self.0.check_store().await.expect("check_store");
    }

    pub(super) async fn list_servers(&self) -> Vec<Server> {
        self.0.list_servers().await.expect("list_servers")
    }

    pub(super) async fn find_server(&self, id: &str) -> Option<Server> {
        self.0.find_server(&server_id(id)).await.expect("server")
    }

    /// The load of an existing server. Asserts that both ways to read the server agree.
    pub(super) async fn find_load(&self, id: &str) -> Option<f64> {
        let found = self.find_server(id).await.expect("a server");
        let all = self.list_servers().await;
        let listed = all.iter().find(|server| server.id.0 == id);
        assert_eq!(listed, Some(&found), "find_server and list_servers agree");
        assert!(found.load.is_none_or(|load| load >= 0.0), "{:?}", found.load);
        found.load
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

    /// Records the failure of a call that was not a poll.
    pub(super) async fn report_failure(&self, id: &str, failure: &ServerFailure) {
        let recorded = self.0.record_failure(&server_id(id), failure, POLICY.thresholds).await;
        recorded.expect("record_failure");
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

    /// Records a poll of a cycle, or of none.
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
        let updates = &mut report.outcome.meeting_updates;
        updates.sort_by(|first, second| first.0.cmp(&second.0));
        Some(report)
    }

    pub(super) async fn find_meeting(&self, key: &MeetingKey) -> Option<MeetingOnServer> {
        self.0.find_meeting(key).await.expect("find_meeting")
    }

    pub(super) async fn find_by_voice_bridge(&self, number: &str) -> Option<MeetingOnServer> {
        self.0.find_by_voice_bridge(number).await.expect("find_by_voice_bridge")
    }

    pub(super) async fn list_meetings(&self) -> Vec<Meeting> {
        sort_meetings(self.0.list_meetings(None).await.expect("list_meetings"))
    }

    pub(super) async fn list_meetings_on(&self, id: &str) -> Vec<Meeting> {
        let id = server_id(id);
        sort_meetings(self.0.list_meetings(Some(&id)).await.expect("list_meetings"))
    }

    pub(super) async fn place_meeting(&self, request: PlaceRequest) -> PlaceOutcome {
        self.0.place_meeting(request).await.expect("place_meeting")
    }

    /// Places a meeting, which must not exist yet.
    pub(super) async fn place_new_meeting(&self, request: PlaceRequest) -> MeetingOnServer {
        let name = format!("{:?}", request.key);
        match self.place_meeting(request).await {
            PlaceOutcome::Claimed(found) => found,
            other => panic!("{name} is to be placed, but it is {other:?}"),
        }
    }

    /// Places a meeting and confirms it.
    pub(super) async fn place_and_confirm(&self, request: PlaceRequest) -> Meeting {
        let now = request.now;
        let key = request.key.clone();
        let claimed = self.place_new_meeting(request).await;
        self.confirm_meeting(&claimed.meeting, now).await;
        self.find_meeting(&key).await.expect("a confirmed one").meeting
    }

    pub(super) async fn confirm_meeting(&self, meeting: &Meeting, now: Timestamp) {
        self.confirm_and_end(meeting, now, &[]).await;
    }

    pub(super) async fn confirm_and_end(
        &self,
        meeting: &Meeting,
        now: Timestamp,
        pending_ends: &[PendingEnd],
    ) {
        self.0.confirm_meeting(meeting, now, pending_ends, None).await.expect("confirm_meeting");
    }

    pub(super) async fn confirm_and_keep(
        &self,
        meeting: &Meeting,
        now: Timestamp,
        kept: &KeptCreate,
    ) {
        self.0.confirm_meeting(meeting, now, &[], Some(kept)).await.expect("confirm_meeting");
    }

    pub(super) async fn release_claim(&self, key: &MeetingKey, token: &str) -> bool {
        self.release_and_end(key, token, &[]).await
    }

    pub(super) async fn release_and_end(
        &self,
        key: &MeetingKey,
        token: &str,
        pending_ends: &[PendingEnd],
    ) -> bool {
        self.0.release_claim(key, token, pending_ends).await.expect("release_claim")
    }

    pub(super) async fn forget_meeting(&self, key: &MeetingKey, id: &str) -> bool {
        self.forget_and_end(key, id, None).await
    }

    pub(super) async fn forget_and_end(
        &self,
        key: &MeetingKey,
        id: &str,
        pending_end: Option<&PendingEnd>,
    ) -> bool {
        self.0.forget_meeting(key, &server_id(id), None, pending_end).await.expect("forget_meeting")
    }

    /// Lists pending ends, in the order of the store.
    pub(super) async fn list_pending_ends(&self) -> Vec<PendingEnd> {
        self.0.list_pending_ends().await.expect("list_pending_ends")
    }

    pub(super) async fn restore_servers(&self, lost: &str, servers: &[Server]) -> bool {
        self.0.restore_servers(lost, servers).await.expect("restore_servers")
    }

    /// Forgets a meeting, unless it was confirmed since it was read.
    pub(super) async fn forget_old(&self, meeting: &Meeting, pending_end: &PendingEnd) -> bool {
        let seen_at = Some(meeting.seen_at);
        self.0
            .forget_meeting(&meeting.key, &meeting.server, seen_at, Some(pending_end))
            .await
            .expect("forget_meeting")
    }

    pub(super) async fn claim_store_id(&self, id: &str) -> String {
        self.0.claim_store_id(id).await.expect("claim_store_id")
    }

    pub(super) async fn forget_server_meetings(&self, id: &str) -> Vec<Meeting> {
        let forgotten = self.0.forget_server_meetings(&server_id(id)).await;
        sort_meetings(forgotten.expect("forget_server_meetings"))
    }

    /// Counts a user. The returned users and load need not include other joins.
    pub(super) async fn record_join(
        &self,
        key: &MeetingKey,
        now: Timestamp,
    ) -> Option<MeetingOnServer> {
        self.0.record_join(key, now).await.expect("record_join")
    }

    pub(super) async fn restore_meeting(&self, meeting: &Meeting) -> bool {
        self.0.restore_meeting(meeting).await.expect("restore_meeting")
    }

    pub(super) async fn forget_unseen(&self, unseen_since: Timestamp) -> Vec<Meeting> {
        sort_meetings(self.0.forget_unseen(unseen_since).await.expect("forget_unseen"))
    }

    /// Whether a new meeting can get this voice bridge.
    pub(super) async fn is_bridge_free(&self, bridge: &str) -> bool {
        let request = place_request("is this voice bridge free?", &[bridge]);
        match self.place_meeting(request.clone()).await {
            PlaceOutcome::Claimed(_) => {
                let token = &request.claim.token;
                assert!(self.release_claim(&request.key, token).await, "the claim is released");
                true
            }
            PlaceOutcome::NoVoiceBridge => false,
            other => panic!("cannot tell whether {bridge} is free: {other:?}"),
        }
    }
}
