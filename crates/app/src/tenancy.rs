//! Callers, and the cache of tenants. Every call of a tenant needs the tenant's secrets and
//! settings, so they are cached in memory for one second, and read again after this process has
//! changed them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::dial_in::{NumberMatch, compare_numbers, significant_digits};
use domain::parameters::ParameterRules;
use domain::{MeetingKey, Tenant, TenantSetting};
use tokio::time::Instant;

use crate::policy::Policy;
use crate::ports::{StoreError, Tenants};

/// Maximum age of cached tenants: changes by other processes are seen after this time.
const MAX_CACHE_AGE: Duration = Duration::from_secs(1);

/// On whose behalf a call is made: a tenant, or the only caller without multitenancy (the default).
#[derive(Clone, Default)]
pub struct Caller(Option<Arc<TenantEntry>>);

/// A tenant, with what its calls need.
struct TenantEntry {
    tenant: Tenant,
    secrets: Vec<String>,
    create_rules: ParameterRules,
    join_rules: ParameterRules,
    /// The numbers at which the tenant is called: the settings `dialNumber`, as [`significant_digits`].
    dial_numbers: Vec<String>,
}

impl Caller {
    /// Returns the tenant; `None` without multitenancy.
    #[must_use]
    pub fn tenant(&self) -> Option<&Tenant> {
        self.0.as_ref().map(|entry| &entry.tenant)
    }

    /// Returns the id of the tenant; `None` without multitenancy.
    #[must_use]
    pub fn tenant_id(&self) -> Option<&str> {
        self.tenant().map(|tenant| tenant.id.as_str())
    }

    /// Returns the key of the caller's meeting with this id.
    #[must_use]
    pub fn meeting_key(&self, id: String) -> MeetingKey {
        MeetingKey { tenant: self.tenant_id().map(str::to_owned), id }
    }

    /// Returns the secrets that may sign calls of the caller.
    #[must_use]
    pub fn secrets<'a>(&'a self, policy: &'a Policy) -> &'a [String] {
        self.0.as_ref().map_or(&policy.secrets, |entry| &entry.secrets)
    }

    /// Returns the rules for parameters of its creates.
    #[must_use]
    pub fn create_rules<'a>(&'a self, policy: &'a Policy) -> &'a ParameterRules {
        self.0.as_ref().map_or(&policy.create_rules, |entry| &entry.create_rules)
    }

    /// Returns the rules for parameters of its joins.
    #[must_use]
    pub fn join_rules<'a>(&'a self, policy: &'a Policy) -> &'a ParameterRules {
        self.0.as_ref().map_or(&policy.join_rules, |entry| &entry.join_rules)
    }
}

/// All tenants, by their names in lower case.
type TenantIndex = HashMap<String, Arc<TenantEntry>>;

/// A cache of all tenants with their settings.
pub struct TenantCache {
    store: Arc<dyn Tenants>,
    create_rules: ParameterRules,
    join_rules: ParameterRules,
    state: Mutex<TenantCacheState>,
    /// Held while the tenants are read, so that other calls wait for the result.
    read_lock: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct TenantCacheState {
    cached: Option<(Instant, Arc<TenantIndex>)>,
    /// The last failure to read the tenants, and when it happened.
    last_failure: Option<(Instant, StoreError)>,
    /// Counts changes by this process: tenants that were read before a change are not cached after
    /// it.
    change_count: u64,
}

impl TenantCache {
    /// Creates an empty cache. The settings of tenants are merged with these rules, which apply to
    /// all tenants.
    #[must_use]
    pub fn new(
        store: Arc<dyn Tenants>,
        create_rules: ParameterRules,
        join_rules: ParameterRules,
    ) -> Self {
        let (state, read_lock) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { store, create_rules, join_rules, state, read_lock }
    }

