//! The baseline: a bare hyper server with a constant response, in a process of its own. No balancer
//! that is built on hyper can be faster.

use crate::server_process::{ServerProcess, free_port};
use anyhow::Context;
use bytes::Bytes;
use clap::{Args, ValueEnum};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::ready;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::net::TcpListener;
use tokio::process::Command;

/// As long as the redirect of a real join.
const JOIN_URL: &str = "https://bbb12.example.test/bigbluebutton/api/join?meetingID=meeting-0123\
                    &fullName=User+12345&role=VIEWER&userID=user-12345\
                    &checksum=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const XML_BODY: &str =
    "<response><returncode>SUCCESS</returncode><running>true</running></response>";

/// The kind of the constant response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BaselineKind {
    /// A redirect.
    Join,
    /// A small XML document.
    Xml,
    /// The content of a file.
    List,
}

#[derive(Args, Debug)]
pub(crate) struct Options {
    #[arg(long)]
    port: u16,
    #[arg(long, value_enum)]
    kind: BaselineKind,
    /// The file with the response of `--kind list`.
    #[arg(long, required_if_eq("kind", "list"))]
    body: Option<PathBuf>,
}

/// Starts this program as a baseline server.
pub(crate) async fn start(
    kind: BaselineKind,
    body: Option<&Path>,
) -> anyhow::Result<ServerProcess> {
    let port = free_port()?;
    let mut command = Command::new(std::env::current_exe()?);
    let name = kind.to_possible_value().context("a kind without a name")?;
    command.env_clear().stdin(Stdio::null()).arg("baseline");
    command.args(["--port", &port.to_string(), "--kind", name.get_name()]);
    if let Some(body) = body {
        command.arg("--body").arg(body);
    }
    ServerProcess::start(command, port).await
}

/// Serves until the process is killed.
pub(crate) async fn serve(options: Options) -> anyhow::Result<()> {
    let is_join = matches!(options.kind, BaselineKind::Join);
    let body = match &options.body {
        Some(file) => Bytes::from(std::fs::read(file)?),
        None if is_join => Bytes::new(),
        None => Bytes::from_static(XML_BODY.as_bytes()),
    };
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let body = body.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let redirect = is_join && request.uri().path() != "/health_check";
            ready(Ok::<_, Infallible>(build_response(redirect, body.clone())))
        });
        // The client closes the connection.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

fn build_response(redirect: bool, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    if redirect {
        *response.status_mut() = StatusCode::FOUND;
        let headers = response.headers_mut();
        headers.insert(LOCATION, HeaderValue::from_static(JOIN_URL));
    } else {
        let kind = HeaderValue::from_static("text/xml;charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}
