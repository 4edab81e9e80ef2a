//! The importer: the ports and settings that all steps of an import share.

use std::sync::Arc;

use super::space::SpaceWaits;
use crate::ports::{Blobs, Clock, Entropy, RecordingStore, Spool};
use crate::state::ClockWatch;

/// Settings of imports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportRules {
    /// `RECORDING_IMPORT_UNPUBLISHED`: new recordings are unpublished.
    pub unpublished: bool,
    /// `PROTECTED_RECORDINGS_ENABLED`: new recordings are protected.
    pub protected: bool,
}

/// Imports archives of recordings.
#[derive(Clone)]
pub struct Importer {
    /// Recordings, and the state of archives.
    pub records: Arc<dyn RecordingStore>,
    /// Files of recordings.
    pub blobs: Arc<dyn Blobs>,
    /// Where archives arrive and are unpacked.
    pub spool: Arc<dyn Spool>,
    /// The current time.
    pub clock: Arc<dyn Clock>,
    /// Makes the tokens of claims.
    pub entropy: Arc<dyn Entropy>,
    /// Settings.
    pub rules: ImportRules,
    /// `RECORDING_TRASH_DAYS`, in ms, if it is set.
    pub trash_ms: Option<i64>,
    /// Whether the clock was set lately.
    pub clock_watch: Arc<ClockWatch>,
    /// The archives for which there was no space.
    pub space_waits: Arc<SpaceWaits>,
}
