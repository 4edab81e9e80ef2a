//! The store that all replicas share: the reference implementation, which may be lost as a whole,
//! and into which bugs may be planted.

use std::sync::{Arc, Mutex, PoisonError};

use app::memory::MemoryPoolStore;
use app::ports::{
    JobClaim, MeetingOnServer, PeriodicJobs, PlaceOutcome, PlaceRequest, PollReport, PoolStore,
    ServerChange, SessionHistory, StoreError, TenantUpdateResult, Tenants,
};
use async_trait::async_trait;
use domain::health::{ServerFailure, Thresholds};
use domain::poll::{PendingEnd, PollObservation, PollPolicy};
use domain::{
    AdminState, Meeting, MeetingKey, MeetingSession, Server, ServerId, Tenant, TenantChange,
    TenantSetting, Timestamp,
};

use super::expectations::StoreSnapshot;
use super::mutant::Mutant;

/// One voice bridge for all.
const SHARED_BRIDGE: &str = "70707";

/// The shared store.
pub(crate) struct StoreProxy {
    memory: Mutex<Arc<MemoryPoolStore>>,
    mutant: Option<Mutant>,
}

impl StoreProxy {
    /// An empty one, with this bug.
    #[must_use]
    pub(crate) fn new(mutant: Option<Mutant>) -> Self {
        Self { memory: Mutex::default(), mutant }
    }

    /// The bug planted in this run.
    #[must_use]
    pub(crate) fn mutant(&self) -> Option<Mutant> {
        self.mutant
    }

    fn memory(&self) -> Arc<MemoryPoolStore> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn has_mutant(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Loses everything but the tenants.
    pub(crate) async fn lose_data(&self) {
        let tenants = self.memory().list_tenants().await.unwrap_or_default();
        let empty = Arc::new(MemoryPoolStore::default());
        for tenant in tenants {
            let _ = empty.add_tenant(tenant).await;
        }
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = empty;
    }

    /// All servers and meetings.
    pub(crate) async fn snapshot(&self) -> StoreSnapshot {
        let memory = self.memory();
        StoreSnapshot {
            servers: memory.list_servers().await.unwrap_or_default(),
            meetings: memory.list_meetings(None).await.unwrap_or_default(),
        }
    }

    /// The meeting of that id, of whatever tenant.
    async fn find_same_id(&self, key: &MeetingKey) -> Option<MeetingKey> {
        let all = self.memory().list_meetings(None).await.unwrap_or_default();
        all.into_iter().map(|one| one.key).find(|one| one.id == key.id && one != key)
    }

    /// What a poll that looks badly finds.
    async fn distort_observation(
        &self,
        id: &ServerId,
        observation: &PollObservation,
    ) -> Result<PollObservation, StoreError> {
        let mut observation = observation.clone();
        let Ok(seen) = &mut observation.result else { return Ok(observation) };
        match self.mutant {
            Some(Mutant::OverlooksMeeting) => drop(seen.pop()),
            Some(Mutant::AdoptsNothing) => seen.iter_mut().for_each(|one| one.is_ours = false),
            Some(Mutant::CountsTooManyUsers) => seen.iter_mut().for_each(|one| one.users += 30),
            Some(Mutant::LeavesDuplicates) => {
                let meetings = self.memory().list_meetings(None).await?;
                let elsewhere = |key: &MeetingKey| {
                    meetings.iter().any(|one| one.key == *key && one.server != *id)
                };
                seen.retain(|one| !elsewhere(&one.key()));
            }
            _ => {}
        }
        Ok(observation)
    }

    /// Places a meeting where it must not be: on a server of that state.
    async fn place_wrongly(
        &self,
        placed: PlaceOutcome,
        wrong: impl Fn(&Server) -> bool,
    ) -> Result<PlaceOutcome, StoreError> {
        let memory = self.memory();
        let servers = memory.list_servers().await?;
        let (PlaceOutcome::Claimed(located), Some(server)) =
            (&placed, servers.iter().find(|one| wrong(one)))
        else {
            return Ok(placed);
        };
        memory.forget_meeting(&located.meeting.key, &located.server.id, None, None).await?;
        let meeting = Meeting { server: server.id.clone(), ..located.meeting.clone() };
        memory.restore_meeting(&meeting).await?;
        Ok(PlaceOutcome::Claimed(MeetingOnServer { meeting, server: server.clone() }))
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
        let report = memory.record_poll(id, &observation, policy, cycle).await?;
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
            Some(other) if found.is_none() && self.has_mutant(Mutant::MixesTenants) => {
                self.memory().find_meeting(&other).await
            }
            _ => Ok(found),
        }
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
        if self.has_mutant(Mutant::PlacesWithoutLoad) {
            request.load.expected_users = 0;
        }
        if self.has_mutant(Mutant::ClaimsForADay) {
            request.claim.until = request.claim.until.plus_ms(86_400_000);
        }
        let placed = memory.place_meeting(request).await?;
        match (self.mutant, placed) {
            (Some(Mutant::PlacesOnCordoned), placed) => {
                self.place_wrongly(placed, |one| one.state == AdminState::Cordoned).await
            }
            (Some(Mutant::PlacesOnDisabled), placed) => {
                self.place_wrongly(placed, |one| one.state == AdminState::Disabled).await
            }
            (Some(Mutant::SharesVoiceBridges), PlaceOutcome::Claimed(mut located)) => {
                located.meeting.voice_bridge = Some(SHARED_BRIDGE.to_owned());
                Ok(PlaceOutcome::Claimed(located))
            }
            (_, placed) => Ok(placed),
        }
    }

