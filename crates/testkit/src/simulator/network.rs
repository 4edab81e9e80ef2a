//! The network between one use case and the servers: it delivers calls with latency and faults, and
//! checks that no call is sent twice.

use std::sync::Arc;
use std::time::Duration;

use app::ports::{BackendCall, BackendResponse, BbbClient, CallError, PoolStore as _};
use async_trait::async_trait;
use bbb::Query;
use bbb::response::build_failure;
use bytes::Bytes;
use domain::health::ServerFailure;
use domain::{ServerId, Timestamp};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::checkers;
use super::entries::is_twin;
use super::fault_schedule::CallFault;
use super::mutant::Mutant;
use super::odd_answers::invert_counts;
use super::pending_creates::PendingCreate;
use super::replica_process::ReplicaProcess;
use super::server_speed::{CallWork, SLOW_MS};
use super::sim_run::SimRun;
use super::use_case::{UseCase, UseCaseKind, meeting_name};

/// Time until a connection is refused.
const REFUSED_MS: u64 = 2;
const BAD_GATEWAY_PAGE: &str =
    "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";

/// The client of BBB servers, for one use case.
#[derive(Clone)]
pub(crate) struct NetworkClient {
    sim: Arc<SimRun>,
    process: Arc<ReplicaProcess>,
    use_case: Arc<UseCase>,
}

