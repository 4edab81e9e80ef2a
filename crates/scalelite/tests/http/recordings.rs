//! The calls that list and change recordings, on rows and files that already exist.

use std::path::PathBuf;

use adapters::sqlite::SqliteStore;
use app::ports::{OneTimeTokens as _, Recordings as _};
use domain::Timestamp;
use domain::recording::{PlaybackFormat, Recording, Thumbnail};
use testkit::product::{ClientResponse, Product, Setup, signed_target};

use crate::tools::{assert_failed, assert_success, send};

const FIRST_START_MS: i64 = 1_600_000_000_000;

/// A balancer and its store.
pub(crate) struct RecordingsDeployment {
    pub(crate) product: Product,
    store: SqliteStore,
}

impl RecordingsDeployment {
    async fn new(settings: &[(&str, &str)]) -> Self {
        let mut setup = Setup::new(env!("CARGO_BIN_EXE_scalelite")).unwrap();
        let dirs = [("RECORDING_PUBLISH_DIR", "published"), ("RECORDING_UNPUBLISH_DIR", "hidden")];
        for (name, value) in dirs.iter().chain(settings) {
            setup = setup.with_setting(name, value);
        }
        let product = setup.start().await.unwrap();
        let store = SqliteStore::open(&setup.folder().join("data/scalelite.db")).unwrap();
        Self { product, store }
    }

    pub(crate) async fn with(settings: &[(&str, &str)], recordings: &[Recording]) -> Self {
        let deployment = Self::new(settings).await;
        for recording in recordings {
            deployment.store.put_recording(recording).await.unwrap();
            for format in &recording.formats {
                let dir = deployment.format_dir("published", &format.format, &recording.record_id);
                std::fs::create_dir_all(&dir).unwrap();
                std::fs::write(dir.join("metadata.xml"), "<recording/>").unwrap();
            }
        }
        deployment
    }

    fn format_dir(&self, root: &str, format: &str, id: &str) -> PathBuf {
        self.product.setup().folder().join(root).join(format).join(id)
    }

    pub(crate) async fn call(&self, name: &str, query: &str) -> ClientResponse {
        self.product.call(name, query).await.unwrap()
    }

    /// Returns the record ids of a list, in order.
    async fn list_ids(&self, query: &str) -> Vec<String> {
        let response = self.call("getRecordings", query).await;
        assert_success(&response);
        let text = response.text();
        let pieces = text.split("<recordID>").skip(1);
        pieces.map(|piece| piece.split_once('<').unwrap().0.to_owned()).collect()
    }
}

pub(crate) fn recording(id: &str, minutes: i64) -> Recording {
    let format = |name: &str| PlaybackFormat {
        format: name.to_owned(),
        url: Some(format!("/playback/{name}/{id}/")),
        length_minutes: Some(30),
        ..PlaybackFormat::default()
    };
    Recording {
        record_id: id.to_owned(),
        meeting_id: Some(format!("m-{id}")),
        name: Some("Lesson <1> & Übung".to_owned()),
        published: true,
        state: Some("published".to_owned()),
        started_at: Some(Timestamp(FIRST_START_MS + minutes * 60_000)),
        ended_at: Some(Timestamp(FIRST_START_MS + 1_800_000)),
        participants: Some(3),
        metadata: vec![
            ("empty".to_owned(), Some(String::new())),
            ("n".to_owned(), Some(id.to_owned())),
        ],
        formats: vec![format("notes"), format("presentation")],
        ..Recording::default()
    }
}

#[tokio::test]
async fn nothing_is_found_in_an_empty_store() {
    let deployment = RecordingsDeployment::new(&[]).await;
    let none = "<response><returncode>SUCCESS</returncode><recordings></recordings>\
        <messageKey>noRecordings</messageKey>\
        <message>There are not recordings for the meetings</message></response>";
    for query in ["", "meetingID=x", "recordID=x&state=any", "meta_a=b"] {
        assert_eq!(deployment.call("getRecordings", query).await.text(), none, "{query}");
    }
    assert_failed(
        &deployment.call("publishRecordings", "publish=true").await,
        "missingParamRecordID",
    );
    assert_failed(&deployment.call("publishRecordings", "recordID=r").await, "missingParamPublish");
    for call in ["deleteRecordings", "updateRecordings"] {
        assert_failed(&deployment.call(call, "recordID=").await, "missingParamRecordID");
    }
    let published = deployment.call("publishRecordings", "recordID=r&publish=true").await;
    assert_failed(&published, "notFound");
    assert_eq!(published.xml_field("message"), "We could not find recordings");
    assert_failed(&deployment.call("deleteRecordings", "recordID=r").await, "notFound");
    let updated = deployment.call("updateRecordings", "recordID=r&meta_a=b").await;
    assert_eq!(updated.xml_field("updated"), "false");
    let unsigned =
        deployment.product.get("/bigbluebutton/api/getRecordings?checksum=00").await.unwrap();
    assert_failed(&unsigned, "checksumError");
}

