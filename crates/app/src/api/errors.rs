//! What can go wrong with a call, in the keys and texts that front-ends compare.

use bbb::response;
use domain::placement::PlacementRefusal;

use crate::backend::BackendError;
use crate::ports::StoreError;
use crate::recordings::file_moves::FileMoveError;

impl From<FileMoveError> for ApiError {
    fn from(error: FileMoveError) -> Self {
        match error {
            FileMoveError::Store(error) => Self::Store(error),
            other => Self::Files(other.to_string()),
        }
    }
}

/// A call that ends in a `FAILED` answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// No or wrong checksum, algorithm not allowed, unknown tenant.
    #[error("checksum error")]
    Checksum,
    /// `meetingID` absent or blank.
    #[error("no meetingID")]
    MissingMeetingId,
    /// `meetingID` is no UTF-8.
    #[error("meetingID is no text")]
    InvalidMeetingId,
    /// Unknown meeting.
    #[error("meeting not found")]
    NotFound,
    /// `recordID` absent or blank.
    #[error("no recordID")]
    MissingRecordId,
    /// `publish` absent or blank.
    #[error("no publish")]
    MissingPublish,
    /// Nothing is named although it must be (`GET_RECORDINGS_API_FILTERED`).
    #[error("neither meetingID nor recordID")]
    MissingParameters,
    /// None of the recordings is there.
    #[error("recordings not found")]
    NoRecordings,
    /// The files of a recording are not there, or cannot be moved.
    #[error("{0}")]
    Files(String),
    /// The meeting's server is disabled or offline.
    #[error("server unavailable")]
    ServerUnavailable,
    /// A body of a type that the call does not take.
    #[error("unsupported content type")]
    UnsupportedContentType,
    /// No such call, or not with this method.
    #[error("unsupported request")]
    Unsupported,
    /// A body longer than accepted.
    #[error("request too large")]
    TooLarge,
    /// There is no server for a new meeting.
    #[error("no server: {0:?}")]
    NoServer(PlacementRefusal),
    /// Every voice bridge tried is taken.
    #[error("no voice bridge")]
    NoVoiceBridge,
    /// A server's own refusal: its key and message.
    #[error("refused by the server: {0}")]
    Backend(String, String),
    /// A server that gave no answer of the BBB API; the text that the client gets.
    #[error("{1}")]
    Unanswered(&'static str, BackendError),
    /// Our store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The whole request took longer than it may.
    #[error("request took too long")]
    Timeout,
    /// A fault of ours.
    #[error("internal error")]
    Internal,
}

impl ApiError {
    /// The message key that clients compare.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Checksum => "checksumError",
            Self::MissingMeetingId => "missingParamMeetingID",
            Self::InvalidMeetingId => "validationError",
            Self::NotFound | Self::NoRecordings => "notFound",
            Self::MissingRecordId => "missingParamRecordID",
            Self::MissingPublish => "missingParamPublish",
            Self::MissingParameters => "missingParameters",
            Self::ServerUnavailable => "serverUnavailable",
            Self::UnsupportedContentType => "unsupportedContentType",
            Self::Unsupported => "unsupportedRequest",
            Self::NoServer(PlacementRefusal::TagUnavailable(_)) => "serverTagUnavailable",
            Self::NoServer(PlacementRefusal::Full) => "serverLimitReached",
            Self::TooLarge => "requestTooLarge",
            Self::Backend(key, _) => key,
            Self::NoServer(PlacementRefusal::NoServer)
            | Self::NoVoiceBridge
            | Self::Unanswered(..)
            | Self::Files(_)
            | Self::Store(_)
            | Self::Timeout
            | Self::Internal => "internalError",
        }
    }

    /// The text for people; it holds nothing internal.
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
            Self::NoRecordings => "We could not find recordings",
            Self::Files(_) => "The files of a recording could not be moved.",
            Self::ServerUnavailable => "The server for this meeting is disabled/offline.",
            Self::UnsupportedContentType => "POST request Content-Type is missing or unsupported",
            Self::Unsupported => "This request is not supported.",
            Self::TooLarge => "The body of this request is too large.",
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
                BackendError::InvalidResponse(bbb::InvalidResponse::NoReturncode),
            ) => "Response did not include returncode",
            Self::Unanswered(text, _) => text,
            Self::Store(_) => "The balancer's store is unavailable.",
            Self::Timeout => "This request took too long.",
            Self::Internal => "The balancer failed to answer this request.",
        };
        text.to_owned()
    }

    /// Whether the same call may succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::ServerUnavailable | Self::Store(_) | Self::Timeout)
    }

    /// The answer in XML.
    #[must_use]
    pub fn to_xml(&self) -> String {
        response::build_failure(self.key(), &self.message())
    }
}
