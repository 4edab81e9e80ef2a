//! Who does what is due once in every interval.

use app::ports::{StoreError, Turn, Turns};
use async_trait::async_trait;
use domain::Timestamp;
use domain::turn::{Cycle, next};

use super::session::{Session, values};
use super::{Database, SqlStore};

#[async_trait]
impl<D: Database> Turns for SqlStore<D> {
    async fn turn(&self, work: &str, now: Timestamp, interval_ms: i64) -> Result<Turn, StoreError> {
        let work = work.to_owned();
        self.write(move |session| take(session, &work, now, interval_ms)).await
    }
}

fn take(
    session: &mut dyn Session,
    work: &str,
    now: Timestamp,
    interval_ms: i64,
) -> Result<Turn, StoreError> {
    const LAST: &str = "SELECT number, begun_at FROM turns WHERE work = ?1";
    const BEGIN: &str = "INSERT INTO turns (work, number, begun_at) VALUES (?1, ?2, ?3) \
        ON CONFLICT (work) DO UPDATE SET number = excluded.number, begun_at = excluded.begun_at";
    let last = session.first(LAST, values![work], |row| {
        Ok(Cycle { number: row.get(0)?, begun_at: Timestamp(row.get(1)?) })
    })?;
    match next(last, now, interval_ms) {
        Ok(Cycle { number, begun_at }) => {
            let counted = i64::try_from(number).unwrap_or(i64::MAX);
            session.execute(BEGIN, values![work, counted, begun_at.0])?;
            Ok(Turn::Yours(number))
        }
        Err(due) => Ok(Turn::NotBefore(due)),
    }
}
