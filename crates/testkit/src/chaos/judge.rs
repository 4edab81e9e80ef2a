//! Which failures may be, given what was done to the servers.

use super::faults::{Strike, Trouble};
use super::ledger::{Created, Home, Joined, Way};
use std::collections::HashMap;
use std::time::Duration;

/// For how long after its server is mended a join may still fail: the balancer finds out by a poll, and one that was
/// asked in the midst of the trouble may take all its patience (RESPONSE_TIMEOUT) to fail.
pub(super) const FINDS_OUT: Duration = Duration::from_secs(10);

/// Why a join could fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Excuse {
    /// Its server was in trouble then.
    Trouble,
    /// Its server had been in trouble just before.
    JustMended,
    /// Its server had been killed since the meeting was created.
    Lost,
    /// The meeting moved meanwhile, as it was created again.
    Moved,
}

/// All creates that succeeded, by meeting.
pub(super) type Homes<'a> = HashMap<&'a str, Vec<(&'a Home, Duration)>>;

/// Where each meeting was, and when its creates were answered.
pub(super) fn homes(creates: &[Created]) -> Homes<'_> {
    let mut homes = Homes::new();
    for create in creates {
        if let Ok(home) = &create.end {
            homes.entry(&create.id).or_default().push((home, create.at + create.took));
        }
    }
    homes
}

/// The excuse of a join that failed, if it has one.
pub(super) fn excuse(join: &Joined, strikes: &[Strike], homes: &Homes<'_>) -> Option<Excuse> {
    let home = join.home.as_ref()?;
    let (from, to) = (join.at, join.over);
    let led = match join.way {
        Way::Stranded(server, _) | Way::TurnedAway(server, _) => Some(server),
        _ => None,
    };
    let all = homes.get(join.id.as_str()).map_or(&[][..], Vec::as_slice);
    // Of a meeting that came to live twice the fuller one stays, which may be an earlier one.
    let settled = |server: usize| {
        led.is_none() && all.iter().any(|(one, _)| one.since <= to && one.server == Some(server))
    };
    let concerned = |strike: &&Strike| {
        home.server == Some(strike.server) || led == Some(strike.server) || settled(strike.server)
    };
    let mut near = strikes.iter().filter(concerned);
    if near.clone().any(|strike| strike.meets(from, to)) {
        return Some(Excuse::Trouble);
    }
    let was_killed = |strike: &Strike| {
        strike.trouble.loses_meetings()
            && (home.since..=to).contains(&strike.from)
            && (home.server.is_none_or(|server| server == strike.server) || settled(strike.server))
    };
    if strikes.iter().any(was_killed) {
        return Some(Excuse::Lost);
    }
    if near.any(|strike| strike.meets(from.saturating_sub(FINDS_OUT), to)) {
        return Some(Excuse::JustMended);
    }
    let moved = |(other, answered): &(&Home, Duration)| {
        other.server != home.server && other.since <= to && *answered >= from
    };
    all.iter().any(moved).then_some(Excuse::Moved)
}

/// Whether a create asked for a meeting whose server answers everything but creates. Nobody can tell
/// it from a slow one, and to create the meeting elsewhere would cut off all who are in it.
pub(super) fn is_swallowed(create: &Created, strikes: &[Strike], homes: &Homes<'_>) -> bool {
    let all = homes.get(create.id.as_str()).map_or(&[][..], Vec::as_slice);
    let before = all.iter().filter(|(home, _)| home.since < create.at);
    let Some(server) = before.max_by_key(|(home, _)| home.since).and_then(|(home, _)| home.server)
    else {
        return false;
    };
    let swallows = |strike: &Strike| {
        strike.trouble == Trouble::Swallow
            && strike.server == server
            && strike.meets(create.at, create.at + create.took)
    };
    strikes.iter().any(swallows)
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Why;
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn join(at: Duration, way: Way) -> Joined {
        let home = Home { server: Some(1), since: S };
        Joined {
            id: "a".to_owned(),
            at,
            took: S,
            over: at + S,
            after_create: false,
            home: Some(home),
            way,
        }
    }

    fn strike(server: usize, trouble: Trouble, from: Duration, to: Duration) -> Strike {
        Strike { server, trouble, from, to }
    }

    #[test]
    fn only_what_happened_to_its_servers_excuses_a_join() {
        let none = Homes::new();
        let refused = |at| join(at, Way::Refused(String::new()));
        let hung = [strike(1, Trouble::Hang, 10 * S, 12 * S)];
        assert_eq!(excuse(&refused(11 * S), &hung, &none), Some(Excuse::Trouble));
        assert_eq!(excuse(&refused(14 * S), &hung, &none), Some(Excuse::JustMended));
        assert_eq!(excuse(&refused(23 * S), &hung, &none), None);
        assert_eq!(excuse(&refused(8 * S), &hung, &none), None);
        let other = [strike(2, Trouble::Hang, 10 * S, 12 * S)];
        assert_eq!(excuse(&refused(11 * S), &other, &none), None);
        let led_there = join(11 * S, Way::Stranded(2, String::new()));
        assert_eq!(excuse(&led_there, &other, &none), Some(Excuse::Trouble));
        let earlier = Home { server: Some(2), since: S };
        let twice = Homes::from([("a", vec![(&earlier, S)])]);
        assert_eq!(excuse(&refused(11 * S), &other, &twice), Some(Excuse::Trouble));
        let killed = [strike(1, Trouble::Kill, 10 * S, 12 * S)];
        assert_eq!(excuse(&refused(60 * S), &killed, &none), Some(Excuse::Lost));
    }

    #[test]
    fn only_meetings_that_are_there_are_swallowed() {
        let create = |why, at, end| Created { id: "a".to_owned(), why, at, took: S, end };
        let there = Ok(Home { server: Some(1), since: S });
        let creates =
            [create(Why::New, S, there), create(Why::Repeated, 5 * S, Err(String::new()))];
        let homes = homes(&creates);
        let swallow = |server| [strike(server, Trouble::Swallow, 4 * S, 6 * S)];
        assert!(is_swallowed(&creates[1], &swallow(1), &homes));
        assert!(!is_swallowed(&creates[1], &swallow(2), &homes));
        assert!(!is_swallowed(&creates[1], &[strike(1, Trouble::Hang, 4 * S, 6 * S)], &homes));
        let new = create(Why::New, S, Err(String::new()));
        assert!(!is_swallowed(&new, &[strike(1, Trouble::Swallow, S, 6 * S)], &homes));
    }

    #[test]
    fn a_meeting_that_is_created_elsewhere_meanwhile_may_be_missed() {
        let refused = join(5 * S, Way::Refused(String::new()));
        let created = |server, at| Created {
            id: "a".to_owned(),
            why: Why::Again,
            at,
            took: S,
            end: Ok(Home { server: Some(server), since: at }),
        };
        let elsewhere = [created(1, S), created(2, 5 * S)];
        assert_eq!(excuse(&refused, &[], &homes(&elsewhere)), Some(Excuse::Moved));
        let before = [created(1, S), created(2, 2 * S)];
        assert_eq!(excuse(&refused, &[], &homes(&before)), None);
    }
}
