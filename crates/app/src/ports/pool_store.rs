//! The state of the pool: servers, and which meeting lives where. This is the hot state that all
//! replicas share.

use async_trait::async_trait;
use domain::health::{ServerFailure, Thresholds};
use domain::placement::{PlacementCriteria, PlacementRefusal};
use domain::poll::{PendingEnd, PollObservation, PollOutcome, PollPolicy, RecordedElsewhere};
use domain::{AdminState, Claim, Meeting, MeetingKey, MeetingLoad, Server, ServerId, Timestamp};

/// The store failed. The text is for administrators; it holds no secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, is full, or is too slow: the same call may succeed later.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// It is another program's still, and whoever asks may only look.
    #[error("the database is not adopted yet")]
    NotAdopted,
    /// Its schema is of a version that this program does not know. It is left unchanged.
    #[error("store incompatible: {0}")]
    Incompatible(String),
    /// It holds what we cannot read.
    #[error("store corrupt: {0}")]
    Corrupt(String),
}

/// A meeting and its server, read together.
#[derive(Clone, Debug, PartialEq)]
pub struct MeetingOnServer {
    /// The meeting.
    pub meeting: Meeting,
    /// The server it lives on.
    pub server: Server,
}

impl MeetingOnServer {
    /// Whether people can be sent there.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.server.accepts_joins() && !self.meeting.detached
    }

    /// As a poll of another server sees it.
    #[must_use]
    pub fn into_recorded_elsewhere(self) -> RecordedElsewhere {
        RecordedElsewhere { reachable: self.is_reachable(), meeting: self.meeting }
    }

    /// Whether its server is away: what is known of the meeting holds only if it comes back.
    #[must_use]
    pub fn is_detached_or_offline(&self) -> bool {
        self.meeting.detached || !self.server.is_online()
    }
}

/// A meeting that needs a place.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaceRequest {
    /// Its name.
    pub key: MeetingKey,
    /// What it asks of a server.
    pub criteria: PlacementCriteria,
    /// Numbers to try for its voice bridge, in order.
    pub voice_bridges: Vec<String>,
    /// The moderators' password to remember.
    pub moderator_pw: Option<String>,
    /// The claim to put on it.
    pub claim: Claim,
    /// The seats to reserve.
    pub load: MeetingLoad,
    /// The time.
    pub now: Timestamp,
    /// What to remember as not wanted, if it is placed: where this request has tried before.
    pub pending_ends: Vec<PendingEnd>,
}

/// How a record stands in the way of a meeting that needs a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordConflict {
    /// It keeps the place that it has.
    Blocking,
    /// Its claim ran out: it counts as nothing.
    Expired,
    /// It is this request's own claim, or its server is away: it goes if there is another place.
    Replaceable,
}

impl PlaceRequest {
    /// How the record that is there stands in the way.
    #[must_use]
    pub fn classify_conflict(&self, known: &MeetingOnServer) -> RecordConflict {
        match &known.meeting.claim {
            Some(claim) if claim.token == self.claim.token => RecordConflict::Replaceable,
            Some(_) if !known.meeting.is_being_created(self.now) => RecordConflict::Expired,
            None if known.is_detached_or_offline() => RecordConflict::Replaceable,
            _ => RecordConflict::Blocking,
        }
    }

    /// The meeting, placed.
    #[must_use]
    pub fn into_meeting(self, server: ServerId, voice_bridge: String, reason: String) -> Meeting {
        Meeting {
            key: self.key,
            server,
            moderator_pw: self.moderator_pw,
            voice_bridge: Some(voice_bridge),
            claim: Some(self.claim),
            placed_at: self.now,
            seen_at: self.now,
            load: self.load,
            placement_reason: reason,
            ..Meeting::default()
        }
    }
}

/// The outcome of [`PoolStore::place`].
#[derive(Clone, Debug, PartialEq)]
pub enum PlaceOutcome {
    /// It is new and claimed by this request: confirm or release it.
    Claimed(MeetingOnServer),
    /// It has a place already. Its claim, if any, is another request's.
    Existing(MeetingOnServer),
    /// There is no server for it.
    Refused(PlacementRefusal),
    /// Every number tried is another meeting's.
    NoVoiceBridge,
}

