//! Revivals: when users join a meeting whose server is offline, it is made anew on another server, once, as
//! it was; and what must not be made anew is not.

use std::time::Duration;

use bbb_sim::{BbbServer, Fault, FaultMode, Latency, Preload};
use testkit::deployment::TestDeployment;
use testkit::process;
use testkit::product::{ClientResponse, exchange, new_request, signed_target, wait_until};

use crate::tenants::{MULTITENANCY, add_tenant, call_as_tenant};
use crate::tools::{
    assert_failed, assert_success, create, parameter, start_deployment, start_deployment_with,
    take_requests,
};

const JOIN: &str = "fullName=A&role=VIEWER";

async fn join(deployment: &TestDeployment, id: &str) -> ClientResponse {
    deployment.product.call("join", &format!("meetingID={id}&{JOIN}")).await.unwrap()
}

#[track_caller]
fn assert_sent_to(response: &ClientResponse, server: &BbbServer) -> String {
    assert_eq!(response.status, 302, "{}", response.text());
    let location = response.header("location").unwrap();
    assert!(location.starts_with(&format!("{}/join?", server.url())), "{location}");
    location.split_once('?').unwrap().1.to_owned()
}

/// Returns the server that has a meeting, and the other one of two.
fn server_and_other(deployment: &TestDeployment, id: &str) -> (BbbServer, BbbServer) {
    let server = deployment.servers_with(id)[0].clone();
    let mut servers = deployment.pool.servers().iter();
    let other = servers.find(|other| other.number() != server.number()).unwrap();
    (server, other.clone())
}

/// Makes a server unreachable, and has the balancer find that out.
async fn kill(deployment: &TestDeployment, server: &BbbServer) {
    server.set_fault(FaultMode::Refuse);
    poll_twice(deployment).await;
}

async fn poll_twice(deployment: &TestDeployment) {
    deployment.product.poll_servers().await.unwrap();
    deployment.product.poll_servers().await.unwrap();
}

#[tokio::test]
async fn a_join_makes_the_meeting_of_a_dead_server_anew_as_it_was() {
    let deployment = start_deployment(2).await;
    let query = "meetingID=m1&name=M%C3%BCller&welcome=Hi&record=true&duration=120&meta_x=y";
    let created = deployment.product.call("create", query).await.unwrap();
    assert_success(&created);
    let (dead, other) = server_and_other(&deployment, "m1");
    let first = dead.meeting("m1").unwrap();
    kill(&deployment, &dead).await;
    let running = deployment.product.call("isMeetingRunning", "meetingID=m1").await.unwrap();
    assert_eq!(running.xml_field("running"), "false");
    let _ = other.take_log();

    let create_time = created.xml_field("createTime");
    let join_query = format!("meetingID=m1&{JOIN}&createTime={create_time}");
    let joined = deployment.product.call("join", &join_query).await.unwrap();
    let sent = assert_sent_to(&joined, &other);
    let second = other.meeting("m1").unwrap();
    let told = (&second.attendee_pw, &second.moderator_pw, &second.voice_bridge, &second.name);
    let before = (&first.attendee_pw, &first.moderator_pw, &first.voice_bridge, &first.name);
    assert_eq!(told, before);
    let creates = take_requests(&other, "create");
    assert_eq!(creates.len(), 1);
    for (name, value) in
        [("welcome", "Hi"), ("record", "true"), ("duration", "120"), ("meta_x", "y")]
    {
        assert_eq!(parameter(&creates[0].query, name).as_deref(), Some(value));
    }
    // The join carries the createTime of the meeting that there is, whenever it comes.
    let current = second.create_time_ms.to_string();
    assert_ne!(current, create_time);
    assert_eq!(parameter(&sent, "createTime"), Some(current.clone()));
    let again = deployment.product.call("join", &join_query).await.unwrap();
    assert_eq!(parameter(&assert_sent_to(&again, &other), "createTime"), Some(current));
    let wrong = format!("meetingID=m1&{JOIN}&createTime=5");
    let wrong = deployment.product.call("join", &wrong).await.unwrap();
    assert_eq!(parameter(&assert_sent_to(&wrong, &other), "createTime").as_deref(), Some("5"));
    assert!(take_requests(&other, "create").is_empty());

    let info = deployment.product.call("getMeetingInfo", "meetingID=m1").await.unwrap();
    assert_eq!(info.xml_field("internalMeetingID"), second.internal_id);
    let is_logged = async || deployment.product.log().contains("meeting revived");
    wait_until("the revival is logged", is_logged).await.unwrap();
    let log = deployment.product.log();
    assert!(!log.contains(&first.moderator_pw), "no password in the log");
    let shown =
        process::run(deployment.product.setup(), &["meetings", "info", "m1"]).await.unwrap();
    assert!(shown.stdout.contains("\tRevived: "), "{}", shown.stdout);
    // A create that comes meanwhile is a repetition.
    let repeated = deployment.product.call("create", query).await.unwrap();
    assert_eq!(repeated.xml_field("internalMeetingID"), second.internal_id);
}

