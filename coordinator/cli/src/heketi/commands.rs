//! The commands of heketi-cli. A word that is not here is answered with the usage of its group, as heketi-cli answers it.

use std::fmt::Write as _;

use super::flags::{Flag, Kind};

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    BlockVolumeCreate,
    BlockVolumeDelete,
    BlockVolumeExpand,
    BlockVolumeInfo,
    BlockVolumeList,
    BrickEvict,
    ClusterCreate,
    ClusterDelete,
    ClusterInfo,
    ClusterList,
    ClusterSetFlags,
    DbCheck,
    DbDump,
    DeviceAdd,
    DeviceDelete,
    DeviceDisable,
    DeviceEnable,
    DeviceInfo,
    DeviceRemove,
    DeviceResync,
    DeviceRmTags,
    DeviceSetTags,
    LogLevelGet,
    LogLevelSet,
    NodeAdd,
    NodeDelete,
    NodeDisable,
    NodeEnable,
    NodeInfo,
    NodeList,
    NodeRemove,
    NodeRmTags,
    NodeSetTags,
    ServerExamine,
    ServerModeGet,
    ServerModeSet,
    ServerOperationsCleanup,
    ServerOperationsInfo,
    ServerOperationsList,
    SetUpDbStorage,
    TopologyInfo,
    TopologyLoad,
    VolumeClone,
    VolumeCreate,
    VolumeDelete,
    VolumeEndpointPatch,
    VolumeExpand,
    VolumeInfo,
    VolumeList,
    VolumeSetBlockRestriction,
}

/// A word of the command line and what may follow it.
#[derive(Debug)]
pub struct Command {
    pub name: &'static str,
    /// Other words for it, which no usage shows.
    aliases: &'static [&'static str],
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
    Command { name, aliases: &[], about, arguments: "", example: "", flags: &[], action: None, commands }
}

const fn command(
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    action: Action,
    flags: &'static [Flag],
    example: &'static str,
) -> Command {
    Command { name, aliases: &[], about, arguments, example, flags, action: Some(action), commands: &[] }
}

