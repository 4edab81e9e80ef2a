//! Tenants in SQLite. What each method means is said by the port and shown by its reference
//! implementation in memory.

use app::ports::{StoreError, TenantUpdate, Tenants};
use async_trait::async_trait;
use domain::tenant::Lrs;
use domain::{Tenant, TenantChange, TenantSetting};
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use super::SqliteStore;

const COLUMNS: &str = "id, name, secrets, lrs_endpoint, lrs_username, lrs_password, kc_token_url, \
                       kc_client_id, kc_client_secret, kc_username, kc_password";

fn tenant(row: &Row<'_>) -> rusqlite::Result<Tenant> {
    let mut lrs: [Option<String>; 8] = Default::default();
    for (at, value) in lrs.iter_mut().enumerate() {
        *value = row.get(3 + at)?;
    }
    let lrs = Lrs::from_values(lrs);
    Ok(Tenant { id: row.get(0)?, name: row.get(1)?, secrets: row.get(2)?, lrs })
}

fn values(tenant: &Tenant) -> impl Iterator<Item = Option<&str>> {
    let own = [&tenant.id, &tenant.name, &tenant.secrets].map(|text| Some(text.as_str()));
    own.into_iter().chain(tenant.lrs.values().map(Option::as_deref))
}

fn one(connection: &Connection, id: &str) -> rusqlite::Result<Option<Tenant>> {
    let sql = format!("SELECT {COLUMNS} FROM tenants WHERE id = ?1");
    connection.prepare_cached(&sql)?.query_row(params![id], tenant).optional()
}

fn setting(row: &Row<'_>) -> rusqlite::Result<TenantSetting> {
    Ok(TenantSetting {
        id: row.get(0)?,
        tenant: row.get(1)?,
        param: row.get(2)?,
        value: row.get(3)?,
        wins: row.get(4)?,
    })
}

#[async_trait]
impl Tenants for SqliteStore {
    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.read(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM tenants ORDER BY position");
            connection.prepare_cached(&sql)?.query_map([], tenant)?.collect()
        })
    }

    async fn tenant(&self, id: &str) -> Result<Option<Tenant>, StoreError> {
        self.read(|connection| one(connection, id))
    }

    async fn add_tenant(&self, tenant: Tenant) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let sql = format!(
                "INSERT INTO tenants ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?) \
                 ON CONFLICT DO NOTHING"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            Ok(statement.execute(params_from_iter(values(&tenant)))? == 1)
        })
        .await
    }

    async fn update_tenant(
        &self,
        id: &str,
        change: TenantChange,
    ) -> Result<TenantUpdate, StoreError> {
        let id = id.to_owned();
        self.write(move |connection| {
            let Some(mut tenant) = one(connection, &id)? else {
                return Ok(TenantUpdate::Unknown);
            };
            change.apply(&mut tenant);
            let sql = format!(
                "UPDATE OR IGNORE tenants SET ({COLUMNS}) = (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11) \
                 WHERE id = ?1"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let changed = statement.execute(params_from_iter(values(&tenant)))? == 1;
            let changed = changed.then(|| TenantUpdate::Changed(Box::new(tenant)));
            Ok(changed.unwrap_or(TenantUpdate::NameTaken))
        })
        .await
    }

    async fn remove_tenant(&self, id: &str) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.write(move |connection| {
            let sql = "DELETE FROM tenants WHERE id = ?1";
            Ok(connection.prepare_cached(sql)?.execute(params![id])? == 1)
        })
        .await
    }

    async fn tenant_settings(
        &self,
        tenant: Option<&str>,
    ) -> Result<Vec<TenantSetting>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT id, tenant, param, value, wins FROM tenant_settings \
                       WHERE ?1 IS NULL OR tenant = ?1 ORDER BY position";
            connection.prepare_cached(sql)?.query_map(params![tenant], setting)?.collect()
        })
    }

    async fn add_tenant_setting(&self, setting: TenantSetting) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let sql = "INSERT INTO tenant_settings (id, tenant, param, value, wins) \
                       SELECT ?1, id, ?3, ?4, ?5 FROM tenants WHERE id = ?2 \
                       ON CONFLICT DO NOTHING";
            let TenantSetting { id, tenant, param, value, wins } = setting;
            let mut statement = connection.prepare_cached(sql)?;
            Ok(statement.execute(params![id, tenant, param, value, wins])? == 1)
        })
        .await
    }

    async fn remove_tenant_setting(&self, id: &str) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.write(move |connection| {
            let sql = "DELETE FROM tenant_settings WHERE id = ?1";
            Ok(connection.prepare_cached(sql)?.execute(params![id])? == 1)
        })
        .await
    }
}
