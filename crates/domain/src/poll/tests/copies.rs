//! Tests of decisions about meetings that are reported on one server and recorded elsewhere or
//! nowhere: adopted, moved, ended, or left alone.

use proptest::prelude::*;

use super::*;

/// When the meetings of these tests were created, before [`NOW`].
const AGE_MS: i64 = 9_000;

/// A meeting `m` that the server a reports with this internal id.
pub(in crate::poll) fn reported(internal_id: &str, users: u32) -> ReportedMeeting {
    ReportedMeeting { internal_id: Some(internal_id.to_owned()), ..our_meeting("m", AGE_MS, users) }
}

/// A meeting `m` that is recorded on the server b, made there by this deployment.
pub(in crate::poll) fn recorded(
    internal_id: &str,
    users: u32,
    reachable: bool,
) -> RecordedElsewhere {
    let mut meeting = meeting("m", false, NOW.plus_ms(-AGE_MS));
    meeting.server = ServerId("b".to_owned());
    meeting.moderator_pw = Some("pw".to_owned());
    meeting.load.users = users;
    let created_at = NOW.plus_ms(-AGE_MS);
    let identity = MeetingIdentity { internal_id: internal_id.to_owned(), created_at };
    meeting.origin = MeetingOrigin::proven(Some(identity));
    RecordedElsewhere { meeting, reachable, is_in_full_use: reachable, has_same_secret: false }
}

/// The same, on an entry with the secret of the polled server.
fn recorded_under_same_secret(internal_id: &str, users: u32, reachable: bool) -> RecordedElsewhere {
    RecordedElsewhere { has_same_secret: true, ..recorded(internal_id, users, reachable) }
}

/// The proof that the reported meeting was made by a create of this deployment.
pub(in crate::poll) fn unanswered_create(ms: i64) -> PendingEnd {
    PendingEnd {
        server: ServerId("a".to_owned()),
        key: MeetingKey { tenant: None, id: "m".to_owned() },
        internal_id: None,
        moderator_pw: Some("ours".to_owned()),
        since: NOW.plus_ms(ms + 2000),
        create_sent_at: NOW.plus_ms(ms),
    }
}

fn proof() -> Option<PendingEnd> {
    Some(unanswered_create(-AGE_MS))
}

pub(in crate::poll) fn decide(
    reported: ReportedMeeting,
    recorded: Option<RecordedElsewhere>,
    pending_end: Option<PendingEnd>,
) -> PollOutcome {
    let elsewhere: Vec<RecordedElsewhere> = recorded.into_iter().collect();
    let pending_ends: Vec<PendingEnd> = pending_end.into_iter().collect();
    let context = PollContext {
        recorded_elsewhere: &elsewhere,
        pending_ends: &pending_ends,
        ..PollContext::default()
    };
    apply_poll(&mut online_server(), context, &observation(Ok(vec![reported])), &POLICY)
}

/// Number of records that come to the server, servers on which the meeting is ended, and number of
/// meetings that are left alone.
fn decisions(outcome: &PollOutcome) -> (usize, Vec<&str>, usize) {
    let ended = outcome.unwanted.iter().map(|unwanted| unwanted.server.0.as_str());
    (outcome.adopted.len(), ended.collect(), outcome.foreign)
}

#[test]
fn a_meeting_that_is_recorded_nowhere_is_adopted_without_proof() {
    let told = ReportedMeeting { voice_bridge: Some("1".to_owned()), ..reported("i", 4) };
    let outcome = decide(told.clone(), None, None);
    let [adopted] = &outcome.adopted[..] else { panic!("{outcome:?}") };
    assert_eq!((adopted.key.id.as_str(), adopted.server.0.as_str()), ("m", "a"));
    assert_eq!(adopted.voice_bridge.as_deref(), Some("1"));
    assert_eq!((adopted.placed_at, adopted.load.users), (NOW.plus_ms(-AGE_MS), 4));
    assert_eq!(adopted.origin, MeetingOrigin::adopted(told.identity()));
    let foreign = ReportedMeeting { ownership: OwnershipHint::NotOurs, ..told.clone() };
    assert_eq!(decisions(&decide(foreign, None, None)), (0, vec![], 1));
    let breakout = ReportedMeeting { is_breakout: true, ..told };
    assert_eq!(decisions(&decide(breakout, None, None)), (0, vec![], 0));
    let mut disabled = online_server();
    disabled.state = AdminState::Disabled;
    let list = observation(Ok(vec![reported("i", 4)]));
    assert_eq!(apply_poll(&mut disabled, PollContext::default(), &list, &POLICY).adopted, []);
}

