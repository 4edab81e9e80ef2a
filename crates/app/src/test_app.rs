//! An application for tests of use cases: one store in memory, and servers that answer as a script
//! says. Its clock is tokio's, which tests pause.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bbb::Query;
use bbb::response::build_success;
use bbb::{Algorithm, Algorithms};
use domain::health::Thresholds;
use domain::history::HistoryMode;
use domain::load::LoadPolicy;
use domain::parameters::ParameterRules;
use domain::placement::PlacementRules;
use domain::poll::PollPolicy;
use domain::voice_bridge::VoiceBridgePolicy;
use domain::{AdminState, Meeting, MeetingKey, Server, ServerId, Timestamp};
use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep};

use crate::context::App;
use crate::memory::{CountingEntropy, MemoryBlobs, MemoryPoolStore, PlainSealer};
use crate::policy::{DialInRules, Policy, RecordingRules};
use crate::ports::{
    BackendCall, BackendResponse, BbbClient, CallError, CallTimeouts, CallbackClient,
    CallbackClientError, CallbackRequest, Clock,
};
use crate::tenancy::TenantCache;

/// When the tests begin.
pub(crate) const START: Timestamp = Timestamp(1_800_000_000_000);

/// A call as a script sees it: host name, name of the call, and id of the meeting.
pub(crate) type ScriptedCall<'a> = (&'a str, &'a str, &'a str);
/// The body of an answer and the time that it takes, in ms; `None` for no answer.
pub(crate) type ScriptedAnswer = Option<(String, u64)>;
type Script = Box<dyn Fn(ScriptedCall<'_>) -> ScriptedAnswer + Send + Sync>;

/// Servers that answer as a script says.
pub(crate) struct ScriptedServers {
    script: Script,
    calls: Mutex<Vec<String>>,
}

impl ScriptedServers {
    /// Returns the calls so far, each as host name and name of the call.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

#[async_trait]
impl BbbClient for ScriptedServers {
    async fn send_call(&self, call: BackendCall) -> Result<BackendResponse, CallError> {
        let rest = call.url.strip_prefix("http://").unwrap();
        let (host, path) = rest.split_once("/bigbluebutton/api").unwrap();
        let (name, query) = path.split_once('?').unwrap_or((path, ""));
        // A question for the index names no call.
        let name = name.trim_start_matches('/');
        let id = Query::parse(query).get("meetingID").unwrap_or_default().into_owned();
        self.calls.lock().unwrap().push(format!("{host} {name}"));
        match (self.script)((host, name, &id)) {
            Some((body, ms)) => {
                sleep(Duration::from_millis(ms)).await;
                Ok(BackendResponse { status: 200, body: body.into(), date: None, location: None })
            }
            None => {
                sleep(Duration::from_millis(call.timeouts.response_ms)).await;
                Err(CallError::Timeout(call.timeouts.response_ms))
            }
        }
    }
}

/// tokio's clock as that of the application.
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        START.plus_ms(i64::try_from(self.0.elapsed().as_millis()).unwrap())
    }
}

struct NoCallbacks;

#[async_trait]
impl CallbackClient for NoCallbacks {
    async fn send_callback(&self, _: CallbackRequest) -> Result<u16, CallbackClientError> {
        Err(CallbackClientError::Refused("no callbacks in this test".to_owned()))
    }
}

/// The settings of these applications.
pub(crate) fn test_policy() -> Policy {
    Policy {
        secrets: vec!["front-end".to_owned()],
        algorithms: Algorithms::default(),
        signing_algorithm: Algorithm::Sha256,
        accepts_form_checksums: false,
        url_host: None,
        tells_ends: false,
        build_number: None,
        multitenancy: false,
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
            use_external: false,
        },
        dial_in: DialInRules { password: None, max_duration_min: None, max_wrong_pins: 5 },
        poll: PollPolicy {
            thresholds: Thresholds { healthy: 1, unhealthy: 2 },
            load: LoadPolicy { min_user_count: 15, join_buffer_ms: 900_000 },
            grace_ms: 30_000,
            max_adoptions: 1_000,
        },
        placement: PlacementRules::default(),
        history: HistoryMode::On,
        timeouts: CallTimeouts { connect_ms: 5_000, response_ms: 10_000 },
        poll_timeout_ms: 10_000,
        poll_concurrency: 50,
        max_duplicate_ends_per_hour: 100,
        max_listed_meetings: 1_000,
        max_list_bytes: 1 << 20,
        meeting_ttl_ms: 86_400_000,
        revival_window_ms: 0,
        max_upload_ms: 300_000,
    }
}

