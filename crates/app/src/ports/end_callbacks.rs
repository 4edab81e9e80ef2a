//! End callbacks: where front-ends want to be told that a meeting is over.

use async_trait::async_trait;
use domain::{MeetingKey, ServerId, Timestamp};

use super::outbox::OutboxMessage;
use super::store_error::StoreError;

/// The addresses that a create names, to be told of the end of the meeting. Each has the parameters
/// that BBB appends to the parameter of the create that named it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndAddresses {
    /// `meta_endCallbackUrl`.
    pub end_callback_url: Option<String>,
    /// `meetingEndedURL`.
    pub meeting_ended_url: Option<String>,
}

/// The wish of a front-end to be told once, when a meeting is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndCallback {
    /// Follows from the meeting and the addresses: whoever names the same addresses again, before
    /// the end is told, is told once.
    pub id: String,
    /// The meeting.
    pub key: MeetingKey,
    /// Where the end is told.
    pub addresses: EndAddresses,
    /// When a create last named the addresses. Later creates have later times, even if their clocks
    /// say something else.
    pub created_at: Timestamp,
    /// Until when that create may be under way; in the past if it was answered.
    pub create_until: Timestamp,
    /// Whether such a create has succeeded.
    pub is_confirmed: bool,
    /// The server that had the meeting last.
    pub server: Option<ServerId>,
    /// The `internalMeetingID` that it had there.
    pub internal_id: Option<String>,
    /// When something last said that the meeting may be over.
    pub suspected_at: Option<Timestamp>,
    /// Whether the recording has marks, as the server said when the meeting ended.
    pub recording_marks: Option<bool>,
    /// When it is checked next whether the meeting is over.
    pub check_at: Timestamp,
}

impl EndCallback {
    /// Returns the id of the message that tells one of the addresses of the end.
    #[must_use]
    pub fn message_id(callback_id: &str, parameter: &str) -> String {
        format!("{parameter}:{callback_id}")
    }

    /// Returns the ids of all messages that may tell of the end.
    #[must_use]
    pub fn message_ids(callback_id: &str) -> [String; 2] {
        [END_CALLBACK_URL, MEETING_ENDED_URL].map(|name| Self::message_id(callback_id, name))
    }
}

/// The parameter of a create with the address to which BBB appends parameters. BBB ignores its case.
pub const END_CALLBACK_URL: &str = "meta_endCallbackUrl";
/// The parameter of a create with the address that BBB calls as it is.
pub const MEETING_ENDED_URL: &str = "meetingEndedURL";

/// Where a meeting is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeetingPlace {
    /// The server.
    pub server: ServerId,
    /// The `internalMeetingID`, if it is known.
    pub internal_id: Option<String>,
}

/// Stores end callbacks. Every method is atomic, and fails only if the store fails.
#[async_trait]
pub trait EndCallbacks: Send + Sync {
    /// Adds the end callback of a create that is about to be sent, and withdraws the messages of
    /// this id that are not delivered yet: the meeting begins again. If there is one of this id, it
    /// keeps what is known of the meeting; `created_at` becomes that of `callback` or, if that is
    /// not later, one more than before, and `create_until` and `check_at` are those of `callback`.
    async fn register_end_callback(&self, callback: &EndCallback) -> Result<(), StoreError>;

    /// Records that a create has succeeded: it is not under way any longer. The end callback is checked at `check_at`, or now if its end is suspected. An unknown id changes
    /// nothing.
    async fn confirm_end_callback(
        &self,
        id: &str,
        place: &MeetingPlace,
        now: Timestamp,
        check_at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Records that meetings may be over: their end callbacks are checked now. Recording marks that
    /// are not told stay as they are. Meetings without end callbacks change nothing.
    async fn suspect_ends(
        &self,
        keys: &[MeetingKey],
        recording_marks: Option<bool>,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Lists the end callbacks of a meeting, in the order of their ids.
    async fn list_end_callbacks(&self, key: &MeetingKey) -> Result<Vec<EndCallback>, StoreError>;

    /// Takes the end callbacks that are to be checked at `now`, the most urgent ones first, `limit`
    /// at most, and postpones their next check to `until`. No other caller gets them before.
    async fn take_due_end_callbacks(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<EndCallback>, StoreError>;

    /// Sets the next check of an end callback, and since when its end is suspected. With a place the
    /// meeting was found there: a create has succeeded. Nothing changes if it was registered or
    /// suspected again since `checked` was read.
    async fn postpone_end_check(
        &self,
        checked: &EndCallback,
        place: Option<&MeetingPlace>,
        suspected_at: Option<Timestamp>,
        check_at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Removes an end callback and posts its messages. False if it is gone, or was registered again
    /// since `checked` was read; then nothing changes.
    async fn finish_end_callback(
        &self,
        checked: &EndCallback,
        messages: &[OutboxMessage],
    ) -> Result<bool, StoreError>;
}
