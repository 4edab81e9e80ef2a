//! The hot state beyond servers and meetings, under test: its calls cannot fail.

use std::sync::Arc;

use app::ports::{Cluster, Grant, Hot, TenantUpdate, Turn};
use domain::tenant::Lrs;
use domain::{Session, Tenant, TenantChange, TenantSetting, Timestamp};

use super::HotFactory;
use super::store::Store;

/// Texts that a careless store would change, split or take for something else.
pub(super) const HOSTILE: &str = "| |  |a |\ta|\na\r\n|'|''|\"|`|\\|\\\\|\\n|%|_|*|?|[a]|{a}|{{x}}|--|;|:|::|a:b|,|#|-\
    |null|NULL|None|nil|true|yes|no|~|0|00|1.0|1e3|+1|-1|0x10|<a>&amp;</a>|]]>|$1|?1|@a|!a|&a|*a\
    |\u{1}|\u{7f}|\u{1f}|\u{85}|\u{a0}|\u{2028}|\u{feff}|\u{e4}|a\u{308}|\u{c4}|ß|💥|א\u{202e}a|\u{10ffff}";

pub(super) fn hostile() -> Vec<String> {
    let long = "langer Text ".repeat(3_000);
    HOSTILE.split('|').map(str::to_owned).chain(["a|b".to_owned(), long]).collect()
}

/// A hot state under test. Lists come sorted by id.
#[derive(Clone)]
pub(super) struct HotStore(Arc<dyn Hot>);

impl HotStore {
    pub(super) async fn new(factory: HotFactory<'_>) -> Self {
        Self(factory().await)
    }

    /// One with these tenants.
    pub(super) async fn with(factory: HotFactory<'_>, tenants: &[Tenant]) -> Self {
        let store = Self::new(factory).await;
        for tenant in tenants {
            assert!(store.add(tenant).await, "{tenant:?} is new");
        }
        store
    }

    /// Its servers and meetings.
    pub(super) fn cluster(&self) -> Store {
        let cluster: Arc<dyn Cluster> = self.0.clone();
        Store::over(cluster)
    }

    pub(super) async fn tenants(&self) -> Vec<Tenant> {
        let mut all = self.0.tenants().await.expect("tenants");
        all.sort_by(|one, other| one.id.cmp(&other.id));
        all
    }

    /// A tenant, which both ways to read it must agree on.
    pub(super) async fn tenant(&self, id: &str) -> Option<Tenant> {
        let one = self.0.tenant(id).await.expect("tenant");
        let listed = self.tenants().await.into_iter().find(|tenant| tenant.id == id);
        assert!(one == listed, "tenant and tenants tell the same: {one:?} {listed:?}");
        one
    }

    pub(super) async fn add(&self, tenant: &Tenant) -> bool {
        self.0.add_tenant(tenant.clone()).await.expect("add_tenant")
    }

    pub(super) async fn update(&self, id: &str, change: TenantChange) -> TenantUpdate {
        self.0.update_tenant(id, change).await.expect("update_tenant")
    }

    pub(super) async fn remove(&self, id: &str) -> bool {
        self.0.remove_tenant(id).await.expect("remove_tenant")
    }

    pub(super) async fn settings(&self, tenant: Option<&str>) -> Vec<TenantSetting> {
        let mut all = self.0.tenant_settings(tenant).await.expect("tenant_settings");
        all.sort_by(|one, other| one.id.cmp(&other.id));
        all
    }

    pub(super) async fn add_setting(&self, setting: &TenantSetting) -> bool {
        self.0.add_tenant_setting(setting.clone()).await.expect("add_tenant_setting")
    }

    pub(super) async fn remove_setting(&self, id: &str) -> bool {
        self.0.remove_tenant_setting(id).await.expect("remove_tenant_setting")
    }

    pub(super) async fn put(&self, token: &str, grant: &Grant, now: Timestamp, until: Timestamp) {
        self.0.put_token(token, grant, now, until).await.expect("put_token");
    }

    pub(super) async fn take(&self, token: &str, now: Timestamp) -> Option<Grant> {
        self.0.take_token(token, now).await.expect("take_token")
    }

    pub(super) async fn record_session(&self, session: &Session) {
        self.0.record_session(session).await.expect("record_session");
    }

    pub(super) async fn sessions(&self, since: Timestamp, max: usize) -> Vec<Session> {
        self.0.sessions(since, max).await.expect("sessions")
    }

    pub(super) async fn forget_sessions(&self, before: Timestamp, max: usize) {
        self.0.forget_sessions(before, max).await.expect("forget_sessions");
    }

    pub(super) async fn turn(&self, work: &str, now: Timestamp, interval_ms: i64) -> Turn {
        self.0.turn(work, now, interval_ms).await.expect("turn")
    }
}

/// A tenant of that id and name without a learning record store.
pub(super) fn tenant(id: &str, name: &str) -> Tenant {
    Tenant {
        id: id.to_owned(),
        name: name.to_owned(),
        secrets: format!("secret of {id}"),
        lrs: Lrs::default(),
    }
}

pub(super) fn renamed(name: &str) -> TenantChange {
    TenantChange { name: Some(name.to_owned()), ..TenantChange::default() }
}

pub(super) fn setting(id: &str, tenant: &str) -> TenantSetting {
    TenantSetting {
        id: id.to_owned(),
        tenant: tenant.to_owned(),
        param: format!("param-{id}"),
        value: format!("value of {id}"),
        wins: false,
    }
}

pub(super) fn grant(record_id: &str) -> Grant {
    Grant { record_id: record_id.to_owned(), format: "presentation".to_owned() }
}