#[tokio::test]
async fn many_joins_at_once_make_each_meeting_once() {
    let deployment = start_deployment(4).await;
    let ids: Vec<String> = (0..24).map(|n| format!("m{n}")).collect();
    for id in &ids {
        create(&deployment.product, id).await;
    }
    let dead = deployment.servers_with("m0")[0].clone();
    let lost: Vec<String> = dead.meetings().into_iter().map(|meeting| meeting.id).collect();
    kill(&deployment, &dead).await;
    let alive: Vec<&BbbServer> =
        deployment.pool.servers().iter().filter(|it| it.number() != dead.number()).collect();
    for server in &alive {
        server.set_create_latency(Latency::Fixed(Duration::from_millis(300)));
        let _ = server.take_log();
    }
    let port = deployment.product.port();
    let joins = lost.iter().cycle().take(lost.len() * 6).map(|id| {
        let target = signed_target("join", &format!("meetingID={id}&{JOIN}"));
        tokio::spawn(async move { exchange(port, &new_request("GET", &target)).await.unwrap() })
    });
    for joined in joins.collect::<Vec<_>>() {
        let joined = joined.await.unwrap();
        assert_eq!(joined.status, 302, "{}", joined.text());
    }
    let creates = alive.iter().map(|server| take_requests(server, "create").len());
    assert_eq!(creates.sum::<usize>(), lost.len());
    for id in &lost {
        let having = alive.iter().filter(|server| server.meeting(id).is_some());
        assert_eq!(having.count(), 1, "{id}");
    }
}

#[tokio::test]
async fn revivals_can_be_turned_off() {
    let deployment = start_deployment_with(2, &[("MEETING_REVIVAL_WINDOW", "0")]).await;
    create(&deployment.product, "m1").await;
    let (dead, other) = server_and_other(&deployment, "m1");
    kill(&deployment, &dead).await;
    assert_failed(&join(&deployment, "m1").await, "serverUnavailable");
    assert_eq!(other.meeting("m1"), None);
}

#[tokio::test]
async fn slides_are_kept_up_to_a_limit() {
    let deployment = start_deployment(2).await;
    let document = |size: usize| {
        let slides = "x".repeat(size);
        format!(
            "<modules><module name=\"presentation\"><document name=\"a.txt\">{slides}</document></module></modules>"
        )
    };
    let create = async |id: &str, body: &str| {
        let query = format!("meetingID={id}&name=Meeting");
        let post = deployment.product.post("create", &query, "application/xml", body.as_bytes());
        assert_success(&post.await.unwrap());
    };
    let small = document(1_000);
    create("small", &small).await;
    let (dead, other) = server_and_other(&deployment, "small");
    kill(&deployment, &dead).await;
    let _ = other.take_log();
    assert_sent_to(&join(&deployment, "small").await, &other);
    let creates = take_requests(&other, "create");
    assert_eq!(creates.len(), 1);
    assert_eq!(String::from_utf8_lossy(&creates[0].body), small);
    assert_eq!(creates[0].header("content-type"), Some("application/xml"));

    create("large", &document(300_000)).await;
    dead.clear_fault();
    poll_twice(&deployment).await;
    kill(&deployment, &other).await;
    assert_failed(&join(&deployment, "large").await, "serverUnavailable");
    assert_sent_to(&join(&deployment, "small").await, &dead);
}

