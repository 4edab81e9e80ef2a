//! Calls to one BigBlueButton server: signs them, sends them, and reads the response.

use bbb::meetings::MeetingList;
use bbb::{InvalidResponse, Query, Response, checksum};
use bytes::Bytes;
use domain::{Meeting, MeetingIdentity, Server, Timestamp};

use crate::context::App;
use crate::foreign_answer::describe_foreign_answer;
use crate::origin;
use crate::ports::{
    BackendBody, BackendCall, BackendResponse, CallError, CallPriority, CallTimeouts,
};

/// Longest response about one meeting.
const MAX_RESPONSE_BYTES: usize = 8 << 20;
/// Longer URLs are sent as a form, since HTTP libraries refuse them above 64 KiB.
const MAX_URL_BYTES: usize = 65_000;
/// HTTP status of a web server that finds the URL too long.
const URI_TOO_LONG: u16 = 414;

/// How a call is made.
#[derive(Clone, Copy, Debug)]
pub struct CallOptions {
    /// Whether it is a front-end's call or our own.
    pub priority: CallPriority,
    /// How long it may take.
    pub timeouts: CallTimeouts,
}

/// Why a server gave no response of the BBB API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// There is no complete response.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The web server refused this request with a status of the class 4xx: another server would do the same.
    #[error("the server refused the request: HTTP {0}")]
    Refused(u16),
    /// The response is not one of the BBB API.
    #[error(transparent)]
    InvalidResponse(#[from] InvalidResponse),
    /// The answer does not come from BBB: what came, and why it is not a response.
    #[error("{0}")]
    Foreign(String, InvalidResponse),
    /// The time of the request was over before the server had had its own time to answer.
    #[error("the request's time was over before the server answered")]
    CutShort,
    /// The server has a meeting of that id that is another tenant's, or may be.
    #[error("another tenant's meeting may have that id there")]
    Occupied,
    /// The server answers, and does not have the meeting, or has it under other passwords.
    #[error("the server does not have the meeting that was asked for")]
    NotThere,
}

/// A response and its bytes, which are well-formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BbbReply {
    /// What it says.
    pub response: Response,
    /// Its bytes.
    pub body: Bytes,
}

impl BbbReply {
    /// Returns how the server identifies the meeting that the reply is about.
    #[must_use]
    pub fn identity(&self) -> Option<MeetingIdentity> {
        let created_at = Timestamp(self.response.create_time_ms?);
        MeetingIdentity::from_parts(self.response.internal_id.clone(), created_at)
    }
}

/// A query with the id of a meeting and nothing else.
#[must_use]
pub fn meeting_query(id: &str) -> Query {
    let mut query = Query::default();
    query.set("meetingID", id);
    query
}

/// The query that ends a meeting, with its recorded moderators' password.
#[must_use]
pub fn end_query(meeting: &Meeting) -> Query {
    let mut query = meeting_query(&meeting.key.id);
    if let Some(password) = &meeting.moderator_pw {
        query.set("password", password);
    }
    query
}

impl App {
    /// Returns the URL of a signed call to a server.
    #[must_use]
    pub fn signed_url(&self, server: &Server, call: &str, query: &Query) -> String {
        self.sign_target(server, &server.endpoint(call), call, query)
    }

    /// Returns the URL of a signed join, for the browser.
    #[must_use]
    pub fn signed_join_url(&self, server: &Server, query: &Query) -> String {
        self.sign_target(server, &server.join_endpoint(), "join", query)
    }

    fn sign_target(&self, server: &Server, endpoint: &str, call: &str, query: &Query) -> String {
        let query = checksum::sign_query(
            call,
            &query.to_text(),
            &server.secret,
            self.policy.signing_algorithm,
        );
        format!("{endpoint}?{query}")
    }

    /// Sends a front-end's call about one meeting.
    ///
    /// # Errors
    /// When there is no response of the BBB API.
    pub async fn call_server(
        &self,
        server: &Server,
        call: &str,
        query: &Query,
        body: Option<BackendBody>,
    ) -> Result<BbbReply, BackendError> {
        let options = CallOptions {
            priority: CallPriority::FrontEnd,
            timeouts: self.policy.timeouts_for(server.is_online()),
        };
        self.call_server_with(options, server, call, query, body).await
    }

    /// Sends a call of our own about one meeting. The server gets as long as suits its ordinary answers.
    ///
    /// # Errors
    /// When there is no response of the BBB API.
    pub async fn call_server_briefly(
        &self,
        server: &Server,
        call: &str,
        query: &Query,
    ) -> Result<BbbReply, BackendError> {
        let usual_ms = self.response_times.find(&server.id);
        let options = CallOptions {
            priority: CallPriority::Internal,
            timeouts: self.policy.probe_timeouts(usual_ms),
        };
        self.call_server_with(options, server, call, query, None).await
    }

