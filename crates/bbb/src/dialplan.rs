//! The dialplan that a FreeSWITCH gets for a call by telephone (`mod_xml_curl`): which number it is for, and what is to be done.
//!
//! Nothing that a caller, a front-end or a tenant chooses reaches it as it is: the types of [`text`] hold it, and each of them says how
//! it is written. All else are numbers and constants.

mod text;

use std::borrow::Cow;
use std::io;

use quick_xml::Writer;
use quick_xml::escape::escape;
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesEnd, BytesStart, Event};
use quick_xml::name::QName;

pub use text::{ChannelText, DialledNumber, Pin, SipHost};

/// The context in which FreeSWITCH looks calls from outside up.
const CONTEXT: &str = "public";
/// The channel variable that gets the digits that the caller enters.
pub const PIN_VARIABLE: &str = "pin";
/// How often a caller may enter something of the wrong length at one question.
const MAX_TRIES: u8 = 3;
/// How long is waited for the next digit, in ms.
const DIGIT_TIMEOUT_MS: u32 = 7_000;
const PROMPT: &str = "conference/conf-enter_conf_pin.wav";
const BAD_PIN: &str = "conference/conf-bad-pin.wav";
const WELCOME: &str = "ivr/ivr-welcome.wav";

/// For whom a dialplan is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A FreeSWITCH, by the rules of its parser.
    FreeSwitch,
    /// Anything else: word for word what the original answers. With two of its faults: FreeSWITCH takes no PIN, since digits do not
    /// match its pattern, and expands the value of a variable twice, which is escaped only once.
    Original,
}

impl Dialect {
    /// The dialect for the sender of a request, by its `User-Agent`. That of `mod_xml_curl` is `freeswitch-xml/1.0`.
    #[must_use]
    pub fn for_user_agent(user_agent: &str) -> Self {
        let name = user_agent.as_bytes().get(.."freeswitch".len());
        let is_switch = name.is_some_and(|name| name.eq_ignore_ascii_case(b"freeswitch"));
        if is_switch { Self::FreeSwitch } else { Self::Original }
    }

    /// The pattern that the digits of a PIN must match.
    fn pin_pattern(self) -> &'static str {
        match self {
            Self::FreeSwitch => r"\d+",
            Self::Original => "d+",
        }
    }
}

/// How many digits a PIN may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinLength {
    /// Fewest digits.
    pub min: usize,
    /// Most digits.
    pub max: usize,
}

/// What is to be done with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialplan {
    /// Somebody has dialled: answer, and ask for the PIN.
    AskForPin {
        /// The number that was dialled.
        number: DialledNumber,
        /// How many digits are asked for.
        length: PinLength,
        /// The call is hung up after so many seconds; `None`: never.
        max_seconds: Option<u64>,
    },
    /// No meeting has the PIN: say so, and ask again.
    AskAgain {
        /// The number that FreeSWITCH looks up now, which is the PIN itself after a transfer.
        number: DialledNumber,
        /// How many digits are asked for.
        length: PinLength,
    },
    /// The caller has tried too many PINs: say that this one is wrong, and hang up.
    HangUp {
        /// As for [`Self::AskAgain`].
        number: DialledNumber,
    },
    /// Connect the call with the conference on a BBB server.
    Bridge {
        /// As for [`Self::AskAgain`].
        number: DialledNumber,
        /// The id of the meeting, as a variable of the channel.
        meeting_id: ChannelText,
        /// What users of the meeting see of the caller.
        caller_name: ChannelText,
        /// The number of the conference.
        pin: Pin,
        /// Its server.
        host: SipHost,
    },
}

/// One application of FreeSWITCH.
enum Action<'a> {
    Answer,
    HangUp,
    HangUpAfter(u64),
    Sleep(u16),
    Play(&'static str),
    AskDigits(PinLength, Dialect),
    TransferToPin,
    Set(&'static str, &'a ChannelText),
    Bridge(&'a Pin, &'a SipHost),
}

impl Action<'_> {
    /// Name and data of the application.
    fn parts(&self) -> (&'static str, Option<String>) {
        match self {
            Self::Answer => ("answer", None),
            Self::HangUp => ("hangup", Some("NORMAL_CLEARING".to_owned())),
            Self::HangUpAfter(seconds) => {
                ("sched_hangup", Some(format!("+{seconds} normal_clearing")))
            }
            Self::Sleep(ms) => ("sleep", Some(ms.to_string())),
            Self::Play(file) => ("playback", Some((*file).to_owned())),
            Self::AskDigits(PinLength { min, max }, dialect) => {
                let pattern = dialect.pin_pattern();
                let data = format!(
                    "{min} {max} {MAX_TRIES} {DIGIT_TIMEOUT_MS} # {PROMPT} {BAD_PIN} {PIN_VARIABLE} {pattern}"
                );
                ("play_and_get_digits", Some(data))
            }
            // The one expansion that is meant.
            Self::TransferToPin => ("transfer", Some(format!("${{{PIN_VARIABLE}}} XML {CONTEXT}"))),
            Self::Set(name, value) => ("set", Some(format!("{name}={}", value.as_str()))),
            Self::Bridge(pin, host) => {
                ("bridge", Some(format!("sofia/external/{}@{}", pin.as_str(), host.as_str())))
            }
        }
    }
}

