//! End callbacks: where front-ends want to be told that a meeting is over.

use async_trait::async_trait;
use domain::{MeetingKey, ServerId, Timestamp};

use super::outbox::OutboxMessage;
use super::store_error::StoreError;

/// The parameter of a create that names an address to be told of the end of the meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndParameter {
    /// `meta_endCallbackUrl`, to which BBB appends parameters. BBB ignores the case of the name.
    EndCallbackUrl,
    /// `meetingEndedURL`, which BBB calls as it is.
    MeetingEndedUrl,
}

impl EndParameter {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::EndCallbackUrl, Self::MeetingEndedUrl];

    /// Returns the name of the parameter.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EndCallbackUrl => "meta_endCallbackUrl",
            Self::MeetingEndedUrl => "meetingEndedURL",
        }
    }

    /// Returns the parameter of that name; `None` if there is none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|parameter| parameter.name() == name)
    }
}

/// The wish of a front-end that an address is told once, when a meeting is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndCallback {
    /// Follows from the meeting and the address: if it is named again before the end is told, it is
    /// told once.
    pub id: String,
    /// The meeting.
    pub key: MeetingKey,
    /// The parameter that named the address.
    pub parameter: EndParameter,
    /// The address.
    pub url: String,
    /// When a create last named the address. Later creates have later times, even if their clocks
    /// say something else.
    pub created_at: Timestamp,
    /// Until when creates that name the address may be under way; in the past if all were answered.
    pub create_until: Timestamp,
    /// How many of these creates have not been answered, as long as they may be under way.
    pub open_creates: u32,
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
    /// Returns the id of the message that tells of the end.
    #[must_use]
    pub fn message_id(&self) -> String {
        format!("ended:{}", self.id)
    }
}

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
    /// Adds the end callbacks of a create that is about to be sent, and withdraws their messages that
    /// are not delivered yet: the meeting begins again. If the create fails, the end of the earlier one
    /// is still to be told, so the end callback that replaces such a message is confirmed, and the end
    /// suspected. If there is one of the same id, it keeps what is known of the meeting; its `created_at`
    /// becomes that of the new one or, if that is not later, one more than before, `create_until` and
    /// `check_at` are those of the new one, and there is one more open create. Open creates that are not
    /// under way any longer do not count.
    async fn register_end_callbacks(&self, callbacks: &[EndCallback]) -> Result<(), StoreError>;

    /// Records that a create has been answered; with a place, that it has succeeded and the meeting is
    /// there. If it was the last open one, none is under way any longer, and the end callback is checked
    /// at `check_at`, or now if its end is suspected. Unknown ids change nothing.
    async fn close_create(
        &self,
        ids: &[String],
        place: Option<&MeetingPlace>,
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

    /// Removes an end callback and posts its message, if any. False if it is gone, or was registered
    /// again since `checked` was read; then nothing changes.
    async fn finish_end_callback(
        &self,
        checked: &EndCallback,
        message: Option<&OutboxMessage>,
    ) -> Result<bool, StoreError>;
}
