//! Load on something that answers: so many connections, each asking again as soon as it is answered.

use crate::client::{Connection, ExpectedResponse};
use crate::stopwatch::now;
use anyhow::{Context, ensure};
use http::Uri;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A connection that fails so often gives up.
const MAX_FAILURES: usize = 20;
/// A round that lasts so much longer than asked for is stuck.
const ROUND_TIMEOUT: Duration = Duration::from_secs(60);

/// A port of this machine and the requests for it, taken in turn by whoever asks next.
#[derive(Clone, Debug)]
pub(crate) struct RequestSource {
    port: u16,
    targets: Arc<[Uri]>,
    next: Arc<AtomicUsize>,
    is_single_pass: bool,
}

/// What is asked, by how many connections.
#[derive(Clone, Debug)]
pub(crate) struct RequestLoad {
    sources: Vec<RequestSource>,
    expected: ExpectedResponse,
    connections: usize,
}

/// What came of a round.
#[derive(Debug, Default)]
pub(crate) struct RoundResult {
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// How long each good answer took.
    pub(crate) latencies: Vec<Duration>,
    /// Requests without a good answer.
    pub(crate) failed: usize,
    /// What was wrong with one of those.
    pub(crate) failure_example: Option<String>,
}

impl RequestSource {
    /// Requests that may be asked again and again.
    pub(crate) fn repeating(port: u16, targets: Vec<Uri>) -> Self {
        Self::new(port, targets, false)
    }

    /// Requests that are asked once each; the round ends early when there are no more.
    pub(crate) fn single_pass(port: u16, targets: Vec<Uri>) -> Self {
        Self::new(port, targets, true)
    }

    fn new(port: u16, targets: Vec<Uri>, once: bool) -> Self {
        Self { port, targets: targets.into(), next: Arc::default(), is_single_pass: once }
    }

    fn next_target(&self) -> Option<Uri> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        if self.is_single_pass {
            return self.targets.get(n).cloned();
        }
        self.targets.get(n.checked_rem(self.targets.len())?).cloned()
    }
}

impl RequestLoad {
    /// The connections are dealt out to the aims in turn.
    pub(crate) fn new(
        aims: Vec<RequestSource>,
        expect: ExpectedResponse,
        connections: usize,
    ) -> Self {
        Self { sources: aims, expected: expect, connections }
    }

    /// Asks for so long. The connections are open before the clock starts.
    pub(crate) async fn run_round(&self, length: Duration) -> anyhow::Result<RoundResult> {
        let mut open = Vec::with_capacity(self.connections);
        for aim in self.sources.iter().cycle().take(self.connections) {
            open.push((Connection::open(aim.port).await?, aim.clone()));
        }
        let started = now();
        let deadline = started + length;
        let mut loops = JoinSet::new();
        for (connection, aim) in open {
            loops.spawn(run_connection(connection, aim, self.expected, deadline));
        }
        let mut round = RoundResult::default();
        let all = async {
            while let Some(part) = loops.join_next().await {
                round.merge(part?);
            }
            anyhow::Ok(())
        };
        let finished = timeout(length + ROUND_TIMEOUT, all).await;
        finished.context("some answers never came")??;
        round.elapsed = now() - started;
        Ok(round)
    }

    /// Asks everything that is asked once, and allows no failure.
    pub(crate) async fn send_all(&self) -> anyhow::Result<RoundResult> {
        let round = self.run_round(ROUND_TIMEOUT).await?;
        let complaint = round.failure_example.as_deref().unwrap_or_default();
        ensure!(round.failed == 0, "{} failed: {complaint}", round.failed);
        let wanted: usize = self.sources.iter().map(|aim| aim.targets.len()).sum();
        let answered = round.latencies.len();
        ensure!(answered == wanted, "only {answered} of {wanted} answered");
        Ok(round)
    }
}

/// One connection's part of a round.
async fn run_connection(
    mut connection: Connection,
    aim: RequestSource,
    expect: ExpectedResponse,
    deadline: Instant,
) -> RoundResult {
    let mut round = RoundResult::default();
    while now() < deadline && round.failed < MAX_FAILURES {
        let Some(target) = aim.next_target() else { break };
        let asked = now();
        let answer = connection.get(target).await;
        let took = now() - asked;
        match answer.and_then(|answer| expect.check(&answer)) {
            Ok(()) => round.latencies.push(took),
            Err(error) => round.record_failure(&error),
        }
    }
    round
}

impl RoundResult {
    /// Good answers per second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    /// Takes note of a failure.
    pub(crate) fn record_failure(&mut self, error: &anyhow::Error) {
        self.failed += 1;
        self.failure_example.get_or_insert_with(|| format!("{error:#}"));
    }

    /// Adds what another part of the same round brought.
    pub(crate) fn merge(&mut self, part: Self) {
        self.latencies.extend(part.latencies);
        self.failed += part.failed;
        self.failure_example = self.failure_example.take().or(part.failure_example);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aims_repeat_or_end() {
        let targets = || vec![Uri::from_static("/a"), Uri::from_static("/b")];
        let paths = |aim: &RequestSource| -> Vec<String> {
            std::iter::from_fn(|| aim.next_target()).take(3).map(|uri| uri.to_string()).collect()
        };
        assert_eq!(paths(&RequestSource::repeating(1, targets())), ["/a", "/b", "/a"]);
        assert_eq!(paths(&RequestSource::single_pass(1, targets())), ["/a", "/b"]);
        assert_eq!(paths(&RequestSource::repeating(1, Vec::new())), [""; 0]);
    }
}
