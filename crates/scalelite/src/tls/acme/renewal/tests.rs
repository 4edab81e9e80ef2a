//! Tests of the renewal, with an authority that makes certificates for as long as it is told.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use app::memory::{ManualClock, MemoryPoolStore, PlainSealer};
use app::ports::CertificateState as _;
use rcgen::{CertificateParams, KeyPair};

use super::*;

/// 2026-01-01.
const START: Timestamp = Timestamp(1_767_225_600_000);
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Makes certificates of 30 days, or fails.
#[derive(Default)]
struct TestAuthority {
    is_away: AtomicBool,
    orders: AtomicUsize,
    seen: Mutex<Vec<(ChallengeKind, Option<String>)>>,
    clock: Option<Arc<ManualClock>>,
}

#[async_trait]
impl CertificateAuthority for TestAuthority {
    async fn order(
        &self,
        order: CertificateOrder,
        publisher: &dyn AnswerPublisher,
    ) -> Result<IssuedCertificate, AuthorityError> {
        let number = self.orders.fetch_add(1, Ordering::SeqCst);
        self.seen.lock().unwrap().push((order.challenge, order.account.clone()));
        let (host, token) = (order.hosts[0].clone(), "t".to_owned());
        let answer = ChallengeAnswer { host, token, key_authorization: "t.k".to_owned() };
        publisher.publish(&[answer]).await.map_err(AuthorityError::Failed)?;
        if self.is_away.load(Ordering::SeqCst) {
            return Err(AuthorityError::Failed("away\nfor long".to_owned()));
        }
        let now =
            self.clock.as_ref().map(|clock| app::ports::Clock::now(clock.as_ref()).0).unwrap();
        let seconds =
            |ms: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_millis(ms.unsigned_abs());
        let mut params = CertificateParams::new(order.hosts).unwrap();
        (params.not_before, params.not_after) = (seconds(now), seconds(now + 30 * DAY_MS));
        let key = KeyPair::generate().unwrap();
        let chain = params.self_signed(&key).unwrap().pem();
        Ok(IssuedCertificate {
            chain,
            key: key.serialize_pem(),
            account: format!("account {number}"),
        })
    }
}

struct Replicas {
    store: Arc<MemoryPoolStore>,
    clock: Arc<ManualClock>,
    authority: Arc<TestAuthority>,
}

