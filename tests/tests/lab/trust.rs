//! Who gets in, on real hosts.

use std::time::Duration;

use bricklayer_tests::lab::Lab;

const FIRST: &str = "rm -rf /var/lib/bricklayer.other && bricklayer-agent enroll --data-dir /var/lib/bricklayer.other";

#[test]
fn a_used_token_a_cut_off_token_and_a_revoked_agent_get_nowhere() {
    let lab = Lab::up("trust", &["--hosts", "2"]).unwrap();

    let token = lab.bricklayer(&["agent", "invite", "spare"]).unwrap();
    let cut = lab.try_on("gfs1", &format!("{FIRST} {}", &token[..token.len() - 5])).unwrap();
    assert_ne!(cut.code, 0);
    assert!(cut.text().contains("cut off"), "{}", cut.text());

    // A host that enrolled already would be known by its machine id; a new machine id makes it another host.
    let clone = lab.try_on("gfs1", &format!("{FIRST} {token}")).unwrap();
    assert_ne!(clone.code, 0);
    assert!(clone.text().contains("gfs1"), "a copy is told of whom: {}", clone.text());

    lab.bricklayer(&["agent", "revoke", "gfs2"]).unwrap();
    lab.wait_for("gfs2 to be shut out", Duration::from_secs(30), || {
        let list = lab.bricklayer(&["agent", "list"])?;
        Ok(list.lines().any(|line| line.contains("gfs2") && line.contains("revoked")))
    })
    .unwrap();
    lab.must(&["agent", "restart", "gfs2"]).unwrap();
    lab.wait_for("the agent of gfs2 to say why", Duration::from_secs(60), || {
        Ok(lab.try_on("gfs2", "cat /var/log/bricklayer-agent.log")?.text().contains("revoked"))
    })
    .unwrap();
    let list = lab.bricklayer(&["agent", "list"]).unwrap();
    assert!(list.lines().any(|line| line.contains("gfs2") && line.contains("revoked")), "{list}");
}
