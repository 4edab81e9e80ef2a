//! What a plan changes of a server or tenant, field by field, for people. Secrets are never shown.

use domain::tenant::Lrs;
use domain::{Server, Tenant};
use serde::Serialize;

/// Stands for a secret.
const HIDDEN: &str = "***";

/// One field that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Its name in the file.
    pub field: &'static str,
    /// What it was; `None` if it was not set.
    pub before: Option<String>,
    /// What it becomes.
    pub after: Option<String>,
    /// Whether it is a secret: then the texts say only whether there is one.
    pub is_secret: bool,
}

/// Fields of which none is a secret unless the list of secrets names it.
const SECRET_FIELDS: [&str; 5] =
    ["secret", "secrets", "lrs_password", "kc_client_secret", "kc_password"];

type Fields = Vec<(&'static str, Option<String>)>;

fn server_fields(server: &Server) -> Fields {
    let number = |limit: Option<u32>| limit.map(|number| number.to_string());
    vec![
        ("secret", Some(server.secret.clone()).filter(|secret| !secret.is_empty())),
        ("join_url", server.join_url.clone()),
        ("load_multiplier", Some(format!("{:?}", server.load_multiplier))),
        ("tag", server.tag.clone()),
        ("state", Some(server.state.name().to_owned())),
        ("max_meetings", number(server.limits.max_meetings)),
        ("max_users", number(server.limits.max_users)),
        ("tier", Some(server.limits.tier.to_string())),
    ]
}

fn tenant_fields(tenant: &Tenant) -> Fields {
    let secrets = Some(tenant.secrets.clone()).filter(|secrets| !secrets.is_empty());
    let lrs = Lrs::FIELDS.into_iter().zip(tenant.lrs.values().map(Clone::clone));
    [("secrets", secrets)].into_iter().chain(lrs).collect()
}

/// Returns the fields in which two servers differ.
pub(super) fn compare_servers(before: &Server, after: &Server) -> Vec<FieldChange> {
    compare(server_fields(before), server_fields(after))
}

/// Returns the fields in which two tenants differ.
pub(super) fn compare_tenants(before: &Tenant, after: &Tenant) -> Vec<FieldChange> {
    compare(tenant_fields(before), tenant_fields(after))
}

fn compare(before: Fields, after: Fields) -> Vec<FieldChange> {
    let pairs = before.into_iter().zip(after);
    let changes = pairs.filter(|((_, before), (_, after))| before != after);
    let to_change = |((field, before), (_, after)): ((&'static str, _), (_, Option<String>))| {
        let is_secret = SECRET_FIELDS.contains(&field);
        let shown = |text: Option<String>| match is_secret {
            true => text.map(|_| HIDDEN.to_owned()),
            false => text,
        };
        FieldChange { field, before: shown(before), after: shown(after), is_secret }
    };
    changes.map(to_change).collect()
}
