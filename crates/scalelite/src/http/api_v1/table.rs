//! The table of endpoints.

use std::sync::LazyLock;

use domain::management::Scope;
use http::{Method, StatusCode};

use super::endpoint::Endpoint;
use super::{
    apply, audit, drains, meetings, placement, planned_drains, pool, server_changes,
    server_contents, servers, table_recordings, tenant_settings, tenants, tokens,
};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

static ENDPOINTS: LazyLock<Vec<Endpoint>> = LazyLock::new(|| {
    let groups = [
        of_pool(),
        of_servers(),
        of_drains(),
        of_meetings(),
        of_tenants(),
        table_recordings::of_recordings(),
        of_tokens(),
    ];
    groups.into_iter().flatten().collect()
});

/// All endpoints.
pub(super) fn endpoints() -> &'static [Endpoint] {
    &ENDPOINTS
}

fn of_pool() -> Vec<Endpoint> {
    let (read, write) = (Scope::ServersRead, Scope::ServersWrite);
    vec![
        Endpoint::new(
            (GET, "/status"),
            ("showStatus", "Shows the pool in numbers"),
            read,
            pool::status,
        ),
        Endpoint::new(
            (GET, "/readiness"),
            ("showReadiness", "Shows whether the process has what it needs"),
            read,
            pool::readiness,
        ),
        Endpoint::new(
            (POST, "/polls"),
            ("pollServers", "Polls all servers now"),
            write,
            pool::poll_all,
        ),
        Endpoint::new(
            (POST, "/apply"),
            ("applyPool", "Brings servers, tenants and their settings to a wanted state"),
            write,
            apply::bring_about,
        )
        .with_body_limit(apply::MAX_BYTES),
        Endpoint::new(
            (GET, "/placement"),
            ("tryPlacement", "Shows where a new meeting would be placed now"),
            read,
            placement::try_out,
        ),
        Endpoint::new(
            (GET, "/doctor"),
            (
                "runChecks",
                "Checks settings, directories, certificate, stores and servers, as `scalelite doctor` does",
            ),
            Scope::Admin,
            pool::run_checks,
        ),
        Endpoint::new(
            (GET, "/config"),
            ("showSettings", "Shows the settings in effect, secrets hidden"),
            Scope::Admin,
            pool::show_settings,
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn of_servers() -> Vec<Endpoint> {
    let (read, write) = (Scope::ServersRead, Scope::ServersWrite);
    vec![
        Endpoint::new((GET, "/servers"), ("listServers", "Lists servers"), read, servers::list),
        Endpoint::new(
            (POST, "/servers"),
            ("addServer", "Adds a server, disabled; it is asked first whether it can be used"),
            write,
            servers::add,
        )
        .with_status(StatusCode::CREATED)
        .versioned(),
        Endpoint::new((GET, "/servers/{id}"), ("getServer", "Shows a server"), read, servers::get)
            .versioned(),
        Endpoint::new(
            (PATCH, "/servers/{id}"),
            ("updateServer", "Changes a server"),
            write,
            servers::update,
        )
        .versioned(),
        Endpoint::new(
            (DELETE, "/servers/{id}"),
            ("removeServer", "Removes a server and its meetings from the pool"),
            write,
            servers::remove,
        )
        .with_status(StatusCode::NO_CONTENT)
        .versioned(),
        Endpoint::new(
            (POST, "/servers/{id}/enable"),
            ("enableServer", "Allows new meetings on a server, and polls it"),
            write,
            server_changes::enable,
        )
        .versioned(),
        Endpoint::new(
            (POST, "/servers/{id}/cordon"),
            ("cordonServer", "Places no new meetings on a server"),
            write,
            server_changes::cordon,
        )
        .versioned(),
        Endpoint::new(
            (POST, "/servers/{id}/disable"),
            ("disableServer", "Disables a server, and ends its meetings if that is forced"),
            write,
            server_changes::disable,
        )
        .versioned(),
        Endpoint::new(
            (POST, "/servers/{id}/panic"),
            ("panicServer", "Ends all meetings of a server, and disables it"),
            write,
            server_changes::panic,
        )
        .versioned(),
        Endpoint::new(
            (POST, "/servers/{id}/poll"),
            ("pollServer", "Polls a server now"),
            write,
            server_changes::poll_one,
        )
        .versioned(),
        Endpoint::new(
            (GET, "/servers/{id}/occupancy"),
            ("countUsers", "Asks a server who is in the meetings that the pool has there"),
            read,
            server_contents::count_users,
        ),
        Endpoint::new(
            (GET, "/servers/{id}/reported-meetings"),
            ("listReportedMeetings", "Asks a server for its meetings, whoever made them"),
            read,
            server_contents::list_reported,
        ),
        Endpoint::new(
            (GET, "/servers/{id}/drain"),
            ("showDrain", "Polls a server, and shows what is left on it"),
            read,
            drains::show_remaining,
        ),
        Endpoint::new(
            (POST, "/servers/{id}/drain"),
            ("drainServer", "Cordons a server; it is disabled when its last meeting is over"),
            write,
            drains::begin,
        )
        .versioned(),
        Endpoint::new(
            (POST, "/servers/{id}/warn"),
            ("warnUsers", "Writes into the chat of all meetings of a server"),
            write,
            drains::warn,
        ),
        Endpoint::new(
            (POST, "/servers/{id}/end-meetings"),
            ("endServerMeetings", "Ends all meetings on a server that this deployment created"),
            write,
            drains::end_meetings,
        )
        .versioned(),
    ]
}

fn of_drains() -> Vec<Endpoint> {
    let (read, write) = (Scope::ServersRead, Scope::ServersWrite);
    vec![
        Endpoint::new(
            (GET, "/drains"),
            ("listDrains", "Lists the drains that the balancer carries out by itself"),
            read,
            planned_drains::list,
        ),
        Endpoint::new(
            (POST, "/drains"),
            ("planDrain", "Plans a drain: at its time the server gets no new meetings, and it is disabled when it is empty"),
            write,
            planned_drains::plan,
        )
        .with_status(StatusCode::CREATED),
        Endpoint::new(
            (GET, "/drains/{id}"),
            ("getDrain", "Shows a drain"),
            read,
            planned_drains::get,
        ),
        Endpoint::new(
            (DELETE, "/drains/{id}"),
            ("cancelDrain", "Cancels a drain; a server that it has cordoned or disabled stays so"),
            write,
            planned_drains::cancel,
        )
        .with_status(StatusCode::NO_CONTENT),
    ]
}

fn of_meetings() -> Vec<Endpoint> {
    let (read, write) = (Scope::MeetingsRead, Scope::MeetingsWrite);
    vec![
        Endpoint::new((GET, "/meetings"), ("listMeetings", "Lists meetings"), read, meetings::list),
        Endpoint::new(
            (GET, "/foreign-meetings"),
            ("listForeignMeetings", "Lists meetings that run on the servers and are not ours"),
            read,
            meetings::list_foreign,
        ),
        Endpoint::new(
            (GET, "/meetings/{id}"),
            ("getMeeting", "Shows a meeting"),
            read,
            meetings::get,
        ),
        Endpoint::new(
            (DELETE, "/meetings/{id}"),
            ("endMeeting", "Ends a meeting"),
            write,
            meetings::end,
        )
        .with_status(StatusCode::NO_CONTENT),
        Endpoint::new(
            (GET, "/meetings/{id}/info"),
            ("getMeetingInfo", "Shows what the server of a meeting says of it"),
            read,
            meetings::info,
        ),
        Endpoint::new(
            (GET, "/meetings/{id}/placement"),
            (
                "explainPlacement",
                "Shows where a meeting is and why, and where it would be placed now",
            ),
            read,
            placement::explain,
        ),
    ]
}

fn of_tenants() -> Vec<Endpoint> {
    let (read, write) = (Scope::TenantsRead, Scope::TenantsWrite);
    vec![
        Endpoint::new((GET, "/tenants"), ("listTenants", "Lists tenants"), read, tenants::list),
        Endpoint::new((POST, "/tenants"), ("addTenant", "Adds a tenant"), write, tenants::add)
            .with_status(StatusCode::CREATED)
            .versioned(),
        Endpoint::new((GET, "/tenants/{id}"), ("getTenant", "Shows a tenant"), read, tenants::get)
            .versioned(),
        Endpoint::new(
            (PATCH, "/tenants/{id}"),
            ("updateTenant", "Changes a tenant"),
            write,
            tenants::update,
        )
        .versioned(),
        Endpoint::new(
            (DELETE, "/tenants/{id}"),
            ("removeTenant", "Removes a tenant and its settings; its meetings go on"),
            write,
            tenants::remove,
        )
        .with_status(StatusCode::NO_CONTENT)
        .versioned(),
        Endpoint::new(
            (GET, "/tenants/{id}/settings"),
            ("listTenantSettings", "Lists the parameters that a tenant sets"),
            read,
            tenant_settings::list,
        ),
        Endpoint::new(
            (POST, "/tenants/{id}/settings"),
            ("addTenantSetting", "Sets a parameter for creates and joins of a tenant"),
            write,
            tenant_settings::add,
        )
        .with_status(StatusCode::CREATED),
        Endpoint::new(
            (DELETE, "/tenants/{id}/settings/{setting}"),
            ("removeTenantSetting", "Removes a setting"),
            write,
            tenant_settings::remove,
        )
        .with_status(StatusCode::NO_CONTENT),
    ]
}

fn of_tokens() -> Vec<Endpoint> {
    let admin = Scope::Admin;
    vec![
        Endpoint::new(
            (GET, "/whoami"),
            ("showHolder", "Shows what the presented token allows"),
            None,
            tokens::show_holder,
        ),
        Endpoint::new((GET, "/tokens"), ("listTokens", "Lists tokens"), admin, tokens::list),
        Endpoint::new((POST, "/tokens"), ("createToken", "Makes a token"), admin, tokens::create)
            .with_status(StatusCode::CREATED),
        Endpoint::new(
            (DELETE, "/tokens/{id}"),
            ("revokeToken", "Revokes a token, by its id or name"),
            admin,
            tokens::revoke,
        )
        .with_status(StatusCode::NO_CONTENT),
        Endpoint::new(
            (GET, "/audit"),
            ("listChanges", "Shows who has changed what, the newest first"),
            Scope::AuditRead,
            audit::list,
        ),
    ]
}
