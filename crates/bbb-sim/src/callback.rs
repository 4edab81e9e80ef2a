//! Callbacks: what a server tells front-ends when a meeting ends. They are sent to this machine only.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Weak;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::meeting::LiveMeeting;
use crate::server::{BbbServer, ServerInner};

/// Number of callbacks that are kept for each server. The oldest are dropped first.
const MAX_CALLBACKS: usize = 10_000;
/// Callbacks that a server may have under way, retries included. More are not sent.
const MAX_UNDER_WAY: usize = 1_000;
/// How long one attempt may take.
const ATTEMPT_TIME: Duration = Duration::from_secs(5);
/// The pauses before BigBlueButton tries again, in seconds.
const RETRY_PAUSES_S: [u64; 4] = [30, 60, 120, 300];
/// Retries that a test may set, at most.
const MAX_RETRIES: usize = 16;

/// The parameter of `create` that named an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackKind {
    /// `meta_endCallbackUrl`, to which `recordingmarks` and `meetingID` are appended.
    EndCallbackUrl,
    /// `meetingEndedURL`.
    MeetingEndedUrl,
}

/// What became of a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackOutcome {
    /// Nothing yet.
    Pending,
    /// The last attempt was answered with this status.
    Answered(u16),
    /// The last attempt was not answered.
    NoAnswer,
    /// It was never sent: the address is not HTTP on this machine, or too many callbacks were under way.
    NotSent,
}

/// A callback of a meeting that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentCallback {
    /// The number of the server that sends it.
    pub server: usize,
    /// The parameter that named the address.
    pub kind: CallbackKind,
    /// The id of the meeting that the client chose.
    pub meeting: String,
    /// The internal id of the meeting.
    pub internal_id: String,
    /// The whole address that is called, with a GET.
    pub url: String,
    /// How often it was sent.
    pub attempts: u32,
    /// What became of it.
    pub outcome: CallbackOutcome,
}

/// The callbacks of one server.
#[derive(Debug)]
pub(crate) struct CallbackLog {
    server: usize,
    callbacks: VecDeque<SentCallback>,
    /// Number of the first callback that is kept. Callbacks are counted from 0.
    first: u64,
    /// Those that are recorded and not yet being sent.
    outgoing: Vec<OutgoingCallback>,
    under_way: usize,
    retries: Vec<Duration>,
}

impl CallbackLog {
    pub(crate) fn new(server: usize) -> Self {
        Self {
            server,
            callbacks: VecDeque::new(),
            first: 0,
            outgoing: Vec::new(),
            under_way: 0,
            retries: RETRY_PAUSES_S.map(Duration::from_secs).to_vec(),
        }
    }

    pub(crate) fn set_retries(&mut self, pauses: &[Duration]) {
        self.retries = pauses.iter().take(MAX_RETRIES).copied().collect();
    }

    pub(crate) fn to_vec(&self) -> Vec<SentCallback> {
        self.callbacks.iter().cloned().collect()
    }

    /// Records the callbacks of a meeting that ended. A breakout room has none.
    pub(crate) fn add_callbacks(&mut self, meeting: &LiveMeeting) {
        if meeting.breakout {
            return;
        }
        let is_end_callback =
            |(name, url): &&(String, String)| name == "endcallbackurl" && !url.is_empty();
        if let Some((_, url)) = meeting.meta.iter().find(is_end_callback) {
            let url = append_end_parameters(url, meeting.recording_marks, &meeting.id);
            self.add_callback(meeting, CallbackKind::EndCallbackUrl, url);
        }
        if let Some(url) = &meeting.ended_url {
            self.add_callback(meeting, CallbackKind::MeetingEndedUrl, url.clone());
        }
    }

    fn add_callback(&mut self, meeting: &LiveMeeting, kind: CallbackKind, url: String) {
        if self.callbacks.len() >= MAX_CALLBACKS {
            self.callbacks.pop_front();
            self.first += 1;
        }
        let number = self.first + self.callbacks.len() as u64;
        let target = LoopbackTarget::parse(&url).filter(|_| self.under_way < MAX_UNDER_WAY);
        let outcome =
            if target.is_some() { CallbackOutcome::Pending } else { CallbackOutcome::NotSent };
        if let Some(target) = target {
            self.under_way += 1;
            let retries = self.retries.clone();
            self.outgoing.push(OutgoingCallback { number, target, retries });
        }
        self.callbacks.push_back(SentCallback {
            server: self.server,
            kind,
            meeting: meeting.id.clone(),
            internal_id: meeting.internal_id.clone(),
            url,
            attempts: 0,
            outcome,
        });
    }

    /// Returns the callbacks that are to be sent now.
    pub(crate) fn take_outgoing(&mut self) -> Vec<OutgoingCallback> {
        std::mem::take(&mut self.outgoing)
    }

