//! Calls to BigBlueButton servers. URLs and bodies are passed as bytes, so that exactly the signed
//! text is sent.

use std::fmt;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use domain::Timestamp;
use futures_util::stream::BoxStream;

/// How long a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallTimeouts {
    /// Maximum time to connect, including name lookup and TLS handshake, in ms.
    pub connect_ms: u64,
    /// Maximum time until the response begins, and again until it is complete, in ms. While a body
    /// is uploaded, the time starts anew with every chunk.
    pub response_ms: u64,
}

/// A request body that is passed on to a server.
pub struct BackendBody {
    /// The `Content-Type`.
    pub content_type: String,
    /// The length in bytes, if it is known in advance.
    pub length: Option<u64>,
    /// The chunks of the body. [`io::ErrorKind::FileTooLarge`] means that the body is longer than
    /// accepted.
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

/// A call to a server: a POST request if it has a body, otherwise a GET request.
pub struct BackendCall {
    /// The full, signed URL.
    pub url: String,
    /// The body.
    pub body: Option<BackendBody>,
    /// How long the call may take.
    pub timeouts: CallTimeouts,
    /// Maximum length of the response body, in bytes.
    pub max_response_bytes: usize,
    /// The priority of the call.
    pub priority: CallPriority,
    /// The id of the request that the call belongs to, which the server is told.
    pub request_id: Option<Arc<str>>,
}

/// On whose behalf a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallPriority {
    /// A front-end's call. The number of these calls that a server gets at the same time is
    /// limited; further calls wait.
    FrontEnd,
    /// A call of the balancer itself. It never waits for front-ends' calls: a busy server must not
    /// look like a dead one.
    Internal,
}

/// A complete response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendResponse {
    /// The HTTP status.
    pub status: u16,
    /// Where a redirect leads, as the header says.
    pub location: Option<String>,
    /// The body.
    pub body: Bytes,
    /// The server's time, to the second, if the response has a `Date` header.
    pub date: Option<Timestamp>,
}

/// Why there is no complete response. The texts contain neither URLs nor secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The request certainly did not reach the server: no address, connection refused, or TLS
    /// failed.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// No response in time. The server may have processed the request.
    #[error("no answer within {0} ms")]
    Timeout(u64),
    /// The connection was lost. The server may have processed the request.
    #[error("connection broken: {0}")]
    ConnectionLost(String),
    /// The response is longer than accepted.
    #[error("answer longer than {0} bytes")]
    ResponseTooLarge(usize),
    /// The request body is longer than accepted.
    #[error("the request's body is too large")]
    UploadTooLarge,
    /// The sender of the request body failed.
    #[error("the request's body was interrupted: {0}")]
    UploadInterrupted(String),
}

/// Sends calls to servers.
#[async_trait]
pub trait BbbClient: Send + Sync {
    /// Sends one call and returns the complete response, whatever its status. A call is never sent
    /// twice, and redirects are not followed.
    ///
    /// # Errors
    /// When there is no complete response within the timeouts of the call.
    /// [`CallError::Unreachable`] guarantees that the server did not get the request; after any
    /// other error it may have processed it.
    async fn send_call(&self, call: BackendCall) -> Result<BackendResponse, CallError>;
}
