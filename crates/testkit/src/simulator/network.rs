//! The line of one use case to the servers: it carries calls to them through the weather, and sees
//! to it that no call is sent twice.

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

/// How long it takes until a connection is refused.
const REFUSED_MS: u64 = 2;
const BAD_GATEWAY_PAGE: &str =
    "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";

/// A use case's line to the servers.
pub(crate) struct NetworkClient {
    sim: Arc<SimRun>,
    process: Arc<ReplicaProcess>,
    use_case: Arc<UseCase>,
}

/// A call on its way.
struct SentCall {
    host: String,
    call: String,
    query: String,
    response_ms: u64,
}

/// What the way does to a call.
#[derive(Clone, Copy)]
struct CallConditions {
    fault: Option<CallFault>,
    latency_ms: u64,
}

impl NetworkClient {
    /// The line of this use case.
    #[must_use]
    pub(crate) fn new(world: Arc<SimRun>, life: Arc<ReplicaProcess>, op: Arc<UseCase>) -> Self {
        Self { sim: world, process: life, use_case: op }
    }

    fn check_not_repeated(&self, wire: &SentCall) {
        let about = match (wire.call.as_str(), &self.use_case.kind) {
            // To look once more how a server is doing is another question at another time, and what is
            // not wanted on a server may be ended there by whoever notices.
            ("getMeetings" | "isMeetingRunning" | "", _) => return,
            // So does whoever asks before something is given up or ended.
            ("getMeetingInfo", kind) if !matches!(kind, UseCaseKind::GetMeetingInfo(_)) => return,
            ("end", kind) if !matches!(kind, UseCaseKind::End(_)) => return,
            ("create", _) => Query::parse(&wire.query).get("meetingID").unwrap_or_default().into(),
            _ => wire.query.clone(),
        };
        let sent = (wire.host.clone(), wire.call.clone(), about);
        let first = self.use_case.progress().sent_calls.insert(sent);
        // BBB takes the same create for one, so that it may be made again.
        let verdict = if first || wire.call == "create" {
            Ok(())
        } else {
            Err(format!("{} sent {} to {} twice", self.use_case, wire.call, wire.host))
        };
        self.sim.record_check("nothing_is_sent_twice", verdict);
    }

    /// What the weather does to a call that sets out now.
    fn draw_conditions(&self, wire: &SentCall) -> CallConditions {
        let now = self.sim.now();
        let mut machines = self.sim.servers();
        let mut weather = self.sim.faults();
        let latency_ms = weather.draw_latency_ms();
        let Some(machine) = machines.get_mut(&wire.host) else {
            return CallConditions { fault: Some(CallFault::Refused), latency_ms };
        };
        machine.advance(now);
        let down = machine.down_until.map(|_| CallFault::Refused);
        let fault = down.or_else(|| weather.draw_call_fault(self.process.replica, &wire.host, now));
        if let Some(fault) = fault {
            // What waits for an answer now is in trouble until it gives up.
            let given_up = now.plus_ms(i64::try_from(wire.response_ms).unwrap_or(0));
            machine.last_fault_at = machine.last_fault_at.max(Some(given_up));
            self.use_case.progress().server_failed = true;
            drop((machines, weather));
            self.sim.count_event(fault.name());
            self.sim.write_trace(|| {
                format!("{} {} {}: {fault:?}", self.use_case, wire.host, wire.call)
            });
        }
        CallConditions { fault, latency_ms }
    }

    /// The server does what it is asked.
    fn deliver_call(&self, wire: &SentCall) -> Bytes {
        let now = self.sim.now();
        if wire.call == "end" {
            let id = Query::parse(&wire.query).get("meetingID").unwrap_or_default().into_owned();
            let verdict =
                checkers::start_and_end::check_may_end(&self.sim, &self.use_case, &wire.host, &id);
            self.sim.record_check("promised_meetings_are_not_ended", verdict);
        }
        let done = {
            let mut machines = self.sim.servers();
            let Some(machine) = machines.get_mut(&wire.host) else {
                return Bytes::new();
            };
            let done = machine.answer_call(&wire.call, &wire.query, now);
            if let Some(room) =
                done.started_meeting.as_ref().and_then(|key| machine.meetings.get_mut(&key.id))
            {
                room.created_by = self.use_case.number;
            }
            done
        };
        if let Some(key) = &done.started_meeting {
            self.sim.count_event("meetings");
            self.sim.write_trace(|| {
                format!("{} began {} on {}", self.use_case, meeting_name(key), wire.host)
            });
            let verdict = checkers::start_and_end::check_server_enabled(
                &self.sim,
                &self.use_case,
                &wire.host,
            );
            self.sim.record_check("new_meetings_are_on_open_servers", verdict);
            let verdict = checkers::start_and_end::check_voice_bridge(
                &self.sim,
                &self.use_case,
                &wire.host,
                key,
            );
            self.sim.record_check("new_meetings_have_their_number", verdict);
        }
        done.body.into()
    }

    async fn transmit(
        &self,
        wire: &SentCall,
        passage: CallConditions,
    ) -> Result<BackendResponse, CallError> {
        let CallConditions { fault, latency_ms } = passage;
        let there = Duration::from_millis(latency_ms.div_ceil(2));
        let timeout = || CallError::Timeout(wire.response_ms);
        let broken = || CallError::ConnectionLost("reset by peer".to_owned());
        if fault == Some(CallFault::Refused) {
            sleep(Duration::from_millis(REFUSED_MS)).await;
            return Err(CallError::Unreachable("connection refused".to_owned()));
        }
        sleep(there).await;
        let acts = !matches!(
            fault,
            Some(CallFault::RequestLost | CallFault::ErrorPage | CallFault::Refused)
        );
        let body = if acts { self.deliver_call(wire) } else { Bytes::new() };
        let extra_ms = match fault {
            Some(CallFault::RequestLost | CallFault::ResponseLost) => u64::MAX,
            Some(CallFault::Slow(ms)) => ms,
            _ => 0,
        };
        let wait_ms = latency_ms.saturating_add(extra_ms);
        sleep(Duration::from_millis(wait_ms.min(wire.response_ms)).saturating_sub(there)).await;
        if wait_ms >= wire.response_ms {
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

/// Takes a URL apart.
fn parse_call(call: &BackendCall) -> Option<SentCall> {
    let rest = call.url.strip_prefix("http://")?;
    let (host, path) = rest.split_once("/bigbluebutton/api")?;
    let (name, query) = path.split_once('?').unwrap_or((path, ""));
    Some(SentCall {
        host: host.to_owned(),
        call: name.trim_start_matches('/').to_owned(),
        query: query.to_owned(),
        response_ms: call.timeouts.response_ms,
    })
}

#[async_trait]
impl BbbClient for NetworkClient {
    async fn send_call(&self, call: BackendCall) -> Result<BackendResponse, CallError> {
        let Some(mut wire) = parse_call(&call) else {
            return Err(CallError::Unreachable("no such address".to_owned()));
        };
        if !self.process.is_alive() {
            return Err(CallError::ConnectionLost("crashed".to_owned()));
        }
        self.check_not_repeated(&wire);
        match self.sim.store.mutant() {
            Some(Mutant::SendsTwice) if wire.call == "end" => {
                self.check_not_repeated(&wire);
                self.deliver_call(&wire);
            }
            Some(Mutant::WaitsForEver) => wire.response_ms = 300_000,
            _ => {}
        }
        let passage = self.draw_conditions(&wire);
        self.transmit(&wire, passage).await
    }
}
