//! A seeded generator of invalid and hostile requests.

use bbb_sim::Algorithm;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use testkit::product::{API_PATH, SECRET, signed_target};

/// Part of every query, as a user's name or a text; must never appear in the log.
pub(crate) const PRIVATE_TEXT: &str = "Zebulon";

/// Generates requests; the same seed generates the same requests.
pub(crate) struct RequestFuzzer {
    rng: StdRng,
    request_count: u32,
}

impl RequestFuzzer {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), request_count: 0 }
    }

    /// Returns the bytes to send on one connection.
    pub(crate) fn next_request(&mut self) -> Vec<u8> {
        self.request_count += 1;
        match self.request_count % 11 {
            0 => self.random_bytes(3_000),
            1 => self.binary_target(),
            2 | 3 => self.mutated_call(),
            4 => self.broken_chunks(),
            5 => self.wrong_length(),
            6 => self.odd_headers(),
            7 => self.signed_nonsense(),
            8 => self.random_form(),
            9 => self.management_call(),
            _ => self.pipeline(),
        }
    }

    fn number_below(&mut self, end: usize) -> usize {
        self.rng.random_range(0..end.max(1))
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.number_below(all.len())]
    }

    fn random_bytes(&mut self, longest: usize) -> Vec<u8> {
        let length = self.number_below(longest);
        (0..length).map(|_| self.rng.random()).collect()
    }

    /// Returns a valid call.
    fn valid_call(&mut self) -> Vec<u8> {
        let id = self.number_below(40);
        let (call, query) = self.pick(&[
            ("create", "name=Zebulon&welcome=Zebulon"),
            ("join", "fullName=Zebulon&role=VIEWER"),
            ("getMeetingInfo", "x=Zebulon"),
            ("isMeetingRunning", "x=Zebulon"),
            ("getMeetings", "x=Zebulon"),
            ("end", "password=Zebulon"),
        ]);
        let target = signed_target(call, &format!("meetingID=h-{id}&{query}"));
        format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").into_bytes()
    }

    fn mutated_call(&mut self) -> Vec<u8> {
        let mut bytes = self.valid_call();
        for _ in 0..=self.number_below(4) {
            let at = self.number_below(bytes.len());
            match self.number_below(6) {
                0 => bytes[at] = self.rng.random(),
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, self.rng.random()),
                3 => bytes.truncate(at.max(1)),
                4 => bytes[at] = self.pick(b"\0\r\n%&=?# /\x7f\xff"),
                _ => {
                    let piece = bytes[at..].to_vec();
                    bytes.extend(piece);
                }
            }
        }
        bytes
    }

    fn binary_target(&mut self) -> Vec<u8> {
        let mut bytes = format!("GET {API_PATH}/create?name={PRIVATE_TEXT}&x=").into_bytes();
        bytes.extend(self.random_bytes(400));
        bytes.extend_from_slice(b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        bytes
    }

    fn post_request(&mut self, call: &str, kind: &str, framing: &str) -> Vec<u8> {
        let id = self.number_below(40);
        let target = signed_target(call, &format!("meetingID=h-{id}&name={PRIVATE_TEXT}"));
        format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: {kind}\r\n\
             {framing}\r\n\r\n"
        )
        .into_bytes()
    }

    fn random_content_type(&mut self) -> &'static str {
        self.pick(&[
            "application/xml",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=b",
            "multipart/form-data; boundary=",
            "application/json",
            "\u{fc}/;;;",
        ])
    }

    fn broken_chunks(&mut self) -> Vec<u8> {
        let (call, kind) =
            (self.pick(&["create", "insertDocument", "end"]), self.random_content_type());
        let mut bytes = self.post_request(call, kind, "Transfer-Encoding: chunked");
        let chunks: [&[u8]; 9] = [
            b"zz\r\nabc\r\n0\r\n\r\n",
            b"-5\r\nabcde\r\n0\r\n\r\n",
            b"ffffffffffffffffff\r\nabc",
            b"5\r\nab",
            b"5\r\nabcdefgh\r\n0\r\n\r\n",
            b"3;ext=\"\0\"\r\nabc\r\n0\r\nTrailer: x\r\n\r\n",
            b"3\nabc\n0\n\n",
            b"\r\n\r\n",
            b"3\r\nabc\r\n",
        ];
        bytes.extend_from_slice(self.pick(&chunks));
        bytes
    }

    fn wrong_length(&mut self) -> Vec<u8> {
        let framing = self.pick(&[
            "Content-Length: 100000",
            "Content-Length: 3",
            "Content-Length: -1",
            "Content-Length: 99999999999999999999999",
            "Content-Length: abc",
            "Content-Length: 3\r\nContent-Length: 5",
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip",
            "Transfer-Encoding: chunked, chunked",
            "Expect: 100-continue\r\nContent-Length: 50",
            "X: none",
        ]);
        let (call, kind) = (self.pick(&["create", "end", "nothing"]), self.random_content_type());
        let mut bytes = self.post_request(call, kind, framing);
        bytes.extend(self.random_bytes(40));
        bytes
    }

    fn odd_headers(&mut self) -> Vec<u8> {
        let target = signed_target("getMeetings", "");
        let mut bytes = format!("GET {target} HTTP/1.1\r\nHost: a\r\n").into_bytes();
        let flood = match self.number_below(7) {
            0 => "X-Flood: y\r\n".repeat(2_000),
            1 => format!("X-Long: {}\r\n", "y".repeat(600_000)),
            2 => "No colon here\r\n".to_owned(),
            3 => "X-Nul: a\0b\r\nX-Bell: \x07\r\n".to_owned(),
            4 => "X-Fold: a\r\n folded\r\n\tmore\r\n".to_owned(),
            5 => ": empty\r\n\u{fc}\u{1F600}: x\r\n".to_owned(),
            _ => "X-Forwarded-Proto: ,\r\nContent-Range: bytes -1/*\r\nRange: bytes=--\r\n"
                .to_owned(),
        };
        bytes.extend_from_slice(flood.as_bytes());
        bytes.extend_from_slice(b"Connection: close\r\n\r\n");
        bytes
    }

    /// Returns nonsense with a valid checksum, which passes authentication.
    fn signed_nonsense(&mut self) -> Vec<u8> {
        let id = self.number_below(40);
        let call = self.pick(&["create", "join", "end", "getMeetingInfo", "sendChatMessage"]);
        let more = match self.number_below(7) {
            0 => "%".to_owned(),
            1 => "a=%zz&%=%&b=%c3&c=%ff%fe&%00=%00&d=%F4%90%80%80".to_owned(),
            2 => "name[]=Zebulon&name[a][b]=c&[=]&meta_[x]=y&meta_=z&meta_%3Cb%3E=1".to_owned(),
            3 => (0..10_000).map(|n| format!("p{n}=Zebulon&")).collect(),
            4 => "name=Zebulon&".repeat(3_000),
            5 => format!("name={}&duration=-1&voiceBridge=x&redirect=%00", "\\\"<&>".repeat(500)),
            _ => format!("name=Zebulon&welcome={}", "%F0%9F%98%80".repeat(15_000)),
        };
        let more = more.replace('<', "%3C").replace('>', "%3E").replace('"', "%22");
        let target = signed_target(call, &format!("meetingID=h-{id}&{more}"));
        format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").into_bytes()
    }

    fn random_form(&mut self) -> Vec<u8> {
        let bodies = [
            "--b\r\n\r\n--b--",
            "--b\r\nContent-Disposition: form-data; name=\"\r\n\r\nx",
            "--b\r\nContent-Disposition: form-data; name=\"meetingID\"\r\n\r\nZebulon\r\n--b",
            "meetingID=Zebulon&checksum=1&%%%&&&===",
            "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]>&b;",
            "\0\0\0\0",
        ];
        let body = self.pick(&bodies);
        let (call, kind) =
            (self.pick(&["create", "end", "insertDocument"]), self.random_content_type());
        let framing = format!("Content-Length: {}", body.len());
        let mut bytes = self.post_request(call, kind, &framing);
        bytes.extend_from_slice(body.as_bytes());
        bytes
    }

    /// Returns a management call that changes nothing.
    fn management_call(&mut self) -> Vec<u8> {
        let call = self.pick(&["updateServer", "deleteServer", "panicServer", "addServer"]);
        let body = self.pick(&[
            "{",
            "[]",
            "null",
            "{\"id\":{}}",
            "{\"server\":{\"url\":\"Zebulon\"}}",
            "{\"server\":[1],\"id\":\"h\\u0000\"}",
            "\u{feff}{}",
        ]);
        let deep = "[".repeat(20_000);
        let body = if self.number_below(8) == 0 { &deep } else { body };
        let checksum = Algorithm::Sha1.hex_digest(&format!("{call}{SECRET}"));
        let length = body.len();
        format!(
            "POST /scalelite/api/{call}?checksum={checksum} HTTP/1.1\r\nHost: a\r\n\
             Connection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
             \r\n{body}"
        )
        .into_bytes()
    }

    /// Returns several requests in one, followed by random bytes.
    fn pipeline(&mut self) -> Vec<u8> {
        let target = signed_target("getMeetings", "x=Zebulon");
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut bytes = request.repeat(1 + self.number_below(4)).into_bytes();
        bytes.extend(self.random_bytes(50));
        bytes
    }
}
