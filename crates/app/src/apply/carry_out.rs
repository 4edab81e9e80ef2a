//! Does what a plan says, step by step. Each step is an administrative action of its own: after a failure the same file, applied again,
//! does the rest.

use domain::tenant::Lrs;
use domain::{AdminState, ServerId, TenantChange};

use super::plan::{Change, Held, Plan, PlanOptions, PresentState};
use super::wanted::{WantedServer, WantedSetting, WantedTenant};
use crate::admin::servers::{self, AdminError, NewServer, PanicOptions};
use crate::admin::tenants::{self, TenantError};
use crate::context::App;
use crate::ports::{ServerChange, StoreError};

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CarriedOut {
    /// Steps that were done.
    pub done: usize,
    /// What was not done in the end: meetings began on a server after the plan was made.
    pub held: Vec<Held>,
    /// The step that failed, and why. No further ones were done.
    pub failure: Option<String>,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Server(#[from] AdminError),
    #[error(transparent)]
    Tenant(#[from] TenantError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads what is there.
///
/// # Errors
/// When the store fails.
pub async fn read_present(app: &App) -> Result<PresentState, StoreError> {
    let has_tenants = app.policy.multitenancy;
    Ok(PresentState {
        servers: app.pool.list_servers().await?,
        meetings: app.pool.list_meetings(None).await?,
        tenants: if has_tenants { app.tenants.list_tenants().await? } else { Vec::new() },
        settings: if has_tenants {
            app.tenants.list_tenant_settings(None).await?
        } else {
            Vec::new()
        },
    })
}

/// Does what a plan says. Stops at the first step that fails.
pub async fn carry_out(app: &App, plan: &Plan, options: PlanOptions) -> CarriedOut {
    let mut carried = CarriedOut::default();
    for change in &plan.changes {
        match carry_out_step(app, change, options).await {
            Ok(None) => carried.done += 1,
            Ok(Some(held)) => carried.held.push(held),
            Err(error) => {
                carried.failure = Some(format!("{}: {error}", change.subject()));
                break;
            }
        }
    }
    carried
}

async fn carry_out_step(
    app: &App,
    change: &Change,
    options: PlanOptions,
) -> Result<Option<Held>, StepError> {
    match change {
        Change::AddServer(wanted, _) => add_server(app, wanted).await?,
        Change::ChangeServer(id, _, change, _) => {
            servers::update(app, &id.0, change.clone()).await?;
        }
        Change::RemoveServer(id, ..) => return remove_server(app, id, change, options).await,
        Change::AddTenant(wanted, _) => add_tenant(app, wanted).await?,
        Change::ChangeTenant(id, _, change, _) => {
            tenants::update(app, id, change.clone()).await?;
        }
        Change::RemoveTenant(id, ..) => tenants::remove(app, id).await?,
        Change::SetSetting(tenant, _, setting, before) => {
            add_setting(app, tenant, setting).await?;
            for old in before {
                tenants::remove_setting(app, &old.id).await?;
            }
        }
        Change::RemoveSetting(_, setting) => tenants::remove_setting(app, &setting.id).await?,
    }
    Ok(None)
}

async fn add_server(app: &App, wanted: &WantedServer) -> Result<(), StepError> {
    let new = NewServer {
        url: wanted.url.clone(),
        secret: wanted.secret.clone().unwrap_or_default(),
        ..NewServer::default()
    };
    let state = Some(wanted.state.unwrap_or(AdminState::Enabled));
    let change = ServerChange { state, secret: None, ..wanted.as_change() };
    servers::add_configured(app, new, change).await?;
    Ok(())
}

/// Removes a server, unless meetings have begun on it since the plan was made. It gets no new ones first.
async fn remove_server(
    app: &App,
    id: &ServerId,
    change: &Change,
    options: PlanOptions,
) -> Result<Option<Held>, StepError> {
    if options.force {
        servers::panic(app, &id.0, PanicOptions::default()).await?;
        servers::remove(app, &id.0).await?;
        return Ok(None);
    }
    let server = servers::find(app, &id.0).await?;
    if server.state == AdminState::Enabled {
        servers::update(app, &id.0, ServerChange::with_state(AdminState::Cordoned)).await?;
    }
    if !app.pool.list_meetings(Some(id)).await?.is_empty() {
        let reason = "a meeting has begun on it meanwhile: it is cordoned and not removed";
        let reason = reason.to_owned();
        return Ok(Some(Held { subject: change.subject(), reason }));
    }
    servers::remove(app, &id.0).await?;
    Ok(None)
}

async fn add_tenant(app: &App, wanted: &WantedTenant) -> Result<(), StepError> {
    let secrets = wanted.secrets.as_deref().unwrap_or_default();
    let tenant = tenants::add(app, &wanted.name, secrets).await?;
    if wanted.lrs != Lrs::default() {
        let change = TenantChange { lrs: wanted.lrs.clone(), ..TenantChange::default() };
        tenants::update(app, &tenant.id, change).await?;
    }
    for setting in wanted.settings.iter().flatten() {
        add_setting(app, &tenant.id, setting).await?;
    }
    Ok(())
}

async fn add_setting(app: &App, tenant: &str, setting: &WantedSetting) -> Result<(), StepError> {
    let WantedSetting { param, value, is_override } = setting;
    tenants::add_setting(app, tenant, param, value, *is_override).await?;
    Ok(())
}
