//! Statements about servers.

use app::ports::{ServerChange, StoreError};
use domain::{Meeting, Server, ServerId};

use super::connection::{SqlConnection, values};
use super::rows::{self, server_columns};
use super::{meetings, store_id};

pub(super) fn list_all(connection: &mut dyn SqlConnection) -> Result<Vec<Server>, StoreError> {
    const ALL: &str = concat!("SELECT ", server_columns!(), " FROM servers s ORDER BY s.position");
    connection.query(ALL, &[], rows::read_server)
}

/// Has all servers read by a function, from the connection's memory if it has one.
pub(super) fn read_all<T>(
    connection: &mut dyn SqlConnection,
    read: impl FnOnce(&[Server]) -> T,
) -> Result<T, StoreError> {
    let Some(mut cache) = connection.server_cache().and_then(Option::take) else {
        return list_all(connection).map(|servers| read(&servers));
    };
    let result = cache.refresh(connection).map(read);
    if let Some(place) = connection.server_cache() {
        *place = Some(cache);
    }
    result
}

pub(super) fn find(
    connection: &mut dyn SqlConnection,
    id: &ServerId,
) -> Result<Option<Server>, StoreError> {
    const FIND: &str = concat!("SELECT ", server_columns!(), " FROM servers s WHERE s.id = ?1");
    connection.query_first(FIND, values![&id.0], rows::read_server)
}

/// Adds a server; returns false if its id exists.
pub(super) fn add(connection: &mut dyn SqlConnection, server: &Server) -> Result<bool, StoreError> {
    write_row(
        connection,
        server,
        "INSERT INTO servers (id, url, secret, tag, state, online, healthy_count, \
         unhealthy_count, failure_at, failure_reason, load, load_multiplier, meetings, users, \
         largest_meeting, videos, bbb_version, failures, relapses, probation_until, \
         placed_since_poll, max_meetings, max_users, tier, answered_at, twin_of, \
         join_url) VALUES (?1, ?2, ?3, ?4, ?5, \
         ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, \
         ?24, ?25, ?26, ?27) ON CONFLICT (id) DO NOTHING",
    )
}

/// Adds these servers if there are none and the store no longer has this id; returns whether it
/// did.
pub(super) fn restore_all(
    connection: &mut dyn SqlConnection,
    lost_id: &str,
    servers: &[Server],
) -> Result<bool, StoreError> {
    let is_lost =
        list_all(connection)?.is_empty() && store_id::find(connection)?.as_deref() != Some(lost_id);
    if is_lost {
        for server in servers {
            add(connection, server)?;
        }
    }
    Ok(is_lost)
}

/// Replaces all fields of a server; returns false if it does not exist.
pub(super) fn replace(
    connection: &mut dyn SqlConnection,
    server: &Server,
) -> Result<bool, StoreError> {
    write_row(
        connection,
        server,
        "UPDATE servers SET url = ?2, secret = ?3, tag = ?4, state = ?5, online = ?6, \
         healthy_count = ?7, unhealthy_count = ?8, failure_at = ?9, failure_reason = ?10, \
         load = ?11, load_multiplier = ?12, meetings = ?13, users = ?14, largest_meeting = ?15, \
         videos = ?16, bbb_version = ?17, failures = ?18, relapses = ?19, probation_until = ?20, \
         placed_since_poll = ?21, max_meetings = ?22, max_users = ?23, tier = ?24, \
         answered_at = ?25, twin_of = ?26, join_url = ?27 WHERE id = ?1",
    )
}

fn write_row(
    connection: &mut dyn SqlConnection,
    server: &Server,
    sql: &'static str,
) -> Result<bool, StoreError> {
    let failure = server.health.last_failure.as_ref();
    let values = values![
        &server.id.0,
        &server.url,
        &server.secret,
        &server.tag,
        server.state.name(),
        server.health.online,
        server.health.healthy_count,
        server.health.unhealthy_count,
        failure.map(|failure| failure.at.0),
        failure.map(|failure| failure.reason.as_str()),
        server.load,
        server.load_multiplier,
        server.stats.meetings,
        server.stats.users,
        server.stats.largest_meeting,
        server.stats.videos,
        &server.bbb_version,
        server.health.failures,
        server.health.relapses,
        server.health.probation_until.0,
        server.placed_since_poll,
        server.limits.max_meetings,
        server.limits.max_users,
        server.limits.tier,
        server.health.answered_at.0,
        server.twin_of.as_ref().map(|twin| twin.0.as_str()),
        &server.join_url,
    ];
    Ok(connection.execute(sql, values)? == 1)
}

pub(super) fn update(
    connection: &mut dyn SqlConnection,
    id: &ServerId,
    change: ServerChange,
) -> Result<Option<Server>, StoreError> {
    let Some(mut server) = find(connection, id)? else {
        return Ok(None);
    };
    change.apply(&mut server);
    replace(connection, &server)?;
    Ok(Some(server))
}

pub(super) fn remove(
    connection: &mut dyn SqlConnection,
    id: &ServerId,
) -> Result<Option<Vec<Meeting>>, StoreError> {
    let meetings = meetings::forget_by_server(connection, id)?;
    let removed = connection.execute("DELETE FROM servers WHERE id = ?1", values![&id.0])?;
    Ok((removed == 1).then_some(meetings))
}

pub(super) fn record_version(
    connection: &mut dyn SqlConnection,
    id: &ServerId,
    version: &str,
) -> Result<(), StoreError> {
    let update = "UPDATE servers SET bbb_version = ?2 WHERE id = ?1";
    connection.execute(update, values![&id.0, version]).map(drop)
}

/// Adds users to the load of a server, and meetings to those placed since its last poll. Both may
/// be negative.
pub(super) fn add_load(
    connection: &mut dyn SqlConnection,
    id: &ServerId,
    users: f64,
    placed: i64,
) -> Result<(), StoreError> {
    // CASE, since the function for the greater of two values is max() in SQLite and greatest() in
    // PostgreSQL.
    const ADD_LOAD: &str = "UPDATE servers SET load = CASE WHEN load IS NULL THEN NULL \
        WHEN load + ?2 * load_multiplier > 0.0 THEN load + ?2 * load_multiplier ELSE 0.0 END, \
        placed_since_poll = CASE WHEN placed_since_poll + ?3 > 0 \
        THEN placed_since_poll + ?3 ELSE 0 END WHERE id = ?1";
    connection.execute_later(ADD_LOAD, values![&id.0, users, placed])
}
