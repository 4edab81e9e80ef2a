//! Tokens that Keycloak has issued for the learning record stores of tenants. Creates of a tenant share a young token, and one of
//! them asks for it while the others wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Tenant;
use domain::tenant::Lrs;
use tokio::time::{Instant, timeout};

/// A token is shared in the first part of its life only, since the server uses it while the meeting runs.
const SHARED_PART: u32 = 5;
/// After a failure Keycloak is not asked again for so long: users wait for each answer.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(10);
/// Tenants of which a token is kept.
const MAX_TENANTS: usize = 10_000;

/// A token, and how long it is valid.
pub(crate) struct IssuedToken {
    pub(crate) token: String,
    pub(crate) lifetime: Duration,
}

/// The tokens.
#[derive(Default)]
pub struct KeycloakTokens(Mutex<HashMap<String, Slot>>);

/// What is known of one tenant; locked while Keycloak is asked.
type Slot = Arc<tokio::sync::Mutex<Option<LastTokenAnswer>>>;

struct LastTokenAnswer {
    /// The access data with which Keycloak was asked.
    lrs: Lrs,
    answer: Result<String, String>,
    until: Instant,
}

impl KeycloakTokens {
    /// Returns a token of the tenant, or why there is none: a young one that is known, or what `fetch` brings within `max_time`.
    pub(crate) async fn find_or_fetch(
        &self,
        tenant: &Tenant,
        max_time: Duration,
        fetch: impl Future<Output = Result<IssuedToken, String>>,
    ) -> Result<String, String> {
        let slot = self.slot(&tenant.id);
        let mut known = slot.lock().await;
        if let Some(known) = known.as_ref()
            && known.lrs == tenant.lrs
            && Instant::now() < known.until
        {
            return known.answer.clone();
        }
        let issued = timeout(max_time, fetch).await;
        let issued = issued.unwrap_or_else(|_| Err("no response in time".to_owned()));
        let shared_for =
            issued.as_ref().map_or(PAUSE_AFTER_FAILURE, |it| it.lifetime / SHARED_PART);
        let answer = issued.map(|issued| issued.token);
        let until = Instant::now() + shared_for;
        *known = Some(LastTokenAnswer { lrs: tenant.lrs.clone(), answer: answer.clone(), until });
        answer
    }

    fn slot(&self, tenant: &str) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_TENANTS && !slots.contains_key(tenant) {
            slots.clear();
        }
        slots.entry(tenant.to_owned()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const MAX_TIME: Duration = Duration::from_secs(3);

    fn tenant(password: &str) -> Tenant {
        let [id, name, secrets] = ["1", "acme", "s"].map(str::to_owned);
        let lrs = Lrs { kc_password: Some(password.to_owned()), ..Lrs::default() };
        Tenant { id, name, secrets, lrs }
    }

    /// A Keycloak that counts its questions, and answers after a second.
    #[derive(Default)]
    struct Keycloak(AtomicU32);

    impl Keycloak {
        async fn issue(&self, lifetime_s: u64) -> Result<IssuedToken, String> {
            let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let lifetime = Duration::from_secs(lifetime_s);
            Ok(IssuedToken { token: format!("t{number}"), lifetime })
        }

        async fn refuse(&self) -> Result<IssuedToken, String> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Err("refused".to_owned())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn creates_share_a_young_token() {
        let (tokens, keycloak) = (KeycloakTokens::default(), Keycloak::default());
        let acme = tenant("p");
        let get = || tokens.find_or_fetch(&acme, MAX_TIME, keycloak.issue(300));
        let first = futures_util::future::join_all((0..50).map(|_| get())).await;
        assert!(first.iter().all(|token| token.as_deref() == Ok("t1")));
        tokio::time::advance(Duration::from_secs(58)).await;
        assert_eq!(get().await.as_deref(), Ok("t1"));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(get().await.as_deref(), Ok("t2"));
        // Other access data is asked for at once, and a token without a lifetime is not shared.
        let changed = tenant("q");
        let other = tokens.find_or_fetch(&changed, MAX_TIME, keycloak.issue(0)).await;
        assert_eq!(other.as_deref(), Ok("t3"));
        let again = tokens.find_or_fetch(&changed, MAX_TIME, keycloak.issue(0)).await;
        assert_eq!(again.as_deref(), Ok("t4"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_keycloak_that_fails_has_a_pause() {
        let (tokens, keycloak) = (KeycloakTokens::default(), Keycloak::default());
        let acme = tenant("p");
        for _ in 0..3 {
            let refused = tokens.find_or_fetch(&acme, MAX_TIME, keycloak.refuse()).await;
            assert_eq!(refused.unwrap_err(), "refused");
        }
        assert_eq!(keycloak.0.load(Ordering::SeqCst), 1);
        tokio::time::advance(PAUSE_AFTER_FAILURE).await;
        let silent = tokens.find_or_fetch(&acme, MAX_TIME, std::future::pending()).await;
        assert_eq!(silent.unwrap_err(), "no response in time");
        tokio::time::advance(PAUSE_AFTER_FAILURE).await;
        let issued = tokens.find_or_fetch(&acme, MAX_TIME, keycloak.issue(60)).await;
        assert_eq!(issued.as_deref(), Ok("t2"));
    }
}
