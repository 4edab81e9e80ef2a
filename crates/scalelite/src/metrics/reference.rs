//! The reference of all metrics, which `scalelite config --metrics-reference` prints and docs/metrics.md contains.

use std::fmt::Write as _;

use super::definitions::{DEFINITIONS, MetricDefinition};

/// What the reference says before the metrics.
const INTRODUCTION: &str = "\
# Metrics

This file is made by `scalelite config --metrics-reference`; `just gen` writes it anew.

    METRICS_BIND=tcp://10.0.0.5:9823     # http://10.0.0.5:9823/metrics, for whoever reaches that address
    METRICS_TOKEN=LONG-RANDOM-TEXT       # also https://balancer.example.org/scalelite/metrics, for whoever shows the token

Both are off by default; with METRICS_TOKEN the socket of METRICS_BIND asks for the token as well. The text is that of Prometheus (format 0.0.4).
[monitoring/](../monitoring/README.md) has a configuration for Prometheus and Alertmanager, alerts, and a dashboard for Grafana;
[operations.md](operations.md#alerts) says what to do when an alert fires.

- Numbers of servers, tenants, recordings and stores are read when they are asked for, once a second at most. Each replica tells the same: use `max by
  (server)`, not `sum`, if several replicas are scraped. What is named `_total` or is a histogram was counted by one process since its start: here
  `sum` is right.
- If a store does not answer within four seconds, its numbers are left out, and `scalelite_store_up` is 0.
- The label `server` is the host of the server's URL, with its port if that is unusual, and with its id if several entries have the same host. A server that
  is removed has no series any more.
- Labels have few values: servers, the first 100 tenants by name, and names that are listed here. No meeting, user or address is a label.
- A scrape of 500 servers has less than a mebibyte.
";

/// The metrics of bigbluebutton-exporter, and ours. Empty: there is none, and why.
const EXPORTER: &[(&str, &str, &str)] = &[
    ("bbb_meetings_participants", "scalelite_server_users", "of the pool: `scalelite_pool_users`"),
    ("bbb_meetings_participants_max", "scalelite_server_largest_meeting_users", ""),
    (
        "bbb_meetings_listeners",
        "",
        "a number that no decision needs; the exporter on the server has it",
    ),
    ("bbb_meetings_voice_participants", "", "as above"),
    (
        "bbb_meetings_video_participants",
        "scalelite_server_videos",
        "cameras; of the pool: `scalelite_pool_videos`",
    ),
    ("bbb_meetings_participant_clients", "", "as above"),
    (
        "bbb_unique_meetings_total",
        "scalelite_server_meetings",
        "meetings that run; those created: `scalelite_requests_total{call=\"create\"}`",
    ),
    ("bbb_unique_breakout_rooms_total", "", "breakout rooms count among meetings"),
    (
        "bbb_recordings_processing",
        "scalelite_archives",
        "`stage` is `received` or `importing`; what the servers themselves process is not known here",
    ),
    ("bbb_recordings_processed", "scalelite_recordings", "sum of all states"),
    ("bbb_recordings_published", "scalelite_recordings", "`state=\"published\"`"),
    ("bbb_recordings_unpublished", "scalelite_recordings", "`state=\"unpublished\"`"),
    ("bbb_recordings_deleted", "scalelite_recordings", "`state=\"deleted\"`"),
    ("bbb_api_up", "scalelite_server_up", ""),
    (
        "bbb_api_latency",
        "scalelite_poll_seconds",
        "of each server: `scalelite_server_poll_seconds`, `scalelite_server_create_seconds`",
    ),
    ("bbb_version", "scalelite_server_info", "label `version`"),
];

/// Renders the page.
pub fn render_page() -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut group = "";
    for definition in DEFINITIONS {
        let MetricDefinition { name, kind, labels, help, .. } = *definition;
        if definition.group != group {
            group = definition.group;
            let _ = write!(
                page,
                "\n## {group}\n\n| metric | kind | labels | meaning |\n|---|---|---|---|\n"
            );
        }
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let (kind, labels, help) = (kind.name(), labels.join(", "), help.trim());
        let _ = writeln!(page, "| `{name}` | {kind} | {labels} | {help} |");
    }
    page += "
## For those who know bigbluebutton-exporter

[bigbluebutton-exporter](https://bigbluebutton-exporter.greenstatic.dev) runs on each BBB server and goes on working beside the balancer. What it tells
of one server, the balancer tells of all:

| bigbluebutton-exporter | here | remarks |
|---|---|---|
";
    for (theirs, ours, remarks) in EXPORTER {
        let ours = if ours.is_empty() { String::new() } else { format!("`{ours}`") };
        let _ = writeln!(page, "| `{theirs}` | {ours} | {remarks} |");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_table_names_exists() {
        for (theirs, ours, remarks) in EXPORTER {
            let is_known = DEFINITIONS.iter().any(|definition| definition.name == *ours);
            assert!(is_known || ours.is_empty() && !remarks.is_empty(), "{theirs}");
        }
    }
}
