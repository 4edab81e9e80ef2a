//! The plan: what is to be done so that the present state becomes the wanted one. It is computed from both and nothing else.

use domain::tenant::split_secrets;
use domain::{AdminState, Meeting, Server, ServerId, Tenant, TenantChange, TenantSetting, twins};

use super::fields::{FieldChange, compare_servers, compare_tenants};
use super::wanted::{WantedServer, WantedSetting, WantedState, WantedTenant, changed, new_server};
use crate::ports::ServerChange;

/// What is there.
#[derive(Clone, Debug, Default)]
pub struct PresentState {
    /// All servers.
    pub servers: Vec<Server>,
    /// All recorded meetings.
    pub meetings: Vec<Meeting>,
    /// All tenants.
    pub tenants: Vec<Tenant>,
    /// The settings of all tenants.
    pub settings: Vec<TenantSetting>,
}

impl PresentState {
    /// Returns the server with this URL, in any spelling.
    pub(super) fn find_server(&self, url: &str) -> Option<&Server> {
        twins::find_same_url(&self.servers, url, None)
    }

    /// Returns the tenant of this name.
    pub(super) fn find_tenant(&self, name: &str) -> Option<&Tenant> {
        self.tenants.iter().find(|tenant| tenant.name.eq_ignore_ascii_case(name))
    }

    /// How many meetings a server has: recorded ones, or those that it reported last.
    fn meetings_on(&self, server: &Server) -> usize {
        let recorded = self.meetings.iter().filter(|meeting| meeting.server == server.id).count();
        let reported = if server.is_online() { server.stats.meetings } else { 0 };
        recorded.max(usize::try_from(reported).unwrap_or(usize::MAX))
    }

    fn meetings_of(&self, tenant: &Tenant) -> usize {
        let is_own = |meeting: &&Meeting| meeting.key.tenant.as_ref() == Some(&tenant.id);
        self.meetings.iter().filter(is_own).count()
    }
}

/// What a plan may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanOptions {
    /// Whether what the file does not list is removed.
    pub prune: bool,
    /// Whether meetings that run are no obstacle.
    pub force: bool,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Add a server.
    AddServer(WantedServer, Vec<FieldChange>),
    /// Change a server: its id and URL, the change, and the fields that change.
    ChangeServer(ServerId, String, ServerChange, Vec<FieldChange>),
    /// Remove a server: its id, its URL, and how many meetings it has.
    RemoveServer(ServerId, String, usize),
    /// Add a tenant with its settings.
    AddTenant(WantedTenant, Vec<FieldChange>),
    /// Change a tenant: its id and name, the change, and the fields that change.
    ChangeTenant(String, String, TenantChange, Vec<FieldChange>),
    /// Remove a tenant: its id and name, and how many meetings it has.
    RemoveTenant(String, String, usize),
    /// Add a setting, or give it another value: id and name of the tenant, the setting, and the settings that it replaces.
    SetSetting(String, String, WantedSetting, Vec<TenantSetting>),
    /// Remove a setting: the name of its tenant, and the setting.
    RemoveSetting(String, TenantSetting),
}

impl Change {
    /// What it is about: `server URL`, `tenant NAME` or `setting PARAM of tenant NAME`.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Self::AddServer(WantedServer { url, .. }, _)
            | Self::ChangeServer(_, url, ..)
            | Self::RemoveServer(_, url, _) => format!("server {url}"),
            Self::AddTenant(WantedTenant { name, .. }, _)
            | Self::ChangeTenant(_, name, ..)
            | Self::RemoveTenant(_, name, _) => format!("tenant {name}"),
            Self::SetSetting(_, tenant, WantedSetting { param, .. }, _)
            | Self::RemoveSetting(tenant, TenantSetting { param, .. }) => {
                format!("setting {param} of tenant {tenant}")
            }
        }
    }

    /// `add`, `change` or `remove`.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::AddServer(..) | Self::AddTenant(..) => "add",
            Self::SetSetting(.., before) if before.is_empty() => "add",
            Self::ChangeServer(..) | Self::ChangeTenant(..) | Self::SetSetting(..) => "change",
            Self::RemoveServer(..) | Self::RemoveTenant(..) | Self::RemoveSetting(..) => "remove",
        }
    }

    /// The fields that change.
    #[must_use]
    pub fn fields(&self) -> Vec<FieldChange> {
        let value = |before: Option<&String>, after: Option<&String>| {
            let (before, after) = (before.cloned(), after.cloned());
            vec![FieldChange { field: "value", before, after, is_secret: false }]
        };
        match self {
            Self::AddServer(_, fields)
            | Self::ChangeServer(.., fields)
            | Self::AddTenant(_, fields)
            | Self::ChangeTenant(.., fields) => fields.clone(),
            Self::SetSetting(_, _, setting, before) => {
                value(effective_value(before), Some(&setting.value))
            }
            Self::RemoveSetting(_, setting) => value(Some(&setting.value), None),
            Self::RemoveServer(..) | Self::RemoveTenant(..) => Vec::new(),
        }
    }
}

