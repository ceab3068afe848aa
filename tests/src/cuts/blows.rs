//! What is cut off, and how it comes back.

use std::fmt;
use std::time::Duration;

use anyhow::ensure;

use super::{HOSTS, pause};
use crate::histories::chance::Chance;
use crate::lab::Lab;

/// What dies at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// A host loses power.
    Host(&'static str),
    /// A host loses power and the coordinator is killed.
    HostAndCoordinator(&'static str),
    /// All hosts lose power, and the coordinator is killed.
    Everything,
    Coordinator,
    Agent(&'static str),
}

impl Blow {
    /// One to four, not more than are left to fall; one of them at most takes power.
    pub fn some(chance: &mut Chance, left: usize) -> Vec<Self> {
        let count = chance.index(4) + 1;
        let mut blows: Vec<Self> = Vec::new();
        while blows.len() < count.min(left) {
            let blow = Self::any(chance);
            if !blow.takes_power() || !blows.iter().any(Self::takes_power) {
                blows.push(blow);
            }
        }
        blows
    }

    fn any(chance: &mut Chance) -> Self {
        let host = HOSTS[chance.index(HOSTS.len())];
        match chance.number(1..=16) {
            1..=5 => Self::Host(host),
            6 | 7 => Self::HostAndCoordinator(host),
            8 => Self::Everything,
            9..=12 => Self::Coordinator,
            _ => Self::Agent(host),
        }
    }

    const fn takes_power(&self) -> bool {
        matches!(self, Self::Host(_) | Self::HostAndCoordinator(_) | Self::Everything)
    }

    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Host(_) => "power of a host",
            Self::HostAndCoordinator(_) => "power of a host, and the coordinator",
            Self::Everything => "power of all hosts, and the coordinator",
            Self::Coordinator => "the coordinator",
            Self::Agent(_) => "an agent",
        }
    }

    /// Milliseconds; a host takes its boot besides.
    pub const fn most_down(&self) -> u64 {
        match self {
            Self::Host(_) | Self::HostAndCoordinator(_) | Self::Everything => 15_000,
            Self::Coordinator | Self::Agent(_) => 5_000,
        }
    }

    /// Takes it away and brings it back after so long.
    pub fn fall(self, lab: &Lab, down: Duration) -> anyhow::Result<()> {
        match self {
            Self::Host(host) => {
                lab.must(&["kill", host])?;
                pause(down);
                lab.must(&["start", host])?;
            }
            Self::HostAndCoordinator(host) => {
                lab.must(&["kill", host])?;
                lab.must(&["coordinator", "kill"])?;
                pause(down);
                // Whichever is first: both orders come about in the field.
                if down.as_millis().is_multiple_of(2) {
                    lab.must(&["coordinator", "start"])?;
                    lab.must(&["start", host])?;
                } else {
                    lab.must(&["start", host])?;
                    lab.must(&["coordinator", "start"])?;
                }
            }
            Self::Everything => {
                lab.must(&["coordinator", "kill"])?;
                for host in HOSTS {
                    lab.must(&["kill", host])?;
                }
                pause(down);
                let boots = HOSTS.map(|host| lab.start(&["start", host]));
                for boot in boots {
                    let output = boot?.wait_with_output()?;
                    ensure!(
                        output.status.success(),
                        "a host does not boot: {}",
                        String::from_utf8_lossy(&output.stderr)
                    );
                }
                lab.must(&["coordinator", "start"])?;
            }
            Self::Coordinator => {
                lab.must(&["coordinator", "kill"])?;
                pause(down);
                lab.must(&["coordinator", "start"])?;
            }
            Self::Agent(host) => {
                lab.must(&["agent", "kill", host])?;
                pause(down);
                lab.must(&["agent", "start", host])?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(f, "{host} loses power"),
            Self::HostAndCoordinator(host) => write!(f, "{host} loses power and the coordinator is killed"),
            Self::Everything => f.write_str("all hosts lose power and the coordinator is killed"),
            Self::Coordinator => f.write_str("the coordinator is killed"),
            Self::Agent(host) => write!(f, "the agent of {host} is killed"),
        }
    }
}
