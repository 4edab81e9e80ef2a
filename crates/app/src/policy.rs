//! The administrator's choices as the use cases need them: typed, checked, and constant for the life of a process.

use bbb::{Algorithm, Algorithms};
use domain::MeetingKey;
use domain::history::{HistoryMode, pseudonymize_key};
use domain::parameters::ParameterRules;
use domain::placement::PlacementRules;
use domain::poll::PollPolicy;
use domain::recording::retention::Retention;
use domain::voice_bridge::VoiceBridgePolicy;

use crate::ports::CallTimeouts;

/// A server that is asked something cheap gets at least so long to answer, in ms.
const MIN_PROBE_MS: u64 = 1_000;
/// A server gets this multiple of the time that its answers took lately.
const PROBE_FACTOR: u64 = 3;

/// All choices.
#[derive(Clone, PartialEq)]
pub struct Policy {
    /// Secrets of the front-ends; any of them may sign a call.
    pub secrets: Vec<String>,
    /// Checksum algorithms that front-ends may use.
    pub algorithms: Algorithms,
    /// Algorithm that signs calls to servers.
    pub signing_algorithm: Algorithm,
    /// Whether forms may also be signed over their sorted parameters, as up to BBB 2.7.7.
    pub accepts_form_checksums: bool,
    /// `URL_HOST`: the public host name of the balancer, with a port other than 443, to which servers send reports.
    pub url_host: Option<String>,
    /// `END_CALLBACKS`: whether the balancer tells front-ends that a meeting is over, instead of its server.
    pub tells_ends: bool,
    /// `BUILD_NUMBER`, shown by the version document.
    pub build_number: Option<String>,
    /// `MULTITENANCY_ENABLED`.
    pub multitenancy: bool,
    /// `GET_MEETINGS_API_DISABLED`.
    pub get_meetings_disabled: bool,
    /// `RECORDING_DISABLED`.
    pub recording_disabled: bool,
    /// Choices about recordings.
    pub recordings: RecordingRules,
    /// `SERVER_ID_IS_HOSTNAME`.
    pub server_id_is_hostname: bool,
    /// `MAX_MEETING_DURATION`, in minutes.
    pub max_meeting_duration_min: Option<u32>,
    /// Rules for the parameters of create.
    pub create_rules: ParameterRules,
    /// Rules for the parameters of join.
    pub join_rules: ParameterRules,
    /// How voice bridges are made.
    pub voice_bridge: VoiceBridgePolicy,
    /// Calls by telephone.
    pub dial_in: DialInRules,
    /// How polls are judged: health and load.
    pub poll: PollPolicy,
    /// How meetings are placed.
    pub placement: PlacementRules,
    /// `PLACEMENT_HISTORY`: what is kept of meetings that have ended.
    pub history: HistoryMode,
    /// `CONNECT_TIMEOUT` and `RESPONSE_TIMEOUT`.
    pub timeouts: CallTimeouts,
    /// `POLLER_WAIT_TIMEOUT`, in ms: a poll of one server takes at most so long.
    pub poll_timeout_ms: u64,
    /// `POLLER_THREADS`: servers that are polled at the same time.
    pub poll_concurrency: usize,
    /// `MAX_DUPLICATE_ENDS_PER_HOUR`: duplicates that are ended because of what one server reports.
    pub max_duplicate_ends_per_hour: usize,
    /// `MAX_LISTED_MEETINGS`: most meetings in the list of one server.
    pub max_listed_meetings: usize,
    /// `MAX_MEETING_LIST_BYTES`: longest list of one server.
    pub max_list_bytes: usize,
    /// `DEFAULT_MEETING_TTL`, in ms: how long a meeting is kept that no server reports.
    pub meeting_ttl_ms: i64,
    /// A create with a body takes at most so long, in ms.
    pub max_upload_ms: i64,
    /// `MEETING_REVIVAL_WINDOW`, in ms: how long after its last report a meeting of an offline server is
    /// made anew when users join; 0: never.
    pub revival_window_ms: i64,
}