#[tokio::test]
async fn a_recording_is_listed_completely() {
    let mut recording = recording("r", 0);
    recording.formats.truncate(1);
    recording.formats[0].processing_time_ms = Some(7);
    recording.formats[0].size = Some(5);
    recording.details.is_breakout = Some(false);
    recording.details.raw_size = Some(9);
    recording.formats[0].thumbnails = vec![Thumbnail {
        width: Some(176),
        height: Some(136),
        alt: Some("\"a\" <b>".to_owned()),
        url: Some("/presentation/r/thumb-1.png".to_owned()),
        sequence: Some(0),
    }];
    let deployment = RecordingsDeployment::with(&[], &[recording]).await;
    let found = deployment.call("getRecordings", "recordID=r").await.text();
    let host = found.split("<url>").nth(1).unwrap().split("/playback").next().unwrap().to_owned();
    assert!(host.starts_with("http://"), "{host}");
    assert_eq!(
        found.replace(&host, "H"),
        "<response><returncode>SUCCESS</returncode><recordings><recording><recordID>r</recordID>\
         <meetingID>m-r</meetingID><internalMeetingID>r</internalMeetingID>\
         <name>Lesson &lt;1&gt; &amp; Übung</name><isBreakout>false</isBreakout>\
         <published>true</published><state>published</state><startTime>1600000000000</startTime>\
         <endTime>1600001800000</endTime><participants>3</participants><rawSize>9</rawSize>\
         <metadata><empty><![CDATA[]]></empty><n>r</n></metadata><size>5</size><playback><format>\
         <type>notes</type><url>H/playback/notes/r/</url><processingTime>7</processingTime>\
         <length>30</length><size>5</size><preview><images>\
         <image alt=\"&quot;a&quot; &lt;b&gt;\" height=\"136\" width=\"176\">\
         H/presentation/r/thumb-1.png</image></images></preview></format></playback></recording>\
         </recordings></response>"
    );
    let headers = [("X-Forwarded-Proto", "https")];
    let behind_proxy =
        send(&deployment.product, "GET", &signed_target("getRecordings", ""), &headers, None).await;
    let link = format!("<url>{}/playback/notes/r/</url>", host.replace("http:", "https:"));
    assert!(behind_proxy.text().contains(&link), "{}", behind_proxy.text());
}

#[tokio::test]
async fn recordings_are_filtered_and_paged() {
    let all: Vec<Recording> = (0..250).map(|n| recording(&format!("r{n:03}"), n)).collect();
    let deployment = RecordingsDeployment::with(&[], &all).await;
    let newest_first: Vec<String> =
        all.iter().rev().map(|recording| recording.record_id.clone()).collect();
    assert_eq!(
        deployment.list_ids("").await,
        newest_first,
        "the list spans several pages of the store"
    );
    assert_eq!(
        deployment.list_ids("meetingID=&recordID=").await.len(),
        250,
        "empty parameters count as absent"
    );
    assert_eq!(deployment.list_ids("meetingID=m-r007,m-r003").await, ["r007", "r003"]);
    assert_eq!(deployment.list_ids("recordID=r24,r001&meetingID=m-r007").await.len(), 11);
    assert_eq!(deployment.list_ids("meta_n=r10%25,r001&meta_empty=").await.len(), 11);
    assert_eq!(deployment.list_ids("meta_n=r001&meta_empty=x").await.len(), 0);
    assert_eq!(deployment.list_ids("state=unpublished").await.len(), 0);
    let page = deployment.call("getRecordings", "offset=100&limit=7").await;
    let text = page.text();
    assert_eq!(text.matches("<recording>").count(), 7);
    assert!(text.contains("<recordID>r149</recordID>"), "{text}");
    let pagination = "<pagination><pageable><offset>100</offset><limit>7</limit><paged>true</paged>\
        <unpaged>false</unpaged></pageable><totalElements>250</totalElements><empty>false</empty>\
        </pagination></response>";
    assert!(text.ends_with(pagination), "{text}");
    assert_eq!(deployment.list_ids("limit=1000").await.len(), 100);
    let beyond = deployment.call("getRecordings", "offset=999&limit=5").await;
    assert_eq!(beyond.xml_field("messageKey"), "noRecordings");
    assert!(beyond.text().contains("<empty>true</empty>"));
}

