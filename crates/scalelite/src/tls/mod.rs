//! Certificates of the balancer itself: read from files or got from an authority by ACME, checked before they are used, and exchanged while
//! connections go on. `http` does the handshakes with what is here.

pub mod acme;
pub mod certificate;
pub mod files;
pub mod holder;

pub use certificate::Certificate;
pub use holder::CertificateHolder;
