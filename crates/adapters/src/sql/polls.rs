//! A poll of a server, recorded.

use std::collections::HashSet;

use app::ports::{Located, PollReport, StoreError};
use domain::health::{Failure, Thresholds};
use domain::poll::{Fate, Known, Observation, PollPolicy, Verdict, apply, reported_keys};
use domain::{Meeting, MeetingKey, ServerId};

use super::session::{Session, values};
use super::{endings, meetings, servers};

/// The cycle is the server's last one from now on; false if a later one was there already.
fn begin_cycle(session: &mut dyn Session, id: &ServerId, cycle: u64) -> Result<bool, StoreError> {
    const BEGIN: &str = "UPDATE servers SET polled_in = ?2 \
        WHERE id = ?1 AND (polled_in IS NULL OR polled_in <= ?2)";
    let cycle = i64::try_from(cycle).unwrap_or(i64::MAX);
    Ok(session.execute(BEGIN, values![&id.0, cycle])? == 1)
}

pub(super) fn record_failure(
    session: &mut dyn Session,
    id: &ServerId,
    failure: Failure,
    thresholds: Thresholds,
) -> Result<(), StoreError> {
    let Some(mut server) = servers::one(session, id)? else {
        return Ok(());
    };
    server.health.doubt(failure, thresholds);
    servers::replace(session, &server).map(drop)
}

pub(super) fn record(
    session: &mut dyn Session,
    id: &ServerId,
    observation: &Observation,
    policy: &PollPolicy,
    cycle: Option<u64>,
) -> Result<Option<PollReport>, StoreError> {
    if let Some(cycle) = cycle
        && !begin_cycle(session, id, cycle)?
    {
        return Ok(None);
    }
    let Some(mut server) = servers::one(session, id)? else {
        return Ok(None);
    };
    let here = meetings::of_server(session, id)?;
    let mut elsewhere = Vec::new();
    for key in reported_keys(observation, &here) {
        elsewhere.extend(meetings::locate(session, &key)?.map(Located::elsewhere));
    }
    let endings = endings::of_server(session, id)?;
    let known = Known { here: &here, elsewhere: &elsewhere, endings: &endings };
    let verdict = apply(&mut server, known, observation, policy);
    servers::replace(session, &server)?;
    write(session, id, &here, &verdict, observation)?;
    let forget = |(key, fate): &(MeetingKey, Fate)| (*fate == Fate::Forget).then(|| key.clone());
    let gone: HashSet<MeetingKey> = verdict.fates.iter().filter_map(forget).collect();
    let forgotten = here.into_iter().filter(|meeting| gone.contains(&meeting.key)).collect();
    Ok(Some(PollReport { server, verdict, forgotten }))
}

/// What a verdict says of meetings, in its order: numbers pass from one to the next.
fn write(
    session: &mut dyn Session,
    id: &ServerId,
    here: &[Meeting],
    verdict: &Verdict,
    observation: &Observation,
) -> Result<(), StoreError> {
    for (key, fate) in &verdict.fates {
        match fate {
            Fate::Seen(seats, course) => {
                if let Some(meeting) = here.iter().find(|one| one.detached && one.key == *key) {
                    meetings::attach(session, meeting)?;
                }
                meetings::seen(session, key, observation.finished_at, seats, course)?;
            }
            Fate::Missed(times) => meetings::missed(session, key, *times)?,
            Fate::Detach => meetings::detach(session, key)?,
            Fate::Forget => meetings::delete(session, key)?,
        }
    }
    for meeting in &verdict.adopted {
        meetings::delete(session, &meeting.key)?;
        let adopted: Meeting = meetings::with_free_bridge(session, meeting.clone())?;
        meetings::insert(session, &adopted)?;
    }
    for key in &verdict.settled {
        endings::forget(session, id, key)?;
    }
    Ok(())
}
