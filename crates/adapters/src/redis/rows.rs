//! Converts replies of scripts to servers and meetings.

use std::collections::HashMap;

use app::ports::{MeetingOnServer, StoreError};
use domain::health::{Health, ServerFailure};
use domain::server::ServerStats;
use domain::{
    AdminState, Claim, Meeting, MeetingIdentity, MeetingKey, MeetingLoad, MeetingOrigin,
    MeetingUsage, Server, ServerId, ServerLimits, Timestamp,
};
use redis::Value;

/// The fields of a hash.
pub(super) type HashFields = HashMap<String, String>;

pub(super) fn corrupt_error(what: &str) -> StoreError {
    StoreError::Corrupt(format!("Redis holds {what}"))
}

/// Returns the elements of a list; none for any other value.
pub(super) fn to_list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(list) => list,
        _ => Vec::new(),
    }
}

/// Returns the elements of a list of this length; `None` for nil.
pub(super) fn to_array<const N: usize>(value: Value) -> Result<Option<[Value; N]>, StoreError> {
    match value {
        Value::Nil => Ok(None),
        Value::Array(list) => {
            list.try_into().map(Some).map_err(|_| corrupt_error("a list of the wrong length"))
        }
        _ => Err(corrupt_error("a value that is not a list")),
    }
}

/// Returns a text; `None` for nil.
pub(super) fn to_text(value: &Value) -> Result<Option<String>, StoreError> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => match str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(corrupt_error("a text that is not UTF-8")),
        },
        Value::SimpleString(text) => Ok(Some(text.clone())),
        Value::Int(number) => Ok(Some(number.to_string())),
        _ => Err(corrupt_error("a value that is not text")),
    }
}

/// Returns the elements of a list of texts, without nil.
pub(super) fn to_texts(value: Value) -> Result<Vec<String>, StoreError> {
    let texts = to_list(value).into_iter().map(|value| to_text(&value));
    texts.filter_map(Result::transpose).collect()
}

/// Returns the fields of a hash, given as a flat list of names and values.
pub(super) fn to_fields(value: Value) -> Result<HashFields, StoreError> {
    let flat = to_texts(value)?;
    let pairs = flat.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()));
    Ok(pairs.collect())
}

pub(super) fn is_one(value: &Value) -> bool {
    *value == Value::Int(1)
}

fn parse_number<T: std::str::FromStr + Default>(
    fields: &HashFields,
    name: &str,
) -> Result<T, StoreError> {
    match fields.get(name) {
        None => Ok(T::default()),
        Some(text) => {
            text.parse().map_err(|_| corrupt_error(&format!("{name} that is not a number")))
        }
    }
}

fn parse_optional(fields: &HashFields, name: &str) -> Result<Option<u32>, StoreError> {
    if fields.contains_key(name) { parse_number(fields, name).map(Some) } else { Ok(None) }
}

fn to_float(value: &Value) -> Result<Option<f64>, StoreError> {
    let Some(text) = to_text(value)? else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| corrupt_error("a load that is not a number"))
}

/// A server, its position in the order of servers, and our own fields of it.
pub(super) struct ServerRow {
    pub(super) server: Server,
    /// As Redis writes it; empty if the original added the server.
    pub(super) position: String,
    pub(super) own_fields: HashFields,
}

fn read_health(hash: &HashFields, counters: Value, own: &HashFields) -> Result<Health, StoreError> {
    let counters = to_list(counters);
    let counter = |index: usize| -> Result<u32, StoreError> {
        let text = counters.get(index).map(to_text).transpose()?.flatten();
        Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
    };
    let failed_at: i64 = parse_number(own, "failure_at")?;
    let to_failure =
        |reason: &String| ServerFailure { at: Timestamp(failed_at), reason: reason.clone() };
    Ok(Health {
        online: hash.get("online").is_some_and(|online| online == "true"),
        healthy_count: counter(0)?,
        unhealthy_count: counter(1)?,
        last_failure: own.get("failure_reason").map(to_failure),
        failures: parse_number(own, "failures")?,
        relapses: parse_number(own, "relapses")?,
        probation_until: Timestamp(parse_number(own, "probation_until")?),
        answered_at: Timestamp(parse_number(own, "answered_at")?),
    })
}

