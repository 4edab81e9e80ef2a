//! The store that all replicas share: the reference implementation, which may be lost as a whole,
//! and into which bugs may be planted.

use std::sync::{Arc, Mutex, PoisonError};

use app::memory::MemoryCluster;
use app::ports::{
    Cluster, History, Located, PlaceRequest, Placed, PollReport, ServerChange, StoreError,
    TenantUpdate, Tenants, Turn, Turns,
};
use async_trait::async_trait;
use domain::health::{Failure, Thresholds};
use domain::poll::{Ending, Observation, PollPolicy};
use domain::{
    AdminState, Meeting, MeetingKey, Server, ServerId, Session, Tenant, TenantChange,
    TenantSetting, Timestamp,
};

use super::ledger::Snapshot;
use super::mutant::Mutant;

/// One voice bridge for all.
const SHARED_BRIDGE: &str = "70707";

/// The shared store.
pub(crate) struct Vault {
    memory: Mutex<Arc<MemoryCluster>>,
    mutant: Option<Mutant>,
}

impl Vault {
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

    fn memory(&self) -> Arc<MemoryCluster> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Loses everything but the tenants.
    pub(crate) async fn lose(&self) {
        let tenants = self.memory().tenants().await.unwrap_or_default();
        let empty = Arc::new(MemoryCluster::default());
        for tenant in tenants {
            let _ = empty.add_tenant(tenant).await;
        }
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = empty;
    }

    /// All servers and meetings.
    pub(crate) async fn snapshot(&self) -> Snapshot {
        let memory = self.memory();
        Snapshot {
            servers: memory.servers().await.unwrap_or_default(),
            meetings: memory.meetings(None).await.unwrap_or_default(),
        }
    }

    /// The meeting of that id, of whatever tenant.
    async fn of_anybody(&self, key: &MeetingKey) -> Option<MeetingKey> {
        let all = self.memory().meetings(None).await.unwrap_or_default();
        all.into_iter().map(|one| one.key).find(|one| one.id == key.id && one != key)
    }

