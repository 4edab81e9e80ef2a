//! A front-end that receives callbacks.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A listener that answers every request with the same status, or never.
pub(crate) struct CallbackReceiver {
    pub(crate) port: u16,
    targets: Arc<Mutex<Vec<String>>>,
}

impl CallbackReceiver {
    /// Starts one that answers with this status; 0 for no answer.
    pub(crate) async fn start(status: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let targets: Arc<Mutex<Vec<String>>> = Arc::default();
        let received = Arc::clone(&targets);
        tokio::spawn(async move {
            let mut unanswered = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let target = read_target(&mut stream).await;
                received.lock().unwrap().push(target);
                if status == 0 {
                    unanswered.push(stream);
                } else {
                    let response = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
                    let _ = stream.write_all(response.as_bytes()).await;
                }
            }
        });
        Self { port, targets }
    }

    /// Returns a URL of the receiver, for a query.
    pub(crate) fn encoded_url(&self, path: &str) -> String {
        format!("http%3A%2F%2F127.0.0.1%3A{}%2F{path}", self.port)
    }

    /// Returns method and target of the requests so far.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.targets.lock().unwrap().clone()
    }
}

async fn read_target(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    text.split(" HTTP/").next().unwrap_or_default().to_owned()
}
