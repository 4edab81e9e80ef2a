//! The port [`Tenants`]: tenants and their settings.

use app::ports::{StoreError, TenantUpdateResult, Tenants};
use async_trait::async_trait;
use domain::tenant::Lrs;
use domain::{Tenant, TenantChange, TenantSetting};

use super::connection::{SqlConnection, SqlRow, values};
use super::{Database, SqlStore};

/// The columns of `tenants`, in the order that [`read_tenant`] expects.
macro_rules! columns {
    () => {
        "id, name, secrets, lrs_endpoint, lrs_username, lrs_password, kc_token_url, \
         kc_client_id, kc_client_secret, kc_username, kc_password"
    };
}

#[async_trait]
impl<D: Database> Tenants for SqlStore<D> {
    async fn list_tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        const ALL: &str = concat!("SELECT ", columns!(), " FROM tenants ORDER BY position");
        self.database.read(|connection| connection.query(ALL, &[], read_tenant)).await
    }

    async fn find_tenant(&self, id: &str) -> Result<Option<Tenant>, StoreError> {
        let id = id.to_owned();
        self.database.read(move |connection| find_tenant(connection, &id)).await
    }

    async fn add_tenant(&self, tenant: Tenant) -> Result<bool, StoreError> {
        self.write(move |connection| insert_tenant(connection, &tenant)).await
    }

    async fn update_tenant(
        &self,
        id: &str,
        change: TenantChange,
    ) -> Result<TenantUpdateResult, StoreError> {
        let id = id.to_owned();
        self.write(move |connection| update_tenant(connection, &id, change.clone())).await
    }

    async fn remove_tenant(&self, id: &str) -> Result<bool, StoreError> {
        let id = id.to_owned();
        // The foreign key deletes its settings.
        let delete = "DELETE FROM tenants WHERE id = ?1";
        self.write(move |connection| Ok(connection.execute(delete, values![&id])? == 1)).await
    }

    async fn list_tenant_settings(
        &self,
        tenant: Option<&str>,
    ) -> Result<Vec<TenantSetting>, StoreError> {
        const ALL: &str = "SELECT id, tenant_id, param, value, override FROM tenant_settings \
            ORDER BY position";
        const OF_TENANT: &str = "SELECT id, tenant_id, param, value, override FROM tenant_settings \
            WHERE tenant_id = ?1 ORDER BY position";
        let tenant = tenant.map(str::to_owned);
        self.database
            .read(move |connection| match &tenant {
                Some(tenant) => connection.query(OF_TENANT, values![tenant], read_setting),
                None => connection.query(ALL, &[], read_setting),
            })
            .await
    }

    async fn add_tenant_setting(&self, setting: TenantSetting) -> Result<bool, StoreError> {
        const ADD: &str = "INSERT INTO tenant_settings (id, tenant_id, param, value, override) \
            VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO NOTHING";
        self.write(move |connection| {
            if find_tenant(connection, &setting.tenant)?.is_none() {
                return Ok(false);
            }
            let TenantSetting { id, tenant, param, value, is_override } = &setting;
            Ok(connection.execute(ADD, values![id, tenant, param, value, *is_override])? == 1)
        })
        .await
    }

    async fn remove_tenant_setting(&self, id: &str) -> Result<bool, StoreError> {
        let id = id.to_owned();
        let delete = "DELETE FROM tenant_settings WHERE id = ?1";
        self.write(move |connection| Ok(connection.execute(delete, values![&id])? == 1)).await
    }
}

fn read_tenant(row: &dyn SqlRow) -> Result<Tenant, StoreError> {
    let mut lrs: [Option<String>; 8] = Default::default();
    for (index, value) in lrs.iter_mut().enumerate() {
        *value = row.get(index + 3)?;
    }
    Ok(Tenant {
        id: row.get(0)?,
        name: row.get(1)?,
        secrets: row.get(2)?,
        lrs: Lrs::from_values(lrs),
    })
}

fn read_setting(row: &dyn SqlRow) -> Result<TenantSetting, StoreError> {
    Ok(TenantSetting {
        id: row.get(0)?,
        tenant: row.get(1)?,
        param: row.get(2)?,
        value: row.get(3)?,
        is_override: row.get(4)?,
    })
}

fn find_tenant(connection: &mut dyn SqlConnection, id: &str) -> Result<Option<Tenant>, StoreError> {
    const FIND: &str = concat!("SELECT ", columns!(), " FROM tenants WHERE id = ?1");
    connection.query_first(FIND, values![id], read_tenant)
}

fn insert_tenant(connection: &mut dyn SqlConnection, tenant: &Tenant) -> Result<bool, StoreError> {
    // A conflict may be about the id or about the name.
    const ADD: &str = concat!(
        "INSERT INTO tenants (",
        columns!(),
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING"
    );
    write_tenant(connection, tenant, ADD)
}

fn write_tenant(
    connection: &mut dyn SqlConnection,
    tenant: &Tenant,
    sql: &'static str,
) -> Result<bool, StoreError> {
    let [endpoint, user, password, token_url, client, secret, kc_user, kc_password] =
        tenant.lrs.values();
    let values = values![
        &tenant.id,
        &tenant.name,
        &tenant.secrets,
        endpoint,
        user,
        password,
        token_url,
        client,
        secret,
        kc_user,
        kc_password,
    ];
    Ok(connection.execute(sql, values)? == 1)
}

fn update_tenant(
    connection: &mut dyn SqlConnection,
    id: &str,
    change: TenantChange,
) -> Result<TenantUpdateResult, StoreError> {
    const NAME_TAKEN: &str = "SELECT 1 FROM tenants WHERE lower(name) = ?1 AND id <> ?2";
    const REPLACE: &str = "UPDATE tenants SET name = ?2, secrets = ?3, lrs_endpoint = ?4, \
        lrs_username = ?5, lrs_password = ?6, kc_token_url = ?7, kc_client_id = ?8, \
        kc_client_secret = ?9, kc_username = ?10, kc_password = ?11 WHERE id = ?1";
    let Some(mut tenant) = find_tenant(connection, id)? else {
        return Ok(TenantUpdateResult::Unknown);
    };
    if let Some(name) = &change.name
        && connection
            .query_first(NAME_TAKEN, values![&name.to_ascii_lowercase(), id], |_| Ok(()))?
            .is_some()
    {
        return Ok(TenantUpdateResult::NameTaken);
    }
    change.apply(&mut tenant);
    write_tenant(connection, &tenant, REPLACE)?;
    Ok(TenantUpdateResult::Changed(Box::new(tenant)))
}
