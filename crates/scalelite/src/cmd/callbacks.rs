//! `callbacks`: what front-ends have not heard yet.

use app::ports::{Message, Records};
use serde_json::json;

use super::{Failure, Session, clock_time};
use crate::output::table::{Cell, render};
use crate::output::{note, printable, say, say_text};

/// Messages shown at most.
const SHOWN_MAX: u32 = 1_000;

/// Lists messages that wait, and those that were given up.
pub async fn list(session: &Session, as_json: bool) -> Result<(), Failure> {
    let messages = records(session)?.messages(SHOWN_MAX).await?;
    if as_json {
        let values: Vec<_> = messages.iter().map(as_value).collect();
        say(json!(values).to_string());
        return Ok(());
    }
    if messages.is_empty() {
        note("No callbacks wait");
        return Ok(());
    }
    let headings = ["id", "about", "meeting", "host", "posted", "attempts", "next", "failure"];
    let rows: Vec<Vec<Cell>> = messages.iter().map(row).collect();
    say_text(&render(&headings, &rows));
    Ok(())
}

/// Sends one message soon, or all that were given up.
pub async fn retry(session: &Session, id: Option<&str>) -> Result<(), Failure> {
    let retried = records(session)?.retry(id, session.app.clock.now()).await?;
    match (id, retried) {
        (Some(id), 0) => Err(Failure(format!("ERROR: there is no callback {}", printable(id)))),
        (_, retried) => {
            note(format!("{retried} callbacks are due now; a running server sends them"));
            Ok(())
        }
    }
}

fn records(session: &Session) -> Result<&dyn Records, Failure> {
    let records = session.app.records.as_deref();
    records.ok_or_else(|| Failure("ERROR: there is no database of recordings".to_owned()))
}

/// The host of an address: the rest may hold what is nobody's business.
fn host(url: &str) -> String {
    let uri: Option<http::Uri> = url.parse().ok();
    uri.and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_else(|| "?".to_owned())
}

fn next(message: &Message) -> String {
    message.due_at.map_or_else(|| "given up".to_owned(), clock_time)
}

fn row(message: &Message) -> Vec<Cell> {
    vec![
        Cell::text(printable(&message.id)),
        Cell::text(message.topic.name()),
        Cell::text(printable(&message.meeting_id)),
        Cell::text(host(&message.url)),
        Cell::text(clock_time(message.posted_at)),
        Cell::Number(message.attempts.to_string()),
        Cell::text(next(message)),
        Cell::text(printable(message.failure.as_deref().unwrap_or_default())),
    ]
}

fn as_value(message: &Message) -> serde_json::Value {
    json!({
        "id": message.id,
        "about": message.topic.name(),
        "tenant": message.tenant,
        "meeting_id": message.meeting_id,
        "record_id": message.record_id,
        "host": host(&message.url),
        "posted_at": clock_time(message.posted_at),
        "attempts": message.attempts,
        "next": message.due_at.map(clock_time),
        "failure": message.failure,
    })
}
