//! `meetings`: lists, shows and ends meetings.

use app::ports::MeetingOnServer;
use bbb::response::parse_text_elements;
use domain::meeting::REVIVAL_REASON;

use crate::output::{print_line, print_note, printable};

use super::balancer::Balancer;
use super::{CommandFailure, print_declined, read_confirmation};

/// Elements of the getMeetingInfo response that the original prints, and its labels for them.
const MEETING_FIELDS: [(&str, &str); 4] = [
    ("meetingName", "Meeting Name"),
    ("internalMeetingID", "Internal MeetingID"),
    ("createDate", "Created Date"),
    ("recording", "Recording Enabled"),
];
/// Metadata that the original prints, even if the meeting does not have it.
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

/// Lists meetings that run on the servers but were not created by this deployment.
pub async fn list_foreign(balancer: &Balancer) -> Result<(), CommandFailure> {
    let found = balancer.list_foreign_meetings().await?;
    for (server, id) in &found {
        print_line(format!("{server}\t{}", printable(id)));
    }
    if found.is_empty() {
        print_note("No foreign meetings");
    }
    Ok(())
}

/// Lists meetings with their servers.
pub async fn list(balancer: &Balancer, ids: &[String]) -> Result<(), CommandFailure> {
    let found = balancer.list_meetings(ids).await?;
    if found.is_empty() {
        print_note("No meetings");
    }
    let servers = balancer.list_servers().await?;
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

/// Shows what the server of a meeting reports about it.
pub async fn show_info(balancer: &Balancer, id: &str) -> Result<(), CommandFailure> {
    let found = balancer.find_meetings(id).await?;
    if found.is_empty() {
        return Err(CommandFailure(format!("ERROR: No meeting found with id: {}", printable(id))));
    }
    for meeting in found {
        let response = balancer.fetch_meeting_info(&meeting).await?;
        print_info(&meeting, &response);
    }
    Ok(())
}

fn print_info(meeting: &MeetingOnServer, response: &[u8]) {
    let MeetingOnServer { meeting, server, .. } = meeting;
    let id = &meeting.key.id;
    let elements = parse_text_elements(response);
    let text = |path: &str| {
        let element = elements.iter().find(|(name, _)| name == path);
        printable(element.map_or("", |(_, value)| value))
    };
    print_line(format!("\nMeeting ID: {}", printable(id)));
    for (element, label) in MEETING_FIELDS {
        print_line(format!("\t{label}: {}", text(&format!("response/{element}"))));
    }
    print_line(format!("\tServer id: {}\n\tServer url: {}", server.id, server.url));
    if let Some(reason) = meeting.placement_reason.strip_prefix(REVIVAL_REASON) {
        print_line(format!("\tRevived: {}", printable(reason)));
    }
    print_line("\tMetaData:");
    for name in METADATA_FIELDS {
        print_line(format!("\t\t{name}: {}", text(&format!("response/metadata/{name}"))));
    }
}

/// Ends meetings and removes them from the pool. Without ids, foreign ones are left alone.
pub async fn end(balancer: &Balancer, ids: &[String], yes: bool) -> Result<(), CommandFailure> {
    if !yes {
        print_line("WARNING: You are trying to clear active meetings.");
        print_line("If you still wish to continue please enter `yes`");
        if !read_confirmation() {
            print_declined();
            return Ok(());
        }
    }
    let found = balancer.list_meetings_to_end(ids).await?;
    if found.is_empty() {
        print_note("No meetings to clear");
    }
    let mut failed = false;
    for meeting in found {
        print_line(format!("Clearing Meeting id={}", printable(&meeting.key.id)));
        if let Err(CommandFailure(reason)) = balancer.end_meeting(&meeting).await {
            print_note(format!("WARNING: not ended on its server: {reason}"));
            failed = true;
        }
    }
    print_line("OK");
    if failed { Err(CommandFailure(String::new())) } else { Ok(()) }
}
