//! Simulated BigBlueButton servers, with state and with faults that a test can set.
//!
//! Tests, benchmarks and the demo need many servers that behave like real ones, fail on command and show their state.
//! This crate deliberately shares no code with the balancer's own BigBlueButton client: a simulator with the same
//! checksum code could not reveal errors in it.
//!
//! [`BbbPool::start`] starts servers on ports of this machine. A test reaches into a server by its handle,
//! [`BbbServer`], at any time and from any thread; everything below is set there while the server runs, and
//! [`BbbPool::reset`] takes it all back.
//!
//! # How long calls take
//!
//! - [`BbbServer::set_latency`]: every call waits before it takes effect. [`BbbServer::set_call_latency`] does this for
//!   single calls, in place of the latency of all.
//! - [`BbbServer::set_create_latency`]: how long the server works on a create beside that, as BigBlueButton 3 waits for
//!   slides and plugins. The meeting exists from the beginning of the work on, or from the moment that
//!   [`BbbServer::set_meeting_moment`] sets. All other calls are answered meanwhile, a repeated create too.
//!
//! # How meetings end
//!
//! - By the call `end`, from inside ([`BbbServer::end_meeting`]), or by themselves once [`BbbServer::set_expiry`] has said
//!   when: nobody joined, everybody left, the duration is over. [`BbbServer::take_ended`] tells which ended, and why.
//! - Each end of a meeting that is no breakout room is told to the addresses that its create named: a GET to
//!   `meta_endCallbackUrl` with `recordingmarks` ([`BbbServer::set_recording_marks`]) and `meetingID` appended, and a GET to
//!   `meetingEndedURL`. [`BbbServer::callbacks`] lists them from the moment of the end on, with what became of them. Only
//!   addresses of this machine are called; an attempt takes five seconds at most, and is repeated as BigBlueButton does
//!   unless [`BbbServer::set_callback_retries`] says otherwise. No request ever waits for a callback.
//! - Meetings that are lost in a crash, a restart or by [`BbbServer::drop_meetings`] have not ended: nobody is told.
//!
//! # Several names
//!
//! A server answers at every [`UrlSpelling`] of its URL ([`BbbServer::url_as`]; double slashes count as one, as in web
//! servers) and at further ports that [`BbbServer::open_alias`] opens, always with the same meetings.
//!
//! # Odd answers
//!
//! - Custom data of users who join (`userdata-…`) is put in raw, as BigBlueButton does: names become names of elements,
//!   whatever they are.
//! - [`BbbServer::set_odd_content`] puts in markup, texts and elements of a test's choice;
//!   [`BbbServer::set_number_format`] writes numbers with separators, or leaves them out.
//! - [`BbbServer::set_unknown_meeting_answer`] changes how the server says that a meeting does not exist. Ids that
//!   BigBlueButton's validation refuses are `validationError` in any case.
//!
//! # Web servers in front
//!
//! [`BbbServer::set_web_server`] has URLs above a length answered with 414, queries with characters that Tomcat refuses with
//! 400, and calls that take too long with 504. The faults [`FaultMode::ErrorPage`] and [`FaultMode::ErrorPageAfterEffect`]
//! answer with any status.
//!
//! # Outages
//!
//! [`BbbServer::set_fault`] sets a [`Fault`] for all calls or some of them, until [`BbbServer::clear_fault`]:
//!
//! | outage | how |
//! |---|---|
//! | silent death: accepts connections, reads and answers nothing | [`FaultMode::Silent`] |
//! | the port is closed; the meetings are there when the fault is cleared | [`FaultMode::Refuse`] |
//! | hangs for everything, or for creates only | [`FaultMode::Hang`], [`Fault::for_calls`] |
//! | creates take effect and are never answered | [`FaultMode::HangAfterEffect`] |
//! | the machine stands still for a while, then does what was asked | [`FaultMode::Freeze`] |
//! | crashes, and comes back without meetings when the fault is cleared | [`BbbServer::crash`] |
//! | is restarted at once, with or without its meetings | [`BbbServer::restart_with`] |
//!
//! [`BbbServer::take_log`] returns the requests that reached the server, also those that were refused or never answered.

mod aliases;
mod callback;
mod calls;
mod checksum;
mod clock;
mod create;
mod ending;
mod fault;
mod hostile;
mod http;
mod join;
mod latency;
mod listener;
mod log;
mod meeting;
mod odd_content;
mod options;
mod outage;
mod params;
mod pool;
mod random;
mod render;
mod requests;
mod schedule;
mod server;
mod settings;
mod state;
mod sync;
mod web_server;

pub use aliases::UrlSpelling;
pub use callback::{CallbackKind, CallbackOutcome, SentCallback};
pub use checksum::Algorithm;
pub use clock::SimClock;
pub use ending::{EndCause, EndedMeeting, ExpiryRules};
pub use fault::{Fault, FaultMode};
pub use hostile::Claims;
pub use latency::{Latency, MeetingMoment};
pub use log::RecordedRequest;
pub use odd_content::{NumberFormat, OddContent};
pub use options::{MeetingView, PoolOptions, Preload, Strictness};
pub use outage::Restart;
pub use pool::BbbPool;
pub use schedule::UserSchedule;
pub use server::BbbServer;
pub use web_server::WebServerRules;
