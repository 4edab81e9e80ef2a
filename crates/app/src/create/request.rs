//! A create as it came in, and what all attempts of it need.

use std::time::Duration;

use bbb::Query;
use domain::{Meeting, MeetingKey};
use tokio::time::Instant;

use crate::api::find_lrs_access;
use crate::context::App;
use crate::ports::BackendBody;
use crate::replayable_body::ReplayableBody;
use crate::tenancy::Caller;

/// A create as it came in.
pub(super) struct CreateRequest<'a> {
    pub(super) app: &'a App,
    pub(super) caller: &'a Caller,
    pub(super) key: MeetingKey,
    pub(super) query: &'a Query,
    pub(super) body: Option<ReplayableBody>,
    /// Access to the tenant's learning record store, which servers are told about.
    pub(super) lrs_access: Option<String>,
    /// How long the create may be under way, in ms.
    pub(super) max_duration_ms: u64,
    /// When that time is over.
    pub(super) deadline: Instant,
    /// The meeting that is made anew, if this is a revival.
    pub(super) revived: Option<RevivedMeeting<'a>>,
}

/// A meeting that is made anew because its server is offline.
#[derive(Clone)]
pub(super) struct RevivedMeeting<'a> {
    /// Its record.
    pub(super) record: &'a Meeting,
    /// Its internalMeetingID.
    pub(super) internal_id: &'a str,
    /// `createTime` of all copies that there were before.
    pub(super) former_create_times: Vec<i64>,
}

impl<'a> CreateRequest<'a> {
    /// Takes a create on. Its time runs from now on.
    pub(super) async fn new(
        app: &'a App,
        caller: &'a Caller,
        key: MeetingKey,
        query: &'a Query,
        body: Option<BackendBody>,
    ) -> Self {
        let max_duration_ms = max_duration_ms(app, body.is_some());
        let deadline = Instant::now() + Duration::from_millis(max_duration_ms);
        // Asked for before there is a claim, whose time is limited.
        let lrs_access = find_lrs_access(app, caller.tenant()).await;
        let body = body.map(ReplayableBody::new);
        let revived = None;
        Self { app, caller, key, query, body, lrs_access, max_duration_ms, deadline, revived }
    }

    /// The moderators' password that the front-end gives, if any.
    pub(super) fn moderator_pw(&self) -> Option<String> {
        let password = self.query.get("moderatorPW").filter(|password| !password.is_empty());
        password.map(std::borrow::Cow::into_owned)
    }
}

/// How long a create may be under way, in ms: longer if a body has to be uploaded.
fn max_duration_ms(app: &App, has_body: bool) -> u64 {
    let without_body = app.policy.max_create_ms();
    let with_body = u64::try_from(app.policy.max_upload_ms).unwrap_or(0);
    if has_body { with_body.max(without_body) } else { without_body }
}