/// What an administrator changes; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerChange {
    /// API endpoint.
    pub url: Option<String>,
    /// Shared secret.
    pub secret: Option<String>,
    /// Tag; `Some(None)` takes it away.
    pub tag: Option<Option<String>>,
    /// State.
    pub state: Option<AdminState>,
    /// Multiplier. The load in force stays until the next poll.
    pub load_multiplier: Option<f64>,
    /// Meetings at most; `Some(None)` takes the limit away.
    pub max_meetings: Option<Option<u32>>,
    /// Users at most; `Some(None)` takes the limit away.
    pub max_users: Option<Option<u32>>,
    /// Tier.
    pub tier: Option<u32>,
}

impl ServerChange {
    /// Only a new state.
    #[must_use]
    pub fn with_state(state: AdminState) -> Self {
        Self { state: Some(state), ..Self::default() }
    }

    /// Makes the change.
    pub fn apply(self, server: &mut Server) {
        if let Some(url) = self.url {
            server.url = url;
        }
        if let Some(secret) = self.secret {
            server.secret = secret;
        }
        if let Some(tag) = self.tag {
            server.tag = tag;
        }
        if let Some(multiplier) = self.load_multiplier {
            server.load_multiplier = multiplier;
        }
        let limits = &mut server.limits;
        limits.max_meetings = self.max_meetings.unwrap_or(limits.max_meetings);
        limits.max_users = self.max_users.unwrap_or(limits.max_users);
        limits.tier = self.tier.unwrap_or(limits.tier);
        if let Some(state) = self.state {
            server.set_state(state);
        }
    }
}

/// What a recorded poll did.
#[derive(Clone, Debug, PartialEq)]
pub struct PollReport {
    /// The server afterwards.
    pub server: Server,
    /// What was decided.
    pub outcome: PollOutcome,
    /// The meetings that were forgotten.
    pub forgotten: Vec<Meeting>,
}

/// The hot state. Every method is atomic, and what one call has written, the next one of the same
/// process reads.
#[async_trait]
pub trait PoolStore: Send + Sync {
    /// Whether the store can be read and written now.
    async fn check_store(&self) -> Result<(), StoreError>;

    /// All servers, in the order in which they were added.
    async fn list_servers(&self) -> Result<Vec<Server>, StoreError>;

    /// One server.
    async fn find_server(&self, id: &ServerId) -> Result<Option<Server>, StoreError>;

    /// Adds a server; false if its id exists already, and then nothing changes.
    async fn add_server(&self, server: Server) -> Result<bool, StoreError>;

    /// Changes a server; `None` if there is none.
    async fn update_server(
        &self,
        id: &ServerId,
        change: ServerChange,
    ) -> Result<Option<Server>, StoreError>;

    /// Removes a server and forgets its meetings, which are returned; `None` if there is none.
    async fn remove_server(&self, id: &ServerId) -> Result<Option<Vec<Meeting>>, StoreError>;

    /// Writes the version that a server reported.
    async fn record_version(&self, id: &ServerId, version: &str) -> Result<(), StoreError>;

    /// A call to a server failed that was no poll: [`domain::health::Health::doubt`].
    async fn record_failure(
        &self,
        id: &ServerId,
        failure: &ServerFailure,
        thresholds: Thresholds,
    ) -> Result<(), StoreError>;

    /// Applies one poll of a server by [`domain::poll::apply_edits`]: fates, adopted meetings, which
    /// replace what is recorded of them, and settled endings. The load counts what is adopted
    /// already. `None` if there is no such server, or if a later cycle has recorded a poll of it
    /// already (see [`super::PeriodicJobs`]). Polls out of turn, which belong to no cycle, are always
    /// recorded.
    async fn record_poll(
        &self,
        id: &ServerId,
        observation: &PollObservation,
        policy: &PollPolicy,
        cycle: Option<u64>,
    ) -> Result<Option<PollReport>, StoreError>;

