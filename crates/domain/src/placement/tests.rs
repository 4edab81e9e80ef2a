//! Tests of placement, by examples and by properties.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::server::{AdminState, ServerId};

fn server(id: &str, load: f64, multiplier: f64, tag: Option<&str>) -> Server {
    let mut server = Server::new(ServerId(id.to_owned()), String::new(), String::new());
    server.state = AdminState::Enabled;
    server.health.online = true;
    server.load = Some(load);
    server.load_multiplier = multiplier;
    server.tag = tag.map(str::to_owned);
    server
}

fn criteria(tag: &str) -> PlacementCriteria {
    PlacementCriteria {
        tags: TagRequest::parse(tag),
        expected_users: 15,
        seed: 7,
        ..PlacementCriteria::default()
    }
}

fn chosen_id(servers: &[Server], tag: &str) -> Result<String, PlacementRefusal> {
    choose_server(servers, &criteria(tag)).map(|choice| choice.server.id.0.clone())
}

#[test]
fn the_expected_users_of_the_new_meeting_count() {
    let servers = [server("weak", 0.0, 3.0, None), server("strong", 20.0, 1.0, None)];
    assert_eq!(chosen_id(&servers, ""), Ok("strong".to_owned()));
}

#[test]
fn tags_select_servers() {
    let servers = [
        server("red", 5.0, 1.0, Some("red")),
        server("blue", 3.0, 1.0, Some("blue")),
        server("plain", 30.0, 1.0, None),
    ];
    for (tag, expected) in [
        ("", "plain"),
        ("!", "plain"),
        ("red", "red"),
        ("red;blue", "blue"),
        ("red;blue!", "blue"),
        ("green", "plain"),
        ("none", "plain"),
        ("none;red!", "red"),
    ] {
        assert_eq!(chosen_id(&servers, tag), Ok(expected.to_owned()), "{tag}");
    }
    let refused = Err(PlacementRefusal::TagUnavailable("green".to_owned()));
    assert_eq!(chosen_id(&servers, "green!"), refused);
    assert_eq!(chosen_id(&servers[..2], ""), Err(PlacementRefusal::NoServer));
    assert_eq!(chosen_id(&servers[..2], "green"), Err(PlacementRefusal::NoServer));
}

#[test]
fn equal_servers_share_meetings() {
    let servers: Vec<_> = (0..4).map(|n| server(&format!("s{n}"), 0.0, 1.0, None)).collect();
    let mut counts: HashMap<String, u32> = HashMap::new();
    for n in 0..4000 {
        let criteria =
            PlacementCriteria { seed: meeting_seed(&format!("meeting-{n}")), ..criteria("") };
        *counts
            .entry(choose_server(&servers, &criteria).unwrap().server.id.0.clone())
            .or_default() += 1;
    }
    assert!(counts.len() == 4 && counts.values().all(|n| (800..1200).contains(n)), "{counts:?}");
}

fn any_server() -> impl Strategy<Value = Server> {
    let tag = prop_oneof![Just(None), Just(Some("a")), Just(Some("b"))];
    (any::<u32>(), 0.0..500.0, 0.1..5.0, tag, 0..3usize, any::<bool>(), any::<bool>()).prop_map(
        |(id, load, multiplier, tag, state, online, loaded)| {
            let states = [AdminState::Enabled, AdminState::Cordoned, AdminState::Disabled];
            let mut server = server(&id.to_string(), load, multiplier, tag);
            server.set_state(states[state]);
            server.health.online = online;
            server.load = server.load.filter(|_| loaded);
            server
        },
    )
}

