//! Runs jobs again and again until the process stops: when a job is due, which replica runs it,
//! what happens if it fails. The jobs themselves are in the other files of this directory.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use app::App;
use app::ports::{Clock, Entropy, JobClaim, PeriodicJobs, StoreError};
use app::state::{FailureLog, FailureNote};
use domain::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Longest random time that is added to every wait, so that replicas do not claim a run at the same
/// moment.
const MAX_JITTER: Duration = Duration::from_millis(100);
/// Longest wait for a run of another replica to end its interval. A clock that is set back delays a
/// shared job by no more than this.
const MAX_CLAIM_WAIT: Duration = Duration::from_secs(600);

/// When a job runs.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// The name under which replicas claim runs of a shared job.
    pub name: &'static str,
    /// Log message for a run that failed.
    pub failure: &'static str,
    /// Time between two runs. A shared job starts once in this time, among all replicas; any other
    /// job waits this long after each of its runs.
    pub interval: Duration,
    /// Wait before the first run.
    pub initial_delay: Duration,
    /// Wait after a run that failed.
    pub retry_delay: Duration,
    /// Whether replicas share the job: one of them runs it in each interval.
    pub shared: bool,
    /// Whether a run is aborted when the process stops, instead of finished.
    pub interruptible: bool,
}

/// When a job runs next, after a run that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextRun {
    /// As the schedule says.
    Scheduled,
    /// After this time. A shared job keeps the claim of the run that ended.
    After(Duration),
    /// Never: the job is done.
    Never,
}

/// The result of a run. The error is logged.
pub type JobResult = Result<NextRun, Box<dyn Error + Send + Sync>>;

