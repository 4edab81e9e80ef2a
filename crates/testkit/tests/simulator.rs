//! Hundreds of runs of the simulator, and proof that its checkers find planted bugs.

#![expect(clippy::expect_used, reason = "a test that cannot run must fail")]

use std::thread;

use testkit::nightly::rounds;
use testkit::simulator::{EventCounts, Mutant, RunReport, SimulationOptions, run, run_traced};

/// Seeds of every test run. `cargo run --release -p bench --bin simulate` runs any number.
const SEEDS: u64 = 300;
/// Seeds of a nightly run.
const NIGHTLY_SEEDS: u64 = 10_000;
/// The number of seeds in which a planted bug must be found.
const MUTANT_SEEDS: u64 = 200;

/// Events that must occur at least once in all runs together, or the runs prove little.
const REQUIRED_EVENTS: &[&str] = &[
    "administrative actions",
    "clock steps",
    "connections broken",
    "connections refused",
    "creates",
    "empty bodies",
    "ends",
    "ends told",
    "error pages",
    "error pages after effect",
    "failed creates",
    "foreign ends",
    "foreign meetings",
    "joins",
    "meetings claimed",
    "odd answers",
    "partitions",
    "queries",
    "replica crashes",
    "revivals",
    "requests lost",
    "responses lost",
    "server crashes",
    "servers renamed",
    "slow creates",
    "slow responses",
    "slow servers",
    "spellings tried",
    "store faults",
    "store losses",
    "store outages",
    "truncated bodies",
    "twins added",
];

/// Runs the seeds `first`, `first + step`, … below `end`.
fn run_seeds(first: u64, step: u64, end: u64) -> Vec<RunReport> {
    let seeds = (first..end).step_by(usize::try_from(step).expect("a small number"));
    seeds.map(|seed| run_traced(seed, SimulationOptions::default()).expect("a runtime")).collect()
}

#[test]
fn no_seed_breaks_a_rule() {
    let seeds = rounds(SEEDS, NIGHTLY_SEEDS);
    let threads = thread::available_parallelism().map_or(1, usize::from) as u64;
    let reports: Vec<RunReport> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|first| scope.spawn(move || run_seeds(first, threads, seeds)))
            .collect();
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
    let count = failed.len();
    for report in &reports {
        let is_stepped = report.counts.contains_key("clock steps");
        for violation in &report.violations {
            println!("{}, clock steps: {is_stepped}: {violation:?}", report.seed);
        }
    }
    assert!(failed.is_empty(), "{count} of {seeds} runs failed; the first:\n{}", failed[0]);
    for name in REQUIRED_EVENTS {
        assert!(counts.contains_key(name), "`{name}` did not occur in any run: {counts:#?}");
    }
}

#[test]
fn runs_of_the_same_seed_are_equal() {
    for seed in [3, 17, 40] {
        let options = SimulationOptions { trace: true, ..SimulationOptions::default() };
        let (first, second) = (run(seed, options).unwrap(), run(seed, options).unwrap());
        assert_eq!((first.digest, first.trace), (second.digest, second.trace), "seed {seed}");
    }
}

/// Asserts that one of these checkers finds a planted bug in some seed.
fn assert_found(mutant: Mutant, checkers: &[&str]) {
    let options = SimulationOptions::with_mutant(mutant);
    let is_found = |seed| {
        let report = run(seed, options).expect("a runtime");
        report.violations.iter().any(|violation| checkers.contains(&violation.checker))
    };
    let found = (0..MUTANT_SEEDS).any(is_found);
    assert!(found, "none of {checkers:?} found {mutant:?} in {MUTANT_SEEDS} runs");
}

/// Makes a test of each planted bug, with the checkers that must find it: any of them is enough.
macro_rules! planted_bugs {
    ($($test:ident: $mutant:ident => [$($checker:literal),+];)+) => {
        mod planted_bug_is_found {
            use testkit::simulator::Mutant;

            $(
                #[test]
                fn $test() {
                    super::assert_found(Mutant::$mutant, &[$($checker),+]);
                }
            )+

            #[test]
            fn in_a_test_of_its_own() {
                assert_eq!(Mutant::ALL, [$(Mutant::$mutant),+]);
            }
        }
    };
}

