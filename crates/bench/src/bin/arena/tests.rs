//! What it promises, on small days.

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
fn booked_seats_are_better_than_the_worst_of_peers() {
    let days: Vec<Day> =
        (0..3).map(|seed| small_day(DayKind::Plain, seed == 1, 20 + seed)).collect();
    let mean = |play: &dyn Fn(&Day) -> Vec<Placement>| {
        days.iter().map(|day| fullness(day, &play(day))).sum::<f64>() / days.len() as f64
    };
    let ours = mean(&forecast_placements);
    for peer in [Peer::Pilos, Peer::LeastUsers, Peer::Scalelite] {
        let theirs = mean(&|day| simulate_day(day, &mut PeerModel::new(day, peer)).placements);
        assert!(ours < theirs, "{ours} is not better than {theirs} of {peer:?}");
    }
}

#[test]
fn days_are_the_same_again_and_survive_their_files() {
    for (kind, unequal) in
        [(DayKind::Uneven, false), (DayKind::ExamAndLost, true), (DayKind::NewTerm, false)]
    {
        let day = small_day(kind, unequal, 5);
        assert_eq!(day, small_day(kind, unequal, 5));
        let folder = tempfile::tempdir().unwrap();
        files::write_day(&day, folder.path()).unwrap();
        assert_eq!(files::read_day(folder.path()).unwrap(), day);
        let placements = forecast_placements(&day);
        let mut file = Vec::new();
        files::write_placements(&day, &placements, &mut file).unwrap();
        assert!(file.starts_with(b"session,at_s,server\n"));
        assert_eq!(files::read_placements(&day, &file[..]).unwrap(), placements);
    }
}

#[test]
fn nothing_is_sent_to_the_dead_and_all_is_placed_again() {
    for seed in 0..3 {
        let day = small_day(DayKind::ExamAndLost, seed % 2 == 0, seed);
        let outcome = simulate_day(&day, &mut ForecastModel::new(&day, Knowledge::History));
        assert_eq!(outcome.creates_to_offline, 0);
        let [ServerOutage { server, down_at: down, up_at: up }] = day.outages[..] else {
            panic!("one is lost")
        };
        let there = |one: &&Placement| one.server == server && one.placed_at >= down;
        assert!(outcome.placements.iter().filter(there).all(|one| one.placed_at >= up));
        let again = outcome.placements.len() - day.sessions.len();
        let before = |one: &&Placement| one.server == server && one.placed_at < down;
        let lost = outcome.placements.iter().filter(before).filter(|one| {
            let session = &day.sessions[one.session];
            session.ended_at > down + 200
                && session.leaves.iter().any(|at| session.created_at + at > down + 200)
        });
        assert!(again >= lost.count(), "{again}");
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
    let machine = |id: &str, load_multiplier| DayServer { id: id.to_owned(), load_multiplier };
    let mut day = Day {
        name: String::new(),
        comfortable_users: 200.0,
        servers: vec![machine("a", 1.0), machine("b", 1.0)],
        outages: Vec::new(),
        sessions: vec![session("x"), session("y")],
        history: Vec::new(),
    };
    let at = |server, session| Placement { session, placed_at: 30_000, server };
    assert!((fullness(&day, &[at(0, 0), at(1, 1)]) - 1.0).abs() < 1e-9);
    assert!((fullness(&day, &[at(0, 0), at(0, 1)]) - 2.0).abs() < 1e-9);
    // Three quarters of the capacity are on the first: 20 / (1 + 1/3) is unavoidable.
    day.servers[1].load_multiplier = 3.0;
    assert!((fullness(&day, &[at(0, 0), at(0, 1)]) - 20.0 / 15.0).abs() < 1e-9);
    assert!((fullness(&day, &[at(0, 0), at(1, 1)]) - 2.0).abs() < 1e-9);
    // While its server is gone a session is nowhere.
    day.outages.push(ServerOutage { server: 0, down_at: 30_000, up_at: 40_000 });
    assert!(fullness(&day, &[at(0, 0), at(0, 1)]) < 1e-9);
}

#[test]
fn all_policies_play() {
    let day = small_day(DayKind::Lost, true, 9);
    let results = run::compare_policies(&day).unwrap();
    assert_eq!(results.len(), run::POLICIES.len());
    assert!(results.iter().all(|one| (0.5..20.0).contains(one)), "{results:?}");
}
