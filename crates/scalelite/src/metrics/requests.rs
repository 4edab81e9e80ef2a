//! Counts requests by call, result and tenant. Nearly all of it is atomic numbers that are there from the start.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use app::state::{Counter, TimeHistogram};
use domain::Timestamp;

use super::definitions::MetricId;
use super::recent::RecentRequests;
use super::values::MetricValues;

/// Upper bounds of the time that a request takes, in ms.
const REQUEST_BOUNDS_MS: &[u64] = &[5, 25, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];
/// Upper bounds of how late a timer fires, in ms.
const LAG_BOUNDS_MS: &[u64] = &[2, 5, 10, 50, 100, 500, 1_000];
/// Tenants that have a label of their own.
const MAX_TENANTS: usize = 100;
/// The label of all further tenants. No tenant has this name: names are labels of host names.
const OTHER_TENANTS: &str = "(other)";
/// What is not in a list.
const OTHER: &str = "other";

/// The calls that are counted each for itself, by the names that the log gives them.
const CALLS: &[&str] = &[
    "join",
    "create",
    "isMeetingRunning",
    "getMeetingInfo",
    "getMeetings",
    "end",
    "insertDocument",
    "sendChatMessage",
    "getRecordings",
    "publishRecordings",
    "updateRecordings",
    "deleteRecordings",
    "getRecordingTextTracks",
    "putRecordingTextTrack",
    "index",
    "analytics_callback",
    "end_callback",
    "upload",
    "play",
    "watch",
    "player",
    "moved",
    "console",
    "fsapi",
    "getServers",
    "getServerInfo",
    "addServer",
    "updateServer",
    "deleteServer",
    "panicServer",
    "getTenants",
    "getTenantInfo",
    "addTenant",
    "updateTenant",
    "deleteTenant",
    OTHER,
];

/// The results that are counted each for itself, with the label of each.
const RESULTS: &[(&str, &str)] = &[
    ("ok", "ok"),
    ("checksumError", "checksumError"),
    ("notFound", "notFound"),
    ("serverUnavailable", "serverUnavailable"),
    ("internalError", "internalError"),
    ("serverLimitReached", "serverLimitReached"),
    ("serverTagUnavailable", "serverTagUnavailable"),
    ("validationError", "validationError"),
    ("missingParamMeetingID", "missingParamMeetingID"),
    ("missingParamRecordID", "missingParamRecordID"),
    ("missingParamPublish", "missingParamPublish"),
    ("missingParameters", "missingParameters"),
    ("unsupportedContentType", "unsupportedContentType"),
    ("unsupportedRequest", "unsupportedRequest"),
    ("requestTooLarge", "requestTooLarge"),
    ("idNotUnique", "idNotUnique"),
    ("client gone", "client_gone"),
    ("", OTHER),
];

/// What is counted of one tenant.
#[derive(Debug, Default)]
struct TenantMeters {
    succeeded: Counter,
    wrong_checksums: Counter,
    failed: Counter,
}

/// What is counted of one call.
#[derive(Debug)]
struct CallMeters {
    results: Vec<Counter>,
    seconds: TimeHistogram,
}

impl Default for CallMeters {
    fn default() -> Self {
        let results = RESULTS.iter().map(|_| Counter::default()).collect();
        Self { results, seconds: TimeHistogram::new(REQUEST_BOUNDS_MS) }
    }
}

/// What a process counts of requests, and of itself.
#[derive(Debug)]
pub struct RequestMeters {
    calls: Vec<CallMeters>,
    tenants: RwLock<HashMap<String, Arc<TenantMeters>>>,
    other_tenants: TenantMeters,
    /// How late timers fire.
    pub loop_lag: TimeHistogram,
    /// The creates and joins of the last hour.
    pub recent: RecentRequests,
    /// When the process was started.
    pub started_at: Timestamp,
}

impl RequestMeters {
    /// What a process that was started then has counted: nothing.
    pub fn new(started_at: Timestamp) -> Self {
        Self {
            calls: CALLS.iter().map(|_| CallMeters::default()).collect(),
            tenants: RwLock::default(),
            other_tenants: TenantMeters::default(),
            loop_lag: TimeHistogram::new(LAG_BOUNDS_MS),
            recent: RecentRequests::default(),
            started_at,
        }
    }

    /// Counts a request.
    pub fn record(&self, call: &str, result: &str, tenant: Option<&str>, took: Duration) {
        let call = CALLS.iter().position(|known| *known == call).unwrap_or(CALLS.len() - 1);
        let known = RESULTS.iter().position(|(known, _)| *known == result);
        let Some(call) = self.calls.get(call) else { return };
        if let Some(count) = call.results.get(known.unwrap_or(RESULTS.len() - 1)) {
            count.count();
        }
        call.seconds.observe(took);
        let Some(tenant) = tenant else { return };
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let meters = tenants.get(tenant).map_or(&self.other_tenants, Arc::as_ref);
        match result {
            "ok" => meters.succeeded.count(),
            "checksumError" => meters.wrong_checksums.count(),
            _ => meters.failed.count(),
        }
    }

