//! Recording a poll: look, judge by the domain, commit unless something has changed meanwhile.

use std::collections::{HashMap, HashSet};

use app::ports::{Located, PollReport, StoreError};
use domain::poll::{Ending, Fate, Known, Observation, PollPolicy, Verdict, apply, reported_keys};
use domain::{Course, Meeting, MeetingKey, Seats, Server, ServerId};
use serde_json::{Map, Value, json};

use super::doubt::{ground, is_news};
use super::join::tenant;
use super::rows::{self, ServerRow};
use super::script::{ELSEWHERE, POLL_COMMIT, POLL_LOOK};
use super::servers::{counters, decimal, own_fields, polled_fields};
use super::{PAGE, RedisStore, TRIES_MAX, busy, records};

/// What a look at a server found.
struct Look {
    row: ServerRow,
    /// Its meetings by the names under which they are stored.
    here: Vec<(String, Meeting)>,
    /// Meetings that it reported and that are known elsewhere, with the versions of their servers.
    elsewhere: Vec<(Located, String)>,
    endings: Vec<Ending>,
}

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
            let Some(look) = self.look_at(id, observation, &cycle).await? else {
                return Ok(None);
            };
            let mut server = look.row.server.clone();
            let here: Vec<Meeting> = look.here.iter().map(|(_, one)| one.clone()).collect();
            let elsewhere = look.elsewhere.iter().map(|(one, _)| one.clone().elsewhere());
            let elsewhere: Vec<_> = elsewhere.collect();
            let known = Known { here: &here, elsewhere: &elsewhere, endings: &look.endings };
            let verdict = apply(&mut server, known, observation, policy);
            let commit = commit(&look, &server, &verdict, observation, &cycle);
            if !rows::is_one(&self.call(&POLL_COMMIT, &[commit.to_string()]).await?) {
                continue;
            }
            self.amend(&server);
            let gone = |(_, fate): &&(MeetingKey, Fate)| *fate == Fate::Forget;
            let gone: HashSet<&MeetingKey> =
                verdict.fates.iter().filter(gone).map(|(key, _)| key).collect();
            let forgotten = here.iter().filter(|one| gone.contains(&one.key)).cloned().collect();
            return Ok(Some(PollReport { server, verdict, forgotten }));
        }
        Err(busy())
    }

    async fn look_at(
        &self,
        id: &ServerId,
        observation: &Observation,
        cycle: &str,
    ) -> Result<Option<Look>, StoreError> {
        let found = self.call(&POLL_LOOK, &[id.0.as_str(), cycle]).await?;
        let Some([server, meetings, endings]) = rows::some::<3>(found)? else {
            return Ok(None);
        };
        let Some(row) = rows::server(server)? else {
            return Ok(None);
        };
        let meetings = rows::list(meetings).into_iter().map(rows::meeting);
        let mut here: Vec<(String, Meeting)> =
            meetings.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        here.sort_by(|one, other| one.1.key.cmp(&other.1.key));
        let endings = rows::texts(endings)?;
        let endings = endings.iter().map(|kept| records::ending(id, kept));
        let mut endings: Vec<Ending> = endings.collect::<Result<_, _>>()?;
        endings.sort_by(|one, other| one.key.cmp(&other.key));
        let recorded: Vec<Meeting> = here.iter().map(|(_, one)| one.clone()).collect();
        let mut elsewhere = Vec::new();
        for keys in reported_keys(observation, &recorded).chunks(PAGE) {
            let names: Vec<&str> =
                keys.iter().flat_map(|key| [tenant(key), key.id.as_str()]).collect();
            elsewhere.extend(rows::located_list(self.call(&ELSEWHERE, &names).await?)?);
        }
        Ok(Some(Look { row, here, elsewhere, endings }))
    }
}

fn commit(
    look: &Look,
    after: &Server,
    verdict: &Verdict,
    observation: &Observation,
    cycle: &str,
) -> Value {
    let before = &look.row.server;
    let mut own = own_fields(after);
    if !cycle.is_empty() {
        own.insert("cycle".to_owned(), cycle.into());
    }
    let (fields, counters) = hashes(before, after, observation.result.is_ok());
    let settled: Vec<String> = verdict.settled.iter().map(records::ending_field).collect();
    let mut commit = ground(&look.row);
    commit["fields"] = fields.into();
    commit["counters"] = counters;
    commit["own"] = own.into();
    commit["state"] = after.state.name().into();
    commit["drained"] = verdict.drained.into();
    commit["changed"] = is_news(before, after).into();
    commit["ground"] = elsewhere(look, verdict);
    commit["fates"] = fates(look, verdict, observation);
    commit["adopted"] = verdict.adopted.iter().map(adopted).collect();
    commit["settled"] = settled.into();
    if let Some(load) = after.load {
        commit["load"] = decimal(load).into();
    }
    commit
}

/// Where the meetings were known that are taken over or ended.
fn elsewhere(look: &Look, verdict: &Verdict) -> Value {
    let adopted = verdict.adopted.iter().map(|meeting| &meeting.key);
    let keys = adopted.chain(verdict.strays.iter().map(|stray| &stray.key));
    let known = |key: &MeetingKey| look.elsewhere.iter().find(|(one, _)| one.meeting.key == *key);
    keys.map(|key| {
        let mut place = json!({ "tenant": tenant(key), "id": key.id });
        if let Some((located, version)) = known(key) {
            place["server"] = located.server.id.0.as_str().into();
            place["version"] = version.as_str().into();
        }
        place
    })
    .collect()
}

fn fates(look: &Look, verdict: &Verdict, observation: &Observation) -> Value {
    // In turns with the original, one meeting may have come to be stored under two names.
    let mut names: HashMap<&MeetingKey, Vec<&str>> = HashMap::new();
    for (name, one) in &look.here {
        names.entry(&one.key).or_default().push(name);
    }
    let mut fates = Vec::new();
    for (key, fate) in &verdict.fates {
        let (what, fields) = match fate {
            Fate::Seen(seats, course) => ("seen", seen(seats, course, observation)),
            Fate::Missed(times) => ("missed", vec!["missed".to_owned(), times.to_string()]),
            Fate::Detach => ("detach", Vec::new()),
            Fate::Forget => ("forget", Vec::new()),
        };
        let named = names.get(key).into_iter().flatten();
        fates.extend(named.map(|name| json!([what, name, fields])));
    }
    fates.into()
}

/// Our fields of a meeting that was seen.
fn seen(seats: &Seats, course: &Course, observation: &Observation) -> Vec<String> {
    let fields = [
        ("seen_at", observation.finished_at.0),
        ("reserved", seats.reserved.into()),
        ("reserved_until", seats.reserved_until.0),
        ("users", seats.users.into()),
        ("peak_users", course.peak_users.into()),
        ("busy_until", course.busy_until.0),
        ("missed", 0),
    ];
    fields.into_iter().flat_map(|(name, number)| [name.to_owned(), number.to_string()]).collect()
}

fn adopted(meeting: &Meeting) -> Value {
    let mut one = json!({ "meeting": records::record(meeting, &records::own_pairs(meeting)) });
    if let Some(bridge) = &meeting.voice_bridge {
        one["bridge"] = bridge.as_str().into();
    }
    one
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
