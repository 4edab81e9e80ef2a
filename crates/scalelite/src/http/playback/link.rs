//! The link to a recording, `/recording/<id>/<format>`: takes the one-time token of a protected
//! recording, sets the cookie that gives access to its files, and redirects to its page.

use app::playback::{LinkOutcome, LinkRequest};
use domain::recording::RecordingFormatId;
use domain::recording::playback_access::PlaybackPermit;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use super::cookies;
use super::error::{PlaybackResult, retry_later_response};
use super::paths::query_parameter;
use super::service::PlaybackRequest;
use crate::http::origin::Origin;
use crate::http::respond::{self, ResponseBody};

/// Headers by which browsers and proxies announce a prefetch.
const PREFETCH_HEADERS: [&str; 4] = ["purpose", "sec-purpose", "x-purpose", "x-moz"];

/// Follows a link.
pub(super) async fn follow_link(
    PlaybackRequest { app, service, scope, request }: PlaybackRequest<'_>,
    (record_id, format): (&str, &str),
    query: &str,
) -> PlaybackResult {
    let Some(format_id) = RecordingFormatId::parse(record_id, format) else { return Ok(None) };
    let token = query_parameter(query, "token").filter(|token| is_token(token));
    let may_use_token = request.method == Method::GET && !is_prefetch(&request.headers);
    let link_request = LinkRequest { scope, token: token.as_deref(), may_use_token };
    let origin = Origin::from_headers(&request.headers, request.client.is_https);
    Ok(match service.playback.open_link(app, format_id, link_request).await? {
        LinkOutcome::Permitted(permit, pass) => {
            redirect_to_recording(&origin, &permit, pass.as_deref())
        }
        // The client will send a GET that is not a prefetch.
        LinkOutcome::TokenNotTried => Some(retry_later_response()),
        LinkOutcome::Denied => None,
    })
}

/// Returns whether a text has the shape of a token; the store is not asked for others.
fn is_token(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_prefetch(headers: &HeaderMap) -> bool {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut purposes = PREFETCH_HEADERS.into_iter().filter_map(value);
    purposes.any(|purpose| {
        let purpose = purpose.to_ascii_lowercase();
        ["prefetch", "prerender", "preview"].iter().any(|word| purpose.contains(word))
    })
}

fn redirect_to_recording(
    origin: &Origin<'_>,
    permit: &PlaybackPermit,
    pass: Option<&str>,
) -> Option<Response<ResponseBody>> {
    // The URL comes from an archive. It must be a path on this host.
    let url = permit.url().filter(|url| url.starts_with('/') && !url.starts_with("//"))?;
    let mut response =
        respond::redirect_with_status(StatusCode::TEMPORARY_REDIRECT, &origin.url(url))?;
    let headers = response.headers_mut();
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let Some(pass) = pass else { return Some(response) };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Browsers ignore a secure cookie on plain HTTP.
    if origin.is_secure() {
        let cookie = cookies::build_cookie(permit.format_id(), pass)?;
        headers.insert(header::SET_COOKIE, cookie);
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefetches_are_recognized() {
        let is_prefetch_with = |name: &'static str, value: &'static str| {
            let value = HeaderValue::from_static(value);
            is_prefetch(&HeaderMap::from_iter([(header::HeaderName::from_static(name), value)]))
        };
        assert!(is_prefetch_with("sec-purpose", "prefetch;prerender"));
        assert!(is_prefetch_with("purpose", "Prefetch"));
        assert!(is_prefetch_with("x-moz", "prefetch"));
        assert!(is_prefetch_with("x-purpose", "preview"));
        assert!(!is_prefetch_with("accept", "prefetch"));
        assert!(!is_prefetch(&HeaderMap::new()));
    }
}
