//! Gets the certificate and renews it when two thirds of its life are over. Of several replicas one orders; all of them use what it got.

use std::sync::Arc;
use std::time::Duration;

use app::ports::{
    AnswerPublisher, AuthorityError, CertificateAuthority, CertificateOrder, ChallengeAnswer,
    ChallengeKind, IssuedCertificate,
};
use async_trait::async_trait;
use domain::Timestamp;

use super::answers::ChallengeAnswers;
use super::state::{
    AcmeState, RunningOrder, SavedAccount, SavedAnswer, SavedCertificate, SharedState,
    SharedStateError,
};
use crate::output::time::format_time;
use crate::tls::{Certificate, CertificateHolder};

/// How long an order may take before another process may order, in ms. An order itself ends before.
const ORDER_MS: i64 = 5 * 60 * 1000;
/// Longest time between two looks at what other replicas have got.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// Shortest time between two looks.
const MIN_PAUSE: Duration = Duration::from_secs(1);
/// Waits after orders that failed, in seconds; the last one for all further ones. Authorities allow five failures in an hour.
const RETRY_S: [i64; 6] = [10, 60, 300, 900, 3_600, 6 * 3_600];
/// Longest reason that is kept, in characters: an authority writes it.
const MAX_REASON_CHARS: usize = 500;

/// What is ordered, of whom.
#[derive(Clone)]
pub struct RenewalRules {
    pub directory: String,
    pub hosts: Vec<String>,
    /// Tried one after the other, when an order has failed.
    pub challenges: Vec<ChallengeKind>,
    /// A random name of this process.
    pub owner: String,
}

/// Keeps the certificate up to date.
pub struct Renewal {
    pub rules: RenewalRules,
    pub state: SharedState,
    pub authority: Arc<dyn CertificateAuthority>,
    pub answers: ChallengeAnswers,
    pub holder: Arc<CertificateHolder>,
    /// The certificate that was put into use last.
    used: Option<SavedCertificate>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    Order,
}

impl Renewal {
    /// Begins without a certificate.
    pub fn new(
        rules: RenewalRules,
        state: SharedState,
        authority: Arc<dyn CertificateAuthority>,
        answers: ChallengeAnswers,
        holder: Arc<CertificateHolder>,
    ) -> Self {
        Self { rules, state, authority, answers, holder, used: None }
    }

