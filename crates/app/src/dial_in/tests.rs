//! Tests of calls by telephone on a store in memory.

use domain::ServerId;

use super::*;
use crate::ports::ServerChange;
use crate::test_app::{test_app, test_meeting};

fn call(pin: &str) -> PhoneCall {
    PhoneCall {
        section: "dialplan".to_owned(),
        destination: "5551234".to_owned(),
        pin: pin.to_owned(),
        caller_key: "+4930".to_owned(),
        ..PhoneCall::default()
    }
}

async fn app_with_meetings() -> App {
    let (app, _) = test_app(&["a", "b"], |_| None).await;
    for (id, server, bridge) in [("m", "a", "71234"), ("n", "b", "712345")] {
        let mut meeting = test_meeting(None, id, server);
        meeting.voice_bridge = Some(bridge.to_owned());
        app.pool.restore_meeting(&meeting).await.unwrap();
    }
    app
}

async fn answer(app: &App, call: &PhoneCall) -> PhoneAnswer {
    answer_phone_call(app, None, call, Dialect::FreeSwitch).await.unwrap()
}

/// Returns the server to which a PIN leads; `None` if the caller is asked again.
async fn bridged(app: &App, pin: &str) -> Option<String> {
    match answer(app, &call(pin)).await.dialplan.unwrap() {
        Dialplan::Bridge { host, .. } => Some(format!("{host:?}")),
        Dialplan::AskAgain { .. } => None,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_pin_leads_to_the_server_that_has_the_meeting_now() {
    let app = app_with_meetings().await;
    assert_eq!(bridged(&app, "71234").await.as_deref(), Some("SipHost(\"a\")"));
    // 712345 is a meeting of its own, and precedes a breakout room of 71234.
    assert_eq!(bridged(&app, "712345").await.as_deref(), Some("SipHost(\"b\")"));
    assert_eq!(bridged(&app, "7123459").await.as_deref(), Some("SipHost(\"b\")"));
    assert_eq!(bridged(&app, "1").await, None);
    let disabled = ServerChange::with_state(domain::AdminState::Disabled);
    app.pool.update_server(&ServerId("a".to_owned()), disabled).await.unwrap();
    assert_eq!(bridged(&app, "71234").await, None);
    let meeting = app.pool.find_by_voice_bridge("71234").await.unwrap().unwrap().meeting;
    app.pool.forget_meeting(&meeting.key, &meeting.server, None, None).await.unwrap();
    let moved = Meeting { server: ServerId("b".to_owned()), ..meeting };
    app.pool.restore_meeting(&moved).await.unwrap();
    assert_eq!(bridged(&app, "71234").await.as_deref(), Some("SipHost(\"b\")"));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_guesses_is_hung_up_on_and_others_are_not() {
    let app = app_with_meetings().await;
    let max = app.policy.dial_in.max_wrong_pins;
    for _ in 0..max {
        assert_eq!(bridged(&app, "99").await, None);
    }
    for pin in ["99", "71234"] {
        let refused = answer(&app, &call(pin)).await;
        assert!(matches!(refused.dialplan, Some(Dialplan::HangUp { .. })));
    }
    let mut other = call("71234");
    other.caller_key = "+4940".to_owned();
    assert_eq!(answer(&app, &other).await.result, "connected");
    assert_eq!(answer(&app, &call("")).await.result, "asked for PIN");
    tokio::time::advance(std::time::Duration::from_secs(600)).await;
    assert_eq!(answer(&app, &call("71234")).await.result, "connected");
}

#[tokio::test]
async fn other_requests_find_nothing() {
    let app = app_with_meetings().await;
    let mut directory = call("71234");
    directory.section = "directory".to_owned();
    let mut undialled = call("71234");
    undialled.destination.clear();
    for call in [directory, undialled, PhoneCall::default()] {
        assert!(answer(&app, &call).await.dialplan.is_none());
    }
}

#[tokio::test]
async fn a_password_is_needed_unless_it_is_set_to_nothing() {
    let (app, _) = test_app(&[], |_| None).await;
    let with_password = |password: Option<&str>| {
        let mut policy = (*app.policy).clone();
        policy.dial_in.password = password.map(str::to_owned);
        App { policy: std::sync::Arc::new(policy), ..app.clone() }
    };
    let secret = with_password(Some("secret"));
    assert!(may_ask(&secret, "fsapi", "secret"));
    for (user, password) in [("fsapi", "secre"), ("fsapi", ""), ("", "secret"), ("FSAPI", "secret")]
    {
        assert!(!may_ask(&secret, user, password), "{user} {password}");
    }
    assert!(may_ask(&with_password(None), "", ""));
    assert!(!may_ask(&with_password(Some("")), "fsapi", ""), "there is no secret at all");
}
