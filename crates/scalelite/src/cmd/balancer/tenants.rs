//! Tenants, here and there.

use app::admin::tenants::{self, TenantError};
use domain::tenant::{Lrs, split_secrets};
use domain::{Tenant, TenantChange, TenantSetting};
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answers::{SettingAnswer, TenantAnswer};
use super::remote::{RemoteError, segment};
use super::{Balancer, CommandFailure};

/// What every token may know.
#[derive(Deserialize)]
struct HolderAnswer {
    multitenancy: bool,
}

fn path(id: &str) -> String {
    format!("/tenants/{}", segment(id))
}

/// The failure of a request about a tenant.
fn failure(id: &str) -> impl Fn(RemoteError) -> CommandFailure + '_ {
    move |error| match error.is("not-found") {
        true => TenantError::Unknown(id.to_owned()).into(),
        false => error.into(),
    }
}

/// The secrets of a tenant as the API reads them.
fn secret_list(secrets: &str) -> Value {
    json!(split_secrets(secrets).collect::<Vec<_>>())
}

/// The fields of a learning record store that are given.
fn lrs_body(lrs: &Lrs) -> Map<String, Value> {
    let names = [
        "endpoint",
        "username",
        "password",
        "kc_token_url",
        "kc_client_id",
        "kc_client_secret",
        "kc_username",
        "kc_password",
    ];
    let values = [
        &lrs.endpoint,
        &lrs.username,
        &lrs.password,
        &lrs.kc_token_url,
        &lrs.kc_client_id,
        &lrs.kc_client_secret,
        &lrs.kc_username,
        &lrs.kc_password,
    ];
    let pairs = names.into_iter().zip(values);
    pairs.filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?)))).collect()
}

impl Balancer {
    /// Whether there are tenants.
    pub async fn has_multitenancy(&self) -> Result<bool, CommandFailure> {
        match self {
            Self::Here(context) => Ok(context.app.policy.multitenancy),
            Self::There(remote) => {
                let holder: HolderAnswer = remote.get("/whoami", &[]).await?;
                Ok(holder.multitenancy)
            }
        }
    }

    /// All tenants.
    pub async fn list_tenants(&self) -> Result<Vec<Tenant>, CommandFailure> {
        match self {
            Self::Here(context) => Ok(tenants::list(&context.app).await?),
            Self::There(remote) => {
                let list: Vec<TenantAnswer> = remote.list("/tenants", &[]).await?;
                Ok(list.into_iter().map(Tenant::from).collect())
            }
        }
    }

    /// Adds a tenant; returns its id.
    pub async fn add_tenant(&self, name: &str, secrets: &str) -> Result<String, CommandFailure> {
        match self {
            Self::Here(context) => Ok(tenants::add(&context.app, name, secrets).await?.id),
            Self::There(remote) => {
                let body = json!({ "name": name, "secrets": secret_list(secrets) });
                let added: TenantAnswer = remote.post("/tenants", &body).await?;
                Ok(Tenant::from(added).id)
            }
        }
    }

    /// Changes a tenant; returns its id.
    pub async fn update_tenant(
        &self,
        id: &str,
        change: TenantChange,
    ) -> Result<String, CommandFailure> {
        let remote = match self {
            Self::Here(context) => return Ok(tenants::update(&context.app, id, change).await?.id),
            Self::There(remote) => remote,
        };
        let TenantChange { name, secrets, lrs } = change;
        let mut body = json!({});
        if let Some(name) = name {
            body["name"] = json!(name);
        }
        if let Some(secrets) = secrets {
            body["secrets"] = secret_list(&secrets);
        }
        let lrs = lrs_body(&lrs);
        if !lrs.is_empty() {
            body["lrs"] = Value::Object(lrs);
        }
        let changed = remote.change(Method::PATCH, &path(id), Some(&body)).await;
        changed.map_err(failure(id))?;
        Ok(id.to_owned())
    }

    /// Removes a tenant.
    pub async fn remove_tenant(&self, id: &str) -> Result<(), CommandFailure> {
        match self {
            Self::Here(context) => Ok(tenants::remove(&context.app, id).await?),
            Self::There(remote) => remote.delete(&path(id), &[]).await.map_err(failure(id)),
        }
    }

    /// The settings of all tenants.
    pub async fn list_tenant_settings(&self) -> Result<Vec<TenantSetting>, CommandFailure> {
        let remote = match self {
            Self::Here(context) => return Ok(tenants::list_settings(&context.app).await?),
            Self::There(remote) => remote,
        };
        let mut found = Vec::new();
        for Tenant { id, .. } in self.list_tenants().await? {
            let listed: Vec<SettingAnswer> =
                remote.list_all(&format!("{}/settings", path(&id))).await.map_err(failure(&id))?;
            found.extend(listed.into_iter().map(|setting| setting.of(&id)));
        }
        Ok(found)
    }

    /// Sets a parameter of a tenant; returns the id of the setting.
    pub async fn add_tenant_setting(
        &self,
        tenant: &str,
        (param, value): (&str, &str),
        is_override: bool,
    ) -> Result<String, CommandFailure> {
        match self {
            Self::Here(context) => {
                let added =
                    tenants::add_setting(&context.app, tenant, param, value, is_override).await?;
                Ok(added.id)
            }
            Self::There(remote) => {
                let body = json!({ "param": param, "value": value, "override": is_override });
                let path = format!("{}/settings", path(tenant));
                let added: SettingAnswer =
                    remote.post(&path, &body).await.map_err(failure(tenant))?;
                Ok(added.of(tenant).id)
            }
        }
    }

    /// Removes a setting.
    pub async fn remove_tenant_setting(&self, id: &str) -> Result<(), CommandFailure> {
        let remote = match self {
            Self::Here(context) => return Ok(tenants::remove_setting(&context.app, id).await?),
            Self::There(remote) => remote,
        };
        let settings = self.list_tenant_settings().await?;
        let unknown = || TenantError::UnknownSetting(id.to_owned());
        let found = settings.iter().find(|setting| setting.id == id).ok_or_else(unknown)?;
        let path = format!("{}/settings/{}", path(&found.tenant), segment(id));
        Ok(remote.delete(&path, &[]).await?)
    }
}
