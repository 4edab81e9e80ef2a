//! Tenants and their settings: hot state, since every call of a tenant needs them.

use async_trait::async_trait;
use domain::{Tenant, TenantChange, TenantSetting};

use super::store_error::StoreError;

/// The outcome of [`TenantsCommand::update_tenant`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantUpdateResult {
    /// As it is now.
    Changed(Box<Tenant>),
    /// There is no such tenant.
    Unknown,
    /// The new name is another tenant's; nothing was changed.
    NameTaken,
}

/// Tenants. Every method is atomic. Names are unique without regard to the case of ASCII letters,
/// since they are labels of host names.
#[async_trait]
pub trait Tenants: Send + Sync {
    /// All tenants, in the order in which they were added as far as the store knows it.
    async fn list_tenants(&self) -> Result<Vec<Tenant>, StoreError>;

    /// One tenant.
    async fn find_tenant(&self, id: &str) -> Result<Option<Tenant>, StoreError>;

    /// Adds a tenant; false if its id or name exists already, and then nothing changes.
    async fn add_tenant(&self, tenant: Tenant) -> Result<bool, StoreError>;

    /// Changes a tenant.
    async fn update_tenant(
        &self,
        id: &str,
        change: TenantChange,
    ) -> Result<TenantUpdateResult, StoreError>;

    /// Removes a tenant and its settings; false if there is none. Its meetings stay until a poll
    /// finds them gone.
    async fn remove_tenant(&self, id: &str) -> Result<bool, StoreError>;

    /// Settings of one tenant, or of all; in the order in which they were added as far as the
    /// store knows it.
    async fn list_tenant_settings(
        &self,
        tenant: Option<&str>,
    ) -> Result<Vec<TenantSetting>, StoreError>;

    /// Adds a setting; false if its tenant does not exist or its id does already.
    async fn add_tenant_setting(&self, setting: TenantSetting) -> Result<bool, StoreError>;

    /// Removes a setting; false if there is none.
    async fn remove_tenant_setting(&self, id: &str) -> Result<bool, StoreError>;
}
