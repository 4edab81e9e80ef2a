//! The port [`KeptCreates`]: a key of its own for each meeting, so that reads of meetings stay small.

use app::ports::kept_creates::{LARGE_CREATE_BYTES, MAX_LARGE_CREATES_BYTES};
use app::ports::{KeptCreate, KeptCreates, StoreError};
use async_trait::async_trait;
use domain::MeetingKey;

use super::RedisStore;
use super::join::tenant_or_empty;
use super::rows::{self, is_one};
use super::script::{FIND_CREATE, KEEP_CREATE};

#[async_trait]
impl KeptCreates for RedisStore {
    async fn keep_create(&self, key: &MeetingKey, kept: &KeptCreate) -> Result<bool, StoreError> {
        let sizes = [LARGE_CREATE_BYTES, MAX_LARGE_CREATES_BYTES].map(|size| size.to_string());
        let arguments =
            [tenant_or_empty(key), &key.id, &kept.internal_id, &kept.sealed, &sizes[0], &sizes[1]];
        Ok(is_one(&self.client.call_script(&KEEP_CREATE, &arguments).await?))
    }

    async fn find_kept_create(&self, key: &MeetingKey) -> Result<Option<KeptCreate>, StoreError> {
        let arguments = [tenant_or_empty(key), &key.id];
        let found = self.client.call_script(&FIND_CREATE, &arguments).await?;
        let Some([internal_id, sealed]) = rows::to_array::<2>(found)? else {
            return Ok(None);
        };
        let kept = rows::to_text(&internal_id)?.zip(rows::to_text(&sealed)?);
        Ok(kept.map(|(internal_id, sealed)| KeptCreate { internal_id, sealed }))
    }
}
