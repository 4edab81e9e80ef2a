//! `meetings`: list, info, end.

use app::admin::meetings;
use app::ports::Located;
use bbb::answer::text_elements;

use crate::output::{note, printable, say};

use super::{Failure, Session, confirmed, declined};

/// Fields of a meeting that the original prints, and what it calls them.
const FIELDS: [(&str, &str); 4] = [
    ("meetingName", "Meeting Name"),
    ("internalMeetingID", "Internal MeetingID"),
    ("createDate", "Created Date"),
    ("recording", "Recording Enabled"),
];
/// Metadata that the original prints, whether there is any or not.
const METADATA: [&str; 12] = [
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
pub async fn foreign(session: &Session) -> Result<(), Failure> {
    let found = meetings::foreign(&session.app).await?;
    for (server, id) in &found {
        say(format!("{server}\t{}", printable(id)));
    }
    if found.is_empty() {
        note("No foreign meetings");
    }
    Ok(())
}

/// Lists meetings with their servers.
pub async fn list(session: &Session, ids: &[String]) -> Result<(), Failure> {
    let found = meetings::list(&session.app, ids).await?;
    if found.is_empty() {
        note("No meetings");
    }
    let servers = session.app.cluster.servers().await?;
    for meeting in found {
        let server = servers.iter().find(|server| server.id == meeting.server);
        let url = server.map_or("", |server| server.url.as_str());
        say(format!("\nMeetingID: {}", printable(&meeting.key.id)));
        say(format!("\tServer ID: {}\n\tServer Url: {url}", meeting.server));
        if meeting.detached {
            say("\tDetached: its server is offline");
        }
        if let Some(tenant) = &meeting.key.tenant {
            say(format!("\tTenant ID: {}", printable(tenant)));
        }
    }
    Ok(())
}

/// Shows what a meeting's server says of it.
pub async fn info(session: &Session, id: &str) -> Result<(), Failure> {
    let found = meetings::find(&session.app, id).await?;
    if found.is_empty() {
        return Err(Failure(format!("ERROR: No meeting found with id: {}", printable(id))));
    }
    for located in found {
        let answer = meetings::info(&session.app, &located).await?;
        describe(&located, &answer);
    }
    Ok(())
}

fn describe(located: &Located, answer: &[u8]) {
    let id = &located.meeting.key.id;
    let elements = text_elements(answer);
    let text = |path: &str| {
        let found = elements.iter().find(|(name, _)| name == path);
        printable(found.map_or("", |(_, value)| value))
    };
    say(format!("\nMeeting ID: {}", printable(id)));
    for (element, label) in FIELDS {
        say(format!("\t{label}: {}", text(&format!("response/{element}"))));
    }
    say(format!("\tServer id: {}\n\tServer url: {}", located.server.id, located.server.url));
    say("\tMetaData:");
    for name in METADATA {
        say(format!("\t\t{name}: {}", text(&format!("response/metadata/{name}"))));
    }
}

/// Ends meetings and forgets them.
pub async fn end(session: &Session, ids: &[String], yes: bool) -> Result<(), Failure> {
    if !yes {
        say("WARNING: You are trying to clear active meetings.");
        say("If you still wish to continue please enter `yes`");
        if !confirmed() {
            declined();
            return Ok(());
        }
    }
    let found = meetings::list(&session.app, ids).await?;
    if found.is_empty() {
        note("No meetings to clear");
    }
    let mut failed = false;
    for meeting in found {
        say(format!("Clearing Meeting id={}", printable(&meeting.key.id)));
        if let Err(error) = meetings::end(&session.app, &meeting).await {
            note(format!("WARNING: not ended on its server: {}", Failure::from(error).0));
            failed = true;
        }
    }
    say("OK");
    if failed { Err(Failure(String::new())) } else { Ok(()) }
}
