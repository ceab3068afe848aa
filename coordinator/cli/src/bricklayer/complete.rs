//! What may stand where the shell asks: names and ids, as the server has them now.
//!
//! A completer has a moment, and nobody to tell of an error: a server that is away has nothing to offer. Which server is
//! meant is read off the line that is being completed, and off the environment.

use std::ffi::OsStr;
use std::time::Duration;

use bricklayer_api::client::{Client, ClientError};
use bricklayer_api::heketi::NodeInfo;
use clap_complete::CompletionCandidate;

use super::commands::VARIABLES;
use crate::actions;
use crate::connection::Connection;

/// A person who pressed Tab waits no longer than this.
const PATIENCE: Duration = Duration::from_secs(2);

/// A name, and what it is the name of.
type Offer = (String, String);

/// The flags of the line that say which server is meant. The line is not whole yet, so that it is not parsed as a
/// command.
fn connection(words: &[String]) -> Connection {
    let value = |long: &str, short: Option<&str>| {
        words.iter().enumerate().find_map(|(at, word)| {
            let follows = word == long || short.is_some_and(|short| word == short);
            match word.strip_prefix(long).and_then(|rest| rest.strip_prefix('=')) {
                Some(value) => Some(value.to_owned()),
                None => words.get(at + 1).filter(|_| follows).cloned(),
            }
        })
    };
    Connection {
        server: value("--server", Some("-s")),
        user: value("--user", None),
        key: value("--secret", None),
        insecure_tls: words.iter().any(|word| word == "--insecure-tls" || word == "-I"),
        tls_certificates: value("--tls-cert", Some("-C")).map(Into::into).into_iter().collect(),
    }
}

fn offers(
    current: &OsStr,
    ask: impl AsyncFnOnce(&Client) -> Result<Vec<Offer>, ClientError>,
) -> Vec<CompletionCandidate> {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let asked = connection(&words).client(VARIABLES).ok().and_then(|client| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        runtime.block_on(async { tokio::time::timeout(PATIENCE, ask(&client)).await.ok()?.ok() })
    });
    let current = current.to_string_lossy();
    let fitting = asked.into_iter().flatten().filter(|(name, _)| name.starts_with(&*current));
    fitting.map(|(name, what)| CompletionCandidate::new(name).help(Some(what.into()))).collect()
}

fn name_of(node: &NodeInfo) -> String {
    node.hostnames.manage.first().cloned().unwrap_or_else(|| node.id.to_string())
}

pub fn agents(current: &OsStr) -> Vec<CompletionCandidate> {
    offers(current, async |client| {
        let agents = client.agents().await?.agents;
        Ok(agents.into_iter().map(|agent| (agent.name.to_string(), agent.state.to_string())).collect())
    })
}

pub fn block_volumes(current: &OsStr) -> Vec<CompletionCandidate> {
    offers(current, async |client| {
        let volumes = actions::block_volumes(client).await?;
        Ok(volumes.into_iter().map(|volume| (volume.name, format!("{} GiB", volume.size_gib))).collect())
    })
}

pub fn bricks(current: &OsStr) -> Vec<CompletionCandidate> {
    offers(current, async |client| {
        let nodes = actions::nodes(client).await?;
        let bricks = nodes.iter().flat_map(|node| {
            let devices = node.devices.iter();
            devices.flat_map(move |device| {
                device.bricks.iter().map(move |brick| {
                    (brick.id.to_string(), format!("{}:{} of volume {}", name_of(node), device.name, brick.volume))
                })
            })
        });
        Ok(bricks.collect())
    })
}

pub fn clusters(current: &OsStr) -> Vec<CompletionCandidate> {
    offers(current, async |client| {
        let clusters = client.clusters().await?.clusters;
        Ok(clusters.into_iter().map(|id| (id.to_string(), "cluster".to_owned())).collect())
    })
}

pub fn devices(current: &OsStr) -> Vec<CompletionCandidate> {
    offers(current, async |client| {
        let nodes = actions::nodes(client).await?;
        let devices = nodes.iter().flat_map(|node| {
            let devices = node.devices.iter();
            devices.map(|device| (format!("{}:{}", name_of(node), device.name), device.id.to_string()))
        });
        Ok(devices.collect())
    })
}

pub fn invitations(current: &OsStr) -> Vec<CompletionCandidate> {
    offers(current, async |client| {
        let invitations = client.invitations().await?.invitations;
        Ok(invitations.into_iter().map(|one| (one.invitation.to_string(), one.name.to_string())).collect())
    })
}

pub fn nodes(current: &OsStr) -> Vec<CompletionCandidate> {
    offers(current, async |client| {
        let nodes = actions::nodes(client).await?;
        Ok(nodes.iter().map(|node| (name_of(node), node.id.to_string())).collect())
    })
}

pub fn operations(current: &OsStr) -> Vec<CompletionCandidate> {
    offers(current, async |client| {
        let operations = client.operations().await?.operations;
        Ok(operations.into_iter().map(|one| (one.id.to_string(), format!("{} {}", one.kind, one.state))).collect())
    })
}

pub fn trash(current: &OsStr) -> Vec<CompletionCandidate> {
    offers(current, async |client| {
        let volumes = client.trash().await?.volumes;
        Ok(volumes.into_iter().map(|volume| (volume.name, format!("until {:.0}", volume.until))).collect())
    })
}

pub fn plans(current: &OsStr) -> Vec<CompletionCandidate> {
    offers(current, async |client| {
        let plans = client.plans_kept().await?.plans;
        Ok(plans.into_iter().filter_map(|plan| Some((plan.kept?.id.to_string(), plan.kind))).collect())
    })
}

pub fn volumes(current: &OsStr) -> Vec<CompletionCandidate> {
    offers(current, async |client| {
        let volumes = actions::volumes(client).await?;
        Ok(volumes.into_iter().map(|volume| (volume.name, format!("{} GiB", volume.size_gib))).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_read_off_the_line_that_is_completed() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for line in ["bricklayer -s http://a volume info", "bricklayer volume info --server http://a x"] {
            assert_eq!(connection(&words(line)).server.as_deref(), Some("http://a"), "{line}");
        }
        let both = connection(&words("bricklayer --server=http://a --user=admin -I volume"));
        assert_eq!(
            (both.server.as_deref(), both.user.as_deref(), both.insecure_tls),
            (Some("http://a"), Some("admin"), true)
        );
        assert_eq!(connection(&words("bricklayer volume info")).server, None);
    }
}
