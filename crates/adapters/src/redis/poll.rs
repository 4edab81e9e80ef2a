//! Recording a poll: look, judge by the domain, commit unless something has changed meanwhile.

use std::collections::{HashMap, HashSet};

use app::ports::{PollReport, StoreError};
use domain::poll::{Fate, Observation, PollPolicy, Verdict, apply};
use domain::{Meeting, MeetingKey, Server, ServerId};
use serde_json::{Map, Value, json};

use super::rows::{self, ServerRow};
use super::script::{POLL_COMMIT, POLL_LOOK};
use super::servers::{counters, decimal, own_fields, polled_fields};
use super::{RedisStore, TRIES_MAX, busy};

/// The meetings of a server by the names under which they are stored.
type Known = Vec<(String, Meeting)>;

impl RedisStore {
    pub(super) async fn record(
        &self,
        id: &ServerId,
        observation: &Observation,
        policy: &PollPolicy,
        cycle: Option<u64>,
    ) -> Result<Option<PollReport>, StoreError> {
        self.adopt_now_and_then().await?;
        let cycle = cycle.map(|cycle| cycle.to_string()).unwrap_or_default();
        for _ in 0..TRIES_MAX {
            let Some((row, known)) = self.look_at(id, &cycle).await? else {
                return Ok(None);
            };
            let mut server = row.server.clone();
            let meetings: Vec<Meeting> = known.iter().map(|(_, one)| one.clone()).collect();
            let verdict = apply(&mut server, &meetings, observation, policy);
            let commit = commit(&row, &server, &verdict, &known, observation, &cycle);
            if !rows::is_one(&self.call(&POLL_COMMIT, &[commit.to_string()]).await?) {
                continue;
            }
            self.amend(&server);
            let gone: HashSet<&MeetingKey> = forgotten(&verdict).collect();
            let forgotten =
                meetings.iter().filter(|one| gone.contains(&one.key)).cloned().collect();
            return Ok(Some(PollReport { server, verdict, forgotten }));
        }
        Err(busy())
    }

    async fn look_at(
        &self,
        id: &ServerId,
        cycle: &str,
    ) -> Result<Option<(ServerRow, Known)>, StoreError> {
        let found = self.call(&POLL_LOOK, &[id.0.as_str(), cycle]).await?;
        let Some([server, meetings]) = rows::some::<2>(found)? else {
            return Ok(None);
        };
        let Some(row) = rows::server(server)? else {
            return Ok(None);
        };
        let meetings = rows::list(meetings).into_iter().map(rows::meeting);
        let mut known: Known = meetings.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        known.sort_by(|one, other| one.1.key.cmp(&other.1.key));
        Ok(Some((row, known)))
    }
}

fn forgotten(verdict: &Verdict) -> impl Iterator<Item = &MeetingKey> {
    verdict.fates.iter().filter(|(_, fate)| *fate == Fate::Forget).map(|(key, _)| key)
}

fn commit(
    before: &ServerRow,
    after: &Server,
    verdict: &Verdict,
    known: &Known,
    observation: &Observation,
    cycle: &str,
) -> Value {
    // In turns with the original, one meeting may have come to be stored under two names.
    let mut names: HashMap<&MeetingKey, Vec<&str>> = HashMap::new();
    for (name, one) in known {
        names.entry(&one.key).or_default().push(name);
    }
    let names_of = |key: &MeetingKey| names.get(key).cloned().unwrap_or_default();
    let seen: Vec<Value> = verdict
        .fates
        .iter()
        .filter_map(|(key, fate)| match fate {
            Fate::Forget => None,
            Fate::Seen(seats) => Some((key, seats)),
        })
        .flat_map(|(key, seats)| names_of(key).into_iter().map(move |name| (name, seats)))
        .map(|(name, seats)| {
            json!([
                name,
                observation.finished_at.0.to_string(),
                seats.reserved.to_string(),
                seats.reserved_until.0.to_string(),
                seats.users.to_string(),
            ])
        })
        .collect();
    let mut own = own_fields(after);
    if !cycle.is_empty() {
        own.insert("cycle".to_owned(), cycle.into());
    }
    let (fields, counters) = hashes(&before.server, after, observation.result.is_ok());
    let mut commit = json!({
        "id": after.id.0,
        "version": before.own.get("version").map_or("", String::as_str),
        "position": before.position,
        "fields": fields,
        "counters": counters,
        "own": own,
        "state": after.state.name(),
        "drained": verdict.drained,
        "changed": (before.server.online(), before.server.state) != (after.online(), after.state),
        "forget": forgotten(verdict).flat_map(names_of).collect::<Vec<_>>(),
        "seen": seen,
    });
    if let Some(load) = after.load {
        commit["load"] = decimal(load).into();
    }
    commit
}

/// What goes into the original's hashes. A poll that failed says nothing new of what it leaves as
/// it was.
fn hashes(before: &Server, after: &Server, answered: bool) -> (Map<String, Value>, Value) {
    let (mut fields, mut counted) = (polled_fields(after), counters(after));
    if !answered {
        let old = polled_fields(before);
        fields.retain(|name, value| old.get(name) != Some(value));
        if counted == counters(before) {
            counted = json!({});
        }
    }
    (fields, counted)
}
