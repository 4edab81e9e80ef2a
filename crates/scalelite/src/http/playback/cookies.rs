//! The cookie that carries a pass, and which browsers take it as it should be.

use domain::recording::RecordingFormatId;
use http::{HeaderMap, HeaderValue, header};

/// The cookie with this pass; `None` if it cannot stand in a header, which no pass leads to.
pub(super) fn build_cookie(
    wish: &RecordingFormatId,
    pass: &str,
    user_agent: &str,
) -> Option<HeaderValue> {
    // Front-ends show recordings in frames of other sites.
    let same_site = if mishandles_same_site_none(user_agent) { "" } else { "; samesite=none" };
    let (name, path) = (cookie_name(wish), wish.subject());
    HeaderValue::from_str(&format!("{name}={pass}; path={path}; secure; httponly{same_site}")).ok()
}

/// All passes that a request shows for a recording.
pub(super) fn read_passes<'a>(headers: &'a HeaderMap, wish: &RecordingFormatId) -> Vec<&'a str> {
    let name = cookie_name(wish);
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| key.trim() == name).map(|(_, pass)| pass.trim()).collect()
}

fn cookie_name(wish: &RecordingFormatId) -> String {
    format!("recording_{}_{}", wish.format, wish.record_id)
}

/// Whether a browser takes `SameSite=None` for `Strict`, or drops the cookie. Source: the list of incompatible clients
/// at chromium.org/updates/same-site/incompatible-clients.
fn mishandles_same_site_none(agent: &str) -> bool {
    let is_ios_12 = agent.contains("(iP") && number_after(agent, "OS ") == Some(12);
    // The version is `10_14` or `10_14_6`.
    let is_mojave = agent.contains("(Macintosh;")
        && agent.split_once("Mac OS X 10_14").is_some_and(|(_, rest)| !begins_with_digit(rest));
    let is_chromium = agent.contains("Chrome/") || agent.contains("Chromium/");
    let is_safari = agent.contains("Version/") && agent.contains(" Safari/") && !is_chromium;
    // A web view of an application: nothing stands behind the engine.
    let is_embedded = agent.ends_with("(KHTML, like Gecko)");
    if is_ios_12 || is_mojave && (is_safari || is_embedded) {
        return true;
    }
    if let Some((_, version)) = agent.split_once("UCBrowser/") {
        return parse_version(version) < [12, 13, 2];
    }
    let version = number_after(agent, "Chrome/").or_else(|| number_after(agent, "Chromium/"));
    version.is_some_and(|version| (51..=66).contains(&version))
}

fn begins_with_digit(text: &str) -> bool {
    text.starts_with(|character: char| character.is_ascii_digit())
}

/// The number behind the first mark that has one.
fn number_after(text: &str, mark: &str) -> Option<u32> {
    text.split(mark).skip(1).find_map(leading_number)
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

/// Three numbers separated by dots; what is missing counts as 0.
fn parse_version(text: &str) -> [u32; 3] {
    let mut parts = text.split('.').map(|part| leading_number(part).unwrap_or(0));
    [(); 3].map(|()| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What browsers call themselves, and whether they are to be spared the attribute.
    const BROWSERS: &[(&str, bool)] = &[
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 12_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1 Mobile/15E148 Safari/604.1",
            true,
        ),
        (
            "Mozilla/5.0 (iPad; CPU OS 12_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/70 Mobile/15E148",
            true,
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 13_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/604.1",
            false,
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1.2 Safari/605.1.15",
            true,
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) AppleWebKit/605.1.15 (KHTML, like Gecko)",
            true,
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/80.0.1 Safari/537.36",
            false,
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15",
            false,
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/50.0.1 Safari/537.36",
            false,
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/51.0.1 Safari/537.36",
            true,
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chromium/66.0 Safari/537.36",
            true,
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/67.0 Safari/537.36",
            false,
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
            false,
        ),
        (
            "Mozilla/5.0 (Linux; U; Android 8) AppleWebKit/537.36 Chrome/57.0.2987.108 UCBrowser/12.13.1.1 Mobile Safari/537.36",
            true,
        ),
        (
            "Mozilla/5.0 (Linux; U; Android 8) AppleWebKit/537.36 Chrome/57.0.2987.108 UCBrowser/12.13.2.1 Mobile Safari/537.36",
            false,
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", false),
        ("", false),
    ];

    #[test]
    fn browsers_that_mishandle_none() {
        for (agent, wrong) in BROWSERS {
            assert_eq!(mishandles_same_site_none(agent), *wrong, "{agent}");
        }
    }

    #[test]
    fn passes_are_found_by_their_exact_name() {
        let wish = RecordingFormatId::parse("r1", "video").unwrap();
        let mut headers = HeaderMap::new();
        let lines =
            ["a=b; recording_video_r1=one;recording_video_r1 = two", "recording_video_r11=x"];
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_static(line));
        }
        assert_eq!(read_passes(&headers, &wish), ["one", "two"]);
        let cookie = build_cookie(&wish, "jwt", "").unwrap();
        assert_eq!(
            cookie.to_str().unwrap(),
            "recording_video_r1=jwt; path=/video/r1; secure; httponly; samesite=none"
        );
    }
}
