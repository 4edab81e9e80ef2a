//! What a record of the audit says of a change: without secrets, and bounded in length.

use std::collections::BTreeSet;

use domain::tenant::Lrs;
use domain::{MeetingKey, Server, Tenant};
use serde_json::{Map, Value, json};

use crate::ports::AuditTarget;

/// Longest id or name in a record, in characters.
const MAX_TEXT_CHARS: usize = 300;
/// Longest description of one side of a change, in bytes.
const MAX_VALUE_BYTES: usize = 4 << 10;
/// What is shown instead of a secret, before and after it was changed.
const HIDDEN: [&str; 2] = ["***", "*** (another)"];
/// Fields of a learning record store that are secrets.
const SECRET_FIELDS: [&str; 3] = ["lrs_password", "kc_client_secret", "kc_password"];

/// A change that is to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEvent {
    action: &'static str,
    target: AuditTarget,
    before: Option<Value>,
    after: Option<Value>,
}

impl AuditEvent {
    /// Something was done, e.g. `server.update`.
    #[must_use]
    pub fn new(action: &'static str) -> Self {
        Self { action, target: AuditTarget::default(), before: None, after: None }
    }

    /// It concerned this server.
    #[must_use]
    pub fn on_server(mut self, server: &Server) -> Self {
        self.target.server = Some(shorten(&server.id.0));
        self.target.host = Some(shorten(server.hostname()));
        self
    }

    /// It concerned the server of this id, whose host name may be unknown.
    #[must_use]
    pub fn on_server_id(mut self, id: &str, host: Option<&str>) -> Self {
        self.target.server = Some(shorten(id));
        self.target.host = host.map(shorten);
        self
    }

    /// It concerned this meeting.
    #[must_use]
    pub fn on_meeting(mut self, key: &MeetingKey) -> Self {
        self.target.meeting = Some(shorten(&key.id));
        self.of_tenant(key.tenant.as_deref())
    }

    /// It concerned this recording.
    #[must_use]
    pub fn on_recording(mut self, record_id: &str) -> Self {
        self.target.recording = Some(shorten(record_id));
        self
    }

    /// It concerned this tenant, or something of it.
    #[must_use]
    pub fn of_tenant(mut self, id: Option<&str>) -> Self {
        self.target.tenant = id.map(shorten);
        self
    }

    /// It concerned something of this name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.target.name = Some(shorten(name));
        self
    }

    /// What it was like before, without secrets.
    #[must_use]
    pub fn before(self, before: impl Into<Option<Value>>) -> Self {
        Self { before: before.into(), ..self }
    }

    /// What it was like afterwards, without secrets.
    #[must_use]
    pub fn after(self, after: impl Into<Option<Value>>) -> Self {
        Self { after: after.into(), ..self }
    }

    /// Action, target, and both sides as JSON texts.
    pub(super) fn into_parts(self) -> (&'static str, AuditTarget, Option<String>, Option<String>) {
        let [before, after] = [self.before, self.after].map(|value| value.map(|it| to_text(&it)));
        (self.action, self.target, before, after)
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(MAX_TEXT_CHARS).collect()
}

fn to_text(value: &Value) -> String {
    let text = value.to_string();
    match text.len() {
        0..=MAX_VALUE_BYTES => text,
        bytes => json!({ "left_out_bytes": bytes }).to_string(),
    }
}

/// Both sides of a change: what differs.
type Sides = (Option<Value>, Option<Value>);

/// Leaves only what differs of two descriptions; of one, everything.
fn find_differences(
    before: Option<Map<String, Value>>,
    after: Option<Map<String, Value>>,
) -> Sides {
    let (Some(before), Some(after)) = (&before, &after) else {
        return (before.map(Value::Object), after.map(Value::Object));
    };
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let (mut old, mut new) = (Map::new(), Map::new());
    for name in names {
        let [was, is] = [before, after].map(|side| side.get(name).cloned().unwrap_or(Value::Null));
        if was != is {
            old.insert(name.clone(), was);
            new.insert(name.clone(), is);
        }
    }
    (Some(Value::Object(old)), Some(Value::Object(new)))
}

/// The fields on one side of a change.
type Side = Option<Map<String, Value>>;

/// Hides a secret on both sides. Whether it was changed can be told from them.
fn hide(name: &str, [before, after]: [Option<&String>; 2], sides: (&mut Side, &mut Side)) {
    let is_changed = before.is_some() && before != after;
    for (secret, side, hidden) in
        [(before, sides.0, HIDDEN[0]), (after, sides.1, HIDDEN[usize::from(is_changed)])]
    {
        if let (Some(_), Some(side)) = (secret, side) {
            side.insert(name.to_owned(), hidden.into());
        }
    }
}

fn server_fields(server: &Server) -> Map<String, Value> {
    let fields = json!({
        "url": server.url,
        "join_url": server.join_url,
        "state": server.state.name(),
        "tag": server.tag,
        "load_multiplier": server.load_multiplier,
        "max_meetings": server.limits.max_meetings,
        "max_users": server.limits.max_users,
        "tier": server.limits.tier,
    });
    fields.as_object().cloned().unwrap_or_default()
}

/// What an administrator has changed of a server.
pub(crate) fn describe_server_change(before: Option<&Server>, after: Option<&Server>) -> Sides {
    let mut old = before.map(server_fields);
    let mut new = after.map(server_fields);
    let secrets = [before, after].map(|server| server.map(|server| &server.secret));
    hide("secret", secrets, (&mut old, &mut new));
    find_differences(old, new)
}

/// What an administrator has changed of a tenant.
pub(crate) fn describe_tenant_change(before: Option<&Tenant>, after: Option<&Tenant>) -> Sides {
    let fields = |tenant: &Tenant| {
        let mut fields = Map::new();
        fields.insert("name".to_owned(), tenant.name.clone().into());
        for (name, value) in Lrs::FIELDS.into_iter().zip(tenant.lrs.values()) {
            if let Some(value) = value
                && !SECRET_FIELDS.contains(&name)
            {
                fields.insert(name.to_owned(), value.clone().into());
            }
        }
        fields
    };
    let (mut old, mut new) = (before.map(fields), after.map(fields));
    let secrets = [before, after].map(|tenant| tenant.map(|tenant| &tenant.secrets));
    hide("secrets", secrets, (&mut old, &mut new));
    for (index, name) in Lrs::FIELDS.into_iter().enumerate() {
        if SECRET_FIELDS.contains(&name) {
            let secrets = [before, after]
                .map(|tenant| tenant.and_then(|tenant| tenant.lrs.values()[index].as_ref()));
            hide(name, secrets, (&mut old, &mut new));
        }
    }
    find_differences(old, new)
}
