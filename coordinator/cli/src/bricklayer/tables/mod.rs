//! What `bricklayer` shows to people: plain columns without frames, which also survive `awk`.

macro_rules! moment {
    ($time:expr) => {
        $time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
    };
}

mod adopt;
mod agents;
mod audit;
mod doctor;
mod hardware;
mod ledger;
mod operations;
mod placement;
mod policy;
mod pools;
mod score;
mod topology;
mod volumes;

use std::collections::BTreeMap;

use bricklayer_api::heketi::{EntryState, NodeInfo, Tags};
use bricklayer_api::ids::NodeId;
use bricklayer_api::size::ByteSize;
use comfy_table::{ContentArrangement, Table, presets};

use super::output::Width;

pub use adopt::adoption;
pub use agents::{agent_list, invitation_list};
pub use audit::audit;
pub use doctor::diagnosis;
pub use hardware::{
    brick_list, cluster_info, cluster_list, device_info, device_list, device_loss, disk_list, node_info, node_list,
    node_loss, wipe_refusal,
};
pub use ledger::{device_ledger, ledger_sum};
pub use operations::{db_check, operation_info, operation_list, plan, plan_list};
pub use placement::{capacity_list, explanation, simulation};
pub use policy::policies;
pub use pools::pool_list;
pub use score::scores;
pub use topology::topology_info;
pub use volumes::{block_volume_info, block_volume_list, heal, rebalance, trash_list, volume_info, volume_list};

/// Names of nodes by their ids, for the lists that have ids alone.
pub type NodeNames = BTreeMap<NodeId, String>;

pub fn node_names(nodes: &[NodeInfo]) -> NodeNames {
    nodes.iter().map(|node| (node.id, manage_name(node).to_owned())).collect()
}

pub fn manage_name(node: &NodeInfo) -> &str {
    node.hostnames.manage.first().map_or("", String::as_str)
}

/// By name: the order of ids means nothing to a person.
fn by_name(nodes: &[NodeInfo]) -> Vec<&NodeInfo> {
    let mut nodes: Vec<&NodeInfo> = nodes.iter().collect();
    nodes.sort_by_key(|node| manage_name(node));
    nodes
}

fn kib(kib: u64) -> String {
    ByteSize::from_kib(kib).map_or_else(|| format!("{kib} KiB"), |size| size.to_string())
}

/// With the number itself: the one that `vgs` shows too.
fn exact_kib(number: u64) -> String {
    format!("{} ({number} KiB)", kib(number))
}

/// What hosts and servers send may hold control characters, which a terminal would obey.
pub fn printable(text: &str) -> String {
    let keep = |c: char| c == '\n' || c == '\t' || !c.is_control();
    text.chars().map(|c| if keep(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// One word to a shell, whatever it holds.
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn state(state: EntryState) -> &'static str {
    match state {
        EntryState::Online => "online",
        EntryState::Offline => "offline",
        EntryState::Failed => "removed",
    }
}

fn yes(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}

/// `1 node`, `2 nodes`.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn or_dash(text: Option<String>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned())
}

fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header.to_vec());
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned());
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

/// `key  value` lines with the values below each other.
fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    facts.iter().fold(String::new(), |text, (key, value)| text + &format!("{key:width$}  {value}\n"))
}

/// Every line two columns further right.
fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |all, line| if line.is_empty() { all + "\n" } else { all + "  " + line + "\n" })
}

/// Tags as one line.
fn tag_line(tags: &Tags) -> String {
    or_dash(Some(tags.iter().map(|(name, value)| format!("{name}:{value}")).collect::<Vec<_>>().join(" ")))
}

pub fn tags(tags: &Tags) -> String {
    if tags.is_empty() {
        return "no tags\n".to_owned();
    }
    table(&["TAG", "VALUE"], tags.iter().map(|(name, value)| vec![name.clone(), value.clone()]))
}

/// The columns that are always there, and those of a wide table behind them.
fn columns<'a>(normal: &[&'a str], wide: &[&'a str], width: Width) -> Vec<&'a str> {
    match width {
        Width::Normal => normal.to_vec(),
        Width::Wide => [normal, wide].concat(),
    }
}

/// The cells of such columns.
fn cells(normal: Vec<String>, wide: impl FnOnce() -> Vec<String>, width: Width) -> Vec<String> {
    match width {
        Width::Normal => normal,
        Width::Wide => [normal, wide()].concat(),
    }
}