proptest! {
    #[test]
    fn the_best_server_that_accepts_meetings_is_chosen(
        servers in proptest::collection::vec(any_server(), 0..20),
        tag in "(|a|b|c|a;b|none)!?", seed: u64,
    ) {
        let criteria = PlacementCriteria { seed, ..criteria(&tag) };
        match choose_server(&servers, &criteria) {
            Ok(choice) => {
                let chosen = choice.server;
                let matches = criteria.tags.matches(chosen);
                prop_assert!(chosen.accepts_meetings());
                prop_assert!(matches || chosen.tag.is_none());
                let alternatives = servers.iter().filter(|server| {
                    server.accepts_meetings() && criteria.tags.matches(server) == matches && (matches || server.tag.is_none())
                });
                for server in alternatives {
                    prop_assert!(load_with_meeting(chosen, &criteria) <= load_with_meeting(server, &criteria));
                }
            }
            Err(PlacementRefusal::Full) => unreachable!("there are no limits"),
            Err(PlacementRefusal::NoServer) => {
                prop_assert!(!servers.iter().any(|server| server.accepts_meetings() && server.tag.is_none()));
            }
            Err(PlacementRefusal::TagUnavailable(_)) => {
                prop_assert!(!servers.iter().any(|server| server.accepts_meetings() && criteria.tags.matches(server)));
            }
        }
    }

    #[test]
    fn the_order_of_the_servers_does_not_matter(
        mut servers in proptest::collection::vec(any_server(), 1..12), seed: u64,
    ) {
        let criteria = PlacementCriteria { seed, ..criteria("") };
        let before = choose_server(&servers, &criteria).map(|choice| (load_with_meeting(choice.server, &criteria), choice.server.id.clone())).ok();
        servers.reverse();
        let after = choose_server(&servers, &criteria).map(|choice| (load_with_meeting(choice.server, &criteria), choice.server.id.clone())).ok();
        prop_assert_eq!(before, after);
    }
}

#[test]
fn servers_that_failed_lately_are_used_last() {
    let mut suspect = server("suspect", 0.0, 1.0, None);
    suspect.health.unhealthy_count = 1;
    let fine = server("fine", 500.0, 1.0, None);
    assert_eq!(chosen_id(&[suspect.clone(), fine.clone()], ""), Ok("fine".to_owned()));
    assert_eq!(chosen_id(&[suspect.clone()], ""), Ok("suspect".to_owned()));
    let criteria =
        PlacementCriteria { tried_servers: vec![ServerId("fine".to_owned())], ..criteria("") };
    let pool = [suspect.clone(), fine];
    assert_eq!(choose_server(&pool, &criteria).unwrap().server.id.0, "suspect");
    suspect.tag = Some("red".to_owned());
    let pool = [suspect, server("plain", 0.0, 1.0, None)];
    assert_eq!(chosen_id(&pool, "red"), Ok("plain".to_owned()));
    assert_eq!(chosen_id(&pool, "red!"), Ok("suspect".to_owned()));
}

#[test]
fn a_server_with_another_tenants_meeting_of_that_id_is_left_out_under_all_its_names() {
    let mut second_name = server("second-name", 0.0, 1.0, None);
    second_name.twin_of = Some(ServerId("first".to_owned()));
    let mut pool = [server("first", 0.0, 1.0, None), second_name, server("other", 9.0, 1.0, None)];
    for server in &mut pool {
        server.url = format!("http://{}/", server.id);
    }
    for id in ["first", "second-name"] {
        let criteria =
            PlacementCriteria { same_id_servers: vec![ServerId(id.to_owned())], ..criteria("") };
        assert_eq!(choose_server(&pool, &criteria).unwrap().server.id.0, "other");
    }
}

#[test]
fn full_servers_get_no_meetings() {
    let mut small = server("small", 20.0, 2.0, None);
    small.limits.max_users = Some(25);
    small.stats.users = 24;
    assert_eq!(chosen_id(&[small.clone()], ""), Ok("small".to_owned()));
    small.stats.users = 25;
    assert_eq!(chosen_id(&[small.clone()], ""), Err(PlacementRefusal::Full));
    small.stats.users = 0;
    small.limits.max_meetings = Some(3);
    (small.stats.meetings, small.placed_since_poll) = (1, 1);
    assert_eq!(chosen_id(&[small.clone()], ""), Ok("small".to_owned()));
    small.placed_since_poll = 2;
    assert_eq!(chosen_id(&[small.clone()], ""), Err(PlacementRefusal::Full));
    let pool = [small, server("large", 900.0, 1.0, None)];
    assert_eq!(chosen_id(&pool, ""), Ok("large".to_owned()));
}

