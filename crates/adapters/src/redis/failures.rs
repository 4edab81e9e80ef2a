//! Recording failed calls to a server: read the server, apply the failure, and commit unless the
//! server has changed since.

use app::ports::StoreError;
use domain::health::{ServerFailure, Thresholds};
use domain::{Server, ServerId};
use serde_json::{Value, json};

use super::rows::{self, ServerRow};
use super::script::{COMMIT_FAILURE, FIND_SERVER};
use super::servers::{counters, own_fields};
use super::{MAX_TRIES, RedisStore, busy_error};

/// Returns the state of a server that a commit is based on, for scripts that check it.
pub(super) fn judged_server(row: &ServerRow) -> Value {
    json!({
        "id": row.server.id.0,
        "version": row.own_fields.get("version").map_or("", String::as_str),
        "position": row.position,
    })
}

/// Whether a change of a server affects placement, so that other processes must not use their
/// cached servers.
pub(super) fn has_placement_change(before: &Server, after: &Server) -> bool {
    let relevant_fields = |server: &Server| {
        let health = &server.health;
        let counts = (health.healthy_count, health.unhealthy_count, health.relapses);
        // The number of meetings matters only if it is limited.
        let meetings = server.limits.max_meetings.map(|_| server.stats.meetings);
        (server.state, health.online, counts, meetings)
    };
    relevant_fields(before) != relevant_fields(after)
}

impl RedisStore {
    pub(super) async fn commit_failure(
        &self,
        id: &ServerId,
        failure: &ServerFailure,
        thresholds: Thresholds,
    ) -> Result<(), StoreError> {
        for _ in 0..MAX_TRIES {
            let Some(row) = rows::read_server(self.call_script(&FIND_SERVER, &[&id.0]).await?)?
            else {
                return Ok(());
            };
            let mut server = row.server.clone();
            server.health.record_live_failure(failure.clone(), thresholds);
            let mut commit = judged_server(&row);
            let counters_after = counters(&server);
            let is_same = counters_after == counters(&row.server);
            commit["counters"] = if is_same { json!({}) } else { counters_after };
            let mut own = own_fields(&server);
            own.remove("placed_since_poll");
            commit["own"] = own.into();
            commit["changed"] = has_placement_change(&row.server, &server).into();
            if rows::is_one(&self.call_script(&COMMIT_FAILURE, &[commit.to_string()]).await?) {
                self.update_cached_server(&server);
                return Ok(());
            }
        }
        Err(busy_error())
    }
}
