//! Whose call it is. Every call of a tenant needs the tenant's secrets and settings, so they are
//! kept in memory, read anew at most once a second, and forgotten when this process changes them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::parameters::ParameterRules;
use domain::{MeetingKey, Tenant, TenantSetting};
use tokio::time::Instant;

use crate::policy::Policy;
use crate::ports::{StoreError, Tenants};

/// How long another process's changes may go unseen.
const MAX_CACHE_AGE: Duration = Duration::from_secs(1);

/// On whose behalf a call is made: a tenant's, or, without multitenancy, the only one's.
#[derive(Clone, Default)]
pub struct Caller(Option<Arc<TenantEntry>>);

/// A tenant as its calls need it.
struct TenantEntry {
    tenant: Tenant,
    secrets: Vec<String>,
    create_rules: ParameterRules,
    join_rules: ParameterRules,
}

impl Caller {
    /// The tenant, if it is one.
    #[must_use]
    pub fn tenant(&self) -> Option<&Tenant> {
        self.0.as_ref().map(|served| &served.tenant)
    }

    /// The tenant's id, if it is one.
    #[must_use]
    pub fn tenant_id(&self) -> Option<&str> {
        self.tenant().map(|tenant| tenant.id.as_str())
    }

    /// The caller's meeting of that id.
    #[must_use]
    pub fn meeting_key(&self, id: String) -> MeetingKey {
        MeetingKey { tenant: self.tenant_id().map(str::to_owned), id }
    }

    /// What may sign its calls.
    #[must_use]
    pub fn secrets<'a>(&'a self, policy: &'a Policy) -> &'a [String] {
        self.0.as_ref().map_or(&policy.secrets, |served| &served.secrets)
    }

    /// Rules for its creates.
    #[must_use]
    pub fn create_rules<'a>(&'a self, policy: &'a Policy) -> &'a ParameterRules {
        self.0.as_ref().map_or(&policy.create_rules, |served| &served.create_rules)
    }

    /// Rules for its joins.
    #[must_use]
    pub fn join_rules<'a>(&'a self, policy: &'a Policy) -> &'a ParameterRules {
        self.0.as_ref().map_or(&policy.join_rules, |served| &served.join_rules)
    }
}

/// All tenants by their names in lower case.
type TenantIndex = HashMap<String, Arc<TenantEntry>>;

/// Tenants with their settings, at most a second old.
pub struct TenantCache {
    store: Arc<dyn Tenants>,
    create_rules: ParameterRules,
    join_rules: ParameterRules,
    state: Mutex<TenantCacheState>,
    /// Held by the one that reads, so that the others wait for what it finds.
    read_lock: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct TenantCacheState {
    cached: Option<(Instant, Arc<TenantIndex>)>,
    /// The last reading that failed, and when.
    last_failure: Option<(Instant, StoreError)>,
    /// Counts our own changes: what was read before one is not kept after it.
    change_count: u64,
}

impl TenantCache {
    /// An empty one; what tenants set is merged with these rules of all.
    #[must_use]
    pub fn new(
        store: Arc<dyn Tenants>,
        create_rules: ParameterRules,
        join_rules: ParameterRules,
    ) -> Self {
        let (state, reading) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { store, create_rules, join_rules, state, read_lock: reading }
    }

    /// The caller of that name, whatever its case; `None` if there is no such tenant.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn find_caller(&self, name: &str) -> Result<Option<Caller>, StoreError> {
        let roll = self.load_index().await?;
        Ok(roll.get(&name.to_ascii_lowercase()).cloned().map(|served| Caller(Some(served))))
    }

    /// Forgets what is kept: this process has changed something.
    pub fn invalidate(&self) {
        let mut state = self.lock_state();
        state.cached = None;
        state.change_count += 1;
    }

