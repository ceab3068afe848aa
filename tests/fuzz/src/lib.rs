//! One function per kind of foreign bytes. Each hands them to the parsers that read them in the programs, and panics where
//! one of them does, or where what it has read is not what it says.
//!
//! `fuzz_targets/` has a program for each, `corpus/` something to begin with, `run` runs them all.

use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bricklayer_agent::tools::processes::{self, Started};
use bricklayer_agent::tools::{blockdev, gluster, gluster_block, lvm, mount};
use bricklayer_agent::{fstab as table, tags};
use bricklayer_api::json::parse_body;
use bricklayer_api::{heketi, v1};
use bricklayer_coordinator::http::token;
use bricklayer_coordinator::keys::{KeySources, RestKeys};
use bricklayer_proto::ids::BrickId;
use bricklayer_proto::names::LvmTag;
use bricklayer_proto::wire;
use bricklayer_tests::hostile::{self, Choices};
use jsonwebtoken::{Algorithm, EncodingKey};
use libfuzzer_sys::arbitrary::Unstructured;
use prost::Message as _;

/// Bodies of requests, of every route that has one.
pub fn request_bodies(bytes: &[u8]) {
    macro_rules! read {
        ($($request:ty),+ $(,)?) => { $( let _ = parse_body::<$request>(bytes); )+ };
    }
    read!(
        heketi::AdminStatus,
        heketi::BlockRestrictionRequest,
        heketi::BlockVolumeCreateRequest,
        heketi::BlockVolumeExpandRequest,
        heketi::BrickEvictRequest,
        heketi::ClusterFlags,
        heketi::DeviceAddRequest,
        heketi::DeviceDeleteRequest,
        heketi::LogLevels,
        heketi::NodeAddRequest,
        heketi::PendingCleanupRequest,
        heketi::StateRequest,
        heketi::TagsChangeRequest,
        heketi::VolumeCloneRequest,
        heketi::VolumeExpandRequest,
        v1::AdoptRequest,
        v1::BrickReplaceRequest,
        v1::DeviceLostRequest,
        v1::InvitationRequest,
        v1::NodeEdit,
        v1::NodeLostRequest,
        v1::PlacementPolicy,
        v1::ProtectRequest,
        v1::SimulationRequest,
        v1::SupportBundleRequest,
        v1::UnadoptRequest,
        v1::WipeRequest,
    );
    if let Ok(request) = parse_body::<heketi::VolumeCreateRequest>(bytes) {
        let _ = bricklayer_coordinator::ops::read_volume_options(&request.gluster_volume_options);
    }
}

const KEY: &str = "the administrator's key";

static KEYS: LazyLock<RestKeys> = LazyLock::new(|| {
    let keys = KeySources { admin: Some(KEY.into()), user: Some("the user's key".into()) };
    RestKeys::read_with("/nonexistent".as_ref(), keys).expect("both keys are given")
});