const fn with_aliases(aliases: &'static [&'static str], command: Command) -> Command {
    Command { aliases, ..command }
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

const NO_HEAL_CHECK: Flag =
    flag("expert-option-disable-heal-check", Kind::Bool, "false", "Go on although copies of the data are being healed");

const EXACT_TAGS: Flag = with_short('e', flag("exact", Kind::Bool, "false", "Let these be the only tags"));

const ALL_TAGS: Flag = flag("all", Kind::Bool, "false", "Take all tags off");

const REMOVE_TAGS: &[&str] = &["deltags", "removetags"];

const BLOCK_VOLUME: &[Command] = &[
    command(
        "create",
        "",
        "Create a block volume",
        Action::BlockVolumeCreate,
        &[
            flag("size", Kind::Int, "-1", "Size in GiB"),
            flag("ha", Kind::Int, "0", "Hosts that serve it; 0 for all"),
            flag("auth", Kind::Bool, "false", "Initiators must log in"),
            flag("name", Kind::Text, "", "Name; blockvol_ID if none is given"),
            flag("clusters", Kind::Text, "", "Ids of clusters to choose from, with commas; all if none is given"),
        ],
        "heketi-cli blockvolume create --size=10 --ha=3",
    ),
    command(
        "delete",
        "ID",
        "Delete a block volume",
        Action::BlockVolumeDelete,
        &[],
        "heketi-cli blockvolume delete ID",
    ),
    command(
        "expand",
        "ID",
        "Make a block volume larger",
        Action::BlockVolumeExpand,
        &[
            flag("blockvolume", Kind::Text, "", "Id of the block volume"),
            flag("new-size", Kind::Int, "-1", "Size in GiB that it is to have"),
        ],
        "heketi-cli blockvolume expand ID --new-size=20",
    ),
    command("info", "ID", "Show a block volume", Action::BlockVolumeInfo, &[], "heketi-cli blockvolume info ID"),
    command("list", "", "List the block volumes", Action::BlockVolumeList, &[], "heketi-cli blockvolume list"),
];

const BRICK: &[Command] = &[command(
    "evict",
    "ID",
    "Move a brick to another device",
    Action::BrickEvict,
    &[NO_HEAL_CHECK],
    "heketi-cli brick evict ID",
)];

const DB: &[Command] = &[
    command("check", "", "Check the database", Action::DbCheck, &[], "heketi-cli db check"),
    command("dump", "", "Print the database as JSON", Action::DbDump, &[], "heketi-cli db dump"),
];

const LOG_LEVEL: &[Command] = &[
    command("get", "", "Show what the server logs", Action::LogLevelGet, &[], "heketi-cli loglevel get"),
    command("set", "LEVEL", "Say what the server logs", Action::LogLevelSet, &[], "heketi-cli loglevel set debug"),
];

const SERVER: &[Command] = &[
    group(
        "mode",
        "What the server takes requests for",
        &[
            command("get", "", "Show the mode", Action::ServerModeGet, &[], "heketi-cli server mode get"),
            command(
                "set",
                "MODE",
                "Set the mode: normal, read-only or local-client",
                Action::ServerModeSet,
                &[],
                "heketi-cli server mode set read-only",
            ),
        ],
    ),
    group(
        "operations",
        "What the server works on",
        &[
            command(
                "cleanup",
                "[ID...]",
                "Have operations that ended half-way cleaned up",
                Action::ServerOperationsCleanup,
                &[],
                "heketi-cli server operations cleanup",
            ),
            command(
                "info",
                "[ID]",
                "Count the operations, or show one",
                Action::ServerOperationsInfo,
                &[],
                "heketi-cli server operations info",
            ),
            command(
                "list",
                "",
                "List the operations that have not ended",
                Action::ServerOperationsList,
                &[],
                "heketi-cli server operations list",
            ),
        ],
    ),
    group(
        "state",
        "What the server knows",
        &[group(
            "examine",
            "Compare it with the hosts",
            &[command(
                "gluster",
                "",
                "Compare it with GlusterFS",
                Action::ServerExamine,
                &[],
                "heketi-cli server state examine gluster",
            )],
        )],
    ),
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
    command(
        "remove",
        "ID",
        "Move all bricks of a disabled device elsewhere",
        Action::DeviceRemove,
        &[NO_HEAL_CHECK],
        "heketi-cli device remove ID",
    ),
    command(
        "resync",
        "ID",
        "Read its size from its node again",
        Action::DeviceResync,
        &[flag("cluster", Kind::Bool, "false", "ID is a cluster's: resync all of its devices")],
        "heketi-cli device resync ID\n  heketi-cli device resync --cluster CLUSTER",
    ),
    with_aliases(
        REMOVE_TAGS,
        command(
            "rmtags",
            "ID NAME...",
            "Take tags off a device",
            Action::DeviceRmTags,
            &[ALL_TAGS],
            "heketi-cli device rmtags ID arbiter",
        ),
    ),
    command(
        "settags",
        "ID NAME:VALUE...",
        "Tag a device",
        Action::DeviceSetTags,
        &[EXACT_TAGS],
        "heketi-cli device settags ID arbiter:required",
    ),
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
    command(
        "remove",
        "ID",
        "Move all bricks of a disabled node elsewhere",
        Action::NodeRemove,
        &[NO_HEAL_CHECK],
        "heketi-cli node remove ID",
    ),
    with_aliases(
        REMOVE_TAGS,
        command(
            "rmtags",
            "ID NAME...",
            "Take tags off a node",
            Action::NodeRmTags,
            &[ALL_TAGS],
            "heketi-cli node rmtags ID arbiter",
        ),
    ),
    command(
        "settags",
        "ID NAME:VALUE...",
        "Tag a node",
        Action::NodeSetTags,
        &[EXACT_TAGS],
        "heketi-cli node settags ID arbiter:required",
    ),
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
        &[
            with_short('j', flag("json", Kind::Text, "", "The topology file")),
            flag("strict", Kind::Bool, "false", "Fail when a node or a device could not be added"),
        ],
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
    command(
        "clone",
        "ID",
        "Copy a volume, without its data being copied",
        Action::VolumeClone,
        &[flag("name", Kind::Text, "", "Name of the copy; vol_ID if none is given")],
        "heketi-cli volume clone ID --name=copy",
    ),
    command("delete", "ID", "Delete a volume", Action::VolumeDelete, &[], "heketi-cli volume delete ID"),
    group(
        "endpoint",
        "Endpoints of Kubernetes",
        &[command(
            "patch",
            "ID",
            "Print what kubectl patch takes",
            Action::VolumeEndpointPatch,
            &[],
            "heketi-cli volume endpoint patch ID",
        )],
    ),
    command(
        "expand",
        "ID",
        "Make a volume larger",
        Action::VolumeExpand,
        &[flag("volume", Kind::Text, "", "Id of the volume"), flag("expand-size", Kind::Int, "-1", "GiB to add")],
        "heketi-cli volume expand --volume=ID --expand-size=10",
    ),
    command("info", "ID", "Show a volume", Action::VolumeInfo, &[], "heketi-cli volume info ID"),
    command("list", "", "List the volumes", Action::VolumeList, &[], "heketi-cli volume list"),
    command(
        "set-block-hosting-restriction",
        "locked|unlocked ID",
        "Allow or refuse new block volumes in a volume",
        Action::VolumeSetBlockRestriction,
        &[],
        "heketi-cli volume set-block-hosting-restriction locked ID",
    ),
];

/// Where heketi keeps its own database in Kubernetes.
const SET_UP_DB_STORAGE: Command = with_aliases(
    &["setup-heketi-db-storage", "setup-kubernetes-heketi-storage"],
    command(
        "setup-openshift-heketi-storage",
        "",
        "Make a volume for the database, and a job that copies it there",
        Action::SetUpDbStorage,
        &[
            flag("listfile", Kind::Text, "heketi-storage.json", "File to write the objects of Kubernetes to"),
            flag("image", Kind::Text, "heketi/heketi:dev", "Image that the job runs"),
            flag("durability", Kind::Text, "replicate", "none or replicate"),
            flag("replica", Kind::Int, "3", "Copies, for replicate"),
            flag("gluster-volume-options", Kind::Text, "", "Options to set instead of the usual ones, with commas"),
            flag("append-volume-options", Kind::Text, "", "Options to set besides, with commas"),
            flag("node-selector", Kind::Text, "", "Label of the nodes that the job may run on, as key=value"),
        ],
        "heketi-cli setup-openshift-heketi-storage",
    ),
);

/// The root of all commands.
pub static ROOT: Command = Command {
    flags: &[with_short('v', flag("version", Kind::Bool, "false", "Print the version"))],
    ..group(
        "heketi-cli",
        "Manages GlusterFS volumes. This is Bricklayer, in heketi-cli's words.",
        &[
            group("blockvolume", "Block volumes", BLOCK_VOLUME),
            group("brick", "Bricks", BRICK),
            group("cluster", "Clusters", CLUSTER),
            group("db", "The server's database", DB),
            group("device", "Devices", DEVICE),
            group("loglevel", "What the server logs", LOG_LEVEL),
            group("node", "Nodes", NODE),
            group("server", "The server itself", SERVER),
            SET_UP_DB_STORAGE,
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
        self.commands.iter().find(|command| command.name == word || command.aliases.contains(&word))
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
            let width = self.commands.iter().map(|command| command.name.len() + 1).max().unwrap_or(0).max(12);
            for command in self.commands {
                let _infallible = writeln!(text, "  {:<width$}{}", command.name, command.about);
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
