//! Tests of polls whose responses hold data that cannot be used.

use super::super::tests::copies::{decide, recorded, reported, unanswered_create};
use super::super::tests::{
    NOW, POLICY, context_of, meeting, observation, online_server, our_meeting, reported_meeting,
};
use super::super::{PollContext, PollObservation, PollOutcome, ServerStats, apply_poll};
use super::*;
use crate::history::MeetingUsage;
use crate::meeting::{Claim, MeetingLoad};
use crate::origin::MeetingOrigin;
use crate::server::AdminState;

fn unreadable(ids: &[&str], has_unknown: bool) -> UnreadableMeetings {
    UnreadableMeetings { ids: ids.iter().map(|&id| id.to_owned()).collect(), has_unknown }
}

/// A response with these meetings that can be read, and these that cannot.
fn observation_with(
    reported: Vec<ReportedMeeting>,
    unreadable: UnreadableMeetings,
) -> PollObservation {
    PollObservation { unreadable, ..observation(Ok(reported)) }
}

/// A recorded meeting that had 7 users at the last poll, and that the poll before missed.
fn known(id: &str) -> Meeting {
    let load = MeetingLoad { users: 7, expected_users: 15, expected_until: NOW.plus_ms(-1) };
    Meeting { load, missed_polls: 1, ..meeting(id, false, NOW.plus_ms(-900_000)) }
}

/// The updates of meetings by their ids.
fn updates(outcome: &PollOutcome) -> Vec<(&str, MeetingUpdate)> {
    let updates = outcome.meeting_updates.iter();
    updates.map(|(key, update)| (key.id.as_str(), update.clone())).collect()
}

#[test]
fn an_unreadable_meeting_keeps_its_last_known_facts() {
    let mut server = online_server();
    let here = [known("broken"), known("gone")];
    let seen =
        observation_with(vec![reported_meeting("x", 900_000, 2)], unreadable(&["broken"], false));
    let outcome = apply_poll(&mut server, context_of(&here), &seen, &POLICY);
    let usage = MeetingUsage { peak_users: 7, busy_until: NOW };
    let reported = MeetingUpdate::Reported(here[0].load, usage, MeetingOrigin::default());
    assert_eq!(updates(&outcome), [("broken", reported), ("gone", MeetingUpdate::Forgotten)]);
    assert_eq!(server.load, Some(18.0), "7 + 2 users, times 2");
    let stats = ServerStats { meetings: 2, users: 9, largest_meeting: 7, videos: 1 };
    assert_eq!((server.stats, server.placed_since_poll), (stats, 0));
}

#[test]
fn an_unreadable_meeting_of_a_server_that_comes_back_is_attached() {
    let here = [Meeting { detached: true, ..known("broken") }];
    let seen = observation_with(vec![], unreadable(&["broken"], false));
    let outcome = apply_poll(&mut online_server(), context_of(&here), &seen, &POLICY);
    assert_eq!(outcome.attached, 1);
    assert!(matches!(updates(&outcome)[..], [("broken", MeetingUpdate::Reported(..))]));
}

#[test]
fn nothing_is_missed_while_there_may_be_others() {
    let mut server = online_server();
    let here = [known("a"), Meeting { detached: true, ..known("b") }];
    let seen = observation_with(vec![], unreadable(&[], true));
    let outcome = apply_poll(&mut server, context_of(&here), &seen, &POLICY);
    assert_eq!((updates(&outcome), outcome.attached), (vec![], 0));
    assert_eq!(server.load, Some(28.0));
}

#[test]
fn claims_are_neither_confirmed_nor_released_by_an_unreadable_meeting() {
    let claimed = |until: i64| {
        let claim = Claim { token: "t".to_owned(), until: NOW.plus_ms(until) };
        Meeting { claim: Some(claim), ..known("m") }
    };
    let seen = observation_with(vec![], unreadable(&["m"], false));
    for (until, placed) in [(5_000, 1), (-5_000, 0)] {
        let (mut server, here) = (online_server(), [claimed(until)]);
        let outcome = apply_poll(&mut server, context_of(&here), &seen, &POLICY);
        assert_eq!((updates(&outcome), server.placed_since_poll), (vec![], placed));
    }
}

