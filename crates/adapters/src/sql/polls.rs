//! Recording polls and failed calls of a server.

use std::collections::HashSet;

use app::ports::{PollReport, StoreError};
use domain::health::{ServerFailure, Thresholds};
use domain::poll::{
    MeetingUpdate, PollContext, PollObservation, PollOutcome, PollPolicy, apply_poll,
    list_unrecorded_keys,
};
use domain::{Meeting, MeetingKey, ServerId};

use super::connection::{SqlConnection, values};
use super::{kept_creates, meetings, pending_ends, servers};

/// Makes this cycle the last poll cycle of a server; returns false if a later cycle has recorded a
/// poll.
fn begin_cycle(
    connection: &mut dyn SqlConnection,
    id: &ServerId,
    cycle: u64,
) -> Result<bool, StoreError> {
    const BEGIN: &str = "UPDATE servers SET last_poll_cycle = ?2 \
        WHERE id = ?1 AND (last_poll_cycle IS NULL OR last_poll_cycle <= ?2)";
    let cycle = i64::try_from(cycle).unwrap_or(i64::MAX);
    Ok(connection.execute(BEGIN, values![&id.0, cycle])? == 1)
}

pub(super) fn record_failure(
    connection: &mut dyn SqlConnection,
    id: &ServerId,
    failure: ServerFailure,
    thresholds: Thresholds,
) -> Result<(), StoreError> {
    let Some(mut server) = servers::find(connection, id)? else {
        return Ok(());
    };
    server.health.record_live_failure(failure, thresholds);
    servers::replace(connection, &server).map(drop)
}

pub(super) fn record_poll(
    connection: &mut dyn SqlConnection,
    id: &ServerId,
    observation: &PollObservation,
    policy: &PollPolicy,
    cycle: Option<u64>,
) -> Result<Option<PollReport>, StoreError> {
    if let Some(cycle) = cycle
        && !begin_cycle(connection, id, cycle)?
    {
        return Ok(None);
    }
    let Some(mut server) = servers::find(connection, id)? else {
        return Ok(None);
    };
    let recorded_here = meetings::list_by_server(connection, id)?;
    let mut recorded_elsewhere = Vec::new();
    for key in list_unrecorded_keys(observation, &recorded_here) {
        recorded_elsewhere.extend(
            meetings::find(connection, &key)?.map(|found| found.into_recorded_elsewhere(&server)),
        );
    }
    let pending_ends = pending_ends::list_by_server(connection, id)?;
    let context = PollContext {
        recorded_here: &recorded_here,
        recorded_elsewhere: &recorded_elsewhere,
        pending_ends: &pending_ends,
    };
    let outcome = apply_poll(&mut server, context, observation, policy);
    servers::replace(connection, &server)?;
    write_outcome(connection, id, &recorded_here, &outcome, observation)?;
    let forgotten_key = |(key, update): &(MeetingKey, MeetingUpdate)| {
        (*update == MeetingUpdate::Forgotten).then(|| key.clone())
    };
    let keys: HashSet<MeetingKey> =
        outcome.meeting_updates.iter().filter_map(forgotten_key).collect();
    let forgotten =
        recorded_here.into_iter().filter(|meeting| keys.contains(&meeting.key)).collect();
    Ok(Some(PollReport { server, outcome, forgotten }))
}

/// Writes what a poll changes of meetings, in the order of the outcome: a voice bridge may pass
/// from one meeting to the next.
fn write_outcome(
    connection: &mut dyn SqlConnection,
    id: &ServerId,
    recorded_here: &[Meeting],
    outcome: &PollOutcome,
    observation: &PollObservation,
) -> Result<(), StoreError> {
    for (key, update) in &outcome.meeting_updates {
        match update {
            MeetingUpdate::Reported(load, usage, origin) => {
                let mut detached = recorded_here.iter().filter(|meeting| meeting.detached);
                if let Some(meeting) = detached.find(|meeting| meeting.key == *key) {
                    meetings::attach(connection, meeting)?;
                }
                let seen_at = observation.finished_at;
                meetings::record_seen(connection, key, seen_at, load, usage, origin)?;
            }
            MeetingUpdate::Missed(times) => meetings::record_missed(connection, key, *times)?,
            MeetingUpdate::Detached => meetings::detach(connection, key)?,
            MeetingUpdate::Forgotten => meetings::delete(connection, key)?,
        }
    }
    for meeting in &outcome.adopted {
        let kept = match meeting.origin.proven_id() {
            Some(internal_id) => kept_creates::take(connection, &meeting.key, internal_id)?,
            None => None,
        };
        meetings::delete(connection, &meeting.key)?;
        let adopted = meetings::with_free_bridge(connection, meeting.clone())?;
        meetings::insert(connection, &adopted)?;
        if let Some(kept) = kept {
            kept_creates::keep(connection, &meeting.key, &kept)?;
        }
    }
    for key in &outcome.settled_ends {
        pending_ends::forget(connection, id, key)?;
    }
    pending_ends::put_all(connection, &outcome.new_ends)
}
