//! Captions of recordings: getRecordingTextTracks and putRecordingTextTrack.

use domain::recording::Recording;
use serde_json::{Value, json};
use testkit::product::{ClientResponse, signed_target};

use crate::test_playback::{RECORD_ID, TestPlayback, assert_not_found, file_target, recording};
use crate::tools::send;

const VTT_CAPTIONS: &str = "WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n";
const SRT_CAPTIONS: &str = "1\n00:00:01,000 --> 00:00:02,000\nHallo\n";

async fn start_playback(settings: &[(&str, &str)], recording: Recording) -> TestPlayback {
    let list = r#"[{"locale":"en","localeName":"English"},{"locale":"../x","localeName":"x"}]"#;
    let files = [
        ("presentation/metadata.xml", "<recording/>"),
        ("presentation/captions.json", list),
        ("presentation/caption_en.vtt", VTT_CAPTIONS),
        ("video/metadata.xml", "<recording/>"),
        ("podcast/metadata.xml", "<recording/>"),
    ];
    TestPlayback::with_formats(settings, recording, &files).await
}

async fn start_plain_playback() -> TestPlayback {
    start_playback(&[], recording(&["podcast", "presentation", "video"])).await
}

fn json_response(response: &ClientResponse) -> Value {
    assert_eq!(response.header("content-type"), Some("application/json; charset=utf-8"));
    serde_json::from_slice::<Value>(&response.body).unwrap()["response"].take()
}

async fn list_tracks(playback: &TestPlayback) -> Value {
    let response =
        playback.product.call("getRecordingTextTracks", &format!("recordID={RECORD_ID}")).await;
    json_response(&response.unwrap())["tracks"].take()
}

async fn put_track(playback: &TestPlayback, query: &str, content: &str) -> ClientResponse {
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nx\r\n\
         --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.vtt\"\r\n\r\n{content}\r\n--b--\r\n"
    );
    let content_type = ("Content-Type", "multipart/form-data; boundary=b");
    let target = signed_target("putRecordingTextTrack", query);
    send(&playback.product, "POST", &target, &[content_type], Some(body.as_bytes())).await
}

#[tokio::test]
async fn captions_are_listed_with_working_urls() {
    let playback = start_plain_playback().await;
    let href = format!("http://balancer.test{}", file_target("presentation/caption_en.vtt"));
    let english = json!({
        "href": href, "kind": "captions", "label": "English", "lang": "en", "source": "live",
    });
    assert_eq!(list_tracks(&playback).await, json!([english]));
    assert_eq!(
        playback.get(&file_target("presentation/caption_en.vtt")).await.text(),
        VTT_CAPTIONS
    );
}

#[tokio::test]
async fn uploaded_captions_are_listed_and_served_for_every_player() {
    let playback = start_plain_playback().await;
    let query = format!("recordID={RECORD_ID}&kind=subtitles&lang=de_AT&label=Deutsch");
    let response = put_track(&playback, &query, SRT_CAPTIONS).await;
    let expected = json!({
        "returncode": "SUCCESS", "messageKey": "upload_text_track_success",
        "message": "Text track uploaded successfully", "recordId": RECORD_ID,
    });
    assert_eq!(json_response(&response), expected);
    let listed = list_tracks(&playback).await;
    let german = &listed.as_array().unwrap()[1];
    assert_eq!(german["lang"], "de-AT");
    assert_eq!((&german["kind"], &german["source"]), (&json!("subtitles"), &json!("upload")));
    for format in ["presentation", "video"] {
        let vtt = playback.get(&file_target(&format!("{format}/caption_de-AT.vtt"))).await;
        assert_eq!(vtt.header("content-type"), Some("text/vtt; charset=utf-8"));
        assert_eq!(vtt.text(), "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nHallo\n");
        let list: Value = serde_json::from_slice(
            &playback.get(&file_target(&format!("{format}/captions.json"))).await.body,
        )
        .unwrap();
        assert!(list.as_array().unwrap().iter().any(|entry| entry["localeName"] == "Deutsch"));
    }
    assert_eq!(playback.get(&file_target("podcast/captions.json")).await.status, 404);
    // A second upload replaces the track of that language.
    put_track(&playback, &query, VTT_CAPTIONS).await;
    assert_eq!(list_tracks(&playback).await.as_array().unwrap().len(), 2);
    assert_eq!(playback.get(&file_target("video/caption_de-AT.vtt")).await.text(), VTT_CAPTIONS);
}

