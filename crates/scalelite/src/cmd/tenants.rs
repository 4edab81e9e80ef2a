//! `tenants` and `tenant-settings`, with the texts of the original.

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

/// The failure that the original prints for a missing or wrong argument.
fn argument_failure(reason: &str) -> CommandFailure {
    CommandFailure(format!("Error: {reason}"))
}

/// The argument, unless it is empty.
fn non_empty(argument: Option<String>) -> Option<String> {
    argument.filter(|argument| !argument.is_empty())
}

/// The arguments; `None` if one is missing or empty.
fn require_all<const N: usize>(arguments: [Option<String>; N]) -> Option<[String; N]> {
    let arguments: Option<Vec<String>> = arguments.into_iter().map(non_empty).collect();
    arguments.and_then(|arguments| arguments.try_into().ok())
}

/// Fails, with the text of the original, if multitenancy is disabled.
fn check_multitenancy(context: &CommandContext) -> Result<(), CommandFailure> {
    if context.app.policy.multitenancy {
        return Ok(());
    }
    Err(CommandFailure("Multitenancy is disabled, task can not be completed".to_owned()))
}

/// Lists tenants, secrets included.
pub async fn list(context: &CommandContext) -> Result<(), CommandFailure> {
    check_multitenancy(context)?;
    let tenants = tenants::list(&context.app).await?;
    for tenant in &tenants {
        print_line(format!("id: {}", tenant.id));
        print_line(format!("\tname: {}", printable(&tenant.name)));
        print_line(format!("\tsecrets: {}", printable(&tenant.secrets)));
        for (field, value) in Lrs::FIELDS.iter().zip(tenant.lrs.values()) {
            if let Some(value) = value {
                print_line(format!("\t{field}: {}", printable(value)));
            }
        }
    }
    print_line(format!("Total number of tenants: {}", tenants.len()));
    Ok(())
}

/// Adds a tenant.
pub async fn add(
    context: &CommandContext,
    name: Option<String>,
    secrets: Option<String>,
) -> Result<(), CommandFailure> {
    check_multitenancy(context)?;
    let [name, secrets] = require_all([name, secrets])
        .ok_or_else(|| argument_failure("both name and secrets are required to create a Tenant"))?;
    let tenant = tenants::add(&context.app, &name, &secrets).await?;
    print_line(format!("OK\nNew Tenant id: {}", tenant.id));
    Ok(())
}

/// Changes name and secrets, if they are given.
pub async fn update(
    context: &CommandContext,
    id: Option<String>,
    name: Option<String>,
    secrets: Option<String>,
) -> Result<(), CommandFailure> {
    check_multitenancy(context)?;
    let (name, secrets) = (non_empty(name), non_empty(secrets));
    let id = non_empty(id).filter(|_| name.is_some() || secrets.is_some());
    let id = id.ok_or_else(|| {
        argument_failure("id and either name or secrets are required to update a Tenant")
    })?;
    change_tenant(context, &id, TenantChange { name, secrets, ..TenantChange::default() }).await
}

async fn change_tenant(
    context: &CommandContext,
    id: &str,
    change: TenantChange,
) -> Result<(), CommandFailure> {
    let Tenant { id, .. } = tenants::update(&context.app, id, change).await?;
    print_line(format!("OK\nUpdated Tenant id: {id}"));
    Ok(())
}

/// Sets a learning record store with basic authentication. The arguments are id, endpoint, user name,
/// password.
pub async fn update_lrs_basic(
    context: &CommandContext,
    arguments: [Option<String>; 4],
) -> Result<(), CommandFailure> {
    check_multitenancy(context)?;
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
    change_tenant(context, &id, TenantChange { lrs, ..TenantChange::default() }).await
}

/// Sets a learning record store with Keycloak. The arguments are id, endpoint, token URL, client id,
/// client secret, user name, password.
pub async fn update_lrs_kc(
    context: &CommandContext,
    arguments: [Option<String>; 7],
) -> Result<(), CommandFailure> {
    check_multitenancy(context)?;
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
    change_tenant(context, &id, TenantChange { lrs, ..TenantChange::default() }).await
}

/// Removes a tenant and its settings.
pub async fn remove(context: &CommandContext, id: &str) -> Result<(), CommandFailure> {
    check_multitenancy(context)?;
    tenants::remove(&context.app, id).await?;
    print_line("Tenant was successfully deleted.");
    Ok(())
}

/// Lists the settings of all tenants.
pub async fn list_settings(context: &CommandContext) -> Result<(), CommandFailure> {
    check_multitenancy(context)?;
    let settings = tenants::list_settings(&context.app).await?;
    for tenant in tenants::list(&context.app).await? {
        print_line(format!("Tenant: {}", printable(&tenant.name)));
        let mut tenant_settings =
            settings.iter().filter(|setting| setting.tenant == tenant.id).peekable();
        if tenant_settings.peek().is_none() {
            print_note("  No custom settings are configured");
        }
        for setting in tenant_settings {
            print_line(format!("  id: {}", setting.id));
            print_line(format!("\tparam: {}", printable(&setting.param)));
            print_line(format!("\tvalue: {}", printable(&setting.value)));
            print_line(format!("\toverride: {}", setting.is_override));
        }
    }
    Ok(())
}

/// Adds a setting. The arguments are the tenant's id, parameter, value, and whether the setting
/// overrides the request.
pub async fn add_setting(
    context: &CommandContext,
    arguments: [Option<String>; 4],
) -> Result<(), CommandFailure> {
    check_multitenancy(context)?;
    let [tenant, param, value, is_override] = require_all(arguments).ok_or_else(|| {
        argument_failure(
            "tenant_id, param, value and override are required to create a TenantSetting",
        )
    })?;
    let is_override = match is_override.to_ascii_lowercase().as_str() {
        "true" => true,
        "false" => false,
        _ => return Err(argument_failure("override must be true or false")),
    };
    let setting = tenants::add_setting(&context.app, &tenant, &param, &value, is_override).await?;
    print_line(format!("OK\nNew TenantSetting id: {}", setting.id));
    Ok(())
}

/// Removes a setting.
pub async fn remove_setting(context: &CommandContext, id: &str) -> Result<(), CommandFailure> {
    check_multitenancy(context)?;
    tenants::remove_setting(&context.app, id).await?;
    print_line("TenantSetting was successfully deleted.");
    Ok(())
}
