//! Recording a poll: read what it is judged by, judge it, and commit the outcome unless the data
//! has changed since.

use std::collections::{HashMap, HashSet};

use app::ports::{MeetingOnServer, PollReport, StoreError};
use domain::poll::{
    MeetingUpdate, PendingEnd, PollContext, PollObservation, PollOutcome, PollPolicy, apply_poll,
    list_unrecorded_keys,
};
use domain::{Meeting, MeetingKey, MeetingLoad, MeetingUsage, Server, ServerId};
use serde_json::{Map, Value, json};

use super::failures::{has_placement_change, judged_server};
use super::join::tenant_or_empty;
use super::rows::{self, ServerRow};
use super::script::{COMMIT_POLL, FIND_MEETINGS, READ_POLL_SNAPSHOT};
use super::servers::{counters, format_decimal, own_fields, polled_fields};
use super::{MAX_TRIES, PAGE_SIZE, RedisStore, busy_error, records};

/// The stored data that a poll is judged by.
struct PollSnapshot {
    row: ServerRow,
    /// The meetings of the server, with the names under which they are stored.
    meetings: Vec<(String, Meeting)>,
    /// Reported meetings that are recorded on another server, with the versions of their servers'
    /// data.
    recorded_elsewhere: Vec<(MeetingOnServer, String)>,
    pending_ends: Vec<PendingEnd>,
}

impl RedisStore {
    pub(super) async fn commit_poll(
        &self,
        id: &ServerId,
        observation: &PollObservation,
        policy: &PollPolicy,
        cycle: Option<u64>,
    ) -> Result<Option<PollReport>, StoreError> {
        self.adopt_if_due().await?;
        let cycle = cycle.map(|cycle| cycle.to_string()).unwrap_or_default();
        for _ in 0..MAX_TRIES {
            let Some(snapshot) = self.read_poll_snapshot(id, observation, &cycle).await? else {
                return Ok(None);
            };
            let mut server = snapshot.row.server.clone();
            let recorded_here: Vec<Meeting> =
                snapshot.meetings.iter().map(|(_, meeting)| meeting.clone()).collect();
            let recorded_elsewhere = snapshot.recorded_elsewhere.iter();
            let recorded_elsewhere: Vec<_> = recorded_elsewhere
                .map(|(meeting, _)| meeting.clone().into_recorded_elsewhere(&server))
                .collect();
            let context = PollContext {
                recorded_here: &recorded_here,
                recorded_elsewhere: &recorded_elsewhere,
                pending_ends: &snapshot.pending_ends,
            };
            let outcome = apply_poll(&mut server, context, observation, policy);
            let commit = commit_json(&snapshot, &server, &outcome, observation, &cycle);
            if !rows::is_one(&self.call_script(&COMMIT_POLL, &[commit.to_string()]).await?) {
                continue;
            }
            self.update_cached_server(&server);
            let is_forgotten =
                |(_, update): &&(MeetingKey, MeetingUpdate)| *update == MeetingUpdate::Forgotten;
            let keys = outcome.meeting_updates.iter().filter(is_forgotten).map(|(key, _)| key);
            let keys: HashSet<&MeetingKey> = keys.collect();
            let is_forgotten = |meeting: &Meeting| keys.contains(&meeting.key);
            let forgotten = recorded_here.into_iter().filter(is_forgotten).collect();
            return Ok(Some(PollReport { server, outcome, forgotten }));
        }
        Err(busy_error())
    }

    async fn read_poll_snapshot(
        &self,
        id: &ServerId,
        observation: &PollObservation,
        cycle: &str,
    ) -> Result<Option<PollSnapshot>, StoreError> {
        let found = self.call_script(&READ_POLL_SNAPSHOT, &[id.0.as_str(), cycle]).await?;
        let Some([server, meetings, pending_ends]) = rows::to_array::<3>(found)? else {
            return Ok(None);
        };
        let Some(row) = rows::read_server(server)? else {
            return Ok(None);
        };
        let meetings = rows::to_list(meetings).into_iter().map(rows::read_meeting);
        let mut meetings: Vec<(String, Meeting)> =
            meetings.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        meetings.sort_by(|a, b| a.1.key.cmp(&b.1.key));
        let pending_ends = rows::to_texts(pending_ends)?;
        let pending_ends = pending_ends.iter().map(|text| records::read_pending_end(id, text));
        let mut pending_ends: Vec<PendingEnd> = pending_ends.collect::<Result<_, _>>()?;
        pending_ends.sort_by(|a, b| a.key.cmp(&b.key));
        let recorded_here: Vec<Meeting> =
            meetings.iter().map(|(_, meeting)| meeting.clone()).collect();
        let mut recorded_elsewhere = Vec::new();
        for keys in list_unrecorded_keys(observation, &recorded_here).chunks(PAGE_SIZE) {
            let names: Vec<&str> =
                keys.iter().flat_map(|key| [tenant_or_empty(key), key.id.as_str()]).collect();
            let found = self.call_script(&FIND_MEETINGS, &names).await?;
            recorded_elsewhere.extend(rows::read_meetings_on_servers(found)?);
        }
        Ok(Some(PollSnapshot { row, meetings, recorded_elsewhere, pending_ends }))
    }
}

