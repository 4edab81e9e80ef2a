//! Tests of the arena on small days.

use crate::day::{Day, DayServer, DaySession, ServerOutage};
use crate::day_generator::{self, DayKind, DaySpec};
use crate::files;
use crate::forecast_policy::{ForecastModel, Knowledge};
use crate::peers::{Peer, PeerModel};
use crate::run;
use crate::score::fullness;
use crate::simulation::{Placement, simulate_day};

const SERVERS: usize = 4;

fn small_day(kind: DayKind, unequal: bool, seed: u64) -> Day {
    day_generator::generate_day(DaySpec { servers: SERVERS, unequal, kind }, seed)
}

fn forecast_placements(day: &Day) -> Vec<Placement> {
    simulate_day(day, &mut ForecastModel::new(day, Knowledge::History)).placements
}

#[test]
fn the_forecast_policy_is_better_than_the_worst_other_balancers() {
    let days: Vec<Day> =
        (0..3).map(|seed| small_day(DayKind::Plain, seed == 1, 20 + seed)).collect();
    let mean = |place: &dyn Fn(&Day) -> Vec<Placement>| {
        days.iter().map(|day| fullness(day, &place(day))).sum::<f64>() / days.len() as f64
    };
    let forecast = mean(&forecast_placements);
    for peer in [Peer::Pilos, Peer::LeastUsers, Peer::Scalelite] {
        let other = mean(&|day| simulate_day(day, &mut PeerModel::new(day, peer)).placements);
        assert!(forecast < other, "{forecast} is not better than {other} of {peer:?}");
    }
}

#[test]
fn days_are_reproducible_and_their_files_are_read_back() {
    for (kind, unequal) in
        [(DayKind::Uneven, false), (DayKind::ExamAndLost, true), (DayKind::NewTerm, false)]
    {
        let day = small_day(kind, unequal, 5);
        assert_eq!(day, small_day(kind, unequal, 5));
        let directory = tempfile::tempdir().unwrap();
        files::write_day(&day, directory.path()).unwrap();
        assert_eq!(files::read_day(directory.path()).unwrap(), day);
        let placements = forecast_placements(&day);
        let mut file = Vec::new();
        files::write_placements(&day, &placements, &mut file).unwrap();
        assert!(file.starts_with(b"session,at_s,server\n"));
        assert_eq!(files::read_placements(&day, &file[..]).unwrap(), placements);
    }
}

#[test]
fn no_create_is_sent_to_a_server_known_to_be_down_and_lost_sessions_are_placed_again() {
    for seed in 0..3 {
        let day = small_day(DayKind::ExamAndLost, seed % 2 == 0, seed);
        let outcome = simulate_day(&day, &mut ForecastModel::new(&day, Knowledge::History));
        assert_eq!(outcome.creates_to_offline, 0);
        let [ServerOutage { server, down_at: down, up_at: up }] = day.outages[..] else {
            panic!("the day has one outage")
        };
        let on_server = outcome.placements.iter().filter(|it| it.server == server);
        let (before, after): (Vec<&Placement>, Vec<&Placement>) =
            on_server.partition(|it| it.placed_at < down);
        assert!(after.iter().all(|placement| placement.placed_at >= up));
        let placed_again = outcome.placements.len() - day.sessions.len();
        let lost = before.iter().filter(|placement| {
            let session = &day.sessions[placement.session];
            session.ended_at > down + 200
                && session.leaves.iter().any(|at| session.created_at + at > down + 200)
        });
        assert!(placed_again >= lost.count(), "{placed_again}");
    }
}

#[test]
fn weeks_of_the_same_university_resemble_each_other() {
    let day = small_day(DayKind::Plain, false, 3);
    let known = |session: &&DaySession| {
        day.history.iter().filter(|past| past.meeting_id == session.meeting_id).count() > 1
    };
    let share = day.sessions.iter().filter(known).count() as f64 / day.sessions.len() as f64;
    assert!((0.5..0.9).contains(&share), "{share}");
}

#[test]
fn fullness_is_that_of_the_fullest_server_over_the_bound() {
    let session = |name: &str| DaySession {
        name: name.to_owned(),
        meeting_id: name.to_owned(),
        created_at: 30_000,
        ended_at: 33_660,
        max_users: 10,
        server: None,
        joins: vec![0; 10],
        leaves: vec![3_600; 10],
        cams: 0,
        mods: 1,
    };
    let server = |id: &str, load_multiplier| DayServer { id: id.to_owned(), load_multiplier };
    let mut day = Day {
        name: String::new(),
        comfortable_users: 200.0,
        servers: vec![server("a", 1.0), server("b", 1.0)],
        outages: Vec::new(),
        sessions: vec![session("x"), session("y")],
        history: Vec::new(),
    };
    let at = |server, session| Placement { session, placed_at: 30_000, server };
    assert!((fullness(&day, &[at(0, 0), at(1, 1)]) - 1.0).abs() < 1e-9);
    assert!((fullness(&day, &[at(0, 0), at(0, 1)]) - 2.0).abs() < 1e-9);
    // The first server has three quarters of the capacity: 20 / (1 + 1/3) is unavoidable.
    day.servers[1].load_multiplier = 3.0;
    assert!((fullness(&day, &[at(0, 0), at(0, 1)]) - 20.0 / 15.0).abs() < 1e-9);
    assert!((fullness(&day, &[at(0, 0), at(1, 1)]) - 2.0).abs() < 1e-9);
    // While its server is down a session is on no server.
    day.outages.push(ServerOutage { server: 0, down_at: 30_000, up_at: 40_000 });
    assert!(fullness(&day, &[at(0, 0), at(0, 1)]) < 1e-9);
}

#[test]
fn all_policies_place_a_day() {
    let day = small_day(DayKind::Lost, true, 9);
    let results = run::compare_policies(&day).unwrap();
    assert_eq!(results.len(), run::POLICIES.len());
    assert!(results.iter().all(|result| (0.5..20.0).contains(result)), "{results:?}");
}
