//! Checks of all servers of the pool for administrators: connection and certificate, secret,
//! version, and clock.

use std::collections::HashSet;

use domain::{AdminState, Server, twins};
use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};

use crate::backend::CallOptions;
use crate::context::App;
use crate::foreign_answer::describe_foreign_answer;
use crate::poll::refusal_reason;
use crate::ports::{BackendResponse, CallError, CallPriority, Finding, FindingLevel, StoreError};

/// Maximum difference between a server's clock and that of the balancer, in ms.
const MAX_CLOCK_SKEW_MS: i64 = 5_000;
/// The header `Date` has a resolution of one second: on average it is half a second late, in ms.
const DATE_ROUNDING_MS: i64 = 500;
/// Maximum length of texts of servers that are shown.
const MAX_TEXT_CHARS: usize = 120;

/// Checks all servers, several at the same time. The findings are in the order of the servers.
pub async fn check_servers(app: &App) -> Vec<Finding> {
    let servers = match app.pool.list_servers().await {
        Ok(servers) => servers,
        Err(StoreError::NotAdopted) => {
            return vec![Finding::skipped("servers", "the database does not contain any yet")];
        }
        Err(error) => {
            let advice = "see the findings about the store";
            return vec![Finding::fail("servers", error.to_string(), advice)];
        }
    };
    if servers.is_empty() {
        let advice = "add one: scalelite servers add URL SECRET, and enable it";
        return vec![Finding::warn("servers", "the pool is empty", advice)];
    }
    let mut findings = Vec::new();
    if !servers.iter().any(|server| server.state == AdminState::Enabled) {
        let advice = "enable one: scalelite servers enable ID";
        findings.push(Finding::warn(
            "servers",
            "none is enabled: no meeting can be placed",
            advice,
        ));
    }
    let checks: Vec<_> = servers
        .iter()
        .map(|server| check_server(app, server, server_label(server, &servers)).boxed())
        .collect();
    let checks = stream::iter(checks).buffered(app.policy.poll_concurrency.max(1));
    let mut reported = Vec::new();
    for (of_server, ids) in checks.collect::<Vec<_>>().await {
        findings.extend(of_server);
        reported.push(ids);
    }
    findings.extend(find_twins(&servers, &reported));
    findings
}

/// Returns the host name of a server, and its id if several servers have that host name.
fn server_label(server: &Server, servers: &[Server]) -> String {
    let host = server.hostname();
    let is_unique = servers.iter().filter(|server| server.hostname() == host).count() == 1;
    if is_unique { format!("server {host}") } else { format!("server {host} ({})", server.id) }
}

/// Finds entries that are one server: by their URLs, or by the meetings that both report.
/// `reported` are the `internalMeetingID`s of each server.
fn find_twins(servers: &[Server], reported: &[HashSet<String>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, (server, ids)) in servers.iter().zip(reported).enumerate() {
        let known = twins::list_twins(server, servers);
        for (other, other_ids) in servers.iter().zip(reported).skip(index + 1) {
            let has_same_meetings = !ids.is_disjoint(other_ids);
            if has_same_meetings && server.secret != other.secret {
                let name = format!("server {} ({})", server.hostname(), server.id);
                let detail = format!("reports meetings of {} ({})", other.hostname(), other.id);
                let advice = "one of them reports what it does not have, or its secret is outdated: \
                              look at both";
                findings.push(Finding::warn(name, detail, advice));
            } else if known.contains(&&other.id) || has_same_meetings {
                let name = format!("server {} ({})", server.hostname(), server.id);
                let detail = format!("the same server as {} ({})", other.hostname(), other.id);
                let advice = format!(
                    "keep one of them: cordon the other, wait for a poll, and remove it: \
                     scalelite servers cordon {id}, scalelite servers remove {id}",
                    id = server.id
                );
                findings.push(Finding::warn(name, detail, advice));
            }
        }
    }
    findings
}