impl Replicas {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::starting_at(START));
        let authority = TestAuthority { clock: Some(clock.clone()), ..TestAuthority::default() };
        Self { store: Arc::default(), clock, authority: Arc::new(authority) }
    }

    fn start(&self, owner: &str, hosts: &[&str]) -> Renewal {
        let state = SharedState {
            store: self.store.clone(),
            sealer: Arc::new(PlainSealer),
            clock: self.clock.clone(),
        };
        let rules = RenewalRules {
            directory: "https://ca.test/dir".to_owned(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            challenges: vec![ChallengeKind::TlsAlpn, ChallengeKind::Http],
            owner: owner.to_owned(),
        };
        let answers = ChallengeAnswers::new(state.clone());
        Renewal::new(rules, state, self.authority.clone(), answers, Arc::default())
    }

    fn orders(&self) -> usize {
        self.authority.orders.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_certificate_is_renewed_when_two_thirds_of_its_life_are_over() {
    let replicas = Replicas::new();
    let (mut first, mut second) =
        (replicas.start("1", &["lb.test"]), replicas.start("2", &["lb.test"]));
    first.look().await.unwrap();
    second.look().await.unwrap();
    assert_eq!(replicas.orders(), 1);
    let certificate = first.holder.facts().unwrap();
    assert_eq!(second.holder.facts().as_ref(), Some(&certificate));
    replicas.clock.advance_ms(20 * DAY_MS - 1000);
    second.look().await.unwrap();
    assert_eq!(replicas.orders(), 1);
    replicas.clock.advance_ms(1000);
    second.look().await.unwrap();
    first.look().await.unwrap();
    assert_eq!(replicas.orders(), 2);
    assert_eq!(first.holder.facts(), second.holder.facts());
    assert_ne!(first.holder.facts(), Some(certificate));
    // The account is used again. A restart finds everything in the store.
    assert_eq!(replicas.authority.seen.lock().unwrap()[1].1.as_deref(), Some("account 0"));
    let mut restarted = replicas.start("3", &["lb.test"]);
    restarted.look().await.unwrap();
    assert_eq!((replicas.orders(), restarted.holder.facts()), (2, first.holder.facts()));
    // Another host needs another certificate.
    replicas.start("4", &["lb.test", "play.test"]).look().await.unwrap();
    assert_eq!(replicas.orders(), 3);
}

#[tokio::test]
async fn failures_are_repeated_seldom_and_change_nothing_in_use() {
    let replicas = Replicas::new();
    let mut renewal = replicas.start("1", &["lb.test"]);
    renewal.look().await.unwrap();
    let in_use = renewal.holder.facts();
    replicas.authority.is_away.store(true, Ordering::SeqCst);
    replicas.clock.advance_ms(20 * DAY_MS);
    let mut per_hour = Vec::new();
    for _ in 0..24 {
        let before = replicas.orders();
        for _ in 0..360 {
            renewal.look().await.unwrap();
            replicas.clock.advance_ms(HOUR_MS / 360);
        }
        per_hour.push(replicas.orders() - before);
    }
    assert_eq!(per_hour[0], 5, "{per_hour:?}");
    assert_eq!(per_hour[1..].iter().sum::<usize>(), 4, "{per_hour:?}");
    assert_eq!(renewal.holder.facts(), in_use);
    assert_eq!(renewal.holder.status().problem.as_deref(), Some("away for long"));
    let kinds: Vec<ChallengeKind> =
        replicas.authority.seen.lock().unwrap().iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds[1..4], [ChallengeKind::TlsAlpn, ChallengeKind::Http, ChallengeKind::TlsAlpn]);
    replicas.authority.is_away.store(false, Ordering::SeqCst);
    replicas.clock.advance_ms(6 * HOUR_MS);
    renewal.look().await.unwrap();
    assert_ne!(renewal.holder.facts(), in_use);
    assert_eq!(renewal.holder.status().problem, None);
}

#[tokio::test]
async fn an_order_of_a_process_that_died_is_not_awaited_for_ever() {
    let replicas = Replicas::new();
    let mut renewal = replicas.start("1", &["lb.test"]);
    let claim = |state: &mut AcmeState, now: Timestamp| {
        let (owner, until_ms) = ("dead".to_owned(), now.0 + ORDER_MS);
        state.order = Some(RunningOrder { owner, until_ms, answers: Vec::new() });
        true
    };
    renewal.state.change(claim).await.unwrap();
    renewal.look().await.unwrap();
    assert_eq!(replicas.orders(), 0);
    replicas.clock.advance_ms(ORDER_MS + 1);
    renewal.look().await.unwrap();
    assert_eq!(replicas.orders(), 1);
    // A process that is alone on its store does not wait at all.
    renewal
        .state
        .change(|state, now| {
            state.certificate = None;
            claim(state, now)
        })
        .await
        .unwrap();
    renewal.forget_order().await.unwrap();
    renewal.look().await.unwrap();
    assert_eq!(replicas.orders(), 2);
}

#[tokio::test]
async fn what_another_secret_has_sealed_is_left_alone_for_two_days() {
    let replicas = Replicas::new();
    let mut renewal = replicas.start("1", &["lb.test"]);
    let foreign = format!("{{\"written_ms\":{},\"sealed\":\"?\"}}", START.0);
    assert_eq!(replicas.store.replace_certificate_state(None, &foreign).await, Ok(true));
    assert!(matches!(renewal.look().await, Err(SharedStateError::Foreign)));
    replicas.clock.advance_ms(2 * DAY_MS);
    renewal.look().await.unwrap();
    assert_eq!(replicas.orders(), 1);
}

#[tokio::test]
async fn answers_are_known_to_all_replicas_while_an_order_is_under_way() {
    let replicas = Replicas::new();
    let (renewal, other) = (replicas.start("1", &["lb.test"]), replicas.start("2", &["lb.test"]));
    assert_eq!(other.answers.text_for("t").await, None);
    let claim = |state: &mut AcmeState, now| renewal.claim(state, now, "1");
    renewal.state.change(claim).await.unwrap();
    let answer = ChallengeAnswer {
        host: "lb.test".to_owned(),
        token: "t".to_owned(),
        key_authorization: "t.k".to_owned(),
    };
    Publisher { renewal: &renewal }.publish(&[answer]).await.unwrap();
    assert_eq!(renewal.answers.text_for("t").await.as_deref(), Some("t.k"));
    // The store is asked once a second at most, since anybody may ask.
    assert_eq!(other.answers.text_for("t").await, None);
    let fresh = replicas.start("3", &["lb.test"]);
    assert_eq!(fresh.answers.text_for("t").await.as_deref(), Some("t.k"));
    assert!(fresh.answers.certificate_for("LB.test").await.is_some());
    assert!(fresh.answers.certificate_for("other.test").await.is_none());
}
