//! Orders certificates by ACME (RFC 8555). `instant-acme` speaks the protocol; requests are sent by a client of our own, with limits, that
//! checks the authority's certificate against the machine's authorities.

use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use app::ports::{
    AnswerPublisher, AuthorityError, CertificateAuthority, CertificateOrder, ChallengeAnswer,
    ChallengeKind, IssuedCertificate,
};
use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, BodyWrapper, BytesResponse, ChallengeType,
    Error, ExternalAccountKey, HttpClient, Identifier, NewAccount, NewOrder, Order, OrderStatus,
    RetryPolicy,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

/// Longest time of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time of a whole order.
const ORDER_TIMEOUT: Duration = Duration::from_secs(240);
/// Longest time in which the authority checks the hosts, or makes the certificate.
const CHECK_TIMEOUT: Duration = Duration::from_secs(90);
/// Longest response, in bytes.
const MAX_RESPONSE_BYTES: usize = 1 << 20;
/// Largest number of hosts of a certificate; authorities allow a hundred.
const MAX_HOSTS: usize = 100;

/// Where and as whom certificates are ordered.
#[derive(Clone)]
pub struct AcmeOptions {
    /// URL of the authority's directory.
    pub directory: String,
    /// Addresses for mail of the authority.
    pub contacts: Vec<String>,
    /// Identifier and key (base64url) of an account that the authority has elsewhere.
    pub external_account: Option<(String, String)>,
}

/// Orders certificates from one authority.
pub struct AcmeAuthority {
    options: AcmeOptions,
    client: AcmeClient,
}

impl AcmeAuthority {
    /// An authority whose own certificate is checked against the authorities of the machine and those in a file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn new(options: AcmeOptions, authorities_file: Option<&Path>) -> Result<Self, String> {
        let config = match authorities_file {
            None => ClientConfig::builder()
                .with_native_roots()
                .unwrap_or_else(|_| ClientConfig::builder().with_webpki_roots()),
            Some(path) => ClientConfig::builder().with_root_certificates(read_roots(path)?),
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(REQUEST_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config.with_no_client_auth())
            .https_only()
            .enable_http1()
            .wrap_connector(connector);
        let mut builder = Client::builder(TokioExecutor::new());
        // An authority is asked seldom: no connection waits for the next time.
        builder.pool_max_idle_per_host(1).pool_idle_timeout(Duration::from_secs(15));
        Ok(Self { options, client: AcmeClient(builder.build(connector)) })
    }

    async fn open_account(
        &self,
        saved: Option<String>,
    ) -> Result<(Account, String), AuthorityError> {
        let builder = Account::builder_with_http(Box::new(self.client.clone()));
        if let Some(saved) = saved {
            let credentials: AccountCredentials = serde_json::from_str(&saved)
                .map_err(|_| failed("the stored account cannot be read"))?;
            let account = builder.from_credentials(credentials).await.map_err(describe)?;
            return Ok((account, saved));
        }
        let contacts: Vec<String> =
            self.options.contacts.iter().map(|contact| to_contact_url(contact)).collect();
        let contacts: Vec<&str> = contacts.iter().map(String::as_str).collect();
        let new = NewAccount {
            contact: &contacts,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let external = self.external_account()?;
        let directory = self.options.directory.clone();
        let (account, credentials) =
            builder.create(&new, directory, external.as_ref()).await.map_err(describe)?;
        let saved = serde_json::to_string(&credentials)
            .map_err(|_| failed("the account cannot be stored"))?;
        Ok((account, saved))
    }

    fn external_account(&self) -> Result<Option<ExternalAccountKey>, AuthorityError> {
        let Some((id, key)) = &self.options.external_account else { return Ok(None) };
        let key = BASE64_URL_SAFE_NO_PAD.decode(key.trim().trim_end_matches('='));
        let key = key.map_err(|_| failed("ACME_EAB_KEY is not in base64url"))?;
        Ok(Some(ExternalAccountKey::new(id.clone(), &key)))
    }

    async fn order_now(
        &self,
        order: CertificateOrder,
        publisher: &dyn AnswerPublisher,
    ) -> Result<IssuedCertificate, AuthorityError> {
        let hosts: Vec<Identifier> =
            order.hosts.iter().take(MAX_HOSTS).map(|host| to_identifier(host)).collect();
        let (account, saved) = self.open_account(order.account).await?;
        let mut running = account.new_order(&NewOrder::new(&hosts)).await.map_err(describe)?;
        answer_challenges(&mut running, order.challenge, publisher).await?;
        let policy = RetryPolicy::new().timeout(CHECK_TIMEOUT);
        match running.poll_ready(&policy).await {
            Ok(OrderStatus::Ready) => {}
            Ok(_) => return Err(describe_refusal(&mut running).await),
            Err(Error::Api(_)) => return Err(describe_refusal(&mut running).await),
            Err(error) => return Err(describe(error)),
        }
        let key = running.finalize().await.map_err(describe)?;
        let chain = running.poll_certificate(&policy).await.map_err(describe)?;
        Ok(IssuedCertificate { chain, key, account: saved })
    }
}

#[async_trait]
impl CertificateAuthority for AcmeAuthority {
    async fn order(
        &self,
        order: CertificateOrder,
        publisher: &dyn AnswerPublisher,
    ) -> Result<IssuedCertificate, AuthorityError> {
        let ordering = timeout(ORDER_TIMEOUT, self.order_now(order, publisher)).await;
        ordering.unwrap_or_else(|_| Err(failed("the authority took too long")))
    }
}

/// Publishes the answers to all challenges, then says that they may be asked for.
async fn answer_challenges(
    order: &mut Order,
    kind: ChallengeKind,
    publisher: &dyn AnswerPublisher,
) -> Result<(), AuthorityError> {
    let kind = match kind {
        ChallengeKind::Http => ChallengeType::Http01,
        ChallengeKind::TlsAlpn => ChallengeType::TlsAlpn01,
    };
    let mut answers = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(describe)?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            _ => return Err(failed("the authority refuses a host")),
        }
        let challenge = authorization.challenge(kind.clone());
        let mut challenge =
            challenge.ok_or_else(|| failed("the authority does not offer the challenge"))?;
        answers.push(ChallengeAnswer {
            host: challenge.identifier().to_string(),
            token: challenge.token.clone(),
            key_authorization: challenge.key_authorization().as_str().to_owned(),
        });
        publisher.publish(&answers).await.map_err(AuthorityError::Failed)?;
        challenge.set_ready().await.map_err(describe)?;
    }
    Ok(())
}

