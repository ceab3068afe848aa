//! From an invitation to a certificate.

use std::os::unix::fs::PermissionsExt;

use bricklayer_agent::identity::{Distrust, EnrolError, Identity, IdentityError};
use bricklayer_coordinator::agents::AgentApi as _;
use bricklayer_coordinator::pki::{InviteError, NewInvitation, RevokeError};
use bricklayer_proto::ids::{InvitationId, NodeId};
use bricklayer_proto::wire::token::{NotAToken, Token};
use bricklayer_proto::wire::{EnrollRequest, Secret};
use jiff::SignedDuration;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, PKCS_ECDSA_P256_SHA256};

use crate::raw;
use crate::world::{Home, World};

fn refused(result: Result<Identity, EnrolError>) -> String {
    match result {
        Err(EnrolError::Refused(text)) => text,
        other => panic!("not refused by the coordinator: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invited_host_enrols_under_the_invitations_name() {
    let world = World::start().await;
    let invitation = world.invite("gfs1").await;
    let home = Home::new("whatever-the-host-calls-itself");
    let identity = home.enrol(&invitation.line).await.unwrap();
    assert_eq!((identity.name.as_str(), identity.node), ("gfs1", invitation.node));
    assert_eq!(world.registry.by_name("gfs1"), Some(invitation.node));
    assert_eq!(world.status(invitation.node).zone, Some(1));
    let mode = std::fs::metadata(home.identity_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_authority_is_told_nothing() {
    let (world, other) = (World::start().await, World::start().await);
    let uri = format!("spiffe://{0}/coordinator/{0}", other.trust.installation());
    let shown = raw::signed_by(&other.dir.path().join("ca"), &[&uri], ExtendedKeyUsagePurpose::ServerAuth);
    let (address, heard) = raw::server(shown).await;
    let mut token: Token = world.invite("gfs1").await.line.parse().unwrap();
    token.addresses = vec![address.to_string()];
    let error = Home::new("gfs1").enrol(&token.to_line()).await.unwrap_err();
    assert!(matches!(&error, EnrolError::Distrusted { distrust: Distrust::WrongPin { .. }, .. }), "{error}");
    assert!(error.to_string().contains("nothing was sent"), "{error}");
    // The server's handshake failed, so not one byte of the application reached it.
    let heard = heard.await.unwrap();
    assert!(heard.is_err(), "the server heard {heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_certificate_does_not_make_a_coordinator() {
    let world = World::start().await;
    // The worst case: signed for servers too, so that only the name tells.
    let uri = format!("spiffe://{}/agent/{}", world.trust.installation(), NodeId::from_u128(5));
    let shown = raw::signed_by(&world.dir.path().join("ca"), &[&uri], ExtendedKeyUsagePurpose::ServerAuth);
    let (address, heard) = raw::server(shown).await;
    let mut token: Token = world.invite("gfs1").await.line.parse().unwrap();
    token.addresses = vec![address.to_string()];
    let error = Home::new("gfs1").enrol(&token.to_line()).await.unwrap_err();
    assert!(matches!(&error, EnrolError::Distrusted { distrust: Distrust::NotACoordinator(_), .. }), "{error}");
    assert!(heard.await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_off_invitation_is_told_as_such() {
    let world = World::start().await;
    let line = world.invite("gfs1").await.line;
    let cut = &line[..line.len() - 7];
    let error = cut.parse::<Token>().unwrap_err();
    assert_eq!(error, NotAToken::CutOff { found: cut.len(), expected: Some(line.len()) });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_does_not_answer_is_named_with_its_reason_and_the_next_one_is_tried() {
    let world = World::start().await;
    let mut token: Token = world.invite("gfs1").await.line.parse().unwrap();
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let good = token.addresses.clone();
    token.addresses = vec![dead.clone()];
    let home = Home::new("gfs1");
    let error = home.enrol(&token.to_line()).await.unwrap_err().to_string();
    assert!(error.contains(&dead) && error.contains("refused"), "{error}");
    token.addresses.extend(good);
    home.enrol(&token.to_line()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_invitation_is_refused_to_another_host() {
    let world = World::start().await;
    let line = world.invite("gfs1").await.line;
    Home::new("gfs1").enrol(&line).await.unwrap();
    let text = refused(Home::new("thief").enrol(&line).await);
    assert!(text.contains("was used") && text.contains("revoke gfs1"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_racing_uses_of_an_invitation_one_wins() {
    let world = World::start().await;
    let line = world.invite("gfs1").await.line;
    let (one, two) = (Home::new("one"), Home::new("two"));
    let (first, second) = tokio::join!(one.enrol(&line), two.enrol(&line));
    let (winner, loser) = if first.is_ok() { (first, second) } else { (second, first) };
    assert_eq!(winner.unwrap().name.as_str(), "gfs1");
    assert!(refused(loser).contains("was used"));
    assert_eq!(world.registry.all().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_invitation_says_when_and_what_to_do() {
    let world = World::start().await;
    let line = world.invite("gfs1").await.line;
    let home = Home::new("gfs1");
    for clock in [&world.clock, &home.clock] {
        clock.set(SignedDuration::from_mins(31));
    }
    let text = refused(home.enrol(&line).await);
    assert!(text.contains("expired at") && text.contains("bricklayer agent invite gfs1"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_invitation_is_unknown_and_so_is_a_wrong_secret() {
    let world = World::start().await;
    let invitation = world.invite("gfs1").await;
    let mut token: Token = invitation.line.parse().unwrap();
    token.secret = Secret::from_bytes([0; 32]);
    let wrong = refused(Home::new("gfs1").enrol(&token.to_line()).await);
    assert!(world.trust.uninvite(invitation.id).await.unwrap());
    let withdrawn = refused(Home::new("gfs1").enrol(&invitation.line).await);
    assert_eq!(wrong, withdrawn);
    assert!(!world.trust.uninvite(InvitationId::from_u128(1)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_given_again_for_five_minutes_and_for_the_same_key_only() {
    let world = World::start().await;
    let token: Token = world.invite("gfs1").await.line.parse().unwrap();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let csr = |key: &KeyPair| CertificateParams::default().serialize_request(key).unwrap().der().to_vec();
    let request = EnrollRequest {
        invitation: token.invitation,
        secret: token.secret.clone(),
        csr: csr(&key),
        machine_id: "m".to_owned(),
    };
    let first = world.trust.enrol(&request).await.unwrap();
    // Also where the invitation's own time ends meanwhile, and where the coordinator was started again.
    world.clock.set(SignedDuration::from_mins(4));
    let world = world.restart().await;
    assert_eq!(world.trust.enrol(&request).await.unwrap(), first);

    let other = EnrollRequest { csr: csr(&KeyPair::generate().unwrap()), ..request.clone() };
    assert!(world.trust.enrol(&other).await.unwrap_err().to_string().contains("was used"));
    world.clock.set(SignedDuration::from_mins(6));
    assert!(world.trust.enrol(&request).await.unwrap_err().to_string().contains("was used"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_could_not_keep_the_answer_runs_the_same_command_again() {
    let world = World::start().await;
    let line = world.invite("gfs1").await.line;
    let home = Home::new("gfs1");
    // A folder in the file's place: the answer comes and cannot be written.
    std::fs::create_dir_all(home.identity_file()).unwrap();
    let error = home.enrol_with(&line, true).await.unwrap_err();
    assert!(matches!(error, EnrolError::Identity(IdentityError::Io { .. })), "{error}");
    assert_eq!(world.registry.all().len(), 1);
    std::fs::remove_dir(home.identity_file()).unwrap();
    home.enrol(&line).await.unwrap();
    assert_eq!(world.registry.all().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_host_is_refused_and_told_whose_copy_it_is() {
    let world = World::start().await;
    let original = world.enrolled("gfs1").await;
    let mut copy = Home::new("gfs2");
    copy.machine_id.clone_from(&original.machine_id);
    let text = refused(copy.enrol(&world.invite("gfs2").await.line).await);
    assert!(text.contains("gfs1") && text.contains("/etc/machine-id"), "{text}");
    // The invitation was not spent by it.
    Home::new("gfs2").enrol(&world.invite("gfs2").await.line).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolled_host_is_not_enrolled_again_by_accident() {
    let world = World::start().await;
    let home = world.enrolled("gfs1").await;
    let before = home.identity();
    let error = home.enrol(&world.invite("gfs9").await.line).await.unwrap_err();
    assert!(matches!(error, EnrolError::Enrolled(_)), "{error}");
    assert!(home.identity().is_same(&before));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_given_once_and_comes_back_only_by_rejoining() {
    let world = World::start().await;
    let old = world.enrolled("gfs1").await;
    let node = old.node();
    let wanted = |rejoin| NewInvitation {
        name: "gfs1".parse().unwrap(),
        zone: None,
        life: SignedDuration::from_mins(30),
        rejoin,
        node: None,
    };
    let taken = world.trust.invite(wanted(false)).await.unwrap_err();
    assert!(matches!(taken, InviteError::NameTaken { .. }) && taken.to_string().contains("--rejoin"), "{taken}");

    let new = Home::new("gfs1");
    let back = new.enrol(&world.trust.invite(wanted(true)).await.unwrap().line).await.unwrap();
    assert_eq!(back.node, node);
    assert_eq!(world.status(node).zone, Some(1), "the zone is kept where the invitation names none");
    // What the old disk still holds is worth nothing any more.
    let refusal = raw::refusal_of(world.address, raw::of_host(&old.identity_file())).await;
    assert!(refusal.contains("CertificateRevoked"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_enrols_under_the_id_that_its_invitation_says_and_no_other_host_does() {
    let world = World::start().await;
    let id = NodeId::from_u128(0x6e0de);
    let wanted = |name: &str| NewInvitation {
        name: name.parse().unwrap(),
        zone: None,
        life: SignedDuration::from_mins(30),
        rejoin: false,
        node: Some(id),
    };
    let invitation = world.trust.invite(wanted("gfs1")).await.unwrap();
    assert_eq!(invitation.node, id);
    let taken = world.trust.invite(wanted("gfs2")).await.unwrap_err();
    assert!(matches!(taken, InviteError::NodeTaken { .. }), "invited: {taken}");
    let home = Home::new("gfs1");
    assert_eq!(home.enrol(&invitation.line).await.unwrap().node, id);
    let taken = world.trust.invite(wanted("gfs2")).await.unwrap_err().to_string();
    assert!(taken.contains("is gfs1 already"), "enrolled: {taken}");
    let other = NewInvitation { rejoin: true, node: Some(NodeId::from_u128(2)), ..wanted("gfs1") };
    assert!(matches!(world.trust.invite(other).await, Err(InviteError::OtherNode { node, .. }) if node == id));
    let same = NewInvitation { rejoin: true, ..wanted("gfs1") };
    assert_eq!(world.trust.invite(same).await.unwrap().node, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_invitation_for_a_name_withdraws_the_unused_one() {
    let world = World::start().await;
    let lost = world.invite("gfs1").await;
    let found = world.invite("gfs1").await;
    assert_eq!(found.node, lost.node);
    assert!(refused(Home::new("x").enrol(&lost.line).await).contains("no such invitation"));
    Home::new("gfs1").enrol(&found.line).await.unwrap();
    let listed = world.trust.invitations();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].used.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_others_can_read_is_refused() {
    let world = World::start().await;
    let home = world.enrolled("gfs1").await;
    std::fs::set_permissions(home.identity_file(), PermissionsExt::from_mode(0o644)).unwrap();
    let error = Identity::load(home.path()).unwrap_err();
    assert!(matches!(&error, IdentityError::Loose { mode: 0o644, .. }), "{error}");
    let running = home.run();
    home.until_failed_with("can be read by others").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_clock_is_an_hour_behind_is_told_by_how_much() {
    let world = World::start().await;
    let home = Home::new("gfs1");
    // Half a minute more, as certificates know whole seconds only and the text whole minutes.
    home.clock.set(SignedDuration::from_secs(-60 * 60 - 30));
    let error = home.enrol(&world.invite("gfs1").await.line).await.unwrap_err().to_string();
    assert!(error.contains("clock of this host is behind") && error.contains("at least 50 min"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_revoked_by_an_id_that_is_not_known() {
    let world = World::start().await;
    let unknown = NodeId::from_u128(1);
    assert!(matches!(world.registry.revoke(unknown).await, Err(RevokeError::Unknown(node)) if node == unknown));
}
