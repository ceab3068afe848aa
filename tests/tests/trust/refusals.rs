//! Certificates that our authority signed, or did not, and that are not enough.

use bricklayer_proto::identity::{self, Role};
use bricklayer_proto::ids::{BootId, InstallationId, NodeId};
use bricklayer_proto::inventory::{AgentSeen, Versions};
use bricklayer_proto::wire::{FromAgent, Hello, v1};
use futures::StreamExt as _;
use jiff::SignedDuration;
use rcgen::ExtendedKeyUsagePurpose;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::raw;
use crate::world::World;

fn hello(node: NodeId) -> v1::FromAgent {
    let seen = AgentSeen {
        host_name: "h".to_owned(),
        boot: BootId::from_u128(1),
        up_seconds: None,
        versions: Versions::default(),
    };
    FromAgent::Hello(Hello { protocols: 1..=1, node, epoch: 0, clock_ms: 0, seen }).into()
}

fn agent_uri(installation: InstallationId, node: NodeId) -> String {
    identity::Identity { installation, role: Role::Agent(node) }.to_string()
}

async fn attach(world: &World, shown: Option<raw::Shown>, node: NodeId) -> tonic::Status {
    let mut client = raw::client(world.address, shown).await;
    let stream = futures::stream::iter([hello(node)]).chain(futures::stream::pending());
    client.attach(stream).await.expect_err("it was let in")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_without_a_certificate_may_enrol_and_nothing_else() {
    let world = World::start().await;
    let status = attach(&world, None, NodeId::from_u128(1)).await;
    assert_eq!(status.code(), tonic::Code::Unauthenticated);
    let mut client = raw::client(world.address, None).await;
    let status = client.renew(v1::RenewRequest { csr: Vec::new() }).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unauthenticated);
    assert!(status.message().contains("bricklayer-agent enroll"), "{}", status.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_installation_is_refused_in_the_handshake() {
    let (world, other) = (World::start().await, World::start().await);
    let foreign = other.enrolled("gfs1").await;
    let refusal = raw::refusal_of(world.address, raw::of_host(&foreign.identity_file())).await;
    assert!(refusal.contains("alert"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_claims_our_installation_with_another_authoritys_signature_is_refused() {
    let (world, other) = (World::start().await, World::start().await);
    let node = world.enrolled("gfs1").await.node();
    let uri = agent_uri(world.trust.installation(), node);
    let forged = raw::signed_by(&other.dir.path().join("ca"), &[&uri], ExtendedKeyUsagePurpose::ClientAuth);
    let refusal = raw::refusal_of(world.address, forged).await;
    assert!(refusal.contains("UnknownCA"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_with_no_uri_or_with_two_names_nobody() {
    let world = World::start().await;
    let node = world.enrolled("gfs1").await.node();
    let uri = agent_uri(world.trust.installation(), node);
    let ca = world.dir.path().join("ca");
    for uris in [&[][..], &[uri.as_str(), uri.as_str()][..]] {
        let shown = raw::signed_by(&ca, uris, ExtendedKeyUsagePurpose::ClientAuth);
        let refusal = raw::refusal_of(world.address, shown).await;
        assert!(refusal.contains("alert"), "{uris:?}: {refusal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coordinators_own_certificate_does_not_make_an_agent() {
    let world = World::start().await;
    let uri = format!("spiffe://{0}/coordinator/{0}", world.trust.installation());
    let shown = raw::signed_by(&world.dir.path().join("ca"), &[&uri], ExtendedKeyUsagePurpose::ClientAuth);
    let refusal = raw::refusal_of(world.address, shown).await;
    assert!(refusal.contains("alert"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_says_another_nodes_name_is_refused() {
    let world = World::start().await;
    let (one, two) = (world.enrolled("gfs1").await, world.enrolled("gfs2").await);
    let status = attach(&world, Some(raw::of_host(&one.identity_file())), two.node()).await;
    assert_eq!(status.code(), tonic::Code::PermissionDenied);
    let text = status.message();
    assert!(text.contains(&one.node().to_string()) && text.contains(&two.node().to_string()), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_told_that_only_renewal_is_open() {
    let world = World::start().await;
    let home = world.enrolled("gfs1").await;
    world.clock.set(SignedDuration::from_hours(31 * 24));
    let status = attach(&world, Some(raw::of_host(&home.identity_file())), home.node()).await;
    assert_eq!(status.code(), tonic::Code::Unauthenticated);
    assert!(status.message().contains("only a renewal is open"), "{}", status.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_whose_clock_was_set_back_says_that_it_is_its_own() {
    let world = World::start().await;
    let home = world.enrolled("gfs1").await;
    world.clock.set(SignedDuration::from_mins(-60));
    let status = attach(&world, Some(raw::of_host(&home.identity_file())), home.node()).await;
    assert!(status.message().contains("the coordinator's clock is behind"), "{}", status.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_a_protocol_that_is_gone_is_told_which_ones_there_are() {
    let world = World::start().await;
    let home = world.enrolled("gfs1").await;
    let mut client = raw::client(world.address, Some(raw::of_host(&home.identity_file()))).await;
    let mut hello = hello(home.node());
    if let Some(v1::from_agent::Message::Hello(hello)) = &mut hello.message {
        (hello.oldest_protocol, hello.newest_protocol) = (7, 8);
    }
    let stream = futures::stream::iter([hello]).chain(futures::stream::pending());
    let status = client.attach(stream).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::FailedPrecondition);
    assert!(status.message().contains("7 to 8"), "{}", status.message());
}

/// A hello of TLS 1.2, byte by byte: no library of ours can say one.
#[tokio::test(flavor = "multi_thread")]
async fn tls_1_2_is_refused() {
    let world = World::start().await;
    let mut body = vec![0x03, 0x03];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    // Groups: P-256. Signatures: ECDSA with SHA-256.
    let extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3, 0, 11, 0, 2, 1, 0];
    body.extend([0, u8::try_from(extensions.len()).unwrap()]);
    body.extend(extensions);
    let length = u8::try_from(body.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(body);
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(&record).await.unwrap();
    let mut alert = Vec::new();
    stream.read_to_end(&mut alert).await.unwrap();
    // Alert, fatal, protocol_version.
    assert_eq!((alert[0], &alert[5..]), (21, &[2, 70][..]));
}
