//! The client of another balancer's management API.

pub use adapters::management_client::{ManagementAddress, ManagementAnswer, ManagementClient};
