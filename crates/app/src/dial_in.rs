//! Dial-in: a FreeSWITCH asks what to do with a call by telephone. It asks when somebody has dialled the number, and again with each
//! PIN that the caller has entered; nothing is kept between the two but wrong PINs.

use bbb::checksum::is_same_secret;
use bbb::dialplan::{ChannelText, Dialect, DialledNumber, Dialplan, Pin, PinLength, SipHost};
use domain::Meeting;
use domain::dial_in::{CallerId, NumberSpelling, bridges_of_pin};

use crate::api::{ApiError, RequestLog, identify_caller, is_own_meeting};
use crate::context::App;
use crate::ports::{MeetingOnServer, StoreError};

/// The name of the user with the password.
const USER: &str = "fsapi";
/// Wrong PINs of one caller are logged beyond this number.
const MANY_WRONG_PINS: u32 = 3;

/// What a FreeSWITCH says of a call.
#[derive(Clone, Debug, Default)]
pub struct PhoneCall {
    /// The part of FreeSWITCH's configuration that it wants.
    pub section: String,
    /// The number that FreeSWITCH looks up: the one that was dialled, and after a transfer the PIN.
    pub destination: String,
    /// Numbers of which one may be what the caller has dialled.
    pub dialled: Vec<String>,
    /// What the caller has entered; empty if nothing.
    pub pin: String,
    /// What is known of the caller.
    pub caller: CallerId,
    /// What tells callers apart: a number, or else whatever the sender of the request says of the call.
    pub caller_key: String,
}

/// Whether a user with this password may ask what to do with calls.
#[must_use]
pub fn may_ask(app: &App, user: &str, password: &str) -> bool {
    let Some(expected) = &app.policy.dial_in.password else { return true };
    let is_same = is_same_secret(password.as_bytes(), expected.as_bytes());
    is_same && !expected.is_empty() && user == USER
}

/// What is done with a call.
pub struct PhoneAnswer {
    /// The dialplan; `None` if the request is none of ours.
    pub dialplan: Option<Dialplan>,
    /// What was done, in two or three words for the log.
    pub result: &'static str,
    /// For the log.
    pub log: RequestLog,
}

/// Whose meetings a caller can reach.
enum Reach {
    /// Everybody's.
    All,
    /// Those of these tenants, by id.
    Tenants(Vec<String>),
}

impl Reach {
    fn includes(&self, meeting: &Meeting) -> bool {
        match self {
            Self::All => true,
            Self::Tenants(ids) => {
                meeting.key.tenant.as_ref().is_some_and(|tenant| ids.contains(tenant))
            }
        }
    }
}

/// Decides what is done with a call. `host_label` is the label of the requested host that may name a tenant.
///
/// # Errors
/// When the store fails.
pub async fn answer_phone_call(
    app: &App,
    host_label: Option<&str>,
    call: &PhoneCall,
    dialect: Dialect,
) -> Result<PhoneAnswer, StoreError> {
    let log = RequestLog::default();
    if call.section != "dialplan" || call.destination.is_empty() {
        return Ok(PhoneAnswer { dialplan: None, result: "not a call", log });
    }
    let number = DialledNumber::new(&call.destination, dialect);
    let bridge = app.policy.voice_bridge;
    let length = PinLength { min: bridge.min_length, max: bridge.max_length };
    if call.pin.is_empty() {
        let max_seconds =
            app.policy.dial_in.max_duration_min.map(|minutes| u64::from(minutes) * 60);
        let dialplan = Dialplan::AskForPin { number, length, max_seconds };
        return Ok(PhoneAnswer { dialplan: Some(dialplan), result: "asked for PIN", log });
    }
    let max = app.policy.dial_in.max_wrong_pins;
    if app.wrong_pins.are_too_many(&call.caller_key, max) {
        let dialplan = Some(Dialplan::HangUp { number });
        return Ok(PhoneAnswer { dialplan, result: "too many wrong PINs", log });
    }
    let Some((pin, found)) = find_meeting(app, host_label, call).await? else {
        let wrong = app.wrong_pins.count(&call.caller_key);
        if wrong > MANY_WRONG_PINS {
            tracing::warn!(wrong_pins = wrong, "caller guesses PINs");
        }
        let dialplan = Some(Dialplan::AskAgain { number, length });
        return Ok(PhoneAnswer { dialplan, result: "no meeting of this PIN", log });
    };
    Ok(bridge_call(app, call, (number, pin), &found, dialect, length))
}

/// Connects a call with its meeting.
fn bridge_call(
    app: &App,
    call: &PhoneCall,
    (number, pin): (DialledNumber, Pin),
    found: &MeetingOnServer,
    dialect: Dialect,
    length: PinLength,
) -> PhoneAnswer {
    let meeting = Some(found.meeting.key.id.clone());
    let mut log = RequestLog { meeting, ..RequestLog::default() };
    log.name_server(app, &found.server);
    let Some(host) = SipHost::parse(found.server.hostname()) else {
        let dialplan = Some(Dialplan::AskAgain { number, length });
        return PhoneAnswer { dialplan, result: "server without a host name", log };
    };
    let spelling = match dialect {
        Dialect::FreeSwitch => NumberSpelling::WithSigns,
        Dialect::Original => NumberSpelling::Digits,
    };
    let dialplan = Dialplan::Bridge {
        number,
        meeting_id: ChannelText::new(&found.meeting.key.id, dialect),
        caller_name: ChannelText::new(&call.caller.shown_name(spelling), dialect),
        pin,
        host,
    };
    PhoneAnswer { dialplan: Some(dialplan), result: "connected", log }
}

/// Returns the meeting that a PIN leads to, on the server that has it now, with the PIN. A breakout room has that of its meeting with
/// one more digit.
async fn find_meeting(
    app: &App,
    host_label: Option<&str>,
    call: &PhoneCall,
) -> Result<Option<(Pin, MeetingOnServer)>, StoreError> {
    let Some(pin) = Pin::parse(&call.pin) else { return Ok(None) };
    let Some(reach) = find_reach(app, host_label, call).await? else { return Ok(None) };
    let mut target = None;
    for bridge in bridges_of_pin(pin.as_str()) {
        let found = app.pool.find_by_voice_bridge(bridge).await?;
        let is_open = |found: &MeetingOnServer| {
            found.is_reachable() && is_own_meeting(&found.meeting) && reach.includes(&found.meeting)
        };
        target = found.filter(is_open);
        if target.is_some() {
            break;
        }
    }
    Ok(target.map(|target| (pin, target)))
}

/// Returns whose meetings the caller can reach: those of the tenant that the host names, or of the tenants that have the dialled number,
/// or else all. `None` if the host names a tenant that does not exist.
async fn find_reach(
    app: &App,
    host_label: Option<&str>,
    call: &PhoneCall,
) -> Result<Option<Reach>, StoreError> {
    if !app.policy.multitenancy {
        return Ok(Some(Reach::All));
    }
    if host_label.is_some() {
        return match identify_caller(app, host_label).await {
            Ok(caller) => Ok(caller.tenant_id().map(|id| Reach::Tenants(vec![id.to_owned()]))),
            Err(ApiError::Store(error)) => Err(error),
            Err(_) => Ok(None),
        };
    }
    let numbers = call.dialled.iter().chain([&call.destination]);
    let numbers: Vec<&str> =
        numbers.map(String::as_str).filter(|number| *number != call.pin).collect();
    let tenants = app.tenant_cache.find_called_tenants(&numbers).await?;
    Ok(Some(if tenants.is_empty() { Reach::All } else { Reach::Tenants(tenants) }))
}

#[cfg(test)]
mod tests;
