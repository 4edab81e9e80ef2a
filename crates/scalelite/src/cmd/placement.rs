//! `placement`: why meetings are where they are, and where a new one would go.

use app::admin::meetings;
use app::admin::placement::{
    HypotheticalMeeting, PlacementExplanation, ServerEvaluation, explain_placement,
};
use domain::Timestamp;
use serde_json::json;

use super::{CommandContext, CommandFailure, format_time};
use crate::output::table::{Cell, render};
use crate::output::{print_line, print_note, print_text, printable};

/// Minutes from now for which users are shown.
const SHOWN_MINUTES: [usize; 5] = [0, 15, 30, 60, 120];
/// Curves have a point every so many minutes.
const CURVE_STEP_MINUTES: usize = 5;

/// Where a meeting is and why, and where it would be placed now.
pub async fn explain_meeting(
    session: &CommandContext,
    id: &str,
    as_json: bool,
) -> Result<(), CommandFailure> {
    let found = meetings::find(&session.app, id).await?;
    let tenant = found.first().and_then(|located| located.meeting.key.tenant.clone());
    let supposed =
        HypotheticalMeeting { id: Some(id.to_owned()), tenant, announced_users: None, tag: None };
    let explained = explain_placement(&session.app, &supposed).await?;
    if as_json {
        let places: Vec<_> = found.iter().map(|located| json!(located.meeting)).collect();
        print_line(json!({ "placed": places, "now": to_json(&explained) }).to_string());
        return Ok(());
    }
    for located in &found {
        let meeting = &located.meeting;
        let away = if located.is_detached_or_offline() { ", which is offline" } else { "" };
        print_line(format!("{} is on {}{away}", printable(id), meeting.server));
        print_line(format!("\tplaced: {}", format_time(meeting.placed_at)));
        print_line(format!("\treason: {}", printable(&meeting.placement_reason)));
        let seats = meeting.load;
        print_line(format!(
            "\tusers: {}, at most {} so far, {} expected",
            seats.users, meeting.usage.peak_users, seats.expected_users
        ));
    }
    if found.is_empty() {
        print_line(format!("{} is not running.", printable(id)));
    }
    print_line("\nPlaced now, it would be:");
    print_explanation(session, &explained);
    Ok(())
}

/// Where a meeting that is not known would be placed.
pub async fn explain_new_meeting(
    session: &CommandContext,
    size: Option<u32>,
    tag: Option<String>,
    as_json: bool,
) -> Result<(), CommandFailure> {
    let supposed =
        HypotheticalMeeting { announced_users: size, tag, ..HypotheticalMeeting::default() };
    let explained = explain_placement(&session.app, &supposed).await?;
    if as_json {
        print_line(to_json(&explained).to_string());
    } else {
        print_explanation(session, &explained);
    }
    if explained.choice.is_ok() { Ok(()) } else { Err(CommandFailure(String::new())) }
}

fn users_at(curve: &[f32], minutes: usize) -> Option<f32> {
    curve.get(minutes / CURVE_STEP_MINUTES).copied()
}

fn print_explanation(session: &CommandContext, explained: &PlacementExplanation) {
    match &explained.choice {
        Ok((id, reason)) => print_line(format!("{id}\n\treason: {}", printable(reason))),
        Err(refusal) => print_note(format!("No server: {refusal:?}")),
    }
    let own: Vec<String> = SHOWN_MINUTES
        .iter()
        .filter_map(|minutes| {
            Some(format!("{:.0} in {minutes} min", users_at(&explained.user_curve, *minutes)?))
        })
        .collect();
    print_line(format!(
        "\texpected: {} seats ({}); users: {}",
        explained.expected_users,
        explained.source.name(),
        own.join(", ")
    ));
    if explained.expected_meetings > 0 {
        print_line(format!(
            "\tlarger meetings expected soon, placed first: {}",
            explained.expected_meetings
        ));
    }
    print_line("");
    let headings =
        ["SERVER", "STANDING", "TIER", "USERS", "LOAD", "COST", "NOW", "15", "30", "60", "120 MIN"];
    let now = session.app.clock.now();
    let rows: Vec<Vec<Cell>> =
        explained.evaluations.iter().map(|look| table_row(look, now)).collect();
    print_text(render(&headings, &rows));
}

fn table_row(look: &ServerEvaluation, now: Timestamp) -> Vec<Cell> {
    let server = &look.server;
    let cost = match look.outcome {
        Ok(cost) => Cell::Number(format!("{cost:.1}")),
        Err(why) => Cell::Text(why.to_string()),
    };
    let mut row = vec![
        Cell::text(&server.id.0),
        Cell::text(server.health.state(now).name()),
        Cell::Number(server.limits.tier.to_string()),
        Cell::Number(server.stats.users.to_string()),
        Cell::Number(server.load.map_or("-".to_owned(), |load| format!("{load:.1}"))),
        cost,
    ];
    let users = SHOWN_MINUTES.iter().map(|minutes| users_at(&look.user_curve, *minutes));
    row.extend(
        users.map(|users| Cell::Number(users.map_or("-".to_owned(), |n| format!("{n:.0}")))),
    );
    row
}

fn to_json(explained: &PlacementExplanation) -> serde_json::Value {
    let looks: Vec<_> = explained
        .evaluations
        .iter()
        .map(|look| {
            json!({
                "server": look.server.id,
                "cost": look.outcome.ok(),
                "excluded": look.outcome.err(),
                "load": look.server.load,
                "users": look.server.stats.users,
                "foreseen_users": look.user_curve,
            })
        })
        .collect();
    let (server, reason) = match &explained.choice {
        Ok((id, reason)) => (json!(id), json!(reason)),
        Err(refusal) => (json!(null), json!(format!("{refusal:?}"))),
    };
    json!({
        "server": server,
        "reason": reason,
        "seats": explained.expected_users,
        "source": explained.source.name(),
        "own_users": explained.user_curve,
        "promised_before": explained.expected_meetings,
        "step_minutes": CURVE_STEP_MINUTES,
        "candidates": looks,
    })
}
