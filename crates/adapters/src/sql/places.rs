//! Places: given, confirmed, given back.

use app::ports::{Located, Obstacle, PlaceRequest, Placed, StoreError};
use domain::placement::choose;
use domain::poll::Ending;
use domain::{AdminState, Meeting, MeetingKey, Server, Timestamp};

use super::session::Session;
use super::{endings, meetings, servers};

/// Removes a meeting as if it had never been placed.
fn undo(session: &mut dyn Session, meeting: &Meeting) -> Result<(), StoreError> {
    meetings::delete(session, &meeting.key)?;
    let taken = if meeting.detached { 0 } else { meeting.seats.taken(meeting.placed_at) };
    servers::count(session, &meeting.server, -f64::from(taken), -1)
}

/// Counts a meeting that was inserted, which is wanted there.
fn count(session: &mut dyn Session, meeting: &Meeting, now: Timestamp) -> Result<(), StoreError> {
    servers::count(session, &meeting.server, f64::from(meeting.seats.taken(now)), 1)?;
    endings::forget(session, &meeting.server, &meeting.key)
}

pub(super) fn place(
    session: &mut dyn Session,
    mut request: PlaceRequest,
) -> Result<Placed, StoreError> {
    let mut in_the_way = None;
    if let Some(known) = meetings::locate(session, &request.key)? {
        match request.obstacle(&known) {
            Obstacle::Stays => return Ok(Placed::Known(known)),
            Obstacle::Expired => undo(session, &known.meeting)?,
            Obstacle::Yields => in_the_way = Some(known.meeting),
        }
    }
    let servers = servers::all(session)?;
    request.ask.others = meetings::servers_of_others(session, &request.key)?;
    let (server, reason) = match choose(&servers, &request.ask) {
        Ok(choice) => (choice.server.clone(), choice.reason),
        Err(refusal) => return Ok(Placed::Refused(refusal)),
    };
    let Some(old) = in_the_way else {
        return put(session, request, server, reason);
    };
    let Some(number) = first_free(session, &request)? else {
        return Ok(Placed::NoVoiceBridge);
    };
    request.voice_bridges = vec![number];
    undo(session, &old)?;
    // It may have been there.
    let server = servers::one(session, &server.id)?.unwrap_or(server);
    put(session, request, server, reason)
}

/// The first number that is no other meeting's.
fn first_free(
    session: &mut dyn Session,
    request: &PlaceRequest,
) -> Result<Option<String>, StoreError> {
    for number in &request.voice_bridges {
        if meetings::holder(session, number)?.is_none_or(|holder| holder == request.key) {
            return Ok(Some(number.clone()));
        }
    }
    Ok(None)
}

/// Puts a meeting that is not there on the server.
fn put(
    session: &mut dyn Session,
    mut request: PlaceRequest,
    mut server: Server,
    reason: String,
) -> Result<Placed, StoreError> {
    let numbers = std::mem::take(&mut request.voice_bridges);
    let unwanted = std::mem::take(&mut request.endings);
    let mut meeting = request.placed_on(server.id.clone(), String::new(), reason);
    for number in numbers {
        meeting.voice_bridge = Some(number);
        if meetings::insert(session, &meeting)? {
            endings::remember(session, &unwanted)?;
            count(session, &meeting, meeting.placed_at)?;
            // As the statement does, without asking for the row again.
            let seats = f64::from(meeting.seats.taken(meeting.placed_at));
            let weight = seats * server.load_multiplier;
            server.load = server.load.map(|load| (load + weight).max(0.0));
            server.placed += 1;
            return Ok(Placed::Won(Located { meeting, server }));
        }
    }
    Ok(Placed::NoVoiceBridge)
}

pub(super) fn confirm(
    session: &mut dyn Session,
    meeting: Meeting,
    now: Timestamp,
    unwanted: &[Ending],
) -> Result<(), StoreError> {
    let known = meetings::locate(session, &meeting.key)?.map(|located| located.meeting);
    let (ours, others) = match known {
        Some(known) if known.is_claimed_like(&meeting) => (Some(known), None),
        known => (None, known),
    };
    for ending in unwanted {
        if others.as_ref().is_none_or(|other| other.server != ending.server) {
            endings::remember(session, std::slice::from_ref(ending))?;
        }
    }
    endings::forget(session, &meeting.server, &meeting.key)?;
    if meetings::confirmed(session, &meeting, now)? || others.is_some() {
        return Ok(());
    }
    if let Some(slower) = ours {
        // A slower try was made there.
        undo(session, &slower)?;
    }
    let server = servers::one(session, &meeting.server)?;
    if server.is_none_or(|server| server.state == AdminState::Disabled) {
        return Ok(());
    }
    let back = meetings::with_free_bridge(session, meeting)?;
    let back = Meeting { claim: None, seen_at: now, detached: false, ..back };
    meetings::insert(session, &back)?;
    count(session, &back, now)
}

/// Undoes a place if this claim won it and still stands.
pub(super) fn release(
    session: &mut dyn Session,
    key: &MeetingKey,
    token: &str,
    unwanted: &[Ending],
) -> Result<bool, StoreError> {
    let Some(Located { meeting, .. }) = meetings::locate(session, key)? else {
        return Ok(false);
    };
    let ours = meeting.claim.as_ref().is_some_and(|claim| claim.token == token);
    if ours {
        endings::remember(session, unwanted)?;
        undo(session, &meeting)?;
    }
    Ok(ours)
}

pub(super) fn restore(session: &mut dyn Session, meeting: Meeting) -> Result<bool, StoreError> {
    let has_server = servers::one(session, &meeting.server)?.is_some();
    if !has_server || meetings::locate(session, &meeting.key)?.is_some() {
        return Ok(false);
    }
    let restored = meetings::with_free_bridge(session, meeting)?;
    meetings::insert(session, &restored)
}