fn commit_json(
    snapshot: &PollSnapshot,
    server: &Server,
    outcome: &PollOutcome,
    observation: &PollObservation,
    cycle: &str,
) -> Value {
    let before = &snapshot.row.server;
    let mut own = own_fields(server);
    if !cycle.is_empty() {
        own.insert("last_poll_cycle".to_owned(), cycle.into());
    }
    if before.twin_of.is_some() && server.twin_of.is_none() {
        own.insert("twin_of".to_owned(), "".into());
    }
    let (fields, counters) = changed_hashes(before, server, observation.result.is_ok());
    let settled_ends: Vec<String> =
        outcome.settled_ends.iter().map(records::pending_end_field).collect();
    let mut commit = judged_server(&snapshot.row);
    commit["fields"] = fields.into();
    commit["counters"] = counters;
    commit["own"] = own.into();
    commit["state"] = server.state.name().into();
    commit["drained"] = outcome.drained.into();
    commit["changed"] = has_placement_change(before, server).into();
    commit["judged_meetings"] = judged_meetings_json(snapshot, outcome);
    commit["updates"] = updates_json(snapshot, outcome, observation);
    commit["adopted"] = outcome.adopted.iter().map(adopted_json).collect();
    commit["settled_ends"] = settled_ends.into();
    commit["new_ends"] = records::pending_ends_json(&outcome.new_ends);
    if let Some(load) = server.load {
        commit["load"] = format_decimal(load).into();
    }
    commit
}

/// Returns where adopted and unwanted meetings were recorded, for the script to check.
fn judged_meetings_json(snapshot: &PollSnapshot, outcome: &PollOutcome) -> Value {
    let adopted = outcome.adopted.iter().map(|meeting| &meeting.key);
    let keys = adopted.chain(outcome.unwanted.iter().map(|unwanted| &unwanted.key));
    let find_record = |key: &MeetingKey| {
        snapshot.recorded_elsewhere.iter().find(|(record, _)| record.meeting.key == *key)
    };
    keys.map(|key| {
        let mut judged = json!({ "tenant": tenant_or_empty(key), "id": key.id });
        if let Some((record, version)) = find_record(key) {
            judged["server"] = record.server.id.0.as_str().into();
            judged["version"] = version.as_str().into();
        }
        judged
    })
    .collect()
}

fn updates_json(
    snapshot: &PollSnapshot,
    outcome: &PollOutcome,
    observation: &PollObservation,
) -> Value {
    // Where both products have been used in turn, a meeting may be stored under two names.
    let mut names: HashMap<&MeetingKey, Vec<&str>> = HashMap::new();
    for (name, meeting) in &snapshot.meetings {
        names.entry(&meeting.key).or_default().push(name);
    }
    let mut updates = Vec::new();
    for (key, update) in &outcome.meeting_updates {
        let (kind, fields) = match update {
            MeetingUpdate::Reported(load, usage, origin) => {
                let mut fields = reported_fields(load, usage, observation);
                fields.extend(records::origin_pairs(origin));
                ("reported", fields)
            }
            MeetingUpdate::Missed(times) => {
                ("missed", vec!["missed_polls".to_owned(), times.to_string()])
            }
            MeetingUpdate::Detached => ("detached", Vec::new()),
            MeetingUpdate::Forgotten => ("forgotten", Vec::new()),
        };
        let names = names.get(key).into_iter().flatten();
        updates.extend(names.map(|name| json!([kind, name, fields])));
    }
    updates.into()
}

/// Returns our own fields of a meeting that the server reported.
fn reported_fields(
    load: &MeetingLoad,
    usage: &MeetingUsage,
    observation: &PollObservation,
) -> Vec<String> {
    let fields = [
        ("seen_at", observation.finished_at.0),
        ("expected_users", load.expected_users.into()),
        ("expected_until", load.expected_until.0),
        ("users", load.users.into()),
        ("peak_users", usage.peak_users.into()),
        ("busy_until", usage.busy_until.0),
        ("missed_polls", 0),
    ];
    fields.into_iter().flat_map(|(name, number)| [name.to_owned(), number.to_string()]).collect()
}

fn adopted_json(meeting: &Meeting) -> Value {
    let mut adopted =
        json!({ "meeting": records::meeting_json(meeting, &records::own_pairs(meeting)) });
    if let Some(bridge) = &meeting.voice_bridge {
        adopted["bridge"] = bridge.as_str().into();
    }
    if let Some(internal_id) = meeting.origin.proven_id() {
        adopted["proven_id"] = internal_id.into();
    }
    adopted
}

/// Returns what a poll writes to the original's hashes: all of it after a successful poll, only the
/// changes after a failed one.
fn changed_hashes(
    before: &Server,
    after: &Server,
    is_successful: bool,
) -> (Map<String, Value>, Value) {
    let (mut fields, mut counters_after) = (polled_fields(after), counters(after));
    if !is_successful {
        let old = polled_fields(before);
        fields.retain(|name, value| old.get(name) != Some(value));
        if counters_after == counters(before) {
            counters_after = json!({});
        }
    }
    (fields, counters_after)
}
