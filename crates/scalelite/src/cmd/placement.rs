//! `placement`: why meetings are where they are, and where a new one would go.

use app::admin::meetings;
use app::admin::placement::{Explained, Look, Supposed, explain};
use domain::Timestamp;
use serde_json::json;

use super::{Failure, Session, clock_time};
use crate::output::table::{Cell, render};
use crate::output::{note, printable, say, say_text};

/// Minutes from now for which users are shown.
const MINUTES: [usize; 5] = [0, 15, 30, 60, 120];
/// Curves have a point every so many minutes.
const STEP_MINUTES: usize = 5;

/// Where a meeting is and why, and where it would be placed now.
pub async fn explain_meeting(session: &Session, id: &str, as_json: bool) -> Result<(), Failure> {
    let found = meetings::find(&session.app, id).await?;
    let tenant = found.first().and_then(|located| located.meeting.key.tenant.clone());
    let supposed = Supposed { id: Some(id.to_owned()), tenant, size: None, tag: None };
    let explained = explain(&session.app, &supposed).await?;
    if as_json {
        let places: Vec<_> = found.iter().map(|located| json!(located.meeting)).collect();
        say(json!({ "placed": places, "now": as_value(&explained) }).to_string());
        return Ok(());
    }
    for located in &found {
        let meeting = &located.meeting;
        let away = if located.is_away() { ", which is offline" } else { "" };
        say(format!("{} is on {}{away}", printable(id), meeting.server));
        say(format!("\tplaced: {}", clock_time(meeting.placed_at)));
        say(format!("\treason: {}", printable(&meeting.reason)));
        let seats = meeting.seats;
        say(format!(
            "\tusers: {}, at most {} so far, {} expected",
            seats.users, meeting.course.peak_users, seats.reserved
        ));
    }
    if found.is_empty() {
        say(format!("{} is not running.", printable(id)));
    }
    say("\nPlaced now, it would be:");
    print(session, &explained);
    Ok(())
}

/// Where a meeting that is not known would be placed.
pub async fn dry_run(
    session: &Session,
    size: Option<u32>,
    tag: Option<String>,
    as_json: bool,
) -> Result<(), Failure> {
    let supposed = Supposed { size, tag, ..Supposed::default() };
    let explained = explain(&session.app, &supposed).await?;
    if as_json {
        say(as_value(&explained).to_string());
    } else {
        print(session, &explained);
    }
    if explained.choice.is_ok() { Ok(()) } else { Err(Failure(String::new())) }
}

fn at(curve: &[f32], minutes: usize) -> Option<f32> {
    curve.get(minutes / STEP_MINUTES).copied()
}

fn print(session: &Session, explained: &Explained) {
    match &explained.choice {
        Ok((id, reason)) => say(format!("{id}\n\treason: {}", printable(reason))),
        Err(refusal) => note(format!("No server: {refusal:?}")),
    }
    let own: Vec<String> = MINUTES
        .iter()
        .filter_map(|minutes| {
            Some(format!("{:.0} in {minutes} min", at(&explained.own, *minutes)?))
        })
        .collect();
    say(format!(
        "\texpected: {} seats ({}); users: {}",
        explained.seats,
        explained.source.name(),
        own.join(", ")
    ));
    if explained.promised > 0 {
        say(format!("\tlarger meetings expected soon, placed first: {}", explained.promised));
    }
    say("");
    let headings =
        ["SERVER", "STANDING", "TIER", "USERS", "LOAD", "COST", "NOW", "15", "30", "60", "120 MIN"];
    let now = session.app.clock.now();
    let rows: Vec<Vec<Cell>> = explained.looks.iter().map(|look| row(look, now)).collect();
    say_text(render(&headings, &rows));
}

fn row(look: &Look, now: Timestamp) -> Vec<Cell> {
    let server = &look.server;
    let cost = match look.outcome {
        Ok(cost) => Cell::Number(format!("{cost:.1}")),
        Err(why) => Cell::Text(why.to_string()),
    };
    let mut row = vec![
        Cell::text(&server.id.0),
        Cell::text(server.health.standing(now).name()),
        Cell::Number(server.limits.tier.to_string()),
        Cell::Number(server.stats.users.to_string()),
        Cell::Number(server.load.map_or("-".to_owned(), |load| format!("{load:.1}"))),
        cost,
    ];
    let users = MINUTES.iter().map(|minutes| at(&look.curve, *minutes));
    row.extend(
        users.map(|users| Cell::Number(users.map_or("-".to_owned(), |n| format!("{n:.0}")))),
    );
    row
}

fn as_value(explained: &Explained) -> serde_json::Value {
    let looks: Vec<_> = explained
        .looks
        .iter()
        .map(|look| {
            json!({
                "server": look.server.id,
                "cost": look.outcome.ok(),
                "excluded": look.outcome.err(),
                "load": look.server.load,
                "users": look.server.stats.users,
                "foreseen_users": look.curve,
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
        "seats": explained.seats,
        "source": explained.source.name(),
        "own_users": explained.own,
        "promised_before": explained.promised,
        "step_minutes": STEP_MINUTES,
        "candidates": looks,
    })
}
