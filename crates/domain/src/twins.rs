//! One server that is listed twice: its URL in several spellings, and what follows for totals.

use crate::server::{Server, ServerId, ServerStats};

/// Returns a URL of an API in one spelling, so that those of one server can be compared: without
/// the default port, with scheme and host in lower case, without empty path segments, without a
/// final `/api`.
#[must_use]
pub fn normalize_url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let scheme = scheme.to_ascii_lowercase();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let authority = authority.to_ascii_lowercase();
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let host = authority.strip_suffix(default_port).unwrap_or(&authority);
    let mut segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.last() == Some(&"api") {
        segments.pop();
    }
    // A final dot makes a host name absolute, and names the same host.
    let host = host.strip_suffix('.').unwrap_or(host);
    format!("{scheme}://{host}/{}", segments.join("/"))
}

/// Returns the server that has this URL in any spelling, other than the one of this id.
#[must_use]
pub fn find_same_url<'a>(
    servers: &'a [Server],
    url: &str,
    id: Option<&ServerId>,
) -> Option<&'a Server> {
    let wanted = normalize_url(url);
    servers.iter().find(|server| id != Some(&server.id) && normalize_url(&server.url) == wanted)
}

/// Returns the other entries that are the same server as this one, by their URLs or by the meetings
/// that both reported.
#[must_use]
pub fn list_twins<'a>(server: &Server, servers: &'a [Server]) -> Vec<&'a ServerId> {
    let url = normalize_url(&server.url);
    let is_twin = |other: &&Server| {
        other.id != server.id
            && (server.twin_of.as_ref() == Some(&other.id)
                || other.twin_of.as_ref() == Some(&server.id)
                || normalize_url(&other.url) == url)
    };
    servers.iter().filter(is_twin).map(|other| &other.id).collect()
}

/// Adds up the numbers of all servers. A server that is listed several times counts once.
#[must_use]
pub fn total_stats(servers: &[Server]) -> ServerStats {
    let mut total = ServerStats::default();
    for (index, server) in servers.iter().enumerate() {
        let before = servers.get(..index).unwrap_or_default();
        let is_counted = list_twins(server, before)
            .into_iter()
            .any(|twin| before.iter().any(|other| other.id == *twin && other.is_online()));
        if is_counted {
            continue;
        }
        let stats = server.stats;
        total.meetings = total.meetings.saturating_add(stats.meetings);
        total.users = total.users.saturating_add(stats.users);
        total.largest_meeting = total.largest_meeting.max(stats.largest_meeting);
        total.videos = total.videos.saturating_add(stats.videos);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(id: &str, url: &str, users: u32) -> Server {
        let mut server = Server::new(ServerId(id.to_owned()), url.to_owned(), String::new());
        server.health.online = true;
        server.stats = ServerStats { meetings: 1, users, largest_meeting: users, videos: 2 };
        server
    }

    #[test]
    fn spellings_of_one_url_are_the_same() {
        let wanted = normalize_url("https://bbb.example/bigbluebutton/api");
        for url in [
            "https://bbb.example/bigbluebutton/api/",
            "https://bbb.example/bigbluebutton",
            "https://bbb.example/bigbluebutton/",
            "https://BBB.Example:443/bigbluebutton/api",
            "HTTPS://bbb.example.//bigbluebutton//api//",
        ] {
            assert_eq!(normalize_url(url), wanted, "{url}");
        }
        for url in [
            "http://bbb.example/bigbluebutton/api",
            "https://bbb.example:8443/bigbluebutton/api",
            "https://bbb.example/BigBlueButton/api",
            "https://bbb2.example/bigbluebutton/api",
            "https://bbb.example/other/api",
        ] {
            assert_ne!(normalize_url(url), wanted, "{url}");
        }
        assert_eq!(normalize_url("http://[::1]:80/api"), normalize_url("http://[::1]"));
        assert_eq!(normalize_url("http://b:80/api"), normalize_url("http://b/"));
        assert_ne!(normalize_url("http://b:443/"), normalize_url("http://b/"));
    }

    #[test]
    fn twins_are_found_by_url_and_by_what_they_reported() {
        let mut all = [
            server("1", "https://a/api", 5),
            server("2", "https://A/", 5),
            server("3", "https://c/api", 7),
            server("4", "https://d/api", 7),
            server("5", "https://e/api", 1),
        ];
        all[3].twin_of = Some(ServerId("3".to_owned()));
        let twins = |index: usize| {
            let found: Vec<&ServerId> = list_twins(&all[index], &all);
            found.into_iter().map(|id| id.0.as_str()).collect::<Vec<_>>()
        };
        let found: Vec<_> = (0..all.len()).map(twins).collect();
        assert_eq!(found, [vec!["2"], vec!["1"], vec!["4"], vec!["3"], vec![]]);
        let total = total_stats(&all);
        assert_eq!((total.meetings, total.users, total.largest_meeting), (3, 13, 7));
        assert_eq!(
            find_same_url(&all, "https://a", None).map(|found| found.id.0.as_str()),
            Some("1")
        );
        let other = find_same_url(&all, "https://a", Some(&all[0].id));
        assert_eq!(other.map(|found| found.id.0.as_str()), Some("2"));
        assert_eq!(find_same_url(&all, "https://x", None), None);
    }

    #[test]
    fn an_offline_twin_hides_nothing() {
        let mut all = [server("1", "https://a/api", 0), server("2", "https://a", 5)];
        all[0].health.online = false;
        assert_eq!(total_stats(&all).users, 5);
    }
}
