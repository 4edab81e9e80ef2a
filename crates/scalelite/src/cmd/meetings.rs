//! `meetings`: list, info, end.

use app::admin::meetings;
use app::ports::MeetingOnServer;
use bbb::response::parse_text_elements;

use crate::output::{print_line, print_note, printable};

use super::{CommandContext, CommandFailure, print_declined, read_confirmation};

/// Fields of a meeting that the original prints, and what it calls them.
const MEETING_FIELDS: [(&str, &str); 4] = [
    ("meetingName", "Meeting Name"),
    ("internalMeetingID", "Internal MeetingID"),
    ("createDate", "Created Date"),
    ("recording", "Recording Enabled"),
];
/// Metadata that the original prints, whether there is any or not.
const METADATA_FIELDS: [&str; 12] = [
    "bbb-context-name",
    "analytics-callback-url",
    "bbb-recording-tags",
    "bbb-origin-server-common-name",
    "bbb-context-label",
    "bbb-origin",
    "bbb-context",
    "bbb-context-id",
    "bbb-recording-name",
    "bbb-origin-server-name",
    "bbb-recording-description",
    "bbb-origin-tag",
];

/// Lists what runs on the servers and is nobody's.
pub async fn list_foreign(session: &CommandContext) -> Result<(), CommandFailure> {
    let found = meetings::list_foreign_meetings(&session.app).await?;
    for (server, id) in &found {
        print_line(format!("{server}\t{}", printable(id)));
    }
    if found.is_empty() {
        print_note("No foreign meetings");
    }
    Ok(())
}

/// Lists meetings with their servers.
pub async fn list(session: &CommandContext, ids: &[String]) -> Result<(), CommandFailure> {
    let found = meetings::list(&session.app, ids).await?;
    if found.is_empty() {
        print_note("No meetings");
    }
    let servers = session.app.pool.list_servers().await?;
    for meeting in found {
        let server = servers.iter().find(|server| server.id == meeting.server);
        let url = server.map_or("", |server| server.url.as_str());
        print_line(format!("\nMeetingID: {}", printable(&meeting.key.id)));
        print_line(format!("\tServer ID: {}\n\tServer Url: {url}", meeting.server));
        if meeting.detached {
            print_line("\tDetached: its server is offline");
        }
        if let Some(tenant) = &meeting.key.tenant {
            print_line(format!("\tTenant ID: {}", printable(tenant)));
        }
    }
    Ok(())
}

/// Shows what a meeting's server says of it.
pub async fn show_info(session: &CommandContext, id: &str) -> Result<(), CommandFailure> {
    let found = meetings::find(&session.app, id).await?;
    if found.is_empty() {
        return Err(CommandFailure(format!("ERROR: No meeting found with id: {}", printable(id))));
    }
    for located in found {
        let answer = meetings::fetch_meeting_info(&session.app, &located).await?;
        print_info(&located, &answer);
    }
    Ok(())
}

fn print_info(located: &MeetingOnServer, answer: &[u8]) {
    let id = &located.meeting.key.id;
    let elements = parse_text_elements(answer);
    let text = |path: &str| {
        let found = elements.iter().find(|(name, _)| name == path);
        printable(found.map_or("", |(_, value)| value))
    };
    print_line(format!("\nMeeting ID: {}", printable(id)));
    for (element, label) in MEETING_FIELDS {
        print_line(format!("\t{label}: {}", text(&format!("response/{element}"))));
    }
    print_line(format!("\tServer id: {}\n\tServer url: {}", located.server.id, located.server.url));
    print_line("\tMetaData:");
    for name in METADATA_FIELDS {
        print_line(format!("\t\t{name}: {}", text(&format!("response/metadata/{name}"))));
    }
}

/// Ends meetings and forgets them.
pub async fn end(
    session: &CommandContext,
    ids: &[String],
    yes: bool,
) -> Result<(), CommandFailure> {
    if !yes {
        print_line("WARNING: You are trying to clear active meetings.");
        print_line("If you still wish to continue please enter `yes`");
        if !read_confirmation() {
            print_declined();
            return Ok(());
        }
    }
    let found = meetings::list(&session.app, ids).await?;
    if found.is_empty() {
        print_note("No meetings to clear");
    }
    let mut failed = false;
    for meeting in found {
        print_line(format!("Clearing Meeting id={}", printable(&meeting.key.id)));
        if let Err(error) = meetings::end(&session.app, &meeting).await {
            print_note(format!(
                "WARNING: not ended on its server: {}",
                CommandFailure::from(error).0
            ));
            failed = true;
        }
    }
    print_line("OK");
    if failed { Err(CommandFailure(String::new())) } else { Ok(()) }
}
