//! Tenants: institutions that share a pool and cannot see each other's meetings and recordings.

use std::fmt;

use serde::Serialize;

/// The learning record store (LRS) that receives the learning analytics of a tenant, and the
/// credentials for it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Lrs {
    /// URL of the learning record store.
    pub endpoint: Option<String>,
    /// User name for HTTP Basic authentication.
    pub username: Option<String>,
    /// Password for HTTP Basic authentication.
    pub password: Option<String>,
    /// Keycloak: URL of the token endpoint.
    pub kc_token_url: Option<String>,
    /// Keycloak: client id.
    pub kc_client_id: Option<String>,
    /// Keycloak: client secret.
    pub kc_client_secret: Option<String>,
    /// Keycloak: user name.
    pub kc_username: Option<String>,
    /// Keycloak: password.
    pub kc_password: Option<String>,
}

impl Lrs {
    /// Names of the fields, as existing deployments store them, in the order of [`Self::values`].
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

    /// Returns the values of all fields.
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

    /// Creates an `Lrs` from the values of all fields, in the order of [`Self::FIELDS`].
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
    /// The first label of its host names; unique without regard to case.
    pub name: String,
    /// Its secrets, separated by colons, as stored.
    pub secrets: String,
    /// Its learning record store.
    pub lrs: Lrs,
}

impl Tenant {
    /// Iterates over the secrets. Any of them may sign a call.
    pub fn each_secret(&self) -> impl Iterator<Item = &str> {
        split_secrets(&self.secrets)
    }
}

/// Splits stored secrets, which are separated by colons.
pub fn split_secrets(secrets: &str) -> impl Iterator<Item = &str> {
    secrets.split(':').filter(|secret| !secret.is_empty())
}

impl fmt::Debug for Tenant {
    /// Leaves out secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// An administrator's change of a tenant. Fields that are `None` stay as they are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TenantChange {
    /// The new name.
    pub name: Option<String>,
    /// The new secrets, separated by colons.
    pub secrets: Option<String>,
    /// New values for fields of the learning record store.
    pub lrs: Lrs,
}

impl TenantChange {
    /// Applies the change to a tenant.
    pub fn apply(self, tenant: &mut Tenant) {
        if let Some(name) = self.name {
            tenant.name = name;
        }
        if let Some(secrets) = self.secrets {
            tenant.secrets = secrets;
        }
        let mut values = tenant.lrs.values().map(Clone::clone);
        let new_values = self.lrs.values().map(Clone::clone);
        for (value, new_value) in values.iter_mut().zip(new_values) {
            if new_value.is_some() {
                *value = new_value;
            }
        }
        tenant.lrs = Lrs::from_values(values);
    }
}

impl fmt::Debug for TenantChange {
    /// Leaves out secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantChange").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A tenant's setting for a parameter of create and join calls.
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
    /// Whether the value replaces that of the request; otherwise it is a default.
    pub is_override: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_keeps_fields_that_it_does_not_name() {
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
