//! A call to a server failed that was no poll: look, judge by the domain, commit.

use app::ports::StoreError;
use domain::health::{ServerFailure, Thresholds};
use domain::{Server, ServerId};
use serde_json::{Value, json};

use super::rows::{self, ServerRow};
use super::script::{COMMIT_FAILURE, FIND_SERVER};
use super::servers::{counters, own_fields};
use super::{MAX_TRIES, RedisStore, busy_error};

/// What a commit knows of the server that it was judged by.
pub(super) fn judged_server(row: &ServerRow) -> Value {
    json!({
        "id": row.server.id.0,
        "version": row.own_fields.get("version").map_or("", String::as_str),
        "position": row.position,
    })
}

/// Whether other processes must not choose by what they remember of the server.
pub(super) fn has_placement_change(before: &Server, after: &Server) -> bool {
    let told = |one: &Server| {
        let health = &one.health;
        let counts = (health.healthy_count, health.unhealthy_count, health.relapses);
        // A limit counts what is there and what was placed since.
        let meetings = one.limits.max_meetings.map(|_| one.stats.meetings);
        (one.state, health.online, counts, meetings)
    };
    told(before) != told(after)
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
            let mut doubt = judged_server(&row);
            let counted = counters(&server);
            let same = counted == counters(&row.server);
            doubt["counters"] = if same { json!({}) } else { counted };
            let mut own = own_fields(&server);
            own.remove("placed_since_poll");
            doubt["own"] = own.into();
            doubt["changed"] = has_placement_change(&row.server, &server).into();
            if rows::is_one(&self.call_script(&COMMIT_FAILURE, &[doubt.to_string()]).await?) {
                self.update_cached_server(&server);
                return Ok(());
            }
        }
        Err(busy_error())
    }
}
