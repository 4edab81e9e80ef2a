//! Dial-in: what a FreeSWITCH is told about calls.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bbb_sim::FaultMode;
use testkit::process;
use testkit::product::{ClientResponse, Product, exchange, new_request, wait_until};

use crate::tenants::{MULTITENANCY, add_tenant, call_as_tenant};
use crate::tools::{assert_failed, assert_success, create, start_deployment_with};

/// What a call consists of, as FreeSWITCH sends it.
const CALL: &str = "section=dialplan&Caller-Destination-Number=%2B49305550100";

/// Asks at a host what to do, with a password and as a FreeSWITCH.
async fn ask_at(product: &Product, host: &str, password: &str, form: &str) -> ClientResponse {
    let mut request = new_request("POST", "/fsapi");
    let basic = BASE64_STANDARD.encode(password);
    request.headers = [
        ("Host", host.to_owned()),
        ("Authorization", format!("Basic {basic}")),
        ("User-Agent", "freeswitch-xml/1.0".to_owned()),
        ("Content-Type", "application/x-www-form-urlencoded".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    request.body = Some(form.as_bytes().into());
    exchange(product.port(), &request).await.unwrap()
}

/// Asks what to do with a call that has these additional parameters; returns the extension's name and the document.
async fn ask(product: &Product, more: &str) -> (String, String) {
    let response = ask_at(product, "balancer.test", "fsapi:phone", &format!("{CALL}{more}")).await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.header("content-type"), Some("application/xml; charset=utf-8"));
    read(&response)
}

fn read(response: &ClientResponse) -> (String, String) {
    let text = response.text();
    let document = roxmltree::Document::parse(&text).unwrap();
    let extension = document.descendants().find(|node| node.has_tag_name("extension"));
    let name = extension.and_then(|node| node.attribute("name")).unwrap_or_default().to_owned();
    (name, text)
}

#[tokio::test]
async fn callers_are_asked_for_their_pin_and_connected() {
    let settings = [
        ("FSAPI_PASSWORD", "phone"),
        ("FSAPI_MAX_DURATION", "30"),
        ("FSAPI_MAX_WRONG_PINS", "3"),
        ("SERVER_UNHEALTHY_THRESHOLD", "1"),
    ];
    let deployment = start_deployment_with(2, &settings).await;
    let product = &deployment.product;

    for password in ["", "fsapi", "fsapi:", "fsapi:Phone", "other:phone", testkit::product::SECRET]
    {
        let refused = ask_at(product, "balancer.test", password, CALL).await;
        assert_eq!(refused.status, 401, "{password}");
        assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"balancer.test\""));
        assert_eq!(refused.text(), "HTTP Basic: Access denied.\n");
    }
    assert_failed(&product.get("/fsapi").await.unwrap(), "unsupportedRequest");
    let other = ask_at(product, "balancer.test", "fsapi:phone", "section=directory").await;
    assert!(other.text().contains("<result status=\"not found\"/>"), "{}", other.text());

    let (asked, text) = ask(product, "").await;
    assert_eq!(asked, "match_did_and_prompt_for_pin");
    for part in [r"^\+49305550100$", "+1800 normal_clearing", r"pin \d+", "${pin} XML public"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(ask(product, "&variable_pin=").await.0, "match_did_and_prompt_for_pin");

    let pin = create(product, "m1").await.xml_field("voiceBridge");
    let name = "&Caller-Caller-ID-Name=%24%7Bsystem(id)%7D%22/%3E%3Caction%20application=%22x";
    let entered = format!("&variable_pin={pin}{name}");
    let (connected, text) = ask(product, &entered).await;
    assert_eq!(connected, "bridge_to_bbb_server", "{text}");
    assert!(text.contains(&format!("sofia/external/{pin}@127.0.0.1")), "{text}");
    assert!(text.contains("=__system_id___/__action application__x"), "{text}");
    assert!(!text.contains("${") && text.matches("<action ").count() == 3, "{text}");
    // A breakout room has one more digit.
    assert_eq!(ask(product, &format!("&variable_pin={pin}1")).await.0, "bridge_to_bbb_server");

    // The meeting moves with a revival, and ends.
    let caller = |pin: &str, number: &str| {
        format!("&variable_pin={pin}&Caller-Caller-ID-Number=%2B49{number}")
    };
    deployment.servers_with("m1")[0].set_fault(FaultMode::Refuse);
    product.poll_servers().await.unwrap();
    assert_eq!(ask(product, &caller(&pin, "1")).await.0, "reprompt_for_pin");
    let joined = product.call("join", "meetingID=m1&fullName=A&role=VIEWER").await.unwrap();
    assert_eq!(joined.status, 302, "{}", joined.text());
    assert_eq!(ask(product, &caller(&pin, "1")).await.0, "bridge_to_bbb_server");
    assert_success(&product.call("end", "meetingID=m1").await.unwrap());
    assert_eq!(ask(product, &caller(&pin, "1")).await.0, "reprompt_for_pin");

    // A caller guesses.
    let pin = create(product, "m2").await.xml_field("voiceBridge");
    for wrong in ["1", "%24%7Bx%7D", "71234%40evil"] {
        assert_eq!(ask(product, &caller(wrong, "2")).await.0, "reprompt_for_pin");
    }
    assert_eq!(ask(product, &caller(&pin, "2")).await.0, "hang_up");
    assert_eq!(ask(product, &caller(&pin, "3")).await.0, "bridge_to_bbb_server");
    // The log is written a moment after the responses.
    let is_logged = async || product.log().contains("too many wrong PINs");
    wait_until("logged", is_logged).await.unwrap();
    let log = product.log();
    assert!(!log.contains(&pin) && !log.contains("+492"), "{log}");
}

