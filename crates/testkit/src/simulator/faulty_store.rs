//! The store as one use case reaches it: with latency, with operations that fail, and with
//! operations that take effect although their caller is told that they failed. The checkers look at
//! every change.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use app::ports::{
    JobClaim, KeptCreate, MeetingOnServer, PeriodicJobs, PlaceOutcome, PlaceRequest, PollReport,
    PoolStore, ServerChange, SessionHistory, StoreError, TenantUpdateResult, Tenants,
};
use async_trait::async_trait;
use domain::health::{ServerFailure, Thresholds};
use domain::periodic_job::JobRun;
use domain::poll::{PendingEnd, PollObservation, PollPolicy};
use domain::{
    Meeting, MeetingKey, MeetingSession, Server, ServerId, Tenant, TenantChange, TenantSetting,
    Timestamp,
};
use tokio::time::sleep;

use super::fault_schedule::StoreFault;
use super::mutant::Mutant;
use super::replica_process::ReplicaProcess;
use super::sim_run::SimRun;
use super::store_proxy::StoreProxy;
use super::use_case::{ServerAction, UseCase, UseCaseKind, meeting_name};

/// How long an operation waits for an unavailable store before it fails.
const UNAVAILABLE_DELAY: Duration = Duration::from_millis(300);

/// The ports of the store, for one use case.
pub(crate) struct FaultyStore {
    pub(super) sim: Arc<SimRun>,
    pub(super) store: Arc<StoreProxy>,
    process: Arc<ReplicaProcess>,
    use_case: Arc<UseCase>,
}

impl FaultyStore {
    /// Returns the store for this use case.
    #[must_use]
    pub(crate) fn new(
        sim: Arc<SimRun>,
        process: Arc<ReplicaProcess>,
        use_case: Arc<UseCase>,
    ) -> Self {
        let store = sim.store.clone();
        Self { sim, store, process, use_case }
    }

    async fn delay(&self) {
        let ms = self.sim.faults().draw_store_latency_ms();
        if ms > 0 {
            sleep(Duration::from_millis(ms)).await;
        }
    }

    fn fail(&self, name: &str, when: &'static str) -> StoreError {
        self.use_case.progress().store_failed = true;
        self.sim.count_event("store faults");
        self.sim.write_trace(|| format!("{} {name}: fails {when}", self.use_case));
        StoreError::Unavailable(when.to_owned())
    }

    /// Runs one operation with latency and faults; `changes` says whether the checkers have to look
    /// at the store afterwards.
    async fn run_operation<T>(
        &self,
        name: &'static str,
        changes: bool,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.delay().await;
        if !self.process.is_alive() {
            return Err(StoreError::Unavailable("crashed".to_owned()));
        }
        let fault = self.sim.faults().draw_store_fault(self.process.replica, self.sim.now());
        if fault == Some(StoreFault::BeforeEffect) {
            sleep(UNAVAILABLE_DELAY).await;
            return Err(self.fail(name, "before it takes effect"));
        }
        let result = operation.await;
        if changes {
            self.sim.check_store_change(&self.use_case, name).await;
        }
        if fault == Some(StoreFault::AfterEffect) {
            sleep(UNAVAILABLE_DELAY).await;
            return Err(self.fail(name, "after it took effect"));
        }
        self.delay().await;
        result
    }

    pub(super) async fn read<T>(
        &self,
        name: &'static str,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.run_operation(name, false, operation).await
    }

    async fn write<T>(
        &self,
        name: &'static str,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.run_operation(name, true, operation).await
    }
}

/// Describes what a poll observed and changed, for the trace.
fn describe_poll(
    use_case: &UseCase,
    id: &ServerId,
    observation: &PollObservation,
    report: Option<&PollReport>,
) -> String {
    let meeting_count = observation.result.as_ref().map(Vec::len);
    let mut line = format!("{use_case} poll of {id}: {meeting_count:?}");
    let Some(PollReport { outcome, forgotten, .. }) = report else {
        return line + ", outdated";
    };
    if let Some(change) = outcome.change {
        line += &format!(", {change:?}");
    }
    let names = |keys: Vec<&MeetingKey>| keys.into_iter().map(meeting_name).collect::<Vec<_>>();
    let parts = [
        ("adopted", names(outcome.adopted.iter().map(|meeting| &meeting.key).collect())),
        ("forgotten", names(forgotten.iter().map(|meeting| &meeting.key).collect())),
        ("to end", names(outcome.unwanted.iter().map(|meeting| &meeting.key).collect())),
    ];
    for (label, names) in parts.iter().filter(|(_, names)| !names.is_empty()) {
        line += &format!(", {label} {names:?}");
    }
    line
}

