//! `audit`: shows who has changed what.

use std::time::Duration;

use app::audit::AuditFilter;
use app::ports::AuditRecord;
use serde_json::{Value, json};

use super::CommandFailure;
use super::balancer::Balancer;
use crate::cli::AuditArgs;
use crate::output::time::format_time;
use crate::output::{print_line, print_note, printable};

/// Prints changes, the oldest first, as in a log.
pub async fn run(balancer: &Balancer, arguments: AuditArgs) -> Result<(), CommandFailure> {
    let AuditArgs { since, server, meeting, tenant, recording, actor, action, limit, json } =
        arguments;
    let now = balancer.now();
    let begin = |time: Duration| {
        now.plus_ms(i64::try_from(time.as_millis()).unwrap_or(i64::MAX).saturating_neg())
    };
    let since = since.map(begin);
    let filter =
        AuditFilter { since, until: None, server, meeting, tenant, recording, actor, action };
    let max = usize::try_from(limit).unwrap_or(usize::MAX);
    let (records, has_more) = balancer.list_changes(&filter, max).await?;
    for record in records.iter().rev() {
        print_line(if json { to_json(record).to_string() } else { format_line(record) });
    }
    if records.is_empty() {
        print_note("No changes");
    } else if has_more {
        print_note(format!("These are the newest {limit}; --limit N shows more"));
    }
    Ok(())
}

/// What one side of a change was like. It was written as JSON.
fn side(text: Option<&String>) -> Option<Value> {
    text.map(|text| serde_json::from_str(text).unwrap_or_else(|_| json!(text)))
}

fn to_json(record: &AuditRecord) -> Value {
    json!({
        "at": format_time(record.at),
        "actor": record.actor,
        "action": record.action,
        "target": record.target,
        "before": side(record.before.as_ref()),
        "after": side(record.after.as_ref()),
        "request_id": record.request_id,
    })
}

fn format_line(record: &AuditRecord) -> String {
    let target = &record.target;
    let named = [
        ("server", &target.server),
        ("host", &target.host),
        ("meeting", &target.meeting),
        ("tenant", &target.tenant),
        ("recording", &target.recording),
        ("", &target.name),
    ];
    let mut parts = vec![format_time(record.at), record.actor.clone(), record.action.clone()];
    let targets = named.into_iter().filter_map(|(name, value)| {
        let value = value.as_deref()?;
        Some(if name.is_empty() { value.to_owned() } else { format!("{name}={value}") })
    });
    parts.push(targets.collect::<Vec<_>>().join(" "));
    parts.push(match (&record.before, &record.after) {
        (Some(before), Some(after)) => format!("{before} -> {after}"),
        (Some(before), None) => before.clone(),
        (None, after) => after.clone().unwrap_or_default(),
    });
    let line = parts.iter().map(|part| printable(part)).collect::<Vec<_>>().join("\t");
    line.trim_end().to_owned()
}
