//! What a migration counts.

/// The kinds of entries that are copied, in the order in which they are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MigratedKind {
    /// Tenants.
    Tenants,
    /// Settings of tenants.
    Settings,
    /// Servers.
    Servers,
    /// Meetings.
    Meetings,
    /// Sessions: meetings that have ended.
    Sessions,
    /// Management tokens.
    ManagementTokens,
    /// Records of the audit.
    Audit,
    /// Drains that are not over.
    PlannedDrains,
    /// Recordings, with metadata, formats and thumbnails.
    Recordings,
    /// Callbacks of meetings.
    Callbacks,
    /// Deleted recordings that can be restored.
    Trash,
    /// File moves under way.
    FileMoves,
    /// Archives of recordings, and the state of their imports.
    Archives,
    /// Messages to front-ends.
    Messages,
}

impl MigratedKind {
    /// Returns the name of the kind for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tenants => "tenants",
            Self::Settings => "tenant settings",
            Self::Servers => "servers",
            Self::Meetings => "meetings",
            Self::Sessions => "sessions",
            Self::ManagementTokens => "management tokens",
            Self::Audit => "changes in the audit",
            Self::PlannedDrains => "planned drains",
            Self::Recordings => "recordings",
            Self::Callbacks => "callbacks",
            Self::Trash => "trash",
            Self::FileMoves => "file moves",
            Self::Archives => "archives",
            Self::Messages => "messages",
        }
    }
}

/// How many entries of one kind were copied and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationCounts {
    /// The kind.
    pub kind: MigratedKind,
    /// Entries in the source.
    pub found: u64,
    /// Entries that the target already had, with equal values.
    pub unchanged: u64,
    /// Entries that the target did not have (in a dry run: that would be copied).
    pub copied: u64,
    /// Entries that the target had with other values (in a dry run: that would be replaced).
    pub replaced: u64,
    /// Entries that were read back from the target with equal values.
    pub verified: u64,
    /// The names of entries that could not be copied, 20 at most.
    pub failed: Vec<String>,
}

/// Maximum number of names of failed entries that are kept of a kind.
const MAX_FAILED_NAMES: usize = 20;

impl MigrationCounts {
    pub(super) fn new(kind: MigratedKind) -> Self {
        let failed = Vec::new();
        Self { kind, found: 0, unchanged: 0, copied: 0, replaced: 0, verified: 0, failed }
    }

    /// Whether the target has all entries of this kind now.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.verified == self.found
    }

    /// Counts a copied entry as verified if it is equal in both stores; otherwise keeps its name.
    pub(super) fn count_verified(&mut self, is_equal: bool, name: impl FnOnce() -> String) {
        if is_equal {
            self.verified += 1;
        } else if self.failed.len() < MAX_FAILED_NAMES {
            self.failed.push(name());
        }
    }
}
