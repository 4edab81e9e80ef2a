//! A store under test of all state but servers and meetings.

use std::sync::Arc;

use app::ports::{
    JobClaim, KeptCreate, PoolSamples, PoolStore, RecordingFormatId, StateStore, TenantUpdateResult,
};
use domain::periodic_job::JobRun;
use domain::tenant::Lrs;
use domain::{MeetingKey, MeetingSession, Tenant, TenantChange, TenantSetting, Timestamp};

use super::StateFactory;
use super::pool_store::TestPoolStore;

/// Texts that a store could change, split or mistake for something else, separated by `|`.
pub(super) const HOSTILE_TEXTS: &str = "| |  |a |\ta|\na\r\n|'|''|\"|`|\\|\\\\|\\n|%|_|*|?|[a]|{a}|{{x}}|--|;|:|::|a:b|,|#|-\
    |null|NULL|None|nil|true|yes|no|~|0|00|1.0|1e3|+1|-1|0x10|<a>&amp;</a>|]]>|$1|?1|@a|!a|&a|*a\
    |\u{1}|\u{7f}|\u{1f}|\u{85}|\u{a0}|\u{2028}|\u{feff}|\u{e4}|a\u{308}|\u{c4}|ß|💥|א\u{202e}a|\u{10ffff}";

pub(super) fn hostile_texts() -> Vec<String> {
    let long = "langer Text ".repeat(3_000);
    HOSTILE_TEXTS.split('|').map(str::to_owned).chain(["a|b".to_owned(), long]).collect()
}

/// A store of all state under test. Its methods panic when a call fails, and sort lists by id.
#[derive(Clone)]
pub(super) struct TestStateStore(Arc<dyn StateStore>);

impl TestStateStore {
    pub(super) async fn new(factory: StateFactory<'_>) -> Self {
        Self(factory().await)
    }

    /// A new store with these tenants.
    pub(super) async fn with(factory: StateFactory<'_>, tenants: &[Tenant]) -> Self {
        let store = Self::new(factory).await;
        for tenant in tenants {
            assert!(store.add_tenant(tenant).await, "{tenant:?} is new");
        }
        store
    }

    /// The store as one of servers and meetings.
    pub(super) fn pool(&self) -> TestPoolStore {
        let pool: Arc<dyn PoolStore> = self.0.clone();
        TestPoolStore::from_pool(pool)
    }

    /// The store as one of samples.
    pub(super) fn samples(&self) -> &dyn PoolSamples {
        self.0.as_ref()
    }

    pub(super) async fn read_certificate_state(&self) -> Option<String> {
        self.0.read_certificate_state().await.expect("read_certificate_state")
    }

    pub(super) async fn replace_certificate_state(
        &self,
        expected: Option<&str>,
        new: &str,
    ) -> bool {
        let replaced = self.0.replace_certificate_state(expected, new).await;
        replaced.expect("replace_certificate_state")
    }

    /// The store as one of management tokens, the audit and requests.
    pub(super) fn state(&self) -> &dyn StateStore {
        self.0.as_ref()
    }

    pub(super) async fn keep_create(&self, key: &MeetingKey, kept: &KeptCreate) -> bool {
        self.0.keep_create(key, kept).await.expect("keep_create")
    }

    pub(super) async fn find_kept_create(&self, key: &MeetingKey) -> Option<KeptCreate> {
        self.0.find_kept_create(key).await.expect("find_kept_create")
    }

    pub(super) async fn list_tenants(&self) -> Vec<Tenant> {
        let mut all = self.0.list_tenants().await.expect("list_tenants");
        all.sort_by(|first, second| first.id.cmp(&second.id));
        all
    }

    /// A tenant. Asserts that both ways to read it agree.
    pub(super) async fn find_tenant(&self, id: &str) -> Option<Tenant> {
        let found = self.0.find_tenant(id).await.expect("find_tenant");
        let listed = self.list_tenants().await.into_iter().find(|tenant| tenant.id == id);
        assert!(found == listed, "find_tenant and list_tenants agree: {found:?} {listed:?}");
        found
    }

    pub(super) async fn add_tenant(&self, tenant: &Tenant) -> bool {
        self.0.add_tenant(tenant.clone()).await.expect("add_tenant")
    }

    pub(super) async fn update_tenant(&self, id: &str, change: TenantChange) -> TenantUpdateResult {
        self.0.update_tenant(id, change).await.expect("update_tenant")
    }

    pub(super) async fn remove_tenant(&self, id: &str) -> bool {
        self.0.remove_tenant(id).await.expect("remove_tenant")
    }

    pub(super) async fn list_settings(&self, tenant: Option<&str>) -> Vec<TenantSetting> {
        let mut all = self.0.list_tenant_settings(tenant).await.expect("list_tenant_settings");
        all.sort_by(|first, second| first.id.cmp(&second.id));
        all
    }

    pub(super) async fn add_setting(&self, setting: &TenantSetting) -> bool {
        self.0.add_tenant_setting(setting.clone()).await.expect("add_tenant_setting")
    }

    pub(super) async fn remove_setting(&self, id: &str) -> bool {
        self.0.remove_tenant_setting(id).await.expect("remove_tenant_setting")
    }

    pub(super) async fn put_token(
        &self,
        token: &str,
        grant: &RecordingFormatId,
        now: Timestamp,
        until: Timestamp,
    ) {
        self.0.put_token(token, grant, now, until).await.expect("put_token");
    }

    pub(super) async fn take_token(
        &self,
        token: &str,
        grant: &RecordingFormatId,
        now: Timestamp,
    ) -> bool {
        self.0.take_token(token, grant, now).await.expect("take_token")
    }

    pub(super) async fn record_session(&self, session: &MeetingSession) {
        self.0.record_session(session).await.expect("record_session");
    }

    pub(super) async fn list_sessions(&self, since: Timestamp, max: usize) -> Vec<MeetingSession> {
        self.0.list_sessions(since, max).await.expect("list_sessions")
    }

    pub(super) async fn forget_sessions(&self, before: Timestamp, max: usize) {
        self.0.forget_sessions(before, max).await.expect("forget_sessions");
    }

    pub(super) async fn find_last_run(&self, job: &str) -> Option<JobRun> {
        self.0.find_last_run(job).await.expect("find_last_run")
    }

    pub(super) async fn claim_run(&self, job: &str, now: Timestamp, interval_ms: i64) -> JobClaim {
        self.0.claim_run(job, now, interval_ms).await.expect("claim_run")
    }
}

/// A tenant without a learning record store.
pub(super) fn tenant(id: &str, name: &str) -> Tenant {
    Tenant {
        id: id.to_owned(),
        name: name.to_owned(),
        secrets: format!("secret of {id}"),
        lrs: Lrs::default(),
    }
}

pub(super) fn rename_to(name: &str) -> TenantChange {
    TenantChange { name: Some(name.to_owned()), ..TenantChange::default() }
}

pub(super) fn setting(id: &str, tenant: &str) -> TenantSetting {
    TenantSetting {
        id: id.to_owned(),
        tenant: tenant.to_owned(),
        param: format!("param-{id}"),
        value: format!("value of {id}"),
        is_override: false,
    }
}

pub(super) fn grant(record_id: &str) -> RecordingFormatId {
    RecordingFormatId::parse(record_id, "presentation").expect("an id")
}
