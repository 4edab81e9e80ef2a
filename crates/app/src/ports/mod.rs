//! What the use cases need of the world. One method is one atomic business operation: never a get
//! to be followed by a set, never a transaction handed out, because every race lives between them.

pub mod bbb_client;
pub mod blobs;
pub mod cluster;
pub mod courier;
pub mod entropy;
pub mod history;
pub mod imports;
pub mod inspect;
pub mod library;
pub mod outbox;
pub mod recordings;
pub mod spool;
pub mod tenants;
pub mod tokens;
mod trash;
pub mod turns;
pub mod uploads;

pub use bbb_client::{
    BackendAnswer, BackendBody, BackendCall, BbbClient, CallError, Lane, Patience,
};
pub use blobs::{BlobBytes, BlobError, BlobInfo, Blobs, Book, Moved, Shelf, Span};
pub use cluster::{
    Cluster, Located, Obstacle, PlaceRequest, Placed, PollReport, ServerChange, StoreError,
};
pub use courier::{Courier, CourierError, Letter};
pub use entropy::{Clock, Entropy};
pub use history::History;
pub use imports::{Archive, Imports, Stage};
pub use inspect::{Finding, Inspect, Level};
pub use library::{Cursor, Destination, Imported, Journey, Library};
pub use outbox::{Message, Outbox, Topic};
pub use recordings::{RecordingCounts, Recordings};
pub use spool::{Arrivals, Arrived, Spool, SpoolError, Unpacked};
pub use tenants::{TenantUpdate, Tenants};
pub use tokens::{Grant, Tokens};
pub use trash::{Trash, Trashed};
pub use turns::{Turn, Turns};
pub use uploads::{UploadBytes, UploadError, Uploads};

/// The hot state whole: what one store keeps for all replicas.
pub trait Hot: Cluster + History + Tenants + Tokens + Turns {}

impl<T: Cluster + History + Tenants + Tokens + Turns> Hot for T {}

/// What is known of recordings, whole: what one database keeps for all replicas.
pub trait Records: Library + Trash + Imports + Outbox {}

impl<T: Library + Trash + Imports + Outbox> Records for T {}