#[test]
fn expected_users_rank_servers_and_refuse_no_meeting() {
    let limited = |id: &str, load: f64, max_users: u32| {
        let mut server = server(id, load, 1.0, None);
        server.limits.max_users = Some(max_users);
        server
    };
    let criteria = PlacementCriteria { expected_users: 300, ..criteria("") };
    let chosen = |pool: &[Server]| choose_server(pool, &criteria).map(|c| c.server.id.0.clone());
    // A course that once had 300 users, on empty servers for 250.
    let pool = [limited("a", 30.0, 250), limited("b", 0.0, 250), limited("c", 0.0, 200)];
    let choice = choose_server(&pool, &criteria).unwrap();
    assert_eq!(choice.server.id.0, "b");
    assert!(choice.reason.contains("this one by 50"), "{}", choice.reason);
    // A server that has room for all of them is better, however loaded it is.
    let roomy = [limited("a", 0.0, 250), limited("large", 500.0, 1000)];
    assert_eq!(chosen(&roomy), Ok("large".to_owned()));
    let outcome = evaluate_candidates(&roomy, &criteria)[0].outcome;
    assert_eq!(outcome, Err(ExclusionReason::ExpectedUsersFull));
    // A limit below the users that every new meeting is expected to have.
    assert_eq!(chosen(&[limited("tiny", 0.0, 10)]), Ok("tiny".to_owned()));
    // Users who are there count fully.
    let mut full = limited("full", 0.0, 250);
    full.stats.users = 250;
    assert_eq!(chosen(&[full]), Err(PlacementRefusal::Full));
}

#[test]
fn backups_are_used_when_other_servers_exceed_the_limit() {
    let mut backup = server("backup", 0.0, 1.0, None);
    backup.limits.tier = 1;
    let pool = |load: f64| [backup.clone(), server("first", load, 1.0, None)];
    assert_eq!(chosen_id(&pool(135.0), ""), Ok("first".to_owned()));
    assert_eq!(chosen_id(&pool(136.0), ""), Ok("backup".to_owned()));
    let outcome = evaluate_candidates(&pool(0.0), &criteria("")).remove(0).outcome;
    assert_eq!(outcome, Err(ExclusionReason::HigherTier));
    assert_eq!(chosen_id(&[backup.clone()], ""), Ok("backup".to_owned()));
}

#[test]
fn untagged_requests_may_use_a_pool_of_tagged_servers() {
    let pool = [server("red", 5.0, 1.0, Some("red")), server("blue", 3.0, 1.0, Some("blue"))];
    let rules = PlacementRules { untagged_may_use_tagged: true, ..PlacementRules::default() };
    for (tag, expected) in [("", "blue"), ("green", "blue"), ("none", "blue"), ("red", "red")] {
        let criteria = PlacementCriteria { rules, ..criteria(tag) };
        assert_eq!(choose_server(&pool, &criteria).unwrap().server.id.0, expected, "{tag}");
    }
    let plain = [pool[0].clone(), server("plain", 90.0, 1.0, None)];
    let criteria = PlacementCriteria { rules, ..criteria("") };
    assert_eq!(choose_server(&plain, &criteria).unwrap().server.id.0, "plain");
}

#[test]
fn costs_and_later_placements_are_compared() {
    let mut pool = [server("a", 10.0, 1.0, None), server("b", 50.0, 1.0, None)];
    pool[1].placed_since_poll = 1;
    let cost = |id: &str, cost, basis_load| {
        (ServerId(id.to_owned()), PlacementCost { cost, basis_load, placed_since_poll: 0 })
    };
    let chosen_with = |costs: &[(ServerId, PlacementCost)]| {
        let costs = costs.iter().cloned().collect();
        let criteria = PlacementCriteria { costs: Some(Arc::new(costs)), ..criteria("") };
        choose_server(&pool, &criteria).unwrap().server.id.0.clone()
    };
    assert_eq!(chosen_with(&[cost("a", 90.0, 10.0), cost("b", 60.0, 50.0)]), "b");
    assert_eq!(chosen_with(&[cost("a", 90.0, 10.0), cost("b", 60.0, 10.0)]), "a");
    assert_eq!(chosen_with(&[cost("b", 60.0, 50.0)]), "a", "a is compared by its load");
    let rules = PlacementRules { policy: PlacementPolicy::Scalelite, ..PlacementRules::default() };
    let heavy = [server("a", 10.0, 9.0, None), server("b", 50.0, 1.0, None)];
    assert_eq!(
        choose_server(&heavy, &PlacementCriteria { rules, ..criteria("") }).unwrap().server.id.0,
        "a"
    );
}
