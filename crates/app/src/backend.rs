//! Calls to one BigBlueButton server: signs, sends, and reads the verdict.

use bbb::{InvalidResponse, Query, Response, checksum};
use bytes::Bytes;
use domain::{Meeting, Server};

use crate::context::App;
use crate::ports::{
    BackendBody, BackendCall, BackendResponse, CallError, CallPriority, CallTimeouts,
};

/// Longest answer about one meeting.
const MAX_RESPONSE_BYTES: usize = 8 << 20;
/// Longest answer to `getMeetings`.
const MAX_LIST_BYTES: usize = 64 << 20;
/// Longest URL that is sent as it is; HTTP libraries end at 64 KiB.
const MAX_URL_BYTES: usize = 65_000;
/// HTTP status of a web server to which a URL is too long.
const URI_TOO_LONG: u16 = 414;

/// How a call is made.
#[derive(Clone, Copy, Debug)]
pub struct CallOptions {
    /// On whose behalf.
    pub priority: CallPriority,
    /// With how much patience.
    pub timeouts: CallTimeouts,
}

/// Why a server gave no answer of the BBB API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// No complete answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// An answer that is none.
    #[error(transparent)]
    InvalidResponse(#[from] InvalidResponse),
    /// It has another tenant's meeting of that id, as far as can be told.
    #[error("another tenant's meeting may have that id there")]
    Occupied,
}

/// An answer and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BbbReply {
    /// What it says.
    pub response: Response,
    /// Its bytes.
    pub body: Bytes,
}

/// A query for one meeting and nothing else.
#[must_use]
pub fn meeting_query(id: &str) -> Query {
    let mut query = Query::default();
    query.set("meetingID", id);
    query
}

/// A query that ends a meeting, with the password that was remembered for it.
#[must_use]
pub fn end_query(meeting: &Meeting) -> Query {
    let mut query = meeting_query(&meeting.key.id);
    if let Some(password) = &meeting.moderator_pw {
        query.set("password", password);
    }
    query
}

impl App {
    /// The URL of a signed call on a server.
    #[must_use]
    pub fn signed_url(&self, server: &Server, call: &str, query: &Query) -> String {
        let endpoint = server.endpoint(call);
        let query = checksum::sign_query(
            call,
            &query.to_text(),
            &server.secret,
            self.policy.signing_algorithm,
        );
        format!("{endpoint}?{query}")
    }

    /// Sends a call about one meeting and reads the verdict.
    ///
    /// # Errors
    /// When there is no answer of the BBB API.
    pub async fn call_server(
        &self,
        server: &Server,
        call: &str,
        query: &Query,
        body: Option<BackendBody>,
    ) -> Result<BbbReply, BackendError> {
        let way = CallOptions {
            priority: CallPriority::FrontEnd,
            timeouts: self.policy.timeouts_for(server.is_online()),
        };
        self.call_server_with(way, server, call, query, body).await
    }

    /// The same, on our own behalf and with little patience.
    ///
    /// # Errors
    /// When there is no answer of the BBB API.
    pub async fn call_server_briefly(
        &self,
        server: &Server,
        call: &str,
        query: &Query,
    ) -> Result<BbbReply, BackendError> {
        let way = CallOptions {
            priority: CallPriority::Internal,
            timeouts: self.policy.timeouts_for(false),
        };
        self.call_server_with(way, server, call, query, None).await
    }

    /// The same, in a way of one's own.
    ///
    /// # Errors
    /// When there is no answer of the BBB API.
    pub async fn call_server_with(
        &self,
        way: CallOptions,
        server: &Server,
        call: &str,
        query: &Query,
        body: Option<BackendBody>,
    ) -> Result<BbbReply, BackendError> {
        let url = self.signed_url(server, call, query);
        let sent = if body.is_some() || url.len() <= MAX_URL_BYTES {
            let alone = body.is_none();
            let answer = self.send_call(way, url, body, MAX_RESPONSE_BYTES).await?;
            (!alone || answer.status != URI_TOO_LONG).then_some(answer)
        } else {
            None
        };
        let body = match sent {
            Some(answer) => answer.body,
            // A web server that finds the URL too long has not passed it on, so this is no second
            // try: what does not fit into a URL goes as a form.
            None => {
                let form = signed_form(server, call, query, self.policy.signing_algorithm);
                self.send_call(way, server.endpoint(call), Some(form), MAX_RESPONSE_BYTES)
                    .await?
                    .body
            }
        };
        Ok(BbbReply { response: Response::read(&body)?, body })
    }

    /// Asks for a server's meetings.
    ///
    /// # Errors
    /// When there is no complete answer.
    pub async fn fetch_meetings(
        &self,
        server: &Server,
        way: CallOptions,
    ) -> Result<BackendResponse, CallError> {
        let url = self.signed_url(server, "getMeetings", &Query::default());
        self.send_call(way, url, None, MAX_LIST_BYTES).await
    }

    /// Asks for a server's version document, which needs no signature.
    ///
    /// # Errors
    /// When there is no complete answer.
    pub async fn fetch_version(
        &self,
        server: &Server,
        way: CallOptions,
    ) -> Result<Bytes, CallError> {
        Ok(self.send_call(way, server.endpoint(""), None, MAX_RESPONSE_BYTES).await?.body)
    }

    async fn send_call(
        &self,
        way: CallOptions,
        url: String,
        body: Option<BackendBody>,
        answer_bytes_max: usize,
    ) -> Result<BackendResponse, CallError> {
        let CallOptions { priority: lane, timeouts: patience } = way;
        self.bbb
            .send_call(BackendCall {
                url,
                body,
                timeouts: patience,
                max_response_bytes: answer_bytes_max,
                priority: lane,
            })
            .await
    }
}

/// The call as a form.
fn signed_form(
    server: &Server,
    call: &str,
    query: &Query,
    algorithm: bbb::Algorithm,
) -> BackendBody {
    let mut pairs: Vec<_> = query.iter().collect();
    pairs.sort();
    let mut sorted = Query::default();
    for (name, value) in pairs {
        sorted.push(&name, &value);
    }
    let text = sorted.to_text();
    let modern = signs_query_only(server.bbb_version.as_deref());
    let signed = if modern { "" } else { text.as_str() };
    let checksum = checksum::compute_checksum(call, signed, &server.secret, algorithm);
    let form = Bytes::from(format!("{text}&checksum={checksum}"));
    BackendBody {
        content_type: "application/x-www-form-urlencoded".to_owned(),
        length: u64::try_from(form.len()).ok(),
        stream: Box::pin(futures_util::stream::once(async move { Ok(form) })),
    }
}

/// How a server checks a form. Up to 2.7.7 BBB signs its parameters sorted by name, later releases
/// sign the (empty) query string. A server that hides its version is taken for a new one.
fn signs_query_only(bbb_version: Option<&str>) -> bool {
    let number = |part: &str| {
        let digits = part.split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse::<u32>().ok())
    };
    let numbers = |version: &str| version.split('.').map_while(number).collect::<Vec<_>>();
    bbb_version
        .map(numbers)
        .filter(|numbers| !numbers.is_empty())
        .is_none_or(|numbers| numbers >= vec![2, 7, 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_signed_as_the_release_checks_them() {
        for old in ["2.4", "2.6.19", "2.7", "2.7.7", "2.7.7-rc1"] {
            assert!(!signs_query_only(Some(old)), "{old}");
        }
        for new in ["2.7.8", "2.7.12", "3.0.0-beta.1", "3", "10.1", "dev", ""] {
            assert!(signs_query_only(Some(new)), "{new}");
        }
        assert!(signs_query_only(None));
    }
}