    /// Records an attempt at a callback, unless it is no longer kept.
    fn record_attempt(&mut self, number: u64, outcome: CallbackOutcome) {
        let position = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        if let Some(callback) = position.and_then(|at| self.callbacks.get_mut(at)) {
            callback.attempts += 1;
            callback.outcome = outcome;
        }
    }
}

/// A callback that is to be sent.
#[derive(Debug)]
pub(crate) struct OutgoingCallback {
    number: u64,
    target: LoopbackTarget,
    retries: Vec<Duration>,
}

impl OutgoingCallback {
    /// Sends the callback until it is answered with 2xx or given up. Ends early if the server is gone.
    pub(crate) async fn deliver(self, server: Weak<ServerInner>) {
        let pauses = [Duration::ZERO].into_iter().chain(self.retries);
        for pause in pauses {
            sleep(pause).await;
            if server.strong_count() == 0 {
                return;
            }
            let answer = timeout(ATTEMPT_TIME, self.target.call()).await.ok().flatten();
            let Some(server) = server.upgrade().map(BbbServer) else { return };
            let outcome = answer.map_or(CallbackOutcome::NoAnswer, CallbackOutcome::Answered);
            server.lock_state().endings.callbacks.record_attempt(self.number, outcome);
            if answer.is_some_and(|status| (200..300).contains(&status)) {
                break;
            }
        }
        if let Some(server) = server.upgrade().map(BbbServer) {
            let callbacks = &mut server.lock_state().endings.callbacks;
            callbacks.under_way = callbacks.under_way.saturating_sub(1);
        }
    }
}

/// An address on this machine.
#[derive(Debug, PartialEq, Eq)]
struct LoopbackTarget {
    address: SocketAddr,
    /// Host and port, as the address has them.
    authority: String,
    path_and_query: String,
}

impl LoopbackTarget {
    /// Returns the target of a URL, or `None` if it is not HTTP on this machine.
    fn parse(url: &str) -> Option<Self> {
        let url = url.split('#').next()?;
        let uri: Uri = url.parse().ok().filter(|uri: &Uri| uri.scheme_str() == Some("http"))?;
        let authority = uri.authority()?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let ip = if host.eq_ignore_ascii_case("localhost") {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        } else {
            host.parse().ok().filter(IpAddr::is_loopback)?
        };
        Some(Self {
            address: SocketAddr::new(ip, authority.port_u16().unwrap_or(80)),
            authority: authority.as_str().to_owned(),
            path_and_query: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        })
    }

    /// Sends a GET and returns the status of the answer.
    async fn call(&self) -> Option<u16> {
        let stream = TcpStream::connect(self.address).await.ok()?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        let request = Request::builder()
            .method(Method::GET)
            .uri(&self.path_and_query)
            .header(HOST, &self.authority)
            .body(Empty::<Bytes>::new())
            .ok()?;
        let answer = sender.send_request(request);
        tokio::pin!(connection, answer);
        let response = tokio::select! {
            response = &mut answer => response,
            _ = &mut connection => answer.await,
        };
        Some(response.ok()?.status().as_u16())
    }
}

/// Appends the parameters of an end callback to those that the URL has.
fn append_end_parameters(url: &str, recording_marks: bool, meeting: &str) -> String {
    let (before, fragment) = url.find('#').map_or((url, ""), |at| url.split_at(at));
    let separator = match before.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    let id: String = form_urlencoded::byte_serialize(meeting.as_bytes()).collect();
    format!("{before}{separator}recordingmarks={recording_marks}&meetingID={id}{fragment}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_parameters_follow_those_that_are_there() {
        let cases = [
            ("http://a/x", "http://a/x?recordingmarks=true&meetingID=m+%C3%BC"),
            ("http://a/x?", "http://a/x?recordingmarks=true&meetingID=m+%C3%BC"),
            ("http://a/x?b=c#d", "http://a/x?b=c&recordingmarks=true&meetingID=m+%C3%BC#d"),
        ];
        for (url, expected) in cases {
            assert_eq!(append_end_parameters(url, true, "m ü"), expected);
        }
    }

    #[test]
    fn only_addresses_of_this_machine_are_called() {
        let address =
            |url: &str| LoopbackTarget::parse(url).map(|target| target.address.to_string());
        assert_eq!(address("http://127.0.0.1:81/x"), Some("127.0.0.1:81".to_owned()));
        assert_eq!(address("http://LocalHost/x?a#b"), Some("127.0.0.1:80".to_owned()));
        assert_eq!(address("http://[::1]:9"), Some("[::1]:9".to_owned()));
        for url in ["https://127.0.0.1/", "http://10.0.0.1/", "http://127.0.0.1.a.test/", "x", ""] {
            assert_eq!(address(url), None, "{url}");
        }
    }
}
