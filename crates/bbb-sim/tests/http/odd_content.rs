//! Odd content of answers: custom data, markup in names, numbers with separators, unknown elements.

use bbb_sim::Strictness::{Real, Recorded};
use bbb_sim::{Latency, NumberFormat, OddContent};

use crate::client::{get, start_pool};

fn pairs(texts: &[(&str, &str)]) -> Vec<(String, String)> {
    texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[tokio::test]
async fn custom_data_of_users_is_put_in_raw() {
    let pool = start_pool(2, Real).await;
    let server = pool.server(1);
    get(server, "create", "meetingID=m1&name=mm").await;
    for query in ["", "&userdata-my+key=a%26b&userdata-ok=%5D%5D%3E", "&userdata-=x"] {
        get(server, "join", &format!("meetingID=m1&fullName=A&role=viewer{query}")).await;
    }
    for call in ["getMeetings", "getMeetingInfo"] {
        let body = get(server, call, "meetingID=m1").await.body;
        assert_eq!(body.matches("<customdata>").count(), 2);
        let second = "<userID>w_1</userID>";
        let (_, second) = body.split_once(second).unwrap();
        let data = "<clientType>HTML5</clientType><customdata><my key><![CDATA[a&b]]></my key>\
                    <ok><![CDATA[]]>]]></ok></customdata></attendee><attendee>";
        assert!(second.contains(data), "{body}");
        assert!(body.contains("<customdata><><![CDATA[x]]></></customdata></attendee>"), "{body}");
    }
    server.set_users("m1", 1, 0);
    assert!(!get(server, "getMeetings", "").await.body.contains("customdata"));
    let recorded = start_pool(1, Recorded).await;
    get(recorded.server(1), "create", "meetingID=m1&name=mm").await;
    get(recorded.server(1), "join", "meetingID=m1&fullName=A&userdata-my+key=a").await;
    assert!(!get(recorded.server(1), "getMeetings", "").await.body.contains("customdata"));
}

#[tokio::test]
async fn texts_and_elements_of_a_meeting_are_put_in_raw() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    for id in ["m1", "m2"] {
        get(server, "create", &format!("meetingID={id}&name=mm")).await;
        server.set_users(id, 2, 1);
    }
    let plain = get(server, "getMeetings", "").await.body;
    let content = OddContent {
        meeting_texts: pairs(&[("meetingName", "a <b> & c"), ("participantCount", "")]),
        attendee_texts: pairs(&[("fullName", "<script>"), ("nothing", "x")]),
        meeting_xml: "<new><er>1</er></new>".to_owned(),
        attendee_xml: "<customdata><my key>x</my key></customdata>".to_owned(),
    };
    assert!(server.set_odd_content("m2", content.clone()));
    assert!(!server.set_odd_content("m3", content));
    let body = get(server, "getMeetings", "").await.body;
    let (first, second) = body.split_once("</meeting>").unwrap();
    assert!(plain.starts_with(first));
    assert!(second.contains("<meetingName>a <b> & c</meetingName>"), "{second}");
    assert!(second.contains("<participantCount></participantCount>"), "{second}");
    assert!(second.contains("<fullName><script></fullName>"), "{second}");
    assert!(second.contains("<fullName>User 1</fullName>"), "{second}");
    assert!(second.contains("<customdata><my key>x</my key></customdata></attendee>"), "{second}");
    assert!(second.contains("</isBreakout><new><er>1</er></new></meeting>"), "{second}");
    assert_eq!(get(server, "getMeetingInfo", "meetingID=m2").await.field("er"), "1");
    server.set_odd_content("m2", OddContent::default());
    assert_eq!(get(server, "getMeetings", "").await.body, plain);
}

#[tokio::test]
async fn numbers_have_separators_or_are_empty() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    get(server, "create", "meetingID=m1&name=mm&maxParticipants=12345&duration=1440").await;
    server.set_users("m1", 1_024, 2);
    let written = async || {
        let info = get(server, "getMeetings", "").await;
        let names = ["participantCount", "listenerCount", "maxUsers", "duration"];
        let numbers = names.map(|name| info.field(name).to_owned());
        assert_eq!(info.field("createTime"), server.meetings()[0].create_time_ms.to_string());
        numbers
    };
    assert_eq!(written().await, ["1024", "1024", "12345", "1440"]);
    server.set_number_format(NumberFormat::Separated(','));
    assert_eq!(written().await, ["1,024", "1,024", "12,345", "1,440"]);
    server.set_number_format(NumberFormat::Empty);
    assert_eq!(written().await, [""; 4]);
    // The format survives the loss of meetings, and a reset of the pool ends it.
    server.restart();
    get(server, "create", "meetingID=m1&name=mm").await;
    assert_eq!(get(server, "getMeetingInfo", "meetingID=m1").await.field("moderatorCount"), "");
    pool.reset(Latency::None);
    get(server, "create", "meetingID=m1&name=mm").await;
    assert_eq!(get(server, "getMeetingInfo", "meetingID=m1").await.field("moderatorCount"), "0");
}
