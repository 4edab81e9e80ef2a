//! Captions of recordings: getRecordingTextTracks and putRecordingTextTrack.

use domain::recording::Recording;
use serde_json::{Value, json};
use testkit::product::{Answer, signed};

use crate::theatre::{ID, Theatre, assert_nothing, at, recording};
use crate::tools::send;

const VTT: &str = "WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n";
const SRT: &str = "1\n00:00:01,000 --> 00:00:02,000\nHallo\n";

async fn theatre(settings: &[(&str, &str)], recording: Recording) -> Theatre {
    let list = r#"[{"locale":"en","localeName":"English"},{"locale":"../x","localeName":"x"}]"#;
    let files = [
        ("presentation/metadata.xml", "<recording/>"),
        ("presentation/captions.json", list),
        ("presentation/caption_en.vtt", VTT),
        ("video/metadata.xml", "<recording/>"),
        ("podcast/metadata.xml", "<recording/>"),
    ];
    Theatre::with(settings, recording, &files).await
}

async fn plain() -> Theatre {
    theatre(&[], recording(&["podcast", "presentation", "video"])).await
}

fn told(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    serde_json::from_slice::<Value>(&answer.body).unwrap()["response"].take()
}

async fn tracks(theatre: &Theatre) -> Value {
    let answer = theatre.product.call("getRecordingTextTracks", &format!("recordID={ID}")).await;
    told(&answer.unwrap())["tracks"].take()
}

async fn put(theatre: &Theatre, query: &str, content: &str) -> Answer {
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nx\r\n\
         --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.vtt\"\r\n\r\n{content}\r\n--b--\r\n"
    );
    let content_type = ("Content-Type", "multipart/form-data; boundary=b");
    let target = signed("putRecordingTextTrack", query);
    send(&theatre.product, "POST", &target, &[content_type], Some(body.as_bytes())).await
}

#[tokio::test]
async fn captions_are_listed_with_addresses_that_work() {
    let theatre = plain().await;
    let href = format!("http://balancer.test{}", at("presentation/caption_en.vtt"));
    let english = json!({
        "href": href, "kind": "captions", "label": "English", "lang": "en", "source": "live",
    });
    assert_eq!(tracks(&theatre).await, json!([english]));
    assert_eq!(theatre.get(&at("presentation/caption_en.vtt")).await.text(), VTT);
}

#[tokio::test]
async fn what_is_uploaded_is_listed_and_served_for_every_player() {
    let theatre = plain().await;
    let query = format!("recordID={ID}&kind=subtitles&lang=de_AT&label=Deutsch");
    let answer = put(&theatre, &query, SRT).await;
    let expected = json!({
        "returncode": "SUCCESS", "messageKey": "upload_text_track_success",
        "message": "Text track uploaded successfully", "recordId": ID,
    });
    assert_eq!(told(&answer), expected);
    let listed = tracks(&theatre).await;
    let german = &listed.as_array().unwrap()[1];
    assert_eq!(german["lang"], "de-AT");
    assert_eq!((&german["kind"], &german["source"]), (&json!("subtitles"), &json!("upload")));
    for format in ["presentation", "video"] {
        let vtt = theatre.get(&at(&format!("{format}/caption_de-AT.vtt"))).await;
        assert_eq!(vtt.header("content-type"), Some("text/vtt; charset=utf-8"));
        assert_eq!(vtt.text(), "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nHallo\n");
        let list: Value = serde_json::from_slice(
            &theatre.get(&at(&format!("{format}/captions.json"))).await.body,
        )
        .unwrap();
        assert!(list.as_array().unwrap().iter().any(|one| one["localeName"] == "Deutsch"));
    }
    assert_eq!(theatre.get(&at("podcast/captions.json")).await.status, 404);
    // Again, and there is still one of that language.
    put(&theatre, &query, VTT).await;
    assert_eq!(tracks(&theatre).await.as_array().unwrap().len(), 2);
    assert_eq!(theatre.get(&at("video/caption_de-AT.vtt")).await.text(), VTT);
}

