//! `bricklayer-agent status`.

use anyhow::Context as _;
use clap::Args;

use super::Settings;
use crate::status::AgentStatus;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
}

pub fn run(settings: &Settings, arguments: &Arguments) -> anyhow::Result<()> {
    let file = settings.status_file();
    let status = AgentStatus::read(&file).with_context(|| format!("could not read {file}"))?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&status)?);
        return Ok(());
    }
    let Some(status) = status else {
        println!("No agent has run on this host since boot (there is no {file}).");
        println!("Start it with: systemctl start bricklayer-agent");
        return Ok(());
    };
    print!("{}", text(&status));
    Ok(())
}

fn text(status: &AgentStatus) -> String {
    let mut lines = Vec::new();
    let mut say = |what: &str, value: String| lines.push(format!("{what:<14}{value}\n"));
    match (&status.name, status.node) {
        (Some(name), Some(node)) => say("Node:", format!("{name} ({node})")),
        _ => say("Node:", "not enrolled; run: bricklayer-agent enroll TOKEN".to_owned()),
    }
    if let Some(installation) = status.installation {
        say("Installation:", installation.to_string());
    }
    if !status.coordinators.is_empty() {
        say("Coordinator:", status.coordinators.join(", "));
    }
    let since = status.attachment_changed.map(|at| format!(" since {at:.0}")).unwrap_or_default();
    match &status.attached_to {
        Some(address) => say("Attached:", format!("to {address}{since}")),
        None => say("Attached:", format!("no{since}")),
    }
    if let Some(error) = &status.last_error {
        say("Last error:", error.clone());
    }
    if let Some(expires) = status.certificate_expires {
        say("Certificate:", format!("valid until {expires:.0}"));
    }
    if let (Some(started), Some(pid)) = (status.started, status.pid) {
        say("Running:", format!("since {started:.0}, process {pid}"));
    }
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_is_not_enrolled_is_told_how_to() {
        let text = text(&AgentStatus::default());
        assert!(text.contains("bricklayer-agent enroll TOKEN"), "{text}");
        assert!(text.contains("Attached:     no"), "{text}");
    }
}
