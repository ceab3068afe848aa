//! `bricklayer-agent enroll`.

use std::io::Read as _;

use anyhow::Context as _;
use bricklayer_proto::wire::token::Token;
use clap::Args;

use super::Settings;
use crate::identity::{self, Clock, Enrolment, Identity};

#[derive(Debug, Args)]
pub struct Arguments {
    /// The line that `bricklayer agent invite NAME` printed; `-` reads it from standard input, where `ps` cannot see
    /// it.
    token: String,
    /// Give up the identity that this host has already.
    #[arg(long)]
    replace: bool,
}

pub async fn run(settings: &Settings, arguments: &Arguments) -> anyhow::Result<()> {
    let token: Token = if arguments.token == "-" {
        let mut line = String::new();
        std::io::stdin().take(8192).read_to_string(&mut line).context("the invitation could not be read")?;
        line.parse()?
    } else {
        arguments.token.parse()?
    };
    let machine_id = identity::machine_id().context("/etc/machine-id could not be read")?;
    let wanted = Enrolment {
        token: &token,
        data_dir: &settings.data_dir,
        machine_id,
        replace: arguments.replace,
        clock: Clock::system(),
    };
    let before = Identity::load(&settings.data_dir).ok();
    let identity = identity::enrol(wanted).await?;
    println!("This host is {} (node {}) of installation {}.", identity.name, identity.node, identity.installation);
    if before.is_some_and(|before| before.uri() != identity.uri()) {
        println!(
            "The journal of what it was before is set aside; restart the agent: systemctl restart bricklayer-agent"
        );
    } else {
        println!("A running bricklayer-agent attaches by itself; else: systemctl enable --now bricklayer-agent");
    }
    Ok(())
}
