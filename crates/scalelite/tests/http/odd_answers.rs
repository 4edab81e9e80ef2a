//! Servers whose answers have odd content: a bad part costs only itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use testkit::product::{ClientResponse, Product, Setup};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::tools::{assert_failed, assert_success, create};

/// A server that answers each call with a text that was set, byte for byte.
struct RawServer {
    url: String,
    answers: Arc<Mutex<HashMap<String, String>>>,
}

impl RawServer {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/bigbluebutton/api", listener.local_addr().unwrap());
        let answers = Arc::<Mutex<HashMap<String, String>>>::default();
        let known = answers.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer_one(stream, known.clone()));
            }
        });
        let server = Self { url, answers };
        server.set("", "<version>2.0</version>");
        server.set_meetings("");
        server.set("create", &create_answer("m"));
        server
    }

    /// Sets what stands in the answer to a call after the return code.
    fn set(&self, call: &str, content: &str) {
        let text = format!("<response><returncode>SUCCESS</returncode>{content}</response>");
        self.answers.lock().unwrap().insert(call.to_owned(), text);
    }

    fn set_meetings(&self, meetings: &str) {
        self.set("getMeetings", &format!("<meetings>{meetings}</meetings>"));
    }
}

/// Answers the one request of a connection.
async fn answer_one(mut stream: TcpStream, answers: Arc<Mutex<HashMap<String, String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split([' ', '?']).nth(1).unwrap_or_default();
    let call = path.trim_start_matches("/bigbluebutton/api").trim_matches('/');
    let body = answers.lock().unwrap().get(call).cloned().unwrap_or_default();
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    let _ = stream.write_all(answer.as_bytes()).await;
}

fn create_answer(id: &str) -> String {
    format!(
        "<meetingID>{id}</meetingID><internalMeetingID>i-1</internalMeetingID>\
         <attendeePW>ap</attendeePW><moderatorPW>mp</moderatorPW>\
         <createTime>1700000000123</createTime><voiceBridge>70001</voiceBridge>\
         <hasBeenForciblyEnded>false</hasBeenForciblyEnded><messageKey/><message/>"
    )
}

/// What a server tells of a meeting. Its time of creation is long past, so that only its users
/// count.
fn meeting(id: &str, users: &str, custom_data: &str) -> String {
    format!(
        "<meetingName>N</meetingName><meetingID>{id}</meetingID>\
         <createTime>1700000000123</createTime><voiceBridge>70001</voiceBridge>\
         <running>true</running><participantCount>{users}</participantCount>\
         <videoCount>0</videoCount><attendees><attendee><userID>u</userID>\
         <customdata><fine>1</fine>{custom_data}</customdata></attendee></attendees>\
         <metadata/><isBreakout>false</isBreakout>"
    )
}

fn listed(id: &str, users: &str, custom_data: &str) -> String {
    format!("<meeting>{}</meeting>", meeting(id, users, custom_data))
}

/// A balancer in front of one such server, on which it has created the meeting `m`.
async fn start() -> (RawServer, Product) {
    let server = RawServer::start().await;
    let setup = Setup::new(env!("CARGO_BIN_EXE_scalelite")).unwrap();
    let product = setup.with_setting("MEETING_GRACE", "0").start().await.unwrap();
    product.add_server(&server.url, "secret").await.unwrap();
    create(&product, "m").await;
    (server, product)
}

/// Whether the server is online, and its load.
async fn server_state(product: &Product) -> (bool, f64) {
    let servers = product.call_management("getServers", None).await.unwrap();
    let server = &servers.as_array().unwrap()[0];
    (server["online"] == "online", server["load"].as_f64().unwrap_or_default())
}

/// The content of an answer, which a second reader of XML must accept.
fn well_formed(answer: &ClientResponse) -> String {
    assert_success(answer);
    let text = answer.text();
    roxmltree::Document::parse(&text).unwrap();
    text
}

