//! Rows and what they stand for.

use domain::health::{Failure, Health};
use domain::server::Stats;
use domain::{AdminState, Claim, Meeting, MeetingKey, Seats, Server, ServerId, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Row, named_params};

/// Columns of `servers`, in the order that [`server`] expects.
macro_rules! server_columns {
    () => {
        "s.id, s.url, s.secret, s.tag, s.state, s.online, s.healthy_count, s.unhealthy_count, \
         s.failure_at, s.failure_reason, s.load, s.load_multiplier, s.meetings, s.users, \
         s.largest_meeting, s.videos, s.bbb_version"
    };
}
/// How many they are.
pub(super) const SERVER_COLUMNS: usize = 17;

/// Columns of `meetings`, in the order that [`meeting`] expects.
macro_rules! meeting_columns {
    () => {
        "m.tenant, m.id, m.server_id, m.moderator_pw, m.voice_bridge, m.claim_token, \
         m.claim_until, m.placed_at, m.seen_at, m.reserved, m.reserved_until, m.users"
    };
}

pub(super) use {meeting_columns, server_columns};

/// A server from its columns.
pub(super) fn server(row: &Row<'_>) -> rusqlite::Result<Server> {
    let state: String = row.get(4)?;
    let state = AdminState::from_name(&state).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(4, Type::Text, "unknown state".into())
    })?;
    let failure_at: Option<i64> = row.get(8)?;
    let failure_reason: Option<String> = row.get(9)?;
    let last_failure = failure_at.zip(failure_reason);
    Ok(Server {
        id: ServerId(row.get(0)?),
        url: row.get(1)?,
        secret: row.get(2)?,
        tag: row.get(3)?,
        state,
        health: Health {
            online: row.get(5)?,
            healthy_count: row.get(6)?,
            unhealthy_count: row.get(7)?,
            last_failure: last_failure.map(|(at, reason)| Failure { at: Timestamp(at), reason }),
        },
        load: row.get(10)?,
        load_multiplier: row.get(11)?,
        stats: Stats {
            meetings: row.get(12)?,
            users: row.get(13)?,
            largest_meeting: row.get(14)?,
            videos: row.get(15)?,
        },
        bbb_version: row.get(16)?,
    })
}

/// A meeting from its columns, which start at `first`.
pub(super) fn meeting(row: &Row<'_>, first: usize) -> rusqlite::Result<Meeting> {
    let tenant: String = row.get(first)?;
    let token: Option<String> = row.get(first + 5)?;
    let until: Option<i64> = row.get(first + 6)?;
    Ok(Meeting {
        key: MeetingKey { tenant: (!tenant.is_empty()).then_some(tenant), id: row.get(first + 1)? },
        server: ServerId(row.get(first + 2)?),
        moderator_pw: row.get(first + 3)?,
        voice_bridge: row.get(first + 4)?,
        claim: token.zip(until).map(|(token, until)| Claim { token, until: Timestamp(until) }),
        placed_at: Timestamp(row.get(first + 7)?),
        seen_at: Timestamp(row.get(first + 8)?),
        seats: Seats {
            reserved: row.get(first + 9)?,
            reserved_until: Timestamp(row.get(first + 10)?),
            users: row.get(first + 11)?,
        },
    })
}

/// A tenant as it stands in the primary key.
pub(super) fn tenant(key: &MeetingKey) -> &str {
    key.tenant.as_deref().unwrap_or_default()
}

/// Writes a server: inserts it, or replaces all fields of the row with its id.
pub(super) fn put_server(
    connection: &rusqlite::Connection,
    server: &Server,
    insert: bool,
) -> rusqlite::Result<usize> {
    const INSERT: &str = "INSERT INTO servers (id, url, secret, tag, state, online, healthy_count, \
        unhealthy_count, failure_at, failure_reason, load, load_multiplier, meetings, users, \
        largest_meeting, videos, bbb_version) VALUES (:id, :url, :secret, :tag, :state, :online, \
        :healthy_count, :unhealthy_count, :failure_at, :failure_reason, :load, :load_multiplier, \
        :meetings, :users, :largest_meeting, :videos, :bbb_version) ON CONFLICT (id) DO NOTHING";
    const UPDATE: &str = "UPDATE servers SET url = :url, secret = :secret, tag = :tag, \
        state = :state, online = :online, healthy_count = :healthy_count, \
        unhealthy_count = :unhealthy_count, failure_at = :failure_at, \
        failure_reason = :failure_reason, load = :load, load_multiplier = :load_multiplier, \
        meetings = :meetings, users = :users, largest_meeting = :largest_meeting, \
        videos = :videos, bbb_version = :bbb_version WHERE id = :id";
    let failure = server.health.last_failure.as_ref();
    connection.prepare_cached(if insert { INSERT } else { UPDATE })?.execute(named_params! {
        ":id": server.id.0,
        ":url": server.url,
        ":secret": server.secret,
        ":tag": server.tag,
        ":state": server.state.name(),
        ":online": server.health.online,
        ":healthy_count": server.health.healthy_count,
        ":unhealthy_count": server.health.unhealthy_count,
        ":failure_at": failure.map(|failure| failure.at.0),
        ":failure_reason": failure.map(|failure| failure.reason.as_str()),
        ":load": server.load,
        ":load_multiplier": server.load_multiplier,
        ":meetings": server.stats.meetings,
        ":users": server.stats.users,
        ":largest_meeting": server.stats.largest_meeting,
        ":videos": server.stats.videos,
        ":bbb_version": server.bbb_version,
    })
}

/// Inserts a meeting.
pub(super) fn insert_meeting(
    connection: &rusqlite::Connection,
    meeting: &Meeting,
) -> rusqlite::Result<usize> {
    const INSERT: &str = "INSERT INTO meetings (tenant, id, server_id, moderator_pw, voice_bridge, \
        claim_token, claim_until, placed_at, seen_at, reserved, reserved_until, users) VALUES \
        (:tenant, :id, :server_id, :moderator_pw, :voice_bridge, :claim_token, :claim_until, \
        :placed_at, :seen_at, :reserved, :reserved_until, :users)";
    let claim = meeting.claim.as_ref();
    connection.prepare_cached(INSERT)?.execute(named_params! {
        ":tenant": tenant(&meeting.key),
        ":id": meeting.key.id,
        ":server_id": meeting.server.0,
        ":moderator_pw": meeting.moderator_pw,
        ":voice_bridge": meeting.voice_bridge,
        ":claim_token": claim.map(|claim| claim.token.as_str()),
        ":claim_until": claim.map(|claim| claim.until.0),
        ":placed_at": meeting.placed_at.0,
        ":seen_at": meeting.seen_at.0,
        ":reserved": meeting.seats.reserved,
        ":reserved_until": meeting.seats.reserved_until.0,
        ":users": meeting.seats.users,
    })
}
