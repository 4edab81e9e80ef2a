//! Tests of the timetable, by examples and by properties.

use proptest::prelude::*;

use super::*;

/// A Monday, 0:00 UTC.
const MONDAY: i64 = 1_767_571_200_000;
const LONG_AGO: Timestamp = Timestamp(MONDAY - 60 * DAY_MS);

fn key(id: &str) -> MeetingKey {
    MeetingKey { tenant: None, id: id.to_owned() }
}

/// That many weeks ago, at this hour of a Monday.
fn monday(weeks: i64, hour: f64) -> Timestamp {
    Timestamp(MONDAY - weeks * WEEK_MS + (hour * HOUR_MS as f64) as i64)
}

fn session(id: &str, created_at: Timestamp, peak_users: u32, busy_minutes: i64) -> MeetingSession {
    MeetingSession { key: key(id), created_at, peak_users, busy_ms: busy_minutes * MINUTE_MS }
}

fn learn_all(sessions: impl IntoIterator<Item = MeetingSession>) -> Timetable {
    let mut timetable = Timetable::default();
    sessions.into_iter().for_each(|session| timetable.learn(session));
    timetable
}

fn expected_meetings(timetable: &Timetable, now: Timestamp) -> Vec<ExpectedMeeting> {
    let (from, to) = (now.plus_ms(-10 * MINUTE_MS), now.plus_ms(25 * MINUTE_MS));
    timetable.expected_meetings(from, to, 2)
}

#[test]
fn sizes_are_medians_and_unknown_meetings_are_like_those_with_one_session() {
    let mut timetable = learn_all([
        session("course", monday(3, 8.0), 10, 80),
        session("course", monday(2, 8.0), 90, 80),
        session("course", monday(1, 8.0), 20, 80),
        session("one", monday(1, 9.0), 4, 10),
        session("two", monday(1, 9.5), 8, 60),
    ]);
    assert_eq!(
        (timetable.usual_size(&key("course")), timetable.usual_size(&key("new"))),
        (Some(20), None)
    );
    // The two meetings with one session were of today when they were learned.
    assert_eq!((timetable.typical_size(), timetable.share_busy_beyond(0)), (None, None));
    timetable.learn(session("late", monday(1, 23.0), 4, 10));
    assert_eq!(timetable.typical_size(), Some(6.0));
    let share = |minutes| timetable.share_busy_beyond(minutes * MINUTE_MS).unwrap();
    assert!(share(0) == 1.0 && (share(30) - 0.5).abs() < 1e-9 && share(61) == 0.0);
    // A meeting with a second session is not counted any more.
    timetable.learn(session("one", monday(0, 9.0), 4, 10));
    assert_eq!(timetable.typical_size(), Some(6.0), "the mean of `two` and `late`");
}

#[test]
fn the_coming_week_counts_meetings_as_often_as_they_took_place() {
    let timetable = learn_all([
        session("course", monday(3, 9.9), 30, 110),
        session("course", monday(1, 9.9), 30, 110),
        session("daily", monday(1, 33.0), 8, 30),
        session("daily", monday(1, 57.0), 8, 30),
        session("daily", monday(2, 33.0), 8, 30),
        session("daily", monday(2, 57.0), 8, 30),
        session("once", monday(1, 80.0), 50, 30),
    ]);
    let week = timetable.expected_week(monday(0, 0.5));
    assert_eq!(week.len(), 168);
    let at = |hour: usize| week[hour];
    assert!((at(9) - 15.0).abs() < 1e-9 && (at(10) - 15.0).abs() < 1e-9, "{week:?}");
    assert!((at(33) - 4.0).abs() < 1e-9 && (at(57) - 4.0).abs() < 1e-9, "{week:?}");
    assert!(at(8) == 0.0 && at(13) == 0.0 && at(80) == 0.0 && at(100) == 0.0, "{week:?}");
    assert_eq!(Timetable::default().expected_week(Timestamp(-5)), vec![0.0; 168]);
}