planted_bugs! {
    releases_any_claim: ReleasesAnyClaim => ["running_meetings_are_not_forgotten"];
    keeps_failed_claims: KeepsFailedClaims => ["failed_creates_leave_nothing"];
    claims_for_a_day: ClaimsForADay => ["claims_run_out_soon"];
    places_twice: PlacesTwice => ["running_meetings_are_not_forgotten"];
    places_on_cordoned: PlacesOnCordoned => ["places_are_on_open_servers"];
    places_on_disabled: PlacesOnDisabled => ["places_are_on_open_servers"];
    places_without_load: PlacesWithoutLoad => ["places_are_counted"];
    forgets_on_one_failure: ForgetsOnOneFailure => ["running_meetings_are_not_forgotten"];
    overlooks_meeting: OverlooksMeeting =>
        ["loads_are_facts", "running_meetings_are_not_forgotten"];
    counts_too_many_users: CountsTooManyUsers => ["loads_are_facts"];
    forgets_to_confirm: ForgetsToConfirm => ["created_meetings_are_recorded"];
    mixes_tenants: MixesTenants => ["tenants_see_their_own", "joins_go_where_the_record_says"];
    joins_anywhere: JoinsAnywhere => ["joins_go_where_the_record_says"];
    forgets_unseen_at_once: ForgetsUnseenAtOnce => ["running_meetings_are_not_forgotten"];
    keeps_ended_meetings: KeepsEndedMeetings => ["records_are_true"];
    sends_twice: SendsTwice => ["nothing_is_sent_twice"];
    waits_for_ever: WaitsForEver => ["use_cases_end_in_time"];
    forgets_pending_ends: ForgetsPendingEnds => ["ended_meetings_stay_ended"];
    adopts_nothing: AdoptsNothing => ["running_meetings_are_known"];
    leaves_duplicates: LeavesDuplicates => ["meetings_live_once"];
    overlooks_store_loss: OverlooksStoreLoss => ["servers_are_all_there"];
    shares_voice_bridges: SharesVoiceBridges => ["new_meetings_have_their_number"];
    believes_end_reports: BelievesEndReports => ["ends_are_told_when_meetings_are_over"];
    forgets_end_callbacks: ForgetsEndCallbacks => ["ends_are_told"];
    tells_ends_twice: TellsEndsTwice => ["ends_are_told_once"];
    tells_ends_late: TellsEndsLate => ["ends_are_told_when_meetings_are_over", "ends_are_told_once"];
    revives_nothing: RevivesNothing => ["joins_survive_dead_servers"];
    keeps_meetings_ended_offline: KeepsMeetingsEndedOffline => ["revivals_are_wanted"];
    revives_healthy_meetings: RevivesHealthyMeetings =>
        ["revivals_are_wanted", "running_meetings_are_not_forgotten"];
    doubles_slow_creates: DoublesSlowCreates => ["slow_creates_are_made_once"];
    suspects_slow_servers: SuspectsSlowServers => ["slow_servers_stay_sound"];
    ends_twins: EndsTwins =>
        ["acknowledged_meetings_are_not_ended", "only_and_fuller_copies_are_not_ended"];
    overlooks_twins: OverlooksTwins => ["meetings_are_listed_once", "twins_count_once"];
    accepts_spellings: AcceptsSpellings => ["urls_are_listed_once"];
    ends_foreign_copies: EndsForeignCopies => ["foreign_meetings_are_left_alone"];
    ends_adopted_meetings: EndsAdoptedMeetings => ["foreign_meetings_are_left_alone"];
    ends_fuller_copies: EndsFullerCopies => ["only_and_fuller_copies_are_not_ended"];
    fails_odd_lists: FailsOddLists => ["slow_servers_stay_sound"];
    forgets_unreadable: ForgetsUnreadable => ["running_meetings_are_not_forgotten"];
    believes_claims: BelievesClaims => ["claims_move_nothing"];
    adopts_without_bound: AdoptsWithoutBound => ["floods_are_not_adopted"];
    believes_clocks: BelievesClocks => ["dead_servers_are_offline"];
}
