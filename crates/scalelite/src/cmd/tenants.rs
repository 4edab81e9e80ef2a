//! `tenants` and `tenant-settings`, in the original's words.

use app::admin::tenants::{self, TenantError};
use domain::tenant::Lrs;
use domain::{Tenant, TenantChange};

use crate::output::{note, printable, say};

use super::{Failure, Session};

impl From<TenantError> for Failure {
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
fn missing(what: &str) -> Failure {
    Failure(format!("Error: {what}"))
}

/// An argument that was given and is not empty.
fn given(argument: Option<String>) -> Option<String> {
    argument.filter(|argument| !argument.is_empty())
}

/// All of these arguments, if none is missing.
fn all<const N: usize>(arguments: [Option<String>; N]) -> Option<[String; N]> {
    let given: Option<Vec<String>> = arguments.into_iter().map(given).collect();
    given.and_then(|given| given.try_into().ok())
}

/// Without multitenancy there is nothing to list or change.
fn check_enabled(session: &Session) -> Result<(), Failure> {
    if session.app.policy.multitenancy {
        return Ok(());
    }
    Err(Failure("Multitenancy is disabled, task can not be completed".to_owned()))
}

/// Lists tenants, secrets included.
pub async fn list(session: &Session) -> Result<(), Failure> {
    check_enabled(session)?;
    let found = tenants::list(&session.app).await?;
    for tenant in &found {
        say(format!("id: {}", tenant.id));
        say(format!("\tname: {}", printable(&tenant.name)));
        say(format!("\tsecrets: {}", printable(&tenant.secrets)));
        for (field, value) in Lrs::FIELDS.iter().zip(tenant.lrs.values()) {
            if let Some(value) = value {
                say(format!("\t{field}: {}", printable(value)));
            }
        }
    }
    say(format!("Total number of tenants: {}", found.len()));
    Ok(())
}

/// Adds a tenant.
pub async fn add(
    session: &Session,
    name: Option<String>,
    secrets: Option<String>,
) -> Result<(), Failure> {
    check_enabled(session)?;
    let [name, secrets] = all([name, secrets])
        .ok_or_else(|| missing("both name and secrets are required to create a Tenant"))?;
    let tenant = tenants::add(&session.app, &name, &secrets).await?;
    say(format!("OK\nNew Tenant id: {}", tenant.id));
    Ok(())
}

/// Changes name and secrets, as far as given.
pub async fn update(
    session: &Session,
    id: Option<String>,
    name: Option<String>,
    secrets: Option<String>,
) -> Result<(), Failure> {
    check_enabled(session)?;
    let (name, secrets) = (given(name), given(secrets));
    let id = given(id).filter(|_| name.is_some() || secrets.is_some());
    let id =
        id.ok_or_else(|| missing("id and either name or secrets are required to update a Tenant"))?;
    change(session, &id, TenantChange { name, secrets, ..TenantChange::default() }).await
}

async fn change(session: &Session, id: &str, change: TenantChange) -> Result<(), Failure> {
    let Tenant { id, .. } = tenants::update(&session.app, id, change).await?;
    say(format!("OK\nUpdated Tenant id: {id}"));
    Ok(())
}

/// Sets a learning record store with user and password: id, endpoint, user, password.
pub async fn update_lrs_basic(
    session: &Session,
    arguments: [Option<String>; 4],
) -> Result<(), Failure> {
    check_enabled(session)?;
    let [id, endpoint, username, password] = all(arguments).ok_or_else(|| {
        missing("id, LRS_ENDPOINT, LRS_USERNAME, LRS_PASSWORD are required to update a Tenant")
    })?;
    let lrs = Lrs {
        endpoint: Some(endpoint),
        username: Some(username),
        password: Some(password),
        ..Lrs::default()
    };
    change(session, &id, TenantChange { lrs, ..TenantChange::default() }).await
}

/// Sets a learning record store behind Keycloak: id, endpoint, and the five fields of Keycloak.
pub async fn update_lrs_kc(
    session: &Session,
    arguments: [Option<String>; 7],
) -> Result<(), Failure> {
    check_enabled(session)?;
    let [id, endpoint, token_url, client_id, client_secret, username, password] = all(arguments)
        .ok_or_else(|| {
            missing(
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
    change(session, &id, TenantChange { lrs, ..TenantChange::default() }).await
}

/// Removes a tenant and its settings.
pub async fn remove(session: &Session, id: &str) -> Result<(), Failure> {
    check_enabled(session)?;
    tenants::remove(&session.app, id).await?;
    say("Tenant was successfully deleted.");
    Ok(())
}

/// Lists the settings of all tenants.
pub async fn settings(session: &Session) -> Result<(), Failure> {
    check_enabled(session)?;
    let settings = tenants::settings(&session.app).await?;
    for tenant in tenants::list(&session.app).await? {
        say(format!("Tenant: {}", printable(&tenant.name)));
        let mut own = settings.iter().filter(|setting| setting.tenant == tenant.id).peekable();
        if own.peek().is_none() {
            note("  No custom settings are configured");
        }
        for setting in own {
            say(format!("  id: {}", setting.id));
            say(format!("\tparam: {}", printable(&setting.param)));
            say(format!("\tvalue: {}", printable(&setting.value)));
            say(format!("\toverride: {}", setting.wins));
        }
    }
    Ok(())
}

/// Adds a setting: id of the tenant, parameter, value, and whether it wins over the request.
pub async fn add_setting(session: &Session, arguments: [Option<String>; 4]) -> Result<(), Failure> {
    check_enabled(session)?;
    let [tenant, param, value, wins] = all(arguments).ok_or_else(|| {
        missing("tenant_id, param, value and override are required to create a TenantSetting")
    })?;
    let wins = match wins.to_ascii_lowercase().as_str() {
        "true" => true,
        "false" => false,
        _ => return Err(missing("override must be true or false")),
    };
    let setting = tenants::add_setting(&session.app, &tenant, &param, &value, wins).await?;
    say(format!("OK\nNew TenantSetting id: {}", setting.id));
    Ok(())
}

/// Removes a setting.
pub async fn remove_setting(session: &Session, id: &str) -> Result<(), Failure> {
    check_enabled(session)?;
    tenants::remove_setting(&session.app, id).await?;
    say("TenantSetting was successfully deleted.");
    Ok(())
}
