//! The pool store: the servers of the pool and their meetings, shared by all replicas.

use async_trait::async_trait;
use domain::health::{ServerFailure, Thresholds};
use domain::meeting::REVIVAL_REASON;
use domain::placement::{PlacementCriteria, PlacementRefusal};
use domain::poll::{PendingEnd, PollObservation, PollOutcome, PollPolicy, RecordedElsewhere};
use domain::{AdminState, Claim, Meeting, MeetingKey, MeetingLoad, Server, ServerId, Timestamp};

use super::kept_creates::KeptCreate;
use super::replaced_record::ReplacedRecord;
use super::store_error::StoreError;

/// A meeting and its server, read together.
#[derive(Clone, Debug, PartialEq)]
pub struct MeetingOnServer {
    /// The meeting.
    pub meeting: Meeting,
    /// The server on which the meeting is recorded.
    pub server: Server,
}

impl MeetingOnServer {
    /// Whether users can join the meeting.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.server.accepts_joins() && !self.meeting.detached
    }

    /// Converts the record to what a poll of another server, `polled`, needs to know of it.
    #[must_use]
    pub fn into_recorded_elsewhere(self, polled: &Server) -> RecordedElsewhere {
        RecordedElsewhere {
            reachable: self.is_reachable(),
            is_in_full_use: self.server.is_online() && self.server.state == AdminState::Enabled,
            has_same_secret: self.server.secret == polled.secret,
            meeting: self.meeting,
        }
    }

    /// Whether the server is away. Then the record is only valid if the server comes back with the
    /// meeting.
    #[must_use]
    pub fn is_detached_or_offline(&self) -> bool {
        self.meeting.detached || !self.server.is_online()
    }
}

/// A meeting that needs a server.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaceRequest {
    /// The key of the meeting.
    pub key: MeetingKey,
    /// The criteria by which the server is chosen.
    pub criteria: PlacementCriteria,
    /// Candidates for the voice bridge, in the order in which they are tried.
    pub voice_bridges: Vec<String>,
    /// The moderators' password.
    pub moderator_pw: Option<String>,
    /// The claim of this request.
    pub claim: Claim,
    /// The users that are expected.
    pub load: MeetingLoad,
    /// The current time.
    pub now: Timestamp,
    /// Pending ends to record if the meeting is placed: on the servers that this request has tried
    /// before.
    pub pending_ends: Vec<PendingEnd>,
    /// The record that the request replaces, if it may replace no other and is not placed without it.
    pub replaces: Option<ReplacedRecord>,
}

/// How an existing record of a meeting affects its placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordConflict {
    /// The record stays; the meeting is not placed.
    Blocking,
    /// The claim of the record has expired: the record counts as nothing, and is removed in any
    /// case.
    Expired,
    /// The record is this request's own claim, or its server is away: it is replaced if a server is
    /// found.
    Replaceable,
}

impl PlaceRequest {
    /// Returns how an existing record of the meeting affects this request.
    #[must_use]
    pub fn classify_conflict(&self, recorded: &MeetingOnServer) -> RecordConflict {
        match &recorded.meeting.claim {
            Some(claim) if claim.token == self.claim.token => RecordConflict::Replaceable,
            Some(_) if !recorded.meeting.is_being_created(self.now) => RecordConflict::Expired,
            None if recorded.is_detached_or_offline() => RecordConflict::Replaceable,
            _ => RecordConflict::Blocking,
        }
    }

    /// Returns the pending end of a meeting whose record this request replaces. What this request
    /// itself has tried before is told by [`Self::pending_ends`].
    #[must_use]
    pub fn pending_end_of(&self, replaced: &Meeting) -> Option<PendingEnd> {
        let is_own = replaced.claim.as_ref().is_some_and(|claim| claim.token == self.claim.token);
        let pending_end = PendingEnd::of_replaced_record(replaced, self.now);
        pending_end.filter(|_| !is_own)
    }

    /// Converts the request to the record of the placed meeting.
    #[must_use]
    pub fn into_meeting(self, server: ServerId, voice_bridge: String, reason: String) -> Meeting {
        let reason = match &self.replaces {
            Some(replaced) => {
                format!("{REVIVAL_REASON}{} is offline; {reason}", replaced.server)
            }
            None => reason,
        };
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

/// The outcome of [`PoolStore::place_meeting`].
#[derive(Clone, Debug, PartialEq)]
pub enum PlaceOutcome {
    /// The meeting is placed, and claimed by this request, which has to confirm the meeting or
    /// release the claim.
    Claimed(MeetingOnServer),
    /// The meeting is recorded already. If it has a claim, that is another request's.
    Existing(MeetingOnServer),
    /// No server accepts the meeting.
    Refused(PlacementRefusal),
    /// Other meetings hold all candidates for the voice bridge.
    NoVoiceBridge,
    /// The request replaces a record, and none is there: the meeting was ended or forgotten.
    NothingToReplace,
}

/// A change of a server by an administrator. `None` leaves a field unchanged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerChange {
    /// The URL of the API.
    pub url: Option<String>,
    /// The URL of the API for joins; `Some(None)` removes it.
    pub join_url: Option<Option<String>>,
    /// The shared secret.
    pub secret: Option<String>,
    /// The tag; `Some(None)` removes it.
    pub tag: Option<Option<String>>,
    /// The administrative state.
    pub state: Option<AdminState>,
    /// The load multiplier. The current load is unchanged until the next poll.
    pub load_multiplier: Option<f64>,
    /// Maximum number of meetings; `Some(None)` removes the limit.
    pub max_meetings: Option<Option<u32>>,
    /// Maximum number of users; `Some(None)` removes the limit.
    pub max_users: Option<Option<u32>>,
    /// The tier.
    pub tier: Option<u32>,
}

impl ServerChange {
    /// Creates a change of the administrative state only.
    #[must_use]
    pub fn with_state(state: AdminState) -> Self {
        Self { state: Some(state), ..Self::default() }
    }

