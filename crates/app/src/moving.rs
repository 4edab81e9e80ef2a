//! Moving house: copies everything from one store into another, and looks whether it got there. It
//! may be cut off and started again: what is there already is only compared. Where the two differ,
//! the old house is right; what only the new one has stays.

mod sessions;

use std::collections::HashSet;
use std::sync::Arc;

use domain::recording::{Callback, Recording};
use domain::{AdminState, Limits, Meeting, Server, ServerId, Tenant, TenantChange, TenantSetting};

use crate::ports::{Hot, Recordings, ServerChange, StoreError, TenantUpdate};

/// Recordings and callbacks that are held at a time.
const PAGE: u32 = 200;

/// A store as a whole.
#[derive(Clone)]
pub struct House {
    /// Servers, meetings, tenants.
    pub hot: Arc<dyn Hot>,
    /// Recordings and callbacks, if it keeps any.
    pub recordings: Option<Arc<dyn Recordings>>,
}

/// What is moved, in the order in which it is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
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

impl Kind {
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
pub struct Tally {
    /// Of which kind.
    pub kind: Kind,
    /// How many the old house has.
    pub found: u64,
    /// How many of them were in the new one already, alike.
    pub same: u64,
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
const FAILED_MAX: usize = 20;

impl Tally {
    fn new(kind: Kind) -> Self {
        let failed = Vec::new();
        Self { kind, found: 0, same: 0, copied: 0, replaced: 0, verified: 0, failed }
    }

    fn fail(&mut self, what: String) {
        if self.failed.len() < FAILED_MAX {
            self.failed.push(what);
        }
    }

    /// Whether everything of this kind is in the new house now.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.verified == self.found
    }
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Only compare.
    pub dry_run: bool,
    /// Move servers, meetings and tenants.
    pub hot: bool,
    /// Move recordings and callbacks, if both houses keep such.
    pub recordings: bool,
}

/// Hears how far it is: a kind, how many of it are done, and how many there are.
pub type Watch<'a> = &'a mut (dyn FnMut(Kind, u64, u64) + Send);

/// Copies everything.
///
/// # Errors
/// When one of the stores fails; what was copied until then stays.
pub async fn run(
    from: &House,
    to: &House,
    plan: Plan,
    watch: Watch<'_>,
) -> Result<Vec<Tally>, StoreError> {
    let mut mover = Mover { from, to, dry_run: plan.dry_run, watch };
    let mut tallies = Vec::new();
    if plan.hot {
        tallies.push(mover.tenants().await?);
        tallies.push(mover.settings().await?);
        tallies.push(mover.servers().await?);
        tallies.push(mover.meetings().await?);
        tallies.push(mover.sessions().await?);
    }
    let recordings = from.recordings.clone().zip(to.recordings.clone());
    let recordings = recordings.filter(|_| plan.recordings);
    if let Some((old, new)) = recordings {
        tallies.push(mover.recordings(old.as_ref(), new.as_ref()).await?);
        tallies.push(mover.callbacks(old.as_ref(), new.as_ref()).await?);
    }
    Ok(tallies)
}

/// What there is to do for one thing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    Copy,
    Replace,
}

impl Need {
    fn of<T: PartialEq>(old: &T, new: Option<&T>) -> Self {
        match new {
            Some(new) if new == old => Self::Nothing,
            Some(_) => Self::Replace,
            None => Self::Copy,
        }
    }
}

struct Mover<'a> {
    from: &'a House,
    to: &'a House,
    dry_run: bool,
    watch: Watch<'a>,
}