/// Choices about calls by telephone.
#[derive(Clone, PartialEq, Eq)]
pub struct DialInRules {
    /// `FSAPI_PASSWORD`: what a FreeSWITCH must know that asks; `None` if everybody may ask.
    pub password: Option<String>,
    /// `FSAPI_MAX_DURATION`: a call is hung up after so long, in minutes.
    pub max_duration_min: Option<u32>,
    /// `FSAPI_MAX_WRONG_PINS`: wrong PINs of one caller within ten minutes; 0: no limit.
    pub max_wrong_pins: u32,
}

/// Choices about recordings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingRules {
    /// `GET_RECORDINGS_API_FILTERED`: getRecordings must name recordings or meetings.
    pub filter_required: bool,
    /// `PROTECTED_RECORDINGS_ENABLED`: protected recordings need a token to be watched.
    pub protection_enabled: bool,
    /// `PROTECTED_RECORDINGS_TOKEN_TIMEOUT`, in ms.
    pub token_lifetime_ms: i64,
    /// `RECORDING_TRASH_DAYS`, in ms, if it is set: how long a deleted recording can be restored; 0:
    /// not at all.
    pub trash_ms: Option<i64>,
    /// Which recordings are deleted when they are old; `None` if `RECORDING_RETENTION_DAYS` is 0.
    pub retention: Option<Retention>,
    /// `RECORDING_FORGET_DAYS`, in ms: how long the row of a deleted recording is kept; `None`: for ever.
    pub forget_ms: Option<i64>,
}

impl Policy {
    /// Timeouts of calls to a server. An offline server gets a tenth of the time to connect, 200 ms at least, and all of the time
    /// to answer: a server that is slow can be enabled, and comes back.
    #[must_use]
    pub fn timeouts_for(&self, online: bool) -> CallTimeouts {
        if online {
            return self.timeouts;
        }
        let connect_ms = (self.timeouts.connect_ms / 10).max(200).min(self.timeouts.connect_ms);
        CallTimeouts { connect_ms, ..self.timeouts }
    }

    /// Timeouts of a cheap question to a server, whose answers took that long lately, in ms; `None` if that is unknown.
    #[must_use]
    pub fn probe_timeouts(&self, usual_ms: Option<u64>) -> CallTimeouts {
        let CallTimeouts { connect_ms, response_ms } = self.timeouts;
        let probe_ms =
            usual_ms.map_or(response_ms, |usual_ms| usual_ms.saturating_mul(PROBE_FACTOR));
        let probe_ms = probe_ms.max(MIN_PROBE_MS);
        CallTimeouts {
            connect_ms: connect_ms.min(probe_ms),
            response_ms: response_ms.min(probe_ms),
        }
    }

    /// The host at which servers reach the balancer, for a tenant of that name or for all; `None` if it is unknown.
    #[must_use]
    pub fn public_host(&self, tenant_name: Option<&str>) -> Option<String> {
        let url_host = self.url_host.as_ref()?;
        Some(match tenant_name {
            Some(name) => format!("{name}.{url_host}"),
            None => url_host.clone(),
        })
    }

    /// How long a create without a body may take on one server, in ms.
    #[must_use]
    pub fn max_attempt_ms(&self) -> u64 {
        self.timeouts.connect_ms.saturating_add(self.timeouts.response_ms)
    }

    /// How long a create without a body may take, in ms, all attempts together: one server may be silent until its time is over,
    /// and another one take as long.
    #[must_use]
    pub fn max_create_ms(&self) -> u64 {
        self.max_attempt_ms().saturating_mul(2)
    }

    /// The key under which a meeting's history is kept.
    #[must_use]
    pub fn history_key(&self, key: &MeetingKey) -> MeetingKey {
        match self.history {
            HistoryMode::Pseudonymous => {
                pseudonymize_key(key, self.secrets.first().map_or("", String::as_str))
            }
            HistoryMode::On | HistoryMode::Off => key.clone(),
        }
    }
}
