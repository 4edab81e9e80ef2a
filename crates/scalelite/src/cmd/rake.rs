//! `rake`: the original's tasks, spelled as operators' scripts spell them, on the same code.

use std::path::Path;

use super::poll::What;
use super::servers::{change, list, sync};
use super::{Failure, Session, meetings, poll, recordings, status, tenants};

/// Runs tasks one after the other.
pub async fn run(session: &Session, tasks: &[String]) -> Result<(), Failure> {
    for task in tasks {
        let (name, arguments) = parse(task).ok_or_else(|| {
            Failure(format!("ERROR: `{task}` is not a task of the form name[a,b]"))
        })?;
        one(session, name, &Arguments(arguments)).await?;
    }
    Ok(())
}

/// `name[a,b]`: the name and the arguments; blanks around commas do not count.
fn parse(task: &str) -> Option<(&str, Vec<String>)> {
    let Some((name, rest)) = task.split_once('[') else {
        return Some((task, Vec::new()));
    };
    let inside = rest.strip_suffix(']')?;
    let arguments = inside.split(',').map(|argument| argument.trim().to_owned()).collect();
    Some((name.trim(), arguments))
}

struct Arguments(Vec<String>);

impl Arguments {
    /// An argument, if it was given, even if it is empty.
    fn given(&self, at: usize) -> Option<String> {
        self.0.get(at).cloned()
    }

    /// An argument that is not empty.
    fn get(&self, at: usize) -> Option<String> {
        self.given(at).filter(|argument| !argument.is_empty())
    }

    /// So many arguments from the first on.
    fn first<const N: usize>(&self) -> [Option<String>; N] {
        std::array::from_fn(|at| self.get(at))
    }

    fn id(&self) -> String {
        self.given(0).unwrap_or_default()
    }

    fn is_true(&self, at: usize) -> bool {
        self.get(at).is_some_and(|argument| argument == "true")
    }

    fn all(&self) -> Vec<String> {
        self.0.iter().filter(|argument| !argument.is_empty()).cloned().collect()
    }
}

async fn one(session: &Session, name: &str, a: &Arguments) -> Result<(), Failure> {
    match name {
        "servers" => list::plain(session).await,
        "servers:add" => change::add(session, a.get(0), a.get(1), a.get(2), a.get(3)).await,
        "servers:update" => change::update(session, &a.id(), a.get(1), a.get(2), a.given(3)).await,
        "servers:remove" => change::remove(session, &a.id()).await,
        "servers:enable" => change::enable(session, &a.id()).await,
        "servers:cordon" => change::cordon(session, &a.id()).await,
        "servers:disable" => change::disable(session, &a.id(), false).await,
        "servers:panic" => change::panic(session, &a.id(), a.is_true(1), a.is_true(2)).await,
        "servers:loadMultiplier" => change::load_multiplier(session, &a.id(), a.get(1)).await,
        "servers:tag" => change::tag(session, &a.id(), a.get(1)).await,
        "servers:addAll" => sync::add_all(session, Path::new(&a.id())).await,
        "servers:sync" => {
            let path = a.get(0);
            let mode = a.get(1).unwrap_or_else(|| "cordon".to_owned());
            sync::sync(session, path.as_deref().map(Path::new), &mode, a.is_true(2), false).await
        }
        "servers:yaml" => list::yaml(session, a.is_true(0)).await,
        "servers:meeting_list" => list::meetings(session, a.get(0).as_deref()).await,
        "meetings" | "meetings:list" => meetings::list(session, &a.all()).await,
        "meetings:info" => match a.get(0) {
            Some(id) => meetings::info(session, &id).await,
            None => Err(Failure("Error: Please input a meetingID!".to_owned())),
        },
        "meetings:end" => meetings::end(session, &a.all(), false).await,
        "poll:all" => poll::run(session, What::All, true).await,
        "poll:servers" => poll::run(session, What::Servers, true).await,
        "poll:meetings" => poll::run(session, What::Meetings, true).await,
        "poll:versions" => poll::run(session, What::Versions, true).await,
        "recordings:update" => recordings::check(session, true, false).await,
        "recordings:addToTenant" => recordings::add_to_tenant(session, &a.id(), &[]).await,
        "status" => status::print(session).await,
        "liveness" => poll::liveness(session).await,
        name if name.starts_with("tenant") => tenant_task(session, name, a).await,
        other => Err(no_task(other)),
    }
}

async fn tenant_task(session: &Session, name: &str, a: &Arguments) -> Result<(), Failure> {
    match name {
        "tenants" => tenants::list(session).await,
        "tenants:add" => tenants::add(session, a.get(0), a.get(1)).await,
        "tenants:update" => tenants::update(session, a.get(0), a.get(1), a.get(2)).await,
        "tenants:update_lrs_basic" => tenants::update_lrs_basic(session, a.first()).await,
        "tenants:update_lrs_kc" => tenants::update_lrs_kc(session, a.first()).await,
        "tenants:remove" => tenants::remove(session, &a.id()).await,
        "tenantSettings" => tenants::settings(session).await,
        "tenantSettings:add" => tenants::add_setting(session, a.first()).await,
        "tenantSettings:remove" => tenants::remove_setting(session, &a.id()).await,
        other => Err(no_task(other)),
    }
}

fn no_task(name: &str) -> Failure {
    Failure(format!("ERROR: there is no task {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        let parsed = |task| parse(task).map(|(name, arguments)| (name, arguments.join("|")));
        assert_eq!(parsed("servers"), Some(("servers", String::new())));
        assert_eq!(parsed("servers:add[u , s]"), Some(("servers:add", "u|s".to_owned())));
        assert_eq!(parsed("servers:update[i,s,1,]"), Some(("servers:update", "i|s|1|".to_owned())));
        assert_eq!(parsed("servers:add[u"), None);
    }
}
