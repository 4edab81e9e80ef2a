//! The table of calls: which names there are, how each may be sent, and what body it may carry.
//! Source: BBB 3.x UrlMappings, narrowed to what a balancer answers.

/// A call of the BBB API that a balancer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ApiCall {
    /// The version document at the API's root.
    Index,
    /// Creates a meeting.
    Create,
    /// Sends a user into a meeting.
    Join,
    /// Whether anybody is in a meeting.
    IsMeetingRunning,
    /// All about one meeting.
    GetMeetingInfo,
    /// Ends a meeting.
    End,
    /// All meetings.
    GetMeetings,
    /// Adds slides to a running meeting.
    InsertDocument,
    /// Writes into the public chat of a meeting.
    SendChatMessage,
    /// Lists recordings.
    GetRecordings,
    /// Publishes or unpublishes recordings.
    PublishRecordings,
    /// Changes the metadata of recordings.
    UpdateRecordings,
    /// Deletes recordings.
    DeleteRecordings,
    /// Lists the captions of a recording.
    GetRecordingTextTracks,
    /// Adds captions to a recording.
    PutRecordingTextTrack,
}

/// What a POST body of a call may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// `application/x-www-form-urlencoded` or `multipart/form-data`.
    Form,
    /// A form, or XML modules.
    FormOrXml,
    /// XML modules only.
    Xml,
}

impl ApiCall {
    /// Every call.
    pub const ALL: [Self; 15] = [
        Self::Index,
        Self::Create,
        Self::Join,
        Self::IsMeetingRunning,
        Self::GetMeetingInfo,
        Self::End,
        Self::GetMeetings,
        Self::InsertDocument,
        Self::SendChatMessage,
        Self::GetRecordings,
        Self::PublishRecordings,
        Self::UpdateRecordings,
        Self::DeleteRecordings,
        Self::GetRecordingTextTracks,
        Self::PutRecordingTextTrack,
    ];

    /// The name as it stands in the path and in the signed text; empty for the version document.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Index => "",
            Self::Create => "create",
            Self::Join => "join",
            Self::IsMeetingRunning => "isMeetingRunning",
            Self::GetMeetingInfo => "getMeetingInfo",
            Self::End => "end",
            Self::GetMeetings => "getMeetings",
            Self::InsertDocument => "insertDocument",
            Self::SendChatMessage => "sendChatMessage",
            Self::GetRecordings => "getRecordings",
            Self::PublishRecordings => "publishRecordings",
            Self::UpdateRecordings => "updateRecordings",
            Self::DeleteRecordings => "deleteRecordings",
            Self::GetRecordingTextTracks => "getRecordingTextTracks",
            Self::PutRecordingTextTrack => "putRecordingTextTrack",
        }
    }

    /// The call of that name; names are case-sensitive.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|call| call.name() == name)
    }

    /// Whether the call may be sent with this method. HEAD counts as GET.
    #[must_use]
    pub fn allows_method(self, method: &str) -> bool {
        let (get, post) = match self {
            Self::Join | Self::PublishRecordings | Self::DeleteRecordings => (true, false),
            Self::InsertDocument | Self::PutRecordingTextTrack => (false, true),
            _ => (true, true),
        };
        match method {
            "GET" | "HEAD" => get,
            "POST" => post,
            _ => false,
        }
    }

    /// What its POST body may be.
    #[must_use]
    pub fn body_kind(self) -> BodyKind {
        match self {
            Self::Create => BodyKind::FormOrXml,
            Self::InsertDocument => BodyKind::Xml,
            _ => BodyKind::Form,
        }
    }
}

/// What a body is, by its `Content-Type` (parameters ignored, any case).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// `application/x-www-form-urlencoded`
    UrlEncoded,
    /// `multipart/form-data`
    Multipart,
    /// `application/xml` or `text/xml`
    Xml,
    /// `application/json`
    Json,
    /// Anything else, or none.
    Other,
}

impl ContentType {
    /// Reads the header's value.
    #[must_use]
    pub fn parse(header: &str) -> Self {
        let essence = header.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "application/x-www-form-urlencoded" => Self::UrlEncoded,
            "multipart/form-data" => Self::Multipart,
            "application/xml" | "text/xml" => Self::Xml,
            "application/json" => Self::Json,
            _ => Self::Other,
        }
    }

    /// Whether a call may carry a body of this type.
    #[must_use]
    pub fn is_allowed_as(self, kind: BodyKind) -> bool {
        match self {
            Self::UrlEncoded | Self::Multipart => kind != BodyKind::Xml,
            Self::Xml => kind != BodyKind::Form,
            Self::Json | Self::Other => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again_and_case_matters() {
        for call in ApiCall::ALL {
            assert_eq!(ApiCall::from_name(call.name()), Some(call));
        }
        assert_eq!(ApiCall::from_name("ismeetingrunning"), None);
    }

    #[test]
    fn methods() {
        assert!(ApiCall::Join.allows_method("HEAD") && !ApiCall::Join.allows_method("POST"));
        assert!(
            ApiCall::InsertDocument.allows_method("POST")
                && !ApiCall::InsertDocument.allows_method("GET")
        );
        assert!(ApiCall::Create.allows_method("POST") && !ApiCall::Create.allows_method("PUT"));
    }

    #[test]
    fn content_types() {
        let form = ContentType::parse("Application/X-WWW-Form-Urlencoded; charset=utf-8");
        assert!(form.is_allowed_as(BodyKind::Form) && form.is_allowed_as(BodyKind::FormOrXml));
        assert!(!form.is_allowed_as(BodyKind::Xml));
        assert!(ContentType::parse("text/xml").is_allowed_as(ApiCall::Create.body_kind()));
        assert!(!ContentType::parse("").is_allowed_as(ApiCall::End.body_kind()));
    }
}