/// Returns an application on a store in memory, without recordings.
pub(crate) fn app_with(
    store: Arc<MemoryPoolStore>,
    bbb: Arc<dyn BbbClient>,
    clock: Arc<dyn Clock>,
    policy: Policy,
) -> App {
    let (create, join) = (policy.create_rules.clone(), policy.join_rules.clone());
    App {
        pool: store.clone(),
        kept_creates: store.clone(),
        history: store.clone(),
        forecast: Arc::default(),
        server_backup: Arc::default(),
        known_claims: Arc::default(),
        session_budget: Arc::default(),
        known_twins: Arc::default(),
        meters: Arc::default(),
        change_budgets: Arc::default(),
        response_times: Arc::default(),
        revivals: Arc::default(),
        suspect_checks: Arc::default(),
        wrong_pins: Arc::default(),
        keycloak_tokens: Arc::default(),
        odd_answers: Arc::default(),
        shared_lists: Arc::default(),
        known_hosts: Arc::default(),
        failing_recipients: Arc::default(),
        periodic_jobs: store.clone(),
        samples: store.clone(),
        tenants: store.clone(),
        tenant_cache: Arc::new(TenantCache::new(store.clone(), create, join)),
        recording_store: None,
        blobs: Arc::new(MemoryBlobs::default()),
        tokens: store.clone(),
        management_tokens: store.clone(),
        token_cache: Arc::default(),
        audit: store.clone(),
        audit_queue: Arc::default(),
        requests: store.clone(),
        drains: store,
        sealer: Arc::new(PlainSealer),
        bbb,
        callback_client: Arc::new(NoCallbacks),
        clock,
        clock_watch: Arc::default(),
        entropy: Arc::new(CountingEntropy::default()),
        policy: Arc::new(policy),
    }
}

/// Returns an application with these servers, each enabled and online, and what answers for them.
pub(crate) async fn test_app(
    servers: &[&str],
    script: impl Fn(ScriptedCall<'_>) -> ScriptedAnswer + Send + Sync + 'static,
) -> (App, Arc<ScriptedServers>) {
    let store = Arc::new(MemoryPoolStore::default());
    let bbb = Arc::new(ScriptedServers { script: Box::new(script), calls: Mutex::default() });
    let clock = Arc::new(TokioClock(Instant::now()));
    let app = app_with(store, bbb.clone(), clock, test_policy());
    for host in servers {
        app.pool.add_server(test_server(host)).await.unwrap();
    }
    (app, bbb)
}

/// Returns what [`test_app`] does, with a script that can change the store in the middle of a call.
pub(crate) async fn test_app_with_changes(
    servers: &[&str],
    script: impl Fn(&App, ScriptedCall<'_>) -> ScriptedAnswer + Send + Sync + 'static,
) -> (App, Arc<ScriptedServers>) {
    let application: Arc<OnceLock<App>> = Arc::default();
    let known = application.clone();
    let (app, scripted) = test_app(servers, move |call| script(known.get()?, call)).await;
    assert!(application.set(app.clone()).is_ok());
    (app, scripted)
}

/// Records this meeting in place of the one that is recorded on that server.
pub(crate) fn replace_record(app: &App, server: &str, meeting: &Meeting) {
    let id = ServerId(server.to_owned());
    let forgotten = app.pool.forget_meeting(&meeting.key, &id, None, None).now_or_never();
    assert!(forgotten.is_some_and(|forgotten| forgotten.is_ok()));
    assert!(app.pool.restore_meeting(meeting).now_or_never().is_some());
}

/// Returns a server that is enabled and online; its host name is its id.
pub(crate) fn test_server(host: &str) -> Server {
    let url = format!("http://{host}/bigbluebutton/api");
    let mut server = Server::new(ServerId(host.to_owned()), url, "secret".to_owned());
    server.state = AdminState::Enabled;
    server.health.online = true;
    server.load = Some(0.0);
    server
}

/// Returns a meeting that is recorded on a server.
pub(crate) fn test_meeting(tenant: Option<&str>, id: &str, server: &str) -> Meeting {
    Meeting {
        key: MeetingKey { tenant: tenant.map(str::to_owned), id: id.to_owned() },
        server: ServerId(server.to_owned()),
        placed_at: START,
        seen_at: START,
        ..Meeting::default()
    }
}

/// Returns an answer to getMeetingInfo about a meeting with this internalMeetingID and so many users.
pub(crate) fn meeting_info(internal_id: &str, users: u32) -> ScriptedAnswer {
    let users = users.to_string();
    let fields =
        [("internalMeetingID", internal_id), ("createTime", "5"), ("participantCount", &users)];
    Some((build_success(&fields), 10))
}
