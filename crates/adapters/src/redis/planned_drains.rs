//! The port [`PlannedDrains`]: what only we know, below `own:`.

use app::ports::{DrainAddition, PlannedDrains, StoreError, from_stored_drain, to_stored_drain};
use async_trait::async_trait;
use domain::Timestamp;
use domain::drain::PlannedDrain;

use super::RedisStore;
use super::rows::{self, is_one};
use super::script::{ADD_DRAIN, FORGET_DRAINS, LIST_DRAINS, REPLACE_DRAIN};

fn show_end(drain: &PlannedDrain) -> String {
    drain.ended_at.map(|at| at.0.to_string()).unwrap_or_default()
}

#[async_trait]
impl PlannedDrains for RedisStore {
    async fn add_drain(
        &self,
        drain: &PlannedDrain,
        max: usize,
    ) -> Result<DrainAddition, StoreError> {
        let [revision, max] = [drain.revision.to_string(), max.to_string()];
        let (ended_at, stored) = (show_end(drain), to_stored_drain(drain));
        let arguments = [&drain.id, &drain.server.0, &revision, &ended_at, &stored, &max];
        let answer = rows::to_texts(self.call_script(&ADD_DRAIN, &arguments).await?)?;
        Ok(match answer.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["added"] => DrainAddition::Added,
            ["server", id] => DrainAddition::ServerHasOne(id.to_owned()),
            _ => DrainAddition::TooMany,
        })
    }

    async fn list_drains(&self, includes_over: bool) -> Result<Vec<PlannedDrain>, StoreError> {
        let which = if includes_over { "all" } else { "open" };
        let stored = rows::to_texts(self.call_script(&LIST_DRAINS, &[which]).await?)?;
        let drains = stored.iter().map(|stored| from_stored_drain(stored));
        let mut drains = drains.collect::<Result<Vec<_>, _>>()?;
        drains.sort_by(|a, b| (a.starts_at, &a.id).cmp(&(b.starts_at, &b.id)));
        Ok(drains)
    }

    async fn replace_drain(&self, drain: &PlannedDrain) -> Result<bool, StoreError> {
        // A drain is added with the first revision.
        let Some(before) = drain.revision.checked_sub(1) else { return Ok(false) };
        let [before, revision] = [before, drain.revision].map(|number| number.to_string());
        let (ended_at, stored) = (show_end(drain), to_stored_drain(drain));
        let arguments = [&drain.id, &before, &revision, &ended_at, &stored];
        Ok(is_one(&self.call_script(&REPLACE_DRAIN, &arguments).await?))
    }

    async fn forget_drains(&self, before: Timestamp, max: usize) -> Result<(), StoreError> {
        let arguments = [before.0.to_string(), max.to_string()];
        self.call_script(&FORGET_DRAINS, &arguments).await.map(drop)
    }
}
