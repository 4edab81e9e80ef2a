//! The scripts, each of which is one atomic operation and one round trip, and how they are called.

use std::sync::LazyLock;
use std::sync::atomic::Ordering;

use app::ports::StoreError;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult, Script, ToRedisArgs, Value};

use super::Core;
use super::link::{failure, is_broken, is_elsewhere};

/// For scripts that need nothing.
pub(super) const NO_ARGUMENTS: [&str; 0] = [];

/// A script.
pub(super) struct Named {
    script: LazyLock<Script>,
    /// Whether it may be called a second time if it is not known whether the first call got there.
    again: bool,
    /// Whether what joins remember may not stand after it.
    changes: bool,
}

macro_rules! scripts {
    ($($name:ident = $file:literal, again: $again:literal $(, $changes:ident)?;)+) => {
        $(pub(super) static $name: Named = Named {
            script: LazyLock::new(|| {
                Script::new(concat!(
                    include_str!("scripts/prelude.lua"),
                    include_str!(concat!("scripts/", $file, ".lua"))
                ))
            }),
            again: $again,
            changes: scripts!(@changes $($changes)?),
        };)+
    };
    (@changes changes) => { true };
    (@changes) => { false };
}

scripts! {
    SERVERS = "servers", again: true;
    SERVER = "server", again: true;
    ADD_SERVER = "add_server", again: false, changes;
    PUT_BACK = "put_back", again: false, changes;
    UPDATE_SERVER = "update_server", again: true, changes;
    REMOVE_SERVER = "remove_server", again: false, changes;
    RECORD_VERSION = "record_version", again: true, changes;
    POLL_LOOK = "poll_look", again: true;
    POLL_COMMIT = "poll_commit", again: false, changes;
    ELSEWHERE = "elsewhere", again: true;
    DOUBT = "doubt", again: false, changes;
    ENDINGS = "endings", again: true;
    SWEEP_ENDINGS = "sweep_endings", again: true;
    RECORD_SESSION = "record_session", again: true;
    FORGET_SESSIONS = "forget_sessions", again: true;
    MARK = "mark", again: true;
    LOCATE = "locate", again: true;
    // Counted twice at worst, which the next poll puts right.
    COUNT_JOINS = "count_joins", again: true;
    ADOPT = "adopt", again: true;
    MEETINGS = "meetings", again: true;
    MEETINGS_ON = "meetings_on", again: true;
    LOOK = "look", again: true, changes;
    // Knows its own attempt.
    CLAIM = "claim", again: true, changes;
    CONFIRM = "confirm", again: true, changes;
    RELEASE = "release", again: true, changes;
    RESTORE = "restore", again: false, changes;
    FORGET = "forget", again: true, changes;
    FORGET_ALL = "forget_all", again: false, changes;
    SWEEP = "sweep", again: true, changes;
    SWEEP_BRIDGES = "sweep_bridges", again: true;
    SWEEP_SERVERS = "sweep_servers", again: true;
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
    TURN_LOOK = "turn_look", again: true;
    TURN_TAKE = "turn_take", again: false;
    CHECK = "check", again: true;
}

impl Core {
    /// Calls a script: one round trip, but for the first call after Redis lost its scripts.
    pub(super) async fn call<A: ToRedisArgs>(
        &self,
        named: &Named,
        arguments: &[A],
    ) -> Result<Value, StoreError> {
        let mut invocation = named.script.prepare_invoke();
        invocation.arg(&self.prefix).arg(self.meeting_ttl_ms).arg(arguments);
        let invocation = &invocation;
        let send = |mut connection| async move { invocation.invoke_async(&mut connection).await };
        let outcome = self.attempt(named.again, send).await;
        if named.changes {
            self.sign.fetch_add(1, Ordering::Release);
        }
        outcome
    }

    /// Sends a command, which is not a script.
    pub(super) async fn ask(&self, asked: &redis::Cmd, again: bool) -> Result<Value, StoreError> {
        let send = |mut connection| async move { asked.query_async(&mut connection).await };
        self.attempt(again, send).await
    }

    /// Sends something, and once more if that does no harm and the connection had broken.
    async fn attempt<F>(
        &self,
        again: bool,
        send: impl Fn(MultiplexedConnection) -> F + Send,
    ) -> Result<Value, StoreError>
    where
        F: Future<Output = RedisResult<Value>> + Send,
    {
        let mut tries = if again { 2 } else { 1 };
        loop {
            tries -= 1;
            let (number, connection) = self.link.get().await?;
            let error = match send(connection).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if let Some(failed) = self.judge(&error, number, tries == 0) {
                return Err(failed);
            }
        }
    }

    /// What a failed call means to the link; what to tell the caller, unless it may be tried again.
    fn judge(&self, error: &RedisError, number: u64, last: bool) -> Option<StoreError> {
        let failed = failure(error);
        let moved = is_elsewhere(error);
        if error.is_timeout() || (moved && last) {
            self.link.silent(&failed);
            return Some(failed);
        }
        if !moved && !is_broken(error) {
            return Some(failed);
        }
        self.link.broken(number);
        last.then_some(failed)
    }
}
