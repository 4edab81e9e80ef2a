//! Converts meetings, pending ends and sessions to the arguments of scripts and to JSON that is
//! stored, and back.

use app::ports::StoreError;
use domain::poll::PendingEnd;
use domain::{Meeting, MeetingKey, MeetingOrigin, MeetingSession, ServerId, Timestamp};
use serde_json::{Value, json};

use super::join::tenant_or_empty;
use super::rows::corrupt_error;

/// Returns our own fields of a meeting without its claim and its server, as a flat list of names
/// and values.
pub(super) fn own_pairs(meeting: &Meeting) -> Vec<String> {
    let (load, usage) = (&meeting.load, &meeting.usage);
    let always = [
        ("placed_at", meeting.placed_at.0),
        ("seen_at", meeting.seen_at.0),
        ("expected_users", load.expected_users.into()),
        ("expected_until", load.expected_until.0),
        ("users", load.users.into()),
    ];
    let if_not_zero = [
        ("peak_users", usage.peak_users.into()),
        ("busy_until", usage.busy_until.0),
        ("missed_polls", meeting.missed_polls.into()),
    ];
    let numbers =
        always.into_iter().chain(if_not_zero.into_iter().filter(|(_, number)| *number != 0));
    let mut pairs: Vec<String> =
        numbers.flat_map(|(name, number)| [name.to_owned(), number.to_string()]).collect();
    pairs.extend(origin_pairs(&meeting.origin));
    if !meeting.placement_reason.is_empty() {
        pairs.extend(["placement_reason".to_owned(), meeting.placement_reason.clone()]);
    }
    pairs
}

/// Returns what is known of where a meeting comes from, as a flat list of names and values.
pub(super) fn origin_pairs(origin: &MeetingOrigin) -> Vec<String> {
    let mut pairs = Vec::new();
    if let Some(identity) = &origin.identity {
        let created_at = identity.created_at.0.to_string();
        pairs.extend(["internal_id", &identity.internal_id, "created_at", &created_at]);
        let flag = |is_set: bool| if is_set { "1" } else { "0" };
        pairs.extend(["is_proven", flag(origin.is_proven), "is_adopted", flag(origin.is_adopted)]);
        return pairs.into_iter().map(str::to_owned).collect();
    }
    for (name, is_set) in [("is_proven", origin.is_proven), ("is_adopted", origin.is_adopted)] {
        if is_set {
            pairs.extend([name, "1"]);
        }
    }
    pairs.into_iter().map(str::to_owned).collect()
}

/// Returns the fields of a meeting's claim, as a flat list of names and values.
pub(super) fn claim_pairs(meeting: &Meeting) -> Vec<String> {
    let Some(claim) = &meeting.claim else {
        return Vec::new();
    };
    let until = claim.until.0.to_string();
    ["claim_token", &claim.token, "claim_until", &until].map(str::to_owned).to_vec()
}

/// Converts a meeting for scripts that store it.
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

/// Returns the field of a meeting in the hash of its server's pending ends, as `pending_end_field`
/// of the scripts.
pub(super) fn pending_end_field(key: &MeetingKey) -> String {
    let tenant = tenant_or_empty(key);
    format!("{}:{tenant}{}", tenant.len(), key.id)
}

/// Converts pending ends for scripts that store them.
pub(super) fn pending_ends_json(pending_ends: &[PendingEnd]) -> Value {
    let to_json = |pending_end: &PendingEnd| {
        let PendingEnd { server, key, internal_id, moderator_pw, since, create_sent_at } =
            pending_end;
        let mut record = json!({
            "tenant": tenant_or_empty(key), "id": key.id, "since": since.0,
            "create_sent_at": create_sent_at.0,
        });
        if let Some(password) = moderator_pw {
            record["moderator_pw"] = password.as_str().into();
        }
        if let Some(internal_id) = internal_id {
            record["internal_id"] = internal_id.as_str().into();
        }
        json!([server.0, pending_end_field(key), record.to_string()])
    };
    pending_ends.iter().map(to_json).collect()
}

fn read_key(record: &Value) -> Option<MeetingKey> {
    let text = |name: &str| record.get(name)?.as_str().map(str::to_owned);
    let tenant = text("tenant").filter(|tenant| !tenant.is_empty());
    Some(MeetingKey { tenant, id: text("id")? })
}

fn parse_json<T>(
    text: &str,
    problem: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<T, StoreError> {
    let record: Option<Value> = serde_json::from_str(text).ok();
    record.as_ref().and_then(read).ok_or_else(|| corrupt_error(problem))
}

/// Reads a pending end from its JSON.
pub(super) fn read_pending_end(server: &ServerId, text: &str) -> Result<PendingEnd, StoreError> {
    parse_json(text, "an unreadable pending end", |record| {
        let number = |name: &str| record.get(name).and_then(Value::as_i64);
        let text = |name: &str| record.get(name)?.as_str().map(str::to_owned);
        Some(PendingEnd {
            server: server.clone(),
            key: read_key(record)?,
            internal_id: text("internal_id"),
            moderator_pw: text("moderator_pw"),
            since: Timestamp(number("since")?),
            create_sent_at: Timestamp(number("create_sent_at")?),
        })
    })
}

/// Converts a session to the JSON that is stored.
pub(super) fn session_json(session: &MeetingSession) -> Value {
    json!({
        "tenant": tenant_or_empty(&session.key),
        "id": session.key.id,
        "created_at": session.created_at.0,
        "peak_users": session.peak_users,
        "busy_ms": session.busy_ms,
    })
}

/// Reads a session from its JSON.
pub(super) fn read_session(text: &str) -> Result<MeetingSession, StoreError> {
    parse_json(text, "an unreadable session", |record| {
        let number = |name: &str| record.get(name)?.as_i64();
        Some(MeetingSession {
            key: read_key(record)?,
            created_at: Timestamp(number("created_at")?),
            peak_users: u32::try_from(number("peak_users")?).ok()?,
            busy_ms: number("busy_ms")?,
        })
    })
}