/// `Authorization` as a stranger sends it, and header and claims as somebody may sign them who has a key.
pub fn access_tokens(bytes: &[u8]) {
    let now = token::Now { second: 1_700_000_000, clock_leeway: 120 };
    let text = String::from_utf8_lossy(bytes);
    if let Ok(token) = token::in_header(Some(&text)) {
        let judged = token::check(&KEYS, token, "GET", "/volumes", now);
        assert!(judged.is_err(), "a token without a signature of ours was taken: {text:?}");
    }
    let (header, claims) = text.split_once('\n').unwrap_or((r#"{"alg":"HS256"}"#, &text));
    let encode = |json: &str| BASE64_URL_SAFE_NO_PAD.encode(json);
    let signed = format!("{}.{}", encode(header), encode(claims));
    let key = EncodingKey::from_secret(KEY.as_bytes());
    let Ok(signature) = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256) else { return };
    let _ = token::check(&KEYS, &format!("{signed}.{signature}"), "GET", "/volumes", now);
}

/// Lines that a person pastes behind `bricklayer-agent enroll`.
pub fn enrolment_tokens(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(token) = text.parse::<wire::token::Token>() {
        assert_eq!(token.to_line(), text.trim(), "there is one way only to write a token");
    }
}

/// What peers say on the agents' channel once TLS has let them in.
pub fn agent_messages(bytes: &[u8]) {
    if let Ok(message) = wire::v1::FromAgent::decode(bytes)
        && let Ok(said) = wire::FromAgent::try_from(message)
    {
        let again = wire::v1::FromAgent::from(said);
        assert!(wire::FromAgent::try_from(again).is_ok(), "what was understood can be said again");
    }
    if let Ok(message) = wire::v1::ToAgent::decode(bytes)
        && let Ok(said) = wire::ToAgent::try_from(message)
    {
        let again = wire::v1::ToAgent::from(said);
        assert!(wire::ToAgent::try_from(again).is_ok(), "what was understood can be said again");
    }
    if let Ok(request) = wire::v1::EnrollRequest::decode(bytes) {
        let _ = wire::EnrollRequest::try_from(request);
    }
    if let Ok(reply) = wire::v1::EnrollReply::decode(bytes) {
        let _ = wire::EnrollReply::try_from(reply);
    }
}

/// Certificates of peers.
pub fn certificates(bytes: &[u8]) {
    let _ = wire::certificate::Claims::read(bytes);
    let _ = wire::certificate::public_key(bytes);
}

/// What LVM reports.
pub fn lvm_reports(bytes: &[u8]) {
    let _ = lvm::parse_full_report(bytes);
    let _ = lvm::parse_group_names(bytes);
}

/// Tags on groups and volumes: anybody who is root on the host can write them.
pub fn lvm_tags(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let found: Vec<LvmTag> = text.split(['\n', ',']).filter_map(|tag| tag.parse().ok()).collect();
    let _ = tags::is_condemned(&found);
    let _ = tags::parse_pool(&found);
    if let Ok(Some(group)) = tags::parse_group(&found) {
        assert_eq!(tags::parse_group(&tags::print_group(&group)), Ok(Some(group)));
    }
    if let Ok(Some(brick)) = tags::parse_brick(&found) {
        assert_eq!(tags::parse_brick(&tags::print_brick(&brick)), Ok(Some(brick)));
    }
}

/// What lsblk, wipefs and dmsetup report.
pub fn block_devices(bytes: &[u8]) {
    let _ = blockdev::parse_lsblk(bytes);
    let _ = blockdev::parse_signatures(bytes);
    let _ = blockdev::parse_open(bytes);
    let _ = blockdev::device_number(&String::from_utf8_lossy(bytes));
}

/// The kernel's tables of mounts and of swap.
pub fn mount_tables(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = mount::parse_mounts(&text);
    let _ = mount::parse_swaps(&text);
    let _ = mount::unescape(&text);
}

/// What processes are started as, and what they call themselves, as the kernel tells it.
pub fn process_arguments(bytes: &[u8]) {
    if let Started::Brick(path) = processes::started_as(bytes) {
        let mut words = bytes.split(|byte| *byte == 0).skip_while(|word| *word != b"--brick-name");
        assert!(path.is_absolute() && words.nth(1) == Some(path.as_str().as_bytes()), "{path}");
    }
    assert!(!processes::printable(bytes).chars().any(char::is_control));
}

/// Somebody's fstab, which must stay as it is but for our own lines.
pub fn fstab(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let brick = BrickId::from_u128(7);
    let at = "/var/lib/bricklayer/mounts/vg_1/brick_7".parse().expect("a mount point");
    let line = table::line("/dev/mapper/vg_1-brick_7".into(), &at, brick);
    let foreign = table::without_brick(text, brick);
    assert!(table::of_brick(&foreign, brick).is_none());
    let with = table::with_brick(text, brick, &line);
    assert_eq!(table::of_brick(&with, brick).map(|entry| entry.line), Some(line.as_str()));
    let without = table::without_brick(&with, brick);
    assert!(
        without == foreign || without == format!("{foreign}\n"),
        "foreign lines were changed: {foreign:?} became {without:?}"
    );
    assert_eq!(table::with_brick(&with, brick, &line), with, "doing it again changes nothing");
    let taken = table::taken_over(&foreign, "/dev/mapper/vg_1-brick_7".into(), &at, brick);
    assert!(table::of_brick(&taken, brick).is_some());
    let back = table::given_back(&taken, brick);
    assert!(back == foreign || back == format!("{foreign}\n"), "{foreign:?} was taken over and came back as {back:?}");
}

/// `gluster --xml`.
pub fn gluster_answers(bytes: &[u8]) {
    gluster::read_as_anything(bytes);
}

/// `gluster-block --json`.
pub fn gluster_block_answers(bytes: &[u8]) {
    gluster_block::read_as_anything(bytes);
}

/// heketi.json, which people have edited by hand.
pub fn heketi_config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(imported) = bricklayer_coordinator::config::heketi::import(&text, &[]) {
        let ours = imported.toml();
        assert!(ours.parse::<toml::Table>().is_ok(), "{ours}");
    }
}

