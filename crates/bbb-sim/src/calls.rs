//! Handles API calls: computes the response to a request from the state of the server and the time, and changes the
//! meetings.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::checksum::{Algorithm, ChecksumVerifier};
use crate::ending::{EndCause, Endings};
use crate::log::RecordedRequest;
use crate::meeting::{LiveMeeting, LiveMeetings};
use crate::options::Strictness;
use crate::params::{Params, has_common_name};
use crate::{create, join, render};

/// A response to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SimResponse {
    /// Status 200 and XML.
    Xml(Bytes),
    /// Status 302 with this location.
    Redirect(String),
    /// An error page of the web server with this status.
    Status(u16),
}

impl From<String> for SimResponse {
    fn from(xml: String) -> Self {
        Self::Xml(Bytes::from(xml))
    }
}

/// Why a call fails. It is sent as XML, or by `join` as a redirect.
#[derive(Clone, Debug)]
pub(crate) struct CallFailure {
    /// The `messageKey`.
    pub(crate) key: Cow<'static, str>,
    pub(crate) message: String,
}

impl CallFailure {
    pub(crate) fn new(key: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }

    pub(crate) fn not_found() -> Self {
        Self::new("notFound", "A meeting with that ID does not exist")
    }
}

/// The result of a call with a valid checksum.
pub(crate) type CallResult = Result<SimResponse, CallFailure>;

/// Everything that a call may read or change.
pub(crate) struct CallContext<'a> {
    pub(crate) server_number: usize,
    pub(crate) secret: &'a str,
    pub(crate) version: &'a str,
    pub(crate) algorithms: &'a [Algorithm],
    pub(crate) meetings: &'a mut LiveMeetings,
    pub(crate) endings: &'a mut Endings,
    /// How the server says that a meeting does not exist.
    pub(crate) unknown_meeting: &'a CallFailure,
    /// Set if the call created a meeting.
    pub(crate) created: bool,
    /// The next number of the pool; see [`CallContext::next_number`].
    pub(crate) sequence: &'a AtomicU64,
    pub(crate) now_ms: i64,
    pub(crate) strictness: Strictness,
}

impl CallContext<'_> {
    /// Handles a request and returns the response.
    pub(crate) fn handle_request(&mut self, request: &RecordedRequest) -> SimResponse {
        let call = request.call.as_str();
        if call.is_empty() {
            return self.get_version();
        }
        if !SIGNED_CALLS.contains(&call) {
            let message = "This request is not supported.";
            return render::failed_response("unsupportedRequest", message).into();
        }
        if self.is_real() && call == "insertDocument" && request.method != "POST" {
            return SimResponse::Status(405);
        }
        let form = form_text(request);
        let params = Params::parse(&request.query, &form, self.strictness);
        self.handle_signed(request, &form, &params).unwrap_or_else(|failure| {
            if self.is_real() && call == "join" && !params.has_value("redirect", "false") {
                join::redirect_with_error(self.server_number, &params, &failure)
            } else {
                render::failed_response(&failure.key, &failure.message).into()
            }
        })
    }

    fn handle_signed(
        &mut self,
        request: &RecordedRequest,
        form: &str,
        params: &Params,
    ) -> CallResult {
        let call = request.call.as_str();
        let verifier = ChecksumVerifier {
            secret: self.secret,
            algorithms: self.algorithms,
            strictness: self.strictness,
        };
        let has_duplicate = self.is_real() && has_common_name(&request.query, form);
        if has_duplicate || !verifier.accepts(call, &request.query, form) {
            return Err(CallFailure::new("checksumError", "Checksums do not match"));
        }
        if self.is_real() && !has_allowed_type(request) {
            let message = "POST request Content-Type is missing or unsupported";
            return Err(CallFailure::new("unsupportedContentType", message));
        }
        if call == "getMeetings" {
            return Ok(self.get_meetings());
        }
        let id = params.get_non_empty("meetingID").ok_or_else(|| {
            let message = "You must specify a meeting ID for the meeting.";
            CallFailure::new("missingParamMeetingID", message)
        })?;
        if self.is_real() {
            check_id(id)?;
        }
        match call {
            "create" => create::create(self, id, params),
            "join" => join::join(self, id, params),
            "end" => self.end(id, params),
            "getMeetingInfo" => {
                let (meeting, numbers) = (self.find_meeting(id)?, self.meetings.number_format());
                Ok(render::meeting_info_response(meeting, numbers, self.now_ms).into())
            }
            "insertDocument" => self.insert_document(id, request),
            "sendChatMessage" => self.send_chat_message(id, params),
            _ => Ok(self.is_meeting_running(id)),
        }
    }

    pub(crate) fn is_real(&self) -> bool {
        self.strictness == Strictness::Real
    }

    /// Returns the next number of the pool, from which passwords, voice bridges and tokens are generated.
    pub(crate) fn next_number(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }

    fn find_meeting(&self, id: &str) -> Result<&LiveMeeting, CallFailure> {
        self.meetings.get(id).ok_or_else(|| self.unknown_meeting.clone())
    }

    fn get_version(&self) -> SimResponse {
        let version = render::escape_xml(self.version);
        render::success_response(&format!(
            "<version>2.0</version><apiVersion>2.0</apiVersion><bbbVersion>{version}</bbbVersion>\
             <graphqlWebsocketUrl></graphqlWebsocketUrl><graphqlApiUrl></graphqlApiUrl>"
        ))
        .into()
    }

    fn get_meetings(&mut self) -> SimResponse {
        let now_ms = self.now_ms;
        SimResponse::Xml(self.meetings.render_list(now_ms, |meetings| {
            render::meetings_response(meetings.iter(), meetings.number_format(), now_ms)
        }))
    }

    fn is_meeting_running(&self, id: &str) -> SimResponse {
        let running =
            self.meetings.get(id).is_some_and(|meeting| meeting.attendance(self.now_ms).users > 0);
        render::success_response(&format!("<running>{running}</running>")).into()
    }

    fn end(&mut self, id: &str, params: &Params) -> CallResult {
        let meeting = self.find_meeting(id)?;
        if self.is_real()
            && params
                .get_non_empty("password")
                .is_some_and(|password| password != meeting.moderator_pw)
        {
            let message = "The supplied moderator password is incorrect";
            return Err(CallFailure::new("invalidPassword", message));
        }
        if let Some(ended) = self.meetings.remove(id) {
            self.endings.record(&ended, EndCause::EndCall, self.now_ms);
        }
        Ok(render::success_response(
            "<messageKey>sentEndMeetingRequest</messageKey><message>A request to end the meeting \
             was sent.  Please wait a few seconds, and then use the getMeetingInfo or \
             isMeetingRunning API calls to verify that it was ended.</message>",
        )
        .into())
    }

    fn insert_document(&self, id: &str, request: &RecordedRequest) -> CallResult {
        self.find_meeting(id)?;
        match (request.body.is_empty(), self.strictness) {
            (true, Strictness::Real) => Ok(SimResponse::Xml(Bytes::new())),
            (true, Strictness::Recorded) => {
                Err(CallFailure::new("insertDocumentError", "No document was given"))
            }
            (false, _) => Ok(render::success_response(
                "<messageKey>documentInserted</messageKey>\
                 <message>Presentation is being uploaded</message>",
            )
            .into()),
        }
    }

    fn send_chat_message(&self, id: &str, params: &Params) -> CallResult {
        let message = params.get_non_empty("message");
        if self.is_real() {
            check_length("Message", message.unwrap_or(""), 1, 500)?;
            check_length("User name", params.get("userName").unwrap_or(""), 0, 255)?;
            self.find_meeting(id)?;
            return Ok(
                render::success_response("<messageKey></messageKey><message></message>").into()
            );
        }
        self.find_meeting(id)?;
        if message.is_none() {
            return Err(CallFailure::new("missingParamMessage", "You must specify a message."));
        }
        Ok(render::success_response("").into())
    }
}

