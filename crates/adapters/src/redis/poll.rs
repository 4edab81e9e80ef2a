//! Recording a poll: look, judge by the domain, commit unless something has changed meanwhile.

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

/// What a look at a server found.
struct PollSnapshot {
    row: ServerRow,
    /// Its meetings by the names under which they are stored.
    meetings: Vec<(String, Meeting)>,
    /// Meetings that it reported and that are known elsewhere, with the versions of their servers.
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
            let Some(look) = self.read_poll_snapshot(id, observation, &cycle).await? else {
                return Ok(None);
            };
            let mut server = look.row.server.clone();
            let here: Vec<Meeting> = look.meetings.iter().map(|(_, one)| one.clone()).collect();
            let elsewhere = look
                .recorded_elsewhere
                .iter()
                .map(|(one, _)| one.clone().into_recorded_elsewhere());
            let elsewhere: Vec<_> = elsewhere.collect();
            let known = PollContext {
                recorded_here: &here,
                recorded_elsewhere: &elsewhere,
                pending_ends: &look.pending_ends,
            };
            let verdict = apply_poll(&mut server, known, observation, policy);
            let commit = commit_json(&look, &server, &verdict, observation, &cycle);
            if !rows::is_one(&self.call_script(&COMMIT_POLL, &[commit.to_string()]).await?) {
                continue;
            }
            self.update_cached_server(&server);
            let gone = |(_, fate): &&(MeetingKey, MeetingUpdate)| *fate == MeetingUpdate::Forgotten;
            let gone: HashSet<&MeetingKey> =
                verdict.meeting_updates.iter().filter(gone).map(|(key, _)| key).collect();
            let forgotten = here.iter().filter(|one| gone.contains(&one.key)).cloned().collect();
            return Ok(Some(PollReport { server, outcome: verdict, forgotten }));
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
        let Some([server, meetings, endings]) = rows::to_array::<3>(found)? else {
            return Ok(None);
        };
        let Some(row) = rows::read_server(server)? else {
            return Ok(None);
        };
        let meetings = rows::to_list(meetings).into_iter().map(rows::read_meeting);
        let mut here: Vec<(String, Meeting)> =
            meetings.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        here.sort_by(|one, other| one.1.key.cmp(&other.1.key));
        let endings = rows::to_texts(endings)?;
        let endings = endings.iter().map(|kept| records::read_pending_end(id, kept));
        let mut endings: Vec<PendingEnd> = endings.collect::<Result<_, _>>()?;
        endings.sort_by(|one, other| one.key.cmp(&other.key));
        let recorded: Vec<Meeting> = here.iter().map(|(_, one)| one.clone()).collect();
        let mut elsewhere = Vec::new();
        for keys in list_unrecorded_keys(observation, &recorded).chunks(PAGE_SIZE) {
            let names: Vec<&str> =
                keys.iter().flat_map(|key| [tenant_or_empty(key), key.id.as_str()]).collect();
            elsewhere.extend(rows::read_meetings_on_servers(
                self.call_script(&FIND_MEETINGS, &names).await?,
            )?);
        }
        Ok(Some(PollSnapshot {
            row,
            meetings: here,
            recorded_elsewhere: elsewhere,
            pending_ends: endings,
        }))
    }
}

fn commit_json(
    look: &PollSnapshot,
    after: &Server,
    verdict: &PollOutcome,
    observation: &PollObservation,
    cycle: &str,
) -> Value {
    let before = &look.row.server;
    let mut own = own_fields(after);
    if !cycle.is_empty() {
        own.insert("last_poll_cycle".to_owned(), cycle.into());
    }
    let (fields, counters) = changed_hashes(before, after, observation.result.is_ok());
    let settled: Vec<String> =
        verdict.settled_ends.iter().map(records::pending_end_field).collect();
    let mut commit = judged_server(&look.row);
    commit["fields"] = fields.into();
    commit["counters"] = counters;
    commit["own"] = own.into();
    commit["state"] = after.state.name().into();
    commit["drained"] = verdict.drained.into();
    commit["changed"] = has_placement_change(before, after).into();
    commit["judged_meetings"] = judged_meetings_json(look, verdict);
    commit["updates"] = updates_json(look, verdict, observation);
    commit["adopted"] = verdict.adopted.iter().map(adopted_json).collect();
    commit["settled_ends"] = settled.into();
    if let Some(load) = after.load {
        commit["load"] = format_decimal(load).into();
    }
    commit
}

/// Where the meetings were known that are taken over or ended.
fn judged_meetings_json(look: &PollSnapshot, verdict: &PollOutcome) -> Value {
    let adopted = verdict.adopted.iter().map(|meeting| &meeting.key);
    let keys = adopted.chain(verdict.unwanted.iter().map(|stray| &stray.key));
    let known =
        |key: &MeetingKey| look.recorded_elsewhere.iter().find(|(one, _)| one.meeting.key == *key);
    keys.map(|key| {
        let mut place = json!({ "tenant": tenant_or_empty(key), "id": key.id });
        if let Some((located, version)) = known(key) {
            place["server"] = located.server.id.0.as_str().into();
            place["version"] = version.as_str().into();
        }
        place
    })
    .collect()
}

fn updates_json(
    look: &PollSnapshot,
    verdict: &PollOutcome,
    observation: &PollObservation,
) -> Value {
    // In turns with the original, one meeting may have come to be stored under two names.
    let mut names: HashMap<&MeetingKey, Vec<&str>> = HashMap::new();
    for (name, one) in &look.meetings {
        names.entry(&one.key).or_default().push(name);
    }
    let mut fates = Vec::new();
    for (key, fate) in &verdict.meeting_updates {
        let (what, fields) = match fate {
            MeetingUpdate::Reported(seats, course) => {
                ("reported", seen_fields(seats, course, observation))
            }
            MeetingUpdate::Missed(times) => {
                ("missed", vec!["missed_polls".to_owned(), times.to_string()])
            }
            MeetingUpdate::Detached => ("detached", Vec::new()),
            MeetingUpdate::Forgotten => ("forgotten", Vec::new()),
        };
        let named = names.get(key).into_iter().flatten();
        fates.extend(named.map(|name| json!([what, name, fields])));
    }
    fates.into()
}

/// Our fields of a meeting that was seen.
fn seen_fields(
    seats: &MeetingLoad,
    course: &MeetingUsage,
    observation: &PollObservation,
) -> Vec<String> {
    let fields = [
        ("seen_at", observation.finished_at.0),
        ("expected_users", seats.expected_users.into()),
        ("expected_until", seats.expected_until.0),
        ("users", seats.users.into()),
        ("peak_users", course.peak_users.into()),
        ("busy_until", course.busy_until.0),
        ("missed_polls", 0),
    ];
    fields.into_iter().flat_map(|(name, number)| [name.to_owned(), number.to_string()]).collect()
}

fn adopted_json(meeting: &Meeting) -> Value {
    let mut one =
        json!({ "meeting": records::meeting_json(meeting, &records::own_pairs(meeting)) });
    if let Some(bridge) = &meeting.voice_bridge {
        one["bridge"] = bridge.as_str().into();
    }
    one
}

/// What goes into the original's hashes. A poll that failed says nothing new of what it leaves as
/// it was.
fn changed_hashes(before: &Server, after: &Server, answered: bool) -> (Map<String, Value>, Value) {
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
