//! Notifications: what begins and ends is told once, signed to a webhook and by e-mail, also after a restart and with two processes.

use bbb_sim::{Fault, FaultMode};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use testkit::deployment::TestDeployment;
use testkit::process;
use testkit::product::Setup;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::callbacks::{ReceivedCallback, start_front_end};
use crate::tools::start_deployment_with;

const SECRET: &str = "notification-secret";
const ALLOW: (&str, &str) = ("NOTIFY_ALLOW", "127.0.0.0/8");

/// Starts a mail server that takes every e-mail.
async fn start_mail_server() -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = take_mail(stream, &sender).await;
        }
    });
    (url, receiver)
}

/// Speaks SMTP with one client, and hands over the e-mail with its envelope.
async fn take_mail(
    stream: TcpStream,
    sender: &mpsc::UnboundedSender<String>,
) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"220 mail.test\r\n").await?;
    let (mut mail, mut is_data) = (String::new(), false);
    while let Some(line) = lines.next_line().await? {
        let answer = match line.as_str() {
            "." if is_data => {
                is_data = false;
                let _ = sender.send(std::mem::take(&mut mail));
                "250 taken\r\n"
            }
            _ if is_data => "",
            "DATA" => {
                is_data = true;
                "354 go on\r\n"
            }
            "QUIT" => "221 bye\r\n",
            _ => "250 fine\r\n",
        };
        mail.push_str(&format!("{line}\n"));
        writer.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// HMAC-SHA256, by its definition.
fn sign(secret: &str, body: &str) -> String {
    let pad = |filler: u8| {
        let key = secret.bytes().chain(std::iter::repeat(0)).take(64);
        key.map(|byte| byte ^ filler).collect::<Vec<u8>>()
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(body).finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    hex::encode(outer)
}

/// The next notification of the webhook; checks its signature.
async fn receive(webhook: &mut mpsc::UnboundedReceiver<ReceivedCallback>) -> Value {
    let ReceivedCallback { head, body } = webhook.recv().await.unwrap();
    let signature = format!("x-scalelite-signature: sha256={}", sign(SECRET, &body));
    assert!(head.to_ascii_lowercase().contains(&signature), "{head}");
    assert!(head.starts_with("POST /callback?a=b "), "{head}");
    serde_json::from_str(&body).unwrap()
}

fn field<'a>(notification: &'a Value, name: &str) -> &'a str {
    notification[name].as_str().unwrap_or_default()
}

/// Kind and state.
fn news(notification: &Value) -> (String, String) {
    (field(notification, "kind").to_owned(), field(notification, "state").to_owned())
}

async fn fail_server(deployment: &TestDeployment, number: usize) {
    let server = deployment.pool.server(number);
    server.set_fault(Fault::for_calls(FaultMode::Error500, &["getMeetings"]));
    deployment.product.poll_servers().await.unwrap();
}

