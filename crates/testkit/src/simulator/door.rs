//! The way of one use case to the store: late, sometimes without success, sometimes with a success
//! that nobody hears of. What gets through is looked at by the checkers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use app::ports::{
    Cluster, History, Located, PlaceRequest, Placed, PollReport, ServerChange, StoreError,
    TenantUpdate, Tenants, Turn, Turns,
};
use async_trait::async_trait;
use domain::health::{Failure, Thresholds};
use domain::poll::{Ending, Observation, PollPolicy};
use domain::{
    Meeting, MeetingKey, Server, ServerId, Session, Tenant, TenantChange, TenantSetting, Timestamp,
};
use tokio::time::sleep;

use super::clock::Life;
use super::op::{Op, name};
use super::vault::Vault;
use super::weather::StoreFault;
use super::world::World;

/// How long a store that is away lets its callers wait.
const AWAY: Duration = Duration::from_millis(300);

/// A use case's way to the store.
pub(crate) struct Door {
    world: Arc<World>,
    vault: Arc<Vault>,
    life: Arc<Life>,
    op: Arc<Op>,
}

impl Door {
    /// The way of this use case.
    #[must_use]
    pub(crate) fn new(world: Arc<World>, life: Arc<Life>, op: Arc<Op>) -> Self {
        let vault = world.vault.clone();
        Self { world, vault, life, op }
    }

    async fn wait(&self) {
        let ms = self.world.weather().store_latency_ms();
        if ms > 0 {
            sleep(Duration::from_millis(ms)).await;
        }
    }

    fn lost(&self, call: &str, when: &'static str) -> StoreError {
        self.op.seen().store_failed = true;
        self.world.count("store faults");
        self.world.say(|| format!("{} {call}: store fails {when}", self.op));
        StoreError::Unavailable(when.to_owned())
    }

    /// One operation.
    async fn pass<T>(
        &self,
        call: &'static str,
        changes: bool,
        act: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.wait().await;
        if !self.life.is_alive() {
            return Err(StoreError::Unavailable("crashed".to_owned()));
        }
        let fault = self.world.weather().strike_store(self.life.replica, self.world.now());
        if fault == Some(StoreFault::Before) {
            sleep(AWAY).await;
            return Err(self.lost(call, "before"));
        }
        let result = act.await;
        if changes {
            self.world.changed(&self.op, call).await;
        }
        if fault == Some(StoreFault::After) {
            sleep(AWAY).await;
            return Err(self.lost(call, "after"));
        }
        self.wait().await;
        result
    }

    async fn look<T>(
        &self,
        call: &'static str,
        act: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.pass(call, false, act).await
    }

    async fn change<T>(
        &self,
        call: &'static str,
        act: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.pass(call, true, act).await
    }
}

/// What a poll found and did, for a trace.
fn polled(op: &Op, id: &ServerId, found: &Observation, report: Option<&PollReport>) -> String {
    let outcome = found.result.as_ref().map(Vec::len);
    let mut line = format!("{op} poll of {id}: {outcome:?}");
    let Some(PollReport { verdict, forgotten, .. }) = report else { return line + ", too late" };
    if let Some(change) = verdict.change {
        line += &format!(", {change:?}");
    }
    let names = |keys: Vec<&MeetingKey>| keys.into_iter().map(name).collect::<Vec<_>>();
    let parts = [
        ("adopted", names(verdict.adopted.iter().map(|one| &one.key).collect())),
        ("forgotten", names(forgotten.iter().map(|one| &one.key).collect())),
        ("to end", names(verdict.strays.iter().map(|one| &one.key).collect())),
    ];
    for (what, names) in parts.iter().filter(|(_, names)| !names.is_empty()) {
        line += &format!(", {what} {names:?}");
    }
    line
}

#[async_trait]
impl Cluster for Door {
    async fn check(&self) -> Result<(), StoreError> {
        self.look("check", self.vault.check()).await
    }

    async fn servers(&self) -> Result<Vec<Server>, StoreError> {
        self.look("servers", self.vault.servers()).await
    }

    async fn server(&self, id: &ServerId) -> Result<Option<Server>, StoreError> {
        self.look("server", self.vault.server(id)).await
    }

    async fn add_server(&self, server: Server) -> Result<bool, StoreError> {
        self.change("add_server", self.vault.add_server(server)).await
    }

    async fn update_server(
        &self,
        id: &ServerId,
        change: ServerChange,
    ) -> Result<Option<Server>, StoreError> {
        self.change("update_server", self.vault.update_server(id, change)).await
    }

    async fn remove_server(&self, id: &ServerId) -> Result<Option<Vec<Meeting>>, StoreError> {
        self.change("remove_server", self.vault.remove_server(id)).await
    }

    async fn record_version(&self, id: &ServerId, version: &str) -> Result<(), StoreError> {
        self.look("record_version", self.vault.record_version(id, version)).await
    }

    async fn record_failure(
        &self,
        id: &ServerId,
        failure: &Failure,
        thresholds: Thresholds,
    ) -> Result<(), StoreError> {
        let recorded = self.vault.record_failure(id, failure, thresholds);
        self.change("record_failure", recorded).await
    }

