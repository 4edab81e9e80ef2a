//! The way of one use case to the store: late, sometimes without success, sometimes with a success
//! that nobody hears of. What gets through is looked at by the checkers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use app::ports::{
    JobClaim, MeetingOnServer, PeriodicJobs, PlaceOutcome, PlaceRequest, PollReport, PoolStore,
    ServerChange, SessionHistory, StoreError, TenantUpdateResult, Tenants,
};
use async_trait::async_trait;
use domain::health::{ServerFailure, Thresholds};
use domain::poll::{PendingEnd, PollObservation, PollPolicy};
use domain::{
    Meeting, MeetingKey, MeetingSession, Server, ServerId, Tenant, TenantChange, TenantSetting,
    Timestamp,
};
use tokio::time::sleep;

use super::fault_schedule::StoreFault;
use super::replica_process::ReplicaProcess;
use super::sim_run::SimRun;
use super::store_proxy::StoreProxy;
use super::use_case::{UseCase, meeting_name};

/// How long a store that is away lets its callers wait.
const UNAVAILABLE_DELAY: Duration = Duration::from_millis(300);

/// A use case's way to the store.
pub(crate) struct FaultyStore {
    sim: Arc<SimRun>,
    store: Arc<StoreProxy>,
    process: Arc<ReplicaProcess>,
    use_case: Arc<UseCase>,
}

impl FaultyStore {
    /// The way of this use case.
    #[must_use]
    pub(crate) fn new(world: Arc<SimRun>, life: Arc<ReplicaProcess>, op: Arc<UseCase>) -> Self {
        let vault = world.store.clone();
        Self { sim: world, store: vault, process: life, use_case: op }
    }

    async fn delay(&self) {
        let ms = self.sim.faults().draw_store_latency_ms();
        if ms > 0 {
            sleep(Duration::from_millis(ms)).await;
        }
    }

    fn fail(&self, call: &str, when: &'static str) -> StoreError {
        self.use_case.progress().store_failed = true;
        self.sim.count_event("store faults");
        self.sim.write_trace(|| format!("{} {call}: store fails {when}", self.use_case));
        StoreError::Unavailable(when.to_owned())
    }

    /// One operation.
    async fn run_operation<T>(
        &self,
        call: &'static str,
        changes: bool,
        act: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.delay().await;
        if !self.process.is_alive() {
            return Err(StoreError::Unavailable("crashed".to_owned()));
        }
        let fault = self.sim.faults().draw_store_fault(self.process.replica, self.sim.now());
        if fault == Some(StoreFault::BeforeEffect) {
            sleep(UNAVAILABLE_DELAY).await;
            return Err(self.fail(call, "before"));
        }
        let result = act.await;
        if changes {
            self.sim.check_store_change(&self.use_case, call).await;
        }
        if fault == Some(StoreFault::AfterEffect) {
            sleep(UNAVAILABLE_DELAY).await;
            return Err(self.fail(call, "after"));
        }
        self.delay().await;
        result
    }

    async fn read<T>(
        &self,
        call: &'static str,
        act: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.run_operation(call, false, act).await
    }

    async fn write<T>(
        &self,
        call: &'static str,
        act: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.run_operation(call, true, act).await
    }
}

/// What a poll found and did, for a trace.
fn describe_poll(
    op: &UseCase,
    id: &ServerId,
    found: &PollObservation,
    report: Option<&PollReport>,
) -> String {
    let outcome = found.result.as_ref().map(Vec::len);
    let mut line = format!("{op} poll of {id}: {outcome:?}");
    let Some(PollReport { outcome: verdict, forgotten, .. }) = report else {
        return line + ", too late";
    };
    if let Some(change) = verdict.change {
        line += &format!(", {change:?}");
    }
    let names = |keys: Vec<&MeetingKey>| keys.into_iter().map(meeting_name).collect::<Vec<_>>();
    let parts = [
        ("adopted", names(verdict.adopted.iter().map(|one| &one.key).collect())),
        ("forgotten", names(forgotten.iter().map(|one| &one.key).collect())),
        ("to end", names(verdict.unwanted.iter().map(|one| &one.key).collect())),
    ];
    for (what, names) in parts.iter().filter(|(_, names)| !names.is_empty()) {
        line += &format!(", {what} {names:?}");
    }
    line
}

#[async_trait]
impl PoolStore for FaultyStore {
    async fn check_store(&self) -> Result<(), StoreError> {
        self.read("check", self.store.check_store()).await
    }

    async fn list_servers(&self) -> Result<Vec<Server>, StoreError> {
        self.read("servers", self.store.list_servers()).await
    }

    async fn find_server(&self, id: &ServerId) -> Result<Option<Server>, StoreError> {
        self.read("server", self.store.find_server(id)).await
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
        let recorded = self.store.record_failure(id, failure, thresholds);
        self.write("record_failure", recorded).await
    }

