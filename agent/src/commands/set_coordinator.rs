//! `bricklayer-agent set-coordinator`.

use clap::Args;

use super::Settings;
use crate::identity::Identity;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Where the coordinator's port for agents is, in the order in which the addresses are to be tried.
    #[arg(required = true, value_name = "HOST:PORT", value_parser = address)]
    addresses: Vec<String>,
}

fn address(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) => Ok(text.to_owned()),
        _ => Err("write host:port, such as coordinator.example.org:24010".to_owned()),
    }
}

pub fn run(settings: &Settings, arguments: &Arguments) -> anyhow::Result<()> {
    let mut identity = Identity::load(&settings.data_dir)?;
    let before = std::mem::replace(&mut identity.addresses, arguments.addresses.clone()).join(", ");
    identity.save(&settings.data_dir)?;
    println!("The coordinator is looked for at {} from now on; before: {before}.", arguments.addresses.join(", "));
    println!("A running bricklayer-agent goes there by itself within half a minute.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_port_is_refused() {
        assert!(address("coordinator:24010").is_ok());
        assert!(address("[2001:db8::1]:24010").is_ok());
        for wrong in ["coordinator", ":24010", "coordinator:0", "coordinator:port"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
