//! A poll of a server, recorded.

use std::collections::HashSet;

use app::ports::{MeetingOnServer, PollReport, StoreError};
use domain::health::{ServerFailure, Thresholds};
use domain::poll::{
    MeetingUpdate, PollContext, PollObservation, PollOutcome, PollPolicy, apply_poll,
    list_unrecorded_keys,
};
use domain::{Meeting, MeetingKey, ServerId};

use super::connection::{SqlConnection, values};
use super::{meetings, pending_ends, servers};

/// The cycle is the server's last one from now on; false if a later one was there already.
fn begin_cycle(
    session: &mut dyn SqlConnection,
    id: &ServerId,
    cycle: u64,
) -> Result<bool, StoreError> {
    const BEGIN: &str = "UPDATE servers SET last_poll_cycle = ?2 \
        WHERE id = ?1 AND (last_poll_cycle IS NULL OR last_poll_cycle <= ?2)";
    let cycle = i64::try_from(cycle).unwrap_or(i64::MAX);
    Ok(session.execute(BEGIN, values![&id.0, cycle])? == 1)
}

pub(super) fn record_failure(
    session: &mut dyn SqlConnection,
    id: &ServerId,
    failure: ServerFailure,
    thresholds: Thresholds,
) -> Result<(), StoreError> {
    let Some(mut server) = servers::find(session, id)? else {
        return Ok(());
    };
    server.health.record_live_failure(failure, thresholds);
    servers::replace(session, &server).map(drop)
}

pub(super) fn record_poll(
    session: &mut dyn SqlConnection,
    id: &ServerId,
    observation: &PollObservation,
    policy: &PollPolicy,
    cycle: Option<u64>,
) -> Result<Option<PollReport>, StoreError> {
    if let Some(cycle) = cycle
        && !begin_cycle(session, id, cycle)?
    {
        return Ok(None);
    }
    let Some(mut server) = servers::find(session, id)? else {
        return Ok(None);
    };
    let here = meetings::list_by_server(session, id)?;
    let mut elsewhere = Vec::new();
    for key in list_unrecorded_keys(observation, &here) {
        elsewhere
            .extend(meetings::find(session, &key)?.map(MeetingOnServer::into_recorded_elsewhere));
    }
    let endings = pending_ends::list_by_server(session, id)?;
    let known = PollContext {
        recorded_here: &here,
        recorded_elsewhere: &elsewhere,
        pending_ends: &endings,
    };
    let verdict = apply_poll(&mut server, known, observation, policy);
    servers::replace(session, &server)?;
    write_outcome(session, id, &here, &verdict, observation)?;
    let forget = |(key, fate): &(MeetingKey, MeetingUpdate)| {
        (*fate == MeetingUpdate::Forgotten).then(|| key.clone())
    };
    let gone: HashSet<MeetingKey> = verdict.meeting_updates.iter().filter_map(forget).collect();
    let forgotten = here.into_iter().filter(|meeting| gone.contains(&meeting.key)).collect();
    Ok(Some(PollReport { server, outcome: verdict, forgotten }))
}

/// What a verdict says of meetings, in its order: numbers pass from one to the next.
fn write_outcome(
    session: &mut dyn SqlConnection,
    id: &ServerId,
    here: &[Meeting],
    verdict: &PollOutcome,
    observation: &PollObservation,
) -> Result<(), StoreError> {
    for (key, fate) in &verdict.meeting_updates {
        match fate {
            MeetingUpdate::Reported(seats, course) => {
                if let Some(meeting) = here.iter().find(|one| one.detached && one.key == *key) {
                    meetings::attach(session, meeting)?;
                }
                meetings::record_seen(session, key, observation.finished_at, seats, course)?;
            }
            MeetingUpdate::Missed(times) => meetings::record_missed(session, key, *times)?,
            MeetingUpdate::Detached => meetings::detach(session, key)?,
            MeetingUpdate::Forgotten => meetings::delete(session, key)?,
        }
    }
    for meeting in &verdict.adopted {
        meetings::delete(session, &meeting.key)?;
        let adopted: Meeting = meetings::with_free_bridge(session, meeting.clone())?;
        meetings::insert(session, &adopted)?;
    }
    for key in &verdict.settled_ends {
        pending_ends::forget(session, id, key)?;
    }
    Ok(())
}
