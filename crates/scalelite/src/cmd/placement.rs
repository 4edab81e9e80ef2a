//! `placement`: explains why meetings were placed on their servers, and where a new one would be placed.

use app::admin::meetings;
use app::admin::placement::{
    HypotheticalMeeting, PlacementExplanation, ServerEvaluation, explain_placement,
};
use domain::Timestamp;
use domain::placement::PlacementRefusal;
use serde_json::json;

use super::{CommandContext, CommandFailure};
use crate::output::table::{Cell, render};
use crate::output::time::format_time;
use crate::output::{print_line, print_note, print_text, printable};

/// The expected users are shown for these numbers of minutes from now.
const SHOWN_MINUTES: [usize; 5] = [0, 15, 30, 60, 120];
/// Minutes between two points of a curve of expected users.
const CURVE_STEP_MINUTES: usize = 5;

/// Prints where a meeting was placed and why, and where it would be placed now.
pub async fn explain_meeting(
    context: &CommandContext,
    id: &str,
    as_json: bool,
) -> Result<(), CommandFailure> {
    let found = meetings::find(&context.app, id).await?;
    let tenant = found.first().and_then(|found| found.meeting.key.tenant.clone());
    let hypothetical =
        HypotheticalMeeting { id: Some(id.to_owned()), tenant, announced_users: None, tag: None };
    let explanation = explain_placement(&context.app, &hypothetical).await?;
    if as_json {
        let meetings: Vec<_> = found.iter().map(|found| json!(found.meeting)).collect();
        print_line(json!({ "placed": meetings, "now": to_json(&explanation) }).to_string());
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
    print_explanation(context, &explanation);
    Ok(())
}

/// Prints where a new meeting would be placed.
pub async fn explain_new_meeting(
    context: &CommandContext,
    size: Option<u32>,
    tag: Option<String>,
    as_json: bool,
) -> Result<(), CommandFailure> {
    let hypothetical =
        HypotheticalMeeting { announced_users: size, tag, ..HypotheticalMeeting::default() };
    let explanation = explain_placement(&context.app, &hypothetical).await?;
    if as_json {
        print_line(to_json(&explanation).to_string());
    } else {
        print_explanation(context, &explanation);
    }
    if explanation.choice.is_ok() { Ok(()) } else { Err(CommandFailure(String::new())) }
}

fn users_at(curve: &[f32], minutes: usize) -> Option<f32> {
    curve.get(minutes / CURVE_STEP_MINUTES).copied()
}

/// Why no server accepts a meeting.
fn describe_refusal(refusal: &PlacementRefusal) -> String {
    match refusal {
        PlacementRefusal::TagUnavailable(tag) => {
            format!("no server with the required tag {} is available", printable(tag))
        }
        PlacementRefusal::Full => "all available servers have reached their limits".to_owned(),
        PlacementRefusal::NoServer => "no server is available".to_owned(),
    }
}

fn print_explanation(context: &CommandContext, explanation: &PlacementExplanation) {
    match &explanation.choice {
        Ok((id, reason)) => {
            let mut evaluations = explanation.evaluations.iter();
            let chosen = evaluations.find(|evaluation| evaluation.server.id == *id);
            let host = chosen.map_or("", |evaluation| evaluation.server.hostname());
            print_line(format!("{id} ({host})\n\treason: {}", printable(reason)));
        }
        Err(refusal) => print_note(format!("No server: {}", describe_refusal(refusal))),
    }
    let curve: Vec<String> = SHOWN_MINUTES
        .iter()
        .filter_map(|minutes| {
            Some(format!("{:.0} in {minutes} min", users_at(&explanation.user_curve, *minutes)?))
        })
        .collect();
    print_line(format!(
        "\texpected users: {} ({}); forecast: {}",
        explanation.expected_users,
        explanation.source.name(),
        curve.join(", ")
    ));
    if explanation.expected_meetings > 0 {
        print_line(format!(
            "\tlarger expected meetings, placed first: {}",
            explanation.expected_meetings
        ));
    }
    print_line("");
    let headings = [
        "SERVER", "HOST", "HEALTH", "TIER", "USERS", "LOAD", "COST", "NOW", "15", "30", "60",
        "120 MIN",
    ];
    let now = context.app.clock.now();
    let rows: Vec<Vec<Cell>> =
        explanation.evaluations.iter().map(|evaluation| table_row(evaluation, now)).collect();
    print_text(render(&headings, &rows));
}

fn table_row(evaluation: &ServerEvaluation, now: Timestamp) -> Vec<Cell> {
    let server = &evaluation.server;
    let cost = match evaluation.outcome {
        Ok(cost) => Cell::Number(format!("{cost:.1}")),
        Err(reason) => Cell::Text(reason.to_string()),
    };
    let mut row = vec![
        Cell::text(&server.id.0),
        Cell::text(server.hostname()),
        Cell::text(server.health.state(now).name()),
        Cell::Number(server.limits.tier.to_string()),
        Cell::Number(server.stats.users.to_string()),
        Cell::Number(server.load.map_or("-".to_owned(), |load| format!("{load:.1}"))),
        cost,
    ];
    let users = SHOWN_MINUTES.iter().map(|minutes| users_at(&evaluation.user_curve, *minutes));
    row.extend(
        users.map(|users| Cell::Number(users.map_or("-".to_owned(), |n| format!("{n:.0}")))),
    );
    row
}

fn to_json(explanation: &PlacementExplanation) -> serde_json::Value {
    let candidates: Vec<_> = explanation
        .evaluations
        .iter()
        .map(|evaluation| {
            json!({
                "server": evaluation.server.id,
                "host": evaluation.server.hostname(),
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
