//! Moving house: copies everything from one store into another, and looks whether it got there. It
//! may be cut off and started again: what is there already is only compared. Where the two differ,
//! the old house is right; what only the new one has stays.

mod sessions;

use std::collections::HashSet;
use std::sync::Arc;

use domain::recording::{Callback, Recording};
use domain::{
    AdminState, Meeting, Server, ServerId, ServerLimits, Tenant, TenantChange, TenantSetting,
};

use crate::ports::{Recordings, ServerChange, StateStore, StoreError, TenantUpdateResult};

/// Recordings and callbacks that are held at a time.
const PAGE_SIZE: u32 = 200;

/// A store as a whole.
#[derive(Clone)]
pub struct Stores {
    /// Servers, meetings, tenants.
    pub state: Arc<dyn StateStore>,
    /// Recordings and callbacks, if it keeps any.
    pub recordings: Option<Arc<dyn Recordings>>,
}

/// What is moved, in the order in which it is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MigratedKind {
    /// Tenants.
    Tenants,
    /// Their settings.
    Settings,
    /// Servers.
    Servers,
    /// Meetings.
    Meetings,
    /// What is kept of meetings that have ended.
    Sessions,
    /// Recordings, with metadata, formats and thumbnails.
    Recordings,
    /// Callbacks of meetings.
    Callbacks,
}

impl MigratedKind {
    /// As people call them.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tenants => "tenants",
            Self::Settings => "tenant settings",
            Self::Servers => "servers",
            Self::Meetings => "meetings",
            Self::Sessions => "sessions",
            Self::Recordings => "recordings",
            Self::Callbacks => "callbacks",
        }
    }
}

/// What became of the things of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationCounts {
    /// Of which kind.
    pub kind: MigratedKind,
    /// How many the old house has.
    pub found: u64,
    /// How many of them were in the new one already, alike.
    pub unchanged: u64,
    /// How many were not there (in a dry run: would be copied).
    pub copied: u64,
    /// How many were there but different (in a dry run: would be replaced).
    pub replaced: u64,
    /// How many were read back from the new house and are alike.
    pub verified: u64,
    /// What could not be moved, and why: some of it, by name.
    pub failed: Vec<String>,
}

/// Names of what failed that are kept of a kind.
const MAX_FAILED_NAMES: usize = 20;

impl MigrationCounts {
    fn new(kind: MigratedKind) -> Self {
        let failed = Vec::new();
        Self { kind, found: 0, unchanged: 0, copied: 0, replaced: 0, verified: 0, failed }
    }

    fn add_failure(&mut self, what: String) {
        if self.failed.len() < MAX_FAILED_NAMES {
            self.failed.push(what);
        }
    }

    /// Whether everything of this kind is in the new house now.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.verified == self.found
    }
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigrationPlan {
    /// Only compare.
    pub dry_run: bool,
    /// Move servers, meetings and tenants.
    pub state: bool,
    /// Move recordings and callbacks, if both houses keep such.
    pub recordings: bool,
}

/// Hears how far it is: a kind, how many of it are done, and how many there are.
pub type ProgressCallback<'a> = &'a mut (dyn FnMut(MigratedKind, u64, u64) + Send);

/// Copies everything.
///
/// # Errors
/// When one of the stores fails; what was copied until then stays.
pub async fn migrate_stores(
    from: &Stores,
    to: &Stores,
    plan: MigrationPlan,
    watch: ProgressCallback<'_>,
) -> Result<Vec<MigrationCounts>, StoreError> {
    let mut mover =
        StoreCopier { source: from, target: to, dry_run: plan.dry_run, progress: watch };
    let mut tallies = Vec::new();
    if plan.state {
        tallies.push(mover.copy_tenants().await?);
        tallies.push(mover.copy_settings().await?);
        tallies.push(mover.copy_servers().await?);
        tallies.push(mover.copy_meetings().await?);
        tallies.push(mover.copy_sessions().await?);
    }
    let recordings = from.recordings.clone().zip(to.recordings.clone());
    let recordings = recordings.filter(|_| plan.recordings);
    if let Some((old, new)) = recordings {
        tallies.push(mover.copy_recordings(old.as_ref(), new.as_ref()).await?);
        tallies.push(mover.copy_callbacks(old.as_ref(), new.as_ref()).await?);
    }
    Ok(tallies)
}

/// What there is to do for one thing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CopyAction {
    Nothing,
    Copy,
    Replace,
}

impl CopyAction {
    fn compare<T: PartialEq>(old: &T, new: Option<&T>) -> Self {
        match new {
            Some(new) if new == old => Self::Nothing,
            Some(_) => Self::Replace,
            None => Self::Copy,
        }
    }
}

struct StoreCopier<'a> {
    source: &'a Stores,
    target: &'a Stores,
    dry_run: bool,
    progress: ProgressCallback<'a>,
}

