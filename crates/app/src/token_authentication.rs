//! Finds out whose management token a request presents. All tokens are cached for a second, and read again for one that is not among them,
//! so that a new token can be used at once; however many unknown tokens are tried, the store is read ten times a second at most.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Timestamp;
use domain::management::Scopes;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};

use crate::context::App;
use crate::ports::{ManagementToken, StoreError};

/// What every token begins with, so that scanners for published secrets recognise one.
pub const TOKEN_PREFIX: &str = "scl_";
/// The length of the rest: 256 bits in hex.
const TOKEN_DIGITS: usize = 64;
/// How old the cached tokens may be: a token that another process has revoked is refused after that time.
const MAX_CACHE_AGE: Duration = Duration::from_secs(1);
/// The shortest time between two reads of the store.
const MIN_READ_INTERVAL: Duration = Duration::from_millis(100);
/// The use of a token is recorded once in this time, in ms.
const USE_INTERVAL_MS: i64 = 60_000;

/// Who presents a token, and what it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHolder {
    /// The id of the token.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it allows.
    pub scopes: Scopes,
    /// The id of the tenant that it is limited to.
    pub tenant: Option<String>,
    /// From when on it is no longer valid.
    pub expires_at: Option<Timestamp>,
}

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// There is no such token: it never existed, or was revoked.
    #[error("the token is not valid")]
    Unknown,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Tokens cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type TokenIndex = HashMap<String, ManagementToken>;

/// The tokens as this process read them last.
#[derive(Default)]
pub struct ManagementTokenCache {
    cached: Mutex<Option<(Instant, Arc<TokenIndex>)>>,
    /// Held while tokens are read: when that began last.
    reading: tokio::sync::Mutex<Option<Instant>>,
    /// When the uses of tokens were recorded last.
    uses: Mutex<HashMap<String, Timestamp>>,
}

impl ManagementTokenCache {
    fn lock(&self) -> MutexGuard<'_, Option<(Instant, Arc<TokenIndex>)>> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Clears the cache, because this process has made or revoked a token.
    pub(crate) fn invalidate(&self) {
        *self.lock() = None;
    }

    /// The cached tokens, if they were read within this time.
    fn find_cached(&self, max_age: Duration) -> Option<Arc<TokenIndex>> {
        let cached = self.lock();
        let (read_at, index) = cached.as_ref()?;
        (read_at.elapsed() < max_age).then(|| index.clone())
    }

    /// The tokens as they are now or were after `started`.
    async fn read(&self, app: &App, started: Instant) -> Result<Arc<TokenIndex>, StoreError> {
        let mut last_read = self.reading.lock().await;
        if let Some((read_at, index)) = self.lock().as_ref()
            && *read_at >= started
        {
            return Ok(index.clone());
        }
        if let Some(last) = *last_read {
            sleep(MIN_READ_INTERVAL.saturating_sub(last.elapsed())).await;
        }
        let read_at = Instant::now();
        *last_read = Some(read_at);
        let tokens = app.management_tokens.list_management_tokens().await?;
        self.forget_other_uses(&tokens);
        let index: TokenIndex =
            tokens.into_iter().map(|token| (token.digest.clone(), token)).collect();
        let index = Arc::new(index);
        *self.lock() = Some((read_at, index.clone()));
        Ok(index)
    }

    fn lock_uses(&self) -> MutexGuard<'_, HashMap<String, Timestamp>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_other_uses(&self, tokens: &[ManagementToken]) {
        self.lock_uses().retain(|id, _| tokens.iter().any(|token| token.id == *id));
    }

    /// Whether a use of a token is to be recorded now.
    fn is_use_due(&self, token: &ManagementToken, now: Timestamp) -> bool {
        let mut uses = self.lock_uses();
        let last = uses.get(&token.id).copied().max(token.last_used_at);
        let is_due = last.is_none_or(|last| {
            now.ms_since(last) >= USE_INTERVAL_MS || last.is_from_wrong_clock(now)
        });
        if is_due {
            uses.insert(token.id.clone(), now);
        }
        is_due
    }
}

