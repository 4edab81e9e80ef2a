//! Takes the addresses for the end of the meeting out of a create.

use std::time::Duration;

use bbb::checksum::compute_checksum;
use bbb::{Algorithm, Query, Response};
use domain::parameters::{ParameterRules, removal_matches};
use domain::{MeetingKey, ServerId};
use tokio::time::timeout;

use crate::context::App;
use crate::ports::{EndCallback, EndParameter, MeetingPlace, StoreError};
use crate::tenancy::Caller;

use super::check::QUIET_MS;
use super::report::report_url;

/// How long a create waits until its end callback is stored. Users are waiting for the meeting.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);
/// Longer addresses are left to the servers.
const MAX_ADDRESS_BYTES: usize = 8 << 10;
/// Added to the longest duration of a create, since clocks differ, in ms.
const CLOCK_MARGIN_MS: i64 = 10_000;

/// An address that a create names.
struct NamedAddress {
    parameter: EndParameter,
    /// The name of the parameter, in the spelling of the create.
    name: String,
    url: String,
}

/// Keeps the addresses for the end of the meeting, and replaces them in the query by the balancer's.
/// If they cannot be kept, the query stays as it is: the server tells the front-end. Returns the ids
/// of what is to be confirmed when the create has succeeded.
pub(crate) async fn take_over_end_callbacks(
    app: &App,
    caller: &Caller,
    key: &MeetingKey,
    has_body: bool,
    query: &mut Query,
) -> Vec<String> {
    let Some(records) = app.recording_store.as_ref().filter(|_| app.policy.tells_ends) else {
        return Vec::new();
    };
    let rules = caller.create_rules(&app.policy);
    let named = EndParameter::ALL.map(|parameter| find_address(query, rules, parameter));
    let named: Vec<NamedAddress> = named.into_iter().flatten().collect();
    let tenant_name = caller.tenant().map(|tenant| tenant.name.as_str());
    let Some(own_url) = report_url(&app.policy, key, tenant_name).filter(|_| !named.is_empty())
    else {
        return Vec::new();
    };
    let callbacks: Vec<EndCallback> =
        named.iter().map(|address| new_end_callback(app, key, address, has_body)).collect();
    let stored = timeout(STORE_TIMEOUT, records.register_end_callbacks(&callbacks)).await;
    if let Err(error) = stored.unwrap_or_else(|_| Err(no_response())) {
        tracing::error!(meeting = key.id, %error, "end callback left to the server: not stored");
        return Vec::new();
    }
    for address in named {
        query.retain(|name| !removal_matches(&address.name, name));
        query.set(&address.name, &own_url);
    }
    callbacks.into_iter().map(|callback| callback.id).collect()
}

/// Records that a create was answered whose addresses were kept: by a server with this reply, or with an error. A failure of
/// the store is only logged, since a later check sees whether the meeting is recorded.
pub(crate) async fn close_create(app: &App, ids: &[String], answer: Option<(&ServerId, &[u8])>) {
    let Some(records) = app.recording_store.as_ref().filter(|_| !ids.is_empty()) else { return };
    let place = answer.map(|(server, reply)| MeetingPlace {
        server: server.clone(),
        internal_id: Response::read(reply).ok().and_then(|response| response.internal_id),
    });
    let now = app.clock.now();
    let closed = records.close_create(ids, place.as_ref(), now, now.plus_ms(QUIET_MS));
    if let Err(error) = timeout(STORE_TIMEOUT, closed).await.unwrap_or_else(|_| Err(no_response()))
    {
        tracing::warn!(%error, "end callback not confirmed");
    }
}

fn no_response() -> StoreError {
    StoreError::Unavailable(format!("no response within {} s", STORE_TIMEOUT.as_secs()))
}

fn new_end_callback(
    app: &App,
    key: &MeetingKey,
    address: &NamedAddress,
    has_body: bool,
) -> EndCallback {
    let now = app.clock.now();
    let max_create_ms = i64::try_from(app.policy.max_create_ms()).unwrap_or(0);
    let upload_ms = if has_body { app.policy.max_upload_ms } else { 0 };
    let create_until = now.plus_ms(max_create_ms.max(upload_ms).saturating_add(CLOCK_MARGIN_MS));
    EndCallback {
        id: callback_id(key, address.parameter, &address.url),
        key: key.clone(),
        parameter: address.parameter,
        url: address.url.clone(),
        created_at: now,
        create_until,
        open_creates: 1,
        is_confirmed: false,
        server: None,
        internal_id: None,
        suspected_at: None,
        recording_marks: None,
        check_at: create_until.plus_ms(1),
    }
}

