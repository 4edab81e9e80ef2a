//! The store that all replicas share: the reference implementation in memory, whose data can be
//! lost and into which bugs can be planted.

use std::sync::{Arc, Mutex, PoisonError};

use app::memory::MemoryPoolStore;
use app::ports::{
    JobClaim, KeptCreate, MeetingOnServer, PeriodicJobs, PlaceOutcome, PlaceRequest, PollReport,
    PoolStore, ServerChange, SessionHistory, StoreError, TenantUpdateResult, Tenants,
};
use async_trait::async_trait;
use domain::health::{ServerFailure, Thresholds};
use domain::periodic_job::JobRun;
use domain::poll::{PendingEnd, PollObservation, PollPolicy};
use domain::{
    AdminState, Meeting, MeetingKey, MeetingSession, Server, ServerId, Tenant, TenantChange,
    TenantSetting, Timestamp,
};

use super::expectations::StoreSnapshot;
use super::mutant::Mutant;

/// The voice bridge of all meetings under `Mutant::SharesVoiceBridges`.
const SHARED_BRIDGE: &str = "70707";

/// The shared store.
pub(crate) struct StoreProxy {
    memory: Mutex<Arc<MemoryPoolStore>>,
    mutant: Option<Mutant>,
}

impl StoreProxy {
    /// An empty store with this bug.
    #[must_use]
    pub(crate) fn new(mutant: Option<Mutant>) -> Self {
        Self { memory: Mutex::default(), mutant }
    }

    /// Returns the bug planted in this run.
    #[must_use]
    pub(crate) fn mutant(&self) -> Option<Mutant> {
        self.mutant
    }

    pub(super) fn memory(&self) -> Arc<MemoryPoolStore> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn has_mutant(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Loses all data but the tenants.
    pub(crate) async fn lose_data(&self) {
        let tenants = self.memory().list_tenants().await.unwrap_or_default();
        let empty = Arc::new(MemoryPoolStore::default());
        for tenant in tenants {
            let _ = empty.add_tenant(tenant).await;
        }
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = empty;
    }

    /// Returns all servers and meetings.
    pub(crate) async fn snapshot(&self) -> StoreSnapshot {
        let memory = self.memory();
        StoreSnapshot {
            servers: memory.list_servers().await.unwrap_or_default(),
            meetings: memory.list_meetings(None).await.unwrap_or_default(),
        }
    }

    /// Returns the key of another tenant's meeting with the same id.
    async fn find_same_id(&self, key: &MeetingKey) -> Option<MeetingKey> {
        let meetings = self.memory().list_meetings(None).await.unwrap_or_default();
        let mut keys = meetings.into_iter().map(|meeting| meeting.key);
        keys.find(|other| other.id == key.id && other != key)
    }
}

#[async_trait]
impl PoolStore for StoreProxy {
    async fn check_store(&self) -> Result<(), StoreError> {
        self.memory().check_store().await
    }

    async fn list_servers(&self) -> Result<Vec<Server>, StoreError> {
        self.memory().list_servers().await
    }

    async fn find_server(&self, id: &ServerId) -> Result<Option<Server>, StoreError> {
        self.memory().find_server(id).await
    }

    async fn add_server(&self, server: Server) -> Result<bool, StoreError> {
        self.memory().add_server(server).await
    }

    async fn update_server(
        &self,
        id: &ServerId,
        change: ServerChange,
    ) -> Result<Option<Server>, StoreError> {
        self.memory().update_server(id, change).await
    }

    async fn remove_server(&self, id: &ServerId) -> Result<Option<Vec<Meeting>>, StoreError> {
        self.memory().remove_server(id).await
    }

    async fn record_version(&self, id: &ServerId, version: &str) -> Result<(), StoreError> {
        self.memory().record_version(id, version).await
    }

    async fn record_failure(
        &self,
        id: &ServerId,
        failure: &ServerFailure,
        thresholds: Thresholds,
    ) -> Result<(), StoreError> {
        self.memory().record_failure(id, failure, thresholds).await
    }