/// A call that was sent and has not been answered yet.
#[derive(Clone)]
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
    work: CallWork,
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
            let (fault, work) = (Some(CallFault::Refused), CallWork::default());
            return CallConditions { fault, latency_ms, work };
        };
        sim_server.advance(now);
        let work = faults.draw_work(sim_server.speed, &sent.name);
        let down = sim_server.down_until.map(|_| CallFault::Refused);
        let fault = down.or_else(|| faults.draw_call_fault(self.process.replica, &sent.host, now));
        if let Some(fault) = fault {
            // The fault has an effect until the caller's timeout.
            let timed_out_at = now.plus_ms(i64::try_from(sent.response_ms).unwrap_or(0));
            if !fault.is_harmless() {
                sim_server.last_fault_at = sim_server.last_fault_at.max(Some(timed_out_at));
            }
            if sent.name == "create" {
                let id =
                    Query::parse(&sent.query).get("meetingID").unwrap_or_default().into_owned();
                let running = sim_server.meetings.get_mut(&id);
                running.into_iter().for_each(|sim_meeting| sim_meeting.has_lost_create = true);
            }
            drop((sim_servers, faults));
            self.sim.count_event(fault.name());
            self.sim.write_trace(|| {
                format!("{} {} {}: {fault:?}", self.use_case, sent.host, sent.name)
            });
        }
        CallConditions { fault, latency_ms, work }
    }

    /// Has the server execute the call, and returns the body of its response.
    fn deliver_call(&self, sent: &SentCall, arrived_at: Timestamp) -> Bytes {
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
            let result =
                checkers::foreign::check_left_alone(&self.sim, &self.use_case, &sent.host, &id);
            self.sim.record_check("foreign_meetings_are_left_alone", result);
        }
        let effect = {
            let mut sim_servers = self.sim.servers();
            let Some(sim_server) = sim_servers.get_mut(&sent.host) else {
                return Bytes::new();
            };
            let is_end_check = matches!(self.use_case.kind, UseCaseKind::Internal);
            let believes_reports = self.sim.store.mutant() == Some(Mutant::BelievesEndReports);
            if believes_reports && is_end_check && sent.name == "getMeetingInfo" {
                return Bytes::from(build_failure("notFound", "It is planted."));
            }
            let effect = sim_server.answer_call(&sent.name, &sent.query, arrived_at, now);
            if let Some(sim_meeting) =
                effect.started_meeting.as_ref().and_then(|key| sim_server.meetings.get_mut(&key.id))
            {
                sim_meeting.created_by = self.use_case.number;
                sim_meeting.is_revived = matches!(self.use_case.kind, UseCaseKind::Join(_));
                let claimed = &self.use_case.progress().claimed_servers;
                sim_meeting.is_of_repetition = !claimed.contains(&sent.host);
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
            let result =
                checkers::revivals::check_start(&self.sim, &self.use_case, &sent.host, key);
            self.sim.record_check("revivals_are_wanted", result);
            let result = checkers::start_and_end::check_voice_bridge(
                &self.sim,
                &self.use_case,
                &sent.host,
                key,
                arrived_at,
            );
            self.sim.record_check("new_meetings_have_their_number", result);
        }
        effect.body.into()
    }

    /// Has the server execute a create whose meeting exists only when its work is done. The server
    /// goes on with it when the caller gives up, but not when it crashes.
    async fn deliver_late(
        &self,
        sent: &SentCall,
        work: CallWork,
        until: Instant,
    ) -> Result<Bytes, CallError> {
        let (arrived_at, crashes) = (self.sim.now(), self.count_crashes(&sent.host));
        let (client, late) = (self.clone(), sent.clone());
        let delivery = tokio::spawn(async move {
            sleep(Duration::from_millis(work.ms)).await;
            let is_up = client.count_crashes(&late.host) == crashes;
            is_up.then(|| client.deliver_call(&late, arrived_at))
        });
        match timeout_at(until, delivery).await {
            Err(_) => Err(CallError::Timeout(sent.response_ms)),
            Ok(Ok(Some(body))) => Ok(body),
            Ok(_) => Err(CallError::ConnectionLost("reset by peer".to_owned())),
        }
    }

    fn count_crashes(&self, host: &str) -> u32 {
        self.sim.servers().get(host).map_or(0, |sim_server| sim_server.crashes)
    }

    async fn transmit(
        &self,
        sent: &SentCall,
        conditions: CallConditions,
    ) -> Result<BackendResponse, CallError> {
        let CallConditions { fault, latency_ms, work } = conditions;
        let sent_at = Instant::now();
        let timed_out_at = sent_at + Duration::from_millis(sent.response_ms);
        if fault == Some(CallFault::Refused) {
            sleep(Duration::from_millis(REFUSED_MS)).await;
            return Err(CallError::Unreachable("connection refused".to_owned()));
        }
        sleep(Duration::from_millis(latency_ms.div_ceil(2))).await;
        let is_executed = !matches!(fault, Some(CallFault::RequestLost | CallFault::ErrorPage));
        let body = match is_executed {
            true if work.has_late_effect => self.deliver_late(sent, work, timed_out_at).await?,
            true => self.deliver_call(sent, self.sim.now()),
            false => Bytes::new(),
        };
        let extra_ms = match fault {
            Some(CallFault::RequestLost | CallFault::ResponseLost) => u64::MAX,
            Some(CallFault::Slow(ms)) => ms,
            _ => 0,
        };
        let wait_ms = latency_ms.saturating_add(work.ms).saturating_add(extra_ms);
        let answered_at = sent_at + Duration::from_millis(wait_ms.min(sent.response_ms));
        sleep_until(answered_at).await;
        if wait_ms >= sent.response_ms {
            return Err(CallError::Timeout(sent.response_ms));
        }
        if work.ms >= SLOW_MS {
            self.count_slow_call(sent).await;
        }
        respond(sent, fault, body)
    }

    async fn count_slow_call(&self, sent: &SentCall) {
        let is_create = sent.name == "create";
        self.sim.count_event(if is_create { "slow creates" } else { "slow servers" });
        if is_create && self.has_mutant(Mutant::SuspectsSlowServers) {
            let failure = ServerFailure { at: self.sim.now(), reason: "slow".to_owned() };
            let thresholds = self.sim.scenario.policy().poll.thresholds;
            let id = ServerId(sent.host.clone());
            let _ = self.sim.store.record_failure(&id, &failure, thresholds).await;
            self.sim.check_store_change(&self.use_case, "record_failure").await;
        }
    }

    fn has_mutant(&self, mutant: Mutant) -> bool {
        self.sim.store.mutant() == Some(mutant)
    }

    /// Notes a create that is sent, and checks that none is under way elsewhere.
    fn note_create(&self, sent: &SentCall) -> PendingCreate {
        let id = Query::parse(&sent.query).get("meetingID").unwrap_or_default().into_owned();
        let result = checkers::slow_servers::check_made_once(&self.sim, &self.use_case, &sent.host);
        self.sim.record_check("slow_creates_are_made_once", result);
        self.sim.note_asked_create(&sent.host, &id);
        let create = PendingCreate {
            host: sent.host.clone(),
            sent_at: self.sim.now(),
            is_claimed: self.is_claimed_on(&sent.host),
        };
        self.use_case.progress().pending_creates.add(create.clone());
        create
    }

    /// Returns whether the meeting of the use case is claimed on a server by some create.
    fn is_claimed_on(&self, host: &str) -> bool {
        let expectations = self.sim.expectations();
        let record =
            self.use_case.kind.key().and_then(|key| expectations.last_snapshot.meeting(key));
        record.is_some_and(|record| record.server.0 == host && record.claim.is_some())
    }

    /// Returns what planted bugs make of a response.
    fn distort_response(&self, sent: &SentCall, response: BackendResponse) -> BackendResponse {
        let text = || String::from_utf8_lossy(&response.body).into_owned();
        let is_question = sent.name == "getMeetingInfo";
        match self.sim.store.mutant() {
            Some(Mutant::OverlooksTwins) if is_twin(&sent.host) => {
                let body = text().replace("</internalMeetingID>", "-twin</internalMeetingID>");
                BackendResponse { body: body.into(), ..response }
            }
            Some(Mutant::EndsFullerCopies) if is_question => {
                BackendResponse { body: invert_counts(&text()).into(), ..response }
            }
            _ => response,
        }
    }
}

