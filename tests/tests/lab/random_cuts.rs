//! Cuts of power and of programs at random moments of random operations, on real hosts: whatever they hit, every volume is
//! whole with all that was flushed into it, or gone without a trace.
//!
//! `CUTS=100` asks for more of them than are played otherwise, `SEED=7` for other ones. Beside all other tests it is always the
//! same few: what is asked for and where the cuts fall follow from the seed, and the hosts' own pace is luck enough.

use bricklayer_tests::cuts::{Cuts, DISKS, HOSTS};
use bricklayer_tests::lab::Lab;
use bricklayer_tests::scenario;

/// Few enough for a run beside all the other tests.
const USUAL: u64 = 6;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

fn devices(lab: &Lab) {
    scenario::load_topology(lab).unwrap();
    let topology = scenario::topology(lab).unwrap();
    for node in topology["clusters"][0]["nodes"].as_array().unwrap() {
        let node = format!("--node={}", node["id"].as_str().unwrap());
        for disk in &DISKS[1..] {
            lab.heketi(&["device", "add", &format!("--name={disk}"), &node]).unwrap();
        }
    }
}

#[test]
fn whatever_cuts_hit_every_volume_is_whole_with_its_data_or_gone_without_a_trace() {
    let seed = setting("SEED").unwrap_or(1);
    let cuts = usize::try_from(setting("CUTS").unwrap_or(USUAL)).unwrap();
    eprintln!("SEED={seed} CUTS={cuts}");
    let lab = Lab::up("random-cuts", &["--disks", &DISKS.len().to_string(), "--client"]).unwrap();
    devices(&lab);
    match Cuts::new(&lab, seed).play(cuts) {
        Ok(told) => eprintln!("SEED={seed}: {told}"),
        Err(error) => {
            lab.note_what_hosts_say(&HOSTS);
            panic!("SEED={seed} CUTS={cuts}: {error:#}");
        }
    }
}