    /// Returns the tenant of this name as a caller, regardless of ASCII case; `None` if there is no
    /// such tenant.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn find_caller(&self, name: &str) -> Result<Option<Caller>, StoreError> {
        let index = self.load_index().await?;
        Ok(index.get(&name.to_ascii_lowercase()).cloned().map(|entry| Caller(Some(entry))))
    }

    /// Returns the ids of the tenants that are called at one of these numbers; empty if none is. A number is a tenant's if a setting
    /// `dialNumber` of the tenant says so; an equal number precedes one that is spelled without its first digits.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn find_called_tenants(&self, numbers: &[&str]) -> Result<Vec<String>, StoreError> {
        let called: Vec<String> = numbers.iter().map(|number| significant_digits(number)).collect();
        let index = self.load_index().await?;
        let matches = index.values().filter_map(|entry| {
            let pairs = entry
                .dial_numbers
                .iter()
                .flat_map(|known| called.iter().map(move |number| (known, number)));
            let best = pairs.map(|(known, number)| compare_numbers(known, number)).max()?;
            (best != NumberMatch::Different).then(|| (best, entry.tenant.id.clone()))
        });
        let matches: Vec<_> = matches.collect();
        let best = matches.iter().map(|(found, _)| *found).max();
        Ok(matches
            .into_iter()
            .filter(|(found, _)| Some(*found) == best)
            .map(|(_, id)| id)
            .collect())
    }

    /// Lists ids and names of all tenants.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list_names(&self) -> Result<Vec<(String, String)>, StoreError> {
        let index = self.load_index().await?;
        let tenants = index.values().map(|entry| &entry.tenant);
        Ok(tenants.map(|tenant| (tenant.id.clone(), tenant.name.clone())).collect())
    }

    /// Clears the cache, because this process has changed a tenant or a setting.
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
        let (read_at, index) = state.cached.as_ref()?;
        (read_at.elapsed() < MAX_CACHE_AGE).then(|| index.clone())
    }

    async fn load_index(&self) -> Result<Arc<TenantIndex>, StoreError> {
        if let Some(index) = self.fresh_index() {
            return Ok(index);
        }
        let waiting_since = Instant::now();
        let _lock = self.read_lock.lock().await;
        if let Some(index) = self.fresh_index() {
            return Ok(index);
        }
        // A call that waited for a read which failed does not try again: calls would fail one after
        // the other.
        if let Some(error) = self.failure_since(waiting_since) {
            return Err(error);
        }
        let (read_at, change_count) = (Instant::now(), self.lock_state().change_count);
        let result = self.read_index().await.map(Arc::new);
        let mut state = self.lock_state();
        match &result {
            Ok(index) if state.change_count == change_count => {
                state.cached = Some((read_at, index.clone()));
            }
            Ok(_) => {}
            Err(error) => state.last_failure = Some((Instant::now(), error.clone())),
        }
        result
    }

    fn failure_since(&self, since: Instant) -> Option<StoreError> {
        let state = self.lock_state();
        let (failed_at, error) = state.last_failure.as_ref()?;
        (*failed_at > since).then(|| error.clone())
    }

    async fn read_index(&self) -> Result<TenantIndex, StoreError> {
        let tenants = self.store.list_tenants().await?;
        let mut settings: HashMap<String, Vec<TenantSetting>> = HashMap::new();
        for setting in self.store.list_tenant_settings(None).await? {
            settings.entry(setting.tenant.clone()).or_default().push(setting);
        }
        let entries = tenants.into_iter().map(|tenant| {
            let settings = settings.remove(&tenant.id).unwrap_or_default();
            let name = tenant.name.to_ascii_lowercase();
            let entry = TenantEntry {
                secrets: tenant.each_secret().map(str::to_owned).collect(),
                create_rules: self.create_rules.with_tenant(&settings),
                join_rules: self.join_rules.with_tenant(&settings),
                dial_numbers: list_dial_numbers(&settings),
                tenant,
            };
            (name, Arc::new(entry))
        });
        Ok(entries.collect())
    }
}