/// Checks one server. Failures of a disabled server count as warnings only. Also returns the
/// `internalMeetingID`s that it reports.
async fn check_server(app: &App, server: &Server, name: String) -> (Vec<Finding>, HashSet<String>) {
    let options = CallOptions { priority: CallPriority::Internal, timeouts: app.policy.timeouts };
    let sent_at = app.clock.now();
    let listed = app.fetch_meetings(server, options).await;
    let middle = sent_at.plus_ms(app.clock.now().ms_since(sent_at) / 2);
    let mut findings = vec![check_connection(&name, server, &listed)];
    match &listed {
        Ok(response) => {
            findings.push(check_secret(app, &name, server, response));
            findings.push(check_version(app, server, options, &name).await);
            let server_time = response.date.map(|date| date.plus_ms(DATE_ROUNDING_MS));
            let skew_ms = server_time.map(|server_time| server_time.ms_since(middle));
            findings.push(check_clock(&name, skew_ms));
        }
        Err(_) => {
            let skipped = |check| Finding::skipped(format!("{name}: {check}"), "no response");
            findings.extend(["secret", "version", "clock"].map(skipped));
        }
    }
    if server.state == AdminState::Disabled {
        for finding in findings.iter_mut().filter(|finding| finding.level == FindingLevel::Fail) {
            finding.level = FindingLevel::Warn;
            finding.detail.push_str(" (the server is disabled)");
        }
    }
    (findings, listed.map_or_else(|_| HashSet::new(), |response| internal_ids(app, &response)))
}

fn internal_ids(app: &App, response: &BackendResponse) -> HashSet<String> {
    let list = app.read_meeting_list(response).unwrap_or_default();
    let ids = list.meetings.into_iter().map(|meeting| meeting.internal_id);
    ids.filter(|id| !id.is_empty()).collect()
}

fn check_connection(
    name: &str,
    server: &Server,
    listed: &Result<BackendResponse, CallError>,
) -> Finding {
    let check = format!("{name}: connection");
    let is_encrypted = server.url.starts_with("https:");
    match listed {
        Ok(_) if is_encrypted => Finding::ok(check, "reachable, certificate valid"),
        Ok(_) => Finding::ok(check, "reachable, without TLS"),
        Err(error @ CallError::Unreachable(reason)) if reason.contains("certificate") => {
            let advice = "renew the server's certificate; if your own authority has issued it, add \
                          the authority to those of the system, or name it by SSL_CERT_FILE";
            Finding::fail(check, error.to_string(), advice)
        }
        Err(error) => {
            let advice = format!(
                "check that {} is right, its host name resolves, the server runs (bbb-conf --status), \
                 and no firewall blocks the connection",
                server.url
            );
            Finding::fail(check, error.to_string(), advice)
        }
    }
}

fn check_secret(app: &App, name: &str, server: &Server, response: &BackendResponse) -> Finding {
    let check = format!("{name}: secret");
    match app.read_meeting_list(response) {
        Ok(meetings) => {
            Finding::ok(check, format!("accepted, {} meetings", meetings.meetings.len()))
        }
        Err(bbb::InvalidResponse::Failed) => {
            let advice = format!(
                "`bbb-conf --secret` on the server prints the right one: \
                 scalelite servers update {} SECRET",
                server.id
            );
            Finding::fail(check, refusal_reason(&response.body), advice)
        }
        Err(error @ bbb::InvalidResponse::TooManyMeetings(_)) => {
            let advice = "look at the server: `scalelite meetings list --foreign`; if it is sound, raise \
                          MAX_LISTED_MEETINGS";
            Finding::fail(check, error.to_string(), advice)
        }
        Err(error) => {
            let detail = describe_foreign_answer(response)
                .unwrap_or_else(|| format!("HTTP {}, {error}", response.status));
            let detail = format!("not a response of BigBlueButton: {detail}");
            let advice = format!("check that {} is the URL of its API", server.url);
            Finding::fail(check, detail, advice)
        }
    }
}

