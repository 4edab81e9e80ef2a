//! Administrative actions on tenants and their settings: list, add, change, and remove.

use domain::tenant::{Lrs, split_secrets};
use domain::{Tenant, TenantChange, TenantSetting};

use crate::audit::{self, AuditEvent, describe_tenant_change};
use crate::context::App;
use crate::origin;
use crate::ports::{StoreError, TenantUpdateResult};

/// Why an action on a tenant failed. Unless the store failed, nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TenantError {
    /// The name or the secrets are blank.
    #[error("Tenant needs a name and secrets")]
    Incomplete,
    /// The setting has no parameter name.
    #[error("Tenant setting needs the name of a parameter")]
    NoParameter,
    /// Another tenant has this name.
    #[error("A tenant with name={0} exists already")]
    NameTaken(String),
    /// There is no tenant of this id.
    #[error("Couldn't find Tenant with id={0}")]
    Unknown(String),
    /// There is no setting of this id.
    #[error("Couldn't find TenantSetting with id={0}")]
    UnknownSetting(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Lists all tenants.
///
/// # Errors
/// When the store fails.
pub async fn list(app: &App) -> Result<Vec<Tenant>, TenantError> {
    Ok(app.tenants.list_tenants().await?)
}

/// Returns a tenant.
///
/// # Errors
/// When there is no tenant of this id, or the store fails.
pub async fn find(app: &App, id: &str) -> Result<Tenant, TenantError> {
    app.tenants.find_tenant(id).await?.ok_or_else(|| TenantError::Unknown(id.to_owned()))
}

fn check_name(name: &str) -> Result<(), TenantError> {
    if name.trim().is_empty() { Err(TenantError::Incomplete) } else { Ok(()) }
}

fn check_secrets(secrets: &str) -> Result<(), TenantError> {
    let has_secret = split_secrets(secrets).any(|secret| !secret.trim().is_empty());
    if has_secret { Ok(()) } else { Err(TenantError::Incomplete) }
}

/// Adds a tenant. Any text is accepted as its name, but only a tenant whose name is a label of a
/// host name can make calls.
///
/// # Errors
/// When a value is blank, another tenant has the name, or the store fails.
pub async fn add(app: &App, name: &str, secrets: &str) -> Result<Tenant, TenantError> {
    check_name(name)?;
    check_secrets(secrets)?;
    let tenant = Tenant {
        id: app.entropy.generate_uuid(),
        name: name.to_owned(),
        secrets: secrets.to_owned(),
        lrs: Lrs::default(),
    };
    let added = app.tenants.add_tenant(tenant.clone()).await;
    app.tenant_cache.invalidate();
    if !added? {
        return Err(TenantError::NameTaken(tenant.name));
    }
    tracing::info!(tenant = tenant.id, name = tenant.name, by = %origin::actor(), "tenant added");
    record_change(app, "tenant.add", None, Some(&tenant)).await;
    Ok(tenant)
}

/// Records what an administrator has changed of a tenant.
async fn record_change(
    app: &App,
    action: &'static str,
    before: Option<&Tenant>,
    after: Option<&Tenant>,
) {
    let Some(tenant) = after.or(before) else { return };
    let (was, is) = describe_tenant_change(before, after);
    if was.is_some() && was == is {
        return;
    }
    let event = AuditEvent::new(action).of_tenant(Some(&tenant.id)).named(&tenant.name);
    audit::record(app, event.before(was).after(is)).await;
}

/// Changes a tenant.
///
/// # Errors
/// When there is no tenant of this id, a value is blank, another tenant has the name, or the store
/// fails.
pub async fn update(app: &App, id: &str, change: TenantChange) -> Result<Tenant, TenantError> {
    change.name.as_deref().map_or(Ok(()), check_name)?;
    change.secrets.as_deref().map_or(Ok(()), check_secrets)?;
    let name = change.name.clone().unwrap_or_default();
    let before = app.tenants.find_tenant(id).await.ok().flatten();
    let updated = app.tenants.update_tenant(id, change).await;
    app.tenant_cache.invalidate();
    match updated? {
        TenantUpdateResult::Changed(tenant) => {
            tracing::info!(tenant = tenant.id, name = tenant.name, by = %origin::actor(), "tenant changed");
            record_change(app, "tenant.update", before.as_ref(), Some(&tenant)).await;
            Ok(*tenant)
        }
        TenantUpdateResult::Unknown => Err(TenantError::Unknown(id.to_owned())),
        TenantUpdateResult::NameTaken => Err(TenantError::NameTaken(name)),
    }
}

/// Removes a tenant and its settings. Its meetings continue, but no calls about them are possible
/// any more.
///
/// # Errors
/// When there is no tenant of this id, or the store fails.
pub async fn remove(app: &App, id: &str) -> Result<(), TenantError> {
    let before = app.tenants.find_tenant(id).await.ok().flatten();
    let removed = app.tenants.remove_tenant(id).await;
    app.tenant_cache.invalidate();
    if !removed? {
        return Err(TenantError::Unknown(id.to_owned()));
    }
    tracing::info!(tenant = id, by = %origin::actor(), "tenant removed");
    record_change(app, "tenant.remove", before.as_ref(), None).await;
    Ok(())
}

/// Lists the settings of all tenants.
///
/// # Errors
/// When the store fails.
pub async fn list_settings(app: &App) -> Result<Vec<TenantSetting>, TenantError> {
    Ok(app.tenants.list_tenant_settings(None).await?)
}

/// Adds a setting. With `is_override`, it replaces the parameter of a request; otherwise it is used
/// if the request lacks the parameter.
///
/// # Errors
/// When there is no such tenant, the parameter has no name, or the store fails.
pub async fn add_setting(
    app: &App,
    tenant: &str,
    param: &str,
    value: &str,
    is_override: bool,
) -> Result<TenantSetting, TenantError> {
    if param.trim().is_empty() {
        return Err(TenantError::NoParameter);
    }
    let [tenant, param, value] = [tenant, param, value].map(str::to_owned);
    let setting =
        TenantSetting { id: app.entropy.generate_uuid(), tenant, param, value, is_override };
    let added = app.tenants.add_tenant_setting(setting.clone()).await;
    app.tenant_cache.invalidate();
    if !added? {
        return Err(TenantError::Unknown(setting.tenant));
    }
    let param = &setting.param;
    tracing::info!(tenant = setting.tenant, param, is_override, by = %origin::actor(), "tenant setting added");
    audit::record(app, describe_setting("tenant_setting.add", &setting).after(to_json(&setting)))
        .await;
    Ok(setting)
}

fn describe_setting(action: &'static str, setting: &TenantSetting) -> AuditEvent {
    AuditEvent::new(action).of_tenant(Some(&setting.tenant)).named(&setting.param)
}

fn to_json(setting: &TenantSetting) -> serde_json::Value {
    serde_json::json!({ "value": setting.value, "is_override": setting.is_override })
}

/// Removes a setting.
///
/// # Errors
/// When there is no setting of this id, or the store fails.
pub async fn remove_setting(app: &App, id: &str) -> Result<(), TenantError> {
    let settings = app.tenants.list_tenant_settings(None).await.unwrap_or_default();
    let removed = app.tenants.remove_tenant_setting(id).await;
    app.tenant_cache.invalidate();
    if !removed? {
        return Err(TenantError::UnknownSetting(id.to_owned()));
    }
    tracing::info!(setting = id, by = %origin::actor(), "tenant setting removed");
    if let Some(setting) = settings.iter().find(|setting| setting.id == id) {
        let event = describe_setting("tenant_setting.remove", setting);
        audit::record(app, event.before(to_json(setting))).await;
    }
    Ok(())
}
