//! Placing meetings, confirming and undoing placements: the transactions of a create.

use app::ports::{MeetingOnServer, PlaceOutcome, PlaceRequest, RecordConflict, StoreError};
use domain::confirmation::{self, ConfirmationEffect};
use domain::placement::choose_server;
use domain::poll::PendingEnd;
use domain::{Meeting, MeetingKey, Server, Timestamp};

use super::connection::SqlConnection;
use super::{meetings, pending_ends, servers};

/// Deletes a meeting as if it had never been placed.
fn undo_placement(connection: &mut dyn SqlConnection, meeting: &Meeting) -> Result<(), StoreError> {
    meetings::delete(connection, &meeting.key)?;
    let users = if meeting.detached { 0 } else { meeting.load.counted_users(meeting.placed_at) };
    servers::add_load(connection, &meeting.server, -f64::from(users), -1)
}

/// Counts an inserted meeting on its server.
fn count_placement(
    connection: &mut dyn SqlConnection,
    meeting: &Meeting,
    now: Timestamp,
) -> Result<(), StoreError> {
    servers::add_load(connection, &meeting.server, f64::from(meeting.load.counted_users(now)), 1)
}

pub(super) fn place_meeting(
    connection: &mut dyn SqlConnection,
    mut request: PlaceRequest,
) -> Result<PlaceOutcome, StoreError> {
    let mut replaced = None;
    let (known, same_id_servers) = meetings::find_with_same_id(connection, &request.key)?;
    request.criteria.same_id_servers = same_id_servers;
    if let Some(outcome) = request.refuse_other_record(known.as_ref()) {
        return Ok(outcome);
    }
    if let Some(known) = known {
        match request.classify_conflict(&known) {
            RecordConflict::Blocking => return Ok(PlaceOutcome::Existing(known)),
            RecordConflict::Expired => {
                undo_placement(connection, &known.meeting)?;
                let pending_end = request.pending_end_of(&known.meeting);
                pending_ends::put_all(connection, pending_end.as_slice())?;
            }
            RecordConflict::Replaceable => replaced = Some(known.meeting),
        }
    }
    let choice = servers::read_all(connection, |servers| {
        let choice = choose_server(servers, &request.criteria)?;
        Ok((choice.server.clone(), choice.reason))
    })?;
    let (server, reason) = match choice {
        Ok(choice) => choice,
        Err(refusal) => return Ok(PlaceOutcome::Refused(refusal)),
    };
    let Some(replaced) = replaced else {
        return put_on_server(connection, request, server, reason);
    };
    let Some(voice_bridge) = find_free_bridge(connection, &request)? else {
        return Ok(PlaceOutcome::NoVoiceBridge);
    };
    request.voice_bridges = vec![voice_bridge];
    undo_placement(connection, &replaced)?;
    let pending_end = request.pending_end_of(&replaced);
    pending_ends::put_all(connection, pending_end.as_slice())?;
    // If the replaced meeting was on the same server, its load has changed.
    let server = servers::find(connection, &server.id)?.unwrap_or(server);
    put_on_server(connection, request, server, reason)
}

/// Returns the first voice bridge of the request that no other meeting has.
fn find_free_bridge(
    connection: &mut dyn SqlConnection,
    request: &PlaceRequest,
) -> Result<Option<String>, StoreError> {
    for number in &request.voice_bridges {
        if meetings::find_by_voice_bridge(connection, number)?
            .is_none_or(|holder| holder == request.key)
        {
            return Ok(Some(number.clone()));
        }
    }
    Ok(None)
}

/// Records a meeting that is not recorded on the chosen server.
fn put_on_server(
    connection: &mut dyn SqlConnection,
    mut request: PlaceRequest,
    mut server: Server,
    reason: String,
) -> Result<PlaceOutcome, StoreError> {
    let voice_bridges = std::mem::take(&mut request.voice_bridges);
    let pending_ends = std::mem::take(&mut request.pending_ends);
    let mut meeting = request.into_meeting(server.id.clone(), String::new(), reason);
    for voice_bridge in voice_bridges {
        meeting.voice_bridge = Some(voice_bridge);
        if meetings::insert(connection, &meeting)? {
            pending_ends::put_all(connection, &pending_ends)?;
            count_placement(connection, &meeting, meeting.placed_at)?;
            // The same calculation as the statement's, which saves reading the row again.
            let users = f64::from(meeting.load.counted_users(meeting.placed_at));
            let weight = users * server.load_multiplier;
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
    let proof = pending_ends::take(connection, &meeting.server, &meeting.key)?;
    let origin = meeting.origin.clone().with_proof(proof.iter());
    let meeting = Meeting { origin, ..meeting };
    let protected = confirmation::protected_server(record.as_ref(), &meeting);
    let is_confirmed = |end: &PendingEnd| end.server == meeting.server && end.key == meeting.key;
    let is_protected = |end: &PendingEnd| Some(&end.server) == protected;
    for pending_end in pending_ends.iter().filter(|end| !is_confirmed(end) && !is_protected(end)) {
        pending_ends::put_all(connection, std::slice::from_ref(pending_end))?;
    }
    let effect = ConfirmationEffect::decide(record.as_ref(), &meeting);
    let copy = confirmation::pending_end_of_copy(effect, &meeting, now);
    pending_ends::put_all(connection, copy.as_slice())?;
    match (effect, &record) {
        (ConfirmationEffect::EndClaim, Some(record)) => {
            let origin = record.origin.with_reply(&meeting.origin, record.claim.is_some());
            return meetings::end_claim(connection, &meeting, &origin, now);
        }
        (ConfirmationEffect::EndClaim, None) => return Ok(()),
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

/// Undoes a placement if this claim is still on the meeting; returns whether it did.
pub(super) fn release_claim(
    connection: &mut dyn SqlConnection,
    key: &MeetingKey,
    token: &str,
    pending_ends: &[PendingEnd],
) -> Result<bool, StoreError> {
    let Some(MeetingOnServer { meeting, .. }) = meetings::find(connection, key)? else {
        return Ok(false);
    };
    let has_claim = meeting.claim.as_ref().is_some_and(|claim| claim.token == token);
    if has_claim {
        pending_ends::put_all(connection, pending_ends)?;
        undo_placement(connection, &meeting)?;
    }
    Ok(has_claim)
}

pub(super) fn restore_meeting(
    connection: &mut dyn SqlConnection,
    meeting: Meeting,
) -> Result<bool, StoreError> {
    let has_server = servers::find(connection, &meeting.server)?.is_some();
    if !has_server || meetings::find(connection, &meeting.key)?.is_some() {
        return Ok(false);
    }
    let restored = meetings::with_free_bridge(connection, meeting)?;
    meetings::insert(connection, &restored)
}
