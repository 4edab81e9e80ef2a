//! The pages of the console: which one a path names, and what it needs. A page has a part that is sent again whenever it changes (`live`), and
//! one with forms, which stays as it is.

use std::sync::Arc;

use app::api::ApiError;
use app::ports::StoreError;
use askama::Template;
use bbb::Query;
use domain::management::Scope;

use super::pages;
use super::session::Viewer;
use crate::http::state::HttpState;

/// A page that a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum View {
    Today,
    /// Id of the server.
    Server(String),
    /// Part of an id.
    Meetings(String),
    /// Tenant and id.
    Meeting(Option<String>, String),
    /// Part of an id.
    Recordings(String),
    Tenants,
    Forecast,
    Audit,
    Doctor,
}

/// A rendered page.
pub(super) struct RenderedPage {
    pub(super) title: String,
    /// HTML that is sent again when it changes.
    pub(super) live: String,
    /// HTML that stays as it is.
    pub(super) controls: String,
}

/// Why a page cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    /// What it is about does not exist, or must not be seen.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// A store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The page cannot be rendered.
    #[error("rendering failed")]
    Rendering(#[from] askama::Error),
    /// A call to a server fails.
    #[error("{0}")]
    Call(ApiError),
}

impl View {
    /// Finds the page of a path below `/scalelite`, and of its query.
    pub(super) fn parse(path: &str, query: &str) -> Option<Self> {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let query = Query::parse(query);
        let parameter = |name: &str| query.get(name).unwrap_or_default().into_owned();
        Some(match segments[..] {
            [] => Self::Today,
            ["server"] => Self::Server(parameter("id")),
            ["meetings"] => Self::Meetings(parameter("q")),
            ["meeting"] => {
                let tenant = Some(parameter("tenant")).filter(|tenant| !tenant.is_empty());
                Self::Meeting(tenant, parameter("id"))
            }
            ["recordings"] => Self::Recordings(parameter("q")),
            ["tenants"] => Self::Tenants,
            ["forecast"] => Self::Forecast,
            ["audit"] => Self::Audit,
            ["doctor"] => Self::Doctor,
            _ => return None,
        })
    }

    /// What a viewer needs to see it.
    pub(super) fn needed_scope(&self) -> Scope {
        match self {
            Self::Today | Self::Server(_) | Self::Forecast => Scope::ServersRead,
            Self::Meetings(_) | Self::Meeting(..) => Scope::MeetingsRead,
            Self::Recordings(_) => Scope::RecordingsRead,
            Self::Tenants => Scope::TenantsRead,
            Self::Audit => Scope::AuditRead,
            Self::Doctor => Scope::Admin,
        }
    }

    /// Whether the page changes by itself and is cheap enough to be rendered every second.
    pub(super) fn is_live(&self) -> bool {
        matches!(self, Self::Today | Self::Server(_) | Self::Meetings(_) | Self::Meeting(..))
    }

    /// Renders the page.
    pub(super) async fn render(
        &self,
        state: &Arc<HttpState>,
        viewer: &Viewer,
    ) -> Result<RenderedPage, PageError> {
        match self {
            Self::Today => pages::today::render(state).await,
            Self::Server(id) => pages::server::render(state, viewer, id).await,
            Self::Meetings(part) => pages::meetings::render(state, viewer, part).await,
            Self::Meeting(tenant, id) => {
                pages::meeting::render(state, viewer, tenant.clone(), id).await
            }
            Self::Recordings(part) => pages::recordings::render(state, viewer, part).await,
            Self::Tenants => pages::tenants::render(state, viewer).await,
            Self::Forecast => pages::forecast::render(state).await,
            Self::Audit => pages::audit::render(state).await,
            Self::Doctor => pages::doctor::render(state).await,
        }
    }
}

impl RenderedPage {
    /// Renders the parts of a page.
    pub(super) fn new(
        title: impl Into<String>,
        live: &impl Template,
        controls: Option<&dyn askama::DynTemplate>,
    ) -> Result<Self, PageError> {
        let controls = controls.map_or(Ok(String::new()), askama::DynTemplate::dyn_render)?;
        Ok(Self { title: title.into(), live: live.render()?, controls })
    }
}