#[tokio::test]
async fn publishing_moves_files_and_deleting_removes_them() {
    let deployment = RecordingsDeployment::with(&[], &[recording("a", 0), recording("b", 1)]).await;
    let unpublish = "recordID=a,b,zz&publish=false";
    for _ in 0..2 {
        let hidden = deployment.call("publishRecordings", unpublish).await;
        assert_eq!(hidden.xml_field("published"), "false");
        assert_eq!(deployment.list_ids("state=published").await.len(), 0);
        assert_eq!(deployment.list_ids("state=unpublished").await, ["b", "a"]);
        for id in ["a", "b"] {
            assert!(!deployment.format_dir("published", "notes", id).exists());
            assert!(
                deployment.format_dir("hidden", "presentation", id).join("metadata.xml").exists()
            );
        }
    }
    assert_failed(
        &deployment.call("publishRecordings", "recordID=&publish=x").await,
        "missingParamRecordID",
    );
    let prefix = deployment.call("publishRecordings", "recordID=aa&publish=true").await;
    assert_failed(&prefix, "notFound");
    let published = deployment.call("publishRecordings", "recordID=a&publish=True").await;
    assert_eq!(published.xml_field("published"), "true");
    assert!(deployment.format_dir("published", "notes", "a").exists());

    // A format whose files are missing: nothing changes.
    std::fs::remove_dir_all(deployment.format_dir("hidden", "notes", "b")).unwrap();
    let broken = deployment.call("publishRecordings", "recordID=b&publish=true").await;
    assert_failed(&broken, "internalError");
    assert_eq!(deployment.list_ids("state=unpublished").await, ["b"]);

    // Files that remain in the other directory are deleted, too.
    std::fs::create_dir_all(deployment.format_dir("hidden", "notes", "a")).unwrap();
    for id in ["a", "b"] {
        let deleted = deployment.call("deleteRecordings", &format!("recordID={id}")).await;
        assert_eq!(deleted.xml_field("deleted"), "true");
    }
    assert_eq!(deployment.list_ids("state=any").await.len(), 0);
    assert_eq!(deployment.list_ids("state=deleted").await, ["b", "a"]);
    for (root, format) in [("published", "notes"), ("hidden", "notes"), ("hidden", "presentation")]
    {
        assert!(
            !deployment.format_dir(root, format, "a").exists()
                && !deployment.format_dir(root, format, "b").exists()
        );
    }
    assert_failed(
        &deployment.call("publishRecordings", "recordID=a&publish=true").await,
        "notFound",
    );
}

#[tokio::test]
async fn metadata_is_changed_except_the_tenant() {
    let deployment = RecordingsDeployment::with(&[], &[recording("a", 0), recording("b", 1)]).await;
    let update = "recordID=a,b&meta_GL-Listed=true&meta_n=&meta_tenant-id=x&protect=true";
    assert_eq!(deployment.call("updateRecordings", update).await.xml_field("updated"), "true");
    for id in ["a", "b"] {
        let stored = deployment.store.find_recording(id).await.unwrap().unwrap();
        assert_eq!(
            (stored.metadata_value("gl-listed"), stored.metadata_value("n")),
            (Some("true"), None)
        );
        assert_eq!((stored.tenant(), stored.protected), (None, true));
    }
    // As BBB does, keys that it uses itself are kept in lower case, beside its own.
    let renamed = "recordID=a&meta_meetingName=Neu";
    assert_eq!(deployment.call("updateRecordings", renamed).await.xml_field("updated"), "true");
    let stored = deployment.store.find_recording("a").await.unwrap().unwrap();
    assert_eq!(stored.metadata_value("meetingname"), Some("Neu"));
    let long = format!("recordID=a&meta_{}=x", "k".repeat(300));
    assert_failed(&deployment.call("updateRecordings", &long).await, "validationError");
    let partial = deployment.call("updateRecordings", "recordID=a,zz&meta_x=y").await;
    assert_eq!(partial.xml_field("updated"), "false");
    assert_eq!(
        deployment.call("updateRecordings", "recordID=a").await.xml_field("updated"),
        "false"
    );
    // Protection is not shown without the setting.
    assert!(!deployment.call("getRecordings", "").await.text().contains("protected"));
}

#[tokio::test]
async fn links_of_protected_recordings_have_tokens_and_lists_need_a_filter() {
    let mut protected = recording("r", 0);
    protected.protected = true;
    protected.formats[0].thumbnails = vec![Thumbnail::default()];
    let settings =
        [("PROTECTED_RECORDINGS_ENABLED", "true"), ("GET_RECORDINGS_API_FILTERED", "true")];
    let deployment = RecordingsDeployment::with(&settings, &[protected, recording("s", 1)]).await;
    for query in ["", "meetingID=", "recordID=,&meta_n=r"] {
        assert_failed(&deployment.call("getRecordings", query).await, "missingParameters");
    }
    let text = deployment.call("getRecordings", "recordID=r,s").await.text();
    assert!(
        text.contains("<published>true</published><protected>true</protected><state>"),
        "{text}"
    );
    assert!(text.contains("<protected>false</protected>") && !text.contains("<preview>"), "{text}");
    let token = text.split("/recording/r/notes?token=").nth(1).unwrap().split('<').next().unwrap();
    assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    let notes = domain::recording::RecordingFormatId::parse("r", "notes").unwrap();
    assert!(deployment.store.take_token(token, &notes, Timestamp(0)).await.unwrap());
}

#[tokio::test]
async fn lists_are_empty_if_recordings_are_disabled() {
    for (name, value) in [("RECORDING_DISABLED", "true"), ("DB_DISABLED", "true")] {
        let setup = Setup::new(env!("CARGO_BIN_EXE_scalelite")).unwrap().with_setting(name, value);
        let product = setup.start().await.unwrap();
        let listed = product.call("getRecordings", "").await.unwrap();
        assert_eq!(listed.xml_field("messageKey"), "noRecordings", "{name}");
        for call in ["publishRecordings", "updateRecordings", "deleteRecordings"] {
            assert_failed(&product.call(call, "recordID=r").await.unwrap(), "notFound");
        }
    }
}
