//! The scenario of a run, drawn from its seed: how many replicas, servers and tenants there are,
//! and which kinds of faults occur.

use app::policy::{DialInRules, Policy, RecordingRules};
use app::ports::CallTimeouts;
use bbb::{Algorithm, Algorithms};
use domain::health::Thresholds;
use domain::history::HistoryMode;
use domain::load::LoadPolicy;
use domain::parameters::ParameterRules;
use domain::placement::PlacementRules;
use domain::poll::PollPolicy;
use domain::voice_bridge::VoiceBridgePolicy;

use super::rules::Rules;
use crate::seeded_rng::SeededRng;

/// The time between two poll cycles, in ms.
pub(crate) const POLL_INTERVAL_MS: i64 = 60_000;
/// The timeout of the poll of one server, in ms.
const POLL_WAIT_MS: u64 = 10_000;
/// How long servers may take to answer by default, in ms.
const RESPONSE_MS: u64 = 10_000;
/// The same where the administrator knows that servers are slow.
const PATIENT_RESPONSE_MS: u64 = 30_000;

/// The scenario of a run.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// Number of processes of the balancer.
    pub(crate) replicas: usize,
    /// Number of servers in the pool at the beginning.
    pub(crate) servers: usize,
    /// Number of tenants; 0 without multitenancy.
    pub(crate) tenants: usize,
    /// Number of actions of front-ends and administrators, and of faults.
    pub(crate) steps: usize,
    /// Longest pause between two steps, in ms.
    pub(crate) max_pause_ms: u64,
    /// Whether calls to servers fail.
    pub(crate) server_faults: bool,
    /// Whether servers crash and lose their meetings.
    pub(crate) server_crashes: bool,
    /// Whether operations of the store fail.
    pub(crate) store_faults: bool,
    /// Whether the store loses its data.
    pub(crate) store_loss: bool,
    /// Whether replicas crash.
    pub(crate) replica_crashes: bool,
    /// Whether administrators change servers.
    pub(crate) administration: bool,
    /// Longest latency to the store, one way, in ms.
    pub(crate) max_store_latency_ms: u64,
    /// Greatest offset of a replica's clock, in ms.
    pub(crate) skew_ms: i64,
    /// Whether front-ends choose voice bridges, out of a few.
    pub(crate) external_bridges: bool,
    /// Number of failed polls after which a server is offline.
    pub(crate) unhealthy_threshold: u32,
    /// Whether some servers take seconds for creates, or for everything.
    pub(crate) slow_servers: bool,
    /// How long servers may take to answer, in ms.
    pub(crate) response_ms: u64,
    /// Whether servers are listed twice.
    pub(crate) twins: bool,
    /// Whether other balancers use the servers.
    pub(crate) foreign_balancers: bool,
    /// Whether the first server is hostile: it claims meetings of others, with more users.
    pub(crate) hostile_server: bool,
    /// Whether the hostile server also lists meetings without end, so that the hourly bounds are reached.
    pub(crate) floods: bool,
    /// Whether the clock of all replicas is set, by an hour to ten years. Then little else goes wrong.
    pub(crate) clock_steps: bool,
}

/// Meetings that a server may make each replica adopt in runs with a flood of them, which are shorter than an hour.
pub(crate) const FLOOD_MAX_ADOPTIONS: usize = 20;