pub(super) fn read_server(value: Value) -> Result<Option<ServerRow>, StoreError> {
    let Some([id, hash, counters, own, load, cordoned, enabled, position]) = to_array::<8>(value)?
    else {
        return Ok(None);
    };
    let (hash, own) = (to_fields(hash)?, to_fields(own)?);
    let id = to_text(&id)?.ok_or_else(|| corrupt_error("a server without an id"))?;
    let state = match hash.get("state").filter(|name| !name.is_empty()) {
        // The original of 2020 has no field for the state.
        None if is_one(&enabled) => AdminState::Enabled,
        None => AdminState::Disabled,
        Some(name) => {
            AdminState::from_name(name).ok_or_else(|| corrupt_error("an unknown state"))?
        }
    };
    let load = match state {
        AdminState::Enabled => to_float(&load)?,
        AdminState::Cordoned => to_float(&cordoned)?,
        AdminState::Disabled => None,
    };
    let multiplier = hash.get("load_multiplier").and_then(|text| text.parse().ok());
    // Invalid numbers are read as Ruby reads them; the next poll writes valid ones.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let count = |name: &str| -> u32 {
        hash.get(name).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0) as u32
    };
    let get = |name: &str| hash.get(name).cloned();
    let server = Server {
        id: ServerId(id),
        url: get("url").unwrap_or_default(),
        secret: get("secret").unwrap_or_default(),
        tag: get("tag").filter(|tag| !tag.is_empty()),
        state,
        health: read_health(&hash, counters, &own)?,
        load,
        // Ruby reads an invalid number as 0, with which a server would have no load at all.
        load_multiplier: multiplier.filter(|multiplier| *multiplier > 0.0).unwrap_or(1.0),
        stats: ServerStats {
            meetings: count("meetings"),
            users: count("users"),
            largest_meeting: count("largest_meeting"),
            videos: count("videos"),
        },
        placed_since_poll: parse_number(&own, "placed_since_poll")?,
        limits: ServerLimits {
            max_meetings: parse_optional(&own, "max_meetings")?,
            max_users: parse_optional(&own, "max_users")?,
            tier: parse_number(&own, "tier")?,
        },
        bbb_version: get("bbb_version").filter(|version| !version.is_empty()),
        twin_of: own.get("twin_of").filter(|twin| !twin.is_empty()).cloned().map(ServerId),
    };
    let position = to_text(&position)?.unwrap_or_default();
    Ok(Some(ServerRow { server, position, own_fields: own }))
}

fn read_origin(own: &HashFields) -> Result<MeetingOrigin, StoreError> {
    let created_at = Timestamp(parse_number(own, "created_at")?);
    let is_set = |name: &str| own.get(name).is_some_and(|flag| flag == "1");
    Ok(MeetingOrigin {
        identity: MeetingIdentity::from_parts(own.get("internal_id").cloned(), created_at),
        is_proven: is_set("is_proven"),
        is_adopted: is_set("is_adopted"),
    })
}

/// Reads a meeting and the name under which it is stored.
pub(super) fn read_meeting(value: Value) -> Result<Option<(String, Meeting)>, StoreError> {
    let Some([name, hash, own]) = to_array::<3>(value)? else {
        return Ok(None);
    };
    let (hash, own) = (to_fields(hash)?, to_fields(own)?);
    let name = to_text(&name)?.ok_or_else(|| corrupt_error("a meeting without an id"))?;
    let tenant = hash.get("tenant_id").filter(|tenant| !tenant.is_empty()).cloned();
    let tenant_prefix = format!("\x1f{}\x1f", tenant.as_deref().unwrap_or_default());
    let id = name.strip_prefix(&tenant_prefix).unwrap_or(&name).to_owned();
    let until: i64 = parse_number(&own, "claim_until")?;
    let claim =
        own.get("claim_token").map(|token| Claim { token: token.clone(), until: Timestamp(until) });
    let meeting = Meeting {
        key: MeetingKey { tenant, id },
        server: ServerId(hash.get("server_id").cloned().unwrap_or_default()),
        moderator_pw: hash.get("moderator_pw").cloned(),
        voice_bridge: hash.get("voice_bridge").cloned(),
        claim,
        placed_at: Timestamp(parse_number(&own, "placed_at")?),
        seen_at: Timestamp(parse_number(&own, "seen_at")?),
        load: MeetingLoad {
            expected_users: parse_number(&own, "expected_users")?,
            expected_until: Timestamp(parse_number(&own, "expected_until")?),
            users: parse_number(&own, "users")?,
        },
        usage: MeetingUsage {
            peak_users: parse_number(&own, "peak_users")?,
            busy_until: Timestamp(parse_number(&own, "busy_until")?),
        },
        missed_polls: parse_number(&own, "missed_polls")?,
        detached: own.contains_key("detached"),
        origin: read_origin(&own)?,
        placement_reason: own.get("placement_reason").cloned().unwrap_or_default(),
    };
    Ok(Some((name, meeting)))
}

/// Reads meetings, sorted by their keys.
pub(super) fn read_meetings(value: Value) -> Result<Vec<Meeting>, StoreError> {
    let rows = to_list(value).into_iter().map(read_meeting);
    let mut meetings: Vec<Meeting> = rows
        .filter_map(Result::transpose)
        .map(|row| row.map(|(_, meeting)| meeting))
        .collect::<Result<_, _>>()?;
    meetings.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(meetings)
}

/// Reads a meeting and its server.
pub(super) fn read_meeting_on_server(
    row: Value,
    server_row: Value,
) -> Result<Option<MeetingOnServer>, StoreError> {
    let (meeting, server) = (read_meeting(row)?, read_server(server_row)?);
    Ok(meeting
        .zip(server)
        .map(|((_, meeting), row)| MeetingOnServer { meeting, server: row.server }))
}

/// Reads meetings and their servers, each with the version of its server's data.
pub(super) fn read_meetings_on_servers(
    value: Value,
) -> Result<Vec<(MeetingOnServer, String)>, StoreError> {
    let mut found = Vec::new();
    for row in to_list(value) {
        let Some([meeting_row, server_row]) = to_array::<2>(row)? else { continue };
        if let Some(((_, meeting), row)) = read_meeting(meeting_row)?.zip(read_server(server_row)?)
        {
            let version = row.own_fields.get("version").cloned().unwrap_or_default();
            found.push((MeetingOnServer { meeting, server: row.server }, version));
        }
    }
    Ok(found)
}
