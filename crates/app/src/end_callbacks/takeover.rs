//! Takes the addresses for the end of the meeting out of a create.

use std::time::Duration;

use bbb::checksum::compute_checksum;
use bbb::{Algorithm, Query, Response};
use domain::parameters::{ParameterRules, removal_matches};
use domain::{MeetingKey, ServerId};
use tokio::time::timeout;

use crate::context::App;
use crate::ports::end_callbacks::{END_CALLBACK_URL, MEETING_ENDED_URL};
use crate::ports::{EndAddresses, EndCallback, MeetingPlace, StoreError};
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
    /// The name of the parameter, in the spelling of the create.
    name: String,
    url: String,
}

/// Keeps the addresses for the end of the meeting, and replaces them in the query by the balancer's.
/// If they cannot be kept, the query stays as it is: the server tells the front-end. Returns the id
/// of what is to be confirmed when the create has succeeded.
pub(crate) async fn take_over_end_callbacks(
    app: &App,
    caller: &Caller,
    key: &MeetingKey,
    has_body: bool,
    query: &mut Query,
) -> Option<String> {
    let records = app.recording_store.as_ref().filter(|_| app.policy.tells_ends)?;
    let rules = caller.create_rules(&app.policy);
    let end_callback = find_address(query, rules, END_CALLBACK_URL);
    let meeting_ended = find_address(query, rules, MEETING_ENDED_URL);
    if end_callback.is_none() && meeting_ended.is_none() {
        return None;
    }
    let own_url =
        report_url(&app.policy, key, caller.tenant().map(|tenant| tenant.name.as_str()))?;
    let url = |address: &Option<NamedAddress>| address.as_ref().map(|found| found.url.clone());
    let addresses = EndAddresses {
        end_callback_url: url(&end_callback),
        meeting_ended_url: url(&meeting_ended),
    };
    let callback = new_end_callback(app, key, addresses, has_body);
    let stored = timeout(STORE_TIMEOUT, records.register_end_callback(&callback)).await;
    if let Err(error) = stored.unwrap_or_else(|_| Err(no_response())) {
        tracing::error!(meeting = key.id, %error, "end callback left to the server: not stored");
        return None;
    }
    for address in [end_callback, meeting_ended].into_iter().flatten() {
        query.retain(|name| !removal_matches(&address.name, name));
        query.set(&address.name, &own_url);
    }
    Some(callback.id)
}

/// Records that a create has succeeded whose addresses were kept. An error is only logged, since a
/// later check sees that the meeting is recorded.
pub(crate) async fn confirm_end_callback(app: &App, id: &str, server: &ServerId, reply: &[u8]) {
    let Some(records) = &app.recording_store else { return };
    let internal_id = Response::read(reply).ok().and_then(|response| response.internal_id);
    let place = MeetingPlace { server: server.clone(), internal_id };
    let now = app.clock.now();
    let confirmed = records.confirm_end_callback(id, &place, now, now.plus_ms(QUIET_MS));
    let confirmed = timeout(STORE_TIMEOUT, confirmed).await;
    if let Err(error) = confirmed.unwrap_or_else(|_| Err(no_response())) {
        tracing::warn!(%server, %error, "end callback not confirmed");
    }
}

fn no_response() -> StoreError {
    StoreError::Unavailable(format!("no response within {} s", STORE_TIMEOUT.as_secs()))
}

fn new_end_callback(
    app: &App,
    key: &MeetingKey,
    addresses: EndAddresses,
    has_body: bool,
) -> EndCallback {
    let now = app.clock.now();
    let max_create_ms = i64::try_from(app.policy.max_create_ms()).unwrap_or(0);
    let upload_ms = if has_body { app.policy.max_upload_ms } else { 0 };
    let create_until = now.plus_ms(max_create_ms.max(upload_ms).saturating_add(CLOCK_MARGIN_MS));
    EndCallback {
        id: callback_id(key, &addresses),
        key: key.clone(),
        addresses,
        created_at: now,
        create_until,
        is_confirmed: false,
        server: None,
        internal_id: None,
        suspected_at: None,
        recording_marks: None,
        check_at: create_until.plus_ms(1),
    }
}

/// Returns a hash of the meeting and the addresses.
fn callback_id(key: &MeetingKey, addresses: &EndAddresses) -> String {
    let text = serde_json::json!([
        key.tenant,
        key.id,
        addresses.end_callback_url,
        addresses.meeting_ended_url,
    ]);
    compute_checksum("", &text.to_string(), "", Algorithm::Sha256)
}

