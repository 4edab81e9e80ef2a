//! Meetings, here and there.

use app::admin::meetings;
use app::ports::MeetingOnServer;
use bytes::Bytes;
use domain::{Meeting, ServerId};
use serde::Deserialize;

use super::answers::RecordedMeetingAnswer;
use super::remote::segment;
use super::{Balancer, CommandFailure};

#[derive(Deserialize)]
struct ForeignAnswer {
    id: String,
    server: String,
}

#[derive(Deserialize)]
struct InfoAnswer {
    xml: String,
}

/// The part of a query that names the tenant of a meeting.
fn tenant_query(meeting: &Meeting) -> Vec<(&'static str, &str)> {
    meeting.key.tenant.iter().map(|tenant| ("tenant", tenant.as_str())).collect()
}

impl Balancer {
    /// The meetings with these ids, or all.
    pub async fn list_meetings(&self, ids: &[String]) -> Result<Vec<Meeting>, CommandFailure> {
        let remote = match self {
            Self::Here(context) => return Ok(meetings::list(&context.app, ids).await?),
            Self::There(remote) => remote,
        };
        let query = match ids {
            [id] => vec![("id", id.as_str())],
            _ => Vec::new(),
        };
        let found: Vec<RecordedMeetingAnswer> = remote.list("/meetings", &query).await?;
        let is_listed = |meeting: &Meeting| ids.is_empty() || ids.contains(&meeting.key.id);
        Ok(found.into_iter().map(|answer| answer.record).filter(is_listed).collect())
    }

    /// The meetings to end: those with these ids, or all that are ours.
    pub async fn list_meetings_to_end(
        &self,
        ids: &[String],
    ) -> Result<Vec<Meeting>, CommandFailure> {
        let mut found = self.list_meetings(ids).await?;
        found.retain(|meeting| !ids.is_empty() || !meeting.origin.is_adopted);
        Ok(found)
    }

    /// The meetings with this id, each with its server. Several tenants may have one of this id.
    pub async fn find_meetings(&self, id: &str) -> Result<Vec<MeetingOnServer>, CommandFailure> {
        if let Self::Here(context) = self {
            return Ok(meetings::find(&context.app, id).await?);
        }
        let mut found = Vec::new();
        for meeting in self.list_meetings(&[id.to_owned()]).await? {
            let server = self.find_server(&meeting.server.0).await?;
            found.push(MeetingOnServer { meeting, server });
        }
        Ok(found)
    }

    /// Meetings that run on the servers and are not ours.
    pub async fn list_foreign_meetings(&self) -> Result<Vec<(ServerId, String)>, CommandFailure> {
        match self {
            Self::Here(context) => Ok(meetings::list_foreign_meetings(&context.app).await?),
            Self::There(remote) => {
                let found: Vec<ForeignAnswer> = remote.list_all("/foreign-meetings").await?;
                Ok(found.into_iter().map(|it| (ServerId(it.server), it.id)).collect())
            }
        }
    }

    /// What the server of a meeting says of it.
    pub async fn fetch_meeting_info(
        &self,
        found: &MeetingOnServer,
    ) -> Result<Bytes, CommandFailure> {
        match self {
            Self::Here(context) => Ok(meetings::fetch_meeting_info(&context.app, found).await?),
            Self::There(remote) => {
                let path = format!("/meetings/{}/info", segment(&found.meeting.key.id));
                let answer: InfoAnswer = remote.get(&path, &tenant_query(&found.meeting)).await?;
                Ok(answer.xml.into())
            }
        }
    }

    /// Ends a meeting. It is forgotten even if its server does not answer.
    pub async fn end_meeting(&self, meeting: &Meeting) -> Result<(), CommandFailure> {
        match self {
            Self::Here(context) => Ok(meetings::end(&context.app, meeting).await?),
            Self::There(remote) => {
                let path = format!("/meetings/{}", segment(&meeting.key.id));
                match remote.delete(&path, &tenant_query(meeting)).await {
                    // It ended meanwhile.
                    Err(error) if error.is("not-found") => Ok(()),
                    ended => Ok(ended?),
                }
            }
        }
    }
}
