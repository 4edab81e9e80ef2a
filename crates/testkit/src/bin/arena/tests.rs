//! What it promises, on small days.

use crate::campus::{self, Kind, Wish};
use crate::day::{Day, Machine, Outage, Session};
use crate::files;
use crate::ours::{Booked, Knowledge};
use crate::peers::{Peer, Sums};
use crate::play::{Placement, play};
use crate::run;
use crate::score::fullness;

const SMALL: usize = 4;

fn small(kind: Kind, unequal: bool, seed: u64) -> Day {
    campus::day(Wish { servers: SMALL, unequal, kind }, seed)
}

fn booked(day: &Day) -> Vec<Placement> {
    play(day, &mut Booked::new(day, Knowledge::History)).placements
}

#[test]
fn booked_seats_are_better_than_the_worst_of_peers() {
    let days: Vec<Day> = (0..3).map(|seed| small(Kind::Plain, seed == 1, 20 + seed)).collect();
    let mean = |play: &dyn Fn(&Day) -> Vec<Placement>| {
        days.iter().map(|day| fullness(day, &play(day))).sum::<f64>() / days.len() as f64
    };
    let ours = mean(&booked);
    for peer in [Peer::Pilos, Peer::LeastUsers, Peer::Scalelite] {
        let theirs = mean(&|day| play(day, &mut Sums::new(day, peer)).placements);
        assert!(ours < theirs, "{ours} is not better than {theirs} of {peer:?}");
    }
}

#[test]
fn days_are_the_same_again_and_survive_their_files() {
    for (kind, unequal) in
        [(Kind::Uneven, false), (Kind::ExamAndLost, true), (Kind::NewTerm, false)]
    {
        let day = small(kind, unequal, 5);
        assert_eq!(day, small(kind, unequal, 5));
        let folder = tempfile::tempdir().unwrap();
        files::write_day(&day, folder.path()).unwrap();
        assert_eq!(files::read_day(folder.path()).unwrap(), day);
        let placements = booked(&day);
        let mut file = Vec::new();
        files::write_placements(&day, &placements, &mut file).unwrap();
        assert!(file.starts_with(b"session,at_s,server\n"));
        assert_eq!(files::read_placements(&day, &file[..]).unwrap(), placements);
    }
}

#[test]
fn nothing_is_sent_to_the_dead_and_all_is_placed_again() {
    for seed in 0..3 {
        let day = small(Kind::ExamAndLost, seed % 2 == 0, seed);
        let outcome = play(&day, &mut Booked::new(&day, Knowledge::History));
        assert_eq!(outcome.to_the_dead, 0);
        let [Outage { server, down, up }] = day.outages[..] else { panic!("one is lost") };
        let there = |one: &&Placement| one.server == server && one.at >= down;
        assert!(outcome.placements.iter().filter(there).all(|one| one.at >= up));
        let again = outcome.placements.len() - day.sessions.len();
        let before = |one: &&Placement| one.server == server && one.at < down;
        let lost = outcome.placements.iter().filter(before).filter(|one| {
            let session = &day.sessions[one.session];
            session.end > down + 200
                && session.leaves.iter().any(|at| session.create + at > down + 200)
        });
        assert!(again >= lost.count(), "{again}");
    }
}

#[test]
fn weeks_of_the_same_university_resemble_each_other() {
    let day = small(Kind::Plain, false, 3);
    let known = |session: &&Session| {
        day.history.iter().filter(|past| past.meeting_id == session.meeting_id).count() > 1
    };
    let share = day.sessions.iter().filter(known).count() as f64 / day.sessions.len() as f64;
    assert!((0.5..0.9).contains(&share), "{share}");
}

#[test]
fn fullness_is_that_of_the_fullest_server_over_the_bound() {
    let session = |name: &str| Session {
        name: name.to_owned(),
        meeting_id: name.to_owned(),
        create: 30_000,
        end: 33_660,
        size_max: 10,
        server: None,
        joins: vec![0; 10],
        leaves: vec![3_600; 10],
        cams: 0,
        mods: 1,
    };
    let machine = |id: &str, load_multiplier| Machine { id: id.to_owned(), load_multiplier };
    let mut day = Day {
        name: String::new(),
        comfortable_users: 200.0,
        servers: vec![machine("a", 1.0), machine("b", 1.0)],
        outages: Vec::new(),
        sessions: vec![session("x"), session("y")],
        history: Vec::new(),
    };
    let at = |server, session| Placement { session, at: 30_000, server };
    assert!((fullness(&day, &[at(0, 0), at(1, 1)]) - 1.0).abs() < 1e-9);
    assert!((fullness(&day, &[at(0, 0), at(0, 1)]) - 2.0).abs() < 1e-9);
    // Three quarters of the capacity are on the first: 20 / (1 + 1/3) is unavoidable.
    day.servers[1].load_multiplier = 3.0;
    assert!((fullness(&day, &[at(0, 0), at(0, 1)]) - 20.0 / 15.0).abs() < 1e-9);
    assert!((fullness(&day, &[at(0, 0), at(1, 1)]) - 2.0).abs() < 1e-9);
    // While its server is gone a session is nowhere.
    day.outages.push(Outage { server: 0, down: 30_000, up: 40_000 });
    assert!(fullness(&day, &[at(0, 0), at(0, 1)]) < 1e-9);
}

#[test]
fn all_policies_play() {
    let day = small(Kind::Lost, true, 9);
    let results = run::compare(&day).unwrap();
    assert_eq!(results.len(), run::POLICIES.len());
    assert!(results.iter().all(|one| (0.5..20.0).contains(one)), "{results:?}");
}
