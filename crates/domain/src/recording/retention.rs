//! The retention rule for recordings: which recordings are deleted, and after which time.

use super::catalog::{RecordingFilter, TenantScope};

/// A retention rule for recordings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The recordings that the rule applies to.
    pub filter: RecordingFilter,
    /// The tenants whose recordings the rule applies to.
    pub scope: TenantScope,
    /// Time after the end of its meeting for which a recording is kept, in ms.
    pub keep_ms: i64,
}
