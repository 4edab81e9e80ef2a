//! Signatures: where they may stand, how long they are, and that they cover the query as it was
//! sent and nothing else.

use bbb_sim::Algorithm;
use testkit::deployment::TestDeployment;
use testkit::product::{API_PATH, SECRET};

use crate::tools::{
    assert_failed, assert_success, digest, parameter, send, start_deployment, take_requests,
};

const QUERY: &str = "meetingID=room-7&random=1";

async fn get_signed(
    world: &TestDeployment,
    call: &str,
    query: &str,
) -> testkit::product::ClientResponse {
    let target = format!("{API_PATH}/{call}?{query}");
    world.product.get(&target).await.unwrap()
}

#[tokio::test]
async fn a_checksum_may_stand_first_in_the_middle_and_last() {
    let world = start_deployment(0).await;
    let sum = digest(Algorithm::Sha1, "getMeetings", QUERY);
    for query in [
        format!("checksum={sum}&{QUERY}"),
        format!("meetingID=room-7&checksum={sum}&random=1"),
        format!("{QUERY}&checksum={sum}"),
    ] {
        assert_success(&get_signed(&world, "getMeetings", &query).await);
    }
    // An empty pair and an `&` at the end are signed like everything else.
    for signed in ["a=1&", "a=1&&b=2&", "&a=1"] {
        let sum = digest(Algorithm::Sha1, "getMeetings", signed);
        let query = format!("{signed}&checksum={sum}");
        assert_success(&get_signed(&world, "getMeetings", &query).await);
    }
}

#[tokio::test]
async fn a_call_without_parameters_is_signed_over_nothing() {
    let world = start_deployment(0).await;
    let sum = digest(Algorithm::Sha1, "getMeetings", "");
    for query in [format!("checksum={sum}"), format!("&checksum={sum}")] {
        let answer = get_signed(&world, "getMeetings", &query).await;
        assert_success(&answer);
        assert_eq!(answer.xml_field("messageKey"), "noMeetings");
    }
}

#[tokio::test]
async fn the_length_tells_the_algorithm_and_case_does_not_matter() {
    let world = start_deployment(0).await;
    for algorithm in Algorithm::ALL {
        let sum = digest(algorithm, "getMeetings", QUERY);
        let call = |sum: &str| format!("{QUERY}&checksum={sum}");
        assert_success(&get_signed(&world, "getMeetings", &call(&sum)).await);
        let upper = sum.to_uppercase();
        assert_success(&get_signed(&world, "getMeetings", &call(&upper)).await);
        for wrong in [&sum[1..], &format!("{sum}0"), &"0".repeat(sum.len())] {
            let answer = get_signed(&world, "getMeetings", &call(wrong)).await;
            assert_failed(&answer, "checksumError");
        }
    }
}

#[tokio::test]
async fn a_missing_empty_or_repeated_checksum_is_refused() {
    let world = start_deployment(0).await;
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
        let answer = get_signed(&world, "getMeetings", &query).await;
        assert_failed(&answer, "checksumError");
    }
}

#[tokio::test]
async fn a_checksum_covers_the_call_the_spelling_and_the_secret() {
    let world = start_deployment(1).await;
    let spellings = [
        "meetingID=a+b&name=%c3%bcx",
        "meetingID=a%20b&name=%C3%BCx",
        "meetingID=a+b&name=%C3%BCx",
        "name=%c3%bcx&meetingID=a+b",
    ];
    for sent in spellings {
        for signed in spellings {
            let sum = digest(Algorithm::Sha256, "create", signed);
            let answer = get_signed(&world, "create", &format!("{sent}&checksum={sum}")).await;
            if sent == signed {
                assert_success(&answer);
                let reached = take_requests(&world.pool.servers()[0], "create");
                let query = &reached[0].query;
                assert_eq!(parameter(query, "meetingID").as_deref(), Some("a b"));
                assert_eq!(parameter(query, "name").as_deref(), Some("üx"));
            } else {
                assert_failed(&answer, "checksumError");
            }
        }
    }
    let foreign = digest(Algorithm::Sha256, "end", spellings[0]);
    let query = format!("{}&checksum={foreign}", spellings[0]);
    assert_failed(&get_signed(&world, "create", &query).await, "checksumError");
    let without_secret = Algorithm::Sha256.hex_digest(&format!("create{}", spellings[0]));
    let query = format!("{}&checksum={without_secret}", spellings[0]);
    assert_failed(&get_signed(&world, "create", &query).await, "checksumError");
}

