//! `callbacks`: lists and retries callbacks that front-ends have not received yet.

use app::ports::OutboxMessage;
use serde_json::json;

use super::CommandFailure;
use super::balancer::Balancer;
use crate::output::table::{Cell, render};
use crate::output::time::format_time;
use crate::output::{print_line, print_note, print_text, printable};

/// Lists callbacks that are queued, and those that were given up.
pub async fn list(balancer: &Balancer, as_json: bool) -> Result<(), CommandFailure> {
    let messages = balancer.list_callbacks().await?;
    if as_json {
        let values: Vec<_> = messages.iter().map(to_json).collect();
        print_line(json!(values).to_string());
        return Ok(());
    }
    if messages.is_empty() {
        print_note("No callbacks are queued");
        return Ok(());
    }
    let headings = ["ID", "TOPIC", "MEETING", "HOST", "POSTED", "ATTEMPTS", "NEXT", "FAILURE"];
    let rows: Vec<Vec<Cell>> = messages.iter().map(table_row).collect();
    print_text(render(&headings, &rows));
    Ok(())
}

/// Makes one callback due now, or all that were given up.
pub async fn retry(balancer: &Balancer, id: Option<&str>) -> Result<(), CommandFailure> {
    let retried = balancer.retry_callbacks(id).await?;
    match (id, retried) {
        (Some(id), 0) => {
            Err(CommandFailure(format!("ERROR: No callback found with id: {}", printable(id))))
        }
        (_, retried) => {
            print_note(format!("{retried} callbacks are due now; a running server sends them"));
            Ok(())
        }
    }
}

/// The host of a URL. The rest of the URL is not shown, since it may contain secrets.
fn url_host(url: &str) -> String {
    let uri: Option<http::Uri> = url.parse().ok();
    uri.and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_else(|| "?".to_owned())
}

fn next_attempt(message: &OutboxMessage) -> String {
    message.due_at.map_or_else(|| "given up".to_owned(), format_time)
}

fn table_row(message: &OutboxMessage) -> Vec<Cell> {
    vec![
        Cell::text(printable(&message.id)),
        Cell::text(message.topic.name()),
        Cell::text(printable(&message.meeting_id)),
        Cell::text(url_host(&message.url)),
        Cell::text(format_time(message.posted_at)),
        Cell::Number(message.attempts.to_string()),
        Cell::text(next_attempt(message)),
        Cell::text(printable(message.failure.as_deref().unwrap_or_default())),
    ]
}

fn to_json(message: &OutboxMessage) -> serde_json::Value {
    json!({
        "id": message.id,
        "topic": message.topic.name(),
        "tenant": message.tenant,
        "meeting_id": message.meeting_id,
        "record_id": message.record_id,
        "host": url_host(&message.url),
        "posted_at": format_time(message.posted_at),
        "attempts": message.attempts,
        "next": message.due_at.map(format_time),
        "failure": message.failure,
    })
}
