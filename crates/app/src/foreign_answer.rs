//! Recognises answers that do not come from BigBlueButton: redirects, missing pages, pages of HTML. They mostly mean that the URL of a
//! server is wrong, so the reason says that.

use crate::ports::BackendResponse;

/// Longest address that is shown, in characters.
const MAX_ADDRESS_CHARS: usize = 200;
/// How much of a body is searched for the beginning of a page.
const MAX_SEARCHED_BYTES: usize = 512;

/// Describes an answer that has no response of the BBB API and does not come from BBB; `None` if it may come from BBB.
#[must_use]
pub(crate) fn describe_foreign_answer(response: &BackendResponse) -> Option<String> {
    let status = response.status;
    match status {
        300..400 => {
            let target = response.location.as_deref().map(shown_address).unwrap_or_default();
            let to = if target.is_empty() { String::new() } else { format!(" to {target}") };
            Some(format!("HTTP {status}{to}: is the URL right?"))
        }
        400..500 => Some(format!("HTTP {status}: is the URL right?")),
        500.. => Some(format!("HTTP {status} of its web server")),
        _ if is_html(&response.body) => {
            Some(format!("a page of HTML (HTTP {status}): is the URL right?"))
        }
        _ => None,
    }
}

/// An address without its query, which may be signed, and without user and password.
fn shown_address(location: &str) -> String {
    let address = location.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), address),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    let shown = format!("{scheme}{host}{path}");
    shown.chars().filter(|c| !c.is_control()).take(MAX_ADDRESS_CHARS).collect()
}

/// Whether a body begins like a page of HTML.
fn is_html(body: &[u8]) -> bool {
    let beginning = body.get(..MAX_SEARCHED_BYTES).unwrap_or(body);
    let beginning = String::from_utf8_lossy(beginning).to_ascii_lowercase();
    let beginning = beginning.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    beginning.starts_with("<!doctype html") || beginning.contains("<html")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn describe(status: u16, location: Option<&str>, body: &'static str) -> Option<String> {
        let location = location.map(str::to_owned);
        let body = Bytes::from_static(body.as_bytes());
        describe_foreign_answer(&BackendResponse { status, location, body, date: None })
    }

    #[test]
    fn answers_of_web_servers_are_recognised() {
        let page = "\n<!DOCTYPE html><title>Welcome</title>";
        for (status, location, body, text) in [
            (
                301,
                Some("https://b.test/api/create?x=1&checksum=2"),
                "",
                "HTTP 301 to https://b.test/api/create: is the URL right?",
            ),
            (
                302,
                Some("https://user:secret@b.test"),
                "",
                "HTTP 302 to https://b.test: is the URL right?",
            ),
            (302, Some("/login"), "", "HTTP 302 to /login: is the URL right?"),
            (308, None, "", "HTTP 308: is the URL right?"),
            (404, None, page, "HTTP 404: is the URL right?"),
            (200, None, page, "a page of HTML (HTTP 200): is the URL right?"),
            (200, None, "<html lang=\"de\">", "a page of HTML (HTTP 200): is the URL right?"),
            (502, None, page, "HTTP 502 of its web server"),
        ] {
            assert_eq!(describe(status, location, body).as_deref(), Some(text));
        }
        for body in ["", "nonsense", "<response></response>"] {
            assert_eq!(describe(200, None, body), None, "{body}");
        }
    }
}
