//! A closer look at every server of the pool, for administrators: whether it can be reached and
//! trusted, takes our secret, and knows what time it is.

use bbb::meetings::MeetingList;
use domain::{AdminState, Server};
use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};

use crate::backend::CallOptions;
use crate::context::App;
use crate::poll::refusal_reason;
use crate::ports::{BackendResponse, CallError, CallPriority, Finding, FindingLevel, StoreError};

/// How far a server's clock may be off, in ms.
const MAX_CLOCK_SKEW_MS: i64 = 5_000;
/// `Date` tells seconds only: on the average it is half of one late.
const DATE_ROUNDING_MS: i64 = 500;
/// Texts of servers are shown only this long.
const MAX_TEXT_CHARS: usize = 120;

/// Looks at all servers, so many at a time; the findings are in the order of the servers.
pub async fn check_servers(app: &App) -> Vec<Finding> {
    let servers = match app.pool.list_servers().await {
        Ok(servers) => servers,
        Err(StoreError::NotAdopted) => {
            return vec![Finding::skipped("servers", "the database does not hold any yet")];
        }
        Err(error) => {
            let advice = "see what is found about the store";
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
            "none is enabled: no meeting finds a place",
            advice,
        ));
    }
    let looks: Vec<_> = servers
        .iter()
        .map(|server| check_server(app, server, server_label(server, &servers)).boxed())
        .collect();
    let looks = stream::iter(looks).buffered(app.policy.poll_concurrency.max(1));
    findings.extend(looks.collect::<Vec<_>>().await.into_iter().flatten());
    findings
}

/// The host of a server, and its id if it shares its host.
fn server_label(server: &Server, all: &[Server]) -> String {
    let host = server.hostname();
    let alone = all.iter().filter(|other| other.hostname() == host).count() == 1;
    if alone { format!("server {host}") } else { format!("server {host} ({})", server.id) }
}

/// Looks at one server. What is wrong with one that is not in use is no failure.
async fn check_server(app: &App, server: &Server, name: String) -> Vec<Finding> {
    let way = CallOptions { priority: CallPriority::Internal, timeouts: app.policy.timeouts };
    let before = app.clock.now();
    let listed = app.fetch_meetings(server, way).await;
    let middle = before.plus_ms(app.clock.now().ms_since(before) / 2);
    let mut findings = vec![check_connection(&name, server, &listed)];
    match &listed {
        Ok(answer) => {
            findings.push(check_secret(&name, server, answer));
            findings.push(check_version(app, server, way, &name).await);
            let off = answer.date.map(|date| date.plus_ms(DATE_ROUNDING_MS).ms_since(middle));
            findings.push(check_clock(&name, off));
        }
        Err(_) => {
            let rest = ["secret", "version", "clock"];
            let skipped = |what| Finding::skipped(format!("{name}: {what}"), "no answer");
            findings.extend(rest.map(skipped));
        }
    }
    if server.state == AdminState::Disabled {
        for finding in findings.iter_mut().filter(|finding| finding.level == FindingLevel::Fail) {
            finding.level = FindingLevel::Warn;
            finding.detail.push_str(" (the server is disabled)");
        }
    }
    findings
}

fn check_connection(
    name: &str,
    server: &Server,
    listed: &Result<BackendResponse, CallError>,
) -> Finding {
    let check = format!("{name}: connection");
    let encrypted = server.url.starts_with("https:");
    match listed {
        Ok(_) if encrypted => Finding::ok(check, "reachable, certificate valid"),
        Ok(_) => Finding::ok(check, "reachable, without TLS"),
        Err(error @ CallError::Unreachable(reason)) if reason.contains("certificate") => {
            let advice = "renew the server's certificate; if its authority is your own, add it to \
                          the system's or name it by SSL_CERT_FILE";
            Finding::fail(check, error.to_string(), advice)
        }
        Err(error) => {
            let advice = format!(
                "see whether {} is right, its name resolves, the server runs (bbb-conf --status), \
                 and no firewall is between",
                server.url
            );
            Finding::fail(check, error.to_string(), advice)
        }
    }
}

fn check_secret(name: &str, server: &Server, answer: &BackendResponse) -> Finding {
    let check = format!("{name}: secret");
    match MeetingList::read(&answer.body) {
        Ok(meetings) => {
            Finding::ok(check, format!("accepted, {} meetings", meetings.meetings.len()))
        }
        Err(bbb::InvalidResponse::Failed) => {
            let advice = format!(
                "`bbb-conf --secret` on the server prints the right one: \
                 scalelite servers update {} SECRET",
                server.id
            );
            Finding::fail(check, refusal_reason(&answer.body), advice)
        }
        Err(error) => {
            let detail = format!("no answer of BigBlueButton: HTTP {}, {error}", answer.status);
            let advice = format!("see whether {} is its API endpoint", server.url);
            Finding::fail(check, detail, advice)
        }
    }
}

async fn check_version(app: &App, server: &Server, way: CallOptions, name: &str) -> Finding {
    let check = format!("{name}: version");
    match app.fetch_version(server, way).await {
        Ok(body) => {
            let version = bbb::response::parse_bbb_version(&body);
            let version = version.map(|text| text.chars().take(MAX_TEXT_CHARS).collect::<String>());
            Finding::ok(check, version.unwrap_or_else(|| "not revealed by the server".to_owned()))
        }
        Err(error) => {
            let advice = "see what its web server does with the path of the API alone";
            Finding::warn(check, error.to_string(), advice)
        }
    }
}

/// How far a clock is off, in ms; positive if it is ahead of ours.
fn check_clock(name: &str, off_ms: Option<i64>) -> Finding {
    let check = format!("{name}: clock");
    let Some(off_ms) = off_ms else {
        return Finding::skipped(check, "the answer has no date");
    };
    if off_ms.abs() <= MAX_CLOCK_SKEW_MS {
        return Finding::ok(check, "within some seconds of ours");
    }
    let direction = if off_ms > 0 { "ahead of" } else { "behind" };
    let detail = format!("{} s {direction} ours", off_ms.abs() / 1000);
    Finding::warn(check, detail, "let NTP set the clocks of both machines (timedatectl)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_are_off_are_reported() {
        let found = |off_ms| {
            let finding = check_clock("x", off_ms);
            (finding.level, finding.detail)
        };
        assert_eq!(found(None).0, FindingLevel::Skipped);
        assert_eq!(found(Some(-5_000)).0, FindingLevel::Ok);
        assert_eq!(found(Some(61_000)), (FindingLevel::Warn, "61 s ahead of ours".to_owned()));
        assert_eq!(found(Some(-5_001)), (FindingLevel::Warn, "5 s behind ours".to_owned()));
    }

    #[test]
    fn certificates_have_advice_of_their_own() {
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
    fn servers_on_one_host_are_told_apart() {
        let server = |id: &str, url: &str| {
            Server::new(domain::ServerId(id.to_owned()), url.to_owned(), String::new())
        };
        let all = [
            server("1", "http://a/api"),
            server("2", "http://b/api"),
            server("3", "http://b:8/api"),
        ];
        let names: Vec<_> = all.iter().map(|one| server_label(one, &all)).collect();
        assert_eq!(names, ["server a", "server b (2)", "server b (3)"]);
    }
}
