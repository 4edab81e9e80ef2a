//! `tenants` and `tenant-settings`, in the original's words.

use app::admin::tenants::{self, TenantError};
use domain::tenant::Lrs;
use domain::{Tenant, TenantChange};

use crate::output::{print_line, print_note, printable};

use super::{CommandContext, CommandFailure};

impl From<TenantError> for CommandFailure {
    fn from(error: TenantError) -> Self {
        match error {
            TenantError::Unknown(id) => {
                Self(format!("ERROR: No tenant found with id: {}", printable(&id)))
            }
            TenantError::UnknownSetting(id) => {
                Self(format!("ERROR: No tenant setting found with id: {}", printable(&id)))
            }
            other => Self(format!("ERROR: {other}")),
        }
    }
}

/// What the original says when something is left out.
fn argument_failure(what: &str) -> CommandFailure {
    CommandFailure(format!("Error: {what}"))
}

/// An argument that was given and is not empty.
fn non_empty(argument: Option<String>) -> Option<String> {
    argument.filter(|argument| !argument.is_empty())
}

/// All of these arguments, if none is missing.
fn require_all<const N: usize>(arguments: [Option<String>; N]) -> Option<[String; N]> {
    let given: Option<Vec<String>> = arguments.into_iter().map(non_empty).collect();
    given.and_then(|given| given.try_into().ok())
}

/// Without multitenancy there is nothing to list or change.
fn check_multitenancy(session: &CommandContext) -> Result<(), CommandFailure> {
    if session.app.policy.multitenancy {
        return Ok(());
    }
    Err(CommandFailure("Multitenancy is disabled, task can not be completed".to_owned()))
}

/// Lists tenants, secrets included.
pub async fn list(session: &CommandContext) -> Result<(), CommandFailure> {
    check_multitenancy(session)?;
    let found = tenants::list(&session.app).await?;
    for tenant in &found {
        print_line(format!("id: {}", tenant.id));
        print_line(format!("\tname: {}", printable(&tenant.name)));
        print_line(format!("\tsecrets: {}", printable(&tenant.secrets)));
        for (field, value) in Lrs::FIELDS.iter().zip(tenant.lrs.values()) {
            if let Some(value) = value {
                print_line(format!("\t{field}: {}", printable(value)));
            }
        }
    }
    print_line(format!("Total number of tenants: {}", found.len()));
    Ok(())
}

/// Adds a tenant.
pub async fn add(
    session: &CommandContext,
    name: Option<String>,
    secrets: Option<String>,
) -> Result<(), CommandFailure> {
    check_multitenancy(session)?;
    let [name, secrets] = require_all([name, secrets])
        .ok_or_else(|| argument_failure("both name and secrets are required to create a Tenant"))?;
    let tenant = tenants::add(&session.app, &name, &secrets).await?;
    print_line(format!("OK\nNew Tenant id: {}", tenant.id));
    Ok(())
}

/// Changes name and secrets, as far as given.
pub async fn update(
    session: &CommandContext,
    id: Option<String>,
    name: Option<String>,
    secrets: Option<String>,
) -> Result<(), CommandFailure> {
    check_multitenancy(session)?;
    let (name, secrets) = (non_empty(name), non_empty(secrets));
    let id = non_empty(id).filter(|_| name.is_some() || secrets.is_some());
    let id = id.ok_or_else(|| {
        argument_failure("id and either name or secrets are required to update a Tenant")
    })?;
    change_tenant(session, &id, TenantChange { name, secrets, ..TenantChange::default() }).await
}

async fn change_tenant(
    session: &CommandContext,
    id: &str,
    change: TenantChange,
) -> Result<(), CommandFailure> {
    let Tenant { id, .. } = tenants::update(&session.app, id, change).await?;
    print_line(format!("OK\nUpdated Tenant id: {id}"));
    Ok(())
}

