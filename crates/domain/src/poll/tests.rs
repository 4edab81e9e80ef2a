//! Tests of the evaluation of polls, by examples and by properties.

pub(super) mod copies;

use proptest::prelude::*;

use super::*;
use crate::meeting::Claim;
use crate::server::ServerId;

pub(super) const POLICY: PollPolicy = PollPolicy {
    thresholds: Thresholds { healthy: 1, unhealthy: 2 },
    load: LoadPolicy { min_user_count: 15, join_buffer_ms: 900_000 },
    grace_ms: 1000,
    max_adoptions: 1_000,
};
pub(super) const NOW: Timestamp = Timestamp(10_000_000);

fn server() -> Server {
    let mut server = Server::new(ServerId("a".to_owned()), String::new(), String::new());
    server.state = AdminState::Enabled;
    server.load_multiplier = 2.0;
    server
}

pub(super) fn meeting(id: &str, claim: bool, placed_at: Timestamp) -> Meeting {
    Meeting {
        key: MeetingKey { tenant: None, id: id.to_owned() },
        server: ServerId("a".to_owned()),
        moderator_pw: None,
        voice_bridge: None,
        claim: claim.then(|| Claim { token: "t".to_owned(), until: placed_at.plus_ms(20_000) }),
        placed_at,
        seen_at: placed_at,
        load: POLICY.load.meeting_load(placed_at, 15, 0),
        ..Meeting::default()
    }
}

pub(super) fn reported_meeting(id: &str, age_ms: i64, users: u32) -> ReportedMeeting {
    let created_at = NOW.plus_ms(-age_ms);
    ReportedMeeting {
        id: id.to_owned(),
        created_at,
        users,
        videos: 1,
        ..ReportedMeeting::default()
    }
}

/// A context that has only meetings recorded on the server.
pub(super) fn context_of(here: &[Meeting]) -> PollContext<'_> {
    PollContext { recorded_here: here, ..PollContext::default() }
}

pub(super) fn observation(result: Result<Vec<ReportedMeeting>, String>) -> PollObservation {
    let unreadable = UnreadableMeetings::default();
    let known_answer = Timestamp::default();
    PollObservation {
        started_at: NOW.plus_ms(-50),
        finished_at: NOW,
        known_answer,
        result,
        unreadable,
    }
}

#[test]
fn a_claim_of_a_tenant_is_not_ended_by_a_meeting_that_was_there_before() {
    let placed_at = NOW.plus_ms(-10_000);
    let mut claimed = meeting("m", true, placed_at);
    claimed.key.tenant = Some("t-1".to_owned());
    let update = |age_ms: i64, tenant: Option<&str>| {
        let reported = ReportedMeeting {
            tenant: tenant.map(str::to_owned),
            ..reported_meeting("m", age_ms, 3)
        };
        let (here, mut server) = ([claimed.clone()], server());
        let observation = observation(Ok(vec![reported]));
        let outcome = apply_poll(&mut server, context_of(&here), &observation, &POLICY);
        outcome.meeting_updates.into_iter().next().map(|(_, update)| update)
    };
    assert_eq!(update(60_000, None), None, "the create decides");
    assert!(matches!(update(5_000, None), Some(MeetingUpdate::Reported(..))));
    assert!(matches!(update(60_000, Some("t-1")), Some(MeetingUpdate::Reported(..))));
}

#[test]
fn a_meeting_that_another_one_has_replaced_is_over() {
    let identity = |id: &str, age_ms: i64| {
        MeetingIdentity::from_parts(Some(id.to_owned()), NOW.plus_ms(-age_ms))
    };
    let mut record = meeting("m", false, NOW.plus_ms(-90_000));
    record.key.tenant = Some("t-1".to_owned());
    record.origin = MeetingOrigin::proven(identity("i", 90_000));
    let update = |record: &Meeting, found: &[(&str, i64, Option<&str>)]| {
        let reported = |(id, age_ms, tenant): &(&str, i64, Option<&str>)| ReportedMeeting {
            internal_id: Some((*id).to_owned()),
            tenant: tenant.map(str::to_owned),
            ..reported_meeting("m", *age_ms, 3)
        };
        let observation = observation(Ok(found.iter().map(reported).collect()));
        let (here, mut server) = ([record.clone()], server());
        let outcome = apply_poll(&mut server, context_of(&here), &observation, &POLICY);
        assert_eq!(outcome.adopted, [], "its record is in the way");
        outcome.meeting_updates.into_iter().next().map(|(_, update)| update)
    };
    for tenant in [None, Some("t-2")] {
        let replaced = update(&record, &[("j", 60_000, tenant)]);
        assert_eq!(replaced, Some(MeetingUpdate::Forgotten), "{tenant:?}");
    }
    let is_reported = |found: &[(&str, i64, Option<&str>)]| {
        matches!(update(&record, found), Some(MeetingUpdate::Reported(..)))
    };
    assert!(is_reported(&[("j", 60_000, Some("t-1"))]), "it was started anew");
    assert!(is_reported(&[("i", 90_000, None)]));
    assert!(is_reported(&[("<i", 90_000, None)]), "its identity is odd for now");
    assert!(is_reported(&[("j", 120_000, None)]), "that one was there before");
    assert!(is_reported(&[("j", 60_000, None), ("i", 90_000, Some("t-1"))]));
    let seen = Meeting { seen_at: NOW, ..record.clone() };
    assert_eq!(update(&seen, &[("j", 60_000, None)]), None, "it was confirmed meanwhile");
    let unknown = Meeting { origin: MeetingOrigin::default(), ..record.clone() };
    let found = update(&unknown, &[("j", 60_000, None)]);
    assert!(matches!(found, Some(MeetingUpdate::Reported(..))));
}