/// The numbers that these settings of a tenant name.
fn list_dial_numbers(settings: &[TenantSetting]) -> Vec<String> {
    let numbers = settings.iter().filter(|setting| setting.param == "dialNumber");
    numbers.map(|setting| significant_digits(&setting.value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryPoolStore;

    fn tenant(id: &str, name: &str) -> Tenant {
        let [id, name, secrets] = [id, name, ":a::b"].map(str::to_owned);
        Tenant { id, name, secrets, lrs: domain::tenant::Lrs::default() }
    }

    fn setting(tenant: &str, is_override: bool) -> TenantSetting {
        let [id, tenant, param, value] =
            [&format!("{tenant}-{is_override}"), tenant, "p", "v"].map(str::to_owned);
        TenantSetting { id, tenant, param, value, is_override }
    }

    fn cache() -> (Arc<MemoryPoolStore>, TenantCache) {
        let store = Arc::new(MemoryPoolStore::default());
        let rules = ParameterRules::default;
        (store.clone(), TenantCache::new(store, rules(), rules()))
    }

    #[tokio::test]
    async fn a_tenant_has_its_own_secrets_and_rules() {
        let (store, cache) = cache();
        for (id, name) in [("1", "Acme"), ("2", "beta")] {
            assert!(store.add_tenant(tenant(id, name)).await.unwrap());
        }
        assert!(store.add_tenant_setting(setting("1", true)).await.unwrap());
        assert!(store.add_tenant_setting(setting("2", false)).await.unwrap());
        let acme = cache.find_caller("aCME").await.unwrap().unwrap();
        assert_eq!(acme.meeting_key("m".to_owned()).tenant.as_deref(), Some("1"));
        let entry = acme.0.unwrap();
        assert_eq!(entry.secrets, ["a", "b"]);
        assert_eq!((entry.create_rules.overrides.len(), entry.join_rules.overrides.len()), (1, 1));
        assert!(entry.create_rules.defaults.is_empty());
        assert!(cache.find_caller("gamma").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn tenants_are_found_by_the_number_that_was_dialled() {
        let (store, cache) = cache();
        let numbers = [("1", "+49 30 555-0100"), ("2", "030 5550200"), ("3", "none")];
        for (id, number) in numbers {
            assert!(store.add_tenant(tenant(id, &format!("t{id}"))).await.unwrap());
            let mut setting = setting(id, false);
            (setting.param, setting.value) = ("dialNumber".to_owned(), number.to_owned());
            assert!(store.add_tenant_setting(setting).await.unwrap());
        }
        let find = async |number: &str| cache.find_called_tenants(&["x", number]).await.unwrap();
        assert_eq!(find("0049305550100").await, ["1"]);
        assert_eq!(find("+49305550200").await, ["2"]);
        assert_eq!(find("305550300").await, [""; 0]);
        assert_eq!(find("").await, [""; 0]);
    }

    /// A store that fails after one second.
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
        let results =
            futures_util::future::join_all((0..5).map(|_| cache.find_caller("acme"))).await;
        assert!(results.iter().all(Result::is_err));
        assert!(cache.find_caller("acme").await.is_err());
        assert_eq!(store.0.load(std::sync::atomic::Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn changes_by_others_are_seen_after_a_second_and_own_changes_at_once() {
        let (store, cache) = cache();
        let is_known = async |name: &str| cache.find_caller(name).await.unwrap().is_some();
        assert!(!is_known("acme").await);
        store.add_tenant(tenant("1", "acme")).await.unwrap();
        tokio::time::advance(Duration::from_millis(990)).await;
        assert!(!is_known("acme").await);
        tokio::time::advance(Duration::from_millis(20)).await;
        assert!(is_known("acme").await);
        store.remove_tenant("1").await.unwrap();
        assert!(is_known("acme").await);
        cache.invalidate();
        assert!(!is_known("acme").await);
    }
}