async fn check_version(app: &App, server: &Server, options: CallOptions, name: &str) -> Finding {
    let check = format!("{name}: version");
    match app.fetch_version(server, options).await {
        Ok(body) => {
            let version = bbb::response::parse_bbb_version(&body);
            let version = version.map(|text| text.chars().take(MAX_TEXT_CHARS).collect::<String>());
            Finding::ok(check, version.unwrap_or_else(|| "not revealed by the server".to_owned()))
        }
        Err(error) => {
            let advice = "check what its web server responds to the path of the API";
            Finding::warn(check, error.to_string(), advice)
        }
    }
}

/// Checks the clock of a server, which is so many ms ahead of that of the balancer.
fn check_clock(name: &str, skew_ms: Option<i64>) -> Finding {
    let check = format!("{name}: clock");
    let Some(skew_ms) = skew_ms else {
        return Finding::skipped(check, "the response has no Date header");
    };
    if skew_ms.abs() <= MAX_CLOCK_SKEW_MS {
        return Finding::ok(check, "within some seconds of ours");
    }
    let direction = if skew_ms > 0 { "ahead of" } else { "behind" };
    let detail = format!("{} s {direction} ours", skew_ms.abs() / 1000);
    Finding::warn(check, detail, "let NTP set the clocks of both machines (timedatectl)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_are_off_are_reported() {
        let check = |skew_ms| {
            let finding = check_clock("x", skew_ms);
            (finding.level, finding.detail)
        };
        assert_eq!(check(None).0, FindingLevel::Skipped);
        assert_eq!(check(Some(-5_000)).0, FindingLevel::Ok);
        assert_eq!(check(Some(61_000)), (FindingLevel::Warn, "61 s ahead of ours".to_owned()));
        assert_eq!(check(Some(-5_001)), (FindingLevel::Warn, "5 s behind ours".to_owned()));
    }

    #[test]
    fn invalid_certificates_have_their_own_advice() {
        let server = Server::new(
            domain::ServerId("1".to_owned()),
            "https://a/api".to_owned(),
            String::new(),
        );
        let advice = |reason: &str| {
            let finding =
                check_connection("x", &server, &Err(CallError::Unreachable(reason.to_owned())));
            assert_eq!(finding.detail, format!("unreachable: {reason}"));
            finding.advice.unwrap()
        };
        assert!(advice("invalid peer certificate: UnknownIssuer").contains("SSL_CERT_FILE"));
        assert!(advice("Connection refused").contains("https://a/api is right"));
    }

    #[test]
    fn entries_of_one_server_are_reported() {
        let server = |id: &str, url: &str| {
            Server::new(domain::ServerId(id.to_owned()), url.to_owned(), String::new())
        };
        let all =
            [server("1", "http://a/api"), server("2", "http://A:80"), server("3", "http://c")];
        let ids = |list: &[&str]| list.iter().map(ToString::to_string).collect::<HashSet<_>>();
        let reported = [ids(&[]), ids(&["x-1", "y-2"]), ids(&["y-2"])];
        let found: Vec<_> = find_twins(&all, &reported)
            .into_iter()
            .map(|finding| format!("{}: {}", finding.check, finding.detail))
            .collect();
        let expected =
            ["server a (1): the same server as A (2)", "server A (2): the same server as c (3)"];
        assert_eq!(found, expected);
    }

    #[test]
    fn labels_of_servers_on_one_host_have_their_ids() {
        let server = |id: &str, url: &str| {
            Server::new(domain::ServerId(id.to_owned()), url.to_owned(), String::new())
        };
        let all = [
            server("1", "http://a/api"),
            server("2", "http://b/api"),
            server("3", "http://b:8/api"),
        ];
        let labels: Vec<_> = all.iter().map(|server| server_label(server, &all)).collect();
        assert_eq!(labels, ["server a", "server b (2)", "server b (3)"]);
    }
}
