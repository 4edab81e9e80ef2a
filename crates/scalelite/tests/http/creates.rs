//! `create`: repeated and concurrent creates of an id make one meeting.

use std::collections::HashSet;

use crate::tools::{
    assert_failed, assert_success, create, parameter, start_deployment, take_requests,
};

/// Number of meetings, each of which several front-ends create at the same time.
const MEETINGS: usize = 50;
const CONCURRENCY: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn parallel_creates_of_one_id_make_one_meeting() {
    let deployment = start_deployment(5).await;
    let meeting = async |n: usize| {
        let query = format!("meetingID=race-{n}&name=Race+{n}");
        let creates = (0..CONCURRENCY).map(|_| deployment.product.call("create", &query));
        futures_util::future::try_join_all(creates).await.unwrap()
    };
    let responses = futures_util::future::join_all((0..MEETINGS).map(meeting)).await;
    for (n, responses) in responses.iter().enumerate() {
        responses.iter().for_each(assert_success);
        let inner: HashSet<_> =
            responses.iter().map(|response| response.xml_field("internalMeetingID")).collect();
        assert_eq!(inner.len(), 1, "race-{n}: {inner:?}");
        let keys = responses.iter().map(|response| response.xml_field("messageKey"));
        let repeated = keys.filter(|key| key == "duplicateWarning").count();
        assert_eq!(repeated, CONCURRENCY - 1, "race-{n}");
        assert_eq!(deployment.servers_with(&format!("race-{n}")).len(), 1);
    }
    let made: usize = deployment.pool.servers().iter().map(|server| server.meetings().len()).sum();
    assert_eq!(made, MEETINGS);
}

#[tokio::test]
async fn a_create_without_passwords_may_be_repeated() {
    let deployment = start_deployment(2).await;
    let first = create(&deployment.product, "twice").await;
    assert_eq!(first.xml_field("messageKey"), "");
    assert!(!first.xml_field("moderatorPW").is_empty());
    let second = create(&deployment.product, "twice").await;
    assert_eq!(second.xml_field("messageKey"), "duplicateWarning");
    for same in ["internalMeetingID", "createTime", "moderatorPW", "voiceBridge"] {
        assert_eq!(first.xml_field(same), second.xml_field(same), "{same}");
    }
    let server = deployment.servers_with("twice")[0];
    let sent = take_requests(server, "create");
    let password = parameter(&sent[0].query, "moderatorPW").unwrap();
    assert_eq!(password.len(), 8);
    assert!(password.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    // A repeated create must not send it: the server would compare it.
    assert_eq!(parameter(&sent[1].query, "moderatorPW"), None);
}

#[tokio::test]
async fn a_create_with_other_passwords_gets_the_refusal_of_the_server() {
    let deployment = start_deployment(1).await;
    let query = "meetingID=pw&name=Pw&attendeePW=aa&moderatorPW=mm";
    assert_success(&deployment.product.call("create", query).await.unwrap());
    let repeated = deployment.product.call("create", query).await.unwrap();
    assert_eq!(repeated.xml_field("messageKey"), "duplicateWarning");
    let other = "meetingID=pw&name=Pw&attendeePW=aa&moderatorPW=other";
    let response = deployment.product.call("create", other).await.unwrap();
    assert_failed(&response, "idNotUnique");
    let text = "A meeting already exists with that meeting ID.  Please use a different meeting ID.";
    assert_eq!(response.xml_field("message"), text);
    // The meeting is still recorded.
    let response = deployment.product.call("getMeetingInfo", "meetingID=pw");
    assert_success(&response.await.unwrap());
}

#[tokio::test]
async fn the_create_time_is_the_same_everywhere() {
    let deployment = start_deployment(2).await;
    let created = create(&deployment.product, "timed").await.xml_field("createTime");
    let view = &deployment.servers_with("timed")[0].meetings()[0];
    assert_eq!(created, view.create_time_ms.to_string());
    let info = deployment.product.call("getMeetingInfo", "meetingID=timed");
    let info = info.await.unwrap();
    assert_eq!(info.xml_field("createTime"), created);
    let list = deployment.product.call("getMeetings", "").await.unwrap();
    assert_eq!(list.xml_field("createTime"), created);
    let join = format!("meetingID=timed&fullName=A&role=VIEWER&createTime={created}");
    let join = deployment.product.call("join", &join).await.unwrap();
    let location = join.header("location").unwrap();
    assert_eq!(parameter(location.split_once('?').unwrap().1, "createTime"), Some(created));
}

#[tokio::test]
async fn the_balancer_chooses_voice_bridges_and_keeps_them_unique() {
    let deployment = start_deployment(2).await;
    let mut numbers = HashSet::new();
    for n in 0..20 {
        let query = format!("meetingID=dial-{n}&name=Dial&voiceBridge=70000");
        let response = deployment.product.call("create", &query).await.unwrap();
        assert_success(&response);
        let number = response.xml_field("voiceBridge");
        assert!(number.len() == 9 && !number.starts_with('0'), "{number}");
        assert!(numbers.insert(number));
    }
}

#[tokio::test]
async fn odd_ids_are_kept_byte_for_byte() {
    let deployment = start_deployment(3).await;
    for (id, decoded) in [
        ("%20lead%20and%20trail%20", " lead and trail "),
        ("a/b%2Fc%25d", "a/b/c%d"),
        ("%E2%98%83%20%F0%9F%98%80", "☃ 😀"),
        ("%22%3Cb%3E%26%27", "\"<b>&'"),
        ("CASE", "CASE"),
        ("case", "case"),
    ] {
        let response = create(&deployment.product, id).await;
        assert_eq!(response.xml_field("messageKey"), "", "{decoded}");
        assert_eq!(deployment.servers_with(decoded).len(), 1, "{decoded}");
        let query = format!("meetingID={id}");
        let info = deployment.product.call("getMeetingInfo", &query).await.unwrap();
        assert_success(&info);
        assert_eq!(info.xml_field("createTime"), response.xml_field("createTime"));
    }
}

#[tokio::test]
async fn a_create_without_an_id_is_refused() {
    let deployment = start_deployment(1).await;
    for query in ["", "name=x", "meetingID=&name=x", "meetingID=+%20&name=x"] {
        let response = deployment.product.call("create", query).await.unwrap();
        assert_failed(&response, "missingParamMeetingID");
    }
    // The server checks everything else about an id.
    let response = deployment.product.call("create", "meetingID=a,b&name=Comma");
    assert_failed(&response.await.unwrap(), "validationError");
}
