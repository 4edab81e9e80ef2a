//! Disks that are full while recordings arrive: nothing is lost, everybody is told, and it goes on by itself.

use testkit::product::until;
use testkit::samples::{FORMATS, Sample};
use testkit::small::Small;

use crate::tools::{add_server, import_of, names, row, send, setup, shelf_of, until_imported};
use crate::uploads::{SECRET, ask, digest};

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_to_a_full_disk_is_told_and_goes_on() {
    let setup = setup();
    let spool = setup.folder().join("spool");
    let Some(small) = Small::mount(&spool, 2).unwrap() else { return };
    let product = setup.start().await.unwrap();
    add_server(&product, SECRET).await;
    let sample = Sample::new(1);
    let archive = sample.archive(&FORMATS);
    let (total, digest) = (archive.len().to_string(), digest(&archive));
    small.fill().unwrap();
    let headers = [("Repr-Digest", digest.as_str())];
    let answer = ask(&product, "PUT", &sample, &headers, Some(&archive)).await;
    assert_eq!(answer.status, 507, "{}", answer.text());
    assert!(answer.text().contains("no space"), "{}", answer.text());
    assert_eq!(product.get("/health_check").await.unwrap().status, 200);
    small.free().unwrap();
    let there = ask(&product, "HEAD", &sample, &[], None).await;
    let offset = there.header("upload-offset").unwrap().to_owned();
    let rest = &archive[offset.parse::<usize>().unwrap()..];
    let headers = [
        ("Upload-Length", total.as_str()),
        ("Upload-Offset", offset.as_str()),
        ("Repr-Digest", digest.as_str()),
    ];
    let answer = ask(&product, "PATCH", &sample, &headers, Some(rest)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    until_imported(&setup).await;
    assert_eq!(shelf_of(&setup, &sample, "video"), Some("published"));
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_to_a_full_disk_wait_and_go_on() {
    // Where archives are unpacked, and where files are to be.
    tokio::join!(waits_and_goes_on("work"), waits_and_goes_on("published"));
}

async fn waits_and_goes_on(folder: &str) {
    let setup = setup();
    let Some(small) = Small::mount(&setup.folder().join(folder), 2).unwrap() else { return };
    let product = setup.start().await.unwrap();
    let sample = Sample::new(2);
    let name = format!("{}.tar", sample.record_id);
    small.fill().unwrap();
    send(&setup, &name, &sample.archive(&FORMATS));
    let told = async || product.log().contains("recordings cannot be imported");
    until("told", told).await.unwrap_or_else(|error| panic!("{error}: {}", product.log()));
    assert_eq!(names(&setup.folder().join("spool")), [name.as_str()], "{folder}");
    assert!(row(&setup, &sample).await.is_none());
    assert_eq!(import_of(&setup, &name).await.unwrap()["state"], "received");
    assert_eq!(product.get("/health_check").await.unwrap().status, 200);
    small.free().unwrap();
    until_imported(&setup).await;
    for format in FORMATS {
        assert_eq!(shelf_of(&setup, &sample, format), Some("published"), "{folder} {format}");
    }
    let on = async || product.log().contains("imports of recordings go on");
    until("goes on", on).await.unwrap_or_else(|error| panic!("{error}: {}", product.log()));
}