    /// Asks a server about a meeting to find out whether it is alive. Any response is evidence of life but an error of the web
    /// server in front of BBB (5xx).
    ///
    /// # Errors
    /// When there is no response in time.
    pub async fn probe(&self, server: &Server, query: &Query) -> Result<(), BackendError> {
        match self.call_server_briefly(server, "getMeetingInfo", query).await {
            Ok(_) | Err(BackendError::Refused(_) | BackendError::Occupied) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends a call about one meeting with explicit options. What does not fit into a URL is sent as a form.
    ///
    /// # Errors
    /// When there is no response of the BBB API.
    pub async fn call_server_with(
        &self,
        options: CallOptions,
        server: &Server,
        call: &str,
        query: &Query,
        body: Option<BackendBody>,
    ) -> Result<BbbReply, BackendError> {
        self.known_hosts.note(server);
        let url = self.signed_url(server, call, query);
        if body.is_some() && url.len() > MAX_URL_BYTES {
            // No HTTP library sends it, and a body of XML leaves no room for a form.
            return Err(BackendError::Refused(URI_TOO_LONG));
        }
        let response = if url.len() <= MAX_URL_BYTES {
            let may_be_a_form = body.is_none();
            let response = self.send_call(options, url, body, MAX_RESPONSE_BYTES).await?;
            (!may_be_a_form || response.status != URI_TOO_LONG).then_some(response)
        } else {
            None
        };
        let response = match response {
            Some(response) => response,
            // A web server that finds the URL too long has not passed the call on, so this does not send it twice.
            None => {
                let form = signed_form(server, call, query, self.policy.signing_algorithm);
                self.send_call(options, server.endpoint(call), Some(form), MAX_RESPONSE_BYTES)
                    .await?
            }
        };
        match Response::read_and_repair(&response.body) {
            Ok((read, None)) => Ok(BbbReply { response: read, body: response.body }),
            Ok((read, Some(repaired))) => {
                self.note_odd_answer(server, call, "not well-formed");
                Ok(BbbReply { response: read, body: Bytes::from(repaired) })
            }
            Err(_) if is_refusal(response.status) => Err(BackendError::Refused(response.status)),
            Err(error) => Err(match describe_foreign_answer(&response) {
                Some(description) => BackendError::Foreign(description, error),
                None => error.into(),
            }),
        }
    }

    /// Sends getMeetings.
    ///
    /// # Errors
    /// When there is no complete response.
    pub async fn fetch_meetings(
        &self,
        server: &Server,
        options: CallOptions,
    ) -> Result<BackendResponse, CallError> {
        let url = self.signed_url(server, "getMeetings", &Query::default());
        self.send_call(options, url, None, self.policy.max_list_bytes).await
    }

    /// Reads a server's list of meetings, with as many meetings as are allowed.
    ///
    /// # Errors
    /// When it is no list, or a longer one.
    pub fn read_meeting_list(
        &self,
        response: &BackendResponse,
    ) -> Result<MeetingList, InvalidResponse> {
        MeetingList::read_at_most(&response.body, self.policy.max_listed_meetings)
    }

    /// Reads a server's version document, which needs no signature.
    ///
    /// # Errors
    /// When there is no complete response.
    pub async fn fetch_version(
        &self,
        server: &Server,
        options: CallOptions,
    ) -> Result<Bytes, CallError> {
        Ok(self.send_call(options, server.endpoint(""), None, MAX_RESPONSE_BYTES).await?.body)
    }

    async fn send_call(
        &self,
        options: CallOptions,
        url: String,
        body: Option<BackendBody>,
        max_response_bytes: usize,
    ) -> Result<BackendResponse, CallError> {
        let CallOptions { priority, timeouts } = options;
        let request_id = origin::request_id();
        let call = BackendCall { url, body, timeouts, max_response_bytes, priority, request_id };
        self.bbb.send_call(call).await
    }
}

/// Whether a status says that the request is at fault, and not the server. The other statuses of the class 4xx tell of a wrong
/// address, of rights, or of load.
fn is_refusal(status: u16) -> bool {
    (400..500).contains(&status) && ![401, 403, 404, 407, 408, 421, 425, 429].contains(&status)
}

/// The call as a signed form.
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

/// Whether a server verifies the checksum of a form over the (empty) query string. Up to 2.7.7 BBB verifies it over the
/// form's parameters sorted by name. A server that hides its version counts as a newer one.
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