    fn lock_state(&self) -> std::sync::MutexGuard<'_, TenantCacheState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh_index(&self) -> Option<Arc<TenantIndex>> {
        let state = self.lock_state();
        let (read_at, roll) = state.cached.as_ref()?;
        (read_at.elapsed() < MAX_CACHE_AGE).then(|| roll.clone())
    }

    async fn load_index(&self) -> Result<Arc<TenantIndex>, StoreError> {
        if let Some(roll) = self.fresh_index() {
            return Ok(roll);
        }
        let asked_at = Instant::now();
        let _turn = self.read_lock.lock().await;
        if let Some(roll) = self.fresh_index() {
            return Ok(roll);
        }
        // Who waited for a reading that failed does not try after it: calls would wait in a row.
        if let Some(error) = self.failure_since(asked_at) {
            return Err(error);
        }
        let (read_at, changes) = (Instant::now(), self.lock_state().change_count);
        let read = self.read_index().await.map(Arc::new);
        let mut state = self.lock_state();
        match &read {
            Ok(roll) if state.change_count == changes => {
                state.cached = Some((read_at, roll.clone()))
            }
            Ok(_) => {}
            Err(error) => state.last_failure = Some((Instant::now(), error.clone())),
        }
        read
    }

    fn failure_since(&self, asked_at: Instant) -> Option<StoreError> {
        let state = self.lock_state();
        let (failed_at, error) = state.last_failure.as_ref()?;
        (*failed_at > asked_at).then(|| error.clone())
    }

    async fn read_index(&self) -> Result<TenantIndex, StoreError> {
        let tenants = self.store.list_tenants().await?;
        let mut settings: HashMap<String, Vec<TenantSetting>> = HashMap::new();
        for setting in self.store.list_tenant_settings(None).await? {
            settings.entry(setting.tenant.clone()).or_default().push(setting);
        }
        let served = tenants.into_iter().map(|tenant| {
            let own = settings.remove(&tenant.id).unwrap_or_default();
            let name = tenant.name.to_ascii_lowercase();
            let served = TenantEntry {
                secrets: tenant.each_secret().map(str::to_owned).collect(),
                create_rules: self.create_rules.with_tenant(&own),
                join_rules: self.join_rules.with_tenant(&own),
                tenant,
            };
            (name, Arc::new(served))
        });
        Ok(served.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryPoolStore;

    fn tenant(id: &str, name: &str) -> Tenant {
        let [id, name, secrets] = [id, name, ":a::b"].map(str::to_owned);
        Tenant { id, name, secrets, lrs: domain::tenant::Lrs::default() }
    }

    fn setting(tenant: &str, wins: bool) -> TenantSetting {
        let [id, tenant, param, value] =
            [&format!("{tenant}-{wins}"), tenant, "p", "v"].map(str::to_owned);
        TenantSetting { id, tenant, param, value, is_override: wins }
    }

    fn cache() -> (Arc<MemoryPoolStore>, TenantCache) {
        let store = Arc::new(MemoryPoolStore::default());
        let rules = ParameterRules::default;
        (store.clone(), TenantCache::new(store, rules(), rules()))
    }

    #[tokio::test]
    async fn a_name_has_its_own_secrets_and_rules() {
        let (store, cache) = cache();
        for (id, name) in [("1", "Acme"), ("2", "beta")] {
            assert!(store.add_tenant(tenant(id, name)).await.unwrap());
        }
        assert!(store.add_tenant_setting(setting("1", true)).await.unwrap());
        assert!(store.add_tenant_setting(setting("2", false)).await.unwrap());
        let acme = cache.find_caller("aCME").await.unwrap().unwrap();
        assert_eq!(acme.meeting_key("m".to_owned()).tenant.as_deref(), Some("1"));
        let served = acme.0.unwrap();
        assert_eq!(served.secrets, ["a", "b"]);
        assert_eq!(
            (served.create_rules.overrides.len(), served.join_rules.overrides.len()),
            (1, 1)
        );
        assert!(served.create_rules.defaults.is_empty());
        assert!(cache.find_caller("gamma").await.unwrap().is_none());
    }

    /// A store that takes a second to fail.
    #[derive(Default)]
    struct FailingTenants(std::sync::atomic::AtomicUsize);

    #[async_trait::async_trait]
    impl Tenants for FailingTenants {
        async fn list_tenants(&self) -> Result<Vec<Tenant>, StoreError> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            Err(StoreError::Unavailable("gone".to_owned()))
        }

        async fn find_tenant(&self, _: &str) -> Result<Option<Tenant>, StoreError> {
            unreachable!()
        }

        async fn add_tenant(&self, _: Tenant) -> Result<bool, StoreError> {
            unreachable!()
        }

        async fn update_tenant(
            &self,
            _: &str,
            _: domain::TenantChange,
        ) -> Result<crate::ports::TenantUpdateResult, StoreError> {
            unreachable!()
        }

        async fn remove_tenant(&self, _: &str) -> Result<bool, StoreError> {
            unreachable!()
        }

        async fn list_tenant_settings(
            &self,
            _: Option<&str>,
        ) -> Result<Vec<TenantSetting>, StoreError> {
            unreachable!()
        }

        async fn add_tenant_setting(&self, _: TenantSetting) -> Result<bool, StoreError> {
            unreachable!()
        }

        async fn remove_tenant_setting(&self, _: &str) -> Result<bool, StoreError> {
            unreachable!()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn callers_that_wait_for_a_read_share_its_failure() {
        let store = Arc::new(FailingTenants::default());
        let rules = ParameterRules::default;
        let cache = TenantCache::new(store.clone(), rules(), rules());
        let asked = futures_util::future::join_all((0..5).map(|_| cache.find_caller("acme"))).await;
        assert!(asked.iter().all(Result::is_err));
        assert!(cache.find_caller("acme").await.is_err());
        assert_eq!(store.0.load(std::sync::atomic::Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn changes_of_others_are_seen_within_a_second_and_our_own_at_once() {
        let (store, cache) = cache();
        let knows = async |name: &str| cache.find_caller(name).await.unwrap().is_some();
        assert!(!knows("acme").await);
        store.add_tenant(tenant("1", "acme")).await.unwrap();
        tokio::time::advance(Duration::from_millis(990)).await;
        assert!(!knows("acme").await);
        tokio::time::advance(Duration::from_millis(20)).await;
        assert!(knows("acme").await);
        store.remove_tenant("1").await.unwrap();
        assert!(knows("acme").await);
        cache.invalidate();
        assert!(!knows("acme").await);
    }
}
