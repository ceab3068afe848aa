//! The commands of heketi-cli that this server has routes for. A word that is not here is answered with the usage of
//! its group, as heketi-cli answers it.

use std::fmt::Write as _;

use super::flags::{Flag, Kind};

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    ClusterCreate,
    ClusterDelete,
    ClusterInfo,
    ClusterList,
    ClusterSetFlags,
    DeviceAdd,
    DeviceDelete,
    DeviceDisable,
    DeviceEnable,
    DeviceInfo,
    NodeAdd,
    NodeDelete,
    NodeDisable,
    NodeEnable,
    NodeInfo,
    NodeList,
    TopologyInfo,
    TopologyLoad,
    VolumeCreate,
    VolumeDelete,
    VolumeInfo,
    VolumeList,
}

/// A word of the command line and what may follow it.
#[derive(Debug)]
pub struct Command {
    pub name: &'static str,
    about: &'static str,
    /// What stands behind it, for the usage.
    arguments: &'static str,
    example: &'static str,
    flags: &'static [Flag],
    /// `None` for a group.
    pub action: Option<Action>,
    pub commands: &'static [Command],
}

const fn group(name: &'static str, about: &'static str, commands: &'static [Command]) -> Command {
    Command { name, about, arguments: "", example: "", flags: &[], action: None, commands }
}

const fn command(
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    action: Action,
    flags: &'static [Flag],
    example: &'static str,
) -> Command {
    Command { name, about, arguments, example, flags, action: Some(action), commands: &[] }
}

const fn flag(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag { name, short: None, kind, default, help }
}

const fn with_short(short: char, flag: Flag) -> Flag {
    Flag { short: Some(short), ..flag }
}

/// Flags of every command.
const GLOBAL: &[Flag] = &[
    flag("json", Kind::Bool, "false", "Print the server's answer as JSON"),
    flag("secret", Kind::Text, "", "Key of the user (or HEKETI_CLI_KEY)"),
    with_short('s', flag("server", Kind::Text, "", "Address of the server (or HEKETI_CLI_SERVER)")),
    with_short('C', flag("tls-cert", Kind::Texts, "", "File with a CA's certificate in PEM to trust")),
    with_short('I', flag("insecure-tls", Kind::Bool, "false", "Take any TLS certificate of the server")),
    flag("user", Kind::Text, "", "Who asks: admin or user (or HEKETI_CLI_USER)"),
];

const CLUSTER: &[Command] = &[
    command(
        "create",
        "",
        "Create a cluster",
        Action::ClusterCreate,
        &[
            flag("block", Kind::Bool, "true", "Allow volumes that hold block volumes"),
            flag("file", Kind::Bool, "true", "Allow file volumes"),
        ],
        "heketi-cli cluster create\n  heketi-cli cluster create --block=false",
    ),
    command(
        "delete",
        "ID",
        "Delete a cluster without nodes",
        Action::ClusterDelete,
        &[],
        "heketi-cli cluster delete ID",
    ),
    command("info", "ID", "Show a cluster", Action::ClusterInfo, &[], "heketi-cli cluster info ID"),
    command("list", "", "List the clusters", Action::ClusterList, &[], "heketi-cli cluster list"),
    command(
        "setflags",
        "ID",
        "Say what a cluster is for",
        Action::ClusterSetFlags,
        &[
            flag("block", Kind::Text, "", "true or false: allow volumes that hold block volumes"),
            flag("file", Kind::Text, "", "true or false: allow file volumes"),
        ],
        "heketi-cli cluster setflags --file=true ID",
    ),
];

const DEVICE: &[Command] = &[
    command(
        "add",
        "",
        "Add a device to a node",
        Action::DeviceAdd,
        &[
            flag("name", Kind::Text, "", "Name of the device, such as /dev/sdb"),
            flag("node", Kind::Text, "", "Id of the node that has it"),
            flag("destroy-existing-data", Kind::Bool, "false", "Wipe whatever lies on the device"),
        ],
        "heketi-cli device add --name=/dev/sdb --node=ID",
    ),
    command(
        "delete",
        "ID",
        "Delete a device without bricks",
        Action::DeviceDelete,
        &[flag("force-forget", Kind::Bool, "false", "Forget it even if it cannot be cleaned")],
        "heketi-cli device delete ID",
    ),
    command("disable", "ID", "Place no more bricks on it", Action::DeviceDisable, &[], "heketi-cli device disable ID"),
    command("enable", "ID", "Place bricks on it again", Action::DeviceEnable, &[], "heketi-cli device enable ID"),
    command("info", "ID", "Show a device", Action::DeviceInfo, &[], "heketi-cli device info ID"),
];

