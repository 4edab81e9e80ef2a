//! The access log: one line for each request, health checks and metrics excepted. What is logged is also counted.

use std::sync::Arc;
use std::time::Duration;

use app::api::RequestLog;
use app::origin;
use tokio::time::Instant;

use super::peer::ShownAddress;
use crate::metrics::RequestMeters;

/// Longest part of a meeting id that is logged, in characters: clients choose ids of any length.
const MAX_LOGGED_ID_CHARS: usize = 128;

/// The pending log line of a request. If it is dropped unwritten, because the client disconnected
/// before the response, it logs `client gone`.
pub(super) struct AccessLogLine {
    call: &'static str,
    client: ShownAddress,
    meters: Arc<RequestMeters>,
    started: Instant,
    written: bool,
}

impl AccessLogLine {
    /// Starts the clock of a request. `call` is logged if the client disconnects.
    pub(super) fn start(
        call: &'static str,
        client: ShownAddress,
        meters: Arc<RequestMeters>,
        started: Instant,
    ) -> Self {
        Self { call, client, meters, started, written: false }
    }

    /// Writes the line.
    pub(super) fn write(
        mut self,
        call: &'static str,
        request_log: &RequestLog,
        summary: &RequestSummary<'_>,
    ) {
        self.written = true;
        let took = self.started.elapsed();
        self.count(call, request_log, summary.result, took);
        self.meters.recent.note(call, summary.result, summary.detail);
        log_request(call, self.client, request_log, summary, took);
    }
}

impl AccessLogLine {
    /// Counts the request for metrics. Questions of monitoring systems are none.
    fn count(&self, call: &str, request_log: &RequestLog, result: &str, took: Duration) {
        if !is_monitoring(call) {
            self.meters.record(call, result, request_log.tenant.as_deref(), took);
        }
    }
}

/// Returns whether a call asks how the process is.
fn is_monitoring(call: &str) -> bool {
    matches!(call, "health" | "metrics")
}

impl Drop for AccessLogLine {
    fn drop(&mut self) {
        if !self.written {
            let summary = RequestSummary { result: "client gone", status: 0, detail: None };
            let (log, took) = (RequestLog::default(), self.started.elapsed());
            self.count(self.call, &log, summary.result, took);
            self.meters.recent.note(self.call, summary.result, None);
            log_request(self.call, self.client, &log, &summary, took);
        }
    }
}

/// How a request ended.
pub(super) struct RequestSummary<'a> {
    /// `ok`, or the key of the error.
    pub(super) result: &'a str,
    /// HTTP status; 0 if no response was sent.
    pub(super) status: u16,
    /// Cause of an internal failure; makes the line a warning.
    pub(super) detail: Option<&'a str>,
}

/// Logs a request.
pub(super) fn log_request(
    call: &'static str,
    client: ShownAddress,
    request_log: &RequestLog,
    summary: &RequestSummary<'_>,
    took: Duration,
) {
    // A wrong token is worth a line.
    if call == "health" || is_monitoring(call) && summary.result == "ok" {
        return;
    }
    let tenant = request_log.tenant.as_deref();
    let meeting = request_log.meeting.as_deref().map(shorten_id).unwrap_or_default();
    let server = request_log.server.as_ref().map_or("", |id| id.0.as_str());
    let RequestSummary { result, status, detail } = *summary;
    let host = request_log.host.as_deref();
    let id = origin::request_id();
    let request_id = id.as_deref();
    let took_ms = (took.as_secs_f64() * 1e4).round() / 10.0;
    match detail {
        None => {
            tracing::info!(
                call, tenant, meeting, server, host, result, status, took_ms, %client, request_id, "request"
            );
        }
        Some(detail) => {
            tracing::warn!(
                call, tenant, meeting, server, host, result, status, took_ms, %client, request_id, detail,
                "request"
            );
        }
    }
}

fn shorten_id(id: &str) -> &str {
    id.char_indices().nth(MAX_LOGGED_ID_CHARS).map_or(id, |(end, _)| &id[..end])
}
