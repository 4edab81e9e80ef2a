//! The console in a browser: signing in, seeing a server die, draining, searching, a phone's width, a hostile name, and a session that ends.

use bbb_sim::FaultMode;
use serde_json::Value;
use testkit::deployment::TestDeployment;
use testkit::process;
use testkit::product::wait_until;

use super::driver::Browser;

/// A name that would change the page if it were not shown as text.
const HOSTILE: &str = "<img src=x onerror=alert(1)>&\"'";

async fn start_deployment() -> TestDeployment {
    let settings = [("POLL_INTERVAL", "1"), ("HEARTBEAT_INTERVAL", "1")];
    TestDeployment::new(env!("CARGO_BIN_EXE_scalelite"), 2, &settings).await.unwrap()
}

/// Makes a token of these scopes on the command line.
async fn make_token(deployment: &TestDeployment, name: &str, scopes: &str) -> String {
    let arguments = ["tokens", "create", name, "--scope", scopes];
    let output = process::run(deployment.product.setup(), &arguments).await.unwrap();
    let mut words = output.stdout.split_whitespace();
    words.find(|word| word.starts_with("scl_")).unwrap().to_owned()
}

async fn open(browser: &Browser, deployment: &TestDeployment, path: &str) {
    let url = format!("http://127.0.0.1:{}{path}", deployment.product.port());
    browser.client.goto(&url).await.unwrap();
}

async fn sign_in(browser: &Browser, token: &str) {
    type_into(browser, "#token", token).await;
    click(browser, "main button").await;
}

async fn click(browser: &Browser, selector: &str) {
    let found = browser.client.find(fantoccini::Locator::Css(selector)).await;
    found.unwrap_or_else(|error| panic!("{selector}: {error}")).click().await.unwrap();
}

async fn type_into(browser: &Browser, selector: &str, text: &str) {
    let field = browser.client.find(fantoccini::Locator::Css(selector)).await.unwrap();
    field.send_keys(text).await.unwrap();
}

/// What went wrong in the page: messages of the browser that are no information.
async fn list_problems(browser: &Browser) -> Vec<String> {
    let log = browser.run("return window.problems || []").await.unwrap();
    let log = log.as_array().cloned().unwrap_or_default();
    log.iter().map(Value::to_string).collect()
}