    /// Forgets an order that a process before this one has left, which nobody else can have begun.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget_order(&self) -> Result<(), SharedStateError> {
        self.state.change(|state, _| state.order.take().is_some()).await.map(drop)
    }

    /// Puts the stored certificate into use, and orders a new one if it is time. Returns when to look again.
    ///
    /// # Errors
    /// When the store fails. The certificate in use stays.
    pub async fn look(&mut self) -> Result<Duration, SharedStateError> {
        let mut state = self.state.read().await?;
        self.use_certificate(&state);
        let now = self.state.clock.now();
        if self.need(&state, now) == Need::Order {
            let owner = &self.rules.owner;
            let (claimed, is_ours) =
                self.state.change(|state, now| self.claim(state, now, owner)).await?;
            state = claimed;
            if is_ours {
                state = self.order(&state).await?;
                self.use_certificate(&state);
            }
        }
        self.holder.set_problem(state.problem.clone());
        Ok(self.pause(&state, self.state.clock.now()))
    }

    /// Returns what is to be done at this time.
    fn need(&self, state: &AcmeState, now: Timestamp) -> Need {
        // A time that is too far away was written by a clock that has been set back since.
        let is_running = |order: &RunningOrder| {
            (now.0..now.0.saturating_add(2 * ORDER_MS)).contains(&order.until_ms)
        };
        let is_running = state.order.as_ref().is_some_and(is_running);
        let is_due = self.due_ms(state, now) <= now.0;
        if is_due && !is_running { Need::Order } else { Need::Nothing }
    }

    /// Returns when a certificate is to be ordered, in ms since 1970.
    fn due_ms(&self, state: &AcmeState, now: Timestamp) -> i64 {
        let certificate = state.certificate.as_ref().and_then(read_saved);
        let is_for_hosts = |certificate: &Certificate| {
            self.rules.hosts.iter().all(|host| certificate.facts.covers(host))
        };
        let renewal_ms = match certificate.filter(is_for_hosts) {
            Some(certificate) => certificate.facts.renewal_time().0,
            None => i64::MIN,
        };
        let longest_wait_ms = RETRY_S.iter().max().copied().unwrap_or_default() * 1000;
        let is_plausible = state.next_order_ms <= now.0.saturating_add(longest_wait_ms);
        if is_plausible { renewal_ms.max(state.next_order_ms) } else { renewal_ms }
    }

    fn claim(&self, state: &mut AcmeState, now: Timestamp, owner: &str) -> bool {
        let is_needed = self.need(state, now) == Need::Order;
        if is_needed {
            let (owner, until_ms) = (owner.to_owned(), now.0.saturating_add(ORDER_MS));
            state.order = Some(RunningOrder { owner, until_ms, answers: Vec::new() });
        }
        is_needed
    }

    fn pause(&self, state: &AcmeState, now: Timestamp) -> Duration {
        let left_ms = self.due_ms(state, now).saturating_sub(now.0);
        let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or_default());
        left.clamp(MIN_PAUSE, MAX_PAUSE)
    }

    async fn order(&self, state: &AcmeState) -> Result<AcmeState, SharedStateError> {
        let account = state.account.as_ref();
        let account = account.filter(|account| account.directory == self.rules.directory);
        let number = usize::try_from(state.failures).unwrap_or_default();
        let kinds = &self.rules.challenges;
        let challenge = kinds.get(number % kinds.len().max(1)).copied();
        let order = CertificateOrder {
            hosts: self.rules.hosts.clone(),
            challenge: challenge.unwrap_or(ChallengeKind::TlsAlpn),
            account: account.map(|account| account.credentials.clone()),
        };
        tracing::info!(hosts = order.hosts.join(","), challenge = ?order.challenge, "certificate ordered");
        let publisher = Publisher { renewal: self };
        let has_account = order.account.is_some();
        let mut result = self.authority.order(order.clone(), &publisher).await;
        if has_account && matches!(result, Err(AuthorityError::UnknownAccount)) {
            // It has forgotten us, or is another one at the same address.
            let order = CertificateOrder { account: None, ..order };
            result = self.authority.order(order, &publisher).await;
        }
        self.answers.set(Vec::new());
        let result = result.and_then(|issued| self.check(issued));
        if let Err(reason) = &result {
            let reason = shorten(&reason.to_string());
            tracing::error!(reason, failures = state.failures + 1, "certificate not got");
        }
        let (state, _) =
            self.state.change(|state, now| self.end_order(state, now, &result)).await?;
        Ok(state)
    }

    /// Checks that what the authority made can be used: nothing else replaces the certificate in use.
    fn check(&self, issued: IssuedCertificate) -> Result<IssuedCertificate, AuthorityError> {
        let failed = |reason: String| {
            AuthorityError::Failed(format!(
                "the authority made a certificate that cannot be used: {reason}"
            ))
        };
        let certificate = Certificate::read(issued.chain.as_bytes(), issued.key.as_bytes());
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        let hosts = self.rules.hosts.iter();
        match hosts.filter(|host| !certificate.facts.covers(host)).min() {
            Some(host) => Err(failed(format!("it is not for {host}"))),
            None => Ok(issued),
        }
    }

    fn end_order(
        &self,
        state: &mut AcmeState,
        now: Timestamp,
        result: &Result<IssuedCertificate, AuthorityError>,
    ) -> bool {
        if state.order.as_ref().is_none_or(|order| order.owner != self.rules.owner)
            && result.is_err()
        {
            return false;
        }
        state.order = None;
        match result {
            Ok(issued) => {
                let (chain, key) = (issued.chain.clone(), issued.key.clone());
                state.certificate = Some(SavedCertificate { chain, key });
                let (directory, credentials) =
                    (self.rules.directory.clone(), issued.account.clone());
                state.account = Some(SavedAccount { directory, credentials });
                (state.failures, state.next_order_ms, state.problem) = (0, 0, None);
            }
            Err(error) => {
                if *error == AuthorityError::UnknownAccount {
                    state.account = None;
                }
                let index = usize::try_from(state.failures).unwrap_or(usize::MAX);
                let wait_s = RETRY_S.get(index.min(RETRY_S.len() - 1)).copied().unwrap_or_default();
                state.failures = state.failures.saturating_add(1);
                state.next_order_ms = now.0.saturating_add(wait_s * 1000);
                state.problem = Some(shorten(&error.to_string()));
            }
        }
        true
    }

    /// Puts a stored certificate into use, unless it is in use already.
    fn use_certificate(&mut self, state: &AcmeState) {
        let Some(saved) =
            state.certificate.as_ref().filter(|saved| self.used.as_ref() != Some(*saved))
        else {
            return;
        };
        if let Some(certificate) = read_saved(saved) {
            let names = certificate.facts.names.join(",");
            let not_after = format_time(certificate.facts.not_after);
            tracing::info!(names, not_after, "certificate exchanged");
            self.holder.set(certificate);
            self.used = Some(saved.clone());
        }
    }
}

fn read_saved(saved: &SavedCertificate) -> Option<Certificate> {
    Certificate::read(saved.chain.as_bytes(), saved.key.as_bytes()).ok()
}

fn shorten(reason: &str) -> String {
    let reason = reason.chars().map(|c| if c.is_control() { ' ' } else { c });
    reason.take(MAX_REASON_CHARS).collect()
}

/// Makes the answers of an order known to all replicas.
struct Publisher<'a> {
    renewal: &'a Renewal,
}

#[async_trait]
impl AnswerPublisher for Publisher<'_> {
    async fn publish(&self, answers: &[ChallengeAnswer]) -> Result<(), String> {
        let answers: Vec<SavedAnswer> = answers.iter().map(SavedAnswer::from).collect();
        self.renewal.answers.set(answers.clone());
        let owner = &self.renewal.rules.owner;
        let write = |state: &mut AcmeState, now: Timestamp| {
            let order = state.order.as_mut().filter(|order| order.owner == *owner);
            let is_ours = order.is_some();
            if let Some(order) = order {
                order.until_ms = now.0.saturating_add(ORDER_MS);
                order.answers = answers.clone();
            }
            is_ours
        };
        match self.renewal.state.change(write).await {
            Ok((_, true)) => Ok(()),
            Ok((_, false)) => Err("another replica orders meanwhile".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
