//! Tenants and their settings. They are part of the state store because every call of a tenant
//! needs them.

use async_trait::async_trait;
use domain::{Tenant, TenantChange, TenantSetting};

use super::store_error::StoreError;

/// The result of [`Tenants::update_tenant`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantUpdateResult {
    /// The tenant as it is now.
    Changed(Box<Tenant>),
    /// There is no tenant of this id.
    Unknown,
    /// Another tenant has the new name; nothing has changed.
    NameTaken,
}

/// Stores tenants and their settings. Every method is atomic, and fails only if the store fails.
///
/// Names of tenants are unique without regard to the case of ASCII letters, since they are labels
/// of host names.
#[async_trait]
pub trait Tenants: Send + Sync {
    /// Lists all tenants, in the order in which they were added as far as the store knows it.
    async fn list_tenants(&self) -> Result<Vec<Tenant>, StoreError>;

    /// Returns a tenant; `None` if there is none of this id.
    async fn find_tenant(&self, id: &str) -> Result<Option<Tenant>, StoreError>;

    /// Adds a tenant; false if its id or name exists already, and then nothing changes.
    async fn add_tenant(&self, tenant: Tenant) -> Result<bool, StoreError>;

    /// Changes a tenant.
    async fn update_tenant(
        &self,
        id: &str,
        change: TenantChange,
    ) -> Result<TenantUpdateResult, StoreError>;

    /// Removes a tenant and its settings; false if there is none of this id. The meetings of the
    /// tenant stay until polls find that they are over.
    async fn remove_tenant(&self, id: &str) -> Result<bool, StoreError>;

    /// Lists the settings of one tenant, or of all tenants, in the order in which they were added
    /// as far as the store knows it.
    async fn list_tenant_settings(
        &self,
        tenant: Option<&str>,
    ) -> Result<Vec<TenantSetting>, StoreError>;

    /// Adds a setting; false if its tenant does not exist, or its id exists already, and then
    /// nothing changes.
    async fn add_tenant_setting(&self, setting: TenantSetting) -> Result<bool, StoreError>;

    /// Removes a setting; false if there is none of this id.
    async fn remove_tenant_setting(&self, id: &str) -> Result<bool, StoreError>;
}
