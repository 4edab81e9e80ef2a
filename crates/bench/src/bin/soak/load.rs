//! The load: front-ends that create, join and end meetings, BBB servers that deliver recordings and fail, and an administrator who restarts replicas.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use bbb_sim::{BbbPool, FaultMode};
use testkit::product::{ClientResponse, exchange, new_request, signed_target};
use testkit::samples::SampleRecording;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::Replicas;

/// Calls that are open at the same time; more are not begun, and counted as left out.
const MAX_OPEN: usize = 2_000;
/// Users who join each meeting.
const JOINS: u32 = 2;
/// How often a meeting is ended, and the time between two tries: longer together than a failure of a server.
const MAX_ENDS: u32 = 12;
const END_PAUSE: Duration = Duration::from_secs(5);
/// How long clients wait.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// Time between two recordings, and how long one is kept.
const RECORDING_INTERVAL: Duration = Duration::from_secs(10);
const RECORDING_KEPT: Duration = Duration::from_secs(60);
/// Time between two failures of a server, and how long one lasts.
const FAILURE_INTERVAL: Duration = Duration::from_secs(45);
const FAILURE_TIME: Duration = Duration::from_secs(20);

/// What the load consists of.
#[derive(Clone, Debug)]
pub(crate) struct LoadPlan {
    pub(crate) creates_per_s: u32,
    pub(crate) meeting_time: Duration,
    pub(crate) restart_interval: Duration,
    pub(crate) spool: PathBuf,
}

/// What was measured since the last look.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Latencies in ms.
    pub(crate) creates: Vec<f64>,
    pub(crate) joins: Vec<f64>,
    pub(crate) failed: u64,
    pub(crate) left_out: u64,
}

/// What all clients share.
#[derive(Clone)]
struct Shared {
    ports: Arc<Vec<StdMutex<u16>>>,
    measured: Arc<StdMutex<Measured>>,
    open: Arc<Semaphore>,
    turn: Arc<AtomicU64>,
    stop: watch::Receiver<bool>,
}

/// All clients at work.
pub(crate) struct Clients {
    tasks: JoinSet<()>,
    stopper: watch::Sender<bool>,
    measured: Arc<StdMutex<Measured>>,
}

impl Clients {
    pub(crate) async fn start(plan: &LoadPlan, replicas: &Replicas, pool: &Arc<BbbPool>) -> Self {
        let (stopper, stop) = watch::channel(false);
        let mut ports = Vec::new();
        for replica in replicas.iter() {
            ports.push(StdMutex::new(replica.lock().await.port()));
        }
        let shared = Shared {
            ports: Arc::new(ports),
            measured: Arc::default(),
            open: Arc::new(Semaphore::new(MAX_OPEN)),
            turn: Arc::default(),
            stop,
        };
        let measured = shared.measured.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(create_meetings(shared.clone(), plan.clone()));
        tasks.spawn(deliver_recordings(shared.clone(), plan.spool.clone()));
        tasks.spawn(fail_servers(shared.clone(), pool.clone()));
        tasks.spawn(restart_replicas(shared, replicas.clone(), plan.restart_interval));
        Self { tasks, stopper, measured }
    }