/// Returns a hash of the meeting and the address.
fn callback_id(key: &MeetingKey, parameter: EndParameter, url: &str) -> String {
    let text = serde_json::json!([key.tenant, key.id, parameter.name(), url]);
    compute_checksum("", &text.to_string(), "", Algorithm::Sha256)
}

/// Returns the address that servers would get by this parameter, from the front-end or by the rules
/// of the administrator. An address that the rules fix is left alone, as well as one that no server
/// would call.
fn find_address(
    query: &Query,
    rules: &ParameterRules,
    parameter: EndParameter,
) -> Option<NamedAddress> {
    let full_name = parameter.name();
    let is_excluded = rules.exclude.iter().any(|removed| removal_matches(removed, full_name));
    let is_fixed = rules.overrides.iter().any(|(name, _)| removal_matches(full_name, name));
    if is_excluded || is_fixed {
        return None;
    }
    let is_named = |name: &str| {
        // The prefix of metadata has one spelling.
        (name == full_name || name.starts_with("meta_")) && removal_matches(full_name, name)
    };
    let mut sent = query.iter().filter(|(name, _)| is_named(name));
    let mut defaults = rules.defaults.iter().filter(|(name, _)| is_named(name));
    let (name, url) = match sent.next() {
        Some((name, url)) => (name.into_owned(), url.into_owned()),
        None => defaults.next().cloned()?,
    };
    let is_usable = !url.trim().is_empty() && url.len() <= MAX_ADDRESS_BYTES;
    is_usable.then_some(NamedAddress { parameter, name, url })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(exclude: &str, defaults: &str, overrides: &str) -> ParameterRules {
        ParameterRules {
            exclude: ParameterRules::parse_names(exclude),
            defaults: ParameterRules::parse_pairs(defaults).unwrap(),
            overrides: ParameterRules::parse_pairs(overrides).unwrap(),
        }
    }

    fn found(
        query: &str,
        rules: &ParameterRules,
        parameter: EndParameter,
    ) -> Option<(String, String)> {
        let address = find_address(&Query::parse(query), rules, parameter)?;
        Some((address.name, address.url))
    }

    #[test]
    fn addresses_are_found_in_every_spelling_that_bbb_reads() {
        let none = ParameterRules::default();
        let pair = |name: &str, url: &str| Some((name.to_owned(), url.to_owned()));
        let end = |query: &str| found(query, &none, EndParameter::EndCallbackUrl);
        assert_eq!(end("a=b&meta_endCallbackUrl=x%3Fy"), pair("meta_endCallbackUrl", "x?y"));
        assert_eq!(end("meta_endcallbackurl=x"), pair("meta_endcallbackurl", "x"));
        assert_eq!(end("endCallbackUrl=x&meta_endCallbackUrl=+"), None);
        let ended = |query: &str| found(query, &none, EndParameter::MeetingEndedUrl);
        assert_eq!(ended("meetingEndedURL=x"), pair("meetingEndedURL", "x"));
        assert_eq!(ended("meetingendedurl=x&meta_meetingEndedURL=x"), None);
        assert_eq!(ended(&format!("meetingEndedURL={}", "x".repeat(MAX_ADDRESS_BYTES + 1))), None);
    }

    #[test]
    fn the_administrators_rules_count() {
        let default = rules("", "meta_endcallbackurl=d", "");
        let end =
            |query: &str, rules: &ParameterRules| found(query, rules, EndParameter::EndCallbackUrl);
        assert_eq!(end("", &default).unwrap().1, "d");
        assert_eq!(end("meta_endCallbackUrl=x", &default).unwrap().1, "x");
        for fixed in [rules("meta_ENDcallbackurl", "", ""), rules("", "", "meta_endCallbackUrl=o")]
        {
            assert_eq!(end("meta_endCallbackUrl=x", &fixed), None);
        }
    }

    #[test]
    fn ids_follow_from_the_meeting_and_the_address() {
        let id = |tenant: Option<&str>, id: &str, parameter, url: &str| {
            let key = MeetingKey { tenant: tenant.map(str::to_owned), id: id.to_owned() };
            callback_id(&key, parameter, url)
        };
        use EndParameter::{EndCallbackUrl, MeetingEndedUrl};
        let ids = [
            id(None, "m", EndCallbackUrl, "x"),
            id(None, "m", MeetingEndedUrl, "x"),
            id(None, "mx", EndCallbackUrl, ""),
            id(Some("t"), "m", EndCallbackUrl, "x"),
            id(None, "m", EndCallbackUrl, "y"),
        ];
        for (number, id) in ids.iter().enumerate() {
            assert!(!ids[..number].contains(id), "{number}");
        }
        assert_eq!(ids[0], id(None, "m", EndCallbackUrl, "x"));
    }
}
