//! Checksums: their position, their algorithms, and that they cover exactly the query as it was
//! sent.

use bbb_sim::Algorithm;
use testkit::deployment::TestDeployment;
use testkit::product::{API_PATH, SECRET};

use crate::tools::{
    assert_failed, assert_success, digest, parameter, send, start_deployment,
    start_deployment_with, take_requests,
};

const QUERY: &str = "meetingID=room-7&random=1";

async fn get_signed(
    deployment: &TestDeployment,
    call: &str,
    query: &str,
) -> testkit::product::ClientResponse {
    let target = format!("{API_PATH}/{call}?{query}");
    deployment.product.get(&target).await.unwrap()
}

#[tokio::test]
async fn a_checksum_may_be_first_in_the_middle_or_last() {
    let deployment = start_deployment(0).await;
    let sum = digest(Algorithm::Sha1, "getMeetings", QUERY);
    for query in [
        format!("checksum={sum}&{QUERY}"),
        format!("meetingID=room-7&checksum={sum}&random=1"),
        format!("{QUERY}&checksum={sum}"),
    ] {
        assert_success(&get_signed(&deployment, "getMeetings", &query).await);
    }
    // Empty pairs and a trailing `&` are part of the signed text.
    for signed in ["a=1&", "a=1&&b=2&", "&a=1"] {
        let sum = digest(Algorithm::Sha1, "getMeetings", signed);
        let query = format!("{signed}&checksum={sum}");
        assert_success(&get_signed(&deployment, "getMeetings", &query).await);
    }
}

#[tokio::test]
async fn the_checksum_of_a_call_without_parameters_covers_an_empty_query() {
    let deployment = start_deployment(0).await;
    let sum = digest(Algorithm::Sha1, "getMeetings", "");
    for query in [format!("checksum={sum}"), format!("&checksum={sum}")] {
        let response = get_signed(&deployment, "getMeetings", &query).await;
        assert_success(&response);
        assert_eq!(response.xml_field("messageKey"), "noMeetings");
    }
}

#[tokio::test]
async fn the_length_determines_the_algorithm_and_case_is_ignored() {
    let deployment = start_deployment(0).await;
    for algorithm in Algorithm::ALL {
        let sum = digest(algorithm, "getMeetings", QUERY);
        let call = |sum: &str| format!("{QUERY}&checksum={sum}");
        assert_success(&get_signed(&deployment, "getMeetings", &call(&sum)).await);
        let upper = sum.to_uppercase();
        assert_success(&get_signed(&deployment, "getMeetings", &call(&upper)).await);
        for wrong in [&sum[1..], &format!("{sum}0"), &"0".repeat(sum.len())] {
            let response = get_signed(&deployment, "getMeetings", &call(wrong)).await;
            assert_failed(&response, "checksumError");
        }
    }
}

#[tokio::test]
async fn a_missing_empty_or_repeated_checksum_is_refused() {
    let deployment = start_deployment(0).await;
    let sum = digest(Algorithm::Sha256, "getMeetings", QUERY);
    let other = digest(Algorithm::Sha1, "getMeetings", QUERY);
    for query in [
        QUERY.to_owned(),
        format!("{QUERY}&checksum="),
        format!("{QUERY}&checksum"),
        format!("checksum={sum}&{QUERY}&checksum={sum}"),
        format!("checksum={sum}&{QUERY}&checksum={other}"),
        format!("{QUERY}&checksum={sum}&checksum=x"),
        format!("{QUERY}&Checksum={sum}"),
    ] {
        let response = get_signed(&deployment, "getMeetings", &query).await;
        assert_failed(&response, "checksumError");
    }
}

#[tokio::test]
async fn a_checksum_covers_the_call_the_raw_query_and_the_secret() {
    let deployment = start_deployment(1).await;
    let spellings = [
        "meetingID=a+b&name=%c3%bcx",
        "meetingID=a%20b&name=%C3%BCx",
        "meetingID=a+b&name=%C3%BCx",
        "name=%c3%bcx&meetingID=a+b",
    ];
    for sent in spellings {
        for signed in spellings {
            let sum = digest(Algorithm::Sha256, "create", signed);
            let response =
                get_signed(&deployment, "create", &format!("{sent}&checksum={sum}")).await;
            if sent == signed {
                assert_success(&response);
                let reached = take_requests(&deployment.pool.servers()[0], "create");
                let query = &reached[0].query;
                assert_eq!(parameter(query, "meetingID").as_deref(), Some("a b"));
                assert_eq!(parameter(query, "name").as_deref(), Some("üx"));
            } else {
                assert_failed(&response, "checksumError");
            }
        }
    }
    let foreign = digest(Algorithm::Sha256, "end", spellings[0]);
    let query = format!("{}&checksum={foreign}", spellings[0]);
    assert_failed(&get_signed(&deployment, "create", &query).await, "checksumError");
    let without_secret = Algorithm::Sha256.hex_digest(&format!("create{}", spellings[0]));
    let query = format!("{}&checksum={without_secret}", spellings[0]);
    assert_failed(&get_signed(&deployment, "create", &query).await, "checksumError");
}

