//! Servers whose URL is wrong: a redirect, a missing page, or HTML instead of BBB's answers. Everything that tells of the failure says so.

use testkit::process;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::tools::{assert_failed, start_deployment};

/// Starts a web server that answers everything like this; returns the URL of its API.
async fn start_web_server(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/bigbluebutton/api", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 8192];
                let _ = connection.read(&mut head).await;
                let _ = connection.write_all(answer.as_bytes()).await;
            });
        }
    });
    url
}

#[tokio::test]
async fn answers_of_web_servers_ask_whether_the_url_is_right() {
    for (answer, reason) in [
        (
            "HTTP/1.1 301 Moved\r\nLocation: https://b.test/bigbluebutton/api/getMeetings?checksum=hidden\r\n\
             Connection: close\r\nContent-Length: 0\r\n\r\n",
            "HTTP 301 to https://b.test/bigbluebutton/api/getMeetings: is the URL right?",
        ),
        (
            "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 13\r\n\r\n<html></html>",
            "HTTP 404: is the URL right?",
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 29\r\n\r\n<!DOCTYPE html><html>Hi</html",
            "a page of HTML (HTTP 200): is the URL right?",
        ),
    ] {
        let deployment = start_deployment(0).await;
        let product = &deployment.product;
        let url = start_web_server(answer).await;
        let new = serde_json::json!({ "url": url, "secret": "s" });
        let added = product.call_management("addServer", Some(new)).await.unwrap();
        let id = added["id"].as_str().unwrap();
        let run = async |arguments: &[&str]| {
            let output = process::run(product.setup(), arguments).await.unwrap();
            format!("{}{}", output.stdout, output.stderr)
        };
        for command in [&["servers", "enable", id][..], &["status"], &["doctor"]] {
            let output = run(command).await;
            assert!(output.contains(reason), "{command:?}: {output}");
            assert!(!output.contains("hidden"), "{output}");
        }
    }
}

#[tokio::test]
async fn the_log_of_a_create_names_the_redirect() {
    let deployment = start_deployment(1).await;
    let id = deployment.product.call_management("getServers", None).await.unwrap();
    let id = id[0]["id"].as_str().unwrap().to_owned();
    let url = start_web_server(
        "HTTP/1.1 302 Found\r\nLocation: https://b.test/login\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    // The server has moved since it was polled.
    let yaml = format!("servers:\n  {id}:\n    url: {url}\n    secret: s\n");
    let file = deployment.product.setup().folder().join("pool.yml");
    std::fs::write(&file, yaml).unwrap();
    let file = file.display().to_string();
    let arguments = ["servers", "sync", &file];
    process::run(deployment.product.setup(), &arguments).await.unwrap();
    let response = deployment.product.call("create", "meetingID=m1&name=M1").await.unwrap();
    assert_failed(&response, "internalError");
    assert!(!response.text().contains("b.test"), "{}", response.text());
    let is_logged = async || deployment.product.log().contains("HTTP 302 to https://b.test/login");
    testkit::product::wait_until("logged", is_logged).await.unwrap();
}
