//! Parameters that tenants set for create and join.

use app::admin::tenants as admin;
use domain::TenantSetting;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::{Call, NoContent, Reply};
use super::input::Nothing;
use super::paging::Page;
use super::problem::Problem;
use super::tenants::{require_multitenancy, require_tenant};

/// Most settings of a tenant that are listed.
const MAX_SETTINGS: usize = 10_000;

/// A setting.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TenantSetting")]
pub(super) struct SettingView {
    id: String,
    param: String,
    value: String,
    /// Whether it replaces the value of the request; otherwise it is a default.
    #[serde(rename = "override")]
    is_override: bool,
}

fn view(setting: TenantSetting) -> SettingView {
    let TenantSetting { id, param, value, is_override, .. } = setting;
    SettingView { id, param, value, is_override }
}

async fn of_tenant(call: &Call) -> Result<Vec<TenantSetting>, Problem> {
    require_tenant(call, call.part(0))?;
    let tenant = admin::find(call.app(), call.part(0)).await?;
    let mut settings = admin::list_settings(call.app()).await?;
    settings.retain(|setting| setting.tenant == tenant.id);
    Ok(settings)
}

pub(super) async fn list(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<Page<SettingView>>, Problem> {
    let settings = of_tenant(&call).await?;
    Ok(Page { items: settings.into_iter().take(MAX_SETTINGS).map(view).collect(), next: None }
        .into())
}

/// A setting to add.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewTenantSetting")]
pub(super) struct NewSettingBody {
    /// The name of the parameter.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[!-~]+$"))]
    param: String,
    #[schemars(length(max = 10_000))]
    value: String,
    /// Whether it replaces the value of the request; otherwise it is a default.
    #[serde(default, rename = "override")]
    is_override: bool,
}

pub(super) async fn add(
    call: Call,
    _: Nothing,
    body: NewSettingBody,
) -> Result<Reply<SettingView>, Problem> {
    require_multitenancy(&call)?;
    require_tenant(&call, call.part(0))?;
    let NewSettingBody { param, value, is_override } = body;
    let added = admin::add_setting(call.app(), call.part(0), &param, &value, is_override).await?;
    Ok(view(added).into())
}

pub(super) async fn remove(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<NoContent>, Problem> {
    let settings = of_tenant(&call).await?;
    if !settings.iter().any(|setting| setting.id == call.part(1)) {
        return Err(Problem::not_found("setting"));
    }
    admin::remove_setting(call.app(), call.part(1)).await?;
    Ok(NoContent.into())
}
