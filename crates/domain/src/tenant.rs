//! Tenants: institutions that share a pool without seeing each other.

use std::fmt;

use serde::Serialize;

/// Where learning analytics of a tenant go, and how to be let in there.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Lrs {
    /// URL of the learning record store.
    pub endpoint: Option<String>,
    /// User for HTTP Basic.
    pub username: Option<String>,
    /// Password for HTTP Basic.
    pub password: Option<String>,
    /// Keycloak: URL that gives tokens.
    pub kc_token_url: Option<String>,
    /// Keycloak: client.
    pub kc_client_id: Option<String>,
    /// Keycloak: secret of the client.
    pub kc_client_secret: Option<String>,
    /// Keycloak: user.
    pub kc_username: Option<String>,
    /// Keycloak: password of the user.
    pub kc_password: Option<String>,
}

impl Lrs {
    /// Names of the fields, as existing deployments store them, in the order of [`Self::checksum_values`].
    pub const FIELDS: [&'static str; 8] = [
        "lrs_endpoint",
        "lrs_username",
        "lrs_password",
        "kc_token_url",
        "kc_client_id",
        "kc_client_secret",
        "kc_username",
        "kc_password",
    ];

    /// All fields.
    #[must_use]
    pub fn values(&self) -> [&Option<String>; 8] {
        [
            &self.endpoint,
            &self.username,
            &self.password,
            &self.kc_token_url,
            &self.kc_client_id,
            &self.kc_client_secret,
            &self.kc_username,
            &self.kc_password,
        ]
    }

    /// From all fields, in the order of [`Self::MEETING_FIELDS`].
    #[must_use]
    pub fn from_values(values: [Option<String>; 8]) -> Self {
        let [
            endpoint,
            username,
            password,
            kc_token_url,
            kc_client_id,
            kc_client_secret,
            kc_username,
            kc_password,
        ] = values;
        Self {
            endpoint,
            username,
            password,
            kc_token_url,
            kc_client_id,
            kc_client_secret,
            kc_username,
            kc_password,
        }
    }
}

/// A tenant.
#[derive(Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its identity, a UUID.
    pub id: String,
    /// The first label of the host names under which it is served; unique, whatever its case.
    pub name: String,
    /// Its secrets, separated by colons, as they are stored.
    pub secrets: String,
    /// Its learning record store.
    pub lrs: Lrs,
}

impl Tenant {
    /// The secrets, one by one; any of them may sign a call.
    pub fn each_secret(&self) -> impl Iterator<Item = &str> {
        split_secrets(&self.secrets)
    }
}

/// Secrets as they are stored, one by one.
pub fn split_secrets(secrets: &str) -> impl Iterator<Item = &str> {
    secrets.split(':').filter(|secret| !secret.is_empty())
}

impl fmt::Debug for Tenant {
    /// Without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What an administrator changes of a tenant; `None` leaves a field as it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TenantChange {
    /// Name.
    pub name: Option<String>,
    /// Secrets.
    pub secrets: Option<String>,
    /// Fields of the learning record store; those that are `None` stay.
    pub lrs: Lrs,
}

impl TenantChange {
    /// Makes the change.
    pub fn apply(self, tenant: &mut Tenant) {
        if let Some(name) = self.name {
            tenant.name = name;
        }
        if let Some(secrets) = self.secrets {
            tenant.secrets = secrets;
        }
        let old = tenant.lrs.values().map(Clone::clone);
        let new = self.lrs.values().map(Clone::clone);
        let mut merged = old;
        for (kept, given) in merged.iter_mut().zip(new) {
            if given.is_some() {
                *kept = given;
            }
        }
        tenant.lrs = Lrs::from_values(merged);
    }
}

impl fmt::Debug for TenantChange {
    /// Without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantChange").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A parameter of create and join that a tenant sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TenantSetting {
    /// Its identity, a UUID.
    pub id: String,
    /// Id of the tenant.
    pub tenant: String,
    /// Name of the parameter.
    pub param: String,
    /// Its value.
    pub value: String,
    /// Whether it wins over the request, instead of filling in for it.
    pub is_override: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_touches_only_what_it_names() {
        let text = |text: &str| Some(text.to_owned());
        let mut tenant = Tenant {
            id: "1".to_owned(),
            name: "a".to_owned(),
            secrets: "hidden".to_owned(),
            lrs: Lrs { endpoint: text("e"), kc_password: text("p"), ..Lrs::default() },
        };
        let lrs = Lrs { endpoint: text("f"), username: text("u"), ..Lrs::default() };
        let change = TenantChange { name: text("b"), lrs, ..TenantChange::default() };
        change.apply(&mut tenant);
        assert_eq!((tenant.name.as_str(), tenant.secrets.as_str()), ("b", "hidden"));
        assert_eq!(tenant.lrs.endpoint, text("f"));
        assert_eq!(
            (tenant.lrs.username.clone(), tenant.lrs.kc_password.clone()),
            (text("u"), text("p"))
        );
        assert!(!format!("{tenant:?}").contains("hidden"));
    }
}