    async fn confirm_meeting(
        &self,
        meeting: &Meeting,
        now: Timestamp,
        endings: &[PendingEnd],
    ) -> Result<(), StoreError> {
        if self.has_mutant(Mutant::ForgetsToConfirm) {
            return Ok(());
        }
        self.memory().confirm_meeting(meeting, now, endings).await
    }

    async fn release_claim(
        &self,
        key: &MeetingKey,
        token: &str,
        endings: &[PendingEnd],
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
        memory.release_claim(key, token, endings).await
    }

    async fn forget_meeting(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        seen_at: Option<Timestamp>,
        ending: Option<&PendingEnd>,
    ) -> Result<bool, StoreError> {
        let ending = ending.filter(|_| !self.has_mutant(Mutant::ForgetsPendingEnds));
        self.memory().forget_meeting(key, server, seen_at, ending).await
    }

    async fn list_pending_ends(&self) -> Result<Vec<PendingEnd>, StoreError> {
        self.memory().list_pending_ends().await
    }

    async fn forget_server_meetings(&self, server: &ServerId) -> Result<Vec<Meeting>, StoreError> {
        self.memory().forget_server_meetings(server).await
    }

    async fn record_join(
        &self,
        key: &MeetingKey,
        now: Timestamp,
    ) -> Result<Option<MeetingOnServer>, StoreError> {
        let memory = self.memory();
        let mut located = memory.record_join(key, now).await?;
        if located.is_none() && self.has_mutant(Mutant::MixesTenants) {
            return self.find_meeting(key).await;
        }
        if let Some(located) = located.as_mut().filter(|_| self.has_mutant(Mutant::JoinsAnywhere)) {
            let servers = memory.list_servers().await?;
            let open = servers.into_iter().rfind(Server::accepts_joins);
            located.server = open.unwrap_or_else(|| located.server.clone());
        }
        Ok(located)
    }

    async fn restore_meeting(&self, meeting: &Meeting) -> Result<bool, StoreError> {
        self.memory().restore_meeting(meeting).await
    }

    async fn claim_store_id(&self, mark: &str) -> Result<String, StoreError> {
        if self.has_mutant(Mutant::OverlooksStoreLoss) {
            return Ok("the same for ever".to_owned());
        }
        self.memory().claim_store_id(mark).await
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
    async fn claim_run(
        &self,
        work: &str,
        now: Timestamp,
        interval_ms: i64,
    ) -> Result<JobClaim, StoreError> {
        self.memory().claim_run(work, now, interval_ms).await
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
