//! Tenants: list, show, add, change, remove. Their secrets are never shown.

use app::admin::tenants::{self as admin, TenantError};
use domain::tenant::Lrs;
use domain::{Tenant, TenantChange};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::{Call, NoContent, Reply, etag};
use super::input::Nothing;
use super::paging::{Page, cut_page};
use super::problem::Problem;

impl From<TenantError> for Problem {
    fn from(error: TenantError) -> Self {
        match error {
            TenantError::Unknown(_) => Self::not_found("tenant"),
            TenantError::UnknownSetting(_) => Self::not_found("setting"),
            TenantError::NameTaken(_) => Self::conflict("name-taken", error),
            TenantError::NoParameter => Self::invalid_value("/param", error),
            TenantError::Incomplete => Self::invalid_value("", error),
            TenantError::Store(error) => error.into(),
        }
    }
}

/// A tenant, without its secrets.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Tenant")]
pub(super) struct TenantView {
    id: String,
    /// The first label of its host names.
    name: String,
    /// How many secrets it has.
    secrets: usize,
    /// Its learning record store.
    lrs: LrsView,
}

/// The learning record store of a tenant, without its passwords.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LearningRecordStore")]
struct LrsView {
    endpoint: Option<String>,
    username: Option<String>,
    has_password: bool,
    kc_token_url: Option<String>,
    kc_client_id: Option<String>,
    has_kc_client_secret: bool,
    kc_username: Option<String>,
    has_kc_password: bool,
}

fn view(tenant: &Tenant) -> TenantView {
    let lrs = tenant.lrs.clone();
    TenantView {
        id: tenant.id.clone(),
        name: tenant.name.clone(),
        secrets: tenant.each_secret().count(),
        lrs: LrsView {
            endpoint: lrs.endpoint,
            username: lrs.username,
            has_password: lrs.password.is_some(),
            kc_token_url: lrs.kc_token_url,
            kc_client_id: lrs.kc_client_id,
            has_kc_client_secret: lrs.kc_client_secret.is_some(),
            kc_username: lrs.kc_username,
            has_kc_password: lrs.kc_password.is_some(),
        },
    }
}

fn tenant_etag(tenant: &Tenant) -> String {
    etag(&(&tenant.id, &tenant.name, &tenant.secrets, tenant.lrs.values()))
}

fn show(tenant: &Tenant) -> Reply<TenantView> {
    Reply::tagged(view(tenant), tenant_etag(tenant))
}

/// Refuses what has no meaning without tenants.
pub(super) fn require_multitenancy(call: &Call) -> Result<(), Problem> {
    match call.app().policy.multitenancy {
        true => Ok(()),
        false => Err(Problem::conflict("no-tenants", "MULTITENANCY_ENABLED is not set")),
    }
}

/// Hides tenants from tokens that are limited to another one.
pub(super) fn require_tenant(call: &Call, id: &str) -> Result<(), Problem> {
    match call.tenant() {
        Some(tenant) if tenant != id => Err(Problem::not_found("tenant")),
        _ => Ok(()),
    }
}

/// Which tenants are wanted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TenantListQuery {
    /// Entries of a page.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
    /// Where the page begins: `next` of the one before.
    #[schemars(length(max = 2000), regex(pattern = r"^([0-9a-f]{2})*$"))]
    cursor: Option<String>,
}

pub(super) async fn list(
    call: Call,
    query: TenantListQuery,
    _: Nothing,
) -> Result<Reply<Page<TenantView>>, Problem> {
    let mut tenants = admin::list(call.app()).await?;
    tenants.retain(|tenant| require_tenant(&call, &tenant.id).is_ok());
    let key = |tenant: &Tenant| format!("{}\0{}", tenant.name, tenant.id);
    let page = cut_page(tenants, key, query.limit, query.cursor.as_deref())?;
    Ok(page.map(|tenant| view(&tenant)).into())
}

pub(super) async fn get(call: Call, _: Nothing, _: Nothing) -> Result<Reply<TenantView>, Problem> {
    require_tenant(&call, call.part(0))?;
    Ok(show(&admin::find(call.app(), call.part(0)).await?))
}

