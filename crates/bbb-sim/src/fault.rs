//! The faults that a test can set on a server.

/// A fault and the calls that it affects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// How the calls fail.
    pub mode: FaultMode,
    /// The names of the affected calls, with "index" for the version call. `None` means all calls.
    pub calls: Option<Vec<String>>,
}

/// How a call fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultMode {
    /// The listener and all open connections are closed, so connecting fails. On a shared port, or if the fault affects
    /// only some calls, this is the same as `Reset`.
    Refuse,
    /// The request is read, then the connection is closed without a response.
    Reset,
    /// The request is read, but no response is ever sent.
    Hang,
    /// The machine is dead without saying so: connections are accepted, but nothing is read, logged or answered.
    Silent,
    /// Status 500 with a page of HTML.
    Error500,
    /// Status 200 with bytes that are not XML.
    InvalidXml,
    /// Status 200 with a page of HTML.
    Html,
    /// Status 200 with no body.
    Empty,
    /// Status 200 with XML that has no `returncode`.
    NoReturncode,
    /// A response with the return code FAILED and this key and message.
    Failed {
        /// The `messageKey`.
        key: String,
        /// The message.
        message: String,
    },
    /// The call takes effect, but no response is ever sent.
    HangAfterEffect,
    /// This status, as 502 or 504, with the page of HTML that a web server shows for it.
    ErrorPage(u16),
    /// The call takes effect, but the answer is this status with a page of HTML.
    ErrorPageAfterEffect(u16),
    /// The request is read and waits until the fault is cleared. Then it takes effect and the response is sent, even if
    /// the client has disconnected. This simulates a machine that stood still for a while.
    Freeze,
}

impl Fault {
    /// Creates a fault that affects only the named calls.
    #[must_use]
    pub fn for_calls(mode: FaultMode, calls: &[&str]) -> Self {
        Self { mode, calls: Some(calls.iter().map(|&call| call.to_owned()).collect()) }
    }

    /// Whether this fault affects `call`, with "index" for the version call.
    pub(crate) fn affects(&self, call: &str) -> bool {
        self.calls.as_ref().is_none_or(|names| names.iter().any(|name| name == call))
    }

    /// Whether this fault closes the listener.
    pub(crate) fn closes_listener(&self) -> bool {
        self.mode == FaultMode::Refuse && self.calls.is_none()
    }
}

impl FaultMode {
    /// Whether a call takes effect although it fails.
    pub(crate) fn comes_after_effect(&self) -> bool {
        matches!(self, Self::HangAfterEffect | Self::ErrorPageAfterEffect(_))
    }
}

impl From<FaultMode> for Fault {
    /// Creates a fault that affects every call.
    fn from(mode: FaultMode) -> Self {
        Self { mode, calls: None }
    }
}
