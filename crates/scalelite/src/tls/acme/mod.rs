//! A certificate that the balancer gets and renews by itself, from an authority by ACME. `state` is what replicas share in the store, `renewal`
//! decides and orders, `answers` answers the authority's challenges.

pub mod answers;
pub mod renewal;
pub mod state;
