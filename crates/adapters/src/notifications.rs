//! Sends notifications: as a signed POST to a webhook, and by e-mail.

use std::time::Duration;

use app::ports::{
    CallbackClient as _, CallbackContent, CallbackRequest, Notification, NotificationSender,
    NotificationState,
};
use async_trait::async_trait;
use aws_lc_rs::hmac;
use domain::Timestamp;
use domain::address_guard::AllowedHosts;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Mailboxes};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use serde_json::json;
use tokio::time::timeout;

use crate::callback_client::HttpCallbackClient;

/// The header with the signature of the body.
const SIGNATURE_HEADER: &str = "X-Scalelite-Signature";
/// Time limit of an e-mail, from the look-up of the name to the answer of the server.
const MAIL_TIMEOUT: Duration = Duration::from_secs(30);

fn show_time(time: Timestamp) -> String {
    jiff::Timestamp::from_second(time.0.div_euclid(1000))
        .map(|time| time.to_string())
        .unwrap_or_default()
}

/// Posts notifications as JSON.
pub struct Webhook {
    client: HttpCallbackClient,
    url: String,
    secret: Option<String>,
}

impl Webhook {
    /// A webhook; with a secret its requests are signed. Addresses that are not public must be among the allowed hosts.
    #[must_use]
    pub fn new(url: String, secret: Option<String>, allowed_hosts: AllowedHosts) -> Self {
        let client = HttpCallbackClient::with_setting(allowed_hosts, "NOTIFY_ALLOW");
        Self { client, url, secret: secret.filter(|secret| !secret.is_empty()) }
    }
}

/// The signature of a body: HMAC-SHA256 in hexadecimal digits.
fn sign(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let digits = hmac::sign(&key, body)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    format!("sha256={digits}")
}

fn to_json(notification: &Notification) -> Vec<u8> {
    let severity = if notification.is_critical { "critical" } else { "warning" };
    let document = json!({
        "id": notification.id,
        "sent_at": show_time(notification.at),
        "state": notification.state.name(),
        "severity": severity,
        "kind": notification.kind,
        "subject": notification.subject,
        // The field that Slack, Mattermost and others show.
        "text": to_text(notification),
        "what": notification.what,
        "reason": notification.reason,
        "remedy": notification.remedy,
        "since": show_time(notification.since),
        "changes": notification.changes,
        "balancer": notification.balancer,
        "console": notification.console,
    });
    document.to_string().into_bytes()
}

/// The notification for people, a line for each part that there is.
fn to_text(notification: &Notification) -> String {
    let since = show_time(notification.since);
    let mut lines = vec![notification.what.clone()];
    let mut add = |name: &str, text: &str| {
        if !text.is_empty() {
            lines.push(format!("{name}: {text}"));
        }
    };
    add("Reason", &notification.reason);
    add("What to do", &notification.remedy);
    add("Since", &since);
    if notification.changes > 1 {
        let changes = notification.changes;
        add("Changes", &format!("it has begun or ended {changes} times since the last message"));
    }
    add("Told by", &notification.balancer);
    add("Console", notification.console.as_deref().unwrap_or_default());
    lines.join("\n")
}

#[async_trait]
impl NotificationSender for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn destination(&self) -> String {
        // Paths and queries of webhooks often contain what lets one post there.
        domain::server::hostname(&self.url).unwrap_or("an invalid URL").to_owned()
    }

    async fn send(&self, notification: &Notification) -> Result<String, String> {
        let body = to_json(notification);
        let signature = self.secret.as_deref().map(|secret| sign(secret, &body));
        let request = CallbackRequest {
            url: self.url.clone(),
            bearer_token: None,
            headers: signature.map(|signature| (SIGNATURE_HEADER, signature)).into_iter().collect(),
            content: Some(CallbackContent { content_type: "application/json", body: body.into() }),
        };
        match self.client.send_callback(request).await {
            Ok(status @ 200..=299) => Ok(format!("HTTP status {status}")),
            Ok(status) => Err(format!("HTTP status {status}")),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Sends notifications by e-mail.
pub struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    server: String,
    from: Mailbox,
    to: Mailboxes,
}

/// The settings of e-mail, as texts.
pub struct MailSettings<'a> {
    /// `smtp://` or `smtps://`, with name and password, if the server wants them.
    pub url: &'a str,
    /// The sender.
    pub from: &'a str,
    /// The recipients, separated by commas.
    pub to: &'a str,
}

