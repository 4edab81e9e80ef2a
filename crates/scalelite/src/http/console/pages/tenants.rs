//! *Tenants*: who shares the pool, and what each of them uses of it now.

use std::sync::Arc;

use app::admin::tenants::TenantError;
use askama::Template;

use super::super::session::Viewer;
use super::super::view::{PageError, RenderedPage};
use super::link;
use crate::http::state::HttpState;

#[derive(Template)]
#[template(path = "console/tenants.html")]
struct TenantsPage {
    tenants: Vec<TenantRow>,
    is_multitenant: bool,
}

struct TenantRow {
    id: String,
    name: String,
    secrets: usize,
    meetings: usize,
    users: u32,
    settings: Vec<(String, String)>,
    meetings_link: String,
}

pub(in super::super) async fn render(
    state: &Arc<HttpState>,
    viewer: &Viewer,
) -> Result<RenderedPage, PageError> {
    let app = &state.app;
    let to_page_error = |error: TenantError| match error {
        TenantError::Store(error) => PageError::Store(error),
        _ => PageError::NotFound("tenant"),
    };
    let tenants = app::admin::tenants::list(app).await.map_err(to_page_error)?;
    let settings = app::admin::tenants::list_settings(app).await.map_err(to_page_error)?;
    let meetings = app.pool.list_meetings(None).await?;
    let seen = tenants.into_iter().filter(|tenant| viewer.sees_tenant(Some(&tenant.id)));
    let rows = seen.map(|tenant| {
        let own =
            meetings.iter().filter(|meeting| meeting.key.tenant.as_deref() == Some(&tenant.id));
        let settings = settings.iter().filter(|setting| setting.tenant == tenant.id);
        TenantRow {
            secrets: tenant.secrets.split(':').filter(|secret| !secret.is_empty()).count(),
            meetings: own.clone().count(),
            users: own.map(|meeting| meeting.load.users).sum(),
            settings: settings
                .map(|setting| (setting.param.clone(), setting.value.clone()))
                .collect(),
            meetings_link: link("meetings", &[]),
            id: tenant.id,
            name: tenant.name,
        }
    });
    let page = TenantsPage { tenants: rows.collect(), is_multitenant: app.policy.multitenancy };
    RenderedPage::new("Tenants", &page, None)
}
