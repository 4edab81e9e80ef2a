//! `placement`: explains why meetings were placed on their servers, and where a new one would be placed. What is printed is the JSON that
//! `--json` prints, as text.

use app::admin::placement::{HypotheticalMeeting, PlacementExplanation};
use domain::Timestamp;
use domain::placement::{ExclusionReason, PlacementRefusal};
use serde_json::{Value, json};

use super::CommandFailure;
use super::balancer::Balancer;
use crate::output::table::{Cell, render};
use crate::output::time::format_time;
use crate::output::{print_line, print_note, print_text, printable};

/// The expected users are shown for these numbers of minutes from now.
const SHOWN_MINUTES: [usize; 5] = [0, 15, 30, 60, 120];
/// Minutes between two points of a curve of expected users.
const CURVE_STEP_MINUTES: usize = 5;

/// Prints where a meeting was placed and why, and where it would be placed now.
pub async fn explain_meeting(
    balancer: &Balancer,
    id: &str,
    as_json: bool,
) -> Result<(), CommandFailure> {
    let found = balancer.find_meetings(id).await?;
    let tenant = found.first().and_then(|found| found.meeting.key.tenant.clone());
    let hypothetical =
        HypotheticalMeeting { id: Some(id.to_owned()), tenant, announced_users: None, tag: None };
    let explanation = balancer.explain_placement(hypothetical).await?;
    if as_json {
        let meetings: Vec<_> = found.iter().map(|found| json!(found.meeting)).collect();
        print_line(json!({ "placed": meetings, "now": explanation }).to_string());
        return Ok(());
    }
    for meeting_on_server in &found {
        let (meeting, server) = (&meeting_on_server.meeting, &meeting_on_server.server);
        let is_offline = meeting_on_server.is_detached_or_offline();
        let state = if is_offline { ", which is offline" } else { "" };
        let host = server.hostname();
        print_line(format!("{} is on {} ({host}){state}", printable(id), meeting.server));
        print_line(format!("\tplaced: {}", format_time(meeting.placed_at)));
        print_line(format!("\treason: {}", printable(&meeting.placement_reason)));
        let load = meeting.load;
        print_line(format!(
            "\tusers: {}, at most {} so far, {} expected",
            load.users, meeting.usage.peak_users, load.expected_users
        ));
    }
    if found.is_empty() {
        print_line(format!("{} is not running.", printable(id)));
    }
    print_line("\nIt would now be placed on:");
    print_explanation(&explanation);
    Ok(())
}

/// Prints where a new meeting would be placed.
pub async fn explain_new_meeting(
    balancer: &Balancer,
    size: Option<u32>,
    tag: Option<String>,
    as_json: bool,
) -> Result<(), CommandFailure> {
    let hypothetical =
        HypotheticalMeeting { announced_users: size, tag, ..HypotheticalMeeting::default() };
    let explanation = balancer.explain_placement(hypothetical).await?;
    if as_json {
        print_line(explanation.to_string());
    } else {
        print_explanation(&explanation);
    }
    if explanation["server"].is_string() { Ok(()) } else { Err(CommandFailure(String::new())) }
}

/// Why no server accepts a meeting.
fn describe_refusal(refusal: &PlacementRefusal) -> String {
    match refusal {
        PlacementRefusal::TagUnavailable(tag) => {
            format!("no server with the required tag {tag} is available")
        }
        PlacementRefusal::Full => "all available servers have reached their limits".to_owned(),
        PlacementRefusal::NoServer => "no server is available".to_owned(),
    }
}

/// The expected users so many minutes from now.
fn users_at(curve: &Value, minutes: usize) -> Option<f64> {
    curve.get(minutes / CURVE_STEP_MINUTES)?.as_f64()
}

/// A text, to be printed.
fn text(value: &Value) -> String {
    printable(value.as_str().unwrap_or_default())
}