#[async_trait]
impl PoolStore for FaultyStore {
    async fn check_store(&self) -> Result<(), StoreError> {
        self.read("check_store", self.store.check_store()).await
    }

    async fn list_servers(&self) -> Result<Vec<Server>, StoreError> {
        let servers = self.read("list_servers", self.store.list_servers()).await?;
        let adds_spelling =
            matches!(self.use_case.kind, UseCaseKind::ChangeServer(ServerAction::AddSpelling, _));
        let is_blind = adds_spelling && self.store.mutant() == Some(Mutant::AcceptsSpellings);
        Ok(if is_blind { Vec::new() } else { servers })
    }

    async fn find_server(&self, id: &ServerId) -> Result<Option<Server>, StoreError> {
        self.read("find_server", self.store.find_server(id)).await
    }

    async fn add_server(&self, server: Server) -> Result<bool, StoreError> {
        self.write("add_server", self.store.add_server(server)).await
    }

    async fn update_server(
        &self,
        id: &ServerId,
        change: ServerChange,
    ) -> Result<Option<Server>, StoreError> {
        self.write("update_server", self.store.update_server(id, change)).await
    }

    async fn remove_server(&self, id: &ServerId) -> Result<Option<Vec<Meeting>>, StoreError> {
        self.write("remove_server", self.store.remove_server(id)).await
    }

    async fn record_version(&self, id: &ServerId, version: &str) -> Result<(), StoreError> {
        self.read("record_version", self.store.record_version(id, version)).await
    }

    async fn record_failure(
        &self,
        id: &ServerId,
        failure: &ServerFailure,
        thresholds: Thresholds,
    ) -> Result<(), StoreError> {
        let operation = self.store.record_failure(id, failure, thresholds);
        self.write("record_failure", operation).await
    }

    async fn record_poll(
        &self,
        id: &ServerId,
        observation: &PollObservation,
        policy: &PollPolicy,
        cycle: Option<u64>,
    ) -> Result<Option<PollReport>, StoreError> {
        let operation = async {
            let report = self.store.record_poll(id, observation, policy, cycle).await?;
            if report.is_some() && observation.result.is_ok() {
                let at = observation.finished_at;
                self.sim.expectations().polled_at.insert(id.clone(), at);
            }
            self.sim
                .write_trace(|| describe_poll(&self.use_case, id, observation, report.as_ref()));
            Ok(report)
        };
        self.write("record_poll", operation).await
    }

    async fn find_meeting(&self, key: &MeetingKey) -> Result<Option<MeetingOnServer>, StoreError> {
        self.read("find_meeting", self.store.find_meeting(key)).await
    }

    async fn find_by_voice_bridge(
        &self,
        number: &str,
    ) -> Result<Option<MeetingOnServer>, StoreError> {
        self.read("find_by_voice_bridge", self.store.find_by_voice_bridge(number)).await
    }

    async fn list_meetings(&self, server: Option<&ServerId>) -> Result<Vec<Meeting>, StoreError> {
        self.read("list_meetings", self.store.list_meetings(server)).await
    }

    async fn place_meeting(&self, request: PlaceRequest) -> Result<PlaceOutcome, StoreError> {
        self.use_case.progress().claim_tokens.insert(request.claim.token.clone());
        let operation = async {
            let outcome = self.store.place_meeting(request).await?;
            if let PlaceOutcome::Claimed(placed) = &outcome {
                self.sim.count_event("meetings placed");
                let host = placed.server.id.0.clone();
                self.use_case.progress().claimed_servers.insert(host);
                self.sim.note_asked_create(&placed.server.id.0, &placed.meeting.key.id);
                self.sim
                    .write_trace(|| format!("{} placed on {}", self.use_case, placed.server.id));
            }
            Ok(outcome)
        };
        self.write("place_meeting", operation).await
    }

    async fn confirm_meeting(
        &self,
        meeting: &Meeting,
        now: Timestamp,
        pending_ends: &[PendingEnd],
        kept: Option<&KeptCreate>,
    ) -> Result<(), StoreError> {
        let confirm = async {
            self.store.confirm_meeting(meeting, now, pending_ends, kept).await?;
            self.note_kept_create(&meeting.key, kept).await
        };
        self.write("confirm_meeting", confirm).await
    }

