//! The audit: every change by anybody becomes a record. What people and scripts change is recorded before they are answered; what the balancer
//! does by itself is queued, so that it costs calls nothing.

mod event;

use domain::Timestamp;

pub use event::AuditEvent;
pub(crate) use event::{describe_server_change, describe_tenant_change};

use crate::context::App;
use crate::origin::{self, Actor};
use crate::ports::{AuditLog, AuditPosition, AuditRecord, AuditTarget, StoreError};

/// Most records that are kept.
pub const MAX_RECORDS: usize = 50_000;
/// Records that are read at once.
const PAGE_SIZE: usize = 500;
/// Records that are written at once.
const WRITTEN_AT_ONCE: usize = 200;

/// Who works here, as the audit names it.
pub(crate) fn actor_name() -> String {
    match origin::actor() {
        Actor::Balancer => "automatic".to_owned(),
        Actor::Automatic(reason) => format!("automatic: {reason}"),
        Actor::Client(Some(address)) => format!("front-end {address}"),
        Actor::Client(None) => "front-end unix".to_owned(),
        Actor::Administrator(Some(address)) => format!("api {address}"),
        Actor::Administrator(None) => "api unix".to_owned(),
        actor @ (Actor::CommandLine(_) | Actor::Token(_)) => actor.to_string(),
    }
}

fn to_record(app: &App, actor: String, event: AuditEvent) -> AuditRecord {
    let (action, target, before, after) = event.into_parts();
    AuditRecord {
        at: app.clock.now(),
        // The rest follows when it is written.
        id: format!("{:010}", app.audit_queue.next_number()),
        actor,
        action: action.to_owned(),
        target,
        before,
        after,
        request_id: origin::request_id().map(|id| id.as_ref().to_owned()),
    }
}

fn with_unique_id(app: &App, record: AuditRecord) -> AuditRecord {
    AuditRecord { id: format!("{}-{}", record.id, app.entropy.generate_uuid()), ..record }
}

/// Records a change by whoever works here. If the store fails, the record is queued and written later.
pub async fn record(app: &App, event: AuditEvent) {
    let record = to_record(app, actor_name(), event);
    if matches!(origin::actor(), Actor::Balancer | Actor::Automatic(_)) {
        return app.audit_queue.push(record);
    }
    let record = with_unique_id(app, record);
    if let Err(error) = app.audit.append_audit(std::slice::from_ref(&record)).await {
        tracing::warn!(action = record.action, %error, "change not recorded yet");
        app.audit_queue.push(record);
    }
}

/// Records a change by whoever works here in a store that no application works on, under an id that is made of this text.
///
/// # Errors
/// When the store fails.
pub async fn record_in<L: AuditLog + ?Sized>(
    log: &L,
    (at, unique): (Timestamp, &str),
    event: AuditEvent,
) -> Result<(), StoreError> {
    let (action, target, before, after) = event.into_parts();
    let record = AuditRecord {
        at,
        id: format!("{:010}-{unique}", 0),
        actor: actor_name(),
        action: action.to_owned(),
        target,
        before,
        after,
        request_id: None,
    };
    log.append_audit(std::slice::from_ref(&record)).await
}

/// Queues the record of something that the balancer has done by itself, for this reason.
pub(crate) fn note_automatic(app: &App, reason: &str, event: AuditEvent) {
    app.audit_queue.push(to_record(app, format!("automatic: {reason}"), event));
}

/// Writes what is queued; returns how many records that were.
///
/// # Errors
/// When the store fails: then the records stay in the queue.
pub async fn write_queue(app: &App) -> Result<usize, StoreError> {
    let mut written = 0;
    loop {
        let (records, lost) = app.audit_queue.take(WRITTEN_AT_ONCE);
        if records.is_empty() && lost == 0 {
            return Ok(written);
        }
        let is_complete = |record: &AuditRecord| record.id.len() > 10;
        let mut records: Vec<AuditRecord> = records
            .into_iter()
            .map(|record| if is_complete(&record) { record } else { with_unique_id(app, record) })
            .collect();
        let queued = records.len();
        if lost > 0 {
            let after = serde_json::json!({ "records": lost });
            let event = AuditEvent::new("audit.lost").after(after);
            records.push(with_unique_id(app, to_record(app, "automatic: audit".to_owned(), event)));
        }
        if let Err(error) = app.audit.append_audit(&records).await {
            records.truncate(queued);
            app.audit_queue.put_back(records, lost);
            return Err(error);
        }
        written += records.len();
    }
}

