//! The application: the ports it was given and the administrator's choices. Built once, cheap to
//! clone.

use std::sync::Arc;

use crate::policy::Policy;
use crate::ports::{BbbClient, Clock, Cluster, Entropy, Turns};

/// Everything that a use case needs.
#[derive(Clone)]
pub struct App {
    /// Servers and meetings.
    pub cluster: Arc<dyn Cluster>,
    /// Who polls when.
    pub turns: Arc<dyn Turns>,
    /// Calls to servers.
    pub bbb: Arc<dyn BbbClient>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Choices.
    pub policy: Arc<Policy>,
}
