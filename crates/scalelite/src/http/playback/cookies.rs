//! The cookie that carries a pass for a protected recording.

use cookie::{Cookie, SameSite};
use domain::recording::RecordingFormatId;
use http::{HeaderMap, HeaderValue, header};

/// Returns the `Set-Cookie` value with a pass; `None` if it is not a valid header value, which no
/// signed pass leads to.
pub(super) fn build_cookie(format_id: &RecordingFormatId, pass: &str) -> Option<HeaderValue> {
    let cookie = Cookie::build((cookie_name(format_id), pass)).path(format_id.subject());
    to_header(cookie)
}

/// Returns a cookie as `Set-Cookie` value with the attributes of all cookies: TLS only, hidden from
/// scripts, and sent in frames of other sites, because front-ends show recordings in frames.
pub(super) fn to_header<'a>(cookie: impl Into<Cookie<'a>>) -> Option<HeaderValue> {
    let mut cookie = cookie.into();
    cookie.set_secure(true);
    cookie.set_http_only(true);
    cookie.set_same_site(SameSite::None);
    HeaderValue::from_str(&cookie.to_string()).ok()
}

/// Returns all passes that a request carries for a recording format.
pub(super) fn read_passes(headers: &HeaderMap, format_id: &RecordingFormatId) -> Vec<String> {
    let name = cookie_name(format_id);
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies = values.flat_map(Cookie::split_parse).filter_map(Result::ok);
    cookies.filter(|cookie| cookie.name() == name).map(|cookie| cookie.value().to_owned()).collect()
}

fn cookie_name(format_id: &RecordingFormatId) -> String {
    format!("recording_{}_{}", format_id.format, format_id.record_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_found_by_their_exact_name() {
        let format_id = RecordingFormatId::parse("r1", "video").unwrap();
        let mut headers = HeaderMap::new();
        let lines =
            ["a=b; recording_video_r1=one;recording_video_r1 = two", "recording_video_r11=x"];
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_static(line));
        }
        assert_eq!(read_passes(&headers, &format_id), ["one", "two"]);
        let cookie = build_cookie(&format_id, "jwt").unwrap();
        assert_eq!(
            cookie.to_str().unwrap(),
            "recording_video_r1=jwt; HttpOnly; SameSite=None; Secure; Path=/video/r1"
        );
    }
}