#[tokio::test]
async fn encoded_names_and_dots_are_verified_raw_and_forwarded() {
    let deployment = start_deployment(1).await;
    let query = "meetingID=m1&name=M1&meta_a%2Db=1&userdata-a.b=2&x;y=3";
    assert_success(&deployment.product.call("create", query).await.unwrap());
    let server = &deployment.pool.servers()[0];
    let reached = &take_requests(server, "create")[0].query;
    assert!(reached.contains("meta_a%2Db=1"), "{reached}");
    assert!(reached.contains("userdata-a.b=2"), "{reached}");
    assert!(reached.contains("x;y=3"), "{reached}");
    let meta = server.meetings()[0].meta.clone();
    assert!(meta.contains(&("a-b".to_owned(), "1".to_owned())));
}

#[tokio::test]
async fn a_form_is_signed_over_its_query_and_never_overrides_it() {
    let deployment = start_deployment(1).await;
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let post = async |target: String, body: String| {
        let target = format!("{API_PATH}/create{target}");
        send(&deployment.product, "POST", &target, &form, Some(body.as_bytes())).await
    };
    // All parameters in the body: the checksum covers an empty query.
    let sum = digest(Algorithm::Sha1, "create", "");
    let body = format!("meetingID=form-1&name=Form&checksum={sum}");
    assert_success(&post(String::new(), body).await);
    // The checksum of older releases, over the sorted body, is refused.
    let sorted = digest(Algorithm::Sha1, "create", "meetingID=form-2&name=Form");
    let body = format!("meetingID=form-2&name=Form&checksum={sorted}");
    assert_failed(&post(String::new(), body).await, "checksumError");
    // A checksum in the query and one in the body.
    let body = format!("meetingID=form-3&name=Form&checksum={sum}");
    let twice = post(format!("?checksum={sum}"), body).await;
    assert_failed(&twice, "checksumError");
    // The signed query takes precedence over the body.
    let signed = "meetingID=signed&name=Signed";
    let sum = digest(Algorithm::Sha256, "create", signed);
    let target = format!("?{signed}&checksum={sum}");
    let response = post(target, "meetingID=forged&name=Forged&record=true".into()).await;
    assert_success(&response);
    assert_eq!(response.xml_field("meetingID"), "signed");
    assert!(deployment.servers_with("forged").is_empty());
    assert_eq!(deployment.servers_with("signed").len(), 1);
}

#[tokio::test]
async fn any_of_several_secrets_may_sign_and_algorithms_may_be_limited() {
    let settings = [
        ("LOADBALANCER_SECRETS", "second:third"),
        ("LOADBALANCER_CHECKSUM_ALGORITHM", "SHA256:SHA512"),
    ];
    let deployment = start_deployment_with(0, &settings).await;
    for secret in [SECRET, "second", "third", "second:third", ""] {
        for algorithm in Algorithm::ALL {
            let sum = algorithm.hex_digest(&format!("getMeetings{secret}"));
            let response = get_signed(&deployment, "getMeetings", &format!("checksum={sum}")).await;
            let allowed = matches!(algorithm, Algorithm::Sha256 | Algorithm::Sha512);
            if allowed && !secret.is_empty() && secret != "second:third" {
                assert_success(&response);
            } else {
                assert_failed(&response, "checksumError");
            }
        }
    }
}

/// BBB 2.4 to 2.7.7 verifies a form over its parameters, sorted by name and encoded as Java does.
#[tokio::test]
async fn a_form_may_be_signed_over_its_sorted_parameters_if_that_is_allowed() {
    let signed = "meetingID=room+7&name=%C3%84+%26+B*&record=false";
    let sum = digest(Algorithm::Sha1, "create", signed);
    let body = format!("record=false&name=%C3%84%20%26%20B%2A&checksum={sum}&meetingID=room%207");
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let target = format!("{API_PATH}/create");
    let deployment = start_deployment(1).await;
    let refused = send(&deployment.product, "POST", &target, &form, Some(body.as_bytes())).await;
    assert_failed(&refused, "checksumError");
    let allowed = [("ACCEPT_FORM_CHECKSUMS", "true")];
    let deployment = start_deployment_with(1, &allowed).await;
    let created = send(&deployment.product, "POST", &target, &form, Some(body.as_bytes())).await;
    assert_success(&created);
    assert_eq!(created.xml_field("meetingID"), "room 7");
    for wrong in [
        body.replace("record=false", "record=true"),
        format!("{body}&moderatorPW=mine"),
        format!("{body}&checksum={sum}"),
        body.replace(&sum, ""),
    ] {
        let response = send(&deployment.product, "POST", &target, &form, Some(wrong.as_bytes()));
        assert_failed(&response.await, "checksumError");
    }
    // Parameters of the query belong to the signed ones.
    let added = format!("{target}?moderatorPW=mine");
    let response = send(&deployment.product, "POST", &added, &form, Some(body.as_bytes())).await;
    assert_failed(&response, "checksumError");
    // The rule of BBB 3.0 holds as well.
    let sum = digest(Algorithm::Sha256, "isMeetingRunning", "");
    let body = format!("meetingID=room+7&checksum={sum}");
    let target = format!("{API_PATH}/isMeetingRunning");
    let response = send(&deployment.product, "POST", &target, &form, Some(body.as_bytes())).await;
    assert_success(&response);
}