impl Scenario {
    /// Draws a scenario.
    #[must_use]
    pub(crate) fn draw(rng: &mut SeededRng, rules: &Rules) -> Self {
        let mut count = |low, high| usize::try_from(rng.draw_u64(low, high)).unwrap_or(1);
        let (replicas, servers, steps) = (count(1, 3), count(2, 5), count(40, 110));
        let tenants = [0, 2, 3][count(0, 2)];
        let without_faults = rng.draw_percent(15);
        let mut sometimes = |percent| !without_faults && rng.draw_percent(percent);
        let (server_faults, server_crashes) = (sometimes(80), sometimes(40));
        let (store_faults, replica_crashes) = (sometimes(50), sometimes(50));
        let skewed = sometimes(50);
        let store_loss = rules.survives_store_loss && sometimes(20);
        // After a loss the servers are restored from the memory of the replicas.
        let replica_crashes = replica_crashes && !store_loss;
        // An administrator who adds servers right after a loss would hide it.
        let administration = !store_loss && rng.draw_percent(70);
        let max_skew_ms = u64::try_from(rules.max_skew_ms).unwrap_or(0);
        let (slow_servers, twins) = (rng.draw_percent(40), administration && rng.draw_percent(50));
        let is_patient = slow_servers && rng.draw_percent(40);
        let foreign_balancers = rng.draw_percent(40);
        let scenario = Self {
            replicas,
            servers,
            tenants,
            steps,
            max_pause_ms: rng.draw_u64(500, 12_000),
            server_faults,
            server_crashes,
            store_faults,
            store_loss,
            replica_crashes,
            administration,
            max_store_latency_ms: rng.draw_u64(0, 20),
            skew_ms: if skewed {
                i64::try_from(rng.draw_u64(0, max_skew_ms)).unwrap_or(0)
            } else {
                0
            },
            external_bridges: rng.draw_percent(30),
            unhealthy_threshold: if rng.draw_percent(80) { 2 } else { 3 },
            slow_servers,
            response_ms: if is_patient { PATIENT_RESPONSE_MS } else { RESPONSE_MS },
            twins,
            foreign_balancers,
            hostile_server: false,
            floods: false,
            clock_steps: false,
        };
        scenario.with_newer_faults(&mut rng.clone())
    }

    /// Adds the faults that were added last. They have a generator of their own, so that the runs of
    /// seeds without them stay as they were.
    fn with_newer_faults(self, rng: &mut SeededRng) -> Self {
        match rng.draw_u64(0, 99) {
            0..10 => Self { hostile_server: true, ..self },
            10..20 => Self {
                clock_steps: true,
                server_crashes: true,
                store_faults: false,
                store_loss: false,
                replica_crashes: false,
                administration: false,
                twins: false,
                foreign_balancers: false,
                skew_ms: 0,
                ..self
            },
            20..25 => Self {
                hostile_server: true,
                floods: true,
                store_loss: false,
                replica_crashes: false,
                administration: false,
                twins: false,
                foreign_balancers: false,
                ..self
            },
            _ => self,
        }
    }

    /// Returns the settings of the balancer, mostly defaults.
    #[must_use]
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            secrets: vec!["front-end".to_owned()],
            algorithms: Algorithms::default(),
            signing_algorithm: Algorithm::Sha256,
            build_number: None,
            multitenancy: self.tenants > 0,
            get_meetings_disabled: false,
            recording_disabled: false,
            recordings: RecordingRules::default(),
            server_id_is_hostname: true,
            max_meeting_duration_min: None,
            create_rules: ParameterRules::default(),
            join_rules: ParameterRules::default(),
            voice_bridge: VoiceBridgePolicy {
                length: 9,
                min_length: 5,
                max_length: 9,
                use_external: self.external_bridges,
            },
            dial_in: DialInRules { password: None, max_duration_min: None, max_wrong_pins: 5 },
            poll: PollPolicy {
                thresholds: Thresholds { healthy: 1, unhealthy: self.unhealthy_threshold },
                load: LoadPolicy { min_user_count: 15, join_buffer_ms: 15 * 60_000 },
                grace_ms: 30_000,
                max_adoptions: if self.floods { FLOOD_MAX_ADOPTIONS } else { 1_000 },
            },
            placement: PlacementRules::default(),
            history: HistoryMode::On,
            timeouts: CallTimeouts { connect_ms: 5_000, response_ms: self.response_ms },
            poll_timeout_ms: POLL_WAIT_MS,
            poll_concurrency: 50,
            max_duplicate_ends_per_hour: 100,
            max_listed_meetings: 1_000,
            max_list_bytes: 1 << 20,
            meeting_ttl_ms: 86_400_000,
            accepts_form_checksums: false,
            url_host: Some("balancer".to_owned()),
            tells_ends: true,
            max_upload_ms: 300_000,
            revival_window_ms: 3_600_000,
        }
    }
}