#[test]
fn meetings_in_two_of_four_weeks_are_expected() {
    let timetable = learn_all([
        session("course", monday(3, 9.9), 30, 90),
        session("course", monday(1, 9.95), 40, 94),
        session("once", monday(1, 9.9), 30, 90),
        session("long ago", monday(9, 9.9), 30, 90),
        session("long ago", monday(8, 9.9), 30, 90),
    ]);
    let expected = expected_meetings(&timetable, monday(0, 9.75));
    let [meeting] = &expected[..] else { panic!("{expected:?}") };
    assert_eq!((meeting.key.id.as_str(), meeting.weeks, meeting.size), ("course", 2, 35));
    assert_eq!(meeting.starts_at, monday(0, 9.925));
    for (hour, count) in [(9.4, 0), (9.55, 1), (10.05, 1), (10.15, 0), (33.75, 0)] {
        assert_eq!(expected_meetings(&timetable, monday(0, hour)).len(), count, "{hour}");
    }
}

#[test]
fn todays_meetings_are_not_expected_again_but_other_appointments_are() {
    let mut timetable = Timetable::default();
    for week in 1..=4 {
        timetable.learn(session("room", monday(week, 8.0), 30, 90));
        timetable.learn(session("room", monday(week, 14.0), 30, 90));
    }
    assert_eq!(expected_meetings(&timetable, monday(0, 8.0)).len(), 1);
    timetable.learn(session("room", monday(0, 7.9), 30, 5));
    assert_eq!(expected_meetings(&timetable, monday(0, 8.0)), []);
    assert_eq!(expected_meetings(&timetable, monday(0, 13.9)).len(), 1);
}

#[test]
fn expected_meetings_are_found_across_the_end_of_the_week() {
    // The week begins on Sunday at 3:00.
    let sunday = |weeks: i64, minutes: i64| {
        Timestamp(MONDAY - DAY_MS + 3 * HOUR_MS + minutes * MINUTE_MS - weeks * WEEK_MS)
    };
    let timetable = learn_all((1..=3).map(|week| session("early", sunday(week, 5), 9, 60)));
    assert_eq!(expected_meetings(&timetable, sunday(0, -10)).len(), 1);
    assert_eq!(expected_meetings(&timetable, sunday(0, 10)).len(), 1);
}

#[test]
fn expected_ends_follow_sessions_at_the_same_time_of_the_week() {
    let timetable = learn_all([
        session("room", monday(2, 8.0), 30, 90),
        session("room", monday(1, 8.1), 30, 84),
        session("room", monday(1, 14.0), 30, 30),
    ]);
    assert_eq!(timetable.expected_end(&key("room"), monday(0, 8.2)), Some(monday(0, 9.5)));
    assert_eq!(timetable.expected_end(&key("room"), monday(0, 20.0)), Some(monday(0, 21.4)));
    assert_eq!(timetable.expected_end(&key("other"), monday(0, 20.0)), None);
}

#[test]
fn the_start_offset_follows_the_creates() {
    let offset = |hour: f64| {
        let sessions = (0..200).map(move |n| session(&n.to_string(), monday(1, hour), 5, 5));
        learn_all(sessions).start_offset_ms()
    };
    assert_eq!((offset(7.9), offset(8.2), offset(8.3)), (0, 15 * MINUTE_MS, 30 * MINUTE_MS));
    assert_eq!(Timetable::default().start_offset_ms(), 0);
}

#[test]
fn numbers_are_limited_and_the_oldest_are_removed() {
    let mut timetable = Timetable::new(TimetableLimits {
        max_sessions: 3,
        max_meetings: 32,
        ..TimetableLimits::default()
    });
    for number in 0..100 {
        timetable.learn(session(&number.to_string(), LONG_AGO.plus_ms(number * HOUR_MS), 5, 5));
        timetable.learn(session("daily", LONG_AGO.plus_ms(number * HOUR_MS), 5, 5));
    }
    assert!(timetable.len() <= 32, "{}", timetable.len());
    assert_eq!(timetable.session_count(&key("daily")), 3);
    assert_eq!((timetable.session_count(&key("99")), timetable.session_count(&key("1"))), (1, 0));
    timetable.forget_before(LONG_AGO.plus_ms(99 * HOUR_MS));
    assert_eq!((timetable.len(), timetable.session_count(&key("daily"))), (2, 1));
    timetable.forget_before(monday(0, 0.0));
    assert!(timetable.is_empty() && timetable.slots.is_empty() && timetable.uncounted.is_empty());
    assert_eq!((timetable.quarter_counts, timetable.typical_size()), ([0; 4], None));
}

