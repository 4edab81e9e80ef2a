//! Places: given, confirmed, given back.

use app::ports::{MeetingOnServer, PlaceOutcome, PlaceRequest, RecordConflict, StoreError};
use domain::confirmation::{self, ConfirmationEffect};
use domain::placement::choose_server;
use domain::poll::PendingEnd;
use domain::{Meeting, MeetingKey, Server, Timestamp};

use super::connection::SqlConnection;
use super::{meetings, pending_ends, servers};

/// Removes a meeting as if it had never been placed.
fn undo_placement(session: &mut dyn SqlConnection, meeting: &Meeting) -> Result<(), StoreError> {
    meetings::delete(session, &meeting.key)?;
    let taken = if meeting.detached { 0 } else { meeting.load.counted_users(meeting.placed_at) };
    servers::add_load(session, &meeting.server, -f64::from(taken), -1)
}

/// Counts a meeting that was inserted, which is wanted there.
fn count_placement(
    session: &mut dyn SqlConnection,
    meeting: &Meeting,
    now: Timestamp,
) -> Result<(), StoreError> {
    servers::add_load(session, &meeting.server, f64::from(meeting.load.counted_users(now)), 1)?;
    pending_ends::forget(session, &meeting.server, &meeting.key)
}

pub(super) fn place_meeting(
    session: &mut dyn SqlConnection,
    mut request: PlaceRequest,
) -> Result<PlaceOutcome, StoreError> {
    let mut in_the_way = None;
    if let Some(known) = meetings::find(session, &request.key)? {
        match request.classify_conflict(&known) {
            RecordConflict::Blocking => return Ok(PlaceOutcome::Existing(known)),
            RecordConflict::Expired => undo_placement(session, &known.meeting)?,
            RecordConflict::Replaceable => in_the_way = Some(known.meeting),
        }
    }
    let servers = servers::list_all(session)?;
    request.criteria.same_id_servers =
        meetings::list_servers_of_other_tenants(session, &request.key)?;
    let (server, reason) = match choose_server(&servers, &request.criteria) {
        Ok(choice) => (choice.server.clone(), choice.reason),
        Err(refusal) => return Ok(PlaceOutcome::Refused(refusal)),
    };
    let Some(old) = in_the_way else {
        return put_on_server(session, request, server, reason);
    };
    let Some(number) = find_free_bridge(session, &request)? else {
        return Ok(PlaceOutcome::NoVoiceBridge);
    };
    request.voice_bridges = vec![number];
    undo_placement(session, &old)?;
    // It may have been there.
    let server = servers::find(session, &server.id)?.unwrap_or(server);
    put_on_server(session, request, server, reason)
}

/// The first number that is no other meeting's.
fn find_free_bridge(
    session: &mut dyn SqlConnection,
    request: &PlaceRequest,
) -> Result<Option<String>, StoreError> {
    for number in &request.voice_bridges {
        if meetings::find_by_voice_bridge(session, number)?
            .is_none_or(|holder| holder == request.key)
        {
            return Ok(Some(number.clone()));
        }
    }
    Ok(None)
}

/// Puts a meeting that is not there on the server.
fn put_on_server(
    session: &mut dyn SqlConnection,
    mut request: PlaceRequest,
    mut server: Server,
    reason: String,
) -> Result<PlaceOutcome, StoreError> {
    let numbers = std::mem::take(&mut request.voice_bridges);
    let unwanted = std::mem::take(&mut request.pending_ends);
    let mut meeting = request.into_meeting(server.id.clone(), String::new(), reason);
    for number in numbers {
        meeting.voice_bridge = Some(number);
        if meetings::insert(session, &meeting)? {
            pending_ends::put_all(session, &unwanted)?;
            count_placement(session, &meeting, meeting.placed_at)?;
            // As the statement does, without asking for the row again.
            let seats = f64::from(meeting.load.counted_users(meeting.placed_at));
            let weight = seats * server.load_multiplier;
            server.load = server.load.map(|load| (load + weight).max(0.0));
            server.placed_since_poll += 1;
            return Ok(PlaceOutcome::Claimed(MeetingOnServer { meeting, server }));
        }
    }
    Ok(PlaceOutcome::NoVoiceBridge)
}

pub(super) fn confirm_meeting(
    connection: &mut dyn SqlConnection,
    meeting: Meeting,
    now: Timestamp,
    pending_ends: &[PendingEnd],
) -> Result<(), StoreError> {
    let record = meetings::find(connection, &meeting.key)?.map(|found| found.meeting);
    let protected = confirmation::protected_server(record.as_ref(), &meeting);
    for pending_end in pending_ends.iter().filter(|end| Some(&end.server) != protected) {
        pending_ends::put_all(connection, std::slice::from_ref(pending_end))?;
    }
    pending_ends::forget(connection, &meeting.server, &meeting.key)?;
    match (ConfirmationEffect::decide(record.as_ref(), &meeting), &record) {
        (ConfirmationEffect::EndClaim, _) => return meetings::end_claim(connection, &meeting, now),
        (ConfirmationEffect::KeepRecord, _) => return Ok(()),
        (ConfirmationEffect::MoveRecord, Some(record)) => undo_placement(connection, record)?,
        (ConfirmationEffect::MoveRecord | ConfirmationEffect::CreateRecord, _) => {}
    }
    let server = servers::find(connection, &meeting.server)?;
    if !confirmation::may_be_recorded_on(server.as_ref()) {
        return Ok(());
    }
    let meeting = meetings::with_free_bridge(connection, meeting)?;
    let meeting = Meeting { claim: None, seen_at: now, detached: false, ..meeting };
    meetings::insert(connection, &meeting)?;
    count_placement(connection, &meeting, now)
}

/// Undoes a place if this claim won it and still stands.
pub(super) fn release_claim(
    session: &mut dyn SqlConnection,
    key: &MeetingKey,
    token: &str,
    unwanted: &[PendingEnd],
) -> Result<bool, StoreError> {
    let Some(MeetingOnServer { meeting, .. }) = meetings::find(session, key)? else {
        return Ok(false);
    };
    let ours = meeting.claim.as_ref().is_some_and(|claim| claim.token == token);
    if ours {
        pending_ends::put_all(session, unwanted)?;
        undo_placement(session, &meeting)?;
    }
    Ok(ours)
}

pub(super) fn restore_meeting(
    session: &mut dyn SqlConnection,
    meeting: Meeting,
) -> Result<bool, StoreError> {
    let has_server = servers::find(session, &meeting.server)?.is_some();
    if !has_server || meetings::find(session, &meeting.key)?.is_some() {
        return Ok(false);
    }
    let restored = meetings::with_free_bridge(session, meeting)?;
    meetings::insert(session, &restored)
}
