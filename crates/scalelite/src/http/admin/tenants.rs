//! The calls of the management API that concern tenants.

use app::App;
use app::admin::tenants::{self, TenantError};
use domain::{Tenant, TenantChange};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::parameters::{AdminRefusal, MASK, id_field, object_fields, show_secret, text_field};
use crate::http::management::ManagementRight;

/// Fields of a tenant that callers set.
const FIELDS: [&str; 2] = ["name", "secrets"];

impl From<TenantError> for AdminRefusal {
    fn from(error: TenantError) -> Self {
        let status = match &error {
            TenantError::Unknown(_) | TenantError::UnknownSetting(_) => StatusCode::NOT_FOUND,
            TenantError::NameTaken(_) => StatusCode::UNPROCESSABLE_ENTITY,
            TenantError::Incomplete | TenantError::NoParameter => StatusCode::BAD_REQUEST,
            TenantError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, error.to_string())
    }
}

/// Answers a call that concerns tenants.
pub(super) async fn execute_call(
    app: &App,
    call: &str,
    parameters: &Map<String, Value>,
    right: ManagementRight,
) -> Result<(StatusCode, Value), AdminRefusal> {
    let message = |status, text: &str| Ok((status, json!({ "message": text })));
    if !app.policy.multitenancy {
        return message(StatusCode::PRECONDITION_FAILED, "Multitenancy is disabled");
    }
    let id = id_field(parameters, "tenant");
    let ok = StatusCode::OK;
    match call {
        "getTenants" => {
            let tenants = tenants::list(app).await?;
            if tenants.is_empty() {
                return message(ok, "No tenants exist");
            }
            Ok((ok, tenants.iter().map(|tenant| tenant_json(tenant, right)).collect()))
        }
        "getTenantInfo" => Ok((ok, tenant_json(&tenants::find(app, &id).await?, right))),
        "addTenant" => {
            let fields = object_fields(parameters, "tenant", &FIELDS)?;
            let [name, secrets] =
                ["name", "secrets"].map(|key| text_field(fields, key).unwrap_or_default());
            if secrets == MASK {
                let text = format!("{MASK} stands for secrets that are not shown, and is none");
                return Err(AdminRefusal(StatusCode::BAD_REQUEST, text));
            }
            let tenant = tenants::add(app, &name, &secrets).await?;
            Ok((StatusCode::CREATED, tenant_record_json(&tenant, right)))
        }
        "updateTenant" => {
            tenants::find(app, &id).await?;
            let fields = object_fields(parameters, "tenant", &FIELDS)?;
            let (name, secrets) = (text_field(fields, "name"), text_field(fields, "secrets"));
            let secrets = secrets.filter(|secrets| secrets != MASK);
            let change = TenantChange { name, secrets, ..TenantChange::default() };
            Ok((ok, tenant_record_json(&tenants::update(app, &id, change).await?, right)))
        }
        _ => {
            tenants::remove(app, &id).await?;
            Ok((ok, json!({ "success": format!("Tenant id={id} was destroyed") })))
        }
    }
}

/// Returns a tenant as JSON.
fn tenant_json(tenant: &Tenant, right: ManagementRight) -> Value {
    json!({ "id": tenant.id, "name": tenant.name, "secrets": show_secret(&tenant.secrets, right) })
}

/// Returns a stored tenant as JSON, with the fields that the original's library adds to records.
fn tenant_record_json(tenant: &Tenant, right: ManagementRight) -> Value {
    let mut record = tenant_json(tenant, right);
    record["new_record"] = json!(false);
    record["destroyed"] = json!(false);
    json!({ "tenant": record })
}