/// What is not done although it is wanted, since people would notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What it is about: `server URL` or `tenant NAME`.
    pub subject: String,
    /// Why it is not done, and what would do it.
    pub reason: String,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The steps, in order.
    pub changes: Vec<Change>,
    /// What is not done.
    pub held: Vec<Held>,
    /// What is there and not in the file, and stays.
    pub unlisted: Vec<String>,
}

/// Compares what is wanted with what is there.
#[must_use]
pub fn plan(wanted: &WantedState, present: &PresentState, options: PlanOptions) -> Plan {
    let mut plan = Plan::default();
    if let Some(servers) = &wanted.servers {
        for server in servers {
            plan_server(&mut plan, server, present, options);
        }
    }
    if let Some(tenants) = &wanted.tenants {
        for tenant in tenants {
            plan_tenant(&mut plan, tenant, present, options);
        }
        plan_unlisted_tenants(&mut plan, tenants, present, options);
    }
    // Servers are removed last: until then the new ones have taken their place.
    if let Some(servers) = &wanted.servers {
        plan_unlisted_servers(&mut plan, servers, present, options);
    }
    plan
}

fn plan_server(
    plan: &mut Plan,
    wanted: &WantedServer,
    present: &PresentState,
    options: PlanOptions,
) {
    let Some(server) = present.find_server(&wanted.url) else {
        let nothing = Server::new(ServerId::default(), wanted.url.clone(), String::new());
        let fields = compare_servers(&nothing, &new_server(wanted));
        plan.changes.push(Change::AddServer(wanted.clone(), fields));
        return;
    };
    let mut change = wanted.as_change();
    // A cordoned server becomes disabled when it is empty: then it is what was wanted.
    if change.state == Some(AdminState::Cordoned) && server.state == AdminState::Disabled {
        change.state = None;
    }
    let meetings = present.meetings_on(server);
    let disables = change.state == Some(AdminState::Disabled)
        && server.state != AdminState::Disabled
        && meetings > 0
        && !options.force;
    if disables {
        change.state = None;
        plan.held.push(Held {
            subject: format!("server {}", server.url),
            reason: format!(
                "{meetings} meetings run on it: not disabled. `state: cordoned` disables it when they are over, --force at once"
            ),
        });
    }
    let fields = compare_servers(server, &changed(server, &change));
    if !fields.is_empty() {
        let (id, url) = (server.id.clone(), server.url.clone());
        plan.changes.push(Change::ChangeServer(id, url, change, fields));
    }
}

fn plan_unlisted_servers(
    plan: &mut Plan,
    wanted: &[WantedServer],
    present: &PresentState,
    options: PlanOptions,
) {
    let listed: Vec<String> = wanted.iter().map(|it| twins::normalize_url(&it.url)).collect();
    let is_unlisted = |server: &&Server| !listed.contains(&twins::normalize_url(&server.url));
    for server in present.servers.iter().filter(is_unlisted) {
        let (subject, meetings) = (format!("server {}", server.url), present.meetings_on(server));
        if plan.may_remove(subject, meetings, options) {
            let (id, url) = (server.id.clone(), server.url.clone());
            plan.changes.push(Change::RemoveServer(id, url, meetings));
        }
    }
}

