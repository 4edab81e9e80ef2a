//! `tokens`: makes, lists and revokes tokens of the management API.

use std::time::Duration;

use app::admin::tokens::TokenError;
use app::ports::ManagementToken;
use domain::management::{Scope, Scopes};
use serde_json::json;

use super::CommandFailure;
use super::balancer::{Balancer, TokenRequest};
use crate::output::table::{Cell, render};
use crate::output::time::format_time;
use crate::output::{print_line, print_note, print_text, printable};

impl From<TokenError> for CommandFailure {
    fn from(error: TokenError) -> Self {
        Self(format!("ERROR: {error}"))
    }
}

/// Makes a token, and prints it.
pub async fn create(
    balancer: &Balancer,
    name: String,
    scopes: Scopes,
    tenant: Option<String>,
    lifetime: Option<Duration>,
) -> Result<(), CommandFailure> {
    let lifetime_ms = lifetime.map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
    let new = TokenRequest { name, scopes, tenant, lifetime_ms };
    let (token, secret) = balancer.create_token(new).await?;
    print_line(secret);
    let until = match token.expires_at {
        Some(at) => format!("until {}", format_time(at)),
        None => "until it is revoked".to_owned(),
    };
    let note = format!("Token {} is valid {until}. It is not shown again.", token.name);
    print_note(note);
    Ok(())
}

/// Lists tokens, without their secrets.
pub async fn list(balancer: &Balancer, as_json: bool) -> Result<(), CommandFailure> {
    let tokens = balancer.list_tokens().await?;
    if as_json {
        let list: Vec<_> = tokens.iter().map(to_json).collect();
        print_line(serde_json::Value::from(list).to_string());
        return Ok(());
    }
    if tokens.is_empty() {
        print_note("There are no tokens");
        return Ok(());
    }
    let now = balancer.now();
    let row = |token: &ManagementToken| {
        let expiry = match token.expires_at {
            Some(at) if at <= now => "expired".to_owned(),
            Some(at) => format_time(at),
            None => "never".to_owned(),
        };
        vec![
            Cell::text(printable(&token.name)),
            Cell::text(token.scopes.to_string()),
            Cell::text(printable(token.tenant.as_deref().unwrap_or("-"))),
            Cell::text(expiry),
            Cell::text(token.last_used_at.map_or_else(|| "never".to_owned(), format_time)),
            Cell::text(printable(&token.created_by)),
        ]
    };
    let rows: Vec<_> = tokens.iter().map(row).collect();
    let headings = ["NAME", "SCOPES", "TENANT", "EXPIRES", "LAST USED", "MADE BY"];
    print_text(render(&headings, &rows));
    Ok(())
}

fn to_json(token: &ManagementToken) -> serde_json::Value {
    json!({
        "id": token.id,
        "name": token.name,
        "scopes": token.scopes.iter().map(Scope::name).collect::<Vec<_>>(),
        "tenant": token.tenant,
        "created_at": format_time(token.created_at),
        "created_by": token.created_by,
        "expires_at": token.expires_at.map(format_time),
        "last_used_at": token.last_used_at.map(format_time),
    })
}

/// Revokes a token.
pub async fn revoke(balancer: &Balancer, name: &str) -> Result<(), CommandFailure> {
    balancer.revoke_token(name).await?;
    print_line("OK");
    Ok(())
}
