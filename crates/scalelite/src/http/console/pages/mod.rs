//! What each page of the console shows.

pub(super) mod audit;
pub(super) mod doctor;
pub(super) mod forecast;
pub(super) mod meeting;
pub(super) mod meetings;
pub(super) mod recordings;
pub(super) mod server;
pub(super) mod tenants;
pub(super) mod today;

use std::collections::HashMap;

use bbb::Query;
use domain::Server;

/// Returns the link to a page with one parameter.
fn link(page: &str, parameters: &[(&str, &str)]) -> String {
    let mut query = Query::default();
    for (name, value) in parameters {
        query.push(name, value);
    }
    format!("/scalelite/{page}?{}", query.to_text())
}

/// Returns the link to the page of a server.
pub(super) fn server_link(id: &str) -> String {
    link("server", &[("id", id)])
}

/// Returns the link to the page of a meeting.
fn meeting_link(tenant: Option<&str>, id: &str) -> String {
    match tenant {
        Some(tenant) => link("meeting", &[("tenant", tenant), ("id", id)]),
        None => link("meeting", &[("id", id)]),
    }
}

/// Returns the link to recordings of an id.
pub(super) fn recordings_link(id: &str) -> String {
    link("recordings", &[("q", id)])
}

/// How servers are called: by their host names, and by their ids as well where several have the same.
struct DisplayNames<'a>(HashMap<&'a str, usize>);

impl<'a> DisplayNames<'a> {
    fn new(servers: &'a [Server]) -> Self {
        let mut counts = HashMap::new();
        for server in servers {
            *counts.entry(server.hostname()).or_default() += 1;
        }
        Self(counts)
    }

    fn find(&self, server: &Server) -> String {
        let host = server.hostname();
        match self.0.get(host) {
            Some(2..) => format!("{host} ({})", server.id),
            _ => host.to_owned(),
        }
    }
}