const NODE: &[Command] = &[
    command(
        "add",
        "",
        "Add a node to a cluster",
        Action::NodeAdd,
        &[
            flag("zone", Kind::Int, "-1", "Failure domain that it stands in"),
            flag("cluster", Kind::Text, "", "Id of the cluster"),
            flag("management-host-name", Kind::Text, "", "Name of its agent"),
            flag("storage-host-name", Kind::Text, "", "Address that GlusterFS uses"),
        ],
        "heketi-cli node add --zone=3 --cluster=ID --management-host-name=gfs1 --storage-host-name=192.168.0.224",
    ),
    command("delete", "ID", "Delete a node without devices", Action::NodeDelete, &[], "heketi-cli node delete ID"),
    command("disable", "ID", "Place no more bricks on it", Action::NodeDisable, &[], "heketi-cli node disable ID"),
    command("enable", "ID", "Place bricks on it again", Action::NodeEnable, &[], "heketi-cli node enable ID"),
    command("info", "ID", "Show a node", Action::NodeInfo, &[], "heketi-cli node info ID"),
    command("list", "", "List the nodes", Action::NodeList, &[], "heketi-cli node list"),
];

const TOPOLOGY: &[Command] = &[
    command(
        "info",
        "",
        "Show everything",
        Action::TopologyInfo,
        &[with_short('T', flag("template", Kind::Text, "", "A template of Go's (not supported)"))],
        "heketi-cli topology info",
    ),
    command(
        "load",
        "",
        "Add what a topology file names",
        Action::TopologyLoad,
        &[with_short('j', flag("json", Kind::Text, "", "The topology file"))],
        "heketi-cli topology load --json=topology.json",
    ),
];

const VOLUME: &[Command] = &[
    command(
        "create",
        "",
        "Create a volume",
        Action::VolumeCreate,
        &[
            flag("size", Kind::Int, "-1", "Size in GiB"),
            flag("gid", Kind::Int, "0", "Group that may write, and owns what is written"),
            flag("name", Kind::Text, "", "Name; vol_ID if none is given"),
            flag("durability", Kind::Text, "replicate", "none, replicate or disperse"),
            flag("replica", Kind::Int, "3", "Copies, for replicate"),
            flag("disperse-data", Kind::Int, "4", "Data bricks of a set, for disperse"),
            flag("redundancy", Kind::Int, "2", "Redundancy bricks of a set, for disperse"),
            flag("snapshot-factor", Kind::Float, "1.0", "Room for snapshots, as a multiple of the size"),
            flag("clusters", Kind::Text, "", "Ids of clusters to choose from, with commas; all if none is given"),
            flag("gluster-volume-options", Kind::Text, "", "Volume options, with commas: \"key value,key value\""),
            flag("block", Kind::Bool, "false", "The volume is to hold block volumes"),
            flag("persistent-volume", Kind::Bool, "false", "Print a persistent volume of Kubernetes"),
            flag("persistent-volume-file", Kind::Text, "", "Write a persistent volume of Kubernetes to this file"),
            flag("persistent-volume-endpoint", Kind::Text, "", "Endpoints that the persistent volume names"),
        ],
        "heketi-cli volume create --size=8\n  heketi-cli volume create --size=8 --durability=disperse --disperse-data=2 --redundancy=1",
    ),
    command("delete", "ID", "Delete a volume", Action::VolumeDelete, &[], "heketi-cli volume delete ID"),
    command("info", "ID", "Show a volume", Action::VolumeInfo, &[], "heketi-cli volume info ID"),
    command("list", "", "List the volumes", Action::VolumeList, &[], "heketi-cli volume list"),
];