#[test]
fn a_meeting_that_is_ours_by_proof_is_recorded_if_it_has_no_record() {
    let told = ReportedMeeting { ownership: OwnershipHint::NotOurs, ..reported("i", 1) };
    let outcome = decide(told.clone(), None, proof());
    assert_eq!(decisions(&outcome), (1, vec![], 0), "there is no other copy");
    assert_eq!(outcome.adopted[0].origin, MeetingOrigin::proven(told.identity()));
    assert_eq!(outcome.adopted[0].moderator_pw.as_deref(), Some("ours"));
    let empty = ReportedMeeting { users: 0, ..told };
    let outcome = decide(empty.clone(), None, proof());
    assert_eq!(decisions(&outcome), (0, vec!["a"], 0));
    assert_eq!(outcome.unwanted[0].internal_id, empty.internal_id, "this one only");
    let exact = PendingEnd { internal_id: empty.internal_id.clone(), ..unanswered_create(-1) };
    let outcome = decide(empty, None, Some(exact));
    assert_eq!(decisions(&outcome), (1, vec![], 0), "it was recorded once");
}

#[test]
fn the_recorded_copy_stays_while_users_are_in_it() {
    for (here, there, reachable, expected) in [
        (9, 2, true, (0, vec![], 0)),
        (99_999, 1, true, (0, vec![], 0)),
        (9, 0, true, (1, vec!["b"], 0)),
        (2, 9, true, (0, vec!["a"], 0)),
        (2, 2, true, (0, vec!["a"], 0)),
        (1, 9, false, (1, vec![], 0)),
    ] {
        let outcome = decide(reported("i", here), Some(recorded("j", there, reachable)), proof());
        assert_eq!(decisions(&outcome), expected, "{here} {there} {reachable}");
        let is_contested = reachable && there > 0 && here > there;
        assert_eq!(outcome.contested.len(), usize::from(is_contested));
        // The copy that loses its record may run on, or come back.
        assert_eq!(outcome.new_ends.len(), expected.0);
        for end in &outcome.new_ends {
            assert_eq!((end.server.0.as_str(), end.internal_id.as_deref()), ("b", Some("j")));
        }
    }
}

#[test]
fn young_copies_with_users_are_left_alone() {
    let fresh = || {
        let mut recorded = recorded("j", 2, true);
        recorded.meeting.placed_at = NOW.plus_ms(-900);
        Some(recorded)
    };
    assert_eq!(decisions(&decide(reported("i", 5), fresh(), proof())), (0, vec![], 0));
    assert_eq!(decisions(&decide(reported("i", 1), fresh(), proof())), (0, vec![], 0));
    assert_eq!(decisions(&decide(reported("i", 0), fresh(), proof())), (0, vec!["a"], 0));
}

#[test]
fn what_is_not_proven_is_neither_ended_nor_taken() {
    for (here, there, reachable) in [(9, 2, true), (2, 9, true), (1, 9, false)] {
        let record = Some(recorded("j", there, reachable));
        assert_eq!(decisions(&decide(reported("i", here), record, None)), (0, vec![], 1));
    }
    let mut adopted = recorded("j", 2, true);
    adopted.meeting.origin.is_proven = false;
    let fuller = decide(reported("i", 9), Some(adopted.clone()), proof());
    assert_eq!(fuller.contested, []);
    assert_eq!(decisions(&fuller), (0, vec![], 0), "the recorded one is not proven");
    let emptier = decide(reported("i", 1), Some(adopted), proof());
    assert_eq!(decisions(&emptier), (0, vec!["a"], 0), "the reported one is");
    let mut unknown = recorded("j", 2, true);
    unknown.meeting.origin = MeetingOrigin::proven(None);
    assert_eq!(
        decisions(&decide(reported("i", 0), Some(unknown), proof())),
        (0, vec![], 0),
        "it may be the same one"
    );
}

