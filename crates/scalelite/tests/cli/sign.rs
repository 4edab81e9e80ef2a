//! Tests of `sign`: the checksum of the URL is the one that BBB defines, and servers accept it.

use crate::environment::{CliEnvironment, setup};
use bbb_sim::Algorithm;
use testkit::conformance::http::exchange;
use testkit::process;
use testkit::product::{SECRET, new_request};

/// The checksum by BBB's definition.
fn checksum(algorithm: Algorithm, call: &str, query: &str, secret: &str) -> String {
    algorithm.hex_digest(&format!("{call}{query}{secret}"))
}

#[tokio::test]
async fn the_url_has_the_right_checksum() -> anyhow::Result<()> {
    let setup = setup()?;
    setup.create_store().await?;
    let sha256 = |call, query| checksum(Algorithm::Sha256, call, query, SECRET);
    let base = "https://lb.example.test/bigbluebutton/api";
    for address in ["https://lb.example.test", "https://lb.example.test/bigbluebutton/", base] {
        let sign = ["sign", "getMeetings", "--url", address];
        let output = process::run(&setup, &sign).await?;
        let expected = format!("{base}/getMeetings?checksum={}\n", sha256("getMeetings", ""));
        assert_eq!((output.stdout, output.stderr.as_str()), (expected, ""));
    }
    let sign = ["sign", "--url", base, "create", "meetingID=a/1", "name=Tea & cake=é"];
    let output = process::run(&setup, &sign).await?.stdout;
    let query = output.trim().strip_prefix(&format!("{base}/create?"));
    let (query, checksum_of_url) =
        query.and_then(|query| query.split_once("&checksum=")).unwrap_or_default();
    assert_eq!(checksum_of_url, sha256("create", query));
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let expected = [("meetingID".into(), "a/1".into()), ("name".into(), "Tea & cake=é".into())];
    assert_eq!(pairs, expected);
    let setup = setup.with_setting("LOADBALANCER_CHECKSUM_ALGORITHM", "SHA1:SHA512");
    let output = process::run(&setup, &["sign", "getMeetings", "--url", base]).await?.stdout;
    let sha512 = checksum(Algorithm::Sha512, "getMeetings", "", SECRET);
    assert!(output.ends_with(&format!("?checksum={sha512}\n")), "{output}");
    Ok(())
}

#[tokio::test]
async fn the_url_is_accepted() -> anyhow::Result<()> {
    let mut cli = CliEnvironment::new(1).await?;
    cli.add_enabled_server().await?;
    let product = cli.setup.start().await?;
    let address = format!("http://127.0.0.1:{}", product.port());
    let create = format!("sign --url {address} create meetingID=Alpha name=Alpha");
    let url = cli.run_ok(&create).await?;
    let target = url.trim().strip_prefix(&address).unwrap_or_default();
    let response = product.get(target).await?.text();
    assert!(response.contains("<returncode>SUCCESS</returncode>"), "{response}");
    let url = cli.run_ok("sign --server <id-1> isMeetingRunning meetingID=Alpha").await?;
    let call = url.trim().strip_prefix("<url-1>").unwrap_or_default();
    let target = format!("/bigbluebutton/api{call}");
    let response = exchange(cli.server(1).port(), &new_request("GET", &target)).await?.text();
    assert!(response.contains("<returncode>SUCCESS</returncode>"), "{response}");
    Ok(())
}

#[tokio::test]
async fn the_default_address_is_that_of_the_configuration() -> anyhow::Result<()> {
    let setup = setup()?.with_setting("BIND", "").with_setting("PORT", "8080");
    setup.create_store().await?;
    let output = process::run(&setup, &["sign", "getMeetings"]).await?.stdout;
    assert!(
        output.starts_with("http://localhost:8080/bigbluebutton/api/getMeetings?checksum="),
        "{output}"
    );
    let output = process::run(&setup, &["sign", "create", "name"]).await?;
    assert_eq!(
        (output.stderr.as_str(), output.exit_code),
        ("ERROR: `name` is not name=value\n", 1)
    );
    Ok(())
}
