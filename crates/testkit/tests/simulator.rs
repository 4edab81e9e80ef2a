//! Hundreds of runs of the simulator, and the proof that its checkers find planted bugs.

#![expect(clippy::expect_used, reason = "a test that cannot run must fail")]

use std::thread;

use testkit::simulator::{EventCounts, Mutant, RunReport, SimulationOptions, run, run_traced};

/// Seeds of every test run; long runs are `cargo run --release -p bench --bin simulate`.
const SEEDS: u64 = 300;
/// A planted bug must be found within so many seeds.
const MUTANT_SEEDS: u64 = 200;

/// What must have happened at least once in all these runs, or they prove little.
const REQUIRED_EVENTS: &[&str] = &[
    "administrative actions",
    "connections broken",
    "connections refused",
    "creates",
    "empty bodies",
    "ends",
    "error pages",
    "error pages after effect",
    "failed creates",
    "joins",
    "partitions",
    "queries",
    "replica crashes",
    "requests lost",
    "responses lost",
    "server crashes",
    "slow responses",
    "store faults",
    "store losses",
    "store outages",
    "truncated bodies",
];

/// Runs every so many-th seed from that one on.
fn run_every(step: u64, from: u64) -> Vec<RunReport> {
    let seeds = (from..SEEDS).step_by(usize::try_from(step).expect("a small number"));
    seeds.map(|seed| run_traced(seed, SimulationOptions::default()).expect("a runtime")).collect()
}

#[test]
fn no_seed_breaks_a_rule() {
    let threads = thread::available_parallelism().map_or(1, usize::from) as u64;
    let reports: Vec<RunReport> = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|from| scope.spawn(move || run_every(threads, from))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let mut counts = EventCounts::new();
    for (name, count) in reports.iter().flat_map(|report| &report.counts) {
        *counts.entry(name).or_default() += count;
    }
    let failed: Vec<String> = reports
        .iter()
        .filter(|report| !report.violations.is_empty())
        .map(ToString::to_string)
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {SEEDS} runs failed; the first:\n{}",
        failed.len(),
        failed[0]
    );
    for name in REQUIRED_EVENTS {
        assert!(counts.contains_key(name), "no run came across `{name}`: {counts:#?}");
    }
}

#[test]
fn a_seed_is_always_the_same_run() {
    for seed in [3, 17, 40] {
        let options = SimulationOptions { trace: true, ..SimulationOptions::default() };
        let (one, two) = (run(seed, options).unwrap(), run(seed, options).unwrap());
        assert_eq!((one.digest, one.trace), (two.digest, two.trace), "seed {seed}");
    }
}

/// The checkers that are meant to find a planted bug; any of these.
fn expected_checkers(mutant: Mutant) -> &'static [&'static str] {
    match mutant {
        Mutant::ReleasesAnyClaim
        | Mutant::PlacesTwice
        | Mutant::ForgetsOnOneFailure
        | Mutant::ForgetsUnseenAtOnce => &["running_meetings_are_not_forgotten"],
        Mutant::KeepsFailedClaims => &["failed_creates_leave_nothing"],
        Mutant::ClaimsForADay => &["claims_run_out_soon"],
        Mutant::PlacesOnCordoned | Mutant::PlacesOnDisabled => &["places_are_on_open_servers"],
        Mutant::PlacesWithoutLoad => &["places_are_counted"],
        Mutant::OverlooksMeeting => &["loads_are_facts", "running_meetings_are_not_forgotten"],
        Mutant::CountsTooManyUsers => &["loads_are_facts"],
        Mutant::ForgetsToConfirm => &["created_meetings_are_recorded"],
        Mutant::MixesTenants => &["tenants_see_their_own", "joins_go_where_the_record_says"],
        Mutant::JoinsAnywhere => &["joins_go_where_the_record_says"],
        Mutant::KeepsEndedMeetings => &["records_are_true"],
        Mutant::SendsTwice => &["nothing_is_sent_twice"],
        Mutant::WaitsForEver => &["use_cases_end_in_time"],
        Mutant::ForgetsPendingEnds => &["ended_meetings_stay_ended"],
        Mutant::AdoptsNothing => &["running_meetings_are_known"],
        Mutant::LeavesDuplicates => &["meetings_live_once"],
        Mutant::OverlooksStoreLoss => &["servers_are_all_there"],
        Mutant::SharesVoiceBridges => &["new_meetings_have_their_number"],
    }
}

/// The first seed in which one of its checkers finds a planted bug.
fn first_finding_seed(mutant: Mutant) -> Option<u64> {
    let options = SimulationOptions::with_mutant(mutant);
    (0..MUTANT_SEEDS).find(|seed| {
        let report = run(*seed, options).expect("a runtime");
        report.violations.iter().any(|one| expected_checkers(mutant).contains(&one.checker))
    })
}

#[test]
fn planted_bugs_are_found() {
    let missed: Vec<Mutant> = Mutant::ALL
        .iter()
        .copied()
        .filter(|mutant| first_finding_seed(*mutant).is_none())
        .collect();
    assert!(missed.is_empty(), "nobody found {missed:?} in {MUTANT_SEEDS} runs each");
}