#[tokio::test]
async fn what_was_ended_or_is_not_ours_is_not_made_anew() {
    let deployment = start_deployment(2).await;
    create(&deployment.product, "ended").await;
    let (dead, other) = server_and_other(&deployment, "ended");
    // A meeting that was found there, and a breakout room.
    dead.preload(Preload { ids: vec!["found".to_owned()], users: 3, ..Preload::default() });
    let breakout =
        "meetingID=breakout&name=Breakout&isBreakout=true&parentMeetingID=ended&sequence=1";
    let created = deployment.product.call("create", breakout).await.unwrap();
    assert_eq!(created.status, 200);
    deployment.product.poll_servers().await.unwrap();
    kill(&deployment, &dead).await;
    let ended = deployment.product.call("end", "meetingID=ended&password=x").await.unwrap();
    assert_failed(&ended, "notFound");
    assert_failed(&join(&deployment, "ended").await, "notFound");
    let found = join(&deployment, "found").await.xml_field("messageKey");
    assert!(["notFound", "serverUnavailable"].contains(&found.as_str()), "{found}");
    assert_eq!((other.meeting("ended"), other.meeting("found")), (None, None));
    dead.clear_fault();
    poll_twice(&deployment).await;
    assert_eq!(dead.meeting("ended"), None, "ended when its server is back");
}

#[tokio::test]
async fn a_server_that_is_only_suspect_keeps_its_meetings() {
    let settings = [("SERVER_UNHEALTHY_THRESHOLD", "9")];
    let deployment = start_deployment_with(2, &settings).await;
    create(&deployment.product, "m1").await;
    let (suspect, other) = server_and_other(&deployment, "m1");
    suspect.set_fault(Fault::for_calls(FaultMode::Reset, &["getMeetings"]));
    deployment.product.poll_servers().await.unwrap();
    let _ = suspect.take_log();
    // It answers the question that is asked before users are sent there.
    assert_sent_to(&join(&deployment, "m1").await, &suspect);
    assert_eq!(take_requests(&suspect, "isMeetingRunning").len(), 1);
    // It answers nothing, and is not offline yet.
    suspect.set_fault(FaultMode::Refuse);
    let unavailable = async || {
        let joined = join(&deployment, "m1").await;
        joined.status == 200 && joined.xml_field("messageKey") == "serverUnavailable"
    };
    wait_until("the last answer is too old", unavailable).await.unwrap();
    assert_eq!(other.meeting("m1"), None);
    suspect.clear_fault();
    deployment.product.poll_servers().await.unwrap();
    let _ = suspect.take_log();
    assert_sent_to(&join(&deployment, "m1").await, &suspect);
    assert!(
        take_requests(&suspect, "isMeetingRunning").is_empty(),
        "a healthy server is not asked"
    );
}

#[tokio::test]
async fn a_join_to_a_server_that_has_just_died_finds_it_offline_and_revives_the_meeting() {
    let deployment = start_deployment(2).await;
    create(&deployment.product, "m1").await;
    let (dead, other) = server_and_other(&deployment, "m1");
    dead.set_fault(FaultMode::Refuse);
    deployment.product.poll_servers().await.unwrap();
    // Suspect: the question fails, and the poll that follows takes it offline.
    assert_sent_to(&join(&deployment, "m1").await, &other);
}

#[tokio::test]
async fn a_slow_server_that_is_suspect_is_not_dead() {
    let deployment = start_deployment(2).await;
    create(&deployment.product, "m1").await;
    let (slow, _) = server_and_other(&deployment, "m1");
    slow.set_fault(FaultMode::Refuse);
    deployment.product.poll_servers().await.unwrap();
    slow.clear_fault();
    slow.set_latency(Latency::Fixed(Duration::from_millis(800)));
    assert_sent_to(&join(&deployment, "m1").await, &slow);
}

