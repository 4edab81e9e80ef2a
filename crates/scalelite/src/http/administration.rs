//! What only requests of administrators need.

use std::sync::Arc;

use app::ports::Finding;
use app::recordings::import::Importer;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;

use crate::metrics::MeetingCurves;

/// Checks of everything that the process depends on.
pub trait RunChecks: Send + Sync {
    /// Runs them; failures are findings.
    fn run_checks(&self) -> BoxFuture<'_, Vec<Finding>>;
}

/// What only administrators' requests need.
#[derive(Clone, Default)]
pub struct Administration {
    /// The importer of recordings; `None` without a database or with RECORDING_DISABLED.
    pub importer: Option<Importer>,
    /// The checks; `None` in the demo.
    pub checks: Option<Arc<dyn RunChecks>>,
    /// How often the servers are polled, in ms.
    pub poll_interval_ms: i64,
    /// The users of running meetings over the last hours.
    pub meeting_curves: Arc<MeetingCurves>,
    /// The settings in effect, secrets hidden.
    pub settings: Arc<Vec<ShownSetting>>,
}

/// A setting in effect.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Setting")]
pub struct ShownSetting {
    /// Its name.
    pub name: String,
    /// Its value; `***` stands for a secret.
    pub value: String,
    /// Where it was set.
    pub origin: String,
    /// What is odd about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}
