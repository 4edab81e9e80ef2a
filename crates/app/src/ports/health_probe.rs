//! One thing that a process needs to do its work, such as a store or a directory, and whether it can be used now.

use async_trait::async_trait;

/// Whether something can be used. The texts are for administrators and contain no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartHealth {
    /// It can.
    Ok,
    /// It can, and may not be usable much longer.
    Warning(String),
    /// It cannot.
    Failed(String),
}

/// Looks whether one part of what a process needs can be used.
#[async_trait]
pub trait HealthProbe: Send + Sync {
    /// The name of the part, which anybody may see.
    fn name(&self) -> &'static str;

    /// Looks once. May take however long the part hangs: nobody waits for it.
    async fn probe(&self) -> PartHealth;
}
