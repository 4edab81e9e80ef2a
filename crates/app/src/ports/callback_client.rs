//! Calls to addresses that callers gave us.

use async_trait::async_trait;
use bytes::Bytes;

/// What is posted.
pub struct CallbackRequest {
    /// Where to.
    pub url: String,
    /// What the body is.
    pub content_type: &'static str,
    /// A token for the header `Authorization: Bearer`.
    pub bearer_token: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// Why a letter did not arrive. No text holds the query of a URL, or a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackClientError {
    /// It may not go there: no web address, or one that is not public and not in `CALLBACK_ALLOW`.
    #[error("not allowed: {0}")]
    Refused(String),
    /// Nobody there, or no answer.
    #[error("{0}")]
    Failed(String),
}

/// Posts letters. The address is looked up once, and what is called is the address that was
/// checked; redirects are not followed; the whole takes ten seconds at most.
#[async_trait]
pub trait CallbackClient: Send + Sync {
    /// Posts one and returns the HTTP status of the answer.
    ///
    /// # Errors
    /// When there is no answer.
    async fn post_callback(&self, letter: CallbackRequest) -> Result<u16, CallbackClientError>;
}
