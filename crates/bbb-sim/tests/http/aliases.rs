//! One server under several names.

use std::io::ErrorKind;

use bbb_sim::Strictness::Real;
use bbb_sim::{BbbPool, BbbServer, FaultMode, Latency, PoolOptions, UrlSpelling};
use tokio::net::TcpStream;

use crate::client::{HttpReply, get, send_to, signed_target, start_pool};

/// Sends a signed GET below this URL, as a client that takes the URL as it is.
async fn get_at(server: &BbbServer, url: &str, call: &str, query: &str) -> HttpReply {
    let rest = url.get("http://".len()..).unwrap();
    let (authority, path) = rest.split_once('/').unwrap();
    let (host, port) = authority.split_once(':').unwrap();
    let signed = signed_target(server, call, query);
    let (_, signed) = signed.split_once("/api/").unwrap();
    let target = format!("/{path}/{signed}");
    send_to((host, port.parse().unwrap()), "GET", &target, "", b"").await.unwrap()
}

/// All URLs at which the server answers, in every spelling.
fn all_urls(server: &BbbServer, alias: &str) -> Vec<String> {
    let spellings = UrlSpelling::ALL.into_iter().filter(|one| *one != UrlSpelling::WithoutApi);
    let urls = spellings.map(|spelling| server.url_as(spelling));
    urls.chain([alias.to_owned(), format!("{alias}/")]).collect()
}

#[tokio::test]
async fn every_spelling_and_port_reaches_the_same_meetings() {
    for shared_port in [false, true] {
        let options = PoolOptions { servers: 2, shared_port, ..PoolOptions::default() };
        let pool = BbbPool::start(options).await.unwrap();
        let server = pool.server(2);
        let alias = server.open_alias().unwrap();
        assert_ne!(alias, server.url());
        get(server, "create", "meetingID=m1&name=mm").await;
        let internal_id = server.meeting("m1").unwrap().internal_id;
        let urls = all_urls(server, &alias);
        for url in &urls {
            let info = get_at(server, url, "getMeetingInfo", "meetingID=m1").await;
            assert_eq!(info.field("internalMeetingID"), internal_id, "{url}");
        }
        let repeated = get_at(server, &alias, "create", "meetingID=m1&name=mm").await;
        assert_eq!(repeated.message_key(), "duplicateWarning");
        assert_eq!(server.call_counts()["getMeetingInfo"], urls.len() as u64);
        assert_eq!(pool.server(1).meetings(), []);
        assert_eq!(server.url_as(UrlSpelling::Plain), server.url());
        let front_end = server.url_as(UrlSpelling::WithoutApi);
        assert_eq!(format!("{front_end}/api"), server.url());
    }
}

#[tokio::test]
async fn faults_and_secrets_are_those_of_all_names() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    let alias = server.open_alias().unwrap();
    let port = alias.split([':', '/']).nth(4).unwrap().parse::<u16>().unwrap();
    server.set_fault(FaultMode::Refuse);
    let error = TcpStream::connect(("127.0.0.1", port)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    // A port that is opened meanwhile refuses as well.
    let second = server.open_alias().unwrap();
    let second_port = second.split([':', '/']).nth(4).unwrap().parse::<u16>().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", second_port)).await.is_err());
    server.clear_fault();
    server.set_secret("other");
    for url in [&alias, &second] {
        assert_eq!(get_at(server, url, "getMeetings", "").await.message_key(), "noMeetings");
    }
    pool.reset(Latency::None);
    assert_eq!(get_at(server, &alias, "getMeetings", "").await.message_key(), "noMeetings");
    while server.open_alias().is_ok() {}
    let server = server.clone();
    drop(pool);
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    assert!(server.meetings().is_empty());
}
