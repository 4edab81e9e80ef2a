//! The web servers in front of a server's API, which refuse some requests and give up waiting: nginx and Tomcat.

use std::time::Duration;

use crate::log::RecordedRequest;
use crate::server::BbbServer;

/// Characters that Tomcat refuses in a query unless they are escaped.
const REFUSED_CHARACTERS: &str = "\"<>[\\]^`{|}";

/// What the web servers in front of the API refuse. Their pages are HTML, and BigBlueButton hears nothing of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebServerRules {
    /// Bytes of path and query, with the question mark, that are passed on at most. Longer requests are answered with
    /// 414, with and without a body. `None` for no limit.
    pub max_url_bytes: Option<usize>,
    /// Whether a query with a raw `|`, `[`, `]`, `{`, `}`, `\`, `^`, backtick, `"`, `<`, `>` or non-ASCII byte is answered
    /// with 400.
    pub refuses_raw_characters: bool,
    /// How long the API may take to answer. Then the answer is 504, and what the call does goes on. `None` for no limit.
    pub gateway_timeout: Option<Duration>,
}

impl WebServerRules {
    /// No rules, as at the start.
    pub const NONE: Self =
        Self { max_url_bytes: None, refuses_raw_characters: false, gateway_timeout: None };
    /// The rules with which nginx and Tomcat are shipped.
    pub const SHIPPED: Self = Self {
        max_url_bytes: Some(8_000),
        refuses_raw_characters: true,
        gateway_timeout: Some(Duration::from_secs(60)),
    };

    /// Returns the status with which a request is refused.
    pub(crate) fn find_refusal(self, request: &RecordedRequest) -> Option<u16> {
        let length = match request.query.len() {
            0 => request.path.len(),
            query => request.path.len() + 1 + query,
        };
        if self.max_url_bytes.is_some_and(|max| length > max) {
            return Some(414);
        }
        let is_refused = |c: char| !c.is_ascii() || REFUSED_CHARACTERS.contains(c);
        (self.refuses_raw_characters && request.query.contains(is_refused)).then_some(400)
    }
}

impl BbbServer {
    /// Sets what the web servers in front of the API refuse. Initially there are none.
    pub fn set_web_server(&self, rules: WebServerRules) {
        self.lock_state().web_server = rules;
    }
}

/// Returns the page that a web server shows for a status.
pub(crate) fn error_page(status: u16) -> String {
    let reason = match status {
        400 => return TOMCAT_PAGE.to_owned(),
        403 => "Forbidden",
        404 => "Not Found",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        _ => "Error",
    };
    format!(
        "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n\
         <center><h1>{status} {reason}</h1></center>\r\n<hr><center>nginx</center>\r\n\
         </body>\r\n</html>\r\n"
    )
}

const TOMCAT_PAGE: &str = "<!doctype html><html lang=\"en\"><head>\
    <title>HTTP Status 400 – Bad Request</title></head><body>\
    <h1>HTTP Status 400 – Bad Request</h1><hr class=\"line\" /><p><b>Type</b> Exception Report</p>\
    <p><b>Message</b> Invalid character found in the request target</p></body></html>";