#[test]
fn a_meeting_that_was_placed_after_the_request_counts_as_placed() {
    let (mut server, here) = (online_server(), [meeting("m", false, NOW.plus_ms(-10))]);
    let seen = observation_with(vec![], unreadable(&["m"], true));
    let outcome = apply_poll(&mut server, context_of(&here), &seen, &POLICY);
    assert_eq!((updates(&outcome), server.placed_since_poll), (vec![], 1));
    assert_eq!(server.stats, ServerStats::default());
}

#[test]
fn a_cordoned_server_with_unreadable_meetings_is_not_disabled() {
    for (left, drained) in [
        (unreadable(&["m"], false), false),
        (unreadable(&[], true), false),
        (unreadable(&[], false), true),
    ] {
        let mut server = online_server();
        server.state = AdminState::Cordoned;
        let seen = observation_with(vec![], left);
        assert_eq!(apply_poll(&mut server, context_of(&[]), &seen, &POLICY).drained, drained);
    }
}

#[test]
fn a_pending_end_waits_while_its_meeting_may_be_there() {
    let pending_ends = [unanswered_create(-600_000)];
    let context = PollContext { pending_ends: &pending_ends, ..PollContext::default() };
    for (left, settled) in [
        (unreadable(&["m"], false), 0),
        (unreadable(&[], true), 0),
        (unreadable(&["other"], false), 1),
    ] {
        let seen = observation_with(vec![], left);
        let outcome = apply_poll(&mut online_server(), context, &seen, &POLICY);
        assert_eq!((outcome.settled_ends.len(), outcome.unwanted.len()), (settled, 0));
    }
}

#[test]
fn the_last_known_number_of_users_counts_if_there_is_none() {
    let mut server = online_server();
    let here = [known("m")];
    let unknown =
        |id: &str| ReportedMeeting { has_unknown_users: true, ..reported_meeting(id, 900_000, 0) };
    let seen = observation(Ok(vec![unknown("m"), unknown("new")]));
    let outcome = apply_poll(&mut server, context_of(&here), &seen, &POLICY);
    let load = POLICY.load.meeting_load(NOW.plus_ms(-900_000), 15, 7);
    let usage = MeetingUsage { peak_users: 7, busy_until: NOW };
    assert_eq!(
        updates(&outcome),
        [("m", MeetingUpdate::Reported(load, usage, MeetingOrigin::default()))]
    );
    assert_eq!((server.load, server.stats.users), (Some(14.0), 7));
}

#[test]
fn duplicates_stay_while_it_is_unknown_which_has_more_users() {
    let counts = |users: u32, has_unknown_users: bool, reachable: bool| {
        let here = ReportedMeeting { has_unknown_users, ..reported("here", users) };
        let pending_end = Some(unanswered_create(-9000));
        let outcome = decide(here, Some(recorded("there", 5, reachable)), pending_end);
        (outcome.adopted.len(), outcome.unwanted.len())
    };
    assert_eq!(counts(0, false, true), (0, 1));
    assert_eq!(counts(0, true, true), (0, 0));
    assert_eq!(counts(0, true, false), (1, 0), "the only one");
}

#[test]
fn what_an_unanswered_create_left_is_ended_only_if_nobody_is_known_to_be_in() {
    let left = |has_unknown_users: bool| {
        let here = ReportedMeeting { has_unknown_users, ..reported("here", 0) };
        let outcome = decide(here, None, Some(unanswered_create(-9000)));
        (outcome.adopted.len(), outcome.unwanted.len())
    };
    assert_eq!((left(false), left(true)), ((0, 1), (1, 0)));
}

#[test]
fn a_meeting_without_a_time_of_creation_began_when_it_was_placed() {
    let mut server = online_server();
    let here = [Meeting { placed_at: NOW.plus_ms(-5000), ..known("m") }];
    let timeless = ReportedMeeting { created_at: Timestamp::default(), ..our_meeting("m", 0, 2) };
    let seen = observation(Ok(vec![timeless]));
    let outcome = apply_poll(&mut server, context_of(&here), &seen, &POLICY);
    let load = POLICY.load.meeting_load(NOW.plus_ms(-5000), 15, 2);
    assert!(
        matches!(&updates(&outcome)[..], [("m", MeetingUpdate::Reported(now, ..))] if *now == load)
    );
    assert_eq!(server.load, Some(30.0), "it is new, so its expected users count");
    let outcome = apply_poll(&mut server, context_of(&[]), &seen, &POLICY);
    assert_eq!((outcome.adopted.len(), outcome.adopted[0].placed_at), (1, NOW));
}