    async fn record_poll(
        &self,
        id: &ServerId,
        observation: &PollObservation,
        policy: &PollPolicy,
        cycle: Option<u64>,
    ) -> Result<Option<PollReport>, StoreError> {
        let memory = self.memory();
        if self.has_mutant(Mutant::ForgetsOnOneFailure) && observation.result.is_err() {
            memory.forget_server_meetings(id).await?;
        }
        let observation = self.distort_observation(id, observation).await?;
        let mut report = memory.record_poll(id, &observation, policy, cycle).await?;
        self.distort_report(&observation, report.as_mut()).await?;
        if let Some(report) =
            report.as_ref().filter(|_| self.has_mutant(Mutant::KeepsEndedMeetings))
        {
            for meeting in &report.forgotten {
                memory.restore_meeting(meeting).await?;
            }
        }
        Ok(report)
    }

    async fn find_meeting(&self, key: &MeetingKey) -> Result<Option<MeetingOnServer>, StoreError> {
        let found = self.memory().find_meeting(key).await?;
        match self.find_same_id(key).await {
            Some(other_key) if found.is_none() && self.has_mutant(Mutant::MixesTenants) => {
                self.memory().find_meeting(&other_key).await
            }
            _ => Ok(found),
        }
    }

    async fn find_by_voice_bridge(
        &self,
        number: &str,
    ) -> Result<Option<MeetingOnServer>, StoreError> {
        self.memory().find_by_voice_bridge(number).await
    }

    async fn list_meetings(&self, server: Option<&ServerId>) -> Result<Vec<Meeting>, StoreError> {
        self.memory().list_meetings(server).await
    }

    async fn place_meeting(&self, mut request: PlaceRequest) -> Result<PlaceOutcome, StoreError> {
        let memory = self.memory();
        if self.has_mutant(Mutant::PlacesTwice)
            && let Some(known) = memory.find_meeting(&request.key).await?
        {
            memory.forget_meeting(&request.key, &known.server.id, None, None).await?;
        }
        self.forget_replaced(&mut request).await?;
        if self.has_mutant(Mutant::PlacesWithoutLoad) {
            request.load.expected_users = 0;
        }
        if self.has_mutant(Mutant::ClaimsForADay) {
            request.claim.until = request.claim.until.plus_ms(86_400_000);
        }
        let outcome = memory.place_meeting(request).await?;
        match (self.mutant, outcome) {
            (Some(Mutant::PlacesOnCordoned), outcome) => {
                self.move_to_server_in(AdminState::Cordoned, outcome).await
            }
            (Some(Mutant::PlacesOnDisabled), outcome) => {
                self.move_to_server_in(AdminState::Disabled, outcome).await
            }
            (Some(Mutant::SharesVoiceBridges), PlaceOutcome::Claimed(mut placed)) => {
                placed.meeting.voice_bridge = Some(SHARED_BRIDGE.to_owned());
                Ok(PlaceOutcome::Claimed(placed))
            }
            (_, outcome) => Ok(outcome),
        }
    }

    async fn confirm_meeting(
        &self,
        meeting: &Meeting,
        now: Timestamp,
        pending_ends: &[PendingEnd],
        kept: Option<&KeptCreate>,
    ) -> Result<(), StoreError> {
        if self.has_mutant(Mutant::ForgetsToConfirm) {
            return Ok(());
        }
        self.memory().confirm_meeting(meeting, now, pending_ends, kept).await
    }

    async fn release_claim(
        &self,
        key: &MeetingKey,
        token: &str,
        pending_ends: &[PendingEnd],
    ) -> Result<bool, StoreError> {
        if self.has_mutant(Mutant::KeepsFailedClaims) {
            return Ok(true);
        }
        let memory = self.memory();
        if self.has_mutant(Mutant::ReleasesAnyClaim)
            && let Some(known) = memory.find_meeting(key).await?
        {
            return memory.forget_meeting(key, &known.server.id, None, None).await;
        }
        memory.release_claim(key, token, pending_ends).await
    }

    async fn forget_meeting(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        seen_at: Option<Timestamp>,
        pending_end: Option<&PendingEnd>,
    ) -> Result<bool, StoreError> {
        if self.keeps_ended(key, pending_end).await? {
            return Ok(true);
        }
        let pending_end = pending_end.filter(|_| !self.has_mutant(Mutant::ForgetsPendingEnds));
        self.memory().forget_meeting(key, server, seen_at, pending_end).await
    }

    async fn list_pending_ends(&self) -> Result<Vec<PendingEnd>, StoreError> {
        self.memory().list_pending_ends().await
    }