/// Sets a learning record store with user and password: id, endpoint, user, password.
pub async fn update_lrs_basic(
    session: &CommandContext,
    arguments: [Option<String>; 4],
) -> Result<(), CommandFailure> {
    check_multitenancy(session)?;
    let [id, endpoint, username, password] = require_all(arguments).ok_or_else(|| {
        argument_failure(
            "id, LRS_ENDPOINT, LRS_USERNAME, LRS_PASSWORD are required to update a Tenant",
        )
    })?;
    let lrs = Lrs {
        endpoint: Some(endpoint),
        username: Some(username),
        password: Some(password),
        ..Lrs::default()
    };
    change_tenant(session, &id, TenantChange { lrs, ..TenantChange::default() }).await
}

/// Sets a learning record store behind Keycloak: id, endpoint, and the five fields of Keycloak.
pub async fn update_lrs_kc(
    session: &CommandContext,
    arguments: [Option<String>; 7],
) -> Result<(), CommandFailure> {
    check_multitenancy(session)?;
    let [id, endpoint, token_url, client_id, client_secret, username, password] =
        require_all(arguments).ok_or_else(|| {
            argument_failure(
                "id, LRS_ENDPOINT, KC_TOKEN_URL, KC_CLIENT_ID, KC_CLIENT_SECRET, KC_USERNAME, \
                 KC_PASSWORD are required to update a Tenant",
            )
        })?;
    let lrs = Lrs {
        endpoint: Some(endpoint),
        kc_token_url: Some(token_url),
        kc_client_id: Some(client_id),
        kc_client_secret: Some(client_secret),
        kc_username: Some(username),
        kc_password: Some(password),
        ..Lrs::default()
    };
    change_tenant(session, &id, TenantChange { lrs, ..TenantChange::default() }).await
}

/// Removes a tenant and its settings.
pub async fn remove(session: &CommandContext, id: &str) -> Result<(), CommandFailure> {
    check_multitenancy(session)?;
    tenants::remove(&session.app, id).await?;
    print_line("Tenant was successfully deleted.");
    Ok(())
}

/// Lists the settings of all tenants.
pub async fn list_settings(session: &CommandContext) -> Result<(), CommandFailure> {
    check_multitenancy(session)?;
    let settings = tenants::list_settings(&session.app).await?;
    for tenant in tenants::list(&session.app).await? {
        print_line(format!("Tenant: {}", printable(&tenant.name)));
        let mut own = settings.iter().filter(|setting| setting.tenant == tenant.id).peekable();
        if own.peek().is_none() {
            print_note("  No custom settings are configured");
        }
        for setting in own {
            print_line(format!("  id: {}", setting.id));
            print_line(format!("\tparam: {}", printable(&setting.param)));
            print_line(format!("\tvalue: {}", printable(&setting.value)));
            print_line(format!("\toverride: {}", setting.is_override));
        }
    }
    Ok(())
}

/// Adds a setting: id of the tenant, parameter, value, and whether it wins over the request.
pub async fn add_setting(
    session: &CommandContext,
    arguments: [Option<String>; 4],
) -> Result<(), CommandFailure> {
    check_multitenancy(session)?;
    let [tenant, param, value, wins] = require_all(arguments).ok_or_else(|| {
        argument_failure(
            "tenant_id, param, value and override are required to create a TenantSetting",
        )
    })?;
    let wins = match wins.to_ascii_lowercase().as_str() {
        "true" => true,
        "false" => false,
        _ => return Err(argument_failure("override must be true or false")),
    };
    let setting = tenants::add_setting(&session.app, &tenant, &param, &value, wins).await?;
    print_line(format!("OK\nNew TenantSetting id: {}", setting.id));
    Ok(())
}

/// Removes a setting.
pub async fn remove_setting(session: &CommandContext, id: &str) -> Result<(), CommandFailure> {
    check_multitenancy(session)?;
    tenants::remove_setting(&session.app, id).await?;
    print_line("TenantSetting was successfully deleted.");
    Ok(())
}