    /// Sets which tenants there are. The first ones by name have labels of their own.
    pub fn set_tenants(&self, names: &[&str]) {
        let chosen = TenantLabels::new(names);
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        tenants.retain(|name, _| chosen.is_own(name));
        for name in chosen.0 {
            tenants.entry(name.to_owned()).or_default();
        }
    }

    /// Writes down what was counted. Calls that were never made are left out, and so are results that never came about, except `ok`.
    pub fn collect(&self, values: &mut MetricValues) {
        for (call, meters) in CALLS.iter().zip(&self.calls) {
            let times = meters.seconds.read();
            if times.total() == 0 {
                continue;
            }
            for ((_, result), count) in RESULTS.iter().zip(&meters.results) {
                let count = count.read();
                if count > 0 || *result == "ok" {
                    values.count(MetricId::Requests, &[call, result], count);
                }
            }
            values.times(MetricId::RequestSeconds, &[call], times);
        }
        values.times(MetricId::LoopLag, &[], self.loop_lag.read());
    }

    /// Writes down what was counted of tenants.
    pub fn collect_tenants(&self, values: &mut MetricValues) {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let mut tenants: Vec<_> =
            tenants.iter().map(|(name, meters)| (name.as_str(), meters.as_ref())).collect();
        tenants.sort_unstable_by_key(|(name, _)| *name);
        tenants.push((OTHER_TENANTS, &self.other_tenants));
        for (name, TenantMeters { succeeded, wrong_checksums, failed }) in tenants {
            for (result, count) in
                [("ok", succeeded), ("checksum", wrong_checksums), ("failed", failed)]
            {
                values.count(MetricId::TenantRequests, &[name, result], count.read());
            }
        }
    }
}

/// Which tenants have labels of their own: the first ones by name, so that all replicas agree.
pub struct TenantLabels<'a>(Vec<&'a str>);

impl<'a> TenantLabels<'a> {
    /// Chooses among these tenants.
    pub fn new(names: &[&'a str]) -> Self {
        let mut names = names.to_vec();
        names.sort_unstable();
        names.dedup();
        names.truncate(MAX_TENANTS);
        Self(names)
    }

    fn is_own(&self, name: &str) -> bool {
        self.0.binary_search(&name).is_ok()
    }

    /// Returns the label of a tenant.
    pub fn label<'b>(&self, name: &'b str) -> &'b str {
        if self.is_own(name) { name } else { OTHER_TENANTS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_millis(30);

    fn text_of(meters: &RequestMeters) -> String {
        let mut values = MetricValues::default();
        meters.collect(&mut values);
        meters.collect_tenants(&mut values);
        values.into_text()
    }

    #[test]
    fn what_clients_and_servers_choose_makes_no_labels() {
        let meters = RequestMeters::new(Timestamp(0));
        for number in 0..1_000 {
            meters.record(&format!("call{number}"), &format!("key{number}"), None, TOOK);
            meters.record("join", "client gone", Some(&format!("unknown{number}")), TOOK);
        }
        let text = text_of(&meters);
        for line in [
            "scalelite_requests_total{call=\"other\",result=\"other\"} 1000",
            "scalelite_requests_total{call=\"join\",result=\"client_gone\"} 1000",
            "scalelite_request_seconds_count{call=\"join\"} 1000",
            "scalelite_tenant_requests_total{tenant=\"(other)\",result=\"failed\"} 1000",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(text.len() < 10_000, "{text}");
    }

    #[test]
    fn the_first_tenants_by_name_have_labels_until_they_are_removed() {
        let meters = RequestMeters::new(Timestamp(0));
        let names: Vec<String> = (0..1_000).map(|number| format!("t{number:04}")).collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.reverse();
        meters.set_tenants(&names);
        for tenant in ["t0000", "t0099", "t0100", "t0999"] {
            meters.record("join", "ok", Some(tenant), TOOK);
        }
        let count = |text: &str, tenant: &str| {
            let start =
                format!("scalelite_tenant_requests_total{{tenant=\"{tenant}\",result=\"ok\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&start));
            line.and_then(|count| count.parse::<u64>().ok())
        };
        let text = text_of(&meters);
        let counts = ["t0000", "t0099", "t0100", "(other)"].map(|tenant| count(&text, tenant));
        assert_eq!(counts, [Some(1), Some(1), None, Some(2)]);
        meters.set_tenants(&["t0099", "new"]);
        let text = text_of(&meters);
        let counts = ["t0000", "t0099", "new", "(other)"].map(|tenant| count(&text, tenant));
        assert_eq!(counts, [None, Some(1), Some(0), Some(2)]);
    }
}
