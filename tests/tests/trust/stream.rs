//! The attached stream: tasks, outcomes, renewal, revocation, replacement.

use std::time::Duration;

use bricklayer_agent::journal::{Journal, ManifestChange};
use bricklayer_coordinator::agents::{AgentApi as _, AgentError, AgentEvent, Patience, Presence, Refused};
use bricklayer_proto::ids::{DeviceId, OperationId, TaskId};
use bricklayer_proto::task::{Done, Outcome, Report, Task, Wanted};
use jiff::SignedDuration;

use crate::raw;
use crate::world::{Home, World, until};

fn task(id: u128) -> Task {
    Task {
        id: TaskId::from_u128(id),
        operation: OperationId::from_u128(9),
        epoch: 1,
        wanted: Wanted::DeviceGone { device: DeviceId::from_u128(5), physical_volume: None },
    }
}

fn done(id: u128) -> Outcome {
    Outcome { task: TaskId::from_u128(id), result: Ok(Done { changed: true, report: Report::Nothing }) }
}

/// An agent that carried tasks out and could not tell: its stream was gone, and then its program.
async fn has_done(home: &Home, tasks: &[u128]) {
    let journal = Journal::open(home.journal_dir().as_std_path()).unwrap();
    for id in tasks {
        journal.accept(&task(*id)).await.unwrap();
        journal.finish(&done(*id), ManifestChange::None).await.unwrap();
    }
}

