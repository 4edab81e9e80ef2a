//! The port [`CertificateState`]: one row.

use app::ports::{CertificateState, StoreError};
use async_trait::async_trait;

use super::connection::{SqlConnection, values};
use super::{Database, SqlStore};

#[async_trait]
impl<D: Database> CertificateState for SqlStore<D> {
    async fn read_certificate_state(&self) -> Result<Option<String>, StoreError> {
        const READ: &str = "SELECT sealed FROM certificate_state WHERE one = 1";
        self.database
            .read(|connection| connection.query_first(READ, values![], |row| row.get::<String>(0)))
            .await
    }

    async fn replace_certificate_state(
        &self,
        expected: Option<&str>,
        new: &str,
    ) -> Result<bool, StoreError> {
        let (expected, new) = (expected.map(str::to_owned), new.to_owned());
        let replacing = move |connection: &mut dyn SqlConnection| {
            replace(connection, expected.as_deref(), &new)
        };
        self.write_keeping_cache(replacing).await
    }
}

fn replace(
    connection: &mut dyn SqlConnection,
    expected: Option<&str>,
    new: &str,
) -> Result<bool, StoreError> {
    const INSERT: &str =
        "INSERT INTO certificate_state (one, sealed) VALUES (1, ?1) ON CONFLICT (one) DO NOTHING";
    const UPDATE: &str = "UPDATE certificate_state SET sealed = ?1 WHERE one = 1 AND sealed = ?2";
    let changed = match expected {
        None => connection.execute(INSERT, values![new])?,
        Some(expected) => connection.execute(UPDATE, values![new, expected])?,
    };
    Ok(changed == 1)
}