    /// What a poll that looks badly finds.
    async fn distorted(
        &self,
        id: &ServerId,
        observation: &Observation,
    ) -> Result<Observation, StoreError> {
        let mut observation = observation.clone();
        let Ok(seen) = &mut observation.result else { return Ok(observation) };
        match self.mutant {
            Some(Mutant::OverlooksAMeeting) => drop(seen.pop()),
            Some(Mutant::AdoptsNothing) => seen.iter_mut().for_each(|one| one.ours = false),
            Some(Mutant::CountsTooMany) => seen.iter_mut().for_each(|one| one.users += 30),
            Some(Mutant::LeavesDoubles) => {
                let meetings = self.memory().meetings(None).await?;
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
    async fn misplace(
        &self,
        placed: Placed,
        wrong: impl Fn(&Server) -> bool,
    ) -> Result<Placed, StoreError> {
        let memory = self.memory();
        let servers = memory.servers().await?;
        let (Placed::Won(located), Some(server)) = (&placed, servers.iter().find(|one| wrong(one)))
        else {
            return Ok(placed);
        };
        memory.forget(&located.meeting.key, &located.server.id, None, None).await?;
        let meeting = Meeting { server: server.id.clone(), ..located.meeting.clone() };
        memory.restore(&meeting).await?;
        Ok(Placed::Won(Located { meeting, server: server.clone() }))
    }
}

#[async_trait]
impl Cluster for Vault {
    async fn check(&self) -> Result<(), StoreError> {
        self.memory().check().await
    }

    async fn servers(&self) -> Result<Vec<Server>, StoreError> {
        self.memory().servers().await
    }

    async fn server(&self, id: &ServerId) -> Result<Option<Server>, StoreError> {
        self.memory().server(id).await
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
        failure: &Failure,
        thresholds: Thresholds,
    ) -> Result<(), StoreError> {
        self.memory().record_failure(id, failure, thresholds).await
    }

    async fn record_poll(
        &self,
        id: &ServerId,
        observation: &Observation,
        policy: &PollPolicy,
        cycle: Option<u64>,
    ) -> Result<Option<PollReport>, StoreError> {
        let memory = self.memory();
        if self.is(Mutant::ForgetsOnOneFailure) && observation.result.is_err() {
            memory.forget_all(id).await?;
        }
        let observation = self.distorted(id, observation).await?;
        let report = memory.record_poll(id, &observation, policy, cycle).await?;
        if let Some(report) = report.as_ref().filter(|_| self.is(Mutant::KeepsEndedMeetings)) {
            for meeting in &report.forgotten {
                memory.restore(meeting).await?;
            }
        }
        Ok(report)
    }

    async fn meeting(&self, key: &MeetingKey) -> Result<Option<Located>, StoreError> {
        let found = self.memory().meeting(key).await?;
        match self.of_anybody(key).await {
            Some(other) if found.is_none() && self.is(Mutant::MixesTenants) => {
                self.memory().meeting(&other).await
            }
            _ => Ok(found),
        }
    }

    async fn meetings(&self, server: Option<&ServerId>) -> Result<Vec<Meeting>, StoreError> {
        self.memory().meetings(server).await
    }

    async fn place(&self, mut request: PlaceRequest) -> Result<Placed, StoreError> {
        let memory = self.memory();
        if self.is(Mutant::PlacesTwice)
            && let Some(known) = memory.meeting(&request.key).await?
        {
            memory.forget(&request.key, &known.server.id, None, None).await?;
        }
        if self.is(Mutant::PlacesWithoutLoad) {
            request.seats.reserved = 0;
        }
        if self.is(Mutant::ClaimsForADay) {
            request.claim.until = request.claim.until.plus_ms(86_400_000);
        }
        let placed = memory.place(request).await?;
        match (self.mutant, placed) {
            (Some(Mutant::PlacesOnCordoned), placed) => {
                self.misplace(placed, |one| one.state == AdminState::Cordoned).await
            }
            (Some(Mutant::PlacesOnDisabled), placed) => {
                self.misplace(placed, |one| one.state == AdminState::Disabled).await
            }
            (Some(Mutant::SharesVoiceBridges), Placed::Won(mut located)) => {
                located.meeting.voice_bridge = Some(SHARED_BRIDGE.to_owned());
                Ok(Placed::Won(located))
            }
            (_, placed) => Ok(placed),
        }
    }

    async fn confirm(
        &self,
        meeting: &Meeting,
        now: Timestamp,
        endings: &[Ending],
    ) -> Result<(), StoreError> {
        if self.is(Mutant::ForgetsToConfirm) {
            return Ok(());
        }
        self.memory().confirm(meeting, now, endings).await
    }

    async fn release(
        &self,
        key: &MeetingKey,
        token: &str,
        endings: &[Ending],
    ) -> Result<bool, StoreError> {
        if self.is(Mutant::KeepsFailedClaims) {
            return Ok(true);
        }
        let memory = self.memory();
        if self.is(Mutant::ReleasesAnyClaim)
            && let Some(known) = memory.meeting(key).await?
        {
            return memory.forget(key, &known.server.id, None, None).await;
        }
        memory.release(key, token, endings).await
    }

    async fn forget(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        seen_at: Option<Timestamp>,
        ending: Option<&Ending>,
    ) -> Result<bool, StoreError> {
        let ending = ending.filter(|_| !self.is(Mutant::ForgetsEndings));
        self.memory().forget(key, server, seen_at, ending).await
    }

    async fn endings(&self) -> Result<Vec<Ending>, StoreError> {
        self.memory().endings().await
    }

    async fn forget_all(&self, server: &ServerId) -> Result<Vec<Meeting>, StoreError> {
        self.memory().forget_all(server).await
    }

    async fn join(&self, key: &MeetingKey, now: Timestamp) -> Result<Option<Located>, StoreError> {
        let memory = self.memory();
        let mut located = memory.join(key, now).await?;
        if located.is_none() && self.is(Mutant::MixesTenants) {
            return self.meeting(key).await;
        }
        if let Some(located) = located.as_mut().filter(|_| self.is(Mutant::JoinsAnywhere)) {
            let servers = memory.servers().await?;
            let open = servers.into_iter().rfind(Server::accepts_joins);
            located.server = open.unwrap_or_else(|| located.server.clone());
        }
        Ok(located)
    }

    async fn restore(&self, meeting: &Meeting) -> Result<bool, StoreError> {
        self.memory().restore(meeting).await
    }

    async fn mark(&self, mark: &str) -> Result<String, StoreError> {
        if self.is(Mutant::IsNeverLost) {
            return Ok("the same for ever".to_owned());
        }
        self.memory().mark(mark).await
    }

    async fn put_back(&self, lost: &str, servers: &[Server]) -> Result<bool, StoreError> {
        self.memory().put_back(lost, servers).await
    }

    async fn sweep(&self, unseen_since: Timestamp) -> Result<Vec<Meeting>, StoreError> {
        let at_once = self.is(Mutant::SweepsAtOnce);
        let since = if at_once { unseen_since.plus_ms(86_400_000 - 90_000) } else { unseen_since };
        self.memory().sweep(since).await
    }
}

#[async_trait]
impl History for Vault {
    async fn record_session(&self, session: &Session) -> Result<(), StoreError> {
        self.memory().record_session(session).await
    }

    async fn sessions(&self, since: Timestamp, max: usize) -> Result<Vec<Session>, StoreError> {
        self.memory().sessions(since, max).await
    }

    async fn forget_sessions(&self, before: Timestamp, max: usize) -> Result<(), StoreError> {
        self.memory().forget_sessions(before, max).await
    }
}

#[async_trait]
impl Turns for Vault {
    async fn turn(&self, work: &str, now: Timestamp, interval_ms: i64) -> Result<Turn, StoreError> {
        self.memory().turn(work, now, interval_ms).await
    }
}

#[async_trait]
impl Tenants for Vault {
    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.memory().tenants().await
    }

    async fn tenant(&self, id: &str) -> Result<Option<Tenant>, StoreError> {
        self.memory().tenant(id).await
    }

    async fn add_tenant(&self, tenant: Tenant) -> Result<bool, StoreError> {
        self.memory().add_tenant(tenant).await
    }

    async fn update_tenant(
        &self,
        id: &str,
        change: TenantChange,
    ) -> Result<TenantUpdate, StoreError> {
        self.memory().update_tenant(id, change).await
    }

    async fn remove_tenant(&self, id: &str) -> Result<bool, StoreError> {
        self.memory().remove_tenant(id).await
    }

    async fn tenant_settings(
        &self,
        tenant: Option<&str>,
    ) -> Result<Vec<TenantSetting>, StoreError> {
        self.memory().tenant_settings(tenant).await
    }

    async fn add_tenant_setting(&self, setting: TenantSetting) -> Result<bool, StoreError> {
        self.memory().add_tenant_setting(setting).await
    }

    async fn remove_tenant_setting(&self, id: &str) -> Result<bool, StoreError> {
        self.memory().remove_tenant_setting(id).await
    }
}