fn unacknowledged(home: &Home) -> Vec<Outcome> {
    Journal::open(home.journal_dir().as_std_path()).unwrap().unacknowledged()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attached_agent_says_what_it_is_and_what_it_sees() {
    let world = World::start().await;
    let home = world.enrolled("gfs1").await;
    let node = home.node();
    let running = home.run();
    world.until_attached(node).await;
    assert_eq!(world.status(node).seen.unwrap().host_name, "gfs1");
    until("an inventory has come", || world.registry.inventory(node).is_some()).await;
    running.stop().await;
    world.until_detached(node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_runs_before_it_enrols_attaches_by_itself() {
    let world = World::start().await;
    let home = Home::new("gfs1");
    let running = home.run();
    home.until_failed_with("has not enrolled").await;
    let identity = home.enrol(&world.invite("gfs1").await.line).await.unwrap();
    world.until_attached(identity.node).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_was_done_before_is_answered_from_the_journal() {
    let world = World::start().await;
    let home = world.enrolled("gfs1").await;
    has_done(&home, &[1]).await;
    let asked = world.registry.carry_out(home.node(), task(1), Patience::for_ever());
    let running = home.run();
    // A repeat would find no such device and answer that nothing was changed.
    assert_eq!(asked.await.unwrap(), Done { changed: true, report: Report::Nothing });
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_that_were_never_acknowledged_are_told_again_until_somebody_takes_them() {
    let world = World::start().await;
    let home = world.enrolled("gfs1").await;
    has_done(&home, &[1, 2]).await;
    let mut events = world.registry.events();
    let running = home.run();
    let mut unclaimed = 0;
    while unclaimed < 2 {
        if let AgentEvent::Unclaimed { .. } = events.recv().await.unwrap() {
            unclaimed += 1;
        }
    }
    running.stop().await;
    assert_eq!(unacknowledged(&home), [done(1), done(2)], "nobody has taken them yet");

    let running = home.run();
    world.until_attached(home.node()).await;
    for id in [1, 2] {
        let taken = world.registry.carry_out(home.node(), task(id), Patience::for_ever()).await.unwrap();
        assert!(taken.changed);
    }
    // The acknowledgements are on the same stream before the next task, so its answer shows that they have arrived.
    let _ = world.registry.carry_out(home.node(), task(3), Patience::for_ever()).await;
    running.stop().await;
    let left = unacknowledged(&home);
    assert!(!left.contains(&done(1)) && !left.contains(&done(2)), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_coordinator_gets_its_agents_back_and_a_higher_epoch() {
    let world = World::start().await;
    let home = world.enrolled("gfs1").await;
    let node = home.node();
    let running = home.run();
    world.until_attached(node).await;
    let epoch = world.trust.epoch();
    let world = world.restart().await;
    assert_eq!(world.trust.epoch(), epoch + 1);
    world.until_attached(node).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_is_behind_the_agents_epoch_is_refused_by_both() {
    let world = World::start().await;
    let home = world.enrolled("gfs1").await;
    let journal = Journal::open(home.journal_dir().as_std_path()).unwrap();
    journal.greet(99).await.unwrap();
    drop(journal);
    let running = home.run();
    let text = home.until_failed_with("start 99").await;
    assert!(text.contains("restored from an older copy"), "{text}");
    assert!(!world.registry.is_attached(home.node()));
    let refusals = world.registry.refusals();
    let ours = world.trust.epoch();
    assert_eq!(refusals.len(), 1);
    assert_eq!((refusals[0].node, refusals[0].why), (home.node(), Refused::LaterStart { met: 99, ours }));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_of_ours_that_the_store_does_not_know_is_noted_with_its_address() {
    let world = World::start().await;
    let export = world.dir.path().join("export");
    world.store.export(&export).unwrap();
    let home = world.enrolled("gfs1").await;
    let world = world.restart_from(&export).await;
    let running = home.run();
    until("the refusal is noted", || !world.registry.refusals().is_empty()).await;
    let refusal = world.registry.refusals().remove(0);
    assert_eq!((refusal.node, refusal.why), (home.node(), Refused::UnknownNode));
    assert_eq!(refusal.from, world.address.ip());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_made_of_an_export_is_ahead_of_every_start_since() {
    let world = World::start().await;
    let home = world.enrolled("gfs1").await;
    let export = world.dir.path().join("export");
    world.store.export(&export).unwrap();
    let world = world.restart().await.restart().await;
    let running = home.run();
    world.until_attached(home.node()).await;
    let met = world.trust.epoch();
    let world = world.restart_from(&export).await;
    assert!(world.trust.epoch() > met);
    world.until_attached(home.node()).await;
    // The same export once more, after more starts.
    let world = world.restart().await.restart().await;
    world.until_attached(home.node()).await;
    let met = world.trust.epoch();
    let world = world.restart_from(&export).await;
    assert!(world.trust.epoch() > met);
    world.until_attached(home.node()).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_cuts_the_stream_and_the_next_handshake_is_refused_in_words() {
    let world = World::start().await;
    let home = world.enrolled("gfs1").await;
    let node = home.node();
    let running = home.run();
    world.until_attached(node).await;
    // A task that is waited for ends with the trust.
    let registry = std::sync::Arc::clone(&world.registry);
    assert!(world.registry.revoke(node).await.unwrap());
    home.until_failed_with("was revoked").await;
    home.until_failed_with("--rejoin").await;
    assert!(matches!(world.status(node).presence, Presence::Revoked { .. }));
    let refused = registry.carry_out(node, task(1), Patience::for_ever()).await.unwrap_err();
    assert!(matches!(refused, AgentError::Revoked { .. }), "{refused}");
    let refusal = raw::refusal_of(world.address, raw::of_host(&home.identity_file())).await;
    assert!(refusal.contains("CertificateRevoked"), "{refusal}");
    assert!(!world.registry.revoke(node).await.unwrap(), "once is enough");

    // A person lets it come back; the running agent notices by itself.
    home.enrol_with(&world.invite_with("gfs1", true).await.line, true).await.unwrap();
    world.until_attached(node).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_ends_the_wait_for_an_agent_that_is_away() {
    let world = World::start().await;
    let home = world.enrolled("gfs1").await;
    let node = home.node();
    let registry = std::sync::Arc::clone(&world.registry);
    let asked = tokio::spawn(async move { registry.carry_out(node, task(1), Patience::for_ever()).await });
    until("the task waits", || !asked.is_finished()).await;
    world.registry.revoke(node).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), asked).await.unwrap().unwrap();
    assert!(matches!(ended, Err(AgentError::Revoked { .. })), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_stream_of_a_node_takes_the_place_of_the_older() {
    let world = World::start().await;
    let home = world.enrolled("gfs1").await;
    let node = home.node();
    let running = home.run();
    world.until_attached(node).await;
    // The same identity in another place, as after a host was cut off and its agent runs elsewhere.
    let twin = Home::new("gfs1");
    std::fs::create_dir_all(bricklayer_agent::identity::Identity::dir(twin.path())).unwrap();
    std::fs::copy(home.identity_file(), twin.identity_file()).unwrap();
    let second = twin.run();
    home.until_failed_with("another stream of this node").await;
    second.stop().await;
    world.until_attached(node).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_over_the_live_connection_from_a_third_of_its_life_on() {
    let world = World::start().await;
    let home = world.enrolled("gfs1").await;
    let before = home.identity();
    for clock in [&world.clock, &home.clock] {
        clock.set(SignedDuration::from_hours(12 * 24));
    }
    let running = home.run();
    until("the certificate is another one", || !home.identity().is_same(&before)).await;
    let after = home.identity();
    assert!(after.expires() > before.expires() + SignedDuration::from_hours(11 * 24));
    until("the coordinator has it down", || world.status(before.node).certificate_expires > before.expires()).await;
    world.until_attached(before.node).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_slept_past_its_certificate_renews_it_and_attaches() {
    let world = World::start().await;
    let home = world.enrolled("gfs1").await;
    for clock in [&world.clock, &home.clock] {
        clock.set(SignedDuration::from_hours(59 * 24));
    }
    let world = world.restart().await;
    let running = home.run();
    world.until_attached(home.node()).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_slept_too_long_is_told_to_enrol_again() {
    let world = World::start().await;
    let home = world.enrolled("gfs1").await;
    for clock in [&world.clock, &home.clock] {
        clock.set(SignedDuration::from_hours(61 * 24));
    }
    let world = world.restart().await;
    let running = home.run();
    home.until_failed_with("It has to enrol again").await;
    assert!(!world.registry.is_attached(home.node()));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_the_certificate_that_opened_it() {
    let world = World::start().await;
    let home = world.enrolled("gfs1").await;
    let node = home.node();
    let running = home.run();
    world.until_attached(node).await;
    let mut events = world.registry.events();
    world.clock.set(SignedDuration::from_hours(31 * 24));
    // The next message is refused; until one comes nothing has been taken from it.
    let _ = world.registry.carry_out(node, task(1), Patience::at_most(Duration::from_secs(5))).await;
    loop {
        if let AgentEvent::Detached { node: gone } = events.recv().await.unwrap() {
            assert_eq!(gone, node);
            break;
        }
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_for_an_agent_that_is_away_is_given_up_or_waits_as_asked() {
    let world = World::start().await;
    let home = world.enrolled("gfs1").await;
    let node = home.node();
    let refused = world.registry.carry_out(node, task(1), Patience::only_while_attached()).await.unwrap_err();
    assert!(matches!(refused, AgentError::Detached { sent: false, .. }) && refused.changed_nothing(), "{refused}");
    let short = Patience::at_most(Duration::from_millis(30));
    assert!(matches!(
        world.registry.carry_out(node, task(1), short).await.unwrap_err(),
        AgentError::Detached { sent: false, .. }
    ));
    let unknown = world.registry.carry_out(bricklayer_proto::ids::NodeId::from_u128(1), task(1), Patience::for_ever());
    assert!(matches!(unknown.await.unwrap_err(), AgentError::Unknown { .. }));
}