/// Notes violations of the policy and errors of scripts from now on.
async fn watch_problems(browser: &Browser) {
    let script = "window.problems = [];
        document.addEventListener('securitypolicyviolation', (e) => window.problems.push(e.blockedURI + ' ' + e.violatedDirective));
        window.addEventListener('error', (e) => window.problems.push(String(e.message)));";
    browser.run(script).await.unwrap();
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story")]
async fn an_operator_sees_the_pool_and_steers_it() {
    let deployment = start_deployment().await;
    let product = &deployment.product;
    let created = product.call("create", "meetingID=room-1&name=Room").await.unwrap();
    assert_eq!(created.xml_field("returncode"), "SUCCESS");
    let id = format!("room {HOSTILE}");
    let query: String = url_encode(&id);
    let created = product.call("create", &format!("name=Odd&meetingID={query}")).await.unwrap();
    assert_eq!(created.xml_field("returncode"), "SUCCESS", "{}", created.text());
    let token = make_token(&deployment, "morning", "servers:write,meetings:write,audit:read").await;

    let browser = Browser::start(1200, 900).await.unwrap();
    open(&browser, &deployment, "/scalelite/server?id=none").await;
    sign_in(&browser, "scl_wrong").await;
    browser.wait_for_text("Not signed in").await.unwrap();
    sign_in(&browser, &token).await;
    browser.wait_for_text("There is no such server").await.unwrap();

    open(&browser, &deployment, "/scalelite/").await;
    watch_problems(&browser).await;
    browser.wait_for_text("2 of 2").await.unwrap();
    browser.wait_for_text(HOSTILE).await.unwrap();
    // A join that fails is told with its reason.
    let failed = product.call("join", "meetingID=nowhere&fullName=A").await.unwrap();
    assert_eq!(failed.xml_field("returncode"), "FAILED", "{}", failed.text());
    browser.wait_for_text("Creates and joins of the last hour").await.unwrap();
    browser.wait_for_text("notFound").await.unwrap();
    // A server dies and comes back; the page says so by itself.
    let dead = deployment.pool.server(1);
    dead.set_fault(FaultMode::Refuse);
    browser.wait_for_text("1 of 2").await.unwrap();
    browser.wait_for_text("Needs you").await.unwrap();
    dead.clear_fault();
    browser.wait_for_text("2 of 2").await.unwrap();
    assert_eq!(list_problems(&browser).await, [""; 0]);

    // Drains a server.
    click(&browser, "tbody a").await;
    browser.wait_for_text("Last answer").await.unwrap();
    click(&browser, "button[value=cordon]").await;
    browser.wait_for_text("cordoned").await.unwrap();
    // Something that harms is asked about.
    click(&browser, "button[value=panic]").await;
    browser.wait_for_text("end at once").await.unwrap();
    open(&browser, &deployment, "/scalelite/audit").await;
    browser.wait_for_text("server.update").await.unwrap();
    assert!(browser.text().await.unwrap().contains("token morning"));

    // Searches a meeting and ends it.
    open(&browser, &deployment, "/scalelite/meetings").await;
    type_into(&browser, "#q", "room-").await;
    click(&browser, "main form button").await;
    browser.wait_for_text("1 meetings").await.unwrap();
    click(&browser, "tbody a").await;
    browser.wait_for_text("internalMeetingID").await.unwrap();
    browser.wait_for_text("placed on").await.unwrap();
    browser.wait_for_text("The shorter a bar, the better").await.unwrap();
    let script = "return document.querySelectorAll('svg.costs rect.chosen').length";
    assert_eq!(browser.run(script).await.unwrap().as_i64(), Some(1));
    click(&browser, "button[value=end]").await;
    browser.wait_for_text("The meeting room-1 ends for").await.unwrap();
    click(&browser, "button.danger").await;
    browser.wait_for_text("Part of a meetingID").await.unwrap();
    let is_over = async || {
        let running = product.call("isMeetingRunning", "meetingID=room-1").await.unwrap();
        running.xml_field("running") == "false"
    };
    wait_until("the meeting is over", is_over).await.unwrap();

    // Whose token is revoked is signed out, also where a page is open.
    open(&browser, &deployment, "/scalelite/").await;
    browser.wait_for_text("Servers online").await.unwrap();
    let arguments = ["tokens", "revoke", "morning"];
    assert_eq!(process::run(product.setup(), &arguments).await.unwrap().exit_code, 0);
    browser.wait_for_text("Management token").await.unwrap();
}

#[tokio::test]
async fn a_phone_shows_every_page_without_scrolling_sideways() {
    let deployment = start_deployment().await;
    let token = make_token(&deployment, "phone", "admin").await;
    deployment.product.call("create", "meetingID=room-1").await.unwrap();
    let browser = Browser::start(500, 800).await.unwrap();
    open(&browser, &deployment, "/scalelite/").await;
    sign_in(&browser, &token).await;
    browser.wait_for_text("Servers online").await.unwrap();
    for page in [
        "",
        "meetings",
        "meeting?id=room-1",
        "recordings",
        "tenants",
        "forecast",
        "audit",
        "doctor",
    ] {
        open(&browser, &deployment, &format!("/scalelite/{page}")).await;
        let script = "return [document.documentElement.scrollWidth - window.innerWidth, document.title, \
                      document.querySelectorAll('h1').length, document.documentElement.lang, \
                      [...document.querySelectorAll('input:not([type=hidden])')].every((i) => i.labels.length > 0)]";
        let found = browser.run(script).await.unwrap();
        let excess = found[0].as_i64().unwrap();
        assert!(excess <= 0, "{page} is {excess} px too wide");
        assert_eq!(
            (found[2].as_i64(), found[3].as_str()),
            (Some(1), Some("en")),
            "{page}: {found}"
        );
        assert_eq!(found[4].as_bool(), Some(true), "{page}: every field has a label");
    }
}

fn url_encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
