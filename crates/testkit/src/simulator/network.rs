//! The network between one use case and the servers: it delivers calls with latency and faults, and
//! checks that no call is sent twice.

use std::sync::Arc;
use std::time::Duration;

use app::ports::{BackendCall, BackendResponse, BbbClient, CallError};
use async_trait::async_trait;
use bbb::Query;
use bytes::Bytes;
use tokio::time::sleep;

use super::checkers;
use super::fault_schedule::CallFault;
use super::mutant::Mutant;
use super::replica_process::ReplicaProcess;
use super::sim_run::SimRun;
use super::use_case::{UseCase, UseCaseKind, meeting_name};

/// Time until a connection is refused.
const REFUSED_MS: u64 = 2;
const BAD_GATEWAY_PAGE: &str =
    "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";

/// The client of BBB servers, for one use case.
pub(crate) struct NetworkClient {
    sim: Arc<SimRun>,
    process: Arc<ReplicaProcess>,
    use_case: Arc<UseCase>,
}

/// A call that was sent and has not been answered yet.
struct SentCall {
    host: String,
    name: String,
    query: String,
    /// How long the caller waits for the response.
    response_ms: u64,
}

/// What the network does to a call.
#[derive(Clone, Copy)]
struct CallConditions {
    fault: Option<CallFault>,
    latency_ms: u64,
}

impl NetworkClient {
    /// Returns the client for this use case.
    #[must_use]
    pub(crate) fn new(
        sim: Arc<SimRun>,
        process: Arc<ReplicaProcess>,
        use_case: Arc<UseCase>,
    ) -> Self {
        Self { sim, process, use_case }
    }

    fn check_not_repeated(&self, sent: &SentCall) {
        let subject = match (sent.name.as_str(), &self.use_case.kind) {
            // Polls may be repeated, since the answer depends on the time. An unwanted meeting may be
            // ended by every part of a use case that finds it.
            ("getMeetings" | "isMeetingRunning" | "", _) => return,
            // The balancer asks for a meeting again before it ends it or records it as over.
            ("getMeetingInfo", kind) if !matches!(kind, UseCaseKind::GetMeetingInfo(_)) => return,
            ("end", kind) if !matches!(kind, UseCaseKind::End(_)) => return,
            ("create", _) => Query::parse(&sent.query).get("meetingID").unwrap_or_default().into(),
            _ => sent.query.clone(),
        };
        let call = (sent.host.clone(), sent.name.clone(), subject);
        let is_first = self.use_case.progress().sent_calls.insert(call);
        // `create` is idempotent in BBB, so it may be repeated.
        let result = if is_first || sent.name == "create" {
            Ok(())
        } else {
            Err(format!("{} sent {} to {} twice", self.use_case, sent.name, sent.host))
        };
        self.sim.record_check("nothing_is_sent_twice", result);
    }

    /// Draws latency and fault of a call that is sent now.
    fn draw_conditions(&self, sent: &SentCall) -> CallConditions {
        let now = self.sim.now();
        let mut sim_servers = self.sim.servers();
        let mut faults = self.sim.faults();
        let latency_ms = faults.draw_latency_ms();
        let Some(sim_server) = sim_servers.get_mut(&sent.host) else {
            return CallConditions { fault: Some(CallFault::Refused), latency_ms };
        };
        sim_server.advance(now);
        let down = sim_server.down_until.map(|_| CallFault::Refused);
        let fault = down.or_else(|| faults.draw_call_fault(self.process.replica, &sent.host, now));
        if let Some(fault) = fault {
            // The fault has an effect until the caller's timeout.
            let timed_out_at = now.plus_ms(i64::try_from(sent.response_ms).unwrap_or(0));
            sim_server.last_fault_at = sim_server.last_fault_at.max(Some(timed_out_at));
            drop((sim_servers, faults));
            self.sim.count_event(fault.name());
            self.sim.write_trace(|| {
                format!("{} {} {}: {fault:?}", self.use_case, sent.host, sent.name)
            });
        }
        CallConditions { fault, latency_ms }
    }