#[tokio::test]
async fn many_at_once_are_all_listed() {
    let theatre = plain().await;
    let languages = ["de", "es", "fr", "it", "nl", "pt", "pl", "sv"];
    let queries = languages.map(|lang| format!("recordID={ID}&kind=captions&lang={lang}"));
    let puts = queries.iter().map(|query| put(&theatre, query, VTT));
    for answer in futures_util::future::join_all(puts).await {
        assert_eq!(told(&answer)["returncode"], "SUCCESS");
    }
    assert_eq!(tracks(&theatre).await.as_array().unwrap().len(), languages.len() + 1);
}

#[tokio::test]
async fn what_is_wrong_is_told_as_bbb_tells_it() {
    let theatre = plain().await;
    for (query, content, key) in [
        (format!("recordID={ID}&kind=x&lang=de"), VTT, "invalidKind"),
        (format!("recordID={ID}&kind=captions&lang=../de"), VTT, "invalidLang"),
        (format!("recordID={ID}&kind=captions&lang=de"), "", "empty_uploaded_text_track"),
        (format!("recordID={ID}&kind=captions&lang=de"), "<html>", "upload_text_track_failed"),
        ("recordID=nobody&kind=captions&lang=de".to_owned(), VTT, "noRecordings"),
    ] {
        let answer = told(&put(&theatre, &query, content).await);
        assert_eq!((&answer["returncode"], &answer["messageKey"]), (&json!("FAILED"), &json!(key)));
    }
    for query in ["kind=captions&lang=de", "recordID=x&lang=de", "recordID=x&kind=captions"] {
        assert_eq!(put(&theatre, query, VTT).await.field("messageKey"), "paramError");
    }
    let get = async |query: &str, accept: &str| {
        let target = signed("getRecordingTextTracks", query);
        theatre.send("GET", &target, &[("Accept", accept)]).await
    };
    assert_eq!(get("", "*/*").await.field("messageKey"), "missingParamRecordID");
    assert_eq!(told(&get("", "application/json").await)["messageKey"], "missingParamRecordID");
    assert_eq!(told(&get("recordID=nobody", "*/*").await)["messageKey"], "noRecordings");
    let unsigned = format!("/bigbluebutton/api/getRecordingTextTracks?recordID={ID}&checksum=x");
    assert_eq!(theatre.get(&unsigned).await.field("messageKey"), "checksumError");
    // Nobody's file is read whose query is not signed.
    let unsigned =
        format!("/bigbluebutton/api/putRecordingTextTrack?recordID={ID}&kind=captions&lang=de");
    let headers = [("Content-Type", "multipart/form-data; boundary=b")];
    let answer = send(&theatre.product, "POST", &unsigned, &headers, Some(b"--b--")).await;
    assert_eq!(answer.field("messageKey"), "checksumError");
    assert_eq!(tracks(&theatre).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn captions_are_as_protected_as_their_recording() {
    let recording = Recording { protected: true, ..recording(&["presentation", "video"]) };
    let theatre = theatre(&[("PROTECTED_RECORDINGS_ENABLED", "true")], recording.clone()).await;
    put(&theatre, &format!("recordID={ID}&kind=captions&lang=de"), VTT).await;
    assert_eq!(tracks(&theatre).await.as_array().unwrap().len(), 2);
    for path in ["presentation/caption_de.vtt", "video/captions.json"] {
        assert_nothing(&theatre.get(&at(path)).await);
    }
    theatre.record(&Recording { deleted_at: Some(domain::Timestamp(1)), ..recording }).await;
    let answer = theatre.product.call("getRecordingTextTracks", &format!("recordID={ID}")).await;
    assert_eq!(told(&answer.unwrap())["messageKey"], "noRecordings");
}

#[tokio::test]
async fn a_recording_without_captions_has_none() {
    let files = [("video/metadata.xml", "<recording/>"), ("video/captions.json", "not json")];
    let theatre = Theatre::with(&[], recording(&["video"]), &files).await;
    let answer = theatre.product.call("getRecordingTextTracks", &format!("recordID={ID}")).await;
    assert_eq!(told(&answer.unwrap())["messageKey"], "noCaptionsFound");
}
