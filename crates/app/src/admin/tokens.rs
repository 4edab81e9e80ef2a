//! Administrative actions on management tokens: make, list, and revoke.

use domain::management::{Scope, Scopes};

use crate::audit::{self, AuditEvent};
use crate::context::App;
use crate::origin;
use crate::ports::{ManagementToken, StoreError, TokenAddition};
use crate::token_authentication::{TOKEN_PREFIX, token_digest};

/// Most tokens.
pub const MAX_TOKENS: usize = 500;
/// Longest name of a token, in characters.
pub const MAX_NAME_CHARS: usize = 64;

/// Why an action on a token failed. Unless the store failed, nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The name is empty, too long, or has other characters.
    #[error(
        "the name of a token consists of 1 to 64 letters, digits, dots, hyphens and underscores"
    )]
    BadName,
    /// Another token has the name.
    #[error("there is a token with the name {0} already")]
    NameTaken(String),
    /// There are too many tokens.
    #[error("there are {MAX_TOKENS} tokens already: revoke one first")]
    TooMany,
    /// The token would allow nothing.
    #[error("a token needs at least one scope")]
    NoScopes,
    /// The tenant does not exist.
    #[error("there is no tenant {0}")]
    UnknownTenant(String),
    /// A scope concerns all tenants.
    #[error("the scope {0} concerns all tenants: a token with it cannot be limited to one")]
    Indivisible(Scope),
    /// There is no such token.
    #[error("there is no token {0}")]
    Unknown(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A token to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Its name.
    pub name: String,
    /// What it allows.
    pub scopes: Scopes,
    /// The id or name of the tenant that it is limited to.
    pub tenant: Option<String>,
    /// How long it is valid, in ms; `None`: until it is revoked.
    pub lifetime_ms: Option<i64>,
}

/// Makes a token. Returns it with its secret, which nobody can find out later.
///
/// # Errors
/// When a value is wrong, the name is taken, there are too many tokens, or the store fails.
pub async fn create(app: &App, new: NewToken) -> Result<(ManagementToken, String), TokenError> {
    check_name(&new.name)?;
    if new.scopes.iter().next().is_none() {
        return Err(TokenError::NoScopes);
    }
    let tenant = match &new.tenant {
        Some(tenant) => Some(find_tenant(app, tenant, &new.scopes).await?),
        None => None,
    };
    let bytes = [app.entropy.generate_bytes(), app.entropy.generate_bytes()].concat();
    let secret = format!("{TOKEN_PREFIX}{}", hex::encode(bytes));
    let now = app.clock.now();
    let token = ManagementToken {
        id: app.entropy.generate_uuid(),
        name: new.name,
        digest: token_digest(&secret),
        scopes: new.scopes,
        tenant,
        created_at: now,
        created_by: origin::actor().to_string(),
        expires_at: new.lifetime_ms.map(|ms| now.plus_ms(ms)),
        last_used_at: None,
    };
    let added = app.management_tokens.add_management_token(&token, MAX_TOKENS).await?;
    app.token_cache.invalidate();
    match added {
        TokenAddition::NameTaken => return Err(TokenError::NameTaken(token.name)),
        TokenAddition::TooMany => return Err(TokenError::TooMany),
        TokenAddition::Added => {}
    }
    let (name, scopes, by) = (&token.name, &token.scopes, origin::actor());
    tracing::info!(token = name, %scopes, %by, "management token made");
    audit::record(app, describe("token.create", &token, true)).await;
    Ok((token, secret))
}

fn check_name(name: &str) -> Result<(), TokenError> {
    let is_usual = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let is_valid = (1..=MAX_NAME_CHARS).contains(&name.len()) && name.chars().all(is_usual);
    if is_valid { Ok(()) } else { Err(TokenError::BadName) }
}

/// The id of the tenant that a token is to be limited to.
async fn find_tenant(app: &App, tenant: &str, scopes: &Scopes) -> Result<String, TokenError> {
    if let Some(scope) = scopes.iter().find(|scope| !scope.is_divisible()) {
        return Err(TokenError::Indivisible(scope));
    }
    let tenants = app.tenants.list_tenants().await?;
    let found = tenants
        .into_iter()
        .find(|candidate| candidate.id == tenant || candidate.name.eq_ignore_ascii_case(tenant));
    found.map(|tenant| tenant.id).ok_or_else(|| TokenError::UnknownTenant(tenant.to_owned()))
}

fn describe(action: &'static str, token: &ManagementToken, is_after: bool) -> AuditEvent {
    let value = serde_json::json!({
        "scopes": token.scopes.to_string(),
        "expires_at_ms": token.expires_at.map(|at| at.0),
    });
    let event = AuditEvent::new(action).named(&token.name).of_tenant(token.tenant.as_deref());
    if is_after { event.after(value) } else { event.before(value) }
}

/// Lists all tokens, by their names.
///
/// # Errors
/// When the store fails.
pub async fn list(app: &App) -> Result<Vec<ManagementToken>, StoreError> {
    app.management_tokens.list_management_tokens().await
}

/// Revokes the token of this name or id. This process refuses it at once, others within a second.
///
/// # Errors
/// When there is none, or the store fails.
pub async fn revoke(app: &App, name_or_id: &str) -> Result<ManagementToken, TokenError> {
    let tokens = list(app).await?;
    let is_named = |token: &&ManagementToken| token.name == name_or_id || token.id == name_or_id;
    let unknown = || TokenError::Unknown(name_or_id.to_owned());
    let token = tokens.iter().find(is_named).ok_or_else(unknown)?;
    let removed = app.management_tokens.remove_management_token(&token.id).await?;
    app.token_cache.invalidate();
    if !removed {
        return Err(unknown());
    }
    tracing::info!(token = token.name, by = %origin::actor(), "management token revoked");
    audit::record(app, describe("token.revoke", token, false)).await;
    Ok(token.clone())
}
