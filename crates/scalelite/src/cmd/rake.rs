//! `rake`: the original's tasks, spelled as operators' scripts spell them, on the same code.

use std::path::Path;

use super::poll::PollTarget;
use super::servers::{change, list, sync};
use super::{CommandContext, CommandFailure, meetings, poll, recordings, status, tenants};

/// Runs tasks one after the other.
pub async fn run(session: &CommandContext, tasks: &[String]) -> Result<(), CommandFailure> {
    for task in tasks {
        let (name, arguments) = parse_task(task).ok_or_else(|| {
            CommandFailure(format!("ERROR: `{task}` is not a task of the form name[a,b]"))
        })?;
        run_task(session, name, &TaskArguments(arguments)).await?;
    }
    Ok(())
}

/// `name[a,b]`: the name and the arguments; blanks around commas do not count.
fn parse_task(task: &str) -> Option<(&str, Vec<String>)> {
    let Some((name, rest)) = task.split_once('[') else {
        return Some((task, Vec::new()));
    };
    let inside = rest.strip_suffix(']')?;
    let arguments = inside.split(',').map(|argument| argument.trim().to_owned()).collect();
    Some((name.trim(), arguments))
}

struct TaskArguments(Vec<String>);

impl TaskArguments {
    /// An argument, if it was given, even if it is empty.
    fn get_raw(&self, at: usize) -> Option<String> {
        self.0.get(at).cloned()
    }

    /// An argument that is not empty.
    fn get(&self, at: usize) -> Option<String> {
        self.get_raw(at).filter(|argument| !argument.is_empty())
    }

    /// So many arguments from the first on.
    fn first<const N: usize>(&self) -> [Option<String>; N] {
        std::array::from_fn(|at| self.get(at))
    }

    fn id(&self) -> String {
        self.get_raw(0).unwrap_or_default()
    }

    fn is_true(&self, at: usize) -> bool {
        self.get(at).is_some_and(|argument| argument == "true")
    }

    fn non_empty(&self) -> Vec<String> {
        self.0.iter().filter(|argument| !argument.is_empty()).cloned().collect()
    }
}

async fn run_task(
    session: &CommandContext,
    name: &str,
    a: &TaskArguments,
) -> Result<(), CommandFailure> {
    match name {
        "servers" => list::print_plain(session).await,
        "servers:add" => change::add(session, a.get(0), a.get(1), a.get(2), a.get(3)).await,
        "servers:update" => {
            change::update(session, &a.id(), a.get(1), a.get(2), a.get_raw(3)).await
        }
        "servers:remove" => change::remove(session, &a.id()).await,
        "servers:enable" => change::enable(session, &a.id()).await,
        "servers:cordon" => change::cordon(session, &a.id()).await,
        "servers:disable" => change::disable(session, &a.id(), false).await,
        "servers:panic" => change::panic(session, &a.id(), a.is_true(1), a.is_true(2)).await,
        "servers:loadMultiplier" => change::set_load_multiplier(session, &a.id(), a.get(1)).await,
        "servers:tag" => change::set_tag(session, &a.id(), a.get(1)).await,
        "servers:addAll" => sync::add_all(session, Path::new(&a.id())).await,
        "servers:sync" => {
            let path = a.get(0);
            let mode = a.get(1).unwrap_or_else(|| "cordon".to_owned());
            sync::sync(session, path.as_deref().map(Path::new), &mode, a.is_true(2), false).await
        }
        "servers:yaml" => list::print_yaml(session, a.is_true(0)).await,
        "servers:meeting_list" => list::print_meetings(session, a.get(0).as_deref()).await,
        "meetings" | "meetings:list" => meetings::list(session, &a.non_empty()).await,
        "meetings:info" => match a.get(0) {
            Some(id) => meetings::show_info(session, &id).await,
            None => Err(CommandFailure("Error: Please input a meetingID!".to_owned())),
        },
        "meetings:end" => meetings::end(session, &a.non_empty(), false).await,
        "poll:all" => poll::run(session, PollTarget::All, true).await,
        "poll:servers" => poll::run(session, PollTarget::Servers, true).await,
        "poll:meetings" => poll::run(session, PollTarget::Meetings, true).await,
        "poll:versions" => poll::run(session, PollTarget::Versions, true).await,
        "recordings:update" => recordings::check_files(session, true, false).await,
        "recordings:addToTenant" => recordings::add_to_tenant(session, &a.id(), &[]).await,
        "status" => status::print_table(session).await,
        "liveness" => poll::check_liveness(session).await,
        name if name.starts_with("tenant") => run_tenant_task(session, name, a).await,
        other => Err(unknown_task(other)),
    }
}

async fn run_tenant_task(
    session: &CommandContext,
    name: &str,
    a: &TaskArguments,
) -> Result<(), CommandFailure> {
    match name {
        "tenants" => tenants::list(session).await,
        "tenants:add" => tenants::add(session, a.get(0), a.get(1)).await,
        "tenants:update" => tenants::update(session, a.get(0), a.get(1), a.get(2)).await,
        "tenants:update_lrs_basic" => tenants::update_lrs_basic(session, a.first()).await,
        "tenants:update_lrs_kc" => tenants::update_lrs_kc(session, a.first()).await,
        "tenants:remove" => tenants::remove(session, &a.id()).await,
        "tenantSettings" => tenants::list_settings(session).await,
        "tenantSettings:add" => tenants::add_setting(session, a.first()).await,
        "tenantSettings:remove" => tenants::remove_setting(session, &a.id()).await,
        other => Err(unknown_task(other)),
    }
}

fn unknown_task(name: &str) -> CommandFailure {
    CommandFailure(format!("ERROR: there is no task {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_spellings_are_parsed() {
        let parsed = |task| parse_task(task).map(|(name, arguments)| (name, arguments.join("|")));
        assert_eq!(parsed("servers"), Some(("servers", String::new())));
        assert_eq!(parsed("servers:add[u , s]"), Some(("servers:add", "u|s".to_owned())));
        assert_eq!(parsed("servers:update[i,s,1,]"), Some(("servers:update", "i|s|1|".to_owned())));
        assert_eq!(parsed("servers:add[u"), None);
    }
}