    async fn record_poll(
        &self,
        id: &ServerId,
        observation: &Observation,
        policy: &PollPolicy,
        cycle: Option<u64>,
    ) -> Result<Option<PollReport>, StoreError> {
        let recorded = async {
            let report = self.vault.record_poll(id, observation, policy, cycle).await?;
            if report.is_some() && observation.result.is_ok() {
                let at = observation.finished_at;
                self.world.ledger().polled_at.insert(id.clone(), at);
            }
            self.world.say(|| polled(&self.op, id, observation, report.as_ref()));
            Ok(report)
        };
        self.change("record_poll", recorded).await
    }

    async fn meeting(&self, key: &MeetingKey) -> Result<Option<Located>, StoreError> {
        self.look("meeting", self.vault.meeting(key)).await
    }

    async fn meetings(&self, server: Option<&ServerId>) -> Result<Vec<Meeting>, StoreError> {
        self.look("meetings", self.vault.meetings(server)).await
    }

    async fn place(&self, request: PlaceRequest) -> Result<Placed, StoreError> {
        self.op.seen().tokens.insert(request.claim.token.clone());
        let placed = async {
            let placed = self.vault.place(request).await?;
            if let Placed::Won(located) = &placed {
                self.world.count("places");
                self.world.say(|| format!("{} placed on {}", self.op, located.server.id));
            }
            Ok(placed)
        };
        self.change("place", placed).await
    }

    async fn confirm(
        &self,
        meeting: &Meeting,
        now: Timestamp,
        endings: &[Ending],
    ) -> Result<(), StoreError> {
        self.change("confirm", self.vault.confirm(meeting, now, endings)).await
    }

    async fn release(
        &self,
        key: &MeetingKey,
        token: &str,
        endings: &[Ending],
    ) -> Result<bool, StoreError> {
        let released = self.change("release", self.vault.release(key, token, endings)).await;
        self.world.say(|| format!("{} released: {released:?}", self.op));
        released
    }

    async fn forget(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        seen_at: Option<Timestamp>,
        ending: Option<&Ending>,
    ) -> Result<bool, StoreError> {
        self.change("forget", self.vault.forget(key, server, seen_at, ending)).await
    }

    async fn endings(&self) -> Result<Vec<Ending>, StoreError> {
        self.look("endings", self.vault.endings()).await
    }

    async fn forget_all(&self, server: &ServerId) -> Result<Vec<Meeting>, StoreError> {
        self.change("forget_all", self.vault.forget_all(server)).await
    }

    async fn join(&self, key: &MeetingKey, now: Timestamp) -> Result<Option<Located>, StoreError> {
        self.change("join", self.vault.join(key, now)).await
    }

    async fn restore(&self, meeting: &Meeting) -> Result<bool, StoreError> {
        self.change("restore", self.vault.restore(meeting)).await
    }

    async fn mark(&self, mark: &str) -> Result<String, StoreError> {
        self.look("mark", self.vault.mark(mark)).await
    }

    async fn put_back(&self, lost: &str, servers: &[Server]) -> Result<bool, StoreError> {
        self.change("put_back", self.vault.put_back(lost, servers)).await
    }

    async fn sweep(&self, unseen_since: Timestamp) -> Result<Vec<Meeting>, StoreError> {
        self.change("sweep", self.vault.sweep(unseen_since)).await
    }
}

#[async_trait]
impl History for Door {
    async fn record_session(&self, session: &Session) -> Result<(), StoreError> {
        self.look("record_session", self.vault.record_session(session)).await
    }

    async fn sessions(&self, since: Timestamp, max: usize) -> Result<Vec<Session>, StoreError> {
        self.look("sessions", self.vault.sessions(since, max)).await
    }

    async fn forget_sessions(&self, before: Timestamp, max: usize) -> Result<(), StoreError> {
        self.look("forget_sessions", self.vault.forget_sessions(before, max)).await
    }
}

#[async_trait]
impl Turns for Door {
    async fn turn(&self, work: &str, now: Timestamp, interval_ms: i64) -> Result<Turn, StoreError> {
        self.look("turn", self.vault.turn(work, now, interval_ms)).await
    }
}

#[async_trait]
impl Tenants for Door {
    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.look("tenants", self.vault.tenants()).await
    }

    async fn tenant(&self, id: &str) -> Result<Option<Tenant>, StoreError> {
        self.look("tenant", self.vault.tenant(id)).await
    }

    async fn add_tenant(&self, tenant: Tenant) -> Result<bool, StoreError> {
        self.look("add_tenant", self.vault.add_tenant(tenant)).await
    }

    async fn update_tenant(
        &self,
        id: &str,
        change: TenantChange,
    ) -> Result<TenantUpdate, StoreError> {
        self.look("update_tenant", self.vault.update_tenant(id, change)).await
    }

    async fn remove_tenant(&self, id: &str) -> Result<bool, StoreError> {
        self.look("remove_tenant", self.vault.remove_tenant(id)).await
    }

    async fn tenant_settings(
        &self,
        tenant: Option<&str>,
    ) -> Result<Vec<TenantSetting>, StoreError> {
        self.look("tenant_settings", self.vault.tenant_settings(tenant)).await
    }

    async fn add_tenant_setting(&self, setting: TenantSetting) -> Result<bool, StoreError> {
        self.look("add_tenant_setting", self.vault.add_tenant_setting(setting)).await
    }

    async fn remove_tenant_setting(&self, id: &str) -> Result<bool, StoreError> {
        self.look("remove_tenant_setting", self.vault.remove_tenant_setting(id)).await
    }
}
