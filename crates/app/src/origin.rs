//! Where the work of a task comes from: the request that it belongs to, and who makes its changes. It accompanies the task instead of
//! being a parameter of every function, because only the log and the header of calls to servers need it.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

tokio::task_local! {
    static ORIGIN: WorkOrigin;
}

/// Where work comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkOrigin {
    /// The id of the request; `None` for work of the process itself.
    pub request_id: Option<Arc<str>>,
    /// Who makes changes.
    pub actor: Actor,
}

/// Who makes changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Actor {
    /// The process itself.
    #[default]
    Balancer,
    /// The process itself, for this reason.
    Automatic(&'static str),
    /// A client of the BBB API at this address; `None` on a Unix socket.
    Client(Option<IpAddr>),
    /// A client of the original's management API at this address.
    Administrator(Option<IpAddr>),
    /// The holder of the management token of this name.
    Token(Arc<str>),
    /// A user of the command line: `user@host`.
    CommandLine(Arc<str>),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Balancer => f.write_str("balancer"),
            Self::Automatic(reason) => write!(f, "balancer ({reason})"),
            Self::Client(Some(address)) | Self::Administrator(Some(address)) => {
                write!(f, "client {address}")
            }
            Self::Client(None) | Self::Administrator(None) => f.write_str("client unix"),
            Self::Token(name) => write!(f, "token {name}"),
            Self::CommandLine(user) => f.write_str(user),
        }
    }
}

/// Does work that comes from there.
pub fn run_from<F: Future>(origin: WorkOrigin, work: F) -> impl Future<Output = F::Output> {
    ORIGIN.scope(origin, work)
}

/// Keeps the origin of this task for work that becomes a task of its own.
pub fn keep_origin<F: Future>(work: F) -> impl Future<Output = F::Output> {
    ORIGIN.scope(find_origin(), work)
}

/// Does work for this reason, of the process itself.
pub fn run_automatically<F: Future>(
    reason: &'static str,
    work: F,
) -> impl Future<Output = F::Output> {
    run_from(WorkOrigin { request_id: None, actor: Actor::Automatic(reason) }, work)
}

/// Does work of this actor, for the same request.
pub fn run_as<F: Future>(actor: Actor, work: F) -> impl Future<Output = F::Output> {
    run_from(WorkOrigin { request_id: request_id(), actor }, work)
}

/// The id of the request that this task belongs to.
#[must_use]
pub fn request_id() -> Option<Arc<str>> {
    ORIGIN.try_with(|origin| origin.request_id.clone()).ok().flatten()
}

/// Who makes the changes of this task.
#[must_use]
pub fn actor() -> Actor {
    find_origin().actor
}

fn find_origin() -> WorkOrigin {
    ORIGIN.try_with(Clone::clone).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_origin_accompanies_tasks_that_keep_it() {
        let actor = Actor::Client("192.0.2.1".parse().ok());
        let origin = WorkOrigin { request_id: Some("r1".into()), actor };
        let told = || (request_id().as_deref().map(str::to_owned), super::actor().to_string());
        let of_client = (Some("r1".to_owned()), "client 192.0.2.1".to_owned());
        let of_balancer = (None, "balancer".to_owned());
        run_from(origin, async {
            assert_eq!(told(), of_client);
            assert_eq!(tokio::spawn(keep_origin(async move { told() })).await.unwrap(), of_client);
            assert_eq!(tokio::spawn(async move { told() }).await.unwrap(), of_balancer);
        })
        .await;
        assert_eq!(told(), of_balancer);
    }
}
