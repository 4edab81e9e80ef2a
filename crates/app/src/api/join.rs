//! `join`: the browser is redirected to the server of the meeting.

use bbb::{Query, query::encode};
use domain::parameters::join_edits;

use crate::context::App;
use crate::forecaster;
use crate::join_target::find_join_target;
use crate::revival;
use crate::tenancy::Caller;

use super::errors::ApiError;
use super::request::{RequestLog, apply_edits, meeting_key};

/// A join that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRefusal {
    /// The error.
    pub error: ApiError,
    /// The front-end's page for errors (`errorRedirectUrl`), with BBB's parameter `errors` added.
    /// `None` if the front-end named no valid page or wants the error as XML.
    pub error_url: Option<String>,
}

/// Returns the URL to which the browser is redirected: the signed join on the server of the
/// meeting.
///
/// # Errors
/// When the meeting is unknown or its server is offline or disabled.
pub async fn join(
    app: &App,
    caller: &Caller,
    query: Query,
    log: &mut RequestLog,
) -> Result<String, JoinRefusal> {
    let error_url = query.get("errorRedirectUrl").map(std::borrow::Cow::into_owned);
    let wants_xml = query.get("redirect").is_some_and(|redirect| redirect == "false");
    let join_url = build_join_url(app, caller, query, log).await;
    join_url.map_err(|error| {
        let error_url =
            error_url.filter(|_| !wants_xml).and_then(|url| add_error_to_url(&url, &error));
        JoinRefusal { error, error_url }
    })
}

async fn build_join_url(
    app: &App,
    caller: &Caller,
    mut query: Query,
    log: &mut RequestLog,
) -> Result<String, ApiError> {
    let key = meeting_key(caller, &query, log)?;
    let recorded = find_join_target(app, caller, &key, log).await?;
    forecaster::record_join(app, &recorded.meeting.key);
    revival::translate_create_time(app, &recorded, &mut query).await;
    apply_edits(&mut query, join_edits(caller.join_rules(&app.policy)));
    Ok(app.signed_join_url(&recorded.server, &query))
}

/// Adds an error in the form of BBB, `errors=[{"key":…,"message":…}]`, to the URL of the
/// front-end's page. The URL was signed with the call, so this is not an open redirect. `None` if
/// it is not a valid HTTP URL.
fn add_error_to_url(url: &str, error: &ApiError) -> Option<String> {
    let is_printable = url.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    if !is_printable || domain::server::hostname(url).is_none() {
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
        let add = |url: &str| add_error_to_url(url, &error);
        assert!(
            add("https://f/x")
                .unwrap()
                .starts_with("https://f/x?errors=%5B%7B%22key%22%3A%22notFound")
        );
        assert!(add("https://f/x?a=b#c").unwrap().starts_with("https://f/x?a=b&errors="));
        assert!(add("https://f/x?a=b#c").unwrap().ends_with("#c"));
        assert_eq!(add("javascript:alert(1)"), None);
        assert_eq!(add("/relative"), None);
        assert_eq!(add("https://f/x\r\nSet-Cookie: a=b"), None);
    }
}
