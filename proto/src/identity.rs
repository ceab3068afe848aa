//! Who is at the other end of a connection: one URI per certificate, and nothing else counts.
//!
//! `spiffe://<installation>/agent/<node>` and `spiffe://<installation>/coordinator/<installation>`. Host names and
//! addresses may change without harm, so they grant nothing.

use std::fmt;
use std::str::FromStr;

use crate::ids::{InstallationId, NodeId};

/// The role that a certificate grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Agent(NodeId),
    Coordinator,
}

/// The one name in a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    pub installation: InstallationId,
    pub role: Role,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let installation = self.installation;
        match self.role {
            Role::Agent(node) => write!(f, "spiffe://{installation}/agent/{node}"),
            Role::Coordinator => write!(f, "spiffe://{installation}/coordinator/{installation}"),
        }
    }
}

/// A URI that names nobody whom we know how to trust.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} does not name an agent or a coordinator")]
pub struct NotAnIdentity(String);

impl FromStr for Identity {
    type Err = NotAnIdentity;

    fn from_str(uri: &str) -> Result<Self, NotAnIdentity> {
        let wrong = || NotAnIdentity(uri.chars().take(160).collect());
        let path = uri.strip_prefix("spiffe://").ok_or_else(wrong)?;
        let parts: Vec<&str> = path.split('/').collect();
        let [installation, role, id] = parts.as_slice() else { return Err(wrong()) };
        let installation: InstallationId = installation.parse().map_err(|_| wrong())?;
        let role = match *role {
            "agent" => Role::Agent(id.parse().map_err(|_| wrong())?),
            "coordinator" if *id == installation.to_string() => Role::Coordinator,
            _ => return Err(wrong()),
        };
        Ok(Self { installation, role })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_back_from_its_uri() {
        let installation = InstallationId::from_u128(7);
        for role in [Role::Coordinator, Role::Agent(NodeId::from_u128(9))] {
            let identity = Identity { installation, role };
            assert_eq!(identity.to_string().parse(), Ok(identity));
        }
    }

    #[test]
    fn a_uri_with_more_or_other_parts_names_nobody() {
        let installation = InstallationId::from_u128(7);
        for uri in [
            format!("spiffe://{installation}/agent/{installation}/more"),
            format!("spiffe://{installation}/operator/{installation}"),
            format!("https://{installation}/agent/{installation}"),
            format!("spiffe://{installation}/coordinator/{}", NodeId::from_u128(1)),
        ] {
            assert!(uri.parse::<Identity>().is_err(), "{uri}");
        }
    }
}