#[test]
fn load_and_statistics_follow_from_the_meetings() {
    let mut server = server();
    let mut breakout = reported_meeting("b", 1000, 4);
    breakout.is_breakout = true;
    let list = vec![
        reported_meeting("old", 3_600_000, 20),
        reported_meeting("young", 60_000, 2),
        breakout,
    ];
    let outcome = apply_poll(&mut server, context_of(&[]), &observation(Ok(list)), &POLICY);
    assert_eq!(outcome.change, Some(HealthChange::WentOnline));
    assert_eq!(server.load, Some(70.0));
    let stats = ServerStats { meetings: 3, users: 26, largest_meeting: 20, videos: 3 };
    assert_eq!(server.stats, stats);
}

#[test]
fn meetings_are_reported_kept_missed_or_forgotten() {
    let mut server = server();
    let recorded = [
        meeting("there", false, NOW.plus_ms(-5000)),
        meeting("gone", false, NOW.plus_ms(-5000)),
        Meeting { missed_polls: 1, ..meeting("gone-twice", false, NOW.plus_ms(-5000)) },
        Meeting { missed_polls: 1, ..meeting("gone-but-young", false, NOW.plus_ms(-800)) },
        meeting("placed-meanwhile", false, NOW.plus_ms(-10)),
        meeting("being-created", true, NOW.plus_ms(-5000)),
        meeting("never-answered", true, NOW.plus_ms(-30_000)),
    ];
    let list = vec![reported_meeting("there", 4900, 3)];
    let outcome = apply_poll(&mut server, context_of(&recorded), &observation(Ok(list)), &POLICY);
    let updates: Vec<_> = outcome
        .meeting_updates
        .iter()
        .map(|(key, update)| (key.id.as_str(), update.clone()))
        .collect();
    let load = POLICY.load.meeting_load(NOW.plus_ms(-4900), 15, 3);
    let usage = MeetingUsage { peak_users: 3, busy_until: NOW };
    assert_eq!(
        updates,
        [
            ("there", MeetingUpdate::Reported(load, usage, MeetingOrigin::default())),
            ("gone", MeetingUpdate::Missed(1)),
            ("gone-twice", MeetingUpdate::Forgotten),
            ("gone-but-young", MeetingUpdate::Missed(2)),
            ("never-answered", MeetingUpdate::Forgotten)
        ]
    );
    assert_eq!(server.load, Some(90.0), "three meetings of 15 users, times 2");
    assert_eq!(server.placed_since_poll, 2);
}

/// A reported meeting that the balancer created.
pub(super) fn our_meeting(id: &str, age_ms: i64, users: u32) -> ReportedMeeting {
    ReportedMeeting { ownership: OwnershipHint::Ours, ..reported_meeting(id, age_ms, users) }
}

pub(super) fn online_server() -> Server {
    let mut server = server();
    server.health.online = true;
    server
}

#[test]
fn unwanted_meetings_are_ended_until_they_are_gone() {
    let pending_end = |since: i64| PendingEnd {
        server: ServerId("a".to_owned()),
        key: MeetingKey { tenant: None, id: "m".to_owned() },
        internal_id: None,
        moderator_pw: Some("pw".to_owned()),
        since: NOW.plus_ms(since),
        create_sent_at: Timestamp::default(),
    };
    let counts = |list: Vec<ReportedMeeting>, here: &[Meeting], since: i64| {
        let pending_ends = [pending_end(since)];
        let context = PollContext {
            recorded_here: here,
            pending_ends: &pending_ends,
            ..PollContext::default()
        };
        let outcome = apply_poll(&mut online_server(), context, &observation(Ok(list)), &POLICY);
        (outcome.unwanted.len(), outcome.settled_ends.len(), outcome.adopted.len())
    };
    assert_eq!(counts(vec![our_meeting("m", 9000, 3)], &[], -5), (1, 0, 0));
    assert_eq!(counts(vec![reported_meeting("m", 900_000, 3)], &[], -500_000), (1, 0, 0));
    assert_eq!(counts(vec![], &[], -5), (0, 0, 0), "its create may still be in progress");
    assert_eq!(counts(vec![], &[], -500_000), (0, 1, 0));
    let recorded = [meeting("m", false, NOW.plus_ms(-5000))];
    assert_eq!(counts(vec![our_meeting("m", 9, 3)], &recorded, -5), (0, 1, 0), "placed here again");
}

