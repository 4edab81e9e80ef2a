//! Statements that are sent together with the next call: each one saves a round trip, and creates are
//! mostly waiting for those.

use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join, join_all};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

use super::types::OwnedValue;
use crate::sql::connection::SqlValue;

/// The maximum number of statements. `join_all` polls up to 30 futures in their order, which is the order in
/// which they are sent.
const MAX_DEFERRED: usize = 24;

/// Statements that have not been sent yet.
#[derive(Default)]
pub(super) struct Deferred(Vec<BoxFuture<'static, Result<u64, Error>>>);

impl Deferred {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MAX_DEFERRED
    }

    pub(super) fn add(
        &mut self,
        client: Arc<Client>,
        statement: Statement,
        values: &[SqlValue<'_>],
    ) {
        let values: Vec<OwnedValue> = values.iter().map(OwnedValue::new).collect();
        let call = async move {
            let references: Vec<&(dyn ToSql + Sync)> =
                values.iter().map(|value| value as _).collect();
            client.execute(&statement, &references).await
        };
        self.0.push(call.boxed());
    }

    /// Sends the statements and then the call. Fails if one of them does.
    pub(super) fn send_before<T>(
        &mut self,
        call: impl Future<Output = Result<T, Error>>,
    ) -> impl Future<Output = Result<T, Error>> {
        let deferred = std::mem::take(&mut self.0);
        async move {
            if deferred.is_empty() {
                return call.await;
            }
            // join() polls its first future first.
            let (earlier, result) = join(join_all(deferred), call).await;
            earlier.into_iter().collect::<Result<Vec<u64>, Error>>()?;
            result
        }
    }
}