#[tokio::test]
async fn concurrent_uploads_are_all_listed() {
    let playback = start_plain_playback().await;
    let languages = ["de", "es", "fr", "it", "nl", "pt", "pl", "sv"];
    let queries = languages.map(|lang| format!("recordID={RECORD_ID}&kind=captions&lang={lang}"));
    let puts = queries.iter().map(|query| put_track(&playback, query, VTT_CAPTIONS));
    for response in futures_util::future::join_all(puts).await {
        assert_eq!(json_response(&response)["returncode"], "SUCCESS");
    }
    assert_eq!(list_tracks(&playback).await.as_array().unwrap().len(), languages.len() + 1);
}

#[tokio::test]
async fn errors_are_reported_as_bbb_reports_them() {
    let playback = start_plain_playback().await;
    for (query, content, key) in [
        (format!("recordID={RECORD_ID}&kind=x&lang=de"), VTT_CAPTIONS, "invalidKind"),
        (format!("recordID={RECORD_ID}&kind=captions&lang=../de"), VTT_CAPTIONS, "invalidLang"),
        (format!("recordID={RECORD_ID}&kind=captions&lang=de"), "", "empty_uploaded_text_track"),
        (
            format!("recordID={RECORD_ID}&kind=captions&lang=de"),
            "<html>",
            "upload_text_track_failed",
        ),
        ("recordID=nobody&kind=captions&lang=de".to_owned(), VTT_CAPTIONS, "noRecordings"),
    ] {
        let response = json_response(&put_track(&playback, &query, content).await);
        assert_eq!(
            (&response["returncode"], &response["messageKey"]),
            (&json!("FAILED"), &json!(key))
        );
    }
    for query in ["kind=captions&lang=de", "recordID=x&lang=de", "recordID=x&kind=captions"] {
        assert_eq!(
            put_track(&playback, query, VTT_CAPTIONS).await.xml_field("messageKey"),
            "paramError"
        );
    }
    let get = async |query: &str, accept: &str| {
        let target = signed_target("getRecordingTextTracks", query);
        playback.send("GET", &target, &[("Accept", accept)]).await
    };
    assert_eq!(get("", "*/*").await.xml_field("messageKey"), "missingParamRecordID");
    assert_eq!(
        json_response(&get("", "application/json").await)["messageKey"],
        "missingParamRecordID"
    );
    assert_eq!(json_response(&get("recordID=nobody", "*/*").await)["messageKey"], "noRecordings");
    let unsigned =
        format!("/bigbluebutton/api/getRecordingTextTracks?recordID={RECORD_ID}&checksum=x");
    assert_eq!(playback.get(&unsigned).await.xml_field("messageKey"), "checksumError");
    // The file is not read if the query is not signed.
    let unsigned = format!(
        "/bigbluebutton/api/putRecordingTextTrack?recordID={RECORD_ID}&kind=captions&lang=de"
    );
    let headers = [("Content-Type", "multipart/form-data; boundary=b")];
    let response = send(&playback.product, "POST", &unsigned, &headers, Some(b"--b--")).await;
    assert_eq!(response.xml_field("messageKey"), "checksumError");
    assert_eq!(list_tracks(&playback).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn captions_are_as_protected_as_their_recording() {
    let recording = Recording { protected: true, ..recording(&["presentation", "video"]) };
    let playback =
        start_playback(&[("PROTECTED_RECORDINGS_ENABLED", "true")], recording.clone()).await;
    put_track(&playback, &format!("recordID={RECORD_ID}&kind=captions&lang=de"), VTT_CAPTIONS)
        .await;
    assert_eq!(list_tracks(&playback).await.as_array().unwrap().len(), 2);
    for path in ["presentation/caption_de.vtt", "video/captions.json"] {
        assert_not_found(&playback.get(&file_target(path)).await);
    }
    playback.record_recording(&Recording { state: Some("deleted".to_owned()), ..recording }).await;
    let response =
        playback.product.call("getRecordingTextTracks", &format!("recordID={RECORD_ID}")).await;
    assert_eq!(json_response(&response.unwrap())["messageKey"], "noRecordings");
}

#[tokio::test]
async fn a_recording_without_captions_is_reported() {
    let files = [("video/metadata.xml", "<recording/>"), ("video/captions.json", "not json")];
    let playback = TestPlayback::with_formats(&[], recording(&["video"]), &files).await;
    let response =
        playback.product.call("getRecordingTextTracks", &format!("recordID={RECORD_ID}")).await;
    assert_eq!(json_response(&response.unwrap())["messageKey"], "noCaptionsFound");
}