/// Work that is done again and again.
pub trait PeriodicJob: Send + 'static {
    /// When it runs. Read once, before the first run.
    fn schedule(&self) -> Schedule;

    /// Runs the job once. `run_number` counts the runs of a shared job among all replicas; it is 0
    /// for any other job.
    fn run(&mut self, run_number: u64) -> impl Future<Output = JobResult> + Send;

    /// Work that precedes every claim of a shared job, also if another replica gets the run.
    fn before_claim(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Returns when something happened that makes the job due before its time.
    fn wake_up(&mut self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}

/// Starts jobs that run until the process stops.
#[derive(Clone)]
pub struct JobRunner {
    periodic_jobs: Arc<dyn PeriodicJobs>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    stop: watch::Receiver<bool>,
}

impl JobRunner {
    /// A runner whose jobs end when `stop` becomes true.
    pub fn new(app: &App, stop: watch::Receiver<bool>) -> Self {
        Self {
            periodic_jobs: app.periodic_jobs.clone(),
            clock: app.clock.clone(),
            entropy: app.entropy.clone(),
            stop,
        }
    }

    /// Starts a job in a task of its own, which ends when the process stops.
    pub fn start(&self, job: impl PeriodicJob) -> JoinHandle<()> {
        let running = RunningJob {
            runner: self.clone(),
            schedule: job.schedule(),
            job,
            kept_claim: None,
            failures: FailureLog::default(),
        };
        tokio::spawn(running.run_until_stop())
    }

    /// Waits until the process stops.
    async fn stopped(&self) {
        // An error means that the sender is gone, which also ends the process.
        let _ = self.stop.clone().wait_for(|stop| *stop).await;
    }

    fn jitter(&self) -> Duration {
        MAX_JITTER.mul_f64(self.entropy.generate_fraction())
    }
}

/// The right of this replica to run a job.
#[derive(Clone, Copy, Debug)]
struct RunClaim {
    run_number: u64,
    claimed_at: Timestamp,
}

struct RunningJob<J> {
    runner: JobRunner,
    schedule: Schedule,
    job: J,
    /// The claim of the last run, if it covers the next one as well.
    kept_claim: Option<RunClaim>,
    /// What the log has told of failures.
    failures: FailureLog,
}

impl<J: PeriodicJob> RunningJob<J> {
    async fn run_until_stop(mut self) {
        let delay = self.schedule.initial_delay;
        if !delay.is_zero() && !self.wait(delay).await {
            return;
        }
        while let Some(delay) = self.attempt_until_stop().await {
            if !self.wait(delay).await {
                return;
            }
        }
    }

    /// Waits for that time, or until something makes the job due. Returns false if the process stops.
    async fn wait(&mut self, delay: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.runner.stopped() => false,
            () = tokio::time::sleep(delay + self.runner.jitter()) => true,
            () = self.job.wake_up() => true,
        }
    }

    /// Like [`Self::attempt`], but returns `None` as soon as the process stops if the schedule says
    /// that runs are aborted then.
    async fn attempt_until_stop(&mut self) -> Option<Duration> {
        if !self.schedule.interruptible {
            return self.attempt().await;
        }
        let runner = self.runner.clone();
        tokio::select! {
            biased;
            () = runner.stopped() => None,
            delay = self.attempt() => delay,
        }
    }

    /// Runs the job, if no other replica has the current run. Returns how long to wait before the
    /// next attempt; `None` if the job is done.
    async fn attempt(&mut self) -> Option<Duration> {
        let claim = match self.claim().await {
            Ok(Ok(claim)) => claim,
            Ok(Err(due)) => return Some(self.time_until(due)),
            Err(error) => return Some(self.delay_after_failure(&error)),
        };
        let result = self.job.run(claim.run_number).await;
        if result.is_ok()
            && let Some(past) = self.failures.note_success(Instant::now())
        {
            let (job, lasted_s) = (self.schedule.name, past.lasted.as_secs());
            tracing::info!(job, lasted_s, failures = past.count, "job works again");
        }
        match result {
            Ok(NextRun::Scheduled) if self.schedule.shared => {
                Some(self.time_until(claim.claimed_at.plus_ms(to_ms(self.schedule.interval))))
            }
            Ok(NextRun::Scheduled) => Some(self.schedule.interval),
            Ok(NextRun::After(delay)) => {
                self.kept_claim = Some(claim);
                Some(delay)
            }
            Ok(NextRun::Never) => None,
            Err(error) => Some(self.delay_after_failure(error.as_ref())),
        }
    }

    /// Claims the current run. If another replica has it, returns the time when the next one is due.
    async fn claim(&mut self) -> Result<Result<RunClaim, Timestamp>, StoreError> {
        if let Some(claim) = self.kept_claim.take() {
            return Ok(Ok(claim));
        }
        if !self.schedule.shared {
            return Ok(Ok(RunClaim { run_number: 0, claimed_at: self.runner.clock.now() }));
        }
        self.job.before_claim().await?;
        let Schedule { name, interval, .. } = self.schedule;
        let claimed_at = self.runner.clock.now();
        let periodic_jobs = &self.runner.periodic_jobs;
        Ok(match periodic_jobs.claim_run(name, claimed_at, to_ms(interval)).await? {
            JobClaim::Claimed(run_number) => Ok(RunClaim { run_number, claimed_at }),
            JobClaim::NotBefore(due) => Err(due),
        })
    }

    /// The time until then, but not more than an interval.
    fn time_until(&self, due: Timestamp) -> Duration {
        let wait_ms = u64::try_from(due.ms_since(self.runner.clock.now())).unwrap_or(0);
        Duration::from_millis(wait_ms).min(self.schedule.interval).min(MAX_CLAIM_WAIT)
    }

    /// Logs a failure when it begins and once an hour.
    fn delay_after_failure(&mut self, error: &(dyn Error + 'static)) -> Duration {
        let Schedule { name: job, failure, .. } = self.schedule;
        match self.failures.note_failure(Instant::now()) {
            FailureNote::First => tracing::error!(job, %error, "{failure}"),
            FailureNote::Reminder(past) => {
                let (lasted_s, failures) = (past.lasted.as_secs(), past.count);
                tracing::error!(job, %error, lasted_s, failures, "{failure}");
            }
            FailureNote::Silent => tracing::debug!(job, %error, "{failure}"),
        }
        self.schedule.retry_delay
    }
}

fn to_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use app::memory::{CountingEntropy, MemoryPoolStore};
    use tokio::sync::Notify;
    use tokio::time::sleep;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    /// What the fixed entropy of the tests adds to every wait.
    const JITTER: Duration = Duration::from_millis(50);

    /// The time of the runtime, which tests pause.
    struct RuntimeClock(Instant);

    impl Clock for RuntimeClock {
        fn now(&self) -> Timestamp {
            Timestamp(to_ms(self.0.elapsed()))
        }
    }

    /// Seconds since the start of the test at which a job ran, rounded down.
    #[derive(Clone)]
    struct RunTimes(Instant, Arc<Mutex<Vec<u64>>>);

    impl RunTimes {
        fn record(&self) -> usize {
            let mut times = self.1.lock().unwrap();
            times.push(self.0.elapsed().as_secs());
            times.len()
        }

        fn seconds(&self) -> Vec<u64> {
            self.1.lock().unwrap().clone()
        }
    }

    struct TestJob {
        schedule: Schedule,
        times: RunTimes,
        /// The result of the run with that index, counted from 1.
        result: fn(usize) -> JobResult,
        takes: Duration,
        arrival: Arc<Notify>,
    }

    impl PeriodicJob for TestJob {
        fn schedule(&self) -> Schedule {
            self.schedule
        }

        async fn run(&mut self, _run_number: u64) -> JobResult {
            let count = self.times.record();
            sleep(self.takes).await;
            (self.result)(count)
        }

        async fn wake_up(&mut self) {
            self.arrival.notified().await;
        }
    }

    struct Fixture {
        times: RunTimes,
        stopper: watch::Sender<bool>,
        runner: JobRunner,
    }

    impl Fixture {
        fn new() -> Self {
            let (stopper, stop) = watch::channel(false);
            let started = Instant::now();
            let runner = JobRunner {
                periodic_jobs: Arc::new(MemoryPoolStore::default()),
                clock: Arc::new(RuntimeClock(started)),
                entropy: Arc::new(CountingEntropy::default()),
                stop,
            };
            Self { times: RunTimes(started, Arc::default()), stopper, runner }
        }

        fn job(&self, shared: bool) -> TestJob {
            let schedule = Schedule {
                name: "test",
                failure: "test failed",
                interval: MINUTE,
                initial_delay: Duration::ZERO,
                retry_delay: Duration::from_secs(5),
                shared,
                interruptible: false,
            };
            TestJob {
                schedule,
                times: self.times.clone(),
                result: |_| Ok(NextRun::Scheduled),
                takes: Duration::from_secs(10),
                arrival: Arc::default(),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_of_its_own_waits_an_interval_after_each_run() {
        let test = Fixture::new();
        test.runner.start(test.job(false));
        sleep(MINUTE * 3).await;
        assert_eq!(test.times.seconds(), [0, 70, 140]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shared_job_starts_once_an_interval_among_all_replicas() {
        let test = Fixture::new();
        for _ in 0..3 {
            test.runner.start(test.job(true));
        }
        sleep(MINUTE * 3).await;
        assert_eq!(test.times.seconds(), [0, 60, 120]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_kept_claim_needs_no_new_interval() {
        let test = Fixture::new();
        let result =
            |count| Ok(if count < 3 { NextRun::After(Duration::ZERO) } else { NextRun::Scheduled });
        test.runner.start(TestJob { result, ..test.job(true) });
        sleep(MINUTE * 2).await;
        assert_eq!(test.times.seconds(), [0, 10, 20, 60]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_run_is_repeated_and_a_finished_job_is_not() {
        let test = Fixture::new();
        let result = |count| if count < 2 { Err("no".into()) } else { Ok(NextRun::Never) };
        let task = test.runner.start(TestJob { result, ..test.job(false) });
        task.await.unwrap();
        assert_eq!(test.times.seconds(), [0, 15]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_makes_a_job_due() {
        let test = Fixture::new();
        let job = test.job(false);
        let arrival = job.arrival.clone();
        test.runner.start(job);
        sleep(Duration::from_secs(20)).await;
        arrival.notify_one();
        sleep(Duration::from_secs(20)).await;
        assert_eq!(test.times.seconds(), [0, 20]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_waits_and_interruptible_runs() {
        for (interruptible, seconds) in [(false, 10), (true, 5)] {
            let test = Fixture::new();
            let mut job = test.job(false);
            job.schedule.interruptible = interruptible;
            let task = test.runner.start(job);
            sleep(Duration::from_secs(5)).await;
            test.stopper.send_replace(true);
            task.await.unwrap();
            assert_eq!(test.times.0.elapsed().as_secs(), seconds);
            assert_eq!(test.times.seconds(), [0]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_run_may_be_delayed() {
        let test = Fixture::new();
        let mut job = test.job(false);
        job.schedule.initial_delay = Duration::from_secs(5);
        test.runner.start(job);
        sleep(Duration::from_secs(5)).await;
        assert_eq!(test.times.seconds(), [0; 0]);
        sleep(JITTER).await;
        tokio::task::yield_now().await;
        assert_eq!(test.times.seconds(), [5]);
    }
}