    /// Has the server execute the call, and returns the body of its response.
    fn deliver_call(&self, sent: &SentCall) -> Bytes {
        let now = self.sim.now();
        if sent.name == "end" {
            let id = Query::parse(&sent.query).get("meetingID").unwrap_or_default().into_owned();
            let result =
                checkers::start_and_end::check_may_end(&self.sim, &self.use_case, &sent.host, &id);
            self.sim.record_check("acknowledged_meetings_are_not_ended", result);
            let result = checkers::ends::check_proof(&self.sim, &self.use_case, &sent.host, &id);
            self.sim.record_check("ends_are_proven", result);
            let result = checkers::ends::check_copies(&self.sim, &self.use_case, &sent.host, &id);
            self.sim.record_check("only_and_fuller_copies_are_not_ended", result);
        }
        let effect = {
            let mut sim_servers = self.sim.servers();
            let Some(sim_server) = sim_servers.get_mut(&sent.host) else {
                return Bytes::new();
            };
            let effect = sim_server.answer_call(&sent.name, &sent.query, now);
            if let Some(sim_meeting) =
                effect.started_meeting.as_ref().and_then(|key| sim_server.meetings.get_mut(&key.id))
            {
                sim_meeting.created_by = self.use_case.number;
            }
            effect
        };
        if let Some(key) = &effect.started_meeting {
            self.sim.count_event("meetings started");
            self.sim.write_trace(|| {
                format!("{} started {} on {}", self.use_case, meeting_name(key), sent.host)
            });
            let result = checkers::start_and_end::check_server_enabled(
                &self.sim,
                &self.use_case,
                &sent.host,
            );
            self.sim.record_check("new_meetings_are_on_open_servers", result);
            let result = checkers::start_and_end::check_voice_bridge(
                &self.sim,
                &self.use_case,
                &sent.host,
                key,
            );
            self.sim.record_check("new_meetings_have_their_number", result);
        }
        effect.body.into()
    }

    async fn transmit(
        &self,
        sent: &SentCall,
        conditions: CallConditions,
    ) -> Result<BackendResponse, CallError> {
        let CallConditions { fault, latency_ms } = conditions;
        let request_latency = Duration::from_millis(latency_ms.div_ceil(2));
        let timeout = || CallError::Timeout(sent.response_ms);
        let broken = || CallError::ConnectionLost("reset by peer".to_owned());
        if fault == Some(CallFault::Refused) {
            sleep(Duration::from_millis(REFUSED_MS)).await;
            return Err(CallError::Unreachable("connection refused".to_owned()));
        }
        sleep(request_latency).await;
        let is_executed = !matches!(
            fault,
            Some(CallFault::RequestLost | CallFault::ErrorPage | CallFault::Refused)
        );
        let body = if is_executed { self.deliver_call(sent) } else { Bytes::new() };
        let extra_ms = match fault {
            Some(CallFault::RequestLost | CallFault::ResponseLost) => u64::MAX,
            Some(CallFault::Slow(ms)) => ms,
            _ => 0,
        };
        let wait_ms = latency_ms.saturating_add(extra_ms);
        sleep(Duration::from_millis(wait_ms.min(sent.response_ms)).saturating_sub(request_latency))
            .await;
        if wait_ms >= sent.response_ms {
            return Err(timeout());
        }
        match fault {
            Some(CallFault::ConnectionBroken) => Err(broken()),
            Some(CallFault::ErrorPage | CallFault::ErrorPageAfterEffect) => {
                Ok(to_response(502, BAD_GATEWAY_PAGE.into()))
            }
            Some(CallFault::TruncatedBody) => Ok(to_response(200, body.slice(..body.len() / 2))),
            Some(CallFault::EmptyBody) => Ok(to_response(200, Bytes::new())),
            _ => Ok(to_response(200, body)),
        }
    }
}

fn to_response(status: u16, body: Bytes) -> BackendResponse {
    BackendResponse { status, body, date: None }
}

/// Splits the URL of a call into host, name and query.
fn parse_call(call: &BackendCall) -> Option<SentCall> {
    let rest = call.url.strip_prefix("http://")?;
    let (host, path) = rest.split_once("/bigbluebutton/api")?;
    let (name, query) = path.split_once('?').unwrap_or((path, ""));
    Some(SentCall {
        host: host.to_owned(),
        name: name.trim_start_matches('/').to_owned(),
        query: query.to_owned(),
        response_ms: call.timeouts.response_ms,
    })
}

#[async_trait]
impl BbbClient for NetworkClient {
    async fn send_call(&self, call: BackendCall) -> Result<BackendResponse, CallError> {
        let Some(mut sent) = parse_call(&call) else {
            return Err(CallError::Unreachable("unknown address".to_owned()));
        };
        if !self.process.is_alive() {
            return Err(CallError::ConnectionLost("crashed".to_owned()));
        }
        self.check_not_repeated(&sent);
        match self.sim.store.mutant() {
            Some(Mutant::SendsTwice) if sent.name == "end" => {
                self.check_not_repeated(&sent);
                self.deliver_call(&sent);
            }
            Some(Mutant::WaitsForEver) => sent.response_ms = 300_000,
            _ => {}
        }
        let conditions = self.draw_conditions(&sent);
        self.transmit(&sent, conditions).await
    }
}
