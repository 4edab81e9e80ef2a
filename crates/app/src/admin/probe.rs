//! Asks a server, before it is added, whether it can be used, and before its meetings are removed, who is in them.

use std::collections::HashSet;

use domain::Server;

use crate::backend::CallOptions;
use crate::context::App;
use crate::foreign_answer::describe_foreign_answer;
use crate::poll::refusal_reason;
use crate::ports::{CallError, CallPriority, StoreError};

/// Path of the API on a BBB server.
const API_PATH: &str = "/bigbluebutton/api";

/// Why a server cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {advice}")]
pub struct Unusable {
    /// What happened.
    pub reason: String,
    /// What to do.
    pub advice: String,
    /// Who has answered.
    answered: Answered,
}

/// Who has answered a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    Nobody,
    /// A web server without BBB.
    Other,
    Bbb,
}

/// Checks that a server answers, that its certificate is valid, that it is a BBB server, and that it accepts the secret.
///
/// # Errors
/// When one of these is not so.
pub async fn check(app: &App, server: &Server) -> Result<(), Unusable> {
    let Err(mut unusable) = ask(app, server).await else { return Ok(()) };
    if unusable.answered != Answered::Other {
        return Err(unusable);
    }
    for url in other_urls(&server.url) {
        let other = Server { url: url.clone(), ..server.clone() };
        let answer = ask(app, &other).await;
        if answer.is_ok() || answer.is_err_and(|error| error.answered == Answered::Bbb) {
            unusable.advice = format!("BigBlueButton answers at {url}");
            return Err(unusable);
        }
    }
    Err(unusable)
}

/// URLs that are tried if no BBB server answers at the given one, for the advice: with the path of the API, and by HTTPS.
fn other_urls(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else { return Vec::new() };
    let host = rest.split('/').next().unwrap_or_default();
    let path = rest.trim_end_matches('/');
    let mut urls = vec![format!("{scheme}://{path}"), format!("{scheme}://{host}{API_PATH}")];
    if scheme == "http" {
        urls.extend([format!("https://{path}"), format!("https://{host}{API_PATH}")]);
    }
    urls.dedup();
    urls.retain(|other| other != url);
    urls
}

async fn ask(app: &App, server: &Server) -> Result<(), Unusable> {
    let options = CallOptions { priority: CallPriority::Internal, timeouts: app.policy.timeouts };
    let unusable = |reason: String, advice: &str, answered| Unusable {
        reason,
        advice: advice.to_owned(),
        answered,
    };
    let response = app.fetch_meetings(server, options).await.map_err(|error| {
        let advice = match &error {
            CallError::Unreachable(reason) if reason.contains("certificate") => {
                "renew the server's certificate, or name your own authority by SSL_CERT_FILE"
            }
            _ => "check that the URL is right, the server runs (bbb-conf --status), and no firewall blocks the connection",
        };
        unusable(error.to_string(), advice, Answered::Nobody)
    })?;
    match app.read_meeting_list(&response) {
        // Too many meetings are no reason not to use a server.
        Ok(_) | Err(bbb::InvalidResponse::TooManyMeetings(_)) => Ok(()),
        Err(bbb::InvalidResponse::Failed) => {
            let advice = "`bbb-conf --secret` on the server prints the right one";
            let reason = format!(
                "the server does not accept the secret: {}",
                refusal_reason(&response.body)
            );
            Err(unusable(reason, advice, Answered::Bbb))
        }
        Err(error) => {
            let answer = describe_foreign_answer(&response)
                .unwrap_or_else(|| format!("HTTP {}, {error}", response.status));
            let advice = "`bbb-conf --secret` on the server prints its URL, to which `api` is appended: \
                          https://HOST/bigbluebutton/api";
            Err(unusable(
                format!("no BigBlueButton answers there: {answer}"),
                advice,
                Answered::Other,
            ))
        }
    }
}

/// Who is in the meetings of a server that the pool has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupancy {
    /// Number of these meetings.
    pub meetings: usize,
    /// Number of users in them.
    pub users: u64,
    /// Whether the server has said so; otherwise these are the last known numbers.
    pub is_current: bool,
}

/// Counts the users in the meetings of a server that the pool has. The server is asked, because recorded numbers may be a minute
/// old.
///
/// # Errors
/// When the store fails.
pub async fn count_users(app: &App, server: &Server) -> Result<Occupancy, StoreError> {
    let recorded = app.pool.list_meetings(Some(&server.id)).await?;
    let meetings = recorded.len();
    let timeouts = app.policy.timeouts_for(server.is_online());
    let options = CallOptions { priority: CallPriority::Internal, timeouts };
    let answer = app.fetch_meetings(server, options).await.ok();
    let list = answer.and_then(|response| app.read_meeting_list(&response).ok());
    let Some(list) = list else {
        let users = if meetings == 0 { 0 } else { server.stats.users.into() };
        return Ok(Occupancy { meetings, users, is_current: false });
    };
    let ids: HashSet<&str> = recorded.iter().map(|meeting| meeting.key.id.as_str()).collect();
    let ours = list.meetings.iter().filter(|meeting| ids.contains(meeting.id.as_str()));
    let users = ours.map(|meeting| u64::from(meeting.participants.unwrap_or(0))).sum();
    Ok(Occupancy { meetings, users, is_current: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_url_is_guessed_from_parts_of_it() {
        let api = "https://b.test/bigbluebutton/api".to_owned();
        assert_eq!(other_urls("https://b.test"), std::slice::from_ref(&api));
        assert_eq!(other_urls("https://b.test/"), ["https://b.test".to_owned(), api.clone()]);
        assert_eq!(other_urls("https://b.test/bigbluebutton/")[1], api);
        assert_eq!(other_urls(&api), [] as [String; 0]);
        let plain = "http://b.test/bigbluebutton/api";
        assert_eq!(other_urls(plain), [api]);
    }
}