    /// Takes what was measured since the last time.
    pub(crate) fn take_measured(&self) -> Measured {
        std::mem::take(&mut *self.measured.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) async fn stop(mut self) {
        let _ = self.stopper.send(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Shared {
    fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Sleeps; returns earlier at the end.
    async fn pause(&self, time: Duration) {
        let mut stop = self.stop.clone();
        let _ = timeout(time, stop.wait_for(|stop| *stop)).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a call to the replicas in turn, and to the next one if one does not answer, as a proxy in front does.
    async fn call(&self, name: &str, query: &str) -> Option<ClientResponse> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.ports.len() as u64;
        for attempt in 0..count.max(2) {
            let index = usize::try_from((first + attempt) % count).unwrap_or_default();
            let port = *self.ports[index].lock().unwrap_or_else(PoisonError::into_inner);
            let request = new_request("GET", &signed_target(name, query));
            if let Ok(Ok(response)) = timeout(CALL_TIMEOUT, exchange(port, &request)).await {
                return Some(response);
            }
            sleep(Duration::from_millis(200)).await;
        }
        None
    }
}

async fn create_meetings(shared: Shared, plan: LoadPlan) {
    let mut ticks = interval(Duration::from_secs(1) / plan.creates_per_s.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut meetings = JoinSet::new();
    let mut number = 0_u64;
    while !shared.is_stopped() {
        ticks.tick().await;
        while meetings.try_join_next().is_some() {}
        number += 1;
        match shared.open.clone().try_acquire_owned() {
            Ok(permit) => {
                let (shared, time) = (shared.clone(), plan.meeting_time);
                meetings.spawn(async move { live(&shared, number, time, permit).await });
            }
            Err(_) => shared.lock().left_out += 1,
        }
    }
    while meetings.join_next().await.is_some() {}
}

/// The life of a meeting.
async fn live(
    shared: &Shared,
    number: u64,
    time: Duration,
    permit: tokio::sync::OwnedSemaphorePermit,
) {
    let id = format!("soak-{number}");
    let begun = Instant::now();
    let created = shared.call("create", &format!("meetingID={id}&name=Soak")).await;
    let took_ms = begun.elapsed().as_secs_f64() * 1000.0;
    let succeeded = created.is_some_and(|response| response.xml_field("returncode") == "SUCCESS");
    if !succeeded {
        shared.lock().failed += 1;
        return;
    }
    shared.lock().creates.push(took_ms);
    for user in 0..JOINS {
        let begun = Instant::now();
        let query = format!("meetingID={id}&fullName=User+{user}&role=VIEWER");
        let joined = shared.call("join", &query).await;
        let took_ms = begun.elapsed().as_secs_f64() * 1000.0;
        let mut measured = shared.lock();
        match joined.is_some_and(|response| response.status == 302) {
            true => measured.joins.push(took_ms),
            false => measured.failed += 1,
        }
    }
    drop(permit);
    shared.pause(time).await;
    end(shared, &id).await;
}

/// Ends a meeting. A server that has just failed does not answer, and its meeting may be over already.
async fn end(shared: &Shared, id: &str) {
    for _ in 0..MAX_ENDS {
        let ended = shared.call("end", &format!("meetingID={id}")).await;
        let is_over = ended.is_some_and(|response| {
            response.xml_field("returncode") == "SUCCESS"
                || response.xml_field("messageKey") == "notFound"
        });
        if is_over || shared.is_stopped() {
            return;
        }
        shared.pause(END_PAUSE).await;
    }
}

async fn deliver_recordings(shared: Shared, spool: PathBuf) {
    let mut kept: Vec<(Instant, String)> = Vec::new();
    let mut number = 0;
    while !shared.is_stopped() {
        number += 1;
        let sample = SampleRecording::new(number);
        let name = format!("{}-presentation.tar", sample.record_id);
        let partial = spool.join(format!(".{name}"));
        let written = std::fs::write(&partial, sample.archive(&["presentation"]))
            .and_then(|()| std::fs::rename(&partial, spool.join(&name)));
        if let Err(error) = written {
            eprintln!("{name}: {error}");
        }
        kept.push((Instant::now(), sample.record_id.clone()));
        while kept.first().is_some_and(|(since, _)| since.elapsed() >= RECORDING_KEPT) {
            let (_, id) = kept.remove(0);
            let _ = shared.call("deleteRecordings", &format!("recordID={id}")).await;
        }
        shared.pause(RECORDING_INTERVAL).await;
    }
}

async fn fail_servers(shared: Shared, pool: Arc<BbbPool>) {
    let modes = [FaultMode::Refuse, FaultMode::Hang, FaultMode::Html];
    let mut round = 0;
    while !shared.is_stopped() {
        shared.pause(FAILURE_INTERVAL).await;
        let server = &pool.servers()[round % pool.servers().len()];
        server.set_fault(modes[round % modes.len()].clone());
        shared.pause(FAILURE_TIME).await;
        server.clear_fault();
        round += 1;
    }
}

async fn restart_replicas(shared: Shared, replicas: Replicas, time: Duration) {
    let mut round = 0;
    loop {
        shared.pause(time).await;
        if shared.is_stopped() {
            return;
        }
        let index = round % replicas.len();
        let mut replica = replicas[index].lock().await;
        // In turn in order and by force.
        if (round / replicas.len()).is_multiple_of(2) {
            let _ = replica.terminate().await;
            let _ = replica.wait_for_exit().await;
        }
        if let Err(error) = replica.restart().await {
            eprintln!("replica {index} does not start: {error:#}");
        }
        *shared.ports[index].lock().unwrap_or_else(PoisonError::into_inner) = replica.port();
        round += 1;
    }
}
