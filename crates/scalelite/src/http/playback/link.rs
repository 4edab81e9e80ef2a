//! The link to a recording, `/recording/<id>/<format>`: takes the one-time token if there must be one, hands out the
//! cookie that opens the files, and leads to where watching begins.

use app::playback::{LinkOutcome, LinkRequest};
use domain::recording::RecordingFormatId;
use domain::recording::playback_access::PlaybackPermit;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use super::paths::query_parameter;
use super::{PlaybackRequest, PlaybackResult, cookies, try_again_response};
use crate::http::origin::Origin;
use crate::http::respond::{self, ResponseBody};

/// Headers by which browsers, and before them proxies, say that they only fetch ahead.
const PREFETCH_HEADERS: [&str; 4] = ["purpose", "sec-purpose", "x-purpose", "x-moz"];

/// Follows a link.
pub(super) async fn follow_link(
    PlaybackRequest { app, service: theatre, scope, request: incomer }: PlaybackRequest<'_>,
    (record_id, format): (&str, &str),
    query: &str,
) -> PlaybackResult {
    let Some(wish) = RecordingFormatId::parse(record_id, format) else { return Ok(None) };
    let token = query_parameter(query, "token").filter(|token| is_token(token));
    let may_use_token = incomer.method == Method::GET && !is_prefetch(&incomer.headers);
    let visitor = LinkRequest { scope, token: token.as_deref(), may_use_token };
    let origin = Origin::from_headers(&incomer.headers);
    Ok(match theatre.playback.open_link(app, wish, visitor).await? {
        LinkOutcome::Permitted(permit, pass) => {
            redirect_to_recording(&origin, &permit, pass.as_deref(), &incomer.headers)
        }
        // They will ask again, properly.
        LinkOutcome::TokenNotTried => Some(try_again_response()),
        LinkOutcome::Denied => None,
    })
}

/// As tokens are made; what is none is not looked for.
fn is_token(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_prefetch(headers: &HeaderMap) -> bool {
    let says = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut purposes = PREFETCH_HEADERS.into_iter().filter_map(says);
    purposes.any(|purpose| {
        let purpose = purpose.to_ascii_lowercase();
        ["prefetch", "prerender", "preview"].iter().any(|word| purpose.contains(word))
    })
}

fn redirect_to_recording(
    origin: &Origin<'_>,
    permit: &PlaybackPermit,
    pass: Option<&str>,
    headers: &HeaderMap,
) -> Option<Response<ResponseBody>> {
    // A path of ours, whatever an archive may have said.
    let url = permit.url().filter(|url| url.starts_with('/') && !url.starts_with("//"))?;
    let mut response =
        respond::redirect_with_status(StatusCode::TEMPORARY_REDIRECT, &origin.url(url))?;
    let answer = response.headers_mut();
    answer.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let Some(pass) = pass else { return Some(response) };
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A secure cookie cannot be set over plain HTTP.
    if origin.is_secure() {
        let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let cookie = cookies::build_cookie(permit.format_id(), pass, agent.unwrap_or_default())?;
        answer.insert(header::SET_COOKIE, cookie);
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fetches_ahead_says_so() {
        let says = |name: &'static str, value: &'static str| {
            let value = HeaderValue::from_static(value);
            is_prefetch(&HeaderMap::from_iter([(header::HeaderName::from_static(name), value)]))
        };
        assert!(says("sec-purpose", "prefetch;prerender"));
        assert!(says("purpose", "Prefetch"));
        assert!(says("x-moz", "prefetch"));
        assert!(says("x-purpose", "preview"));
        assert!(!says("accept", "prefetch"));
        assert!(!is_prefetch(&HeaderMap::new()));
    }
}
