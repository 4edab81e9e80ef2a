//! Answers questions for metrics: one reading at a time, which all that ask within a second share.

use std::sync::Arc;
use std::time::Duration;

use app::App;
use app::health::HealthBoard;
use bytes::Bytes;
use subtle::ConstantTimeEq as _;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::collect::collect;
use super::requests::RequestMeters;
use super::values;
use crate::tls::CertificateHolder;

/// How long a reading counts.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Where the values come from.
pub struct MetricsSource {
    /// The application.
    pub app: App,
    /// The parts of the process.
    pub health: Arc<HealthBoard>,
    /// The certificate in use.
    pub certificate: Arc<CertificateHolder>,
    /// What is counted of requests.
    pub requests: Arc<RequestMeters>,
}

/// Tells the metrics to those who may know them.
pub struct MetricsService {
    source: MetricsSource,
    token: Option<String>,
    /// The last reading, and when it was made.
    last: Mutex<Option<(Instant, Bytes)>>,
}

impl MetricsService {
    /// Content type of the answer.
    pub const CONTENT_TYPE: &'static str = values::CONTENT_TYPE;

    /// With a token, only those who know it are told.
    pub fn new(source: MetricsSource, token: Option<String>) -> Self {
        Self { source, token, last: Mutex::default() }
    }

    /// What is counted of requests.
    pub fn requests(&self) -> &Arc<RequestMeters> {
        &self.source.requests
    }

    /// Returns whether a token is needed.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Returns whether someone who shows this token may know the metrics.
    pub fn allows(&self, shown: Option<&str>) -> bool {
        match (&self.token, shown) {
            (None, _) => true,
            (Some(token), Some(shown)) => bool::from(token.as_bytes().ct_eq(shown.as_bytes())),
            (Some(_), None) => false,
        }
    }

    /// Returns the metrics as a text.
    pub async fn read(&self) -> Bytes {
        let mut last = self.last.lock().await;
        if let Some((_, text)) = last.as_ref().filter(|(at, _)| at.elapsed() < MAX_AGE) {
            return text.clone();
        }
        let text = Bytes::from(collect(&self.source).await.into_text());
        *last = Some((Instant::now(), text.clone()));
        text
    }
}