fn plan_tenant(
    plan: &mut Plan,
    wanted: &WantedTenant,
    present: &PresentState,
    options: PlanOptions,
) {
    let mut change =
        TenantChange { name: None, secrets: wanted.secrets.clone(), lrs: wanted.lrs.clone() };
    let Some(tenant) = present.find_tenant(&wanted.name) else {
        let [id, name, secrets] = ["", &wanted.name, ""].map(str::to_owned);
        let nothing = Tenant { id, name, secrets, lrs: domain::tenant::Lrs::default() };
        let mut new = nothing.clone();
        change.apply(&mut new);
        plan.changes.push(Change::AddTenant(wanted.clone(), compare_tenants(&nothing, &new)));
        return;
    };
    // The same secrets may be stored with more separators.
    let is_same = |secrets: &String| split_secrets(secrets).eq(tenant.each_secret());
    change.secrets = change.secrets.filter(|secrets| !is_same(secrets));
    let mut after = tenant.clone();
    change.clone().apply(&mut after);
    let fields = compare_tenants(tenant, &after);
    if !fields.is_empty() {
        let (id, name) = (tenant.id.clone(), tenant.name.clone());
        plan.changes.push(Change::ChangeTenant(id, name, change, fields));
    }
    if let Some(settings) = &wanted.settings {
        plan_settings(plan, tenant, settings, present, options);
    }
}

fn plan_settings(
    plan: &mut Plan,
    tenant: &Tenant,
    wanted: &[WantedSetting],
    present: &PresentState,
    options: PlanOptions,
) {
    let own: Vec<&TenantSetting> =
        present.settings.iter().filter(|setting| setting.tenant == tenant.id).collect();
    let is_same = |setting: &TenantSetting, wanted: &WantedSetting| {
        setting.param == wanted.param && setting.is_override == wanted.is_override
    };
    for setting in wanted {
        let before: Vec<TenantSetting> =
            own.iter().filter(|it| is_same(it, setting)).map(|it| (*it).clone()).collect();
        if effective_value(&before) != Some(&setting.value) {
            let (id, name) = (tenant.id.clone(), tenant.name.clone());
            plan.changes.push(Change::SetSetting(id, name, setting.clone(), before));
        }
    }
    for setting in own {
        if wanted.iter().any(|wanted| is_same(setting, wanted)) {
            continue;
        }
        if options.prune {
            plan.changes.push(Change::RemoveSetting(tenant.name.clone(), setting.clone()));
        } else {
            plan.unlisted.push(format!("setting {} of tenant {}", setting.param, tenant.name));
        }
    }
}

/// Returns the value that counts if a tenant has one setting several times: of defaults the first, of overrides the last.
#[must_use]
pub fn effective_value(settings: &[TenantSetting]) -> Option<&String> {
    let counting = match settings.first() {
        Some(first) if first.is_override => settings.last(),
        first => first,
    };
    counting.map(|setting| &setting.value)
}

fn plan_unlisted_tenants(
    plan: &mut Plan,
    wanted: &[WantedTenant],
    present: &PresentState,
    options: PlanOptions,
) {
    let is_listed =
        |tenant: &Tenant| wanted.iter().any(|it| it.name.eq_ignore_ascii_case(&tenant.name));
    for tenant in present.tenants.iter().filter(|tenant| !is_listed(tenant)) {
        let (subject, meetings) = (format!("tenant {}", tenant.name), present.meetings_of(tenant));
        if plan.may_remove(subject, meetings, options) {
            let (id, name) = (tenant.id.clone(), tenant.name.clone());
            plan.changes.push(Change::RemoveTenant(id, name, meetings));
        }
    }
}

impl Plan {
    /// Whether something that is not listed is removed. If not, takes note of why.
    fn may_remove(&mut self, subject: String, meetings: usize, options: PlanOptions) -> bool {
        if !options.prune {
            self.unlisted.push(subject);
            return false;
        }
        if meetings > 0 && !options.force {
            let reason = format!(
                "it has {meetings} running meetings: not removed. --force removes it all the same"
            );
            self.held.push(Held { subject, reason });
            return false;
        }
        true
    }
}
