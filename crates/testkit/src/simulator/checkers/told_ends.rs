//! Rules for what front-ends are told of the ends of their meetings.

use std::collections::BTreeSet;

use app::ports::{EndCallbacks as _, Outbox as _};
use domain::MeetingKey;

use super::{CheckResult, FinalState, UseCaseOutcome};
use crate::simulator::front_end::told_meeting;
use crate::simulator::sim_meeting::SimMeeting;
use crate::simulator::sim_run::SimRun;
use crate::simulator::use_case::meeting_name;

/// A meeting that is younger, or was found again later, may have come while the message was sent, in ms. A replica whose
/// clock is behind that of the one that wrote the message sends it later by the difference.
const MAX_MESSAGE_MS: i64 = 3_000;

/// Notes how a create ended: if it succeeded, its front-end waits to be told of the end, and an earlier
/// end of the meeting counts no longer.
pub(crate) fn note_create(sim: &SimRun, key: &MeetingKey, outcome: &UseCaseOutcome) {
    let mut expectations = sim.expectations();
    let belief = expectations.end_beliefs.entry(key.clone()).or_default();
    belief.may_be_told = true;
    if matches!(outcome, UseCaseOutcome::Created(Ok(_))) {
        belief.waits = true;
        expectations.answered_at.insert(key.clone(), sim.now());
    }
}

/// Checks a call to the address of a front-end: nobody is told twice, or while the meeting runs.
pub(crate) fn check_told(sim: &SimRun, url: &str) {
    let Some(key) = told_meeting(url) else {
        return sim.record_check("ends_are_told_to_their_front_ends", Err(url.to_owned()));
    };
    sim.count_event("ends told");
    sim.write_trace(|| format!("a front-end is told of the end of {}", meeting_name(&key)));
    let now = sim.now();
    let (mut once, mut over) = (Ok(()), Ok(()));
    {
        let mut locked = sim.expectations();
        let expectations = &mut *locked;
        let belief = expectations.end_beliefs.entry(key.clone()).or_default();
        if !belief.may_be_told {
            once = Err(format!("the end of {} is told twice", meeting_name(&key)));
        }
        (belief.may_be_told, belief.waits) = (false, false);
        let record = expectations.last_snapshot.meeting(&key);
        let server = record.filter(|record| record.claim.is_none()).map(|record| &record.server);
        let mut sim_servers = sim.servers();
        if let Some(sim_server) = server.and_then(|server| sim_servers.get_mut(&server.0)) {
            sim_server.advance(now);
            // Another balancer's meeting, which no create of the front-end was answered with, is not the one that is over.
            let is_meant = |it: &&SimMeeting| !it.is_foreign() || it.acknowledged_at.is_some();
            let running = sim_server.meeting(&key).filter(is_meant);
            // Before its server lists it, nobody can find it there.
            let runs_since = running.map(|sim_meeting| sim_meeting.listed_since);
            let known_since = runs_since.max(expectations.recorded_since(&key));
            let message_ms = MAX_MESSAGE_MS + 2 * sim.scenario.skew_ms;
            let is_known =
                runs_since.and(known_since).is_some_and(|at| at < now.plus_ms(-message_ms));
            if is_known {
                let (name, host) = (meeting_name(&key), &sim_server.host);
                over = Err(format!("the end of {name} is told, which runs on {host}"));
            }
        }
    }
    sim.record_check("ends_are_told_once", once);
    sim.record_check("ends_are_told_when_meetings_are_over", over);
}

/// Returns the meetings whose end is not told for a reason: the message is under way, or the server
/// was removed and the meeting may turn up under another entry.
pub(crate) async fn list_excused(sim: &SimRun) -> BTreeSet<MeetingKey> {
    let messages = sim.records.list_messages(u32::MAX).await.unwrap_or_default();
    let mut excused: BTreeSet<MeetingKey> = messages
        .into_iter()
        .map(|message| MeetingKey { tenant: message.tenant, id: message.meeting_id })
        .collect();
    let keys: Vec<MeetingKey> = sim.expectations().end_beliefs.keys().cloned().collect();
    for key in keys {
        let callbacks = sim.records.list_end_callbacks(&key).await.unwrap_or_default();
        let expectations = sim.expectations();
        let store = &expectations.last_snapshot;
        let is_removed = callbacks.iter().any(|callback| {
            callback.server.as_ref().is_some_and(|server| store.server(server).is_none())
        });
        if is_removed {
            excused.insert(key);
        }
    }
    excused
}

/// Whoever waits for the end of a meeting was told, if the meeting is over.
pub(crate) fn ends_are_told(state: &FinalState<'_>) -> CheckResult {
    let waiting = state.expectations.end_beliefs.iter().filter(|(_, belief)| belief.waits);
    for (key, _) in waiting {
        let runs = state.servers.values().any(|server| server.meeting(key).is_some());
        if !runs && state.store.meeting(key).is_none() && !state.excused_ends.contains(key) {
            return Err(format!("the end of {} is not told", meeting_name(key)));
        }
    }
    Ok(())
}
