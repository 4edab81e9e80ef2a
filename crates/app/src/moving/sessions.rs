//! Sessions on the move: many small things of which none may be changed, written some at a time.

use std::collections::BTreeMap;

use domain::{MeetingKey, Session, Timestamp};
use futures_util::stream::{self, StreamExt as _};

use super::{Kind, Mover, Need, Tally, verify};
use crate::ports::{Hot, StoreError};
use crate::sessions::KEPT_MAX;

/// How many are being written at the same time.
const AT_ONCE: usize = 64;

type Known = BTreeMap<(Timestamp, MeetingKey), Session>;

async fn all(hot: &dyn Hot) -> Result<Known, StoreError> {
    let list = hot.sessions(Timestamp(0), KEPT_MAX).await?;
    Ok(list.into_iter().map(|one| ((one.created_at, one.key.clone()), one)).collect())
}

impl Mover<'_> {
    pub(super) async fn sessions(&mut self) -> Result<Tally, StoreError> {
        let mut tally = Tally::new(Kind::Sessions);
        let (old, there) = (all(self.from.hot.as_ref()).await?, all(self.to.hot.as_ref()).await?);
        let total = u64::try_from(old.len()).unwrap_or(u64::MAX);
        let mut needed = Vec::new();
        for (name, one) in &old {
            if self.begin(&mut tally, Need::of(one, there.get(name)), total) {
                needed.push((name, one));
            }
        }
        if needed.is_empty() {
            return Ok(tally);
        }
        let writes = needed.iter().map(|(_, one)| self.to.hot.record_session(one));
        let mut writes = stream::iter(writes).buffer_unordered(AT_ONCE);
        while let Some(written) = writes.next().await {
            written?;
        }
        let read = all(self.to.hot.as_ref()).await?;
        for (name, one) in &needed {
            verify(&mut tally, read.get(*name) == Some(*one), || one.key.id.clone());
        }
        Ok(tally)
    }
}