/// The digest by which a token is known to the store.
pub(crate) fn token_digest(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

/// Whether a text has the form of a token.
fn is_token(text: &str) -> bool {
    text.strip_prefix(TOKEN_PREFIX).is_some_and(|digits| {
        digits.len() == TOKEN_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Returns who presents this token, and records once a minute that it is used.
///
/// # Errors
/// When the token is not valid, or the store fails.
pub async fn authenticate_token(app: &App, presented: &str) -> Result<TokenHolder, TokenRefusal> {
    if !is_token(presented) {
        return Err(TokenRefusal::Unknown);
    }
    let (started, digest, cache) = (Instant::now(), token_digest(presented), &app.token_cache);
    let cached = cache.find_cached(MAX_CACHE_AGE);
    let token = match cached.as_ref().and_then(|index| index.get(&digest)) {
        Some(token) => token.clone(),
        None => {
            let index = cache.read(app, started).await?;
            index.get(&digest).cloned().ok_or(TokenRefusal::Unknown)?
        }
    };
    let now = app.clock.now();
    if token.expires_at.is_some_and(|at| at <= now) {
        return Err(TokenRefusal::Expired);
    }
    if cache.is_use_due(&token, now)
        && let Err(error) = app.management_tokens.record_token_use(&token.id, now).await
    {
        tracing::debug!(token = token.name, %error, "use of a token not recorded");
    }
    let ManagementToken { id, name, scopes, tenant, expires_at, .. } = token;
    Ok(TokenHolder { id, name, scopes, tenant, expires_at })
}

#[cfg(test)]
mod tests {
    use domain::management::Scope;

    use super::*;
    use crate::admin::tokens::{self, NewToken};
    use crate::test_app::test_app;

    fn new_token(name: &str) -> NewToken {
        NewToken {
            name: name.to_owned(),
            scopes: Scopes::new([Scope::ServersRead]),
            tenant: None,
            lifetime_ms: Some(90_000),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_are_valid_until_they_expire_or_are_revoked() {
        let (app, _) = test_app(&[], |_| None).await;
        let (token, secret) = tokens::create(&app, new_token("a")).await.unwrap();
        assert!(is_token(&secret), "{secret}");
        let holder = authenticate_token(&app, &secret).await.unwrap();
        assert_eq!((holder.name.as_str(), holder.id), ("a", token.id.clone()));
        let list = tokens::list(&app).await.unwrap();
        assert_eq!(list[0].last_used_at, Some(app.clock.now()));
        sleep(Duration::from_secs(59)).await;
        authenticate_token(&app, &secret).await.unwrap();
        assert_eq!(tokens::list(&app).await.unwrap(), list, "written once a minute");
        sleep(Duration::from_secs(1)).await;
        authenticate_token(&app, &secret).await.unwrap();
        assert_eq!(tokens::list(&app).await.unwrap()[0].last_used_at, Some(app.clock.now()));
        sleep(Duration::from_secs(30)).await;
        assert_eq!(authenticate_token(&app, &secret).await, Err(TokenRefusal::Expired));
        let (_, other) = tokens::create(&app, new_token("b")).await.unwrap();
        authenticate_token(&app, &other).await.unwrap();
        tokens::revoke(&app, "b").await.unwrap();
        assert_eq!(authenticate_token(&app, &other).await, Err(TokenRefusal::Unknown));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_token_is_refused_without_a_look_at_the_store() {
        let (app, _) = test_app(&[], |_| None).await;
        let long = format!("{TOKEN_PREFIX}{}", "0".repeat(65));
        for text in ["", "scl_", "secret", &long, &format!("{TOKEN_PREFIX}{}", "g".repeat(64))] {
            assert_eq!(authenticate_token(&app, text).await, Err(TokenRefusal::Unknown));
        }
        assert!(app.token_cache.lock().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_tokens_are_looked_up_together_and_new_ones_at_once() {
        let (app, _) = test_app(&[], |_| None).await;
        let begun = Instant::now();
        let unknown = format!("{TOKEN_PREFIX}{}", "0".repeat(64));
        for _ in 0..10 {
            sleep(Duration::from_millis(1)).await;
            let tries = (0..50).map(|_| authenticate_token(&app, &unknown));
            let results = futures_util::future::join_all(tries).await;
            assert!(results.iter().all(|result| *result == Err(TokenRefusal::Unknown)));
        }
        let took = begun.elapsed() - Duration::from_millis(1);
        assert_eq!(took, MIN_READ_INTERVAL * 9, "each round has read the store once");
        // Another process makes a token.
        let (_, secret) = tokens::create(&app, new_token("a")).await.unwrap();
        assert!(authenticate_token(&app, &secret).await.is_ok());
    }
}
