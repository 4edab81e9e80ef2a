//! The whole life of a recording from outside: in directories and in a bucket, on each kind of store.

use testkit::product::{Product, outgoing, until};
use testkit::samples::{FORMATS, Sample, WEBCAMS_MP4};
use testkit::stores::Kind;

use crate::house::{Files, House, assert_hidden, assert_shown, change, listed};
use crate::tools::add_server;
use crate::uploads;

#[tokio::test(flavor = "multi_thread")]
async fn in_directories_and_sqlite() {
    whole_life(Kind::Embedded, Files::Directories).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_directories_and_postgres() {
    whole_life(Kind::RedisAndPostgres, Files::Directories).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_bucket_and_sqlite() {
    whole_life(Kind::Embedded, Files::Bucket).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_bucket_and_postgres() {
    whole_life(Kind::RedisAndPostgres, Files::Bucket).await;
}

async fn whole_life(kind: Kind, files: Files) {
    let house = House::new(kind, files).await;
    let product = house.setup.start().await.unwrap();
    let (spooled, uploaded) = (Sample::new(1), Sample::new(2));
    house.import(&product, &spooled).await;
    upload(&product, &uploaded).await;
    for sample in [&spooled, &uploaded] {
        assert_shown(&product, sample).await;
        assert_links_lead_somewhere(&product, sample).await;
        assert_seeks(&product, sample).await;
        let id = format!("recordID={}", sample.record_id);
        for _ in 0..2 {
            change(&product, "publishRecordings", &format!("{id}&publish=false")).await;
            assert_hidden(&product, sample).await;
            let there = house.traces(sample).await;
            assert!(!there.iter().any(|path| path.contains("/published/")), "{there:?}");
            assert!(!there.iter().any(|path| path.starts_with("published/")), "{there:?}");
        }
        assert!(listed(&product, sample).await.contains("<state>unpublished</state>"));
        change(&product, "publishRecordings", &format!("{id}&publish=true")).await;
        assert_shown(&product, sample).await;
        for _ in 0..2 {
            let deleted = change(&product, "deleteRecordings", &id).await;
            assert_eq!(deleted.field("deleted"), "true");
            assert_hidden(&product, sample).await;
            assert_eq!(house.traces(sample).await, [""; 0]);
        }
        assert!(listed(&product, sample).await.contains("noRecordings"));
        let back = product.call("publishRecordings", &format!("{id}&publish=true")).await.unwrap();
        assert_eq!(back.field("returncode"), "FAILED");
    }
    house.command(&house.setup, &["recordings", "check"]).await;
}

async fn upload(product: &Product, sample: &Sample) {
    add_server(product, uploads::SECRET).await;
    let archive = sample.archive(&FORMATS);
    let digest = uploads::digest(&archive);
    let headers = [("Repr-Digest", digest.as_str())];
    let answer = uploads::ask(product, "PUT", sample, &headers, Some(&archive)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let there = async || {
        listed(product, sample)
            .await
            .contains("<returncode>SUCCESS</returncode><recordings><recording>")
    };
    until("listed", there).await.unwrap();
}

/// Whatever getRecordings names, of playbacks and of previews.
async fn assert_links_lead_somewhere(product: &Product, sample: &Sample) {
    let text = listed(product, sample).await;
    let links = text.split("http://").skip(1).filter_map(|rest| rest.split('<').next());
    let targets: Vec<String> =
        links.filter_map(|link| Some(format!("/{}", link.split_once('/')?.1))).collect();
    assert!(targets.len() > FORMATS.len(), "{text}");
    for target in targets {
        let answer = product.get(&target).await.unwrap();
        assert!(answer.status < 400, "{target}: {}", answer.status);
    }
}

/// A player that jumps into the film.
async fn assert_seeks(product: &Product, sample: &Sample) {
    let film = WEBCAMS_MP4;
    let mut request = outgoing("GET", &format!("/video/{}/video-0.m4v", sample.record_id));
    request.headers.push(("Range".to_owned(), "bytes=60000-60999".to_owned()));
    let part = product.send(&request).await.unwrap();
    assert_eq!((part.status, part.header("content-type")), (206, Some("video/mp4")));
    let range = format!("bytes 60000-60999/{}", film.len());
    assert_eq!(part.header("content-range"), Some(range.as_str()));
    assert!(part.body == film[60_000..61_000]);
}
