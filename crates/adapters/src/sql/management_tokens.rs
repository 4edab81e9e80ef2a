//! The port [`ManagementTokens`].

use app::ports::{ManagementToken, ManagementTokens, StoreError, TokenAddition};
use async_trait::async_trait;
use domain::Timestamp;

use super::connection::{SqlConnection, values};
use super::{Database, SqlStore};

#[async_trait]
impl<D: Database> ManagementTokens for SqlStore<D> {
    async fn add_management_token(
        &self,
        token: &ManagementToken,
        max: usize,
    ) -> Result<TokenAddition, StoreError> {
        let token = token.clone();
        self.write_keeping_cache(move |connection| add(connection, &token, max)).await
    }

    async fn list_management_tokens(&self) -> Result<Vec<ManagementToken>, StoreError> {
        const ALL: &str =
            "SELECT token, last_used_at FROM management_tokens ORDER BY name COLLATE BINARY";
        let read = |connection: &mut dyn SqlConnection| {
            connection.query(ALL, &[], |row| {
                let last_used_at: Option<i64> = row.get(1)?;
                ManagementToken::from_stored(&row.get::<String>(0)?, last_used_at.map(Timestamp))
            })
        };
        self.database.read(read).await
    }

    async fn remove_management_token(&self, id: &str) -> Result<bool, StoreError> {
        const REMOVE: &str = "DELETE FROM management_tokens WHERE id = ?1";
        let id = id.to_owned();
        self.write_keeping_cache(move |connection| {
            Ok(connection.execute(REMOVE, values![&id])? == 1)
        })
        .await
    }

    async fn record_token_use(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        const RECORD: &str = "UPDATE management_tokens SET last_used_at = ?2 WHERE id = ?1 \
            AND (last_used_at IS NULL OR last_used_at < ?2)";
        let id = id.to_owned();
        self.write_keeping_cache(move |connection| {
            connection.execute(RECORD, values![&id, at.0]).map(drop)
        })
        .await
    }
}

fn add(
    connection: &mut dyn SqlConnection,
    token: &ManagementToken,
    max: usize,
) -> Result<TokenAddition, StoreError> {
    const TAKEN: &str = "SELECT 1 FROM management_tokens WHERE id = ?1 OR name = ?2";
    const COUNT: &str = "SELECT count(*) FROM management_tokens";
    const ADD: &str = "INSERT INTO management_tokens (id, name, token, last_used_at) \
        VALUES (?1, ?2, ?3, ?4)";
    let (id, name) = (&token.id, &token.name);
    if connection.query_first(TAKEN, values![id, name], |_| Ok(()))?.is_some() {
        return Ok(TokenAddition::NameTaken);
    }
    let count: Option<u64> = connection.query_first(COUNT, &[], |row| row.get(0))?;
    if count.is_some_and(|count| usize::try_from(count).is_ok_and(|count| count >= max)) {
        return Ok(TokenAddition::TooMany);
    }
    let (stored, last_used_at) = (token.to_stored(), token.last_used_at.map(|at| at.0));
    connection.execute(ADD, values![id, name, &stored, last_used_at])?;
    Ok(TokenAddition::Added)
}