    async fn release_claim(
        &self,
        key: &MeetingKey,
        token: &str,
        pending_ends: &[PendingEnd],
    ) -> Result<bool, StoreError> {
        let released =
            self.write("release_claim", self.store.release_claim(key, token, pending_ends)).await;
        self.sim.write_trace(|| format!("{} released: {released:?}", self.use_case));
        if released == Ok(false) {
            self.sim.expectations().lost_claims.insert(self.use_case.number);
        }
        released
    }

    async fn forget_meeting(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        seen_at: Option<Timestamp>,
        pending_end: Option<&PendingEnd>,
    ) -> Result<bool, StoreError> {
        self.write("forget_meeting", self.store.forget_meeting(key, server, seen_at, pending_end))
            .await
    }

    async fn list_pending_ends(&self) -> Result<Vec<PendingEnd>, StoreError> {
        self.read("list_pending_ends", self.store.list_pending_ends()).await
    }

    async fn forget_server_meetings(&self, server: &ServerId) -> Result<Vec<Meeting>, StoreError> {
        self.write("forget_server_meetings", self.store.forget_server_meetings(server)).await
    }

    async fn record_join(
        &self,
        key: &MeetingKey,
        now: Timestamp,
    ) -> Result<Option<MeetingOnServer>, StoreError> {
        self.write("record_join", self.store.record_join(key, now)).await
    }

    async fn restore_meeting(&self, meeting: &Meeting) -> Result<bool, StoreError> {
        self.write("restore_meeting", self.store.restore_meeting(meeting)).await
    }

    async fn claim_store_id(&self, store_id: &str) -> Result<String, StoreError> {
        self.read("claim_store_id", self.store.claim_store_id(store_id)).await
    }

    async fn restore_servers(&self, lost: &str, servers: &[Server]) -> Result<bool, StoreError> {
        self.write("restore_servers", self.store.restore_servers(lost, servers)).await
    }

    async fn forget_unseen(&self, unseen_since: Timestamp) -> Result<Vec<Meeting>, StoreError> {
        self.write("forget_unseen", self.store.forget_unseen(unseen_since)).await
    }
}

#[async_trait]
impl SessionHistory for FaultyStore {
    async fn record_session(&self, session: &MeetingSession) -> Result<(), StoreError> {
        self.read("record_session", self.store.record_session(session)).await
    }

    async fn list_sessions(
        &self,
        since: Timestamp,
        max: usize,
    ) -> Result<Vec<MeetingSession>, StoreError> {
        self.read("list_sessions", self.store.list_sessions(since, max)).await
    }

    async fn forget_sessions(&self, before: Timestamp, max: usize) -> Result<(), StoreError> {
        self.read("forget_sessions", self.store.forget_sessions(before, max)).await
    }
}

#[async_trait]
impl PeriodicJobs for FaultyStore {
    async fn find_last_run(&self, job: &str) -> Result<Option<JobRun>, StoreError> {
        self.read("find_last_run", self.store.find_last_run(job)).await
    }

    async fn claim_run(
        &self,
        job: &str,
        now: Timestamp,
        interval_ms: i64,
    ) -> Result<JobClaim, StoreError> {
        self.read("claim_run", self.store.claim_run(job, now, interval_ms)).await
    }
}

#[async_trait]
impl Tenants for FaultyStore {
    async fn list_tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.read("list_tenants", self.store.list_tenants()).await
    }

    async fn find_tenant(&self, id: &str) -> Result<Option<Tenant>, StoreError> {
        self.read("find_tenant", self.store.find_tenant(id)).await
    }

    async fn add_tenant(&self, tenant: Tenant) -> Result<bool, StoreError> {
        self.read("add_tenant", self.store.add_tenant(tenant)).await
    }

    async fn update_tenant(
        &self,
        id: &str,
        change: TenantChange,
    ) -> Result<TenantUpdateResult, StoreError> {
        self.read("update_tenant", self.store.update_tenant(id, change)).await
    }

    async fn remove_tenant(&self, id: &str) -> Result<bool, StoreError> {
        self.read("remove_tenant", self.store.remove_tenant(id)).await
    }

    async fn list_tenant_settings(
        &self,
        tenant: Option<&str>,
    ) -> Result<Vec<TenantSetting>, StoreError> {
        self.read("list_tenant_settings", self.store.list_tenant_settings(tenant)).await
    }

    async fn add_tenant_setting(&self, setting: TenantSetting) -> Result<bool, StoreError> {
        self.read("add_tenant_setting", self.store.add_tenant_setting(setting)).await
    }

    async fn remove_tenant_setting(&self, id: &str) -> Result<bool, StoreError> {
        self.read("remove_tenant_setting", self.store.remove_tenant_setting(id)).await
    }
}