/// The supported calls that need a checksum.
const SIGNED_CALLS: [&str; 8] = [
    "create",
    "join",
    "end",
    "isMeetingRunning",
    "getMeetings",
    "getMeetingInfo",
    "insertDocument",
    "sendChatMessage",
];

/// Fails unless `text` has between `min` and `max` characters. `field` names it in the message.
pub(crate) fn check_length(
    field: &str,
    text: &str,
    min: usize,
    max: usize,
) -> Result<(), CallFailure> {
    if (min..=max).contains(&text.chars().count()) {
        return Ok(());
    }
    let message = format!("{field} must be between {min} and {max} characters");
    Err(CallFailure::new("validationError", message))
}

/// Checks a meeting id: it has 2 to 256 characters and no comma.
fn check_id(id: &str) -> Result<(), CallFailure> {
    check_length("Meeting ID", id, 2, 256)?;
    if id.contains(',') {
        return Err(CallFailure::new("validationError", "Meeting ID cannot contain ','"));
    }
    Ok(())
}

/// Returns the media type of the body in lower case, without parameters.
fn content_type(request: &RecordedRequest) -> String {
    let value = request.header("content-type").unwrap_or("");
    value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// Whether the request has no body, or a body of a type that the call accepts.
fn has_allowed_type(request: &RecordedRequest) -> bool {
    const FORM_TYPES: [&str; 2] = ["application/x-www-form-urlencoded", "multipart/form-data"];
    const XML_TYPES: [&str; 2] = ["application/xml", "text/xml"];
    let content_type = content_type(request);
    let content_type = content_type.as_str();
    request.body.is_empty()
        || match request.call.as_str() {
            "create" => FORM_TYPES.contains(&content_type) || XML_TYPES.contains(&content_type),
            "insertDocument" => content_type == "application/xml",
            _ => FORM_TYPES.contains(&content_type),
        }
}

/// Returns the raw text of a form body, or an empty string if the body is not a form.
pub(crate) fn form_text(request: &RecordedRequest) -> String {
    if content_type(request).contains("form-urlencoded") {
        String::from_utf8_lossy(&request.body).into_owned()
    } else {
        String::new()
    }
}