/// A database that heketi exported and people may have mended.
pub fn heketi_db(bytes: &[u8]) {
    use bricklayer_coordinator::adopt::HeketiDb;
    if let Ok(read) = HeketiDb::parse(bytes) {
        let _ = read.is_at_rest();
        let value = serde_json::from_slice(bytes).expect("what was read is JSON");
        assert!(HeketiDb::of(value).is_ok(), "a value is read as its text is");
    }
}

/// What a lost coordinator's hosts give back, and what a person types in to open it.
pub fn keepsakes(bytes: &[u8]) {
    use bricklayer_coordinator::keepsake::{InstallationDocument, VolumesDocument};
    use bricklayer_coordinator::pki::{Bundle, RecoveryKey};
    let text = String::from_utf8_lossy(bytes);
    if let Ok(key) = text.parse::<RecoveryKey>() {
        let again = key.to_text().parse::<RecoveryKey>().expect("a key is read as it is written");
        assert_eq!(again.to_text(), key.to_text());
    }
    if let Ok(bundle) = text.parse::<Bundle>() {
        assert!(bundle.open(&RecoveryKey::random()).is_err(), "a strange key opened {text:?}");
        bundle.to_text().parse::<Bundle>().expect("a bundle is read as it is written");
    }
    if let Ok(document) = serde_json::from_slice::<InstallationDocument>(bytes) {
        let json = serde_json::to_vec(&document).expect("a document that was read can be written");
        serde_json::from_slice::<InstallationDocument>(&json).expect("a document is read as it is written");
    }
    if let Ok(document) = serde_json::from_slice::<VolumesDocument>(bytes) {
        let json = serde_json::to_vec(&document).expect("a document that was read can be written");
        serde_json::from_slice::<VolumesDocument>(&json).expect("a document is read as it is written");
    }
}

/// Sizes, ids, names and paths: what is taken is written as it was read, and is no option and no way out of its folder.
pub fn names_and_sizes(bytes: &[u8]) {
    use bricklayer_proto::{ids, names, size};
    let text = String::from_utf8_lossy(bytes);
    same::<ids::VolumeId>(&text);
    if let Ok(size) = text.parse::<size::ByteSize>() {
        assert_eq!(size.bytes().to_string().parse(), Ok(size), "bytes alone are read to the byte");
        let _ = size.to_string();
    }
    let _ = text.parse::<bricklayer_proto::identity::Identity>();
    let _ = text.parse::<bricklayer_coordinator::placement::TagMatch>();
    macro_rules! words {
        ($($name:ty),+ $(,)?) => {$(
            if same::<$name>(&text) {
                assert!(!text.starts_with('-'), "{text:?} could be read as an option");
                assert!(!text.chars().any(|char| char.is_control()), "{text:?}");
            }
        )+};
    }
    words!(
        names::BlockName,
        names::HostName,
        names::LvName,
        names::LvmTag,
        names::OptionKey,
        names::OptionValue,
        names::PvUuid,
        names::VgName,
        names::VolumeName,
    );
    macro_rules! paths {
        ($($name:ty),+ $(,)?) => {$(
            if same::<$name>(&text) {
                assert!(text.starts_with('/') && !text.split('/').any(|part| part == ".."), "{text:?}");
            }
        )+};
    }
    paths!(names::DevicePath, names::MountPoint);
    if let Ok(path) = names::BrickPath::try_from(text.to_string()) {
        assert!(path.as_path() == text.as_ref() && !text.split('/').any(|part| part == ".."), "{text:?}");
    }
}

/// Whether the text is such a thing. Then it is written as it was read.
fn same<T: FromStr + Display>(text: &str) -> bool
where
    T::Err: Debug,
{
    let Ok(read) = text.parse::<T>() else { return false };
    assert_eq!(read.to_string(), text);
    true
}

/// What a coordinator sends that means harm: whatever it is, the agent destroys and marks nothing but by two keys.
pub fn two_keys(bytes: &[u8]) {
    struct Fuzzed<'a>(Unstructured<'a>);
    impl Choices for Fuzzed<'_> {
        fn below(&mut self, count: usize) -> usize {
            self.0.int_in_range(0..=count - 1).unwrap_or_default()
        }

        fn is_over(&self) -> bool {
            self.0.is_empty()
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without input and output needs nothing");
    if let Err(what) = runtime.block_on(hostile::play(&mut Fuzzed(Unstructured::new(bytes)), 200)) {
        panic!("{what}");
    }
}