#[tokio::test]
async fn a_tenants_number_leads_to_its_meetings_only() {
    let settings = [MULTITENANCY, ("URL_HOST", "balancer.test"), ("FSAPI_PASSWORD", "")];
    let deployment = start_deployment_with(2, &settings).await;
    let acme = add_tenant(&deployment, "acme", "s1").await;
    add_tenant(&deployment, "beta", "s2").await;
    let added = ["tenant-settings", "add", &acme, "dialNumber", "+49 30 555-0100"];
    let output = process::run(deployment.product.setup(), &added).await.unwrap();
    assert_eq!((output.stderr.as_str(), output.exit_code), ("", 0));
    let mut pins = Vec::new();
    for (host, secret) in [("acme.balancer.test", "s1"), ("beta.balancer.test", "s2")] {
        let query = "meetingID=m1&name=room";
        let created = call_as_tenant(&deployment, host, secret, "create", query).await;
        assert_success(&created);
        pins.push(created.xml_field("voiceBridge"));
    }
    let (of_acme, of_beta) = (pins[0].as_str(), pins[1].as_str());
    let ask = async |host: &str, number: &str, pin: &str| {
        // FreeSWITCH looks up the PIN after a transfer, and still knows whom the call was to.
        let form = format!(
            "section=dialplan&Caller-Destination-Number={pin}&variable_sip_to_user={number}&variable_pin={pin}"
        );
        read(&ask_at(&deployment.product, host, "", &form).await).0 == "bridge_to_bbb_server"
    };
    for (host, number, reaches_acme, reaches_beta) in [
        ("balancer.test", "0049305550100", true, false),
        ("balancer.test", "%2B49305559999", true, true),
        ("balancer.test", "", true, true),
        ("acme.balancer.test", "1", true, false),
        ("beta.balancer.test", "0049305550100", false, true),
        ("gamma.balancer.test", "1", false, false),
    ] {
        assert_eq!(ask(host, number, of_acme).await, reaches_acme, "{host} {number}");
        assert_eq!(ask(host, number, of_beta).await, reaches_beta, "{host} {number}");
    }
}
