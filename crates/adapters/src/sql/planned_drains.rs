//! The port [`PlannedDrains`].

use app::ports::{DrainAddition, PlannedDrains, StoreError, from_stored_drain, to_stored_drain};
use async_trait::async_trait;
use domain::Timestamp;
use domain::drain::PlannedDrain;

use super::connection::{SqlConnection, values};
use super::{Database, SqlStore};

#[async_trait]
impl<D: Database> PlannedDrains for SqlStore<D> {
    async fn add_drain(
        &self,
        drain: &PlannedDrain,
        max: usize,
    ) -> Result<DrainAddition, StoreError> {
        let drain = drain.clone();
        self.write_keeping_cache(move |connection| add(connection, &drain, max)).await
    }

    async fn list_drains(&self, includes_over: bool) -> Result<Vec<PlannedDrain>, StoreError> {
        const ALL: &str = "SELECT drain FROM planned_drains";
        const OPEN: &str = "SELECT drain FROM planned_drains WHERE ended_at IS NULL";
        let statement = if includes_over { ALL } else { OPEN };
        let read = move |connection: &mut dyn SqlConnection| {
            connection.query(statement, &[], |row| from_stored_drain(&row.get::<String>(0)?))
        };
        let mut drains: Vec<PlannedDrain> = self.database.read(read).await?;
        drains.sort_by(|a, b| (a.starts_at, &a.id).cmp(&(b.starts_at, &b.id)));
        Ok(drains)
    }

    async fn replace_drain(&self, drain: &PlannedDrain) -> Result<bool, StoreError> {
        const REPLACE: &str = "UPDATE planned_drains SET drain = ?2, revision = ?3, ended_at = ?4 \
            WHERE id = ?1 AND revision = ?3 - 1 AND ended_at IS NULL";
        let (id, stored) = (drain.id.clone(), to_stored_drain(drain));
        let (revision, ended_at) = (to_sql(drain.revision), drain.ended_at.map(|at| at.0));
        self.write_keeping_cache(move |connection| {
            let values = values![&id, &stored, revision, ended_at];
            Ok(connection.execute(REPLACE, values)? == 1)
        })
        .await
    }

    async fn forget_drains(&self, before: Timestamp, max: usize) -> Result<(), StoreError> {
        const FORGET_OLD: &str = "DELETE FROM planned_drains WHERE ended_at < ?1";
        const FORGET_EXCESS: &str = "DELETE FROM planned_drains \
            WHERE ended_at IS NOT NULL AND id NOT IN (SELECT id FROM planned_drains \
            WHERE ended_at IS NOT NULL ORDER BY ended_at DESC, id DESC LIMIT ?1)";
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        self.write_keeping_cache(move |connection| {
            connection.execute(FORGET_OLD, values![before.0])?;
            connection.execute(FORGET_EXCESS, values![max]).map(drop)
        })
        .await
    }
}

fn to_sql(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

fn add(
    connection: &mut dyn SqlConnection,
    drain: &PlannedDrain,
    max: usize,
) -> Result<DrainAddition, StoreError> {
    const OPEN: &str = "SELECT id FROM planned_drains WHERE server_id = ?1 AND ended_at IS NULL";
    const COUNT: &str = "SELECT count(*) FROM planned_drains WHERE ended_at IS NULL";
    const ADD: &str = "INSERT INTO planned_drains (id, server_id, revision, ended_at, drain) \
        VALUES (?1, ?2, ?3, ?4, ?5)";
    let server = &drain.server.0;
    if let Some(id) = connection.query_first(OPEN, values![server], |row| row.get(0))? {
        return Ok(DrainAddition::ServerHasOne(id));
    }
    let count: Option<u64> = connection.query_first(COUNT, &[], |row| row.get(0))?;
    if count.is_some_and(|count| usize::try_from(count).is_ok_and(|count| count >= max)) {
        return Ok(DrainAddition::TooMany);
    }
    let (stored, ended_at) = (to_stored_drain(drain), drain.ended_at.map(|at| at.0));
    let values = values![&drain.id, server, to_sql(drain.revision), ended_at, &stored];
    connection.execute(ADD, values)?;
    Ok(DrainAddition::Added)
}
