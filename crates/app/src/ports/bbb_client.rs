//! Calls to BigBlueButton servers, as bytes: what is signed is what is sent.

use std::fmt;
use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use domain::Timestamp;
use futures_util::stream::BoxStream;

/// How long a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallTimeouts {
    /// Until the connection stands, name look-up and TLS included, in ms.
    pub connect_ms: u64,
    /// From then until the answer begins, and again until it is complete, in ms. While a body is
    /// being uploaded the clock starts anew with each piece.
    pub response_ms: u64,
}

/// A body on its way through us.
pub struct BackendBody {
    /// Its `Content-Type`.
    pub content_type: String,
    /// Its length in bytes, if it is known beforehand.
    pub length: Option<u64>,
    /// Its pieces; [`io::ErrorKind::FileTooLarge`] says that there are more than accepted.
    pub stream: BoxStream<'static, io::Result<Bytes>>,
}

impl fmt::Debug for BackendBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendBody")
            .field("content_type", &self.content_type)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// One call: POST if it has a body, else GET.
pub struct BackendCall {
    /// The whole URL, signed.
    pub url: String,
    /// What is sent along.
    pub body: Option<BackendBody>,
    /// How long it may take.
    pub timeouts: CallTimeouts,
    /// How many bytes of an answer are accepted.
    pub max_response_bytes: usize,
    /// On whose behalf it is made.
    pub priority: CallPriority,
}

/// On whose behalf a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallPriority {
    /// A front-end's: of these a server gets only so many at a time, the others wait.
    FrontEnd,
    /// Our own. Never waits for front-ends: a busy server must not look like a dead one.
    Internal,
}

/// A complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendResponse {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Bytes,
    /// The server's clock, to the second (`Date`), if it tells it.
    pub date: Option<Timestamp>,
}

/// Why there is no complete answer. The texts hold neither URLs nor secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The request surely never reached the server: no address, refused, no TLS.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// No answer in time; the server may have acted.
    #[error("no answer within {0} ms")]
    Timeout(u64),
    /// The connection broke; the server may have acted.
    #[error("connection broken: {0}")]
    ConnectionLost(String),
    /// The answer is longer than accepted.
    #[error("answer longer than {0} bytes")]
    ResponseTooLarge(usize),
    /// The body that is passed through is longer than accepted.
    #[error("the request's body is too large")]
    UploadTooLarge,
    /// The sender of the body that is passed through failed.
    #[error("the request's body broke off: {0}")]
    UploadInterrupted(String),
}

/// Sends calls to servers. Never sends one twice, never follows a redirect.
#[async_trait]
pub trait BbbClient: Send + Sync {
    /// Sends one call and reads the answer.
    ///
    /// # Errors
    /// When there is no complete answer within the patience given.
    async fn send_call(&self, call: BackendCall) -> Result<BackendResponse, CallError>;
}