    /// A meeting and its server.
    async fn find_meeting(&self, key: &MeetingKey) -> Result<Option<MeetingOnServer>, StoreError>;

    /// All meetings, or those of one server.
    async fn list_meetings(&self, server: Option<&ServerId>) -> Result<Vec<Meeting>, StoreError>;

    /// Finds a meeting or gives it a place by [`domain::placement::choose_server`]: claims it, reserves
    /// its voice bridge, adds its seats to the load of the chosen server, remembers the endings of
    /// the request, and forgets one on the chosen server. No server is chosen that another tenant's
    /// meeting of that id is recorded on. What yields ([`PlaceRequest::classify_conflict`])
    /// is undone if there is a place, what has expired is undone in any case.
    async fn place_meeting(&self, request: PlaceRequest) -> Result<PlaceOutcome, StoreError>;

    /// The server has the meeting: its claim ends, whoever holds it. If the request that this is
    /// about has moved its claim on meanwhile (to where a slower try was made; known by its token),
    /// it moves back here with its seats. The record is put back if it was swept away meanwhile and
    /// its server is still there and not disabled; its seats are counted again, and the next poll
    /// puts that right. What is remembered as not wanted there is forgotten, and the endings are
    /// remembered, but not one of the server that the meeting is recorded on otherwise.
    async fn confirm_meeting(
        &self,
        meeting: &Meeting,
        now: Timestamp,
        endings: &[PendingEnd],
    ) -> Result<(), StoreError>;

    /// Undoes a place that this claim won: meeting, voice bridge and reserved load. False if the
    /// claim no longer stands: then others have settled where it is, perhaps where it was asked for in
    /// vain. Else the endings are remembered.
    async fn release_claim(
        &self,
        key: &MeetingKey,
        token: &str,
        endings: &[PendingEnd],
    ) -> Result<bool, StoreError>;

    /// Forgets a meeting if it is (still) on that server. With `seen_at`, nothing is done if it was
    /// confirmed since then: it may be another one by now. Else the ending is remembered, if any.
    async fn forget_meeting(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        seen_at: Option<Timestamp>,
        ending: Option<&PendingEnd>,
    ) -> Result<bool, StoreError>;

    /// What is not wanted, of all servers: in the order of their ids, then of keys. Only what is
    /// said of servers that are there is remembered.
    async fn list_pending_ends(&self) -> Result<Vec<PendingEnd>, StoreError>;

    /// Forgets all meetings of a server and returns them.
    async fn forget_server_meetings(&self, server: &ServerId) -> Result<Vec<Meeting>, StoreError>;

    /// Finds a meeting for somebody who joins, and counts them if its server accepts joins: what
    /// exceeds the seats reserved for the meeting is added to its server's load. The count may be
    /// written a moment later, but every other method of this process sees it at once. The record
    /// returned is from before the join, and may miss others that are on their way to the store.
    async fn record_join(
        &self,
        key: &MeetingKey,
        now: Timestamp,
    ) -> Result<Option<MeetingOnServer>, StoreError>;

    /// Puts a meeting as it is, when it moves in from another store: no load is added, since its
    /// server came with it. False if there is one of that name or its server is not there. Without
    /// its voice bridge if that is another meeting's, unless it is detached and holds none.
    async fn restore_meeting(&self, meeting: &Meeting) -> Result<bool, StoreError>;

    /// Marks the store if it has no mark yet; returns the mark that it has. A store that lost
    /// everything has lost its mark as well.
    async fn claim_store_id(&self, mark: &str) -> Result<String, StoreError>;

    /// Puts back these servers, all at once, if the store has none and has lost that mark; whether it
    /// did. The meetings on them are for polls to find.
    async fn restore_servers(&self, lost: &str, servers: &[Server]) -> Result<bool, StoreError>;

    /// Forgets meetings that no server has confirmed since then, and returns them. Endings older
    /// than that go, too.
    async fn forget_unseen(&self, unseen_since: Timestamp) -> Result<Vec<Meeting>, StoreError>;
}
