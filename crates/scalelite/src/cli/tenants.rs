//! The part of the command line that is about tenants.

use clap::Subcommand;

use crate::cmd::{CommandContext, CommandFailure, tenants};

#[derive(Debug, Subcommand)]
pub enum TenantsCommand {
    /// List tenants, secrets included.
    List,
    /// Add a tenant.
    Add {
        /// The first label of its host name.
        name: String,
        /// Its secrets, separated by colons.
        secrets: String,
    },
    /// Change name and secrets of a tenant.
    Update {
        /// Its id.
        id: String,
        /// New name; empty leaves it.
        name: Option<String>,
        /// New secrets, separated by colons.
        secrets: Option<String>,
    },
    /// Set the learning record store of a tenant, with user and password.
    UpdateLrsBasic {
        /// Its id.
        id: String,
        /// URL of the learning record store.
        endpoint: String,
        /// User.
        username: String,
        /// Password.
        password: String,
    },
    /// Set the learning record store of a tenant, with tokens from Keycloak.
    UpdateLrsKc {
        /// Its id.
        id: String,
        /// URL of the learning record store.
        endpoint: String,
        /// URL that gives tokens.
        token_url: String,
        /// Client.
        client_id: String,
        /// Secret of the client.
        client_secret: String,
        /// User.
        username: String,
        /// Password.
        password: String,
    },
    /// Remove a tenant and its settings. Its meetings go on.
    Remove {
        /// Its id.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum TenantSettingsCommand {
    /// List the settings of all tenants.
    List,
    /// Set a parameter of a tenant's creates and joins.
    Add {
        /// Id of the tenant.
        tenant: String,
        /// Name of the parameter.
        param: String,
        /// Its value.
        value: String,
        /// Win over the request, instead of filling in for it.
        #[arg(long)]
        r#override: bool,
    },
    /// Remove a setting.
    Remove {
        /// Its id.
        id: String,
    },
}

pub(super) async fn run_tenants(
    session: &CommandContext,
    what: TenantsCommand,
) -> Result<(), CommandFailure> {
    match what {
        TenantsCommand::List => tenants::list(session).await,
        TenantsCommand::Add { name, secrets } => {
            tenants::add(session, Some(name), Some(secrets)).await
        }
        TenantsCommand::Update { id, name, secrets } => {
            tenants::update(session, Some(id), name, secrets).await
        }
        TenantsCommand::UpdateLrsBasic { id, endpoint, username, password } => {
            let arguments = [id, endpoint, username, password].map(Some);
            tenants::update_lrs_basic(session, arguments).await
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
            let arguments =
                [id, endpoint, token_url, client_id, client_secret, username, password].map(Some);
            tenants::update_lrs_kc(session, arguments).await
        }
        TenantsCommand::Remove { id } => tenants::remove(session, &id).await,
    }
}

pub(super) async fn run_settings(
    session: &CommandContext,
    what: TenantSettingsCommand,
) -> Result<(), CommandFailure> {
    match what {
        TenantSettingsCommand::List => tenants::list_settings(session).await,
        TenantSettingsCommand::Add { tenant, param, value, r#override } => {
            let arguments = [tenant, param, value, r#override.to_string()].map(Some);
            tenants::add_setting(session, arguments).await
        }
        TenantSettingsCommand::Remove { id } => tenants::remove_setting(session, &id).await,
    }
}
