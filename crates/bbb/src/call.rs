//! The table of API calls: their names, the HTTP methods that each allows, and the bodies that each
//! may carry. Source: BBB 3.x UrlMappings, reduced to the calls that a balancer answers.

/// A call of the BBB API that the balancer handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ApiCall {
    /// Returns the version document at the root of the API.
    Index,
    /// Creates a meeting.
    Create,
    /// Lets a user enter a meeting.
    Join,
    /// Tells whether a meeting is running.
    IsMeetingRunning,
    /// Returns all details of one meeting.
    GetMeetingInfo,
    /// Ends a meeting.
    End,
    /// Lists all meetings.
    GetMeetings,
    /// Adds slides to a running meeting.
    InsertDocument,
    /// Sends a message to the public chat of a meeting.
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

/// The content that a call allows in a POST body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// A form: `application/x-www-form-urlencoded` or `multipart/form-data`.
    Form,
    /// A form, or an XML document with modules.
    FormOrXml,
    /// An XML document with modules only.
    Xml,
}

impl ApiCall {
    /// All calls.
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

    /// Returns the name as it appears in the path and in the signed text; empty for the version
    /// document.
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

    /// Finds a call by its name. Names are case-sensitive.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|call| call.name() == name)
    }

    /// Returns whether the call may be sent with this HTTP method. HEAD counts as GET.
    #[must_use]
    pub fn allows_method(self, method: &str) -> bool {
        let (allows_get, allows_post) = match self {
            Self::Join | Self::PublishRecordings | Self::DeleteRecordings => (true, false),
            Self::InsertDocument | Self::PutRecordingTextTrack => (false, true),
            _ => (true, true),
        };
        match method {
            "GET" | "HEAD" => allows_get,
            "POST" => allows_post,
            _ => false,
        }
    }

    /// Returns the content that the call allows in a POST body.
    #[must_use]
    pub fn body_kind(self) -> BodyKind {
        match self {
            Self::Create => BodyKind::FormOrXml,
            Self::InsertDocument => BodyKind::Xml,
            _ => BodyKind::Form,
        }
    }
}

/// The type of a body according to its `Content-Type` header.
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
    /// Any other type, or no header.
    Other,
}

impl ContentType {
    /// Parses the value of the header. Parameters and case are ignored.
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

    /// Returns whether a call that allows `kind` may carry a body of this type.
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
    fn every_call_is_found_by_its_name_and_case_matters() {
        for call in ApiCall::ALL {
            assert_eq!(ApiCall::from_name(call.name()), Some(call));
        }
        assert_eq!(ApiCall::from_name("ismeetingrunning"), None);
    }

    #[test]
    fn calls_allow_their_http_methods() {
        assert!(ApiCall::Join.allows_method("HEAD") && !ApiCall::Join.allows_method("POST"));
        assert!(
            ApiCall::InsertDocument.allows_method("POST")
                && !ApiCall::InsertDocument.allows_method("GET")
        );
        assert!(ApiCall::Create.allows_method("POST") && !ApiCall::Create.allows_method("PUT"));
    }

    #[test]
    fn content_types_are_allowed_by_body_kind() {
        let form = ContentType::parse("Application/X-WWW-Form-Urlencoded; charset=utf-8");
        assert!(form.is_allowed_as(BodyKind::Form) && form.is_allowed_as(BodyKind::FormOrXml));
        assert!(!form.is_allowed_as(BodyKind::Xml));
        assert!(ContentType::parse("text/xml").is_allowed_as(ApiCall::Create.body_kind()));
        assert!(!ContentType::parse("").is_allowed_as(ApiCall::End.body_kind()));
    }
}
