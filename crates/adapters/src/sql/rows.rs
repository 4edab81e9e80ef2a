//! Reading servers and meetings from rows.

use app::ports::{MeetingOnServer, StoreError};
use domain::health::{Health, ServerFailure};
use domain::server::ServerStats;
use domain::{
    AdminState, Claim, Meeting, MeetingIdentity, MeetingKey, MeetingLoad, MeetingOrigin,
    MeetingUsage, Server, ServerId, ServerLimits, Timestamp,
};

use super::connection::SqlRow;

/// The columns of `servers`, in the order that [`read_server`] expects.
macro_rules! server_columns {
    () => {
        "s.id, s.url, s.secret, s.tag, s.state, s.online, s.healthy_count, s.unhealthy_count, \
         s.failure_at, s.failure_reason, s.load, s.load_multiplier, s.meetings, s.users, \
         s.largest_meeting, s.videos, s.bbb_version, s.failures, s.relapses, s.probation_until, \
         s.placed_since_poll, s.max_meetings, s.max_users, s.tier, s.answered_at, s.twin_of, \
         s.join_url"
    };
}
/// The number of [`server_columns`].
pub(super) const SERVER_COLUMN_COUNT: usize = 27;

/// The columns of `meetings`, in the order that [`read_meeting`] expects.
macro_rules! meeting_columns {
    () => {
        "m.tenant, m.id, m.server_id, m.moderator_pw, \
         coalesce(m.voice_bridge, m.released_voice_bridge), \
         m.claim_token, m.claim_until, m.placed_at, m.seen_at, m.expected_users, m.expected_until, \
         m.users, m.peak_users, m.busy_until, m.missed_polls, m.detached, m.placement_reason, \
         m.internal_id, m.created_at, m.is_proven, m.is_adopted"
    };
}

pub(super) use {meeting_columns, server_columns};

/// Reads a server from its columns.
pub(super) fn read_server(row: &dyn SqlRow) -> Result<Server, StoreError> {
    let state: String = row.get(4)?;
    let state = AdminState::from_name(&state)
        .ok_or_else(|| StoreError::Corrupt("a server has an unknown state".to_owned()))?;
    let failure_at: Option<i64> = row.get(8)?;
    let failure_reason: Option<String> = row.get(9)?;
    let last_failure = failure_at.zip(failure_reason);
    Ok(Server {
        id: ServerId(row.get(0)?),
        url: row.get(1)?,
        join_url: row.get(26)?,
        secret: row.get(2)?,
        tag: row.get(3)?,
        state,
        health: Health {
            online: row.get(5)?,
            healthy_count: row.get(6)?,
            unhealthy_count: row.get(7)?,
            last_failure: last_failure
                .map(|(at, reason)| ServerFailure { at: Timestamp(at), reason }),
            failures: row.get(17)?,
            relapses: row.get(18)?,
            probation_until: Timestamp(row.get(19)?),
            answered_at: Timestamp(row.get(24)?),
        },
        load: row.get(10)?,
        load_multiplier: row.get(11)?,
        stats: ServerStats {
            meetings: row.get(12)?,
            users: row.get(13)?,
            largest_meeting: row.get(14)?,
            videos: row.get(15)?,
        },
        bbb_version: row.get(16)?,
        placed_since_poll: row.get(20)?,
        limits: ServerLimits {
            max_meetings: row.get(21)?,
            max_users: row.get(22)?,
            tier: row.get(23)?,
        },
        twin_of: row.get::<Option<String>>(25)?.map(ServerId),
    })
}

/// Reads a meeting from its columns.
pub(super) fn read_meeting(row: &dyn SqlRow) -> Result<Meeting, StoreError> {
    read_meeting_at(row, 0)
}

/// Reads a server and then a meeting from their columns.
pub(super) fn read_meeting_on_server(row: &dyn SqlRow) -> Result<MeetingOnServer, StoreError> {
    Ok(MeetingOnServer {
        server: read_server(row)?,
        meeting: read_meeting_at(row, SERVER_COLUMN_COUNT)?,
    })
}

fn read_meeting_at(row: &dyn SqlRow, first: usize) -> Result<Meeting, StoreError> {
    let token: Option<String> = row.get(first + 5)?;
    let until: Option<i64> = row.get(first + 6)?;
    Ok(Meeting {
        key: read_key(row, first)?,
        server: ServerId(row.get(first + 2)?),
        moderator_pw: row.get(first + 3)?,
        voice_bridge: row.get(first + 4)?,
        claim: token.zip(until).map(|(token, until)| Claim { token, until: Timestamp(until) }),
        placed_at: Timestamp(row.get(first + 7)?),
        seen_at: Timestamp(row.get(first + 8)?),
        load: MeetingLoad {
            expected_users: row.get(first + 9)?,
            expected_until: Timestamp(row.get(first + 10)?),
            users: row.get(first + 11)?,
        },
        usage: MeetingUsage {
            peak_users: row.get(first + 12)?,
            busy_until: Timestamp(row.get(first + 13)?),
        },
        missed_polls: row.get(first + 14)?,
        detached: row.get(first + 15)?,
        placement_reason: row.get(first + 16)?,
        origin: read_origin(row, first + 17)?,
    })
}

fn read_origin(row: &dyn SqlRow, first: usize) -> Result<MeetingOrigin, StoreError> {
    let created_at: Option<i64> = row.get(first + 1)?;
    let created_at = Timestamp(created_at.unwrap_or_default());
    Ok(MeetingOrigin {
        identity: MeetingIdentity::from_parts(row.get(first)?, created_at),
        is_proven: row.get(first + 2)?,
        is_adopted: row.get(first + 3)?,
    })
}

/// Reads the key of a meeting: its tenant from column `first`, its id from the next one.
pub(super) fn read_key(row: &dyn SqlRow, first: usize) -> Result<MeetingKey, StoreError> {
    let tenant: String = row.get(first)?;
    Ok(MeetingKey { tenant: (!tenant.is_empty()).then_some(tenant), id: row.get(first + 1)? })
}

/// Returns the tenant of a meeting as it is stored: empty for none.
pub(super) fn tenant_or_empty(key: &MeetingKey) -> &str {
    key.tenant.as_deref().unwrap_or_default()
}
