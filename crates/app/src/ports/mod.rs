//! What the use cases need of the world. One method is one atomic business operation: never a get
//! to be followed by a set, never a transaction handed out, because every race lives between them.

pub mod bbb_client;
pub mod cluster;
pub mod entropy;

pub use bbb_client::{
    BackendAnswer, BackendBody, BackendCall, BbbClient, CallError, Lane, Patience,
};
pub use cluster::{Cluster, Located, PlaceRequest, Placed, PollReport, ServerChange, StoreError};
pub use entropy::{Clock, Entropy};
