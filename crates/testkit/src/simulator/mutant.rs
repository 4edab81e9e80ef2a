//! Bugs planted on purpose, at the edge between the product and its store or its servers: a
//! checker that finds none of them is no checker.

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A claim is released without a look at whose it is.
    ReleasesAnyClaim,
    /// A claim is not released.
    KeepsFailedClaims,
    /// A claim stands for a day.
    ClaimsForADay,
    /// A claim is no claim: every create places.
    PlacesTwice,
    /// Cordoned servers get meetings.
    PlacesOnCordoned,
    /// Disabled servers get meetings.
    PlacesOnDisabled,
    /// What is placed adds no load.
    PlacesWithoutLoad,
    /// A poll that failed once forgets all meetings of the server.
    ForgetsOnOneFailure,
    /// A poll overlooks the last meeting of a server.
    OverlooksMeeting,
    /// A poll counts a class too many.
    CountsTooManyUsers,
    /// A confirmed create stays claimed.
    ForgetsToConfirm,
    /// A meeting of that id will do, whoever's it is.
    MixesTenants,
    /// Joins go to any server.
    JoinsAnywhere,
    /// Meetings that nobody has seen for a moment are swept away.
    ForgetsUnseenAtOnce,
    /// A meeting that ended is not forgotten.
    KeepsEndedMeetings,
    /// Calls are sent twice.
    SendsTwice,
    /// A call waits for its answer for ever.
    WaitsForEver,
    /// A meeting that was ended while its server was away may come back with it.
    ForgetsPendingEnds,
    /// Meetings that run and are not recorded stay so.
    AdoptsNothing,
    /// A meeting that runs on two servers goes on on both.
    LeavesDuplicates,
    /// The loss of all that is stored goes unnoticed.
    OverlooksStoreLoss,
    /// A voice bridge is not reserved: meetings share one.
    SharesVoiceBridges,
}

impl Mutant {
    /// All of them.
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
    ];
}