fn any_sessions() -> impl Strategy<Value = Vec<MeetingSession>> {
    let any_session = (0..6u32, 0..60i64, 0..24i64, 0..60i64, 1..300u32, 0..200i64);
    let any_session = any_session.prop_map(|(id, day, hour, minute, peak, busy)| {
        let created_at = MONDAY - day * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS;
        session(&id.to_string(), Timestamp(created_at), peak, busy)
    });
    // Sessions of one meeting that began at the same time are the same session.
    let identity = |session: &MeetingSession| (session.key.clone(), session.created_at);
    proptest::collection::vec(any_session, 0..60).prop_map(move |mut sessions| {
        sessions.sort_by_key(identity);
        sessions.dedup_by_key(|session| identity(session));
        sessions
    })
}

proptest! {
    #[test]
    fn the_order_of_learning_does_not_matter(sessions in any_sessions(), now in 0..7 * DAY_MS) {
        let now = Timestamp(MONDAY + now);
        let in_order = learn_all(sessions.clone());
        let reversed = learn_all(sessions.iter().rev().cloned().chain(sessions.clone()));
        prop_assert_eq!(expected_meetings(&in_order, now), expected_meetings(&reversed, now));
        prop_assert_eq!(in_order.typical_size(), reversed.typical_size());
        prop_assert_eq!(in_order.start_offset_ms(), reversed.start_offset_ms());
        for id in 0..6 {
            let key = key(&id.to_string());
            prop_assert_eq!(in_order.usual_size(&key), reversed.usual_size(&key));
            prop_assert_eq!(in_order.expected_end(&key, now), reversed.expected_end(&key, now));
        }
    }

    #[test]
    fn expected_meetings_lie_in_the_window(sessions in any_sessions(), now in 0..7 * DAY_MS) {
        let now = Timestamp(MONDAY + now);
        for meeting in expected_meetings(&learn_all(sessions), now) {
            let ahead = meeting.starts_at.ms_since(now);
            prop_assert!((-10 * MINUTE_MS..=25 * MINUTE_MS).contains(&ahead));
            prop_assert!(meeting.weeks >= 2 && meeting.size > 0);
            prop_assert!(meeting.ends_at >= meeting.starts_at.plus_ms(-HOUR_MS));
        }
    }

    #[test]
    fn forgotten_sessions_have_no_effect(sessions in any_sessions(), oldest in 0..60i64) {
        let oldest = Timestamp(MONDAY - oldest * DAY_MS);
        let mut reduced = learn_all(sessions.clone());
        reduced.forget_before(oldest);
        let remaining = sessions.into_iter().filter(|session| session.created_at >= oldest);
        let learned = learn_all(remaining);
        prop_assert_eq!(reduced.quarter_counts, learned.quarter_counts);
        for id in 0..6 {
            let key = key(&id.to_string());
            // The number of kept sessions is limited, so both have the same latest sessions.
            prop_assert_eq!(reduced.usual_size(&key), learned.usual_size(&key));
        }
    }
}

#[test]
fn many_meetings_of_one_minute_are_learned_fast_and_few_of_them_expected() {
    let sessions: Vec<MeetingSession> = (0..4)
        .flat_map(|week| {
            (0..20_000).map(move |n| MeetingSession {
                key: MeetingKey { tenant: None, id: format!("{n}") },
                created_at: Timestamp(week * WEEK_MS),
                peak_users: 9,
                busy_ms: HOUR_MS,
            })
        })
        .collect();
    let timetable = Timetable::learned_from(sessions.into_iter().rev().collect());
    let next = Timestamp(4 * WEEK_MS);
    let expected = timetable.expected_meetings(next.plus_ms(-60_000), next.plus_ms(60_000), 1);
    assert_eq!(expected.len(), TimetableLimits::default().max_meetings_per_minute);
    assert_eq!(timetable.len(), 20_000);
}