#[tokio::test]
async fn encoded_names_and_dots_are_verified_raw_and_forwarded() {
    let world = start_deployment(1).await;
    let query = "meetingID=m1&name=M1&meta_a%2Db=1&userdata-a.b=2&x;y=3";
    assert_success(&world.product.call("create", query).await.unwrap());
    let server = &world.pool.servers()[0];
    let reached = &take_requests(server, "create")[0].query;
    assert!(reached.contains("meta_a%2Db=1"), "{reached}");
    assert!(reached.contains("userdata-a.b=2"), "{reached}");
    assert!(reached.contains("x;y=3"), "{reached}");
    let meta = server.meetings()[0].meta.clone();
    assert!(meta.contains(&("a-b".to_owned(), "1".to_owned())));
}

#[tokio::test]
async fn a_form_is_signed_over_its_query_and_never_overrides_it() {
    let world = start_deployment(1).await;
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let post = async |target: String, body: String| {
        let target = format!("{API_PATH}/create{target}");
        send(&world.product, "POST", &target, &form, Some(body.as_bytes())).await
    };
    // All in the body: signed over nothing.
    let sum = digest(Algorithm::Sha1, "create", "");
    let body = format!("meetingID=form-1&name=Form&checksum={sum}");
    assert_success(&post(String::new(), body).await);
    // The digest of older releases, over the sorted body, is refused.
    let sorted = digest(Algorithm::Sha1, "create", "meetingID=form-2&name=Form");
    let body = format!("meetingID=form-2&name=Form&checksum={sorted}");
    assert_failed(&post(String::new(), body).await, "checksumError");
    // Checksums in both places are two.
    let body = format!("meetingID=form-3&name=Form&checksum={sum}");
    let twice = post(format!("?checksum={sum}"), body).await;
    assert_failed(&twice, "checksumError");
    // What is signed wins.
    let signed = "meetingID=signed&name=Signed";
    let sum = digest(Algorithm::Sha256, "create", signed);
    let target = format!("?{signed}&checksum={sum}");
    let answer = post(target, "meetingID=forged&name=Forged&record=true".into()).await;
    assert_success(&answer);
    assert_eq!(answer.xml_field("meetingID"), "signed");
    assert!(world.servers_with("forged").is_empty());
    assert_eq!(world.servers_with("signed").len(), 1);
}

#[tokio::test]
async fn any_of_several_secrets_may_sign_and_algorithms_may_be_limited() {
    let settings = [
        ("LOADBALANCER_SECRETS", "second:third"),
        ("LOADBALANCER_CHECKSUM_ALGORITHM", "SHA256:SHA512"),
    ];
    let world = crate::tools::start_deployment_with(0, &settings).await;
    for secret in [SECRET, "second", "third", "second:third", ""] {
        for algorithm in Algorithm::ALL {
            let sum = algorithm.hex_digest(&format!("getMeetings{secret}"));
            let answer = get_signed(&world, "getMeetings", &format!("checksum={sum}")).await;
            let allowed = matches!(algorithm, Algorithm::Sha256 | Algorithm::Sha512);
            if allowed && !secret.is_empty() && secret != "second:third" {
                assert_success(&answer);
            } else {
                assert_failed(&answer, "checksumError");
            }
        }
    }
}