/// Says why the authority refused an order: what it wrote to the challenges.
async fn describe_refusal(order: &mut Order) -> AuthorityError {
    let mut reasons = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let _ = authorization.refresh().await;
        let host = authorization.identifier().to_string();
        let errors =
            authorization.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        reasons.extend(
            errors.map(|error| format!("{host}: {}", error.detail.as_deref().unwrap_or("refused"))),
        );
    }
    match reasons.is_empty() {
        true => failed("the authority refused the order"),
        false => failed(&format!("the authority could not check {}", reasons.join("; "))),
    }
}

fn failed(reason: &str) -> AuthorityError {
    AuthorityError::Failed(reason.to_owned())
}

fn describe(error: Error) -> AuthorityError {
    const UNKNOWN_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";
    match error {
        Error::Api(problem) if problem.r#type.as_deref() == Some(UNKNOWN_ACCOUNT) => {
            AuthorityError::UnknownAccount
        }
        Error::Other(error) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(inner) = cause {
                text = format!("{text}: {inner}");
                cause = inner.source();
            }
            AuthorityError::Failed(text)
        }
        error => AuthorityError::Failed(error.to_string()),
    }
}

fn to_identifier(host: &str) -> Identifier {
    match host.trim_matches(['[', ']']).parse() {
        Ok(address) => Identifier::Ip(address),
        Err(_) => Identifier::Dns(host.to_ascii_lowercase()),
    }
}

fn to_contact_url(contact: &str) -> String {
    if contact.contains(':') { contact.to_owned() } else { format!("mailto:{contact}") }
}

pub(crate) fn read_roots(path: &Path) -> Result<RootCertStore, String> {
    let describe = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| describe(&error))? {
        let certificate = certificate.map_err(|error| describe(&error))?;
        roots.add(certificate).map_err(|error| describe(&error))?;
    }
    for certificate in rustls_native_certs::load_native_certs().certs {
        let _ = roots.add(certificate);
    }
    Ok(roots)
}

/// Sends the requests of the protocol.
#[derive(Clone)]
struct AcmeClient(Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>);

impl HttpClient for AcmeClient {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let sending = self.0.request(request);
        Box::pin(async move {
            let exchange = async {
                let response = sending.await.map_err(|error| Error::Other(Box::new(error)))?;
                let (parts, body) = response.into_parts();
                let body = Limited::new(body, MAX_RESPONSE_BYTES).collect().await;
                let body = body.map_err(Error::Other)?.to_bytes();
                Ok(BytesResponse::from(Response::from_parts(
                    parts,
                    http_body_util::Full::new(body),
                )))
            };
            let exchange = timeout(REQUEST_TIMEOUT, exchange).await;
            exchange.unwrap_or_else(|_| Err(Error::Other("the authority does not answer".into())))
        })
    }
}
