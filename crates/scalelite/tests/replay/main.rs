//! What ours leaves in Redis is what the original would have left: each recorded step of the
//! original is done anew, by ours, on the keyspace that was there before it, and the keyspace
//! afterwards is compared key by key with the recorded one.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says by a panic what is wrong")]

mod keyspace;
mod steps;

use steps::replay;

const BINARY: &str = env!("CARGO_BIN_EXE_scalelite");

#[tokio::test]
async fn transitions_of_servers_and_meetings() {
    replay("redis-transitions.json", &[]).await;
}

#[tokio::test]
async fn transitions_of_tenants() {
    replay("redis-tenants.json", &[("MULTITENANCY_ENABLED", "true")]).await;
}
