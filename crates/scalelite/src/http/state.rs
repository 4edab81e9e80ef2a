//! State shared by all HTTP handlers.

use std::sync::Arc;
use std::time::Duration;

use app::App;
use app::api::ApiError;
use app::health::HealthBoard;
use app::origin;
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use super::administration::Administration;
use super::console::Console;
use super::forwarded::ProxyRules;
use super::health::HealthChecks;
use super::host::HostRules;
use super::https_redirect::HttpsRules;
use super::management::ManagementRules;
use super::playback::PlaybackService;
use super::upload_service::UploadService;
use crate::metrics::MetricsService;
use crate::tls::acme::answers::ChallengeAnswers;

/// State shared by all HTTP handlers.
pub struct HttpState {
    /// The application.
    pub app: App,
    /// Playback of recordings; `None` if this deployment has no recordings.
    pub playback: Option<Arc<PlaybackService>>,
    /// The hosts that are served.
    pub hosts: HostRules,
    /// What is said to clients about HTTPS.
    pub https: HttpsRules,
    /// Answers to the authority of certificates; `None` without ACME.
    pub challenges: Option<ChallengeAnswers>,
    /// Who is believed to be a proxy, and of what.
    pub proxies: ProxyRules,
    /// Who may call the management API.
    pub management: ManagementRules,
    /// The pages for administrators.
    pub console: Arc<Console>,
    /// What only administrators' requests need.
    pub administration: Administration,
    /// Held while a change is made whose client has named a version.
    pub versioned_changes: Arc<Mutex<()>>,
    /// The last answer of the stores.
    pub health_checks: HealthChecks,
    /// Metrics.
    pub metrics: MetricsService,
    /// The parts of what the process needs.
    pub health: Arc<HealthBoard>,
    /// Longest request body, in bytes.
    pub max_body_bytes: u64,
    /// Longest time that a request may take, uploads of recordings excepted.
    pub request_timeout: Duration,
    /// Uploads of recordings.
    pub upload_service: Arc<UploadService>,
    /// Tasks that finish even if their client has disconnected; shutdown waits for them.
    pub background: TaskTracker,
}

impl HttpState {
    /// Runs work that must not stop halfway when its client disconnects.
    ///
    /// # Errors
    /// [`ApiError::Internal`] if the work panics.
    pub(super) async fn run_to_completion<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.background.spawn(origin::keep_origin(work)).await.map_err(|_| ApiError::Internal)
    }
}
