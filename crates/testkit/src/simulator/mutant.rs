//! Bugs planted on purpose between the product and its store or its servers, to prove that the
//! checkers find bugs of these kinds.

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A claim is released without a check of its token.
    ReleasesAnyClaim,
    /// The claim of a failed create is not released.
    KeepsFailedClaims,
    /// A claim is valid for a day.
    ClaimsForADay,
    /// Claims are ignored: every create places the meeting anew.
    PlacesTwice,
    /// Cordoned servers get new meetings.
    PlacesOnCordoned,
    /// Disabled servers get new meetings.
    PlacesOnDisabled,
    /// A placed meeting adds no load to its server.
    PlacesWithoutLoad,
    /// One failed poll makes the store forget all meetings of the server.
    ForgetsOnOneFailure,
    /// A poll overlooks the last meeting of a server.
    OverlooksMeeting,
    /// A poll counts 30 users too many in each meeting.
    CountsTooManyUsers,
    /// A meeting stays claimed after its create succeeded.
    ForgetsToConfirm,
    /// A meeting of another tenant with the same id is found.
    MixesTenants,
    /// Joins go to any server.
    JoinsAnywhere,
    /// Meetings that no poll has seen for 90 s are forgotten, instead of a day.
    ForgetsUnseenAtOnce,
    /// Meetings that polls found ended stay recorded.
    KeepsEndedMeetings,
    /// `end` is sent twice.
    SendsTwice,
    /// A call waits 300 s for its response.
    WaitsForEver,
    /// A meeting that was ended while its server was offline is not ended when the server returns.
    ForgetsPendingEnds,
    /// Running meetings that are not recorded are never adopted.
    AdoptsNothing,
    /// A meeting that runs on two servers is never ended on one of them.
    LeavesDuplicates,
    /// The loss of all data of the store goes unnoticed.
    OverlooksStoreLoss,
    /// All meetings get the same voice bridge.
    SharesVoiceBridges,
    /// Whatever a server reports of an end is believed.
    BelievesEndReports,
    /// The addresses for the end of a meeting are lost.
    ForgetsEndCallbacks,
    /// Each end is told twice.
    TellsEndsTwice,
    /// An end is told two minutes late, whatever has happened since.
    TellsEndsLate,
    /// No create is kept, so no meeting of a dead server is made anew.
    RevivesNothing,
    /// A meeting that was ended while its server was offline stays recorded.
    KeepsMeetingsEndedOffline,
    /// Joins believe that healthy servers are offline, and revivals replace any record.
    RevivesHealthyMeetings,
    /// A server that is working on a create counts as dead.
    DoublesSlowCreates,
    /// A server that takes its time for a create becomes suspect.
    SuspectsSlowServers,
    /// A meeting that another entry of the same server reports is ended as a duplicate.
    EndsTwins,
    /// Entries of the same server are not recognised.
    OverlooksTwins,
    /// The URL of a new server is not compared with those that are listed.
    AcceptsSpellings,
    /// A copy of a recorded meeting is ended without proof that it is ours.
    EndsForeignCopies,
    /// Panic ends adopted meetings, too.
    EndsAdoptedMeetings,
    /// Of two copies the one with more users is ended.
    EndsFullerCopies,
    /// A list with an odd part counts as no answer.
    FailsOddLists,
    /// Meetings that cannot be read count as ended.
    ForgetsUnreadable,
    /// A server that claims to have more users in a meeting of another one gets it.
    BelievesClaims,
    /// A server may make replicas adopt as many meetings as it lists.
    AdoptsWithoutBound,
    /// Failed polls are judged by the clock alone.
    BelievesClocks,
}

impl Mutant {
    /// All planted bugs.
    pub const ALL: &[Self] = &[
        Self::ReleasesAnyClaim,
        Self::KeepsFailedClaims,
        Self::ClaimsForADay,
        Self::PlacesTwice,
        Self::PlacesOnCordoned,
        Self::PlacesOnDisabled,
        Self::PlacesWithoutLoad,
        Self::ForgetsOnOneFailure,
        Self::OverlooksMeeting,
        Self::CountsTooManyUsers,
        Self::ForgetsToConfirm,
        Self::MixesTenants,
        Self::JoinsAnywhere,
        Self::ForgetsUnseenAtOnce,
        Self::KeepsEndedMeetings,
        Self::SendsTwice,
        Self::WaitsForEver,
        Self::ForgetsPendingEnds,
        Self::AdoptsNothing,
        Self::LeavesDuplicates,
        Self::OverlooksStoreLoss,
        Self::SharesVoiceBridges,
        Self::BelievesEndReports,
        Self::ForgetsEndCallbacks,
        Self::TellsEndsTwice,
        Self::TellsEndsLate,
        Self::RevivesNothing,
        Self::KeepsMeetingsEndedOffline,
        Self::RevivesHealthyMeetings,
        Self::DoublesSlowCreates,
        Self::SuspectsSlowServers,
        Self::EndsTwins,
        Self::OverlooksTwins,
        Self::AcceptsSpellings,
        Self::EndsForeignCopies,
        Self::EndsAdoptedMeetings,
        Self::EndsFullerCopies,
        Self::FailsOddLists,
        Self::ForgetsUnreadable,
        Self::BelievesClaims,
        Self::AdoptsWithoutBound,
        Self::BelievesClocks,
    ];
}