#[test]
fn a_meeting_is_not_adopted_while_its_id_is_recorded_for_another_tenant() {
    let here = [meeting("m", false, NOW.plus_ms(-9000))];
    let theirs = ReportedMeeting { tenant: Some("t".to_owned()), ..our_meeting("m", 9000, 2) };
    let outcome = apply_poll(
        &mut online_server(),
        context_of(&here),
        &observation(Ok(vec![theirs])),
        &POLICY,
    );
    assert_eq!((outcome.adopted, outcome.unwanted), (vec![], vec![]));
}

#[test]
fn meetings_of_an_offline_server_are_detached_and_attached_again() {
    let mut server = online_server();
    server.health.unhealthy_count = 1;
    let recorded = [
        meeting("m", false, NOW.plus_ms(-5000)),
        Meeting { detached: true, ..meeting("n", false, NOW.plus_ms(-5000)) },
    ];
    let outcome =
        apply_poll(&mut server, context_of(&recorded), &observation(Err("x".to_owned())), &POLICY);
    assert_eq!(outcome.meeting_updates, [(recorded[0].key.clone(), MeetingUpdate::Detached)]);
    let list = vec![reported_meeting("m", 5000, 2), reported_meeting("n", 5000, 2)];
    let outcome = apply_poll(&mut server, context_of(&recorded), &observation(Ok(list)), &POLICY);
    assert!(
        outcome
            .meeting_updates
            .iter()
            .all(|(_, update)| matches!(update, MeetingUpdate::Reported(..)))
    );
    assert_eq!(outcome.meeting_updates.len(), 2);
}

#[test]
fn the_first_failure_changes_nothing_and_the_second_takes_the_server_offline() {
    let mut server = server();
    let recorded = [meeting("m", false, NOW.plus_ms(-5000))];
    let _ = apply_poll(
        &mut server,
        context_of(&recorded),
        &observation(Ok(vec![reported_meeting("m", 5000, 3)])),
        &POLICY,
    );
    let late = observation(Err("timeout".to_owned()));
    assert_eq!(
        apply_poll(&mut server, context_of(&recorded), &late, &POLICY),
        PollOutcome::default()
    );
    assert_eq!(server.health.last_failure, None, "it has answered a later request");
    let down = PollObservation { started_at: NOW, ..late };
    assert_eq!(
        apply_poll(&mut server, context_of(&recorded), &down, &POLICY),
        PollOutcome::default()
    );
    assert_eq!((server.load, server.stats.users), (Some(30.0), 3));
    let outcome = apply_poll(&mut server, context_of(&recorded), &down, &POLICY);
    assert_eq!(outcome.change, Some(HealthChange::WentOffline));
    assert_eq!(outcome.meeting_updates, [(recorded[0].key.clone(), MeetingUpdate::Detached)]);
    assert_eq!((server.load, server.stats), (None, ServerStats::default()));
}

#[test]
fn cordoned_servers_are_disabled_when_they_have_no_meetings() {
    let mut server = server();
    server.state = AdminState::Cordoned;
    let empty_meeting = observation(Ok(vec![reported_meeting("m", 3_600_000, 0)]));
    assert!(!apply_poll(&mut server, context_of(&[]), &empty_meeting, &POLICY).drained);
    assert_eq!((server.state, server.load), (AdminState::Cordoned, Some(0.0)));
    assert!(apply_poll(&mut server, context_of(&[]), &observation(Ok(vec![])), &POLICY).drained);
    assert_eq!((server.state, server.load), (AdminState::Disabled, None));
}

proptest! {
    #[test]
    fn load_is_never_negative_and_absent_only_while_the_server_is_unusable(
        polls in proptest::collection::vec(proptest::option::of(proptest::collection::vec(0u32..300, 0..5)), 1..20),
        state in 0..3usize,
    ) {
        let mut server = server();
        server.set_state([AdminState::Enabled, AdminState::Cordoned, AdminState::Disabled][state]);
        for poll in polls {
            let result = poll
                .map(|users| users.into_iter().enumerate().map(|(n, users)| reported_meeting(&n.to_string(), i64::from(users) * 9000, users)).collect())
                .ok_or_else(|| "down".to_owned());
            let _ = apply_poll(&mut server, context_of(&[]), &observation(result), &POLICY);
            let usable = server.is_online() && server.state != AdminState::Disabled;
            prop_assert_eq!(server.load.is_some(), usable);
            prop_assert!(server.load.is_none_or(|load| load >= 0.0));
        }
    }
}
