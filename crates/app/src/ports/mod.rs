//! What the use cases need of the world. One method is one atomic business operation: never a get
//! to be followed by a set, never a transaction handed out, because every race lives between them.

pub mod bbb_client;
pub mod blobs;
pub mod callback_client;
pub mod entropy;
pub mod history;
pub mod imports;
pub mod inspect;
pub mod outbox;
pub mod periodic_jobs;
pub mod pool_store;
pub mod recording_catalog;
pub mod recordings;
pub mod spool;
pub mod store_error;
pub mod tenants;
pub mod tokens;
mod trash;
pub mod uploads;

pub use domain::recording::RecordingFormatId;

pub use bbb_client::{
    BackendBody, BackendCall, BackendResponse, BbbClient, CallError, CallPriority, CallTimeouts,
};
pub use blobs::{BlobBytes, BlobError, BlobInfo, Blobs, ByteSpan, MoveOutcome, Visibility};
pub use callback_client::{CallbackClient, CallbackClientError, CallbackRequest};
pub use entropy::{Clock, Entropy};
pub use history::SessionHistory;
pub use imports::{ArchiveRecord, ImportStage, Imports};
pub use inspect::{Finding, FindingLevel, Inspect};
pub use outbox::{MessageTopic, Outbox, OutboxMessage};
pub use periodic_jobs::{JobClaim, PeriodicJobs};
pub use pool_store::{
    MeetingOnServer, PlaceOutcome, PlaceRequest, PollReport, PoolStore, RecordConflict,
    ServerChange,
};
pub use recording_catalog::{
    Destination, FileMove, ImportedRecording, RecordingCatalog, RecordingCursor,
};
pub use recordings::{RecordingCounts, Recordings};
pub use spool::{Spool, SpoolError, SpoolListing, SpooledArchive, UnpackedFormat};
pub use store_error::StoreError;
pub use tenants::{TenantUpdateResult, Tenants};
pub use tokens::OneTimeTokens;
pub use trash::{Trash, TrashedRecording};
pub use uploads::{UploadBytes, UploadError, Uploads};

/// The hot state whole: what one store keeps for all replicas.
pub trait StateStore: PoolStore + SessionHistory + Tenants + OneTimeTokens + PeriodicJobs {}

impl<T: PoolStore + SessionHistory + Tenants + OneTimeTokens + PeriodicJobs> StateStore for T {}

/// What is known of recordings, whole: what one database keeps for all replicas.
pub trait RecordingStore: RecordingCatalog + Trash + Imports + Outbox {}

impl<T: RecordingCatalog + Trash + Imports + Outbox> RecordingStore for T {}
