//! What systemd is told: that the process is ready, that it works, and that it stops.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::tools::setup;

#[tokio::test]
async fn a_service_manager_hears_of_start_work_and_stop() {
    let setup = setup();
    let path = setup.folder().join("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let hear = || {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    };
    let setup = setup.with_setting("NOTIFY_SOCKET", &path.display().to_string());
    let mut product = setup.with_setting("WATCHDOG_USEC", "40000").start().await.unwrap();
    assert_eq!(hear(), "READY=1");
    for _ in 0..3 {
        assert_eq!(hear(), "WATCHDOG=1");
    }
    product.terminate().await.unwrap();
    assert!(product.wait_for_exit().await.unwrap().success());
    socket.set_nonblocking(true).unwrap();
    let mut buffer = [0; 4096];
    let rest = std::iter::from_fn(|| {
        socket.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec())
    });
    let rest: Vec<String> = rest.map(|text| String::from_utf8_lossy(&text).into_owned()).collect();
    assert!(rest.iter().any(|text| text.trim() == "STOPPING=1"), "{rest:?}");
}
