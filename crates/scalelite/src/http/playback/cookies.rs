//! The cookie that carries a pass for a protected recording.

use domain::recording::playback_access::Wish;
use http::{HeaderMap, HeaderValue, header};

/// Returns the `Set-Cookie` value with a pass; `None` if it is not a valid header value, which no
/// signed pass leads to.
pub(super) fn build_cookie(format_id: &Wish, pass: &str) -> Option<HeaderValue> {
    let (name, path) = (cookie_name(format_id), format_id.subject());
    // `SameSite=None`, because front-ends show recordings in frames.
    let cookie = format!("{name}={pass}; path={path}; secure; httponly; samesite=none");
    HeaderValue::from_str(&cookie).ok()
}

/// Returns all passes that a request carries for a recording format.
pub(super) fn read_passes<'a>(headers: &'a HeaderMap, format_id: &Wish) -> Vec<&'a str> {
    let name = cookie_name(format_id);
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| key.trim() == name).map(|(_, pass)| pass.trim()).collect()
}

fn cookie_name(format_id: &Wish) -> String {
    format!("recording_{}_{}", format_id.format, format_id.record_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_found_by_their_exact_name() {
        let format_id = Wish::parse("r1", "video").unwrap();
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
            "recording_video_r1=jwt; path=/video/r1; secure; httponly; samesite=none"
        );
    }
}