    async fn record_poll(
        &self,
        id: &ServerId,
        observation: &PollObservation,
        policy: &PollPolicy,
        cycle: Option<u64>,
    ) -> Result<Option<PollReport>, StoreError> {
        let recorded = async {
            let report = self.store.record_poll(id, observation, policy, cycle).await?;
            if report.is_some() && observation.result.is_ok() {
                let at = observation.finished_at;
                self.sim.expectations().polled_at.insert(id.clone(), at);
            }
            self.sim
                .write_trace(|| describe_poll(&self.use_case, id, observation, report.as_ref()));
            Ok(report)
        };
        self.write("record_poll", recorded).await
    }

    async fn find_meeting(&self, key: &MeetingKey) -> Result<Option<MeetingOnServer>, StoreError> {
        self.read("meeting", self.store.find_meeting(key)).await
    }

    async fn list_meetings(&self, server: Option<&ServerId>) -> Result<Vec<Meeting>, StoreError> {
        self.read("meetings", self.store.list_meetings(server)).await
    }

    async fn place_meeting(&self, request: PlaceRequest) -> Result<PlaceOutcome, StoreError> {
        self.use_case.progress().claim_tokens.insert(request.claim.token.clone());
        let placed = async {
            let placed = self.store.place_meeting(request).await?;
            if let PlaceOutcome::Claimed(located) = &placed {
                self.sim.count_event("places");
                self.sim
                    .write_trace(|| format!("{} placed on {}", self.use_case, located.server.id));
            }
            Ok(placed)
        };
        self.write("place", placed).await
    }

    async fn confirm_meeting(
        &self,
        meeting: &Meeting,
        now: Timestamp,
        endings: &[PendingEnd],
    ) -> Result<(), StoreError> {
        self.write("confirm", self.store.confirm_meeting(meeting, now, endings)).await
    }

    async fn release_claim(
        &self,
        key: &MeetingKey,
        token: &str,
        endings: &[PendingEnd],
    ) -> Result<bool, StoreError> {
        let released = self.write("release", self.store.release_claim(key, token, endings)).await;
        self.sim.write_trace(|| format!("{} released: {released:?}", self.use_case));
        released
    }

    async fn forget_meeting(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        seen_at: Option<Timestamp>,
        ending: Option<&PendingEnd>,
    ) -> Result<bool, StoreError> {
        self.write("forget", self.store.forget_meeting(key, server, seen_at, ending)).await
    }

    async fn list_pending_ends(&self) -> Result<Vec<PendingEnd>, StoreError> {
        self.read("endings", self.store.list_pending_ends()).await
    }

    async fn forget_server_meetings(&self, server: &ServerId) -> Result<Vec<Meeting>, StoreError> {
        self.write("forget_all", self.store.forget_server_meetings(server)).await
    }

    async fn record_join(
        &self,
        key: &MeetingKey,
        now: Timestamp,
    ) -> Result<Option<MeetingOnServer>, StoreError> {
        self.write("join", self.store.record_join(key, now)).await
    }

    async fn restore_meeting(&self, meeting: &Meeting) -> Result<bool, StoreError> {
        self.write("restore", self.store.restore_meeting(meeting)).await
    }

    async fn claim_store_id(&self, mark: &str) -> Result<String, StoreError> {
        self.read("mark", self.store.claim_store_id(mark)).await
    }

    async fn restore_servers(&self, lost: &str, servers: &[Server]) -> Result<bool, StoreError> {
        self.write("put_back", self.store.restore_servers(lost, servers)).await
    }

    async fn forget_unseen(&self, unseen_since: Timestamp) -> Result<Vec<Meeting>, StoreError> {
        self.write("sweep", self.store.forget_unseen(unseen_since)).await
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
        self.read("sessions", self.store.list_sessions(since, max)).await
    }

    async fn forget_sessions(&self, before: Timestamp, max: usize) -> Result<(), StoreError> {
        self.read("forget_sessions", self.store.forget_sessions(before, max)).await
    }
}

#[async_trait]
impl PeriodicJobs for FaultyStore {
    async fn claim_run(
        &self,
        work: &str,
        now: Timestamp,
        interval_ms: i64,
    ) -> Result<JobClaim, StoreError> {
        self.read("turn", self.store.claim_run(work, now, interval_ms)).await
    }
}

#[async_trait]
impl Tenants for FaultyStore {
    async fn list_tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.read("tenants", self.store.list_tenants()).await
    }

    async fn find_tenant(&self, id: &str) -> Result<Option<Tenant>, StoreError> {
        self.read("tenant", self.store.find_tenant(id)).await
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
        self.read("tenant_settings", self.store.list_tenant_settings(tenant)).await
    }

    async fn add_tenant_setting(&self, setting: TenantSetting) -> Result<bool, StoreError> {
        self.read("add_tenant_setting", self.store.add_tenant_setting(setting)).await
    }

    async fn remove_tenant_setting(&self, id: &str) -> Result<bool, StoreError> {
        self.read("remove_tenant_setting", self.store.remove_tenant_setting(id)).await
    }
}