/// Fields of a learning record store.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LearningRecordStoreChange")]
struct LrsBody {
    #[schemars(length(min = 1, max = 2000))]
    endpoint: Option<String>,
    #[schemars(length(min = 1, max = 1000))]
    username: Option<String>,
    /// Never shown.
    #[schemars(length(min = 1, max = 1000))]
    password: Option<String>,
    #[schemars(length(min = 1, max = 2000))]
    kc_token_url: Option<String>,
    #[schemars(length(min = 1, max = 1000))]
    kc_client_id: Option<String>,
    /// Never shown.
    #[schemars(length(min = 1, max = 1000))]
    kc_client_secret: Option<String>,
    #[schemars(length(min = 1, max = 1000))]
    kc_username: Option<String>,
    /// Never shown.
    #[schemars(length(min = 1, max = 1000))]
    kc_password: Option<String>,
}

impl From<LrsBody> for Lrs {
    fn from(body: LrsBody) -> Self {
        Self {
            endpoint: body.endpoint,
            username: body.username,
            password: body.password,
            kc_token_url: body.kc_token_url,
            kc_client_id: body.kc_client_id,
            kc_client_secret: body.kc_client_secret,
            kc_username: body.kc_username,
            kc_password: body.kc_password,
        }
    }
}

/// A secret that signs calls. Secrets are stored with colons between them.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
struct SecretText(#[schemars(length(min = 1, max = 1000), regex(pattern = r"^[!-9;-~]+$"))] String);

fn join_secrets(secrets: Vec<SecretText>) -> String {
    secrets.into_iter().map(|SecretText(secret)| secret).collect::<Vec<_>>().join(":")
}

/// A tenant to add.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewTenant")]
pub(super) struct NewTenantBody {
    /// The first label of its host names.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$")
    )]
    name: String,
    /// Its secrets, any of which may sign calls. Never shown.
    #[schemars(length(min = 1, max = 20))]
    secrets: Vec<SecretText>,
    #[serde(default)]
    lrs: Option<LrsBody>,
}

pub(super) async fn add(
    call: Call,
    _: Nothing,
    body: NewTenantBody,
) -> Result<Reply<TenantView>, Problem> {
    call.require_all_tenants()?;
    require_multitenancy(&call)?;
    let mut tenant = admin::add(call.app(), &body.name, &join_secrets(body.secrets)).await?;
    if let Some(lrs) = body.lrs {
        let change = TenantChange { lrs: lrs.into(), ..TenantChange::default() };
        tenant = admin::update(call.app(), &tenant.id, change).await?;
    }
    Ok(show(&tenant))
}

/// A change of a tenant: fields that are not given stay as they are.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TenantChange")]
pub(super) struct TenantPatch {
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$")
    )]
    name: Option<String>,
    /// All its secrets from now on. Never shown.
    #[schemars(length(min = 1, max = 20))]
    secrets: Option<Vec<SecretText>>,
    #[serde(default)]
    lrs: Option<LrsBody>,
}

pub(super) async fn update(
    call: Call,
    _: Nothing,
    body: TenantPatch,
) -> Result<Reply<TenantView>, Problem> {
    require_tenant(&call, call.part(0))?;
    let before = admin::find(call.app(), call.part(0)).await?;
    call.check_version(&tenant_etag(&before))?;
    if body.name.is_some() {
        // The name is part of the host names, which belong to all tenants.
        call.require_all_tenants()?;
    }
    let change = TenantChange {
        name: body.name,
        secrets: body.secrets.map(join_secrets),
        lrs: body.lrs.unwrap_or_default().into(),
    };
    Ok(show(&admin::update(call.app(), &before.id, change).await?))
}

pub(super) async fn remove(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<NoContent>, Problem> {
    call.require_all_tenants()?;
    let tenant = admin::find(call.app(), call.part(0)).await?;
    call.check_version(&tenant_etag(&tenant))?;
    admin::remove(call.app(), &tenant.id).await?;
    Ok(NoContent.into())
}