#[tokio::test]
async fn a_problem_is_told_once_by_webhook_and_mail() {
    // The first one is for the test command; the next one fails and is sent again.
    let (webhook_url, mut webhook) = start_front_end(&[200, 503, 200]).await;
    let (mail_url, mut mails) = start_mail_server().await;
    let settings = [
        ALLOW,
        ("SERVER_UNHEALTHY_THRESHOLD", "1"),
        ("SERVER_HEALTHY_THRESHOLD", "1"),
        ("NOTIFY_WEBHOOK_URL", &webhook_url),
        ("NOTIFY_WEBHOOK_SECRET", SECRET),
        ("NOTIFY_SMTP_URL", &mail_url),
        ("NOTIFY_EMAIL_TO", "Admins <admins@example.org>, boss@example.org"),
        ("NOTIFY_EMAIL_FROM", "lb@example.org"),
    ];
    let mut deployment = start_deployment_with(2, &settings).await;
    let tried = process::run(deployment.product.setup(), &["notify", "test"]).await.unwrap();
    assert_eq!((tried.exit_code, tried.stderr.as_str()), (0, ""));
    let lines: Vec<_> = tried.stdout.lines().collect();
    assert!(lines[0].starts_with("webhook to 127.0.0.1: accepted: HTTP status 200"), "{lines:?}");
    assert!(lines[1].starts_with("e-mail to ") && lines[1].contains(": accepted: "), "{lines:?}");
    assert_eq!(news(&receive(&mut webhook).await), ("test".to_owned(), "test".to_owned()));
    assert!(mails.recv().await.unwrap().contains("[scalelite test] "));

    fail_server(&deployment, 1).await;
    let failed = receive(&mut webhook).await;
    let begun = receive(&mut webhook).await;
    assert_eq!(failed, begun, "sent again");
    assert_eq!(news(&begun), ("server-offline".to_owned(), "begun".to_owned()));
    assert_eq!(field(&begun, "severity"), "warning");
    assert_eq!(field(&begun, "what"), "127.0.0.1 is offline.");
    for name in ["reason", "remedy", "since", "balancer", "sent_at", "id"] {
        assert_ne!(field(&begun, name), "", "{name}: {begun}");
    }
    let mail = mails.recv().await.unwrap();
    for part in [
        "RCPT TO:<admins@example.org>",
        "RCPT TO:<boss@example.org>",
        "Subject: [scalelite warning] 127.0.0.1 is offline.",
        "What to do: ",
    ] {
        assert!(mail.contains(part), "{part}: {mail}");
    }

    // Nothing is told twice: after a restart and by two processes, the next thing that is told is the next thing that happens.
    deployment.product.restart().await.unwrap();
    let _other = deployment.product.setup().start().await.unwrap();
    fail_server(&deployment, 2).await;
    let mut both = [news(&receive(&mut webhook).await), news(&receive(&mut webhook).await)];
    both.sort();
    let expected =
        ["no-server", "server-offline"].map(|kind| (kind.to_owned(), "begun".to_owned()));
    assert_eq!(both, expected);
    deployment.pool.server(2).clear_fault();
    deployment.product.poll_servers().await.unwrap();
    let mut both = [news(&receive(&mut webhook).await), news(&receive(&mut webhook).await)];
    both.sort();
    assert_eq!(both, expected.map(|(kind, _)| (kind, "over".to_owned())));
}

#[tokio::test]
async fn a_channel_that_cannot_be_used_is_named_without_its_secrets() {
    let binary = env!("CARGO_BIN_EXE_scalelite");
    let run = async |settings: &[(&str, &str)]| {
        let mut setup = Setup::new(binary).unwrap();
        for (name, value) in settings {
            setup = setup.with_setting(name, value);
        }
        let output = process::run(&setup, &["notify", "test"]).await.unwrap();
        assert!(!output.stderr.contains("hidden"), "{output:?}");
        (output.exit_code, output.stderr)
    };
    let (webhook_url, _webhook) = start_front_end(&[500]).await;
    let (code, error) = run(&[]).await;
    assert!(code == 1 && error.contains("no channel is set"), "{error}");
    let url = ("NOTIFY_WEBHOOK_URL", webhook_url.as_str());
    let (code, error) = run(&[url]).await;
    assert!(code == 1 && error.contains("not public, and not in NOTIFY_ALLOW"), "{error}");
    let (code, error) = run(&[url, ALLOW]).await;
    assert!(code == 1 && error.contains("not accepted: HTTP status 500"), "{error}");
    let smtp = ("NOTIFY_SMTP_URL", "smtp://user:hidden@127.0.0.1:1");
    let (code, error) = run(&[smtp]).await;
    assert!(code == 1 && error.contains("NOTIFY_EMAIL_TO: it must be set"), "{error}");
    let to = ("NOTIFY_EMAIL_TO", "a@example.org");
    let (code, error) = run(&[smtp, to, ("NOTIFY_EMAIL_FROM", "nobody")]).await;
    assert!(code == 1 && error.contains("NOTIFY_EMAIL_FROM: "), "{error}");
    let (code, error) = run(&[smtp, to, ("NOTIFY_EMAIL_FROM", "b@example.org")]).await;
    assert!(code == 1 && error.contains("e-mail to a@example.org by 127.0.0.1: "), "{error}");
    let (code, error) = run(&[("NOTIFY_WEBHOOK_URL", "mail.example/hidden")]).await;
    assert!(code == 1 && error.contains("NOTIFY_WEBHOOK_URL: it must be"), "{error}");
}