    /// Applies the change to a server.
    pub fn apply(self, server: &mut Server) {
        if let Some(url) = self.url {
            server.url = url;
            server.twin_of = None;
        }
        if let Some(join_url) = self.join_url {
            server.join_url = join_url;
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

/// The result of [`PoolStore::record_poll`].
#[derive(Clone, Debug, PartialEq)]
pub struct PollReport {
    /// The server after the poll.
    pub server: Server,
    /// What the poll changed.
    pub outcome: PollOutcome,
    /// The meetings that were deleted from the store.
    pub forgotten: Vec<Meeting>,
}

/// Stores the servers, their meetings, and the pending ends of meetings.
///
/// Every method is atomic, and fails only if the store fails; then the change may or may not have
/// been made. What one call has written, the next call of the same process reads.
#[async_trait]
pub trait PoolStore: Send + Sync {
    /// Checks that the store can be read and written now.
    async fn check_store(&self) -> Result<(), StoreError>;

    /// Lists all servers, in the order in which they were added.
    async fn list_servers(&self) -> Result<Vec<Server>, StoreError>;

    /// Returns a server; `None` if there is none of this id.
    async fn find_server(&self, id: &ServerId) -> Result<Option<Server>, StoreError>;

    /// Adds a server; false if its id exists already, and then nothing changes.
    async fn add_server(&self, server: Server) -> Result<bool, StoreError>;

    /// Changes a server, and returns it as it is afterwards; `None` if there is none of this id.
    async fn update_server(
        &self,
        id: &ServerId,
        change: ServerChange,
    ) -> Result<Option<Server>, StoreError>;

    /// Removes a server, its meetings and its pending ends, and returns the meetings; `None` if
    /// there is none of this id.
    async fn remove_server(&self, id: &ServerId) -> Result<Option<Vec<Meeting>>, StoreError>;

    /// Stores the BBB version that a server reported. An unknown id changes nothing.
    async fn record_version(&self, id: &ServerId, version: &str) -> Result<(), StoreError>;

    /// Records that a call to a server failed which was not a poll, by
    /// [`domain::health::Health::record_live_failure`]. An unknown id changes nothing.
    async fn record_failure(
        &self,
        id: &ServerId,
        failure: &ServerFailure,
        thresholds: Thresholds,
    ) -> Result<(), StoreError>;

    /// Applies the poll of a server by [`domain::poll::apply_poll`]: the health, load and
    /// statistics of the server, updates of its meetings, adopted meetings, which replace any other
    /// record of them, and pending ends that are settled or new. The load includes the adopted
    /// meetings.
    ///
    /// `cycle` is the number of the poll cycle (see [`super::PeriodicJobs`]); a poll outside of the
    /// cycles has none, and is always recorded. `None` if there is no such server, or if a later
    /// cycle has recorded a poll of it already; then nothing changes.
    async fn record_poll(
        &self,
        id: &ServerId,
        observation: &PollObservation,
        policy: &PollPolicy,
        cycle: Option<u64>,
    ) -> Result<Option<PollReport>, StoreError>;

    /// Returns a meeting and its server; `None` if the meeting is not recorded, or its server does
    /// not exist.
    async fn find_meeting(&self, key: &MeetingKey) -> Result<Option<MeetingOnServer>, StoreError>;

    /// Returns the meeting that holds a voice bridge, and its server; `None` if no meeting does. Detached meetings hold none.
    async fn find_by_voice_bridge(
        &self,
        number: &str,
    ) -> Result<Option<MeetingOnServer>, StoreError>;

    /// Lists all meetings, or those of one server.
    async fn list_meetings(&self, server: Option<&ServerId>) -> Result<Vec<Meeting>, StoreError>;

    /// Returns the existing record of a meeting, or places the meeting on the server that
    /// [`domain::placement::choose_server`] chooses, within one transaction.
    ///
    /// Placing claims the meeting, takes the first candidate for the voice bridge that no other
    /// meeting holds, adds the expected users to the load of the server, records the pending ends
    /// of the request. A pending end of the meeting on the chosen server stays until the meeting is
    /// confirmed there. A server on which another tenant's meeting of the same id is recorded is
    /// never chosen.
    ///
    /// A request that [`PlaceRequest::replaces`] a record changes nothing if it does not find it
    /// ([`PlaceRequest::refuse_other_record`]).
    ///
    /// [`PlaceRequest::classify_conflict`] decides about an existing record. A replaceable one is
    /// only undone if the meeting is placed, an expired one in any case. Then
    /// [`PlaceRequest::pending_end_of`] it is recorded, before those of the request. If the meeting
    /// is not placed, nothing else changes.
    async fn place_meeting(&self, request: PlaceRequest) -> Result<PlaceOutcome, StoreError>;

    /// Records that a server has the meeting, and ends the claim on it, whoever holds it. `meeting`
    /// is the record as this request placed it.
    ///
    /// - If this request has moved its claim to another server meanwhile (known by the token), the
    ///   record moves back to the server of `meeting`, with its users.
    /// - If the record was deleted meanwhile, it is written again. Its users are added to the load
    ///   again; the next poll corrects that.
    /// - In both of these cases the meeting is not recorded if its server was removed or disabled.
    /// - If another request has recorded the meeting on another server, that record stays.
    ///
    /// The origin of the record becomes [`domain::MeetingOrigin::with_reply`] that of `meeting`,
    /// which a pending end of the meeting on this server may prove.
    ///
    /// In each case a pending end of the meeting on this server is removed, and `pending_ends` are
    /// recorded, except for the server where another request has recorded the meeting. If that
    /// record stays, [`domain::confirmation::pending_end_of_copy`] is recorded.
    ///
    /// Then `kept` is kept as by [`KeptCreates::keep_create`](super::KeptCreates::keep_create).
    async fn confirm_meeting(
        &self,
        meeting: &Meeting,
        now: Timestamp,
        pending_ends: &[PendingEnd],
        kept: Option<&KeptCreate>,
    ) -> Result<(), StoreError>;

    /// Undoes the placement of a claim: removes the meeting, frees its voice bridge, subtracts its
    /// expected users from the load, and records the pending ends. False if the token does not hold
    /// the claim any more; then nothing changes, since other requests have decided where the
    /// meeting is, perhaps on one of the servers of `pending_ends`.
    async fn release_claim(
        &self,
        key: &MeetingKey,
        token: &str,
        pending_ends: &[PendingEnd],
    ) -> Result<bool, StoreError>;

    /// Deletes a meeting if it is recorded on this server, and records the pending end, if any;
    /// returns whether the meeting was deleted.
    ///
    /// If that end is requested, the copies that other pending ends of the meeting name are to end too
    /// ([`PendingEnd::after_request`]).
    ///
    /// With `seen_at`, nothing changes if the server has confirmed the meeting since then, because
    /// a new meeting may have the same key by now. If the meeting is not recorded on this server,
    /// the pending end is recorded all the same.
    async fn forget_meeting(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        seen_at: Option<Timestamp>,
        pending_end: Option<&PendingEnd>,
    ) -> Result<bool, StoreError>;

    /// Lists the pending ends of all servers, in the order of server ids, then of meeting keys.
    /// Pending ends are only recorded for servers that exist.
    async fn list_pending_ends(&self) -> Result<Vec<PendingEnd>, StoreError>;

    /// Deletes all meetings of a server, and returns them.
    async fn forget_server_meetings(&self, server: &ServerId) -> Result<Vec<Meeting>, StoreError>;

    /// Returns a meeting for a join, and counts the user if the meeting is reachable: if the users
    /// of the meeting exceed the expected ones, the load of its server increases. `None` as in
    /// [`PoolStore::find_meeting`].
    ///
    /// The count may be written a moment later, but all other methods of this process see it at
    /// once. The returned record is that of before the join, and may lack other joins that are not
    /// written yet.
    async fn record_join(
        &self,
        key: &MeetingKey,
        now: Timestamp,
    ) -> Result<Option<MeetingOnServer>, StoreError>;

    /// Writes a meeting that is copied from another store. The load of its server is unchanged,
    /// since it was copied with the server. If another meeting holds its voice bridge, it is
    /// written without it; a detached meeting keeps the number, because it does not hold it. False
    /// if the key exists already, or the server does not; then nothing changes.
    async fn restore_meeting(&self, meeting: &Meeting) -> Result<bool, StoreError>;

    /// Gives the store this id if it has none, and returns the id that it has afterwards. A store
    /// that lost all its data has lost its id, too.
    async fn claim_store_id(&self, id: &str) -> Result<String, StoreError>;

    /// Writes these servers, all at once, if the store has no servers and does not have the id
    /// `lost_store_id`; returns whether it did. Their meetings are not restored: polls find them.
    async fn restore_servers(
        &self,
        lost_store_id: &str,
        servers: &[Server],
    ) -> Result<bool, StoreError>;

    /// Deletes meetings that no server has confirmed since that time, and returns them. Pending
    /// ends that are older are deleted as well.
    async fn forget_unseen(&self, unseen_since: Timestamp) -> Result<Vec<Meeting>, StoreError>;
}