impl Mail {
    /// A sender of e-mails.
    ///
    /// # Errors
    /// Which setting cannot be used.
    pub fn new(settings: &MailSettings<'_>) -> Result<Self, String> {
        // What the library says of a URL may contain its password.
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(settings.url).map_err(|_| {
            "NOTIFY_SMTP_URL: it must be smtps://NAME:PASSWORD@HOST, smtp://HOST?tls=required or smtp://HOST".to_owned()
        })?;
        let transport = builder.timeout(Some(MAIL_TIMEOUT)).build();
        let from =
            settings.from.parse::<Mailbox>().map_err(|_| address_error("NOTIFY_EMAIL_FROM"))?;
        let to = settings.to.parse::<Mailboxes>().map_err(|_| address_error("NOTIFY_EMAIL_TO"))?;
        if to.iter().next().is_none() {
            return Err(address_error("NOTIFY_EMAIL_TO"));
        }
        let url = url::Url::parse(settings.url).ok();
        let server = url.as_ref().and_then(url::Url::host_str).unwrap_or("the server").to_owned();
        Ok(Self { transport, server, from, to })
    }

    fn write(&self, notification: &Notification) -> Result<Message, String> {
        let state = match notification.state {
            NotificationState::Begun if notification.is_critical => "critical",
            NotificationState::Begun => "warning",
            NotificationState::Over => "over",
            NotificationState::Test => "test",
        };
        let subject = format!("[scalelite {state}] {}", notification.what);
        let mut message = Message::builder()
            .from(self.from.clone())
            .subject(subject)
            .message_id(Some(format!("<{}@scalelite.invalid>", notification.id)))
            .header(ContentType::TEXT_PLAIN);
        for recipient in self.to.iter() {
            message = message.to(recipient.clone());
        }
        message.body(format!("{}\n", to_text(notification))).map_err(|error| error.to_string())
    }
}

fn address_error(setting: &str) -> String {
    format!("{setting}: it must be an address like admin@example.org")
}

#[async_trait]
impl NotificationSender for Mail {
    fn name(&self) -> &'static str {
        "e-mail"
    }

    fn destination(&self) -> String {
        format!("{} by {}", self.to, self.server)
    }

    async fn send(&self, notification: &Notification) -> Result<String, String> {
        let message = self.write(notification)?;
        match timeout(MAIL_TIMEOUT, self.transport.send(message)).await {
            Ok(Ok(response)) => Ok(response.message().collect::<Vec<_>>().join(" ")),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", MAIL_TIMEOUT.as_secs())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_signed_as_others_do() {
        // Test case 2 of RFC 4231.
        let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(sign("Jefe", b"what do ya want for nothing?"), expected);
    }

    #[test]
    fn settings_of_mail_that_cannot_be_used_are_named_without_secrets() {
        let try_settings = |url, from, to| Mail::new(&MailSettings { url, from, to }).err();
        let (from, to) = ("lb@example.org", "Admins <a@example.org>, b@example.org");
        assert_eq!(try_settings("smtp://mail.example:25", from, to), None);
        assert_eq!(try_settings("smtps://user:pass@mail.example", from, to), None);
        let error = try_settings("http://user:hidden@mail.example", from, to).unwrap();
        assert!(error.starts_with("NOTIFY_SMTP_URL: ") && !error.contains("hidden"), "{error}");
        let error = try_settings("smtp://mail.example", from, "nobody").unwrap();
        assert!(error.starts_with("NOTIFY_EMAIL_TO: "), "{error}");
        let error = try_settings("smtp://mail.example", "", to).unwrap();
        assert!(error.starts_with("NOTIFY_EMAIL_FROM: "), "{error}");
    }
}
