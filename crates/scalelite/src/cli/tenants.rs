//! Arguments of `tenants` and `tenant-settings`.

use clap::Subcommand;

use super::secret_argument::{read_optional, read_secret};
use crate::cmd::balancer::Balancer;
use crate::cmd::{CommandFailure, tenants};

#[derive(Debug, Subcommand)]
pub enum TenantsCommand {
    /// List tenants, secrets included.
    List,
    /// Add a tenant.
    Add {
        /// Name of the tenant: the first label of its host name.
        name: String,
        /// Secrets of the tenant, separated by colons; `-` reads them from the standard input, file:PATH from a file.
        secrets: String,
    },
    /// Change the name and secrets of a tenant.
    Update {
        /// Id of the tenant.
        id: String,
        /// New name; empty to keep the name.
        name: Option<String>,
        /// New secrets, separated by colons; `-` reads them from the standard input, file:PATH from a file.
        secrets: Option<String>,
    },
    /// Set the learning record store of a tenant, with basic authentication.
    UpdateLrsBasic {
        /// Id of the tenant.
        id: String,
        /// URL of the learning record store.
        endpoint: String,
        /// User name.
        username: String,
        /// Password; `-` reads it from the standard input, file:PATH from a file.
        password: String,
    },
    /// Set the learning record store of a tenant, with tokens from Keycloak.
    UpdateLrsKc {
        /// Id of the tenant.
        id: String,
        /// URL of the learning record store.
        endpoint: String,
        /// URL of the token endpoint.
        token_url: String,
        /// Id of the client.
        client_id: String,
        /// Secret of the client; `-` reads it from the standard input, file:PATH from a file.
        client_secret: String,
        /// User name.
        username: String,
        /// Password; `-` reads it from the standard input, file:PATH from a file.
        password: String,
    },
    /// Remove a tenant and its settings. Its meetings continue.
    Remove {
        /// Id of the tenant.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum TenantSettingsCommand {
    /// List the settings of all tenants.
    List,
    /// Set a parameter for the create and join calls of a tenant.
    Add {
        /// Id of the tenant.
        tenant: String,
        /// Name of the parameter.
        param: String,
        /// Value of the parameter.
        value: String,
        /// Override the request's value, instead of being a default.
        #[arg(long)]
        r#override: bool,
    },
    /// Remove a setting.
    Remove {
        /// Id of the setting.
        id: String,
    },
}

pub(super) async fn run_tenants(
    balancer: &Balancer,
    command: TenantsCommand,
) -> Result<(), CommandFailure> {
    match command {
        TenantsCommand::List => tenants::list(balancer).await,
        TenantsCommand::Add { name, secrets } => {
            tenants::add(balancer, Some(name), Some(read_secret(secrets)?)).await
        }
        TenantsCommand::Update { id, name, secrets } => {
            tenants::update(balancer, Some(id), name, read_optional(secrets)?).await
        }
        TenantsCommand::UpdateLrsBasic { id, endpoint, username, password } => {
            let arguments = [id, endpoint, username, read_secret(password)?].map(Some);
            tenants::update_lrs_basic(balancer, arguments).await
        }
        TenantsCommand::UpdateLrsKc {
            id,
            endpoint,
            token_url,
            client_id,
            client_secret,
            username,
            password,
        } => {
            let (client_secret, password) = (read_secret(client_secret)?, read_secret(password)?);
            let arguments =
                [id, endpoint, token_url, client_id, client_secret, username, password].map(Some);
            tenants::update_lrs_kc(balancer, arguments).await
        }
        TenantsCommand::Remove { id } => tenants::remove(balancer, &id).await,
    }
}

pub(super) async fn run_settings(
    balancer: &Balancer,
    command: TenantSettingsCommand,
) -> Result<(), CommandFailure> {
    match command {
        TenantSettingsCommand::List => tenants::list_settings(balancer).await,
        TenantSettingsCommand::Add { tenant, param, value, r#override } => {
            let arguments = [tenant, param, value, r#override.to_string()].map(Some);
            tenants::add_setting(balancer, arguments).await
        }
        TenantSettingsCommand::Remove { id } => tenants::remove_setting(balancer, &id).await,
    }
}
