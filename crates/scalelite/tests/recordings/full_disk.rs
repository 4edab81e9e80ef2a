//! Disks that are full while recordings arrive: no recording is lost, the sender or administrator
//! gets an error, and the import continues when there is space.

use testkit::product::wait_until;
use testkit::samples::{FORMATS, SampleRecording};
use testkit::small_disk::SmallDisk;

use crate::tools::{
    add_server, file_names, find_import, put_in_spool, recording_row, setup, visibility_of,
    wait_until_imported,
};
use crate::uploads::{SECRET, digest, send_upload};

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_to_a_full_disk_is_told_and_goes_on() {
    let setup = setup();
    let spool = setup.folder().join("spool");
    let Some(small) = SmallDisk::mount(&spool, 2).unwrap() else { return };
    let product = setup.start().await.unwrap();
    add_server(&product, SECRET).await;
    let sample = SampleRecording::new(1);
    let archive = sample.archive(&FORMATS);
    let (total, digest) = (archive.len().to_string(), digest(&archive));
    small.fill().unwrap();
    let headers = [("Repr-Digest", digest.as_str())];
    let answer = send_upload(&product, "PUT", &sample, &headers, Some(&archive)).await;
    assert_eq!(answer.status, 507, "{}", answer.text());
    assert!(answer.text().contains("no space"), "{}", answer.text());
    assert_eq!(product.get("/health_check").await.unwrap().status, 200);
    small.free_space().unwrap();
    let there = send_upload(&product, "HEAD", &sample, &[], None).await;
    let offset = there.header("upload-offset").unwrap().to_owned();
    let rest = &archive[offset.parse::<usize>().unwrap()..];
    let headers = [
        ("Upload-Length", total.as_str()),
        ("Upload-Offset", offset.as_str()),
        ("Repr-Digest", digest.as_str()),
    ];
    let answer = send_upload(&product, "PATCH", &sample, &headers, Some(rest)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    wait_until_imported(&setup).await;
    assert_eq!(visibility_of(&setup, &sample, "video"), Some("published"));
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_to_a_full_disk_wait_and_go_on() {
    // Where archives are unpacked, and where files are to be.
    tokio::join!(assert_import_resumes("work"), assert_import_resumes("published"));
}

async fn assert_import_resumes(folder: &str) {
    let setup = setup();
    let Some(small) = SmallDisk::mount(&setup.folder().join(folder), 2).unwrap() else { return };
    let product = setup.start().await.unwrap();
    let sample = SampleRecording::new(2);
    let name = format!("{}.tar", sample.record_id);
    small.fill().unwrap();
    put_in_spool(&setup, &name, &sample.archive(&FORMATS));
    let suspended = async || product.log().contains("recording imports suspended");
    wait_until("suspended", suspended)
        .await
        .unwrap_or_else(|error| panic!("{error}: {}", product.log()));
    assert_eq!(file_names(&setup.folder().join("spool")), [name.as_str()], "{folder}");
    assert!(recording_row(&setup, &sample).await.is_none());
    assert_eq!(find_import(&setup, &name).await.unwrap()["state"], "received");
    assert_eq!(product.get("/health_check").await.unwrap().status, 200);
    small.free_space().unwrap();
    wait_until_imported(&setup).await;
    for format in FORMATS {
        assert_eq!(visibility_of(&setup, &sample, format), Some("published"), "{folder} {format}");
    }
    let resumed = async || product.log().contains("recording imports resumed");
    wait_until("resumed", resumed)
        .await
        .unwrap_or_else(|error| panic!("{error}: {}", product.log()));
}

/// It would fill the disk for a while, and fail.
#[tokio::test(flavor = "multi_thread")]
async fn an_archive_larger_than_the_disk_is_not_tried_and_keeps_no_other_out() {
    let setup = setup();
    let Some(_small) = SmallDisk::mount(&setup.folder().join("work"), 2).unwrap() else { return };
    let (large, small) = (SampleRecording::new(3), SampleRecording::new(4));
    let names = [format!("{}.tar", large.record_id), format!("{}.tar", small.record_id)];
    let mut archive = large.archive(&["video"]);
    archive.resize(3 << 20, 0);
    put_in_spool(&setup, &names[0], &archive);
    put_in_spool(&setup, &names[1], &small.archive(&["video"]));
    let product = setup.start().await.unwrap();
    let imported = async || visibility_of(&setup, &small, "video") == Some("published");
    wait_until("the small one is imported", imported).await.unwrap();
    let logged = async || product.log().contains("bytes are needed");
    wait_until("the reason is logged", logged).await.unwrap();
    let waiting = find_import(&setup, &names[0]).await.unwrap();
    assert_eq!((&waiting["state"], &waiting["attempts"]), (&"received".into(), &0.into()));
}
