//! The ways in which a server can fail on command.

/// A failure and the calls it strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub mode: FaultMode,
    /// The calls it goes wrong for ("index" is the version call); `None`: all of them.
    pub calls: Option<Vec<String>>,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultMode {
    /// The listener is closed and open connections are cut, so that connecting fails. The same as
    /// `Reset` for servers on a shared port or if the fault is for some calls only.
    Refuse,
    /// The request is read and the connection then closed without an answer.
    Reset,
    /// The request is read and never answered.
    Hang,
    /// Status 500 with a page of HTML.
    Error500,
    /// Status 200 with bytes that are no XML.
    InvalidXml,
    /// Status 200 with a page of HTML.
    Html,
    /// Status 200 with no body.
    Empty,
    /// XML without a returncode.
    NoReturncode,
    /// The FAILED answer with this key and message.
    Failed {
        /// The messageKey.
        key: String,
        /// The message.
        message: String,
    },
    /// The call has its effect, but the answer never comes.
    HangAfterEffect,
    /// The request is read and waits until the server is mended; then it has its effect and is
    /// answered, whether anybody still wants the answer or not. A machine that stood still.
    Freeze,
}

impl Fault {
    /// This failure for the named calls only.
    #[must_use]
    pub fn for_calls(mode: FaultMode, calls: &[&str]) -> Self {
        Self { mode, calls: Some(calls.iter().map(|&call| call.to_owned()).collect()) }
    }

    /// Whether this fault strikes `call` ("index" for the version call).
    pub(crate) fn affects(&self, call: &str) -> bool {
        self.calls.as_ref().is_none_or(|only| only.iter().any(|name| name == call))
    }

    /// Whether this fault closes the listener.
    pub(crate) fn closes_listener(&self) -> bool {
        self.mode == FaultMode::Refuse && self.calls.is_none()
    }
}

impl From<FaultMode> for Fault {
    /// This failure for every call.
    fn from(mode: FaultMode) -> Self {
        Self { mode, calls: None }
    }
}