/// Returns the address that servers would get by this parameter, from the front-end or by the rules
/// of the administrator. An address that the rules fix is left alone, as well as one that no server
/// would call.
fn find_address(query: &Query, rules: &ParameterRules, parameter: &str) -> Option<NamedAddress> {
    let is_excluded = rules.exclude.iter().any(|removed| removal_matches(removed, parameter));
    let is_fixed = rules.overrides.iter().any(|(name, _)| removal_matches(parameter, name));
    if is_excluded || is_fixed {
        return None;
    }
    // The prefix of metadata has one spelling.
    let is_named = |name: &str| (name == parameter || name.starts_with("meta_")) 
        && removal_matches(parameter, name);
    let mut sent = query.iter().filter(|(name, _)| is_named(name));
    let mut defaults = rules.defaults.iter().filter(|(name, _)| is_named(name));
    let (name, url) = match sent.next() {
        Some((name, url)) => (name.into_owned(), url.into_owned()),
        None => defaults.next().cloned()?,
    };
    let is_usable = !url.trim().is_empty() && url.len() <= MAX_ADDRESS_BYTES;
    is_usable.then_some(NamedAddress { name, url })
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

    fn found(query: &str, rules: &ParameterRules, parameter: &str) -> Option<(String, String)> {
        let address = find_address(&Query::parse(query), rules, parameter)?;
        Some((address.name, address.url))
    }

    #[test]
    fn addresses_are_found_in_every_spelling_that_bbb_reads() {
        let none = ParameterRules::default();
        let pair = |name: &str, url: &str| Some((name.to_owned(), url.to_owned()));
        let end = |query: &str| found(query, &none, END_CALLBACK_URL);
        assert_eq!(end("a=b&meta_endCallbackUrl=x%3Fy"), pair("meta_endCallbackUrl", "x?y"));
        assert_eq!(end("meta_endcallbackurl=x"), pair("meta_endcallbackurl", "x"));
        assert_eq!(end("endCallbackUrl=x&meta_endCallbackUrl=+"), None);
        let ended = |query: &str| found(query, &none, MEETING_ENDED_URL);
        assert_eq!(ended("meetingEndedURL=x"), pair("meetingEndedURL", "x"));
        assert_eq!(ended("meetingendedurl=x&meta_meetingEndedURL=x"), None);
        assert_eq!(ended(&format!("meetingEndedURL={}", "x".repeat(MAX_ADDRESS_BYTES + 1))), None);
    }

    #[test]
    fn the_administrators_rules_count() {
        let default = rules("", "meta_endcallbackurl=d", "");
        let end = |query: &str, rules: &ParameterRules| found(query, rules, END_CALLBACK_URL);
        assert_eq!(end("", &default).unwrap().1, "d");
        assert_eq!(end("meta_endCallbackUrl=x", &default).unwrap().1, "x");
        for fixed in [rules("meta_ENDcallbackurl", "", ""), rules("", "", "meta_endCallbackUrl=o")] {
            assert_eq!(end("meta_endCallbackUrl=x", &fixed), None);
        }
    }

    #[test]
    fn ids_follow_from_the_meeting_and_all_addresses() {
        let key = |tenant: Option<&str>, id: &str| MeetingKey {
            tenant: tenant.map(str::to_owned),
            id: id.to_owned(),
        };
        let addresses = |end: Option<&str>, ended: Option<&str>| EndAddresses {
            end_callback_url: end.map(str::to_owned),
            meeting_ended_url: ended.map(str::to_owned),
        };
        let ids = [
            callback_id(&key(None, "m"), &addresses(Some("x"), None)),
            callback_id(&key(None, "m"), &addresses(None, Some("x"))),
            callback_id(&key(None, "m"), &addresses(Some("x"), Some("x"))),
            callback_id(&key(None, "mx"), &addresses(Some(""), None)),
            callback_id(&key(Some("t"), "m"), &addresses(Some("x"), None)),
        ];
        for (number, id) in ids.iter().enumerate() {
            assert!(!ids[..number].contains(id), "{number}");
        }
        assert_eq!(ids[0], callback_id(&key(None, "m"), &addresses(Some("x"), None)));
    }
}
