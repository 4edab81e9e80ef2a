//! `tenants` and `tenant-settings`, with the texts of the original.

use app::admin::tenants::TenantError;
use domain::TenantChange;
use domain::tenant::Lrs;

use crate::output::{print_line, print_note, printable};

use super::CommandFailure;
use super::balancer::Balancer;

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
async fn check_multitenancy(balancer: &Balancer) -> Result<(), CommandFailure> {
    if balancer.has_multitenancy().await? {
        return Ok(());
    }
    Err(CommandFailure("Multitenancy is disabled, task can not be completed".to_owned()))
}

/// Lists tenants, secrets included.
pub async fn list(balancer: &Balancer) -> Result<(), CommandFailure> {
    check_multitenancy(balancer).await?;
    let tenants = balancer.list_tenants().await?;
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
    balancer: &Balancer,
    name: Option<String>,
    secrets: Option<String>,
) -> Result<(), CommandFailure> {
    check_multitenancy(balancer).await?;
    let [name, secrets] = require_all([name, secrets])
        .ok_or_else(|| argument_failure("both name and secrets are required to create a Tenant"))?;
    let id = balancer.add_tenant(&name, &secrets).await?;
    print_line(format!("OK\nNew Tenant id: {id}"));
    Ok(())
}

/// Changes name and secrets, if they are given.
pub async fn update(
    balancer: &Balancer,
    id: Option<String>,
    name: Option<String>,
    secrets: Option<String>,
) -> Result<(), CommandFailure> {
    check_multitenancy(balancer).await?;
    let (name, secrets) = (non_empty(name), non_empty(secrets));
    let id = non_empty(id).filter(|_| name.is_some() || secrets.is_some());
    let id = id.ok_or_else(|| {
        argument_failure("id and either name or secrets are required to update a Tenant")
    })?;
    change_tenant(balancer, &id, TenantChange { name, secrets, ..TenantChange::default() }).await
}

async fn change_tenant(
    balancer: &Balancer,
    id: &str,
    change: TenantChange,
) -> Result<(), CommandFailure> {
    let id = balancer.update_tenant(id, change).await?;
    print_line(format!("OK\nUpdated Tenant id: {id}"));
    Ok(())
}

/// Sets a learning record store with basic authentication. The arguments are id, endpoint, user name,
/// password.
pub async fn update_lrs_basic(
    balancer: &Balancer,
    arguments: [Option<String>; 4],
) -> Result<(), CommandFailure> {
    check_multitenancy(balancer).await?;
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
    change_tenant(balancer, &id, TenantChange { lrs, ..TenantChange::default() }).await
}

/// Sets a learning record store with Keycloak. The arguments are id, endpoint, token URL, client id,
/// client secret, user name, password.
pub async fn update_lrs_kc(
    balancer: &Balancer,
    arguments: [Option<String>; 7],
) -> Result<(), CommandFailure> {
    check_multitenancy(balancer).await?;
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
    change_tenant(balancer, &id, TenantChange { lrs, ..TenantChange::default() }).await
}

/// Removes a tenant and its settings.
pub async fn remove(balancer: &Balancer, id: &str) -> Result<(), CommandFailure> {
    check_multitenancy(balancer).await?;
    balancer.remove_tenant(id).await?;
    print_line("Tenant was successfully deleted.");
    Ok(())
}

/// Lists the settings of all tenants.
pub async fn list_settings(balancer: &Balancer) -> Result<(), CommandFailure> {
    check_multitenancy(balancer).await?;
    let settings = balancer.list_tenant_settings().await?;
    for tenant in balancer.list_tenants().await? {
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
    balancer: &Balancer,
    arguments: [Option<String>; 4],
) -> Result<(), CommandFailure> {
    check_multitenancy(balancer).await?;
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
    let id = balancer.add_tenant_setting(&tenant, (&param, &value), is_override).await?;
    print_line(format!("OK\nNew TenantSetting id: {id}"));
    Ok(())
}

/// Removes a setting.
pub async fn remove_setting(balancer: &Balancer, id: &str) -> Result<(), CommandFailure> {
    check_multitenancy(balancer).await?;
    balancer.remove_tenant_setting(id).await?;
    print_line("TenantSetting was successfully deleted.");
    Ok(())
}