#[tokio::test]
async fn broken_custom_data_costs_neither_the_server_nor_the_meeting() {
    let (server, product) = start().await;
    for (number, broken) in [
        "<my key>v</my key>",
        "<1st>v</1st>",
        "<a&b>v</a&b>",
        "<p:a>v</p:a>",
        "<my key>v",
        "<>v</>",
        "<my key>\u{1}&</my key>",
    ]
    .into_iter()
    .enumerate()
    {
        let users = 20 + number;
        server.set_meetings(&listed("m", &users.to_string(), broken));
        server.set("getMeetingInfo", &meeting("m", &users.to_string(), broken));
        product.poll_servers().await.unwrap();
        #[expect(clippy::cast_precision_loss, reason = "a few users")]
        let load = users as f64;
        assert_eq!(server_state(&product).await, (true, load), "{broken}");
        let clean = meeting("m", &users.to_string(), "");
        let list = product.call("getMeetings", "").await.unwrap();
        assert!(well_formed(&list).contains(&format!("<meeting>{clean}</meeting>")), "{broken}");
        let info = product.call("getMeetingInfo", "meetingID=m").await.unwrap();
        let expected = format!("<response><returncode>SUCCESS</returncode>{clean}</response>");
        assert_eq!(well_formed(&info), expected, "{broken}");
    }
    let lines: Vec<String> = product
        .log()
        .lines()
        .filter(|line| line.contains("odd answer of server"))
        .map(str::to_owned)
        .collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(!lines[0].contains("my key"));
}

#[tokio::test]
async fn an_unreadable_meeting_keeps_its_last_known_facts() {
    let (server, product) = start().await;
    server.set_meetings(&listed("m", "30", ""));
    product.poll_servers().await.unwrap();
    let broken = listed("m", "1", "").replace("</participantCount>", "");
    let other = listed("other", "4", "");
    server.set_meetings(&format!("{broken}{other}"));
    for _ in 0..3 {
        product.poll_servers().await.unwrap();
        assert_eq!(server_state(&product).await, (true, 34.0));
    }
    let list = product.call("getMeetings", "").await.unwrap();
    let text = well_formed(&list);
    assert!(text.contains(&other) && !text.contains("<meetingID>m</meetingID>"), "{text}");
    server.set("getMeetingInfo", &meeting("m", "1", ""));
    assert_success(&product.call("getMeetingInfo", "meetingID=m").await.unwrap());
    // It is over when the list says so.
    server.set_meetings(&other);
    for _ in 0..2 {
        product.poll_servers().await.unwrap();
    }
    assert_eq!(server_state(&product).await, (true, 4.0));
    assert_failed(&product.call("getMeetingInfo", "meetingID=m").await.unwrap(), "notFound");
}

#[tokio::test]
async fn a_list_that_is_cut_off_ends_no_meeting() {
    let (server, product) = start().await;
    server.set_meetings(&listed("m", "30", ""));
    product.poll_servers().await.unwrap();
    let text = format!(
        "<response><returncode>SUCCESS</returncode><meetings>{}<meeting><meetingNa",
        listed("other", "4", "")
    );
    server.answers.lock().unwrap().insert("getMeetings".to_owned(), text);
    for _ in 0..3 {
        product.poll_servers().await.unwrap();
        assert_eq!(server_state(&product).await, (true, 34.0));
    }
    well_formed(&product.call("getMeetings", "").await.unwrap());
}

#[tokio::test]
async fn odd_numbers_of_users_are_read_or_the_last_one_counts() {
    let (server, product) = start().await;
    for (users, load) in [
        ("1,234", 1234.0),
        ("1.235", 1235.0),
        ("1 236", 1236.0),
        ("1\u{a0}237", 1237.0),
        // One attendee is listed.
        ("", 1.0),
        ("-5", 1.0),
        ("1000000000000", 1.0),
    ] {
        let text = listed("m", users, "").replace("1700000000123", "1,700,000,000,123");
        server.set_meetings(&text);
        product.poll_servers().await.unwrap();
        assert_eq!(server_state(&product).await, (true, load), "{users}");
        let list = product.call("getMeetings", "").await.unwrap();
        assert!(well_formed(&list).contains(&text), "{users}");
    }
    server.set_meetings(&listed("m", "30", ""));
    product.poll_servers().await.unwrap();
    let (before, after) = (listed("m", "-5", ""), "</attendees>");
    let (start, rest) = before.split_once("<attendees>").unwrap();
    let (_, end) = rest.split_once(after).unwrap();
    server.set_meetings(&format!("{start}<attendees/>{end}"));
    product.poll_servers().await.unwrap();
    assert_eq!(server_state(&product).await, (true, 30.0));
    let log = product.log();
    let odd = |kind: &str| log.lines().filter(|line| line.contains(kind)).count();
    assert_eq!((odd("participantCount"), odd("createTime")), (1, 1), "{log}");
}