impl StoreCopier<'_> {
    /// Notes what one thing needs; true if it has to be written now.
    fn count_item(&mut self, tally: &mut MigrationCounts, need: CopyAction, total: u64) -> bool {
        tally.found += 1;
        match need {
            CopyAction::Nothing => {
                tally.unchanged += 1;
                tally.verified += 1;
            }
            CopyAction::Copy => tally.copied += 1,
            CopyAction::Replace => tally.replaced += 1,
        }
        (self.progress)(tally.kind, tally.found, total.max(tally.found));
        need != CopyAction::Nothing && !self.dry_run
    }

    async fn copy_tenants(&mut self) -> Result<MigrationCounts, StoreError> {
        let mut tally = MigrationCounts::new(MigratedKind::Tenants);
        let all = self.source.state.list_tenants().await?;
        for old in &all {
            let there = self.target.state.find_tenant(&old.id).await?;
            let need = CopyAction::compare(old, there.as_ref());
            if self.count_item(&mut tally, need, len_u64(&all)) {
                write_tenant(self.target.state.as_ref(), old, need).await?;
                let new = self.target.state.find_tenant(&old.id).await?;
                count_verified(&mut tally, new.as_ref() == Some(old), || {
                    format!("{} ({})", old.id, old.name)
                });
            }
        }
        Ok(tally)
    }

    async fn copy_settings(&mut self) -> Result<MigrationCounts, StoreError> {
        let mut tally = MigrationCounts::new(MigratedKind::Settings);
        let all = self.source.state.list_tenant_settings(None).await?;
        let there = self.target.state.list_tenant_settings(None).await?;
        let by_id = |all: &[TenantSetting], id: &str| all.iter().find(|one| one.id == id).cloned();
        for old in &all {
            let need = CopyAction::compare(old, by_id(&there, &old.id).as_ref());
            if self.count_item(&mut tally, need, len_u64(&all)) {
                if need == CopyAction::Replace {
                    self.target.state.remove_tenant_setting(&old.id).await?;
                }
                self.target.state.add_tenant_setting(old.clone()).await?;
                let new = self.target.state.list_tenant_settings(Some(&old.tenant)).await?;
                count_verified(&mut tally, by_id(&new, &old.id).as_ref() == Some(old), || {
                    old.id.clone()
                });
            }
        }
        Ok(tally)
    }

    async fn copy_servers(&mut self) -> Result<MigrationCounts, StoreError> {
        let mut tally = MigrationCounts::new(MigratedKind::Servers);
        let all = self.source.state.list_servers().await?;
        for old in &all {
            let there = self.target.state.find_server(&old.id).await?;
            let need = CopyAction::compare(
                &configured_fields(old),
                there.as_ref().map(configured_fields).as_ref(),
            );
            if self.count_item(&mut tally, need, len_u64(&all)) {
                if need == CopyAction::Replace {
                    self.target.state.update_server(&old.id, to_server_change(old)).await?;
                } else {
                    self.target.state.add_server(old.clone()).await?;
                }
                let new = self.target.state.find_server(&old.id).await?;
                let alike = new.as_ref().map(configured_fields) == Some(configured_fields(old));
                count_verified(&mut tally, alike, || old.id.to_string());
            }
        }
        Ok(tally)
    }

    async fn copy_meetings(&mut self) -> Result<MigrationCounts, StoreError> {
        let mut tally = MigrationCounts::new(MigratedKind::Meetings);
        let servers = self.source.state.list_servers().await?;
        let servers: HashSet<ServerId> = servers.into_iter().map(|server| server.id).collect();
        // What a server left behind when it was removed: nobody could join it.
        let mut all = self.source.state.list_meetings(None).await?;
        all.retain(|meeting| servers.contains(&meeting.server));
        for old in &all {
            let there =
                self.target.state.find_meeting(&old.key).await?.map(|located| located.meeting);
            let need = CopyAction::compare(
                &placement_fields(old),
                there.as_ref().map(placement_fields).as_ref(),
            );
            if self.count_item(&mut tally, need, len_u64(&all)) {
                if let Some(there) = &there {
                    self.target.state.forget_meeting(&there.key, &there.server, None, None).await?;
                }
                self.target.state.restore_meeting(old).await?;
                let new =
                    self.target.state.find_meeting(&old.key).await?.map(|located| located.meeting);
                count_verified(
                    &mut tally,
                    new.as_ref().map(placement_fields) == Some(placement_fields(old)),
                    || old.key.id.clone(),
                );
            }
        }
        Ok(tally)
    }

    async fn copy_recordings(
        &mut self,
        old: &dyn Recordings,
        new: &dyn Recordings,
    ) -> Result<MigrationCounts, StoreError> {
        let mut tally = MigrationCounts::new(MigratedKind::Recordings);
        let total = old.count_recordings().await?.recordings;
        let mut after: Option<String> = None;
        loop {
            let page: Vec<Recording> =
                old.list_recordings_after(after.as_deref(), PAGE_SIZE).await?;
            let Some(last) = page.last() else {
                return Ok(tally);
            };
            after = Some(last.record_id.clone());
            for one in &page {
                let there = new.find_recording(&one.record_id).await?;
                if self.count_item(&mut tally, CopyAction::compare(one, there.as_ref()), total) {
                    new.put_recording(one).await?;
                    let read = new.find_recording(&one.record_id).await?;
                    count_verified(&mut tally, read.as_ref() == Some(one), || {
                        one.record_id.clone()
                    });
                }
            }
        }
    }

    async fn copy_callbacks(
        &mut self,
        old: &dyn Recordings,
        new: &dyn Recordings,
    ) -> Result<MigrationCounts, StoreError> {
        let mut tally = MigrationCounts::new(MigratedKind::Callbacks);
        let total = old.count_recordings().await?.callbacks;
        let mut after: Option<String> = None;
        loop {
            let page: Vec<Callback> = old.list_callbacks_after(after.as_deref(), PAGE_SIZE).await?;
            let (Some(last), before) = (page.last(), after) else {
                return Ok(tally);
            };
            after = Some(last.meeting_id.clone());
            let there = find_callbacks(new, before.as_deref(), &page).await?;
            let mut written = Vec::new();
            for one in &page {
                let known = there.iter().find(|other| other.meeting_id == one.meeting_id);
                if self.count_item(&mut tally, CopyAction::compare(one, known), total) {
                    new.put_callback(one).await?;
                    written.push(one);
                }
            }
            if written.is_empty() {
                continue;
            }
            let read = find_callbacks(new, before.as_deref(), &page).await?;
            for one in written {
                count_verified(&mut tally, read.contains(one), || one.meeting_id.clone());
            }
        }
    }
}

