//! Management tokens: what lets a person or a script use the management API and the console. Only digests of them are stored.

use std::fmt;

use async_trait::async_trait;
use domain::Timestamp;
use domain::management::{Scope, Scopes};
use serde::{Deserialize, Serialize};

use super::store_error::StoreError;

/// A token, without the secret itself.
#[derive(Clone, PartialEq, Eq)]
pub struct ManagementToken {
    /// The id.
    pub id: String,
    /// The name, by which the audit names its holder; unique.
    pub name: String,
    /// The digest of the secret: SHA-256, in hex.
    pub digest: String,
    /// What it allows.
    pub scopes: Scopes,
    /// The id of the tenant that it is limited to.
    pub tenant: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// From when on it is no longer valid; `None`: it stays valid.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to a minute; `None`: never.
    pub last_used_at: Option<Timestamp>,
}

impl fmt::Debug for ManagementToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token {} ({}, {})", self.id, self.name, self.scopes)
    }
}

/// A token as stores keep it, apart from the time of its last use.
#[derive(Serialize, Deserialize)]
struct StoredToken {
    id: String,
    name: String,
    digest: String,
    scopes: String,
    #[serde(default)]
    tenant: Option<String>,
    created_at: i64,
    created_by: String,
    #[serde(default)]
    expires_at: Option<i64>,
}

impl ManagementToken {
    /// The token as a store keeps it, without the time of its last use.
    #[must_use]
    pub fn to_stored(&self) -> String {
        let stored = StoredToken {
            id: self.id.clone(),
            name: self.name.clone(),
            digest: self.digest.clone(),
            scopes: self.scopes.to_string(),
            tenant: self.tenant.clone(),
            created_at: self.created_at.0,
            created_by: self.created_by.clone(),
            expires_at: self.expires_at.map(|at| at.0),
        };
        serde_json::to_string(&stored).unwrap_or_default()
    }

    /// Reads what a store has kept. Scopes that this version does not know allow nothing.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn from_stored(stored: &str, last_used_at: Option<Timestamp>) -> Result<Self, StoreError> {
        let stored: StoredToken = serde_json::from_str(stored)
            .map_err(|_| StoreError::Corrupt("a management token cannot be read".to_owned()))?;
        let scopes = stored.scopes.split(',').filter_map(Scope::from_name);
        Ok(Self {
            id: stored.id,
            name: stored.name,
            digest: stored.digest,
            scopes: Scopes::new(scopes),
            tenant: stored.tenant,
            created_at: Timestamp(stored.created_at),
            created_by: stored.created_by,
            expires_at: stored.expires_at.map(Timestamp),
            last_used_at,
        })
    }
}

/// What became of a token to add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenAddition {
    /// It was added.
    Added,
    /// Another token has this id or name.
    NameTaken,
    /// There are as many tokens as there may be.
    TooMany,
}

/// Stores management tokens. Every method is atomic, and fails only if the store fails.
#[async_trait]
pub trait ManagementTokens: Send + Sync {
    /// Adds a token, unless another one has its id or name or there are `max` already.
    async fn add_management_token(
        &self,
        token: &ManagementToken,
        max: usize,
    ) -> Result<TokenAddition, StoreError>;

    /// Lists all tokens, by their names.
    async fn list_management_tokens(&self) -> Result<Vec<ManagementToken>, StoreError>;

    /// Removes a token; false if there is none of this id.
    async fn remove_management_token(&self, id: &str) -> Result<bool, StoreError>;

    /// Records that a token was used. An earlier time than the recorded one, and an unknown token, change nothing.
    async fn record_token_use(&self, id: &str, at: Timestamp) -> Result<(), StoreError>;
}
