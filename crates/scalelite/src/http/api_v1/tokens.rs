//! Management tokens: who presents one, and for administrators list, make, revoke.

use app::admin::tokens::{self as admin, NewToken, TokenError};
use app::ports::ManagementToken;
use domain::Timestamp;
use domain::management::{Scope, Scopes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::{Call, NoContent, Reply};
use super::input::Nothing;
use super::paging::Page;
use super::problem::Problem;
use super::views::show_time;

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::BadName => Self::invalid_value("/name", error),
            TokenError::NoScopes | TokenError::Indivisible(_) => {
                Self::invalid_value("/scopes", error)
            }
            TokenError::UnknownTenant(_) => Self::invalid_value("/tenant", error),
            TokenError::NameTaken(_) => Self::conflict("name-taken", error),
            TokenError::TooMany => Self::conflict("too-many", error),
            TokenError::Unknown(_) => Self::not_found("token"),
            TokenError::Store(error) => error.into(),
        }
    }
}

fn scope_names(scopes: &Scopes) -> Vec<&'static str> {
    scopes.iter().map(Scope::name).collect()
}

/// The token that was presented.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TokenHolder")]
pub(super) struct HolderView {
    name: String,
    scopes: Vec<&'static str>,
    /// The id of the tenant that it is limited to.
    tenant: Option<String>,
    expires_at: Option<String>,
    /// Whether the balancer has tenants.
    multitenancy: bool,
}

pub(super) async fn show_holder(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<HolderView>, Problem> {
    let holder = &call.holder;
    let view = HolderView {
        name: holder.name.clone(),
        scopes: scope_names(&holder.scopes),
        tenant: holder.tenant.clone(),
        expires_at: holder.expires_at.map(show_time),
        multitenancy: call.app().policy.multitenancy,
    };
    Ok(view.into())
}

/// A token, without its secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Token")]
pub(super) struct TokenView {
    id: String,
    name: String,
    scopes: Vec<&'static str>,
    tenant: Option<String>,
    created_at: String,
    created_by: String,
    expires_at: Option<String>,
    /// To a minute.
    last_used_at: Option<String>,
}

fn view(token: &ManagementToken) -> TokenView {
    let show = |time: Option<Timestamp>| time.map(show_time);
    TokenView {
        id: token.id.clone(),
        name: token.name.clone(),
        scopes: scope_names(&token.scopes),
        tenant: token.tenant.clone(),
        created_at: show_time(token.created_at),
        created_by: token.created_by.clone(),
        expires_at: show(token.expires_at),
        last_used_at: show(token.last_used_at),
    }
}

pub(super) async fn list(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<Page<TokenView>>, Problem> {
    // Their number is limited.
    let tokens = admin::list(call.app()).await?;
    Ok(Page { items: tokens.iter().map(view).collect(), next: None }.into())
}

/// A token to make.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewToken")]
pub(super) struct NewTokenBody {
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,64}$"))]
    name: String,
    /// What it allows; `read` stands for everything that only sees.
    #[schemars(length(min = 1, max = 20))]
    scopes: Vec<ScopeName>,
    /// The id or name of a tenant to limit it to.
    #[schemars(length(max = 255))]
    tenant: Option<String>,
    /// How long it is valid, in seconds; without this, until it is revoked.
    #[schemars(range(min = 1, max = 3_153_600_000_u64))]
    expires_in_s: Option<i64>,
}

/// The name of a scope.
#[derive(Deserialize, JsonSchema)]
enum ScopeName {
    #[serde(rename = "read")]
    Read,
    #[serde(rename = "servers:read")]
    ServersRead,
    #[serde(rename = "servers:write")]
    ServersWrite,
    #[serde(rename = "meetings:read")]
    MeetingsRead,
    #[serde(rename = "meetings:write")]
    MeetingsWrite,
    #[serde(rename = "tenants:read")]
    TenantsRead,
    #[serde(rename = "tenants:write")]
    TenantsWrite,
    #[serde(rename = "recordings:read")]
    RecordingsRead,
    #[serde(rename = "recordings:write")]
    RecordingsWrite,
    #[serde(rename = "audit:read")]
    AuditRead,
    #[serde(rename = "admin")]
    Admin,
}

impl ScopeName {
    fn text(&self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ServersRead => Scope::ServersRead.name(),
            Self::ServersWrite => Scope::ServersWrite.name(),
            Self::MeetingsRead => Scope::MeetingsRead.name(),
            Self::MeetingsWrite => Scope::MeetingsWrite.name(),
            Self::TenantsRead => Scope::TenantsRead.name(),
            Self::TenantsWrite => Scope::TenantsWrite.name(),
            Self::RecordingsRead => Scope::RecordingsRead.name(),
            Self::RecordingsWrite => Scope::RecordingsWrite.name(),
            Self::AuditRead => Scope::AuditRead.name(),
            Self::Admin => Scope::Admin.name(),
        }
    }
}

/// A token that was made.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MadeToken")]
pub(super) struct MadeTokenView {
    /// What to send as `Authorization: Bearer`. It is not shown again.
    secret: String,
    token: TokenView,
}

pub(super) async fn create(
    call: Call,
    _: Nothing,
    body: NewTokenBody,
) -> Result<Reply<MadeTokenView>, Problem> {
    let scopes = Scopes::from_names(body.scopes.iter().map(ScopeName::text));
    let new = NewToken {
        name: body.name,
        scopes: scopes.map_err(|error| Problem::invalid_value("/scopes", error))?,
        tenant: body.tenant,
        lifetime_ms: body.expires_in_s.map(|seconds| seconds.saturating_mul(1_000)),
    };
    let (token, secret) = admin::create(call.app(), new).await?;
    Ok(MadeTokenView { secret, token: view(&token) }.into())
}

pub(super) async fn revoke(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<NoContent>, Problem> {
    admin::revoke(call.app(), call.part(0)).await?;
    Ok(NoContent.into())
}
