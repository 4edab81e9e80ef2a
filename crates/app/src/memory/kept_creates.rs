//! The reference implementation of the port for kept creates, and a sealer that hides nothing.

use async_trait::async_trait;
use domain::MeetingKey;

use super::pool_state::PoolState;
use super::pool_store::MemoryPoolStore;
use crate::ports::kept_creates::{LARGE_CREATE_BYTES, MAX_LARGE_CREATES_BYTES};
use crate::ports::{KeptCreate, KeptCreates, Sealer, StoreError};

#[async_trait]
impl KeptCreates for MemoryPoolStore {
    async fn keep_create(&self, key: &MeetingKey, kept: &KeptCreate) -> Result<bool, StoreError> {
        Ok(self.lock().keep_create(key, kept))
    }

    async fn find_kept_create(&self, key: &MeetingKey) -> Result<Option<KeptCreate>, StoreError> {
        let state = self.lock();
        let identity = state.meetings.get(key).and_then(|meeting| meeting.origin.identity.as_ref());
        let kept = state.kept_creates.get(key).filter(|kept| {
            identity.is_some_and(|identity| identity.internal_id == kept.internal_id)
        });
        Ok(kept.cloned())
    }
}

impl PoolState {
    pub(super) fn keep_create(&mut self, key: &MeetingKey, kept: &KeptCreate) -> bool {
        let identity = self.meetings.get(key).and_then(|meeting| meeting.origin.identity.as_ref());
        if identity.is_none_or(|identity| identity.internal_id != kept.internal_id) {
            return false;
        }
        let others = self.kept_creates.iter().filter(|(other, _)| *other != key);
        let sizes = others.map(|(_, kept)| kept.sealed.len());
        let large: usize = sizes.filter(|size| *size > LARGE_CREATE_BYTES).sum();
        let size = kept.sealed.len();
        if size > LARGE_CREATE_BYTES && large + size > MAX_LARGE_CREATES_BYTES {
            return false;
        }
        self.kept_creates.insert(key.clone(), kept.clone());
        true
    }
}

/// A sealer that writes in plain text, for simulations.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainSealer;

impl Sealer for PlainSealer {
    fn seal(&self, context: &str, plain: &[u8]) -> Option<String> {
        std::str::from_utf8(plain).ok().map(|plain| format!("{}:{context}{plain}", context.len()))
    }

    fn open(&self, context: &str, sealed: &str) -> Option<Vec<u8>> {
        let plain = sealed.strip_prefix(&format!("{}:{context}", context.len()))?;
        Some(plain.as_bytes().to_vec())
    }
}
