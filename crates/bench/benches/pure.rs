//! Run times of checksums, queries, placement and XML parsing: `cargo bench -p bench`.

use bbb::meetings::MeetingList;
use bbb::{Algorithm, Algorithms, Query, checksum};
use divan::{Bencher, black_box};
use domain::placement::{PlacementCriteria, choose_server, meeting_seed};
use domain::{AdminState, Server, ServerId};

const JOIN_QUERY: &str = "meetingID=room-4711&fullName=Ada+Lovelace&role=VIEWER&userID=u-123456&\
    createTime=1763000000123&userdata-bbb_skip_check_audio=true&avatarURL=https%3A%2F%2Fa%2Fb.png";

fn main() {
    divan::main();
}

#[divan::bench]
fn sha256_of_a_join(bencher: Bencher<'_, '_>) {
    bencher.bench(|| {
        checksum::compute_checksum("join", black_box(JOIN_QUERY), "secret", Algorithm::Sha256)
    });
}

#[divan::bench]
fn split_and_verify_a_join(bencher: Bencher<'_, '_>) {
    let signed = checksum::sign_query("join", JOIN_QUERY, "secret", Algorithm::Sha256);
    bencher.bench(|| {
        let split = checksum::split_checksum(black_box(&signed)).ok();
        split.is_some_and(|split| {
            let (secrets, algorithms) = (["secret"], Algorithms::default());
            checksum::verify("join", &split.signed_text, &split.checksum, &secrets, algorithms)
        })
    });
}

#[divan::bench]
fn read_edit_and_write_a_join(bencher: Bencher<'_, '_>) {
    bencher.bench(|| {
        let mut query = Query::parse(black_box(JOIN_QUERY));
        query.keep_last(|_| false);
        query.remove("checksum");
        query.set("userdata-bbb_b", "2");
        query.to_text()
    });
}

#[divan::bench(args = [10, 100, 500])]
fn choose_among_servers(bencher: Bencher<'_, '_>, count: u32) {
    let servers: Vec<Server> = (0..count)
        .map(|n| {
            let id = ServerId(format!("server-{n}"));
            let mut server = Server::new(id, String::new(), String::new());
            server.state = AdminState::Enabled;
            server.health.online = true;
            server.load = Some(f64::from(n * 7919 % 200));
            server
        })
        .collect();
    let criteria = PlacementCriteria {
        expected_users: 15,
        seed: meeting_seed("room-4711"),
        ..PlacementCriteria::default()
    };
    bencher.bench(|| choose_server(black_box(&servers), &criteria).is_ok());
}

#[divan::bench(args = [1, 20, 200])]
fn read_meetings_of_25_users(bencher: Bencher<'_, '_>, count: usize) {
    let attendee = "<attendee><userID>w_1</userID><fullName>Some User</fullName><role>VIEWER</role>\
        <isPresenter>false</isPresenter><hasVideo>false</hasVideo></attendee>";
    let meeting = format!(
        "<meeting><meetingID>m</meetingID><createTime>1763000000123</createTime>\
         <participantCount>25</participantCount><attendees>{}</attendees><metadata/></meeting>",
        attendee.repeat(25)
    );
    let list = format!(
        "<response><returncode>SUCCESS</returncode><meetings>{}</meetings></response>",
        meeting.repeat(count)
    );
    let bytes = divan::counter::BytesCount::new(list.len());
    bencher.counter(bytes).bench(|| MeetingList::read(black_box(list.as_bytes())).is_ok());
}
