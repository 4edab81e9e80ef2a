//! Lists servers and the meetings that they report.

use domain::{Server, twins};
use serde_json::json;

use crate::cmd::CommandFailure;
use crate::cmd::balancer::Balancer;
use crate::cmd::servers::unknown_server;
use crate::cmd::status::{describe_last_failure, describe_twins};
use crate::output::table::{Cell, render};
use crate::output::yaml::quote_scalar;
use crate::output::{print_line, print_note, print_text, printable};

/// Prints the servers as the original does, secrets included.
pub async fn print_plain(balancer: &Balancer) -> Result<(), CommandFailure> {
    let servers = balancer.list_servers().await?;
    if servers.is_empty() {
        print_note("No servers are configured");
    }
    for server in servers {
        print_line(format!("id: {}", server.id));
        print_line(format!("\turl: {}", server.url));
        print_line(format!("\tsecret: {}", printable(&server.secret)));
        print_line(format!("\t{}", server.state.name()));
        print_line(format!("\tload: {}", format_load(&server)));
        print_line(format!("\tload multiplier: {:?}", server.load_multiplier));
        print_line(format!(
            "\tbbb version: {}",
            printable(server.bbb_version.as_deref().unwrap_or_default())
        ));
        print_line(format!("\ttag: {}", printable(server.tag.as_deref().unwrap_or_default())));
        print_line(format!("\t{}", if server.is_online() { "online" } else { "offline" }));
    }
    Ok(())
}

fn format_load(server: &Server) -> String {
    server.load.map_or_else(|| "unavailable".to_owned(), |load| format!("{load:?}"))
}

/// Prints the servers as a table, with limits, expected users, forecast load and the last failure.
pub async fn print_table(balancer: &Balancer) -> Result<(), CommandFailure> {
    let (servers, outlooks): (Vec<_>, Vec<_>) =
        balancer.list_servers_with_outlook().await?.into_iter().unzip();
    let limit = |limit: Option<u32>| limit.map_or(String::new(), |number| number.to_string());
    let rows: Vec<_> = servers
        .iter()
        .zip(outlooks)
        .map(|(server, outlook)| {
            vec![
                Cell::text(&server.id.0),
                Cell::text(&server.url),
                Cell::text(server.state.name()),
                Cell::text(server.health.state(balancer.now()).name()),
                Cell::Number(server.stats.users.to_string()),
                Cell::Number(format!("{:.0}", outlook.expected_users)),
                Cell::Number(format!("{:.0}", outlook.upcoming_users)),
                Cell::Number(format_load(server)),
                Cell::Number(format!("{:.1}", outlook.expected_load)),
                Cell::Number(format!("{:?}", server.load_multiplier)),
                Cell::text(printable(server.tag.as_deref().unwrap_or_default())),
                Cell::Number(server.limits.tier.to_string()),
                Cell::Number(limit(server.limits.max_meetings)),
                Cell::Number(limit(server.limits.max_users)),
                Cell::text(printable(&describe_twins(server, &servers))),
                Cell::text(printable(&describe_last_failure(server))),
            ]
        })
        .collect();
    let headings = [
        "ID",
        "URL",
        "STATE",
        "STATUS",
        "USERS",
        "EXPECTED USERS",
        "UPCOMING USERS",
        "LOAD",
        "FORECAST LOAD",
        "MULTIPLIER",
        "TAG",
        "TIER",
        "MAX MEETINGS",
        "MAX USERS",
        "SAME AS",
        "FAILURES",
    ];
    print_text(render(&headings, &rows));
    Ok(())
}

/// Prints the servers as JSON, without secrets.
pub async fn print_json(balancer: &Balancer) -> Result<(), CommandFailure> {
    let servers = balancer.list_servers().await?;
    let with_twins = |server: &Server| {
        let mut entry = json!(server);
        entry["same_as"] = json!(twins::list_twins(server, &servers));
        entry
    };
    print_line(json!(servers.iter().map(with_twins).collect::<Vec<_>>()).to_string());
    Ok(())
}

/// Prints the servers as YAML that `servers sync` reads, secrets included.
pub async fn print_yaml(balancer: &Balancer, verbose: bool) -> Result<(), CommandFailure> {
    // The secrets are what it is for.
    let context = balancer.here("servers yaml")?;
    let servers = context.app.pool.list_servers().await?;
    print_line("---");
    print_line(if servers.is_empty() { "servers: {}" } else { "servers:" });
    for server in servers {
        print_line(format!("  {}:", quote_scalar(&server.id.0)));
        print_line(format!("    url: {}", quote_scalar(&server.url)));
        if let Some(url) = &server.join_url {
            print_line(format!("    join_url: {}", quote_scalar(url)));
        }
        print_line(format!("    secret: {}", quote_scalar(&server.secret)));
        print_line(format!("    load_multiplier: {:?}", server.load_multiplier));
        print_line(format!("    tag: {}", quote_scalar(server.tag.as_deref().unwrap_or_default())));
        let enabled = server.state == domain::AdminState::Enabled;
        print_line(format!("    enabled: {enabled}"));
        for (name, limit) in [
            ("max_meetings", server.limits.max_meetings),
            ("max_users", server.limits.max_users),
            ("tier", Some(server.limits.tier).filter(|tier| *tier > 0)),
        ] {
            if let Some(limit) = limit {
                print_line(format!("    {name}: {limit}"));
            }
        }
        if verbose {
            print_line(format!("    state: {}", server.state.name()));
            print_line(format!("    load: {:?}", server.load.unwrap_or(-1.0)));
            let version = server.bbb_version.as_deref().unwrap_or_default();
            print_line(format!("    bbb_version: {}", quote_scalar(version)));
            print_line(format!("    online: {}", server.is_online()));
        }
    }
    Ok(())
}

/// Prints the meetings that servers report, also those that were not created through this pool.
pub async fn print_meetings(balancer: &Balancer, id: Option<&str>) -> Result<(), CommandFailure> {
    let servers = balancer.list_servers().await?;
    let selected: Vec<_> =
        servers.into_iter().filter(|server| id.is_none_or(|id| server.id.0 == id)).collect();
    if let (Some(id), true) = (id, selected.is_empty()) {
        return Err(unknown_server(id));
    }
    let mut failed = false;
    for server in selected {
        print_line(format!("\nServer ID: {}\nServer Url: {}", server.id, server.url));
        match balancer.list_reported_meetings(&server).await? {
            Ok(names) => {
                print_line("MeetingIDs: ");
                for name in &names {
                    print_line(format!("\t{}", printable(name)));
                }
            }
            Err(error) => {
                print_note(format!("WARNING: {error}"));
                failed = true;
            }
        }
    }
    if failed { Err(CommandFailure(String::new())) } else { Ok(()) }
}