/// The root of all commands.
pub static ROOT: Command = Command {
    flags: &[with_short('v', flag("version", Kind::Bool, "false", "Print the version"))],
    ..group(
        "heketi-cli",
        "Manages GlusterFS volumes. This is Bricklayer, in heketi-cli's words.",
        &[
            group("cluster", "Clusters", CLUSTER),
            group("device", "Devices", DEVICE),
            group("node", "Nodes", NODE),
            group("topology", "Everything at once", TOPOLOGY),
            group("volume", "Volumes", VOLUME),
        ],
    )
};

/// Every word from the program's name to the command.
pub fn path_to(command: &Command) -> String {
    fn search(from: &'static Command, wanted: &Command, path: &mut Vec<&'static str>) -> bool {
        path.push(from.name);
        if std::ptr::eq(from, wanted) || from.commands.iter().any(|next| search(next, wanted, path)) {
            return true;
        }
        path.pop();
        false
    }
    let mut path = Vec::new();
    search(&ROOT, command, &mut path);
    path.join(" ")
}

impl Command {
    pub fn step(&self, word: &str) -> Option<&'static Self> {
        self.commands.iter().find(|command| command.name == word)
    }

    /// Its own flags, and those of every command that it does not hide by one of its own.
    pub fn flags(&self) -> Vec<&'static Flag> {
        let own = self.flags;
        let global = GLOBAL.iter().filter(|global| own.iter().all(|flag| flag.name != global.name));
        own.iter().chain(global).collect()
    }

    /// How it is used, laid out as cobra lays it out. `path` is every word up to it.
    pub fn usage(&self, path: &str) -> String {
        let mut text = format!("{}\n\nUsage:\n", self.about);
        let _infallible = match self.action {
            Some(_) if self.arguments.is_empty() => writeln!(text, "  {path} [flags]"),
            Some(_) => writeln!(text, "  {path} {} [flags]", self.arguments),
            None => writeln!(text, "  {path} [command]"),
        };
        if !self.example.is_empty() {
            let _infallible = write!(text, "\nExamples:\n  {}\n", self.example);
        }
        if !self.commands.is_empty() {
            text.push_str("\nAvailable Commands:\n");
            for command in self.commands {
                let _infallible = writeln!(text, "  {:<12}{}", command.name, command.about);
            }
        }
        let help = flag_line(Some('h'), "help", "", &format!("help for {}", self.name));
        text.push_str("\nFlags:\n");
        text.push_str(&self.flags.iter().map(line_of).collect::<String>());
        text.push_str(&help);
        text.push_str("\nGlobal Flags:\n");
        text.push_str(&GLOBAL.iter().map(line_of).collect::<String>());
        if self.action.is_none() {
            let _infallible = writeln!(text, "\nUse \"{path} [command] --help\" for more information about a command.");
        }
        text
    }
}

fn line_of(flag: &Flag) -> String {
    let (kind, default) = match flag.kind {
        Kind::Bool => ("", flag.default),
        Kind::Int => (" int", flag.default),
        Kind::Float => (" float32", flag.default),
        Kind::Text => (" string", flag.default),
        Kind::Texts => (" strings", flag.default),
    };
    let help = match default {
        "" | "false" | "0" | "-1" => flag.help.to_owned(),
        default => format!("{} (default {default})", flag.help),
    };
    flag_line(flag.short, flag.name, kind, &help)
}

fn flag_line(short: Option<char>, name: &str, kind: &str, help: &str) -> String {
    let short = short.map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
    format!("  {short}{:<38}{help}\n", format!("--{name}{kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(command: &'static Command, check: &mut impl FnMut(&'static Command)) {
        check(command);
        for one in command.commands {
            each(one, check);
        }
    }

    #[test]
    fn every_default_can_be_read() {
        each(&ROOT, &mut |command| {
            let read = super::super::flags::read(Vec::new(), command, |_, _| None, Command::flags);
            assert!(read.is_ok(), "{}", command.name);
        });
    }

    #[test]
    fn only_topology_load_hides_the_global_json() {
        each(&ROOT, &mut |command| {
            let json: Vec<_> = command.flags().into_iter().filter(|flag| flag.name == "json").collect();
            assert_eq!(json.len(), 1);
            assert_eq!(json[0].kind == Kind::Text, command.action == Some(Action::TopologyLoad));
        });
    }
}
