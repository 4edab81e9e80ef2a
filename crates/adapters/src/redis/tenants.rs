//! The port [`Tenants`]: tenants and their settings.

use app::ports::{StoreError, TenantUpdateResult, Tenants};
use async_trait::async_trait;
use domain::tenant::Lrs;
use domain::{Tenant, TenantChange, TenantSetting};
use redis::Value;
use serde_json::{Map, json};

use super::RedisStore;
use super::rows::{self, HashFields, is_one};
use super::script::{
    ADD_SETTING, ADD_TENANT, FIND_TENANT, LIST_SETTINGS, LIST_TENANTS, NO_ARGUMENTS,
    REMOVE_SETTING, REMOVE_TENANT, UPDATE_TENANT,
};

/// The id, the fields and the position of a tenant or a setting.
type HashRow = (String, HashFields, f64);

fn read_row(value: Value) -> Result<Option<HashRow>, StoreError> {
    let Some([id, hash, position]) = rows::to_array::<3>(value)? else {
        return Ok(None);
    };
    let position = rows::to_text(&position)?.and_then(|position| position.parse().ok());
    let id = rows::to_text(&id)?.unwrap_or_default();
    Ok(Some((id, rows::to_fields(hash)?, position.unwrap_or(0.0))))
}

/// Reads rows in the order in which they were added. Those that the original added come first.
fn read_sorted_rows(value: Value) -> Result<Vec<HashRow>, StoreError> {
    let found = rows::to_list(value).into_iter().map(read_row);
    let mut rows: Vec<HashRow> = found.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    rows.sort_by(|a, b| a.2.total_cmp(&b.2).then(a.0.cmp(&b.0)));
    Ok(rows)
}

fn to_tenant((id, mut fields, _): HashRow) -> Tenant {
    let lrs = Lrs::FIELDS.map(|name| fields.remove(name));
    Tenant {
        id,
        name: fields.remove("name").unwrap_or_default(),
        secrets: fields.remove("secrets").unwrap_or_default(),
        lrs: Lrs::from_values(lrs),
    }
}

fn to_setting((id, mut fields, _): HashRow) -> TenantSetting {
    let mut take = |name: &str| fields.remove(name).unwrap_or_default();
    TenantSetting {
        id,
        tenant: take("tenant_id"),
        param: take("param"),
        value: take("value"),
        is_override: take("override") == "true",
    }
}

/// Returns the given fields of a tenant, by the names that the original uses.
fn tenant_fields(
    name: Option<&String>,
    secrets: Option<&String>,
    lrs: &Lrs,
) -> Map<String, serde_json::Value> {
    let mut fields = Map::new();
    let basic = [("name", name), ("secrets", secrets)];
    let lrs_fields =
        Lrs::FIELDS.into_iter().zip(lrs.values()).map(|(name, value)| (name, value.as_ref()));
    for (name, value) in basic.into_iter().chain(lrs_fields) {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value.clone().into());
        }
    }
    fields
}

#[async_trait]
impl Tenants for RedisStore {
    async fn list_tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        let rows = read_sorted_rows(self.call_script(&LIST_TENANTS, &NO_ARGUMENTS).await?)?;
        Ok(rows.into_iter().map(to_tenant).collect())
    }

    async fn find_tenant(&self, id: &str) -> Result<Option<Tenant>, StoreError> {
        Ok(read_row(self.call_script(&FIND_TENANT, &[id]).await?)?.map(to_tenant))
    }

    async fn add_tenant(&self, tenant: Tenant) -> Result<bool, StoreError> {
        let fields = tenant_fields(Some(&tenant.name), Some(&tenant.secrets), &tenant.lrs);
        let new = json!({ "id": tenant.id, "fields": fields }).to_string();
        Ok(is_one(&self.call_script(&ADD_TENANT, &[new]).await?))
    }

    async fn update_tenant(
        &self,
        id: &str,
        change: TenantChange,
    ) -> Result<TenantUpdateResult, StoreError> {
        let fields = tenant_fields(change.name.as_ref(), change.secrets.as_ref(), &change.lrs);
        let change = json!({ "fields": fields }).to_string();
        let updated = self.call_script(&UPDATE_TENANT, &[id, &change]).await?;
        if updated == Value::Int(0) {
            return Ok(TenantUpdateResult::NameTaken);
        }
        Ok(read_row(updated)?.map_or(TenantUpdateResult::Unknown, |row| {
            TenantUpdateResult::Changed(Box::new(to_tenant(row)))
        }))
    }

    async fn remove_tenant(&self, id: &str) -> Result<bool, StoreError> {
        Ok(is_one(&self.call_script(&REMOVE_TENANT, &[id]).await?))
    }

    async fn list_tenant_settings(
        &self,
        tenant: Option<&str>,
    ) -> Result<Vec<TenantSetting>, StoreError> {
        let arguments: Vec<&str> = tenant.into_iter().collect();
        let rows = read_sorted_rows(self.call_script(&LIST_SETTINGS, &arguments).await?)?;
        Ok(rows.into_iter().map(to_setting).collect())
    }

    async fn add_tenant_setting(&self, setting: TenantSetting) -> Result<bool, StoreError> {
        let is_override = if setting.is_override { "true" } else { "false" };
        let arguments =
            [&setting.id, &setting.tenant, &setting.param, &setting.value].map(String::as_str);
        let arguments: Vec<&str> = arguments.into_iter().chain([is_override]).collect();
        Ok(is_one(&self.call_script(&ADD_SETTING, &arguments).await?))
    }

    async fn remove_tenant_setting(&self, id: &str) -> Result<bool, StoreError> {
        Ok(is_one(&self.call_script(&REMOVE_SETTING, &[id]).await?))
    }
}