    async fn forget_server_meetings(&self, server: &ServerId) -> Result<Vec<Meeting>, StoreError> {
        let mut meetings = self.memory().forget_server_meetings(server).await?;
        if self.has_mutant(Mutant::EndsAdoptedMeetings) {
            meetings.iter_mut().for_each(|meeting| meeting.origin.is_adopted = false);
        }
        Ok(meetings)
    }

    async fn record_join(
        &self,
        key: &MeetingKey,
        now: Timestamp,
    ) -> Result<Option<MeetingOnServer>, StoreError> {
        let memory = self.memory();
        let mut placed = memory.record_join(key, now).await?;
        if placed.is_none() && self.has_mutant(Mutant::MixesTenants) {
            return self.find_meeting(key).await;
        }
        self.show_offline(placed.as_mut());
        if let Some(placed) = placed.as_mut().filter(|_| self.has_mutant(Mutant::JoinsAnywhere)) {
            let servers = memory.list_servers().await?;
            let usable = servers.into_iter().rfind(Server::accepts_joins);
            placed.server = usable.unwrap_or_else(|| placed.server.clone());
        }
        Ok(placed)
    }

    async fn restore_meeting(&self, meeting: &Meeting) -> Result<bool, StoreError> {
        self.memory().restore_meeting(meeting).await
    }

    async fn claim_store_id(&self, store_id: &str) -> Result<String, StoreError> {
        if self.has_mutant(Mutant::OverlooksStoreLoss) {
            return Ok("id-that-never-changes".to_owned());
        }
        self.memory().claim_store_id(store_id).await
    }

    async fn restore_servers(&self, lost: &str, servers: &[Server]) -> Result<bool, StoreError> {
        self.memory().restore_servers(lost, servers).await
    }

    async fn forget_unseen(&self, unseen_since: Timestamp) -> Result<Vec<Meeting>, StoreError> {
        let at_once = self.has_mutant(Mutant::ForgetsUnseenAtOnce);
        let since = if at_once { unseen_since.plus_ms(86_400_000 - 90_000) } else { unseen_since };
        self.memory().forget_unseen(since).await
    }
}

#[async_trait]
impl SessionHistory for StoreProxy {
    async fn record_session(&self, session: &MeetingSession) -> Result<(), StoreError> {
        self.memory().record_session(session).await
    }

    async fn list_sessions(
        &self,
        since: Timestamp,
        max: usize,
    ) -> Result<Vec<MeetingSession>, StoreError> {
        self.memory().list_sessions(since, max).await
    }

    async fn forget_sessions(&self, before: Timestamp, max: usize) -> Result<(), StoreError> {
        self.memory().forget_sessions(before, max).await
    }
}

#[async_trait]
impl PeriodicJobs for StoreProxy {
    async fn find_last_run(&self, job: &str) -> Result<Option<JobRun>, StoreError> {
        self.memory().find_last_run(job).await
    }

    async fn claim_run(
        &self,
        job: &str,
        now: Timestamp,
        interval_ms: i64,
    ) -> Result<JobClaim, StoreError> {
        self.memory().claim_run(job, now, interval_ms).await
    }
}

#[async_trait]
impl Tenants for StoreProxy {
    async fn list_tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.memory().list_tenants().await
    }

    async fn find_tenant(&self, id: &str) -> Result<Option<Tenant>, StoreError> {
        self.memory().find_tenant(id).await
    }

    async fn add_tenant(&self, tenant: Tenant) -> Result<bool, StoreError> {
        self.memory().add_tenant(tenant).await
    }

    async fn update_tenant(
        &self,
        id: &str,
        change: TenantChange,
    ) -> Result<TenantUpdateResult, StoreError> {
        self.memory().update_tenant(id, change).await
    }

    async fn remove_tenant(&self, id: &str) -> Result<bool, StoreError> {
        self.memory().remove_tenant(id).await
    }

    async fn list_tenant_settings(
        &self,
        tenant: Option<&str>,
    ) -> Result<Vec<TenantSetting>, StoreError> {
        self.memory().list_tenant_settings(tenant).await
    }

    async fn add_tenant_setting(&self, setting: TenantSetting) -> Result<bool, StoreError> {
        self.memory().add_tenant_setting(setting).await
    }

    async fn remove_tenant_setting(&self, id: &str) -> Result<bool, StoreError> {
        self.memory().remove_tenant_setting(id).await
    }
}