/// Says in one line what a record is about: what was done, to what, and from what to what.
#[must_use]
pub fn describe(record: &AuditRecord) -> String {
    let target = &record.target;
    let named = [
        ("host", &target.host),
        ("server", if target.host.is_some() { &None } else { &target.server }),
        ("meeting", &target.meeting),
        ("tenant", &target.tenant),
        ("recording", &target.recording),
        ("", &target.name),
    ];
    let mut parts = vec![record.action.clone()];
    parts.extend(named.into_iter().filter_map(|(name, value)| {
        let value = value.as_deref()?;
        Some(if name.is_empty() { value.to_owned() } else { format!("{name}={value}") })
    }));
    parts.extend(match (&record.before, &record.after) {
        (Some(before), Some(after)) => Some(format!("{before} → {after}")),
        (before, after) => before.as_ref().or(after.as_ref()).cloned(),
    });
    parts.join(" ")
}

/// Which records are wanted: those that meet all conditions that are given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// From when on.
    pub since: Option<Timestamp>,
    /// Until before when.
    pub until: Option<Timestamp>,
    /// The id or host name of a server.
    pub server: Option<String>,
    /// The id of a meeting.
    pub meeting: Option<String>,
    /// The id of a tenant.
    pub tenant: Option<String>,
    /// The id of a recording.
    pub recording: Option<String>,
    /// Who made the change, or the beginning of that.
    pub actor: Option<String>,
    /// What was done, or the beginning of that.
    pub action: Option<String>,
}

impl AuditFilter {
    fn accepts(&self, record: &AuditRecord) -> bool {
        let AuditTarget { server, host, meeting, tenant, recording, .. } = &record.target;
        let is =
            |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || (wanted == found);
        let begins = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| found.starts_with(wanted.as_str()))
        };
        (is(&self.server, server) || is(&self.server, host))
            && is(&self.meeting, meeting)
            && is(&self.tenant, tenant)
            && is(&self.recording, recording)
            && begins(&self.actor, &record.actor)
            && begins(&self.action, &record.action)
    }
}

/// Returns up to `max` records that are wanted, the newest first, from after the place `after` on; and where the list goes on, if it does.
///
/// # Errors
/// When the store fails.
pub async fn list_page(
    app: &App,
    filter: &AuditFilter,
    after: Option<AuditPosition>,
    max: usize,
) -> Result<(Vec<AuditRecord>, Option<AuditPosition>), StoreError> {
    let since = filter.since.unwrap_or_default();
    let until = filter.until.map(|at| AuditPosition { at, id: String::new() });
    let mut place = match (after, until) {
        (Some(after), Some(until)) => Some(after.min(until)),
        (after, until) => after.or(until),
    };
    let mut found = Vec::new();
    loop {
        let page = app.audit.list_audit(since, place.as_ref(), PAGE_SIZE).await?;
        let is_last = page.len() < PAGE_SIZE;
        for record in page {
            if found.len() == max {
                return Ok((found, place));
            }
            place = Some(record.position());
            if filter.accepts(&record) {
                found.push(record);
            }
        }
        if is_last {
            return Ok((found, None));
        }
    }
}

/// Forgets records that are older than `keep_ms`, and the oldest ones beyond [`MAX_RECORDS`].
///
/// # Errors
/// When the store fails.
pub async fn forget_old(app: &App, keep_ms: i64) -> Result<(), StoreError> {
    let now = app.clock.now();
    let before = match app.clock_watch.may_delete_by_age(now) {
        true => now.plus_ms(-keep_ms),
        false => Timestamp::default(),
    };
    app.audit.forget_audit(before, MAX_RECORDS).await
}

#[cfg(test)]
mod tests;
