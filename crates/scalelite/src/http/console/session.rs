//! Who is signed in to the console: a cookie with the management token, sealed. The token is checked at every request, so that one that was
//! revoked is worth nothing from then on; and every replica reads the cookie, because all have the same key.

use app::App;
use app::token_authentication::{TokenHolder, TokenRefusal, authenticate_token};
use cookie::time::Duration;
use cookie::{Cookie, SameSite};
use domain::Timestamp;
use domain::management::{Scope, may};
use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const COOKIE: &str = "scalelite_console";
/// What the cookie is sealed for, so that nothing else that is sealed can be used as one.
const CONTEXT: &str = "console session";
/// How long a sign-in lasts, in ms.
const SESSION_MS: i64 = 12 * 3_600_000;
/// Longest cookie that is opened, in bytes.
const MAX_COOKIE_BYTES: usize = 1024;

/// What the cookie seals.
#[derive(Serialize, Deserialize)]
struct Session {
    token: String,
    until: i64,
}

/// Whoever is signed in.
#[derive(Clone)]
pub(super) struct Viewer {
    pub(super) holder: TokenHolder,
    token: String,
    /// When the sign-in ends.
    until: Timestamp,
    /// What forms carry: other sites can neither read nor guess it.
    pub(super) form_key: String,
}

impl Viewer {
    pub(super) fn may(&self, scope: Scope) -> bool {
        may(&self.holder.scopes, scope)
    }

    /// Whether the sign-in and its token are still valid. While tokens cannot be read, they are.
    pub(super) async fn is_valid(&self, app: &App) -> bool {
        let found = authenticate_token(app, &self.token).await;
        let is_refused = matches!(found, Err(TokenRefusal::Unknown | TokenRefusal::Expired));
        app.clock.now() < self.until && !is_refused
    }

    /// Whether meetings and recordings of this tenant may be seen.
    pub(super) fn sees_tenant(&self, tenant: Option<&str>) -> bool {
        self.holder.tenant.as_deref().is_none_or(|own| Some(own) == tenant)
    }
}

/// Returns who a request comes from; `None` if nobody is signed in.
///
/// # Errors
/// When tokens cannot be read.
pub(super) async fn find_viewer(
    app: &App,
    headers: &HeaderMap,
) -> Result<Option<Viewer>, TokenRefusal> {
    let Some((sealed, session)) = read_session(app, headers) else { return Ok(None) };
    match authenticate_token(app, &session.token).await {
        Ok(holder) => {
            let (form_key, until) = (form_key(&sealed), Timestamp(session.until));
            Ok(Some(Viewer { holder, token: session.token, until, form_key }))
        }
        Err(TokenRefusal::Store(error)) => Err(TokenRefusal::Store(error)),
        Err(TokenRefusal::Unknown | TokenRefusal::Expired) => Ok(None),
    }
}

fn read_session(app: &App, headers: &HeaderMap) -> Option<(String, Session)> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies = values.flat_map(Cookie::split_parse).filter_map(Result::ok);
    let mut named = cookies.filter(|cookie| cookie.name() == COOKIE);
    named.find_map(|cookie| {
        let sealed = Some(cookie.value()).filter(|sealed| sealed.len() <= MAX_COOKIE_BYTES)?;
        let session: Session = serde_json::from_slice(&app.sealer.open(CONTEXT, sealed)?).ok()?;
        // A sign-in of a clock that was set back would last too long.
        let left_ms = Timestamp(session.until).ms_since(app.clock.now());
        (0..=SESSION_MS).contains(&left_ms).then(|| (sealed.to_owned(), session))
    })
}

fn form_key(sealed: &str) -> String {
    hex::encode(Sha256::digest(format!("{CONTEXT} form {sealed}")))
}

/// Returns the `Set-Cookie` value that signs in with a token that was found valid; `None` if there is no key to seal it.
pub(super) fn sign_in(app: &App, token: &str, is_https: bool) -> Option<HeaderValue> {
    let until = app.clock.now().0 + SESSION_MS;
    let session = serde_json::to_vec(&Session { token: token.to_owned(), until }).ok()?;
    let sealed = app.sealer.seal(CONTEXT, &session)?;
    build_cookie(&sealed, Duration::milliseconds(SESSION_MS), is_https)
}

/// Returns the `Set-Cookie` value that signs out.
pub(super) fn sign_out(is_https: bool) -> Option<HeaderValue> {
    build_cookie("", Duration::ZERO, is_https)
}

fn build_cookie(value: &str, age: Duration, is_https: bool) -> Option<HeaderValue> {
    // Lax: who follows a link of an e-mail stays signed in; forms of other sites are sent without it.
    let cookie = Cookie::build((COOKIE, value))
        .path("/scalelite")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(is_https)
        .max_age(age);
    HeaderValue::from_str(&cookie.build().to_string()).ok()
}
