//! Tenants and their settings, behind the same lock as servers and meetings.

use async_trait::async_trait;
use domain::{Tenant, TenantChange, TenantSetting};

use super::pool_store::MemoryPoolStore;
use crate::ports::{StoreError, TenantUpdateResult, Tenants};

#[async_trait]
impl Tenants for MemoryPoolStore {
    async fn list_tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        Ok(self.lock().tenants.clone())
    }

    async fn find_tenant(&self, id: &str) -> Result<Option<Tenant>, StoreError> {
        Ok(self.lock().tenants.iter().find(|tenant| tenant.id == id).cloned())
    }

    async fn add_tenant(&self, tenant: Tenant) -> Result<bool, StoreError> {
        let mut state = self.lock();
        if state.has_tenant(&tenant.id) || state.is_tenant_name_taken(&tenant.name, &tenant.id) {
            return Ok(false);
        }
        state.tenants.push(tenant);
        Ok(true)
    }

    async fn update_tenant(
        &self,
        id: &str,
        change: TenantChange,
    ) -> Result<TenantUpdateResult, StoreError> {
        let mut state = self.lock();
        let is_name_taken =
            change.name.as_deref().is_some_and(|name| state.is_tenant_name_taken(name, id));
        let Some(tenant) = state.tenants.iter_mut().find(|tenant| tenant.id == id) else {
            return Ok(TenantUpdateResult::Unknown);
        };
        if is_name_taken {
            return Ok(TenantUpdateResult::NameTaken);
        }
        change.apply(tenant);
        Ok(TenantUpdateResult::Changed(Box::new(tenant.clone())))
    }

    async fn remove_tenant(&self, id: &str) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let is_known = state.has_tenant(id);
        state.tenants.retain(|tenant| tenant.id != id);
        state.tenant_settings.retain(|setting| setting.tenant != id);
        Ok(is_known)
    }

    async fn list_tenant_settings(
        &self,
        tenant: Option<&str>,
    ) -> Result<Vec<TenantSetting>, StoreError> {
        let state = self.lock();
        let is_listed =
            |setting: &&TenantSetting| tenant.is_none_or(|tenant| setting.tenant == tenant);
        Ok(state.tenant_settings.iter().filter(is_listed).cloned().collect())
    }

    async fn add_tenant_setting(&self, setting: TenantSetting) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let is_id_taken = state.tenant_settings.iter().any(|stored| stored.id == setting.id);
        if !state.has_tenant(&setting.tenant) || is_id_taken {
            return Ok(false);
        }
        state.tenant_settings.push(setting);
        Ok(true)
    }

    async fn remove_tenant_setting(&self, id: &str) -> Result<bool, StoreError> {
        let settings = &mut self.lock().tenant_settings;
        let count = settings.len();
        settings.retain(|setting| setting.id != id);
        Ok(settings.len() < count)
    }
}
