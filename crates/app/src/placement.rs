//! What a new meeting asks of a server: the one place where the criteria of placement are put together, for creates and for
//! dry runs alike.

use domain::forecast::NewMeeting;
use domain::parameters::{ParameterRules, effective_tag};
use domain::placement::{PlacementCriteria, TagRequest, meeting_seed};
use domain::{MeetingKey, Timestamp};

use crate::context::App;
use crate::forecaster::{self, NewMeetingForecast};

/// What is known of a meeting before it is placed.
pub(crate) struct PlacementInput<'a> {
    /// The meeting.
    pub(crate) key: &'a MeetingKey,
    /// `meta_server-tag` of the request.
    pub(crate) tag: Option<&'a str>,
    /// The number of users that the front-end announces.
    pub(crate) size_hint: Option<u32>,
    /// The number of users that the meeting lets in.
    pub(crate) max_users: Option<u32>,
    /// The rules for parameters that apply to the caller, which may set or replace the tag.
    pub(crate) rules: &'a ParameterRules,
}

/// Returns the criteria by which a server is chosen for the meeting, and the forecast that they are made of.
pub(crate) fn plan_placement(
    app: &App,
    input: &PlacementInput<'_>,
    now: Timestamp,
) -> (PlacementCriteria, NewMeetingForecast) {
    let history_key = app.policy.history_key(input.key);
    let meeting =
        NewMeeting { key: &history_key, size_hint: input.size_hint, max_users: input.max_users };
    let forecast = forecaster::forecast_new_meeting(app, &meeting, now);
    let tags = effective_tag(input.tag, input.rules).unwrap_or_default();
    let criteria = PlacementCriteria {
        tags: TagRequest::parse(tags),
        expected_users: forecast.expected_users,
        source: forecast.source,
        seed: meeting_seed(&input.key.id),
        now,
        tried_servers: Vec::new(),
        same_id_servers: Vec::new(),
        rules: app.policy.placement,
        costs: forecast.costs.clone(),
    };
    (criteria, forecast)
}
