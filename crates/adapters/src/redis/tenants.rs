//! Tenants and their settings in Redis.

use app::ports::{StoreError, TenantUpdate, Tenants};
use async_trait::async_trait;
use domain::tenant::Lrs;
use domain::{Tenant, TenantChange, TenantSetting};
use redis::Value;
use serde_json::{Map, json};

use super::RedisStore;
use super::rows::{self, Fields, is_one};
use super::script::{
    ADD_SETTING, ADD_TENANT, NO_ARGUMENTS, REMOVE_SETTING, REMOVE_TENANT, SETTINGS, TENANT,
    TENANTS, UPDATE_TENANT,
};

/// An id, a hash, and the place in the order of such things.
type Row = (String, Fields, f64);

fn row(value: Value) -> Result<Option<Row>, StoreError> {
    let Some([id, hash, position]) = rows::some::<3>(value)? else {
        return Ok(None);
    };
    let position = rows::text(&position)?.and_then(|position| position.parse().ok());
    let id = rows::text(&id)?.unwrap_or_default();
    Ok(Some((id, rows::fields(hash)?, position.unwrap_or(0.0))))
}

/// In the order in which they were added; those that the original added come first.
fn in_order(value: Value) -> Result<Vec<Row>, StoreError> {
    let found = rows::list(value).into_iter().map(row);
    let mut rows: Vec<Row> = found.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    rows.sort_by(|one, other| one.2.total_cmp(&other.2).then(one.0.cmp(&other.0)));
    Ok(rows)
}

fn tenant((id, mut fields, _): Row) -> Tenant {
    let lrs = Lrs::FIELDS.map(|name| fields.remove(name));
    Tenant {
        id,
        name: fields.remove("name").unwrap_or_default(),
        secrets: fields.remove("secrets").unwrap_or_default(),
        lrs: Lrs::from_values(lrs),
    }
}

fn setting((id, mut fields, _): Row) -> TenantSetting {
    let mut take = |name: &str| fields.remove(name).unwrap_or_default();
    TenantSetting {
        id,
        tenant: take("tenant_id"),
        param: take("param"),
        value: take("value"),
        wins: take("override") == "true",
    }
}

/// Fields of a tenant that are given, by the names that the original uses.
fn fields(
    name: Option<&String>,
    secrets: Option<&String>,
    lrs: &Lrs,
) -> Map<String, serde_json::Value> {
    let mut fields = Map::new();
    let basic = [("name", name), ("secrets", secrets)];
    let of_lrs =
        Lrs::FIELDS.into_iter().zip(lrs.values()).map(|(name, value)| (name, value.as_ref()));
    for (name, value) in basic.into_iter().chain(of_lrs) {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value.clone().into());
        }
    }
    fields
}

#[async_trait]
impl Tenants for RedisStore {
    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        let rows = in_order(self.call(&TENANTS, &NO_ARGUMENTS).await?)?;
        Ok(rows.into_iter().map(tenant).collect())
    }

    async fn tenant(&self, id: &str) -> Result<Option<Tenant>, StoreError> {
        Ok(row(self.call(&TENANT, &[id]).await?)?.map(tenant))
    }

    async fn add_tenant(&self, tenant: Tenant) -> Result<bool, StoreError> {
        let fields = fields(Some(&tenant.name), Some(&tenant.secrets), &tenant.lrs);
        let new = json!({ "id": tenant.id, "fields": fields }).to_string();
        Ok(is_one(&self.call(&ADD_TENANT, &[new]).await?))
    }

    async fn update_tenant(
        &self,
        id: &str,
        change: TenantChange,
    ) -> Result<TenantUpdate, StoreError> {
        let fields = fields(change.name.as_ref(), change.secrets.as_ref(), &change.lrs);
        let change = json!({ "fields": fields }).to_string();
        let updated = self.call(&UPDATE_TENANT, &[id, &change]).await?;
        if updated == Value::Int(0) {
            return Ok(TenantUpdate::NameTaken);
        }
        Ok(row(updated)?
            .map_or(TenantUpdate::Unknown, |row| TenantUpdate::Changed(Box::new(tenant(row)))))
    }

    async fn remove_tenant(&self, id: &str) -> Result<bool, StoreError> {
        Ok(is_one(&self.call(&REMOVE_TENANT, &[id]).await?))
    }

    async fn tenant_settings(
        &self,
        tenant: Option<&str>,
    ) -> Result<Vec<TenantSetting>, StoreError> {
        let of: Vec<&str> = tenant.into_iter().collect();
        let rows = in_order(self.call(&SETTINGS, &of).await?)?;
        Ok(rows.into_iter().map(setting).collect())
    }

    async fn add_tenant_setting(&self, setting: TenantSetting) -> Result<bool, StoreError> {
        let wins = if setting.wins { "true" } else { "false" };
        let arguments =
            [&setting.id, &setting.tenant, &setting.param, &setting.value].map(String::as_str);
        let arguments: Vec<&str> = arguments.into_iter().chain([wins]).collect();
        Ok(is_one(&self.call(&ADD_SETTING, &arguments).await?))
    }

    async fn remove_tenant_setting(&self, id: &str) -> Result<bool, StoreError> {
        Ok(is_one(&self.call(&REMOVE_SETTING, &[id]).await?))
    }
}
