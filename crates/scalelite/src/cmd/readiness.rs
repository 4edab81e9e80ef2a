//! `readiness`: asks the running balancer of this configuration whether it has what it needs; for health checks of containers,
//! which have no other program to ask with.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::config::values::BindAddress;
use crate::config::{Config, Sources};
use crate::output::{print_line, printable};

use super::balancer::RemoteBalancer;
use super::{CommandFailure, build_runtime};

/// Longest time for which the answer is awaited.
const MAX_TIME: Duration = Duration::from_secs(5);
/// Longest answer, in bytes.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Asks, and prints the parts. Fails if the balancer is not ready, or does not answer.
pub fn run(sources: &Sources, excluded: &[String]) -> Result<(), CommandFailure> {
    let (config, _) = Config::read(sources).map_err(CommandFailure)?;
    let answer =
        build_runtime(false)?.block_on(async { timeout(MAX_TIME, ask(&config, excluded)).await });
    let answer = answer.unwrap_or_else(|_| Err("no answer".to_owned()));
    print_answer(&answer.map_err(|reason| CommandFailure(format!("ERROR: {reason}")))?)
}

/// Asks another balancer.
pub async fn run_there(remote: &RemoteBalancer, excluded: &[String]) -> Result<(), CommandFailure> {
    print_answer(&remote.read_readiness(&excluded.join(",")).await?)
}

/// Prints the parts. Fails if the balancer is not ready.
fn print_answer(answer: &Value) -> Result<(), CommandFailure> {
    let text = |value: &Value, name: &str| printable(value[name].as_str().unwrap_or_default());
    for part in answer["parts"].as_array().into_iter().flatten() {
        let line =
            format!("{:<9}{}  {}", text(part, "status"), text(part, "name"), text(part, "detail"));
        print_line(line.trim_end());
    }
    match answer["ready"].as_bool() {
        Some(true) => Ok(()),
        _ => Err(CommandFailure("not ready".to_owned())),
    }
}

/// Asks where administrators are answered, if that is an address of its own, since that answer has details.
async fn ask(config: &Config, excluded: &[String]) -> Result<Value, String> {
    let own = config.management_bind.as_ref().filter(|_| config.management_api_enabled);
    let everywhere = BindAddress::Tcp(None, None);
    let address = own.or(config.bind.as_ref()).unwrap_or(&everywhere);
    let target = format!("/readyz?exclude={}", excluded.join(","));
    match address {
        BindAddress::Unix(path) => exchange(connect_unix(path).await?, &target).await,
        BindAddress::Tcp(host, port) => {
            let host = match host.as_deref() {
                None | Some("0.0.0.0" | "::") => "127.0.0.1",
                Some(host) => host,
            };
            exchange(connect_tcp(host, port.unwrap_or(config.port)).await?, &target).await
        }
    }
}

async fn connect_unix(path: &Path) -> Result<UnixStream, String> {
    UnixStream::connect(path).await.map_err(|error| format!("{}: {error}", path.display()))
}

async fn connect_tcp(host: &str, port: u16) -> Result<TcpStream, String> {
    let connected = TcpStream::connect((host, port)).await;
    connected.map_err(|error| format!("{host} port {port}: {error}"))
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    target: &str,
) -> Result<Value, String> {
    let request = Request::get(target).header(http::header::HOST, "localhost");
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let sending = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        serde_json::from_slice(&body)
            .map_err(|_| "what answers there is not this balancer".to_owned())
    };
    // The connection may end before its last answer was read to the end: only the answer counts.
    let keep_open = async {
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = sending => answer,
        () = keep_open => Err("no answer".to_owned()),
    }
}