impl Mover<'_> {
    /// Notes what one thing needs; true if it has to be written now.
    fn begin(&mut self, tally: &mut Tally, need: Need, total: u64) -> bool {
        tally.found += 1;
        match need {
            Need::Nothing => {
                tally.same += 1;
                tally.verified += 1;
            }
            Need::Copy => tally.copied += 1,
            Need::Replace => tally.replaced += 1,
        }
        (self.watch)(tally.kind, tally.found, total.max(tally.found));
        need != Need::Nothing && !self.dry_run
    }

    async fn tenants(&mut self) -> Result<Tally, StoreError> {
        let mut tally = Tally::new(Kind::Tenants);
        let all = self.from.hot.tenants().await?;
        for old in &all {
            let there = self.to.hot.tenant(&old.id).await?;
            let need = Need::of(old, there.as_ref());
            if self.begin(&mut tally, need, length(&all)) {
                put_tenant(self.to.hot.as_ref(), old, need).await?;
                let new = self.to.hot.tenant(&old.id).await?;
                verify(&mut tally, new.as_ref() == Some(old), || {
                    format!("{} ({})", old.id, old.name)
                });
            }
        }
        Ok(tally)
    }

    async fn settings(&mut self) -> Result<Tally, StoreError> {
        let mut tally = Tally::new(Kind::Settings);
        let all = self.from.hot.tenant_settings(None).await?;
        let there = self.to.hot.tenant_settings(None).await?;
        let by_id = |all: &[TenantSetting], id: &str| all.iter().find(|one| one.id == id).cloned();
        for old in &all {
            let need = Need::of(old, by_id(&there, &old.id).as_ref());
            if self.begin(&mut tally, need, length(&all)) {
                if need == Need::Replace {
                    self.to.hot.remove_tenant_setting(&old.id).await?;
                }
                self.to.hot.add_tenant_setting(old.clone()).await?;
                let new = self.to.hot.tenant_settings(Some(&old.tenant)).await?;
                verify(&mut tally, by_id(&new, &old.id).as_ref() == Some(old), || old.id.clone());
            }
        }
        Ok(tally)
    }

    async fn servers(&mut self) -> Result<Tally, StoreError> {
        let mut tally = Tally::new(Kind::Servers);
        let all = self.from.hot.servers().await?;
        for old in &all {
            let there = self.to.hot.server(&old.id).await?;
            let need = Need::of(&wanted(old), there.as_ref().map(wanted).as_ref());
            if self.begin(&mut tally, need, length(&all)) {
                if need == Need::Replace {
                    self.to.hot.update_server(&old.id, change_to(old)).await?;
                } else {
                    self.to.hot.add_server(old.clone()).await?;
                }
                let new = self.to.hot.server(&old.id).await?;
                let alike = new.as_ref().map(wanted) == Some(wanted(old));
                verify(&mut tally, alike, || old.id.to_string());
            }
        }
        Ok(tally)
    }

    async fn meetings(&mut self) -> Result<Tally, StoreError> {
        let mut tally = Tally::new(Kind::Meetings);
        let servers = self.from.hot.servers().await?;
        let servers: HashSet<ServerId> = servers.into_iter().map(|server| server.id).collect();
        // What a server left behind when it was removed: nobody could join it.
        let mut all = self.from.hot.meetings(None).await?;
        all.retain(|meeting| servers.contains(&meeting.server));
        for old in &all {
            let there = self.to.hot.meeting(&old.key).await?.map(|located| located.meeting);
            let need = Need::of(&place(old), there.as_ref().map(place).as_ref());
            if self.begin(&mut tally, need, length(&all)) {
                if let Some(there) = &there {
                    self.to.hot.forget(&there.key, &there.server, None, None).await?;
                }
                self.to.hot.restore(old).await?;
                let new = self.to.hot.meeting(&old.key).await?.map(|located| located.meeting);
                verify(&mut tally, new.as_ref().map(place) == Some(place(old)), || {
                    old.key.id.clone()
                });
            }
        }
        Ok(tally)
    }

    async fn recordings(
        &mut self,
        old: &dyn Recordings,
        new: &dyn Recordings,
    ) -> Result<Tally, StoreError> {
        let mut tally = Tally::new(Kind::Recordings);
        let total = old.count_recordings().await?.recordings;
        let mut after: Option<String> = None;
        loop {
            let page: Vec<Recording> = old.recordings_after(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(tally);
            };
            after = Some(last.record_id.clone());
            for one in &page {
                let there = new.recording(&one.record_id).await?;
                if self.begin(&mut tally, Need::of(one, there.as_ref()), total) {
                    new.put_recording(one).await?;
                    let read = new.recording(&one.record_id).await?;
                    verify(&mut tally, read.as_ref() == Some(one), || one.record_id.clone());
                }
            }
        }
    }

    async fn callbacks(
        &mut self,
        old: &dyn Recordings,
        new: &dyn Recordings,
    ) -> Result<Tally, StoreError> {
        let mut tally = Tally::new(Kind::Callbacks);
        let total = old.count_recordings().await?.callbacks;
        let mut after: Option<String> = None;
        loop {
            let page: Vec<Callback> = old.callbacks_after(after.as_deref(), PAGE).await?;
            let (Some(last), before) = (page.last(), after) else {
                return Ok(tally);
            };
            after = Some(last.meeting_id.clone());
            let there = stretch(new, before.as_deref(), &page).await?;
            let mut written = Vec::new();
            for one in &page {
                let known = there.iter().find(|other| other.meeting_id == one.meeting_id);
                if self.begin(&mut tally, Need::of(one, known), total) {
                    new.put_callback(one).await?;
                    written.push(one);
                }
            }
            if written.is_empty() {
                continue;
            }
            let read = stretch(new, before.as_deref(), &page).await?;
            for one in written {
                verify(&mut tally, read.contains(one), || one.meeting_id.clone());
            }
        }
    }
}

/// Those of the wanted callbacks that a house has; both lists are in order.
async fn stretch(
    house: &dyn Recordings,
    after: Option<&str>,
    wanted: &[Callback],
) -> Result<Vec<Callback>, StoreError> {
    let ids: HashSet<&str> = wanted.iter().map(|one| one.meeting_id.as_str()).collect();
    let last = wanted.last().map_or("", |one| one.meeting_id.as_str());
    let (mut found, mut after) = (Vec::new(), after.map(str::to_owned));
    loop {
        let page = house.callbacks_after(after.as_deref(), PAGE).await?;
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

async fn put_tenant(hot: &dyn Hot, tenant: &Tenant, need: Need) -> Result<(), StoreError> {
    if need == Need::Copy {
        return hot.add_tenant(tenant.clone()).await.map(drop);
    }
    let change = TenantChange {
        name: Some(tenant.name.clone()),
        secrets: Some(tenant.secrets.clone()),
        lrs: tenant.lrs.clone(),
    };
    let _: TenantUpdate = hot.update_tenant(&tenant.id, change).await?;
    Ok(())
}

fn verify(tally: &mut Tally, alike: bool, name: impl FnOnce() -> String) {
    if alike {
        tally.verified += 1;
    } else {
        tally.fail(name());
    }
}

fn length<T>(all: &[T]) -> u64 {
    u64::try_from(all.len()).unwrap_or(u64::MAX)
}

/// What an administrator wants of a server; the rest changes by itself.
fn wanted(server: &Server) -> (String, String, Option<String>, AdminState, f64, Limits) {
    let Server { url, secret, tag, state, load_multiplier, limits, .. } = server.clone();
    (url, secret, tag, state, load_multiplier, limits)
}

fn change_to(server: &Server) -> ServerChange {
    let (url, secret, tag, state, multiplier, limits) = wanted(server);
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
fn place(meeting: &Meeting) -> (String, Option<String>, Option<String>) {
    (meeting.server.0.clone(), meeting.moderator_pw.clone(), meeting.voice_bridge.clone())
}

#[cfg(test)]
mod tests;
