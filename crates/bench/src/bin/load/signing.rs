//! Signed requests of front-ends and administrators.

use anyhow::Context;
use http::Uri;
use sha2::{Digest, Sha256};

/// The secret that front-ends and administrators share with the balancer.
pub(crate) const SECRET: &str = "lbsecret";
/// The path of the BigBlueButton API.
pub(crate) const API_PATH: &str = "/bigbluebutton/api";
/// The path of the management API.
pub(crate) const MANAGEMENT_PATH: &str = "/scalelite/api";

/// Returns the signed request target of a call below `path`.
pub(crate) fn sign_target(
    path: &str,
    call: &str,
    query: &str,
    secret: &str,
) -> anyhow::Result<Uri> {
    let checksum = hex::encode(Sha256::digest(format!("{call}{query}{secret}")));
    let separator = if query.is_empty() { "" } else { "&" };
    let target = format!("{path}/{call}?{query}{separator}checksum={checksum}");
    target.parse().with_context(|| target.clone())
}

/// Returns the request target of a BigBlueButton API call to the balancer.
pub(crate) fn api_target(name: &str, query: &str) -> anyhow::Result<Uri> {
    sign_target(API_PATH, name, query, SECRET)
}

/// Returns `count` joins of different users, distributed evenly over the meetings.
pub(crate) fn join_targets(meetings: &[String], count: usize) -> anyhow::Result<Vec<Uri>> {
    let join = |(user, meeting): (usize, &String)| {
        let query =
            format!("meetingID={meeting}&fullName=User+{user}&role=VIEWER&userID=user-{user}");
        api_target("join", &query)
    };
    (0..count).zip(meetings.iter().cycle()).map(join).collect()
}

/// Returns a create of a meeting with the parameters that front-ends send.
pub(crate) fn create_target(id: &str) -> anyhow::Result<Uri> {
    let query = format!(
        "name=Lecture+{id}&meetingID={id}&attendeePW=viewer&moderatorPW=teacher&record=false\
         &logoutURL=https%3A%2F%2Fcampus.example.test%2F&meta_origin=campus"
    );
    api_target("create", &query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_cover_call_query_and_secret() {
        // printf joina=1s | sha256sum
        let expected = "36f6c4b94dbefe2ff7f93588d7195b124a513e127c1de68bb80b36ba4e297426";
        let target = sign_target("/x", "join", "a=1", "s").unwrap();
        assert_eq!(target.to_string(), format!("/x/join?a=1&checksum={expected}"));
        let bare = sign_target("/x", "join", "", "s").unwrap().to_string();
        assert!(bare.starts_with("/x/join?checksum="), "{bare}");
    }

    #[test]
    fn joins_are_distributed_over_the_meetings() {
        let meetings = ["a".to_owned(), "b".to_owned()];
        let joins = join_targets(&meetings, 3).unwrap();
        let target = |n: usize| joins[n].to_string();
        assert_eq!(joins.len(), 3);
        assert!(target(0).contains("meetingID=a&") && target(1).contains("meetingID=b&"));
        assert!(target(2).contains("meetingID=a&") && target(2).contains("userID=user-2"));
    }
}
