//! Requests to addresses that front-ends name.

use async_trait::async_trait;
use bytes::Bytes;

/// A request.
pub struct CallbackRequest {
    /// The URL.
    pub url: String,
    /// A token for the header `Authorization: Bearer`.
    pub bearer_token: Option<String>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// What is sent with POST; `None`: a GET.
    pub content: Option<CallbackContent>,
}

/// The body of a request.
pub struct CallbackContent {
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// Its bytes.
    pub body: Bytes,
}

/// Why a request got no response. The texts contain neither secrets nor the query of a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackClientError {
    /// The address may not be called: it is not an HTTP URL, or is neither public nor listed in
    /// `CALLBACK_ALLOW`.
    #[error("not allowed: {0}")]
    Refused(String),
    /// The address cannot be reached or does not respond.
    #[error("{0}")]
    Failed(String),
}

/// Sends requests to addresses that front-ends name.
#[async_trait]
pub trait CallbackClient: Send + Sync {
    /// Sends a request once, and returns the HTTP status of the response, whatever it is. The host
    /// name is resolved once, and the connection goes to the very address that was checked.
    /// Redirects are not followed. The request takes ten seconds at most.
    ///
    /// # Errors
    /// When the address may not be called, or there is no response.
    async fn send_callback(&self, request: CallbackRequest) -> Result<u16, CallbackClientError>;
}