/// Returns the response with its fault.
fn respond(
    sent: &SentCall,
    fault: Option<CallFault>,
    body: Bytes,
) -> Result<BackendResponse, CallError> {
    Ok(match fault {
        Some(CallFault::ConnectionBroken) => {
            return Err(CallError::ConnectionLost("reset by peer".to_owned()));
        }
        Some(CallFault::ErrorPage | CallFault::ErrorPageAfterEffect) => {
            to_response(502, BAD_GATEWAY_PAGE.into())
        }
        Some(CallFault::TruncatedBody) => to_response(200, body.slice(..body.len() / 2)),
        Some(CallFault::EmptyBody) => to_response(200, Bytes::new()),
        Some(CallFault::OddAnswer(part)) => {
            to_response(200, part.put_into(&sent.name, &String::from_utf8_lossy(&body)).into())
        }
        _ => to_response(200, body),
    })
}

fn to_response(status: u16, body: Bytes) -> BackendResponse {
    BackendResponse { status, location: None, body, date: None }
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
                self.deliver_call(&sent, self.sim.now());
            }
            Some(Mutant::WaitsForEver) => sent.response_ms = 300_000,
            _ => {}
        }
        let is_of_create = matches!(self.use_case.kind, UseCaseKind::Create(_));
        let is_question = sent.name == "getMeetingInfo";
        if self.has_mutant(Mutant::DoublesSlowCreates) && is_of_create && is_question {
            return Err(CallError::Timeout(0));
        }
        let create = (sent.name == "create").then(|| self.note_create(&sent));
        let conditions = self.draw_conditions(&sent);
        let response = self.transmit(&sent, conditions).await;
        if let Some(create) = create {
            self.use_case.progress().pending_creates.remove(&create);
        }
        response.map(|response| self.distort_response(&sent, response))
    }
}
