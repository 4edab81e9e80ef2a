//! A call to a server failed that was no poll: look, judge by the domain, commit.

use app::ports::StoreError;
use domain::health::{Failure, Thresholds};
use domain::{Server, ServerId};
use serde_json::{Value, json};

use super::rows::{self, ServerRow};
use super::script::{DOUBT, SERVER};
use super::servers::{counters, own_fields};
use super::{RedisStore, TRIES_MAX, busy};

/// What a commit knows of the server that it was judged by.
pub(super) fn ground(row: &ServerRow) -> Value {
    json!({
        "id": row.server.id.0,
        "version": row.own.get("version").map_or("", String::as_str),
        "position": row.position,
    })
}

/// Whether other processes must not choose by what they remember of the server.
pub(super) fn is_news(before: &Server, after: &Server) -> bool {
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
    pub(super) async fn doubt(
        &self,
        id: &ServerId,
        failure: &Failure,
        thresholds: Thresholds,
    ) -> Result<(), StoreError> {
        for _ in 0..TRIES_MAX {
            let Some(row) = rows::server(self.call(&SERVER, &[&id.0]).await?)? else {
                return Ok(());
            };
            let mut server = row.server.clone();
            server.health.doubt(failure.clone(), thresholds);
            let mut doubt = ground(&row);
            let counted = counters(&server);
            let same = counted == counters(&row.server);
            doubt["counters"] = if same { json!({}) } else { counted };
            let mut own = own_fields(&server);
            own.remove("placed");
            doubt["own"] = own.into();
            doubt["changed"] = is_news(&row.server, &server).into();
            if rows::is_one(&self.call(&DOUBT, &[doubt.to_string()]).await?) {
                self.amend(&server);
                return Ok(());
            }
        }
        Err(busy())
    }
}
