//! The errors of API calls, with the message keys and texts that front-ends compare.

use bbb::response;
use domain::placement::PlacementRefusal;

use crate::backend::BackendError;
use crate::origin;
use crate::ports::StoreError;

/// Why a call fails. The response has the return code `FAILED`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The checksum is missing or wrong, its algorithm is not allowed, or the tenant is unknown.
    #[error("checksum error")]
    Checksum,
    /// `meetingID` is missing or blank.
    #[error("no meetingID")]
    MissingMeetingId,
    /// `meetingID` is not UTF-8, or has a NUL.
    #[error("meetingID is not UTF-8, or has a NUL")]
    InvalidMeetingId,
    /// The meeting is unknown.
    #[error("meeting not found")]
    NotFound,
    /// `recordID` is missing or blank.
    #[error("no recordID")]
    MissingRecordId,
    /// `publish` is missing or blank.
    #[error("no publish")]
    MissingPublish,
    /// Neither recordings nor meetings are named, although `GET_RECORDINGS_API_FILTERED` requires
    /// it.
    #[error("neither meetingID nor recordID")]
    MissingParameters,
    /// A key of metadata is too long, or key or value contain a character that cannot be stored.
    #[error("metadata cannot be stored")]
    InvalidMetadata,
    /// None of the recordings exists.
    #[error("recordings not found")]
    NoRecordings,
    /// The files of these recordings are missing or cannot be moved.
    #[error("files of {} not moved", .0.join(", "))]
    Files(Vec<String>),
    /// The server of the meeting is disabled or offline.
    #[error("server unavailable")]
    ServerUnavailable,
    /// The call does not accept a body of this type.
    #[error("unsupported content type")]
    UnsupportedContentType,
    /// The call does not exist, or not with this method.
    #[error("unsupported request")]
    Unsupported,
    /// The request is larger than accepted.
    #[error("request too large")]
    TooLarge,
    /// No server accepts the new meeting.
    #[error("no server: {0:?}")]
    NoServer(PlacementRefusal),
    /// Other meetings hold all candidates for the voice bridge.
    #[error("no voice bridge")]
    NoVoiceBridge,
    /// The server refused the call: its message key and message.
    #[error("refused by the server: {0}")]
    Backend(String, String),
    /// The web server of a BBB server refused the request with this HTTP status.
    #[error("refused by a server with HTTP {0}")]
    Refused(u16),
    /// The server gave no valid BBB response: the text for the client, and the reason.
    #[error("{1}")]
    Unanswered(&'static str, BackendError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The request took longer than allowed.
    #[error("request took too long")]
    Timeout,
    /// Too many other requests take the memory or the time that this one needs.
    #[error("too busy")]
    Busy,
    /// The balancer has a fault.
    #[error("internal error")]
    Internal,
}

impl ApiError {
    /// Returns the message key, which clients compare.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Checksum => "checksumError",
            Self::MissingMeetingId => "missingParamMeetingID",
            Self::InvalidMeetingId | Self::InvalidMetadata => "validationError",
            Self::NotFound | Self::NoRecordings => "notFound",
            Self::MissingRecordId => "missingParamRecordID",
            Self::MissingPublish => "missingParamPublish",
            Self::MissingParameters => "missingParameters",
            Self::ServerUnavailable => "serverUnavailable",
            Self::UnsupportedContentType => "unsupportedContentType",
            Self::Unsupported => "unsupportedRequest",
            Self::NoServer(PlacementRefusal::TagUnavailable(_)) => "serverTagUnavailable",
            Self::NoServer(PlacementRefusal::Full) => "serverLimitReached",
            Self::TooLarge | Self::Refused(413 | 414 | 431) => "requestTooLarge",
            Self::Refused(_) => "validationError",
            Self::Backend(key, _) => key,
            Self::NoServer(PlacementRefusal::NoServer)
            | Self::NoVoiceBridge
            | Self::Unanswered(..)
            | Self::Files(_)
            | Self::Store(_)
            | Self::Timeout
            | Self::Busy
            | Self::Internal => "internalError",
        }
    }

    /// Returns the message for people. It reveals nothing internal.
    #[must_use]
    pub fn message(&self) -> String {
        let text = match self {
            Self::Checksum => "You did not pass the checksum security check",
            Self::MissingMeetingId => "You must specify a meeting ID for the meeting.",
            Self::InvalidMeetingId => "Invalid meeting ID",
            Self::NotFound => {
                "We could not find a meeting with that meeting ID - perhaps the meeting is not yet \
                 running?"
            }
            Self::MissingRecordId => "You must specify a recordID.",
            Self::MissingPublish => "You must specify a publish value true or false.",
            Self::MissingParameters => "param meetingID or recordID must be included.",
            Self::InvalidMetadata => {
                "A metadata parameter cannot be stored: its name has more than 255 bytes, or it \
                 contains a null character."
            }
            Self::NoRecordings => "We could not find recordings",
            Self::Files(record_ids) => {
                let record_ids = record_ids.join(", ");
                return format!(
                    "The files of these recordings could not be moved: {record_ids}. All others were \
                     changed."
                );
            }
            Self::ServerUnavailable => "The server for this meeting is disabled/offline.",
            Self::UnsupportedContentType => "POST request Content-Type is missing or unsupported",
            Self::Unsupported => "This request is not supported.",
            Self::TooLarge => "The body of this request is too large.",
            Self::Refused(414) => {
                "The BigBlueButton server refused the request: its URL is too long (HTTP 414)."
            }
            Self::Refused(status) => {
                return format!("The BigBlueButton server refused the request with HTTP {status}.");
            }
            Self::NoServer(PlacementRefusal::TagUnavailable(tag)) => {
                return format!("There is no available server with the required tag={tag}.");
            }
            Self::NoServer(PlacementRefusal::Full) => {
                "All available servers have reached their limits."
            }
            Self::NoServer(PlacementRefusal::NoServer) => "Could not find any available servers.",
            Self::NoVoiceBridge => "Could not find a free voice bridge.",
            Self::Backend(_, message) => message,
            Self::Unanswered(
                _,
                BackendError::InvalidResponse(bbb::InvalidResponse::NoReturncode)
                | BackendError::Foreign(_, bbb::InvalidResponse::NoReturncode),
            ) => "Response did not include returncode",
            Self::Unanswered(text, _) => text,
            Self::Store(_) => "The balancer's store is unavailable.",
            Self::Timeout => "This request took too long.",
            Self::Busy => "The balancer is too busy for this request. Please try again later.",
            Self::Internal => "The balancer failed to answer this request.",
        };
        text.to_owned()
    }

    /// Whether the same call may succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::ServerUnavailable | Self::Store(_) | Self::Timeout | Self::Busy)
    }

    /// Whether the request failed here, so that only the log of this balancer tells why.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        matches!(
            self,
            Self::Unanswered(..)
                | Self::Files(_)
                | Self::Store(_)
                | Self::NoVoiceBridge
                | Self::Timeout
                | Self::Internal
        )
    }

    /// Returns the response in XML. If the request failed here, it names the request, by which the reason is found in the log.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let id = origin::request_id().filter(|_| self.is_internal());
        response::build_failure_of(self.key(), &self.message(), id.as_deref())
    }
}
