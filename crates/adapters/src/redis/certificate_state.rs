//! The port [`CertificateState`]: a key of its own.

use app::ports::{CertificateState, StoreError};
use async_trait::async_trait;

use super::RedisStore;
use super::rows::{self, is_one};
use super::script::{NO_ARGUMENTS, READ_CERTIFICATE_STATE, REPLACE_CERTIFICATE_STATE};

#[async_trait]
impl CertificateState for RedisStore {
    async fn read_certificate_state(&self) -> Result<Option<String>, StoreError> {
        let found = self.call_script(&READ_CERTIFICATE_STATE, &NO_ARGUMENTS).await?;
        Ok(rows::to_texts(found)?.into_iter().next())
    }

    async fn replace_certificate_state(
        &self,
        expected: Option<&str>,
        new: &str,
    ) -> Result<bool, StoreError> {
        let arguments = [expected.unwrap_or_default(), new];
        Ok(is_one(&self.call_script(&REPLACE_CERTIFICATE_STATE, &arguments).await?))
    }
}