/// Those of the wanted callbacks that a house has; both lists are in order.
async fn find_callbacks(
    house: &dyn Recordings,
    after: Option<&str>,
    wanted: &[Callback],
) -> Result<Vec<Callback>, StoreError> {
    let ids: HashSet<&str> = wanted.iter().map(|one| one.meeting_id.as_str()).collect();
    let last = wanted.last().map_or("", |one| one.meeting_id.as_str());
    let (mut found, mut after) = (Vec::new(), after.map(str::to_owned));
    loop {
        let page = house.list_callbacks_after(after.as_deref(), PAGE_SIZE).await?;
        let Some(end) = page.last().map(|one| one.meeting_id.clone()) else {
            return Ok(found);
        };
        found.extend(page.into_iter().filter(|one| ids.contains(one.meeting_id.as_str())));
        if end.as_str() >= last {
            return Ok(found);
        }
        after = Some(end);
    }
}

async fn write_tenant(
    hot: &dyn StateStore,
    tenant: &Tenant,
    need: CopyAction,
) -> Result<(), StoreError> {
    if need == CopyAction::Copy {
        return hot.add_tenant(tenant.clone()).await.map(drop);
    }
    let change = TenantChange {
        name: Some(tenant.name.clone()),
        secrets: Some(tenant.secrets.clone()),
        lrs: tenant.lrs.clone(),
    };
    let _: TenantUpdateResult = hot.update_tenant(&tenant.id, change).await?;
    Ok(())
}

fn count_verified(tally: &mut MigrationCounts, alike: bool, name: impl FnOnce() -> String) {
    if alike {
        tally.verified += 1;
    } else {
        tally.add_failure(name());
    }
}

fn len_u64<T>(all: &[T]) -> u64 {
    u64::try_from(all.len()).unwrap_or(u64::MAX)
}

/// What an administrator wants of a server; the rest changes by itself.
fn configured_fields(
    server: &Server,
) -> (String, String, Option<String>, AdminState, f64, ServerLimits) {
    let Server { url, secret, tag, state, load_multiplier, limits, .. } = server.clone();
    (url, secret, tag, state, load_multiplier, limits)
}

fn to_server_change(server: &Server) -> ServerChange {
    let (url, secret, tag, state, multiplier, limits) = configured_fields(server);
    ServerChange {
        url: Some(url),
        secret: Some(secret),
        tag: Some(tag),
        state: Some(state),
        load_multiplier: Some(multiplier),
        max_meetings: Some(limits.max_meetings),
        max_users: Some(limits.max_users),
        tier: Some(limits.tier),
    }
}

/// What must not change of a meeting; the rest changes by itself.
fn placement_fields(meeting: &Meeting) -> (String, Option<String>, Option<String>) {
    (meeting.server.0.clone(), meeting.moderator_pw.clone(), meeting.voice_bridge.clone())
}

#[cfg(test)]
mod tests;