impl Dialplan {
    /// Writes the document.
    #[must_use]
    pub fn to_xml(&self, dialect: Dialect) -> String {
        let (description, extension) = self.names();
        let condition =
            [("field", "destination_number"), ("expression", self.number().expression())];
        write_document(|writer| {
            let section = [("name", "dialplan"), ("description", description)];
            open(writer, "section", &section)?;
            open(writer, "context", &[("name", CONTEXT)])?;
            open(writer, "extension", &[("name", extension)])?;
            open(writer, "condition", &condition)?;
            for action in self.actions(dialect) {
                write_action(writer, &action)?;
            }
            ["condition", "extension", "context", "section"]
                .into_iter()
                .try_for_each(|name| close(writer, name))
        })
    }

    /// Description of the section, and name of the extension.
    fn names(&self) -> (&'static str, &'static str) {
        match self {
            Self::AskForPin { .. } => ("Prompt Pin for Conference", "match_did_and_prompt_for_pin"),
            Self::AskAgain { .. } => ("Reprompt Pin for Conference", "reprompt_for_pin"),
            Self::HangUp { .. } => ("Too Many Wrong Pins", "hang_up"),
            Self::Bridge { .. } => ("Bridge Call to BBB Server", "bridge_to_bbb_server"),
        }
    }

    fn number(&self) -> &DialledNumber {
        match self {
            Self::AskForPin { number, .. }
            | Self::AskAgain { number, .. }
            | Self::HangUp { number }
            | Self::Bridge { number, .. } => number,
        }
    }

    fn actions(&self, dialect: Dialect) -> Vec<Action<'_>> {
        match self {
            Self::AskForPin { length, max_seconds, .. } => {
                let hang_up = max_seconds.map(Action::HangUpAfter);
                let rest = [
                    Action::Sleep(500),
                    Action::Play(WELCOME),
                    Action::Sleep(200),
                    Action::AskDigits(*length, dialect),
                    Action::TransferToPin,
                ];
                [Action::Answer].into_iter().chain(hang_up).chain(rest).collect()
            }
            Self::AskAgain { length, .. } => vec![
                Action::Play(BAD_PIN),
                Action::Sleep(500),
                Action::AskDigits(*length, dialect),
                Action::TransferToPin,
            ],
            Self::HangUp { .. } => vec![Action::Play(BAD_PIN), Action::HangUp],
            Self::Bridge { meeting_id, caller_name, pin, host, .. } => vec![
                Action::Set("meeting_id", meeting_id),
                Action::Set("effective_caller_id_name", caller_name),
                Action::Bridge(pin, host),
            ],
        }
    }
}

/// The document that tells FreeSWITCH to look elsewhere.
#[must_use]
pub fn build_not_found() -> String {
    write_document(|writer| {
        open(writer, "section", &[("name", "result")])?;
        let result = BytesStart::new("result").with_attributes([("status", "not found")]);
        writer.write_event(Event::Empty(result))?;
        close(writer, "section")
    })
}

type XmlWriter = Writer<Vec<u8>>;

/// Writes a document with this content. Each element stands on a line of its own, since FreeSWITCH reads lines first.
fn write_document(content: impl FnOnce(&mut XmlWriter) -> io::Result<()>) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    let written = open(&mut writer, "document", &[("type", "freeswitch/xml")])
        .and_then(|()| content(&mut writer))
        .and_then(|()| close(&mut writer, "document"));
    // Writing into memory does not fail.
    debug_assert!(written.is_ok(), "{written:?}");
    String::from_utf8(writer.into_inner()).unwrap_or_default()
}

fn open(writer: &mut XmlWriter, name: &str, attributes: &[(&str, &str)]) -> io::Result<()> {
    let attributes = attributes.iter().map(|(name, value)| attribute(name, value));
    let tag = BytesStart::new(name).with_attributes(attributes);
    writer.write_event(Event::Start(tag))
}

/// An attribute whose value is read as it is, line breaks included.
fn attribute<'a>(name: &'a str, value: &'a str) -> Attribute<'a> {
    let value = escape(value).replace('\n', "&#10;");
    Attribute { key: QName(name), value: Cow::Owned(value) }
}

fn close(writer: &mut XmlWriter, name: &str) -> io::Result<()> {
    writer.write_event(Event::End(BytesEnd::new(name)))
}

fn write_action(writer: &mut XmlWriter, action: &Action<'_>) -> io::Result<()> {
    let (application, data) = action.parts();
    let mut tag = BytesStart::new("action");
    tag.push_attribute(attribute("application", application));
    if let Some(data) = &data {
        tag.push_attribute(attribute("data", data));
    }
    writer.write_event(Event::Empty(tag))
}

#[cfg(test)]
mod tests;
