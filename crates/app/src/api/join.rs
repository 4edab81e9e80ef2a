//! `join`: the browser is sent to the meeting's server.

use bbb::{Query, query::encode};
use domain::parameters::join_edits;

use crate::context::App;
use crate::forecaster;
use crate::tenancy::Caller;

use super::errors::ApiError;
use super::request::{RequestLog, apply_edits, is_own_meeting, meeting_key};

/// A join that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRefusal {
    /// Why.
    pub error: ApiError,
    /// Where the front-end wants its users to be told so, with BBB's `errors` added.
    pub error_url: Option<String>,
}

/// Where to send the browser: the signed join on the meeting's server.
///
/// # Errors
/// When the meeting is unknown or its server is offline or disabled.
pub async fn join(
    app: &App,
    caller: &Caller,
    query: Query,
    trail: &mut RequestLog,
) -> Result<String, JoinRefusal> {
    let error_url = query.get("errorRedirectUrl").map(std::borrow::Cow::into_owned);
    let wants_xml = query.get("redirect").is_some_and(|redirect| redirect == "false");
    let location = build_join_url(app, caller, query, trail).await;
    location.map_err(|error| {
        let error_url =
            error_url.filter(|_| !wants_xml).and_then(|url| add_error_to_url(&url, &error));
        JoinRefusal { error, error_url }
    })
}

async fn build_join_url(
    app: &App,
    caller: &Caller,
    mut query: Query,
    trail: &mut RequestLog,
) -> Result<String, ApiError> {
    let key = meeting_key(caller, &query, trail)?;
    let located = app.pool.record_join(&key, app.clock.now()).await?.ok_or(ApiError::NotFound)?;
    trail.server = Some(located.server.id.clone());
    if !is_own_meeting(&located.meeting) {
        return Err(ApiError::NotFound);
    }
    if !located.is_reachable() {
        return Err(ApiError::ServerUnavailable);
    }
    forecaster::record_join(app, &located.meeting.key);
    apply_edits(&mut query, join_edits(caller.join_rules(&app.policy)));
    Ok(app.signed_url(&located.server, "join", &query))
}

/// The front-end's page with the error in BBB's form: `errors=[{"key":…,"message":…}]`. The
/// address was signed with the call, so this is no open redirect.
fn add_error_to_url(url: &str, error: &ApiError) -> Option<String> {
    let printable = url.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    if !printable || domain::server::hostname(url).is_none() {
        return None;
    }
    let (page, fragment) = url.split_once('#').map_or((url, ""), |(page, rest)| (page, rest));
    let separator = match page.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    let message = error.message().replace('\\', "\\\\").replace('"', "\\\"");
    let json = format!(r#"[{{"key":"{}","message":"{message}"}}]"#, error.key());
    let hash = if fragment.is_empty() { "" } else { "#" };
    Some(format!("{page}{separator}errors={}{hash}{fragment}", encode(&json)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_added_to_the_front_ends_page() {
        let error = ApiError::NotFound;
        let at = |url: &str| add_error_to_url(url, &error);
        assert!(
            at("https://f/x")
                .unwrap()
                .starts_with("https://f/x?errors=%5B%7B%22key%22%3A%22notFound")
        );
        assert!(at("https://f/x?a=b#c").unwrap().starts_with("https://f/x?a=b&errors="));
        assert!(at("https://f/x?a=b#c").unwrap().ends_with("#c"));
        assert_eq!(at("javascript:alert(1)"), None);
        assert_eq!(at("/relative"), None);
        assert_eq!(at("https://f/x\r\nSet-Cookie: a=b"), None);
    }
}
