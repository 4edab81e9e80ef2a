//! What only requests of administrators need.

use std::sync::Arc;

use app::ports::Inspect;
use app::recordings::import::Importer;
use schemars::JsonSchema;
use serde::Serialize;

/// What only administrators' requests need.
#[derive(Clone, Default)]
pub struct Administration {
    /// The importer of recordings; `None` without a database or with RECORDING_DISABLED.
    pub importer: Option<Importer>,
    /// The stores, for checks.
    pub inspectors: Vec<Arc<dyn Inspect>>,
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