fn print_explanation(explanation: &Value) {
    let candidates = explanation["candidates"].as_array().map(Vec::as_slice).unwrap_or_default();
    let reason = text(&explanation["reason"]);
    match explanation["server"].as_str() {
        Some(id) => {
            let chosen = candidates.iter().find(|candidate| candidate["server"] == id);
            let host = chosen.map(|candidate| text(&candidate["host"])).unwrap_or_default();
            print_line(format!("{} ({host})\n\treason: {reason}", printable(id)));
        }
        None => print_note(format!("No server: {reason}")),
    }
    let curve: Vec<String> = SHOWN_MINUTES
        .iter()
        .filter_map(|minutes| {
            let users = users_at(&explanation["own_users"], *minutes)?;
            Some(format!("{users:.0} in {minutes} min"))
        })
        .collect();
    print_line(format!(
        "\texpected users: {} ({}); forecast: {}",
        explanation["expected_users"],
        text(&explanation["source"]),
        curve.join(", ")
    ));
    let before = &explanation["expected_meetings_before"];
    if before.as_u64().is_some_and(|count| count > 0) {
        print_line(format!("\tlarger expected meetings, placed first: {before}"));
    }
    print_line("");
    let headings = [
        "SERVER", "HOST", "HEALTH", "TIER", "USERS", "LOAD", "COST", "NOW", "15", "30", "60",
        "120 MIN",
    ];
    let rows: Vec<Vec<Cell>> = candidates.iter().map(table_row).collect();
    print_text(render(&headings, &rows));
}

/// Why a meeting cannot go to a server, in words; a reason of a later version as it is.
fn describe_exclusion(reason: &Value) -> String {
    let known: Option<ExclusionReason> = serde_json::from_value(reason.clone()).ok();
    known.map_or_else(|| text(reason), |known| known.to_string())
}

fn table_row(candidate: &Value) -> Vec<Cell> {
    let cost = match candidate["cost"].as_f64() {
        Some(cost) => Cell::Number(format!("{cost:.1}")),
        None => Cell::Text(describe_exclusion(&candidate["excluded"])),
    };
    let number = |number: Option<f64>, decimals: usize| {
        Cell::Number(number.map_or("-".to_owned(), |number| format!("{number:.decimals$}")))
    };
    let mut row = vec![
        Cell::text(text(&candidate["server"])),
        Cell::text(text(&candidate["host"])),
        Cell::text(text(&candidate["health"])),
        Cell::Number(candidate["tier"].to_string()),
        Cell::Number(candidate["users"].to_string()),
        number(candidate["load"].as_f64(), 1),
        cost,
    ];
    let users = |minutes: &usize| users_at(&candidate["expected_users"], *minutes);
    row.extend(SHOWN_MINUTES.iter().map(|minutes| number(users(minutes), 0)));
    row
}

/// What `--json` prints; the API answers the same.
pub(super) fn to_json(explanation: &PlacementExplanation, now: Timestamp) -> Value {
    let candidates: Vec<_> = explanation
        .evaluations
        .iter()
        .map(|evaluation| {
            json!({
                "server": evaluation.server.id,
                "host": evaluation.server.hostname(),
                "health": evaluation.server.health.state(now).name(),
                "tier": evaluation.server.limits.tier,
                "cost": evaluation.outcome.ok(),
                "excluded": evaluation.outcome.err(),
                "load": evaluation.server.load,
                "users": evaluation.server.stats.users,
                "expected_users": evaluation.user_curve,
            })
        })
        .collect();
    let (server, reason) = match &explanation.choice {
        Ok((id, reason)) => (json!(id), json!(reason)),
        Err(refusal) => (json!(null), json!(describe_refusal(refusal))),
    };
    json!({
        "server": server,
        "reason": reason,
        "expected_users": explanation.expected_users,
        "source": explanation.source.name(),
        "own_users": explanation.user_curve,
        "expected_meetings_before": explanation.expected_meetings,
        "step_minutes": CURVE_STEP_MINUTES,
        "candidates": candidates,
    })
}