#[test]
fn a_pending_end_applies_only_to_the_meeting_of_its_create() {
    let told = |age_ms: i64| our_meeting("m", age_ms, 5);
    let is_proven = |age_ms| {
        let outcome = decide(told(age_ms), None, Some(unanswered_create(-60_000)));
        outcome.adopted[0].origin.is_proven
    };
    assert!(is_proven(59_000));
    assert!(is_proven(64_000), "clocks differ");
    assert!(!is_proven(90_000), "an older one");
    assert!(!is_proven(9_000), "a newer one");
    let exact = |id: &str| {
        let internal_id = Some(id.to_owned());
        Some(PendingEnd { internal_id, ..unanswered_create(-900_000) })
    };
    let record = || Some(recorded("j", 9, true));
    assert_eq!(decisions(&decide(reported("i", 0), record(), exact("i"))), (0, vec!["a"], 0));
    assert_eq!(decisions(&decide(reported("i", 0), record(), exact("x"))), (0, vec![], 1));
    assert_eq!(decide(reported("i", 0), record(), exact("x")).settled_ends.len(), 1, "it is over");
}

#[test]
fn what_somebody_ended_is_ended() {
    let requested =
        PendingEnd { create_sent_at: Timestamp::default(), ..unanswered_create(-60_000) };
    for recorded in [None, Some(recorded("j", 9, false)), Some(recorded("j", 9, true))] {
        for users in [5, 0] {
            let told = ReportedMeeting {
                internal_id: Some("i".to_owned()),
                ..our_meeting("m", 90_000, users)
            };
            let outcome = decide(told, recorded.clone(), Some(requested.clone()));
            assert_eq!(decisions(&outcome), (0, vec!["a"], 0));
            assert_eq!(outcome.unwanted[0].internal_id, None, "whatever is there");
        }
    }
}

#[test]
fn meetings_being_created_are_left_alone() {
    let claimed = |ms: i64| {
        let mut recorded = recorded("j", 15, true);
        recorded.meeting.claim = Some(Claim { token: "t".to_owned(), until: NOW.plus_ms(ms) });
        recorded.meeting.origin = MeetingOrigin::default();
        Some(recorded)
    };
    assert_eq!(decisions(&decide(reported("i", 0), claimed(5000), proof())), (0, vec![], 0));
    let expired = decide(reported("i", 0), claimed(-500), proof());
    assert_eq!(decisions(&expired), (1, vec![], 0), "the claim ran out");
    let end = &expired.new_ends[0];
    assert_eq!((&end.internal_id, end.create_sent_at), (&None, NOW.plus_ms(-AGE_MS)));
    assert_eq!(decisions(&decide(reported("i", 0), claimed(-500), None)), (0, vec![], 1));
}

#[test]
fn a_record_that_the_last_poll_missed_is_no_copy() {
    let mut missed = recorded("j", 9, true);
    missed.meeting.missed_polls = 1;
    assert_eq!(decisions(&decide(reported("i", 2), Some(missed), proof())), (1, vec![], 0));
}

#[test]
fn the_same_meeting_under_another_entry_is_no_copy() {
    for pending_end in [None, proof()] {
        let outcome = decide(
            reported("i", 20),
            Some(recorded_under_same_secret("i", 20, true)),
            pending_end.clone(),
        );
        assert_eq!(decisions(&outcome), (0, vec![], 0));
        assert_eq!(outcome.twins, [ServerId("b".to_owned())]);
        let mut cordoned = recorded_under_same_secret("i", 20, true);
        cordoned.is_in_full_use = false;
        for gone in [cordoned, recorded_under_same_secret("i", 20, false)] {
            let outcome = decide(reported("i", 20), Some(gone.clone()), pending_end.clone());
            assert_eq!(decisions(&outcome), (1, vec![], 0), "the record moves");
            assert_eq!(outcome.adopted[0].origin, gone.meeting.origin);
            assert_eq!(outcome.new_ends, []);
        }
    }
    let mut polled = online_server();
    polled.state = AdminState::Cordoned;
    let elsewhere = [recorded_under_same_secret("i", 20, false)];
    let context = PollContext { recorded_elsewhere: &elsewhere, ..PollContext::default() };
    let list = observation(Ok(vec![reported("i", 20)]));
    let outcome = apply_poll(&mut polled, context, &list, &POLICY);
    assert_eq!((outcome.adopted, polled.twin_of), (vec![], Some(ServerId("b".to_owned()))));
}

