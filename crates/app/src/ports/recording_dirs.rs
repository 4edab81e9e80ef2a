//! The directories of recordings as a whole: whether they are there, and are the ones that were there before.

use async_trait::async_trait;

/// A directory that must not be used as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryFault {
    /// The setting that names the directory.
    pub setting: &'static str,
    /// Its path.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
    /// What an administrator can do about it.
    pub advice: String,
}

/// Knows which directories of recordings there must be.
#[async_trait]
pub trait RecordingDirs: Send + Sync {
    /// Finds the directories that are missing, or that are empty in place of others, as those are on which no file
    /// system is mounted. While there are any, nothing is imported, uploaded or moved. Only reads, and ends within
    /// half a minute if a file system does not answer.
    async fn find_directory_faults(&self) -> Vec<DirectoryFault>;

    /// Leaves a mark in each directory that may be used, and remembers it, if there is anything in one of them.
    ///
    /// # Errors
    /// A text that says why that is not possible.
    async fn remember_directories(&self) -> Result<(), String>;
}
