//! The scripts, each of which is one atomic operation and one round trip, and how they are called.

use std::sync::LazyLock;

use app::ports::StoreError;
use redis::{Script, ToRedisArgs, Value};

use super::RedisStore;
use super::link::{failure, is_broken};

/// A script.
pub(super) struct Named {
    script: LazyLock<Script>,
    /// Whether it may be called a second time if it is not known whether the first call got there.
    again: bool,
}

macro_rules! scripts {
    ($($name:ident = $file:literal, again: $again:literal;)+) => {
        $(pub(super) static $name: Named = Named {
            script: LazyLock::new(|| {
                Script::new(concat!(
                    include_str!("scripts/prelude.lua"),
                    include_str!(concat!("scripts/", $file, ".lua"))
                ))
            }),
            again: $again,
        };)+
    };
}

scripts! {
    SERVERS = "servers", again: true;
    SERVER = "server", again: true;
    ADD_SERVER = "add_server", again: false;
    UPDATE_SERVER = "update_server", again: true;
    REMOVE_SERVER = "remove_server", again: false;
    RECORD_VERSION = "record_version", again: true;
    POLL_LOOK = "poll_look", again: true;
    POLL_COMMIT = "poll_commit", again: false;
    LOCATE = "locate", again: true;
    // Counted twice at worst, which the next poll puts right.
    JOIN = "join", again: true;
    ADOPT = "adopt", again: true;
    MEETINGS = "meetings", again: true;
    MEETINGS_ON = "meetings_on", again: true;
    LOOK = "look", again: true;
    // Knows its own claim.
    CLAIM = "claim", again: true;
    CONFIRM = "confirm", again: true;
    RELEASE = "release", again: true;
    RESTORE = "restore", again: false;
    FORGET = "forget", again: true;
    FORGET_ALL = "forget_all", again: true;
    SWEEP = "sweep", again: true;
    SWEEP_BRIDGES = "sweep_bridges", again: true;
    TENANTS = "tenants", again: true;
    TENANT = "tenant", again: true;
    ADD_TENANT = "add_tenant", again: false;
    UPDATE_TENANT = "update_tenant", again: true;
    REMOVE_TENANT = "remove_tenant", again: false;
    SETTINGS = "settings", again: true;
    ADD_SETTING = "add_setting", again: false;
    REMOVE_SETTING = "remove_setting", again: false;
    PUT_TOKEN = "put_token", again: true;
    TAKE_TOKEN = "take_token", again: false;
    MEMBERS = "members", again: true;
    TURN_LOOK = "turn_look", again: true;
    TURN_TAKE = "turn_take", again: false;
    CHECK = "check", again: true;
}

impl RedisStore {
    /// Calls a script: one round trip, but for the first call after Redis lost its scripts.
    pub(super) async fn call<A: ToRedisArgs>(
        &self,
        named: &Named,
        arguments: &[A],
    ) -> Result<Value, StoreError> {
        let mut tries = if named.again { 2 } else { 1 };
        loop {
            tries -= 1;
            let (number, mut connection) = self.link.get().await?;
            let mut invocation = named.script.prepare_invoke();
            invocation.arg(&self.prefix).arg(self.meeting_ttl_ms).arg(arguments);
            let error = match invocation.invoke_async(&mut connection).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let failed = failure(&error);
            if error.is_timeout() {
                self.link.silent(&failed);
                return Err(failed);
            }
            if !is_broken(&error) {
                return Err(failed);
            }
            self.link.broken(number);
            if tries == 0 {
                return Err(failed);
            }
        }
    }
}
