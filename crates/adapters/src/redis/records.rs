//! Meetings, endings and sessions as scripts want them and as they are kept.

use app::ports::StoreError;
use domain::poll::PendingEnd;
use domain::{Meeting, MeetingKey, MeetingSession, ServerId, Timestamp};
use serde_json::{Value, json};

use super::join::tenant_or_empty;
use super::rows::corrupt_error;

/// Fields of a meeting that only we know, but for its claim and its server: names and values in a row.
pub(super) fn own_pairs(meeting: &Meeting) -> Vec<String> {
    let (seats, course) = (&meeting.load, &meeting.usage);
    let always = [
        ("placed_at", meeting.placed_at.0),
        ("seen_at", meeting.seen_at.0),
        ("expected_users", seats.expected_users.into()),
        ("expected_until", seats.expected_until.0),
        ("users", seats.users.into()),
    ];
    let seldom = [
        ("peak_users", course.peak_users.into()),
        ("busy_until", course.busy_until.0),
        ("missed_polls", meeting.missed_polls.into()),
    ];
    let numbers = always.into_iter().chain(seldom.into_iter().filter(|(_, number)| *number != 0));
    let mut pairs: Vec<String> =
        numbers.flat_map(|(name, number)| [name.to_owned(), number.to_string()]).collect();
    if !meeting.placement_reason.is_empty() {
        pairs.extend(["placement_reason".to_owned(), meeting.placement_reason.clone()]);
    }
    pairs
}

/// The claim of a meeting, likewise.
pub(super) fn claim_pairs(meeting: &Meeting) -> Vec<String> {
    let Some(claim) = &meeting.claim else {
        return Vec::new();
    };
    let until = claim.until.0.to_string();
    ["claim_token", &claim.token, "claim_until", &until].map(str::to_owned).to_vec()
}

/// A meeting for scripts that put it.
pub(super) fn meeting_json(meeting: &Meeting, own: &[String]) -> Value {
    let mut record = json!({
        "tenant": tenant_or_empty(&meeting.key),
        "id": meeting.key.id,
        "server": meeting.server.0,
        "own": own,
    });
    if let Some(password) = &meeting.moderator_pw {
        record["password"] = password.as_str().into();
    }
    record
}

/// The field of a meeting among the endings of its server, as scripts make it, too.
pub(super) fn pending_end_field(key: &MeetingKey) -> String {
    let tenant = tenant_or_empty(key);
    format!("{}:{tenant}{}", tenant.len(), key.id)
}

/// Endings for scripts that remember them.
pub(super) fn pending_ends_json(endings: &[PendingEnd]) -> Value {
    let one = |ending: &PendingEnd| {
        let mut kept = json!({
            "tenant": tenant_or_empty(&ending.key), "id": ending.key.id, "since": ending.since.0,
            "create_sent_at": ending.create_sent_at.0,
        });
        if let Some(password) = &ending.moderator_pw {
            kept["moderator_pw"] = password.as_str().into();
        }
        json!([ending.server.0, pending_end_field(&ending.key), kept.to_string()])
    };
    endings.iter().map(one).collect()
}

fn read_key(kept: &Value) -> Option<MeetingKey> {
    let text = |name: &str| kept.get(name)?.as_str().map(str::to_owned);
    Some(MeetingKey { tenant: text("tenant").filter(|one| !one.is_empty()), id: text("id")? })
}

fn parse_json<T>(
    kept: &str,
    what: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<T, StoreError> {
    let value: Option<Value> = serde_json::from_str(kept).ok();
    value.as_ref().and_then(read).ok_or_else(|| corrupt_error(what))
}

/// An ending as it is kept.
pub(super) fn read_pending_end(server: &ServerId, kept: &str) -> Result<PendingEnd, StoreError> {
    parse_json(kept, "an ending that cannot be read", |kept| {
        Some(PendingEnd {
            server: server.clone(),
            key: read_key(kept)?,
            moderator_pw: kept.get("moderator_pw").and_then(|one| one.as_str()).map(str::to_owned),
            since: Timestamp(kept.get("since")?.as_i64()?),
            create_sent_at: Timestamp(
                kept.get("create_sent_at").and_then(Value::as_i64).unwrap_or(0),
            ),
        })
    })
}

/// A session as it is kept.
pub(super) fn session_json(session: &MeetingSession) -> Value {
    json!({
        "tenant": tenant_or_empty(&session.key),
        "id": session.key.id,
        "created_at": session.created_at.0,
        "peak_users": session.peak_users,
        "busy_ms": session.busy_ms,
    })
}

/// Reads it.
pub(super) fn read_session(kept: &str) -> Result<MeetingSession, StoreError> {
    parse_json(kept, "a session that cannot be read", |kept| {
        let number = |name: &str| kept.get(name)?.as_i64();
        Some(MeetingSession {
            key: read_key(kept)?,
            created_at: Timestamp(number("created_at")?),
            peak_users: u32::try_from(number("peak_users")?).ok()?,
            busy_ms: number("busy_ms")?,
        })
    })
}
