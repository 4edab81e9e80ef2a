//! Tenants and one-time tokens behind the same lock as servers and meetings.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::recording::RecordingFormatId;
use domain::{Tenant, TenantChange, TenantSetting, Timestamp};

use super::MemoryPoolStore;
use crate::ports::{OneTimeTokens, StoreError, TenantUpdateResult, Tenants};

#[derive(Default)]
pub(super) struct TenantState {
    tenants: Vec<Tenant>,
    settings: Vec<TenantSetting>,
    tokens: HashMap<String, (RecordingFormatId, Timestamp)>,
}

impl TenantState {
    fn has_name(&self, name: &str, except: &str) -> bool {
        self.tenants.iter().any(|one| one.id != except && one.name.eq_ignore_ascii_case(name))
    }
}

#[async_trait]
impl Tenants for MemoryPoolStore {
    async fn list_tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        Ok(self.lock().tenancy.tenants.clone())
    }

    async fn find_tenant(&self, id: &str) -> Result<Option<Tenant>, StoreError> {
        Ok(self.lock().tenancy.tenants.iter().find(|one| one.id == id).cloned())
    }

    async fn add_tenant(&self, tenant: Tenant) -> Result<bool, StoreError> {
        let state = &mut self.lock().tenancy;
        let known = state.tenants.iter().any(|one| one.id == tenant.id);
        if known || state.has_name(&tenant.name, &tenant.id) {
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
        let state = &mut self.lock().tenancy;
        if change.name.as_deref().is_some_and(|name| state.has_name(name, id)) {
            let known = state.tenants.iter().any(|one| one.id == id);
            return Ok(if known {
                TenantUpdateResult::NameTaken
            } else {
                TenantUpdateResult::Unknown
            });
        }
        let Some(tenant) = state.tenants.iter_mut().find(|one| one.id == id) else {
            return Ok(TenantUpdateResult::Unknown);
        };
        change.apply(tenant);
        Ok(TenantUpdateResult::Changed(Box::new(tenant.clone())))
    }

    async fn remove_tenant(&self, id: &str) -> Result<bool, StoreError> {
        let state = &mut self.lock().tenancy;
        let before = state.tenants.len();
        state.tenants.retain(|one| one.id != id);
        state.settings.retain(|one| one.tenant != id);
        Ok(state.tenants.len() < before)
    }

    async fn list_tenant_settings(
        &self,
        tenant: Option<&str>,
    ) -> Result<Vec<TenantSetting>, StoreError> {
        let state = &self.lock().tenancy;
        let wanted = |one: &&TenantSetting| tenant.is_none_or(|tenant| one.tenant == tenant);
        Ok(state.settings.iter().filter(wanted).cloned().collect())
    }

    async fn add_tenant_setting(&self, setting: TenantSetting) -> Result<bool, StoreError> {
        let state = &mut self.lock().tenancy;
        let has_tenant = state.tenants.iter().any(|one| one.id == setting.tenant);
        if !has_tenant || state.settings.iter().any(|one| one.id == setting.id) {
            return Ok(false);
        }
        state.settings.push(setting);
        Ok(true)
    }

    async fn remove_tenant_setting(&self, id: &str) -> Result<bool, StoreError> {
        let state = &mut self.lock().tenancy;
        let before = state.settings.len();
        state.settings.retain(|one| one.id != id);
        Ok(state.settings.len() < before)
    }
}

#[async_trait]
impl OneTimeTokens for MemoryPoolStore {
    async fn put_token(
        &self,
        token: &str,
        format_id: &RecordingFormatId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let tokens = &mut self.lock().tenancy.tokens;
        tokens.retain(|_, (_, until)| now < *until);
        tokens.insert(token.to_owned(), (format_id.clone(), until));
        Ok(())
    }

    async fn take_token(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<RecordingFormatId>, StoreError> {
        let taken = self.lock().tenancy.tokens.remove(token);
        Ok(taken.filter(|(_, until)| now < *until).map(|(format_id, _)| format_id))
    }
}
