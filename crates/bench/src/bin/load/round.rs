//! Load on a server: a number of connections, each of which sends its next request as soon as it has
//! got the response to the previous one.

use crate::client::{Connection, ExpectedResponse};
use crate::clock::now;
use anyhow::{Context, ensure};
use http::Uri;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// A connection with this many failures sends no further request.
const MAX_FAILURES: usize = 20;
/// How much longer than its duration a round may take.
const ROUND_TIMEOUT: Duration = Duration::from_secs(60);

/// A port of this machine and the requests to send to it. All connections take the next request from
/// the same list.
#[derive(Clone, Debug)]
pub(crate) struct RequestSource {
    port: u16,
    targets: Arc<[Uri]>,
    next: Arc<AtomicUsize>,
    is_single_pass: bool,
}

/// Requests, the expected response, and the number of connections.
#[derive(Clone, Debug)]
pub(crate) struct RequestLoad {
    sources: Vec<RequestSource>,
    expected: ExpectedResponse,
    connections: usize,
    /// Time between a response and the next request of the same connection.
    pause: Duration,
}

/// The result of a round.
#[derive(Debug, Default)]
pub(crate) struct RoundResult {
    /// The time from the first request to the last response.
    pub(crate) elapsed: Duration,
    /// The response times of all valid responses.
    pub(crate) latencies: Vec<Duration>,
    /// Number of requests without a valid response.
    pub(crate) failed: usize,
    /// The error of one of these requests.
    pub(crate) failure_example: Option<String>,
}

impl RequestSource {
    /// Requests that are repeated from the beginning.
    pub(crate) fn repeating(port: u16, targets: Vec<Uri>) -> Self {
        Self::new(port, targets, false)
    }

    /// Requests that are sent once each; the round ends early when there are no more.
    pub(crate) fn single_pass(port: u16, targets: Vec<Uri>) -> Self {
        Self::new(port, targets, true)
    }

    fn new(port: u16, targets: Vec<Uri>, is_single_pass: bool) -> Self {
        Self { port, targets: targets.into(), next: Arc::default(), is_single_pass }
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
    /// A load whose connections are distributed over the sources in turn.
    pub(crate) fn new(
        sources: Vec<RequestSource>,
        expected: ExpectedResponse,
        connections: usize,
    ) -> Self {
        Self { sources, expected, connections, pause: Duration::ZERO }
    }

    /// The same load of clients that pause after each response.
    pub(crate) fn with_pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// Sends requests for this time. The connections are opened before the measurement starts.
    pub(crate) async fn run_round(&self, duration: Duration) -> anyhow::Result<RoundResult> {
        let mut open = Vec::with_capacity(self.connections);
        for source in self.sources.iter().cycle().take(self.connections) {
            open.push((Connection::open(source.port).await?, source.clone()));
        }
        let started = now();
        let deadline = started + duration;
        let mut loops = JoinSet::new();
        for (connection, source) in open {
            loops.spawn(self.clone().run_connection(connection, source, deadline));
        }
        let mut round = RoundResult::default();
        let all = async {
            while let Some(part) = loops.join_next().await {
                round.merge(part?);
            }
            anyhow::Ok(())
        };
        let finished = timeout(duration + ROUND_TIMEOUT, all).await;
        finished.context("the round does not end")??;
        round.elapsed = now() - started;
        Ok(round)
    }

    /// Sends all requests of single-pass sources; fails unless all of them succeed.
    pub(crate) async fn send_all(&self) -> anyhow::Result<RoundResult> {
        let round = self.run_round(ROUND_TIMEOUT).await?;
        let failure_example = round.failure_example.as_deref().unwrap_or_default();
        ensure!(round.failed == 0, "{} failed: {failure_example}", round.failed);
        let expected: usize = self.sources.iter().map(|source| source.targets.len()).sum();
        let answered = round.latencies.len();
        ensure!(answered == expected, "only {answered} of {expected} requests were answered");
        Ok(round)
    }
}

impl RequestLoad {
    /// Sends the requests of one connection.
    async fn run_connection(
        self,
        mut connection: Connection,
        source: RequestSource,
        deadline: Instant,
    ) -> RoundResult {
        let mut round = RoundResult::default();
        while now() < deadline && round.failed < MAX_FAILURES {
            let Some(target) = source.next_target() else { break };
            let sent_at = now();
            let response = connection.get(target).await;
            let elapsed = now() - sent_at;
            match response.and_then(|response| self.expected.check(&response)) {
                Ok(()) => round.latencies.push(elapsed),
                Err(error) => round.record_failure(&error),
            }
            if !self.pause.is_zero() {
                sleep(self.pause).await;
            }
        }
        round
    }
}

impl RoundResult {
    /// Returns the number of valid responses per second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    /// Records a request without a valid response.
    pub(crate) fn record_failure(&mut self, error: &anyhow::Error) {
        self.failed += 1;
        self.failure_example.get_or_insert_with(|| format!("{error:#}"));
    }

    /// Adds the result of another connection in the same round.
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
    fn sources_repeat_or_end() {
        let targets = || vec![Uri::from_static("/a"), Uri::from_static("/b")];
        let paths = |source: &RequestSource| -> Vec<String> {
            std::iter::from_fn(|| source.next_target()).take(3).map(|uri| uri.to_string()).collect()
        };
        assert_eq!(paths(&RequestSource::repeating(1, targets())), ["/a", "/b", "/a"]);
        assert_eq!(paths(&RequestSource::single_pass(1, targets())), ["/a", "/b"]);
        assert_eq!(paths(&RequestSource::repeating(1, Vec::new())), [""; 0]);
    }
}