#[test]
fn a_server_that_claims_the_meeting_of_another_one_gets_nothing() {
    for pending_end in [None, proof()] {
        let mut cordoned = recorded("i", 2, true);
        cordoned.is_in_full_use = false;
        for record in [recorded("i", 2, true), cordoned] {
            let outcome = decide(reported("i", 99), Some(record), pending_end.clone());
            assert_eq!(decisions(&outcome), (0, vec![], 1));
            assert_eq!(outcome.twins, []);
        }
    }
    // Its server is offline, and the claim is right to the millisecond.
    let mut detached = recorded("i", 2, false);
    detached.meeting.detached = true;
    let outcome = decide(reported("i", 2), Some(detached.clone()), None);
    assert_eq!(decisions(&outcome), (1, vec![], 0));
    assert_eq!(outcome.twins, []);
    // Should its server come back with the meeting, that is known to be ours.
    let [end] = &outcome.new_ends[..] else { panic!("{outcome:?}") };
    assert_eq!((end.server.0.as_str(), end.internal_id.as_deref()), ("b", Some("i")));
    let guessed = ReportedMeeting { created_at: NOW.plus_ms(-AGE_MS - 1), ..reported("i", 2) };
    assert_eq!(decisions(&decide(guessed, Some(detached), None)), (0, vec![], 1));
}

#[test]
fn a_poll_adopts_no_more_meetings_than_it_may() {
    let list: Vec<_> = (0..9)
        .map(|n| ReportedMeeting { id: format!("m{n}"), ..reported(&format!("i{n}"), 1) })
        .collect();
    let policy = PollPolicy { max_adoptions: 4, ..POLICY };
    let told = observation(Ok(list));
    let outcome = apply_poll(&mut online_server(), PollContext::default(), &told, &policy);
    assert_eq!((outcome.adopted.len(), outcome.refused_adoptions), (4, 5));
}

proptest! {
    /// Whatever is recorded, reported and pending: without proof, without a different copy that is
    /// alive, or with more users than that, nothing is ended unless somebody ended it.
    #[test]
    fn ends_need_proof(
        ids in (0..3usize, 0..3usize, 0..3usize),
        users in (0u32..4, 0u32..4),
        flags in proptest::array::uniform7(any::<bool>()),
        ages in (0i64..40_000, 0i64..40_000, 0i64..40_000),
    ) {
        let [reachable, is_proven, is_adopted, has_claim, has_record, has_end, is_likely_ours] = flags;
        let id = |n: usize| [None, Some("i"), Some("j")][n].map(str::to_owned);
        let mut told = our_meeting("m", ages.0, users.0);
        let hint = if is_likely_ours { OwnershipHint::Ours } else { OwnershipHint::NotOurs };
        (told.internal_id, told.ownership) = (id(ids.0), hint);
        let mut record = recorded("j", users.1, reachable);
        record.meeting.placed_at = NOW.plus_ms(-ages.1);
        let identity = MeetingIdentity::from_parts(id(ids.1), NOW.plus_ms(-ages.1));
        record.meeting.origin = MeetingOrigin { identity, is_proven, is_adopted };
        record.meeting.claim = has_claim.then(|| Claim { token: "t".to_owned(), until: NOW.plus_ms(-1) });
        let end = PendingEnd { internal_id: id(ids.2), ..unanswered_create(-ages.2) };
        let applies = has_end && end.applies_to(&told);
        let outcome = decide(told.clone(), has_record.then(|| record.clone()), has_end.then_some(end));
        for unwanted in &outcome.unwanted {
            prop_assert!(applies, "the reported one is ours by proof");
            if !has_record {
                prop_assert_eq!((users.0, ids.2), (0, 0), "nobody is or was in it");
                continue;
            }
            prop_assert!(record.is_confirmed(), "the other one is alive");
            prop_assert!(record.meeting.origin.is_other_meeting(told.identity().as_ref()));
            if unwanted.server == record.meeting.server {
                prop_assert!(record.meeting.origin.is_proven && users.1 == 0 && users.0 > 0);
                prop_assert_eq!(outcome.adopted.len(), 1);
            } else {
                prop_assert!(users.0 <= users.1);
                prop_assert_eq!(outcome.adopted.len(), 0);
            }
        }
        for adopted in &outcome.adopted {
            prop_assert!(!adopted.origin.is_proven || applies || (has_record && is_proven));
        }
    }
}
