//! The ports: traits for everything that the use cases need from the outside world.
//!
//! A method is one atomic business operation. No method reads a value that a later call writes
//! back, and no transaction is handed out, because a race is possible between any two calls.
//! [`crate::memory`] defines what the methods mean; every adapter behaves in the same way.

pub mod audit_log;
pub mod bbb_client;
pub mod blobs;
pub mod callback_client;
pub mod certificate_authority;
pub mod certificate_state;
pub mod embedded_store;
pub mod end_callbacks;
pub mod entropy;
pub mod health_probe;
pub mod history;
pub mod imports;
pub mod inspect;
pub mod kept_creates;
pub mod management_tokens;
pub mod notifications;
pub mod outbox;
pub mod periodic_jobs;
pub mod planned_drains;
pub mod pool_samples;
pub mod pool_store;
pub mod recording_catalog;
pub mod recording_claims;
pub mod recording_dirs;
pub mod recording_upkeep;
pub mod recordings;
pub mod remembered_requests;
pub mod replaced_record;
pub mod sealer;
pub mod spool;
pub mod store_error;
pub mod tenants;
pub mod tokens;
pub mod trash;
pub mod uploads;

pub use domain::recording::RecordingFormatId;

pub use audit_log::{AuditLog, AuditPosition, AuditRecord, AuditTarget};
pub use bbb_client::{
    BackendBody, BackendCall, BackendResponse, BbbClient, CallError, CallPriority, CallTimeouts,
};
pub use blobs::{BlobBytes, BlobError, BlobInfo, Blobs, ByteSpan, MoveOutcome, Visibility};
pub use callback_client::{CallbackClient, CallbackClientError, CallbackContent, CallbackRequest};
pub use certificate_authority::{
    AnswerPublisher, AuthorityError, CertificateAuthority, CertificateOrder, ChallengeAnswer,
    ChallengeKind, IssuedCertificate,
};
pub use certificate_state::CertificateState;
pub use embedded_store::EmbeddedStore;
pub use end_callbacks::{EndCallback, EndCallbacks, EndParameter, MeetingPlace};
pub use entropy::{Clock, Entropy};
pub use health_probe::{HealthProbe, PartHealth};
pub use history::SessionHistory;
pub use imports::{ArchiveRecord, ImportStage, Imports};
pub use inspect::{Finding, FindingLevel, Inspect};
pub use kept_creates::{KeptCreate, KeptCreates};
pub use management_tokens::{ManagementToken, ManagementTokens, TokenAddition};
pub use notifications::{Notification, NotificationSender, NotificationState};
pub use outbox::{MessageTopic, Outbox, OutboxMessage};
pub use periodic_jobs::{JobClaim, PeriodicJobs};
pub use planned_drains::{DrainAddition, PlannedDrains, from_stored_drain, to_stored_drain};
pub use pool_samples::{PoolSamples, SampleBlock};
pub use pool_store::{
    MeetingOnServer, PlaceOutcome, PlaceRequest, PollReport, PoolStore, RecordConflict,
    ServerChange,
};
pub use recording_catalog::{
    Destination, FileMove, ImportedRecording, RecordingCatalog, RecordingCursor,
};
pub use recording_claims::RecordingClaims;
pub use recording_dirs::{DirectoryFault, RecordingDirs};
pub use recording_upkeep::{
    ArchiveCount, MessageState, RecordingUpkeep, RecordingWork, TrashEntry,
};
pub use recordings::{RecordingCounts, Recordings};
pub use remembered_requests::{KeyedRequest, RememberedRequests, RequestClaim};
pub use replaced_record::ReplacedRecord;
pub use sealer::Sealer;
pub use spool::{
    KeptArchive, KeptPlace, Spool, SpoolError, SpoolListing, SpooledArchive, UnpackedFormat,
};
pub use store_error::StoreError;
pub use tenants::{TenantUpdateResult, Tenants};
pub use tokens::OneTimeTokens;
pub use trash::{Trash, TrashedRecording};
pub use uploads::{UploadBytes, UploadError, UploadId, Uploads};

/// The state store: servers, meetings, their creates, sessions, tenants, tokens, periodic jobs, samples, the certificate, management
/// tokens, the audit, remembered requests and planned drains, which all replicas share.
pub trait StateStore:
    PoolStore
    + KeptCreates
    + SessionHistory
    + Tenants
    + OneTimeTokens
    + PeriodicJobs
    + PoolSamples
    + CertificateState
    + ManagementTokens
    + AuditLog
    + RememberedRequests
    + PlannedDrains
{
}

impl<
    T: PoolStore
        + KeptCreates
        + SessionHistory
        + Tenants
        + OneTimeTokens
        + PeriodicJobs
        + PoolSamples
        + CertificateState
        + ManagementTokens
        + AuditLog
        + RememberedRequests
        + PlannedDrains,
> StateStore for T
{
}

/// The recording store: recordings, claims on them, their trash, imports, messages and end
/// callbacks, which all replicas share.
pub trait RecordingStore:
    RecordingCatalog + RecordingClaims + RecordingUpkeep + Trash + Imports + Outbox + EndCallbacks
{
}

impl<
    T: RecordingCatalog + RecordingClaims + RecordingUpkeep + Trash + Imports + Outbox + EndCallbacks,
> RecordingStore for T
{
}
