//! The coordinator dies in the middle of a create, on real hosts.

use std::time::Duration;

use bricklayer_tests::lab::Lab;
use bricklayer_tests::scenario;

const ANSWER: Duration = Duration::from_secs(180);

#[test]
fn a_create_that_loses_its_coordinator_is_finished_or_leaves_no_trace_and_its_client_gets_the_answer() {
    let lab = Lab::up("killed", &[]).unwrap();
    scenario::load_topology(&lab).unwrap();
    let before = scenario::vgs(&lab).unwrap();

    // What can be seen on a host when the coordinator is to die: at once, with bricks half made, with bricks made.
    let moments = [
        ("at once", "true"),
        ("with a pool on gfs1", "lvs --noheadings | grep -q tp_"),
        ("with a brick mounted on gfs3", "grep -q brick_ /proc/mounts"),
        ("with the volume in glusterd", "gluster volume list 2>/dev/null | grep -q vol_"),
    ];
    for (at, (moment, seen)) in moments.iter().enumerate() {
        let queue =
            scenario::post_volume(&lab, r#"{"size":1,"durability":{"type":"replicate","replicate":{"replica":3}}}"#)
                .unwrap_or_else(|error| panic!("{moment}: {error:#}"));
        let host = if at == 2 { "gfs3" } else { "gfs1" };
        lab.wait_for(moment, ANSWER, || Ok(lab.try_on(host, seen)?.code == 0)).unwrap();
        lab.must(&["coordinator", "kill"]).unwrap();
        lab.must(&["coordinator", "start"]).unwrap();

        let mut answer = None;
        lab.wait_for("the queue's answer", ANSWER, || {
            answer = scenario::poll(&lab, &queue)?;
            Ok(answer.is_some())
        })
        .unwrap();
        match answer.unwrap() {
            scenario::Polled::Resource(location) => {
                let id = location.trim_start_matches("/volumes/");
                assert!(lab.heketi(&["volume", "info", id]).unwrap().contains("Replica Count: 3"));
                let status = lab.on("gfs1", &format!("gluster volume info vol_{id}")).unwrap();
                assert!(status.contains("Status: Started"), "{moment}: {status}");
                lab.heketi(&["volume", "delete", id]).unwrap();
            }
            scenario::Polled::Done => panic!("{moment}: a create ends with a volume or a failure"),
            scenario::Polled::Failed(text) => eprintln!("{moment}: undone: {text}"),
        }
        assert_eq!(scenario::vgs(&lab).unwrap(), before, "{moment}: something is left in a volume group");
        scenario::assert_no_bricks(&lab).unwrap();
        scenario::assert_ledger_is_vgs(&lab).unwrap();
    }
}