#[tokio::test]
async fn a_revival_that_fails_is_tried_again_and_loses_nothing() {
    let deployment = start_deployment(2).await;
    create(&deployment.product, "m1").await;
    let (dead, other) = server_and_other(&deployment, "m1");
    kill(&deployment, &dead).await;
    other.set_fault(Fault::for_calls(FaultMode::Error500, &["create"]));
    assert_failed(&join(&deployment, "m1").await, "serverUnavailable");
    // No server is left: the meeting waits for its own.
    other.set_fault(FaultMode::Refuse);
    poll_twice(&deployment).await;
    assert_failed(&join(&deployment, "m1").await, "serverUnavailable");
    dead.clear_fault();
    poll_twice(&deployment).await;
    assert_sent_to(&join(&deployment, "m1").await, &dead);
    // It dies again, and the other one can make it now.
    other.clear_fault();
    poll_twice(&deployment).await;
    kill(&deployment, &dead).await;
    let revived = async || join(&deployment, "m1").await.status == 302;
    wait_until("revived", revived).await.unwrap();
    assert!(other.meeting("m1").is_some());
}

#[tokio::test]
async fn a_join_waits_for_a_slow_create() {
    let deployment = start_deployment(2).await;
    create(&deployment.product, "m1").await;
    let (dead, other) = server_and_other(&deployment, "m1");
    kill(&deployment, &dead).await;
    other.set_create_latency(Latency::Fixed(Duration::from_millis(2_500)));
    let _ = other.take_log();
    assert_sent_to(&join(&deployment, "m1").await, &other);
    assert_eq!(take_requests(&other, "create").len(), 1);
}

#[tokio::test]
async fn a_meeting_that_is_ended_during_its_revival_does_not_come_back() {
    let deployment = start_deployment(2).await;
    let query = "meetingID=m1&name=Meeting&moderatorPW=mp";
    assert_success(&deployment.product.call("create", query).await.unwrap());
    let (dead, other) = server_and_other(&deployment, "m1");
    kill(&deployment, &dead).await;
    other.set_create_latency(Latency::Fixed(Duration::from_millis(1_500)));
    let _ = other.take_log();
    let port = deployment.product.port();
    let joining = tokio::spawn(async move {
        let target = signed_target("join", &format!("meetingID=m1&{JOIN}"));
        exchange(port, &new_request("GET", &target)).await.unwrap()
    });
    let is_asked = async || other.call_counts().contains_key("create");
    wait_until("asked", is_asked).await.unwrap();
    assert_success(&deployment.product.call("end", "meetingID=m1&password=mp").await.unwrap());
    assert_failed(&joining.await.unwrap(), "notFound");
    poll_twice(&deployment).await;
    assert_eq!(other.meeting("m1"), None);
    assert_failed(&join(&deployment, "m1").await, "notFound");
}

#[tokio::test]
async fn when_the_old_server_is_back_the_fuller_copy_stays() {
    let deployment = start_deployment_with(2, &[("MEETING_GRACE", "0")]).await;
    create(&deployment.product, "full").await;
    let (dead, other) = server_and_other(&deployment, "full");
    dead.set_users("full", 5, 1);
    // The users of `full` stay in it: the balancer alone cannot reach its server.
    kill(&deployment, &dead).await;
    assert_sent_to(&join(&deployment, "full").await, &other);
    dead.clear_fault();
    poll_twice(&deployment).await;
    let having: Vec<usize> =
        deployment.servers_with("full").iter().map(|server| server.number()).collect();
    assert_eq!(having, [dead.number()]);
    assert_sent_to(&join(&deployment, "full").await, &dead);
}

#[tokio::test]
async fn a_tenants_meeting_is_made_anew_for_that_tenant() {
    let settings = [MULTITENANCY, ("URL_HOST", "balancer.test")];
    let deployment = start_deployment_with(2, &settings).await;
    let acme = add_tenant(&deployment, "acme", "s1").await;
    add_tenant(&deployment, "beta", "s2").await;
    let call = async |host: &str, secret: &str, name: &str, query: &str| {
        call_as_tenant(&deployment, &format!("{host}.balancer.test"), secret, name, query).await
    };
    assert_success(&call("acme", "s1", "create", "meetingID=m1&name=Meeting").await);
    let (dead, other) = server_and_other(&deployment, "m1");
    kill(&deployment, &dead).await;
    let join = format!("meetingID=m1&{JOIN}");
    assert_failed(&call("beta", "s2", "join", &join).await, "notFound");
    assert_sent_to(&call("acme", "s1", "join", &join).await, &other);
    let metadata = other.meeting("m1").unwrap().meta;
    assert!(metadata.contains(&("tenant-id".to_owned(), acme)), "{metadata:?}");
}
