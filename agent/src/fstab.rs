//! The table of file systems: read, and changed line by line.
//!
//! Our lines are those with the option `x-bricklayer.brick=<brick id>`, which mount and systemd pass over. Every other
//! line is somebody else's and stays as it is, byte for byte. The line of an adopted brick stands, as it was, in a comment
//! right before ours, so that it can be put back whoever has lost what else. Pure: text in, text out; [`crate::host::Host`] replaces
//! the file in one step.

use bricklayer_proto::ids::BrickId;
use bricklayer_proto::names::MountPoint;
use camino::{Utf8Path, Utf8PathBuf};

use crate::tools::mount::unescape;

/// A missing disk must not stop the boot (`nofail`), and GlusterFS must not start before the mounts that are there.
/// Pass 0: XFS has nothing to check at boot.
const OPTIONS: &str = "rw,inode64,noatime,nofail,x-systemd.device-timeout=30s,x-systemd.before=glusterd.service";
const MARK: &str = "x-bricklayer.brick=";
/// Before the id and the line that was there; the second where that line, the last one, had no end.
const WAS: [&str; 2] = ["#x-bricklayer.was=", "#x-bricklayer.was-unended="];

/// A line that mounts something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The whole line, without its end.
    pub line: &'a str,
    pub source: String,
    pub at: Utf8PathBuf,
    pub file_system: &'a str,
    /// The brick, where the line is one of ours.
    pub brick: Option<BrickId>,
}

/// The lines that mount something, in their order. Comments, empty lines and what cannot be read are passed over: they
/// mount nothing.
pub fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    text.split_inclusive('\n').filter_map(entry)
}

/// The line of a brick, where there is one.
#[must_use]
pub fn of_brick(text: &str, brick: BrickId) -> Option<Entry<'_>> {
    let lines = text.split_inclusive('\n').filter(names(brick));
    lines.filter_map(entry).find(|entry| entry.brick == Some(brick))
}

/// Whether the brick's id stands in a line: of hundreds of lines one is worth reading.
fn names(brick: BrickId) -> impl Fn(&&str) -> bool {
    let id = brick.to_string();
    move |line| line.contains(&id)
}

/// How the line of a brick reads, without its end.
#[must_use]
pub fn line(source: &Utf8Path, at: &MountPoint, brick: BrickId) -> String {
    format!("{source} {at} xfs {OPTIONS},{MARK}{brick} 0 0")
}

/// With `line` as the only one of the brick, in the place of the one there was or else at the end.
#[must_use]
pub fn with_brick(text: &str, brick: BrickId, line: &str) -> String {
    let mut out = String::with_capacity(text.len() + line.len() + 2);
    let mut placed = false;
    let names = names(brick);
    for old in text.split_inclusive('\n') {
        if names(&old) && entry(old).is_some_and(|entry| entry.brick == Some(brick)) {
            if !placed {
                out.push_str(line);
                out.push('\n');
                placed = true;
            }
        } else {
            out.push_str(old);
        }
    }
    if !placed {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// Without the lines that `drop` says are to go.
#[must_use]
pub fn without(text: &str, drop: impl Fn(&Entry<'_>) -> bool) -> String {
    let stays = |line: &&str| !entry(line).is_some_and(|entry| drop(&entry));
    text.split_inclusive('\n').filter(stays).collect()
}

/// Without the brick's line, and without what stood there before it was adopted.
#[must_use]
pub fn without_brick(text: &str, brick: BrickId) -> String {
    let lines = text.split_inclusive('\n').filter(|line| was(line).is_none_or(|was| was.brick != brick));
    without(&lines.collect::<String>(), |entry| entry.brick == Some(brick))
}

/// With the line that mounts something at `at` made the brick's: it keeps its options and its place, and gets what every
/// line of ours has besides. Where there is none, one of ours is added. A brick that has a line already keeps it.
#[must_use]
pub fn taken_over(text: &str, device: &Utf8Path, at: &MountPoint, brick: BrickId) -> String {
    if of_brick(text, brick).is_some() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 256);
    let mut taken = false;
    for old in text.split_inclusive('\n') {
        if taken || entry(old).is_none_or(|entry| entry.at != at.as_path()) {
            out.push_str(old);
            continue;
        }
        taken = true;
        let ended = old.ends_with('\n');
        let mark = WAS[usize::from(!ended)];
        let end = if ended { "" } else { "\n" };
        out.push_str(&format!("{mark}{brick} {old}{end}{}\n", ours_of(old, device, brick)));
    }
    if taken { out } else { with_brick(text, brick, &line(device, at, brick)) }
}

/// With the brick's line as it was before [`taken_over`]; gone where there was none.
#[must_use]
pub fn given_back(text: &str, brick: BrickId) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let line = match was(line) {
            Some(was) if was.brick == brick => was.line,
            _ if entry(line).is_some_and(|entry| entry.brick == Some(brick)) => continue,
            _ => line,
        };
        // The line that was the last one, and had no end, may have others behind it now.
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str(line);
    }
    out
}

/// A line of others as one of ours. What it says of dumps and checks stays.
fn ours_of(old: &str, device: &Utf8Path, brick: BrickId) -> String {
    let mut fields = old.trim_end_matches('\n').split([' ', '\t']).filter(|field| !field.is_empty()).skip(1);
    let mut next = |default: &'static str| fields.next().unwrap_or(default).to_owned();
    let (at, file_system, options, dump, pass) = (next(""), next("xfs"), next("defaults"), next("0"), next("0"));
    // A mark in it is of another brick, which is not mounted there any more once this one is.
    let mut options: Vec<&str> = options.split(',').filter(|option| !option.starts_with(MARK)).collect();
    if options.is_empty() {
        options.push("defaults");
    }
    for ours in OPTIONS.split(',').filter(|option| *option == "nofail" || option.starts_with("x-systemd.")) {
        let key = |option: &str| option.split('=').next() == ours.split('=').next();
        // A unit may be ordered before several others.
        let is_there =
            options.iter().any(|option| if ours.contains("before=") { *option == ours } else { key(option) });
        if !is_there {
            options.push(ours);
        }
    }
    format!("{device} {at} {file_system} {},{MARK}{brick} {dump} {pass}", options.join(","))
}

/// What stood in the place of a line of ours.
struct Was<'a> {
    brick: BrickId,
    /// With its end, if it had one.
    line: &'a str,
}

fn was(line: &str) -> Option<Was<'_>> {
    let (ended, rest) = match (line.strip_prefix(WAS[0]), line.strip_prefix(WAS[1])) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return None,
    };
    let (brick, line) = rest.split_once(' ')?;
    let line = if ended { line } else { line.strip_suffix('\n').unwrap_or(line) };
    Some(Was { brick: brick.parse().ok()?, line })
}

/// Reads one line, with or without its end. A carriage return before the end is no end: libmount takes it for a part of
/// the last field, and so does this, wherever a line is read.
fn entry(line: &str) -> Option<Entry<'_>> {
    let line = line.strip_suffix('\n').unwrap_or(line);
    let mut fields = line.split([' ', '\t']).filter(|field| !field.is_empty());
    let source = fields.next().filter(|field| !field.starts_with('#'))?;
    let at = fields.next()?;
    let file_system = fields.next()?;
    let options = fields.next().unwrap_or_default();
    let brick = options.split(',').find_map(|option| option.strip_prefix(MARK)?.parse().ok());
    Some(Entry { line, source: unescape(source), at: Utf8PathBuf::from(unescape(at)), file_system, brick })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FOREIGN: &str = "# /etc/fstab\n\nUUID=1-2\t/  ext4\tdefaults 0 1\n/dev/sdc /mnt/with\\040space xfs rw 0 0";

    fn brick(n: u128) -> BrickId {
        BrickId::from_u128(n)
    }

    fn our_line(n: u128) -> String {
        let at = format!("/var/lib/bricklayer/mounts/vg_1/brick_{n}").parse().unwrap();
        line(format!("/dev/mapper/vg_1-brick_{n}").as_str().into(), &at, brick(n))
    }

    #[test]
    fn a_line_of_ours_does_not_stop_the_boot_and_comes_before_glusterd() {
        assert_eq!(
            our_line(7),
            "/dev/mapper/vg_1-brick_7 /var/lib/bricklayer/mounts/vg_1/brick_7 xfs \
             rw,inode64,noatime,nofail,x-systemd.device-timeout=30s,x-systemd.before=glusterd.service,\
             x-bricklayer.brick=00000000000000000000000000000007 0 0"
        );
    }

    #[test]
    fn a_line_is_added_after_a_last_line_without_an_end_and_taken_away_again() {
        let with = with_brick(FOREIGN, brick(7), &our_line(7));
        assert_eq!(with, format!("{FOREIGN}\n{}\n", our_line(7)));
        assert_eq!(without_brick(&with, brick(7)), format!("{FOREIGN}\n"));
    }

    #[test]
    fn a_line_that_is_there_twice_becomes_one_in_the_place_of_the_first() {
        let (old, other) = (our_line(7).replace("noatime,", ""), our_line(8));
        let text = format!("{old}\n{other}\n{old}\n");
        assert_eq!(with_brick(&text, brick(7), &our_line(7)), format!("{}\n{other}\n", our_line(7)));
    }

    #[test]
    fn a_line_that_was_commented_out_is_not_a_brick_of_ours() {
        assert_eq!(of_brick(&format!("#{}\n", our_line(7)), brick(7)), None);
    }

    #[test]
    fn a_foreign_line_is_read_with_its_spaces() {
        let found: Vec<_> = entries(FOREIGN).map(|entry| (entry.source, entry.at)).collect();
        assert_eq!(found, [("UUID=1-2".to_owned(), "/".into()), ("/dev/sdc".to_owned(), "/mnt/with space".into())]);
    }

    #[test]
    fn a_line_with_a_carriage_return_is_the_same_brick_to_whoever_reads_and_to_whoever_removes() {
        let whole = format!("{}\r\n", our_line(7));
        assert_eq!(of_brick(&whole, brick(7)).unwrap().line, whole.trim_end_matches('\n'));
        assert_eq!(without_brick(&whole, brick(7)), "");
        // Nothing follows the options, so the carriage return is theirs, and the id is none.
        let cut = whole.replace(" 0 0", "");
        assert_eq!(of_brick(&cut, brick(7)), None);
        assert_eq!(without_brick(&cut, brick(7)), cut);
    }

    #[test]
    fn a_brick_whose_id_is_only_mentioned_is_left_alone() {
        let text = format!("/dev/sdz /mnt/{} xfs rw 0 0 # {}\n", brick(7), our_line(7));
        assert_eq!(without_brick(&text, brick(7)), text);
    }

    const HEKETIS: &str =
        "/dev/mapper/vg_1-brick_7 /var/lib/heketi/mounts/vg_1/brick_7 xfs rw,inode64,noatime,nouuid 1 2";

    fn adopt(text: &str) -> String {
        let at = "/var/lib/heketi/mounts/vg_1/brick_7".parse().unwrap();
        taken_over(text, "/dev/mapper/vg_1-brick_7".into(), &at, brick(7))
    }

    #[test]
    fn the_line_of_an_adopted_brick_keeps_its_options_and_gets_ours() {
        let adopted = adopt(&format!("{HEKETIS}\n{FOREIGN}"));
        let [was, ours] = [0, 1].map(|number| adopted.lines().nth(number).unwrap());
        assert_eq!(was, format!("#x-bricklayer.was={} {HEKETIS}", brick(7)));
        assert_eq!(
            ours,
            "/dev/mapper/vg_1-brick_7 /var/lib/heketi/mounts/vg_1/brick_7 xfs rw,inode64,noatime,nouuid,nofail,\
             x-systemd.device-timeout=30s,x-systemd.before=glusterd.service,\
             x-bricklayer.brick=00000000000000000000000000000007 1 2"
        );
        assert_eq!(adopt(&adopted), adopted);
        assert_eq!(without_brick(&adopted, brick(7)), FOREIGN);
    }

    #[test]
    fn an_adopted_brick_without_a_line_gets_one_and_loses_it_again() {
        let adopted = adopt("# nothing\n");
        assert_eq!(of_brick(&adopted, brick(7)).unwrap().at, "/var/lib/heketi/mounts/vg_1/brick_7");
        assert_eq!(given_back(&adopted, brick(7)), "# nothing\n");
    }

    #[test]
    fn a_last_line_without_an_end_that_has_others_behind_it_is_given_back_as_a_line() {
        let old = "/dev/x /var/lib/bricklayer/mounts/vg_1/brick_7 xfs rw 1 2";
        let at = "/var/lib/bricklayer/mounts/vg_1/brick_7".parse().unwrap();
        let taken = taken_over(old, "/dev/mapper/vg_1-brick_7".into(), &at, brick(7));
        assert_eq!(given_back(&taken, brick(7)), old);
        let with_another = with_brick(&taken, brick(8), &our_line(8));
        assert_eq!(given_back(&with_another, brick(7)), format!("{old}\n{}\n", our_line(8)));
    }

    #[test]
    fn a_line_that_was_marked_for_another_brick_is_taken_over_as_this_ones() {
        for options in [
            "rw,x-bricklayer.brick=00000000000000000000000000000003",
            "x-bricklayer.brick=00000000000000000000000000000003",
        ] {
            let text = format!("/dev/x /var/lib/bricklayer/mounts/vg_1/brick_7 xfs {options} 0 0\n");
            let at = "/var/lib/bricklayer/mounts/vg_1/brick_7".parse().unwrap();
            let taken = taken_over(&text, "/dev/mapper/vg_1-brick_7".into(), &at, brick(7));
            assert!(of_brick(&taken, brick(7)).is_some() && of_brick(&taken, brick(3)).is_none(), "{taken}");
            assert_eq!(given_back(&taken, brick(7)), text);
        }
    }

    proptest! {
        #[test]
        fn what_was_taken_over_is_given_back_byte_for_byte(
            before in "([ -~\t]{0,40}\n|# x\n|\n){0,4}", after in "(\n([ -~\t]{0,40}\n|#\n){0,3}[ -~]{0,9})?", blanks in "[ \t]{0,3}",
        ) {
            let text = format!("{before}{HEKETIS}{blanks}{after}");
            let adopted = adopt(&text);
            prop_assert!(of_brick(&adopted, brick(7)).is_some());
            prop_assert_eq!(adopt(&adopted), adopted.clone());
            prop_assert_eq!(given_back(&adopted, brick(7)), text);
        }

        #[test]
        fn foreign_lines_survive_every_change_byte_for_byte(text in "([ -~\t]{0,60}\n|# x\n|\n){0,8}[ -~]{0,20}") {
            let mut changed = text.clone();
            for n in [7, 8, 7] {
                changed = with_brick(&changed, brick(n), &our_line(n));
            }
            prop_assert!(changed.starts_with(&text));
            for n in [8, 7] {
                prop_assert!(of_brick(&changed, brick(n)).is_some());
                changed = without_brick(&changed, brick(n));
            }
            let ended = text.is_empty() || text.ends_with('\n');
            prop_assert_eq!(changed, if ended { text } else { format!("{text}\n") });
        }

        #[test]
        fn a_line_is_read_back_as_it_was_printed(n in any::<u128>()) {
            let text = with_brick("", brick(n), &our_line(n));
            let found = of_brick(&text, brick(n)).unwrap();
            prop_assert_eq!(found.source, format!("/dev/mapper/vg_1-brick_{n}"));
            prop_assert_eq!(found.at, Utf8PathBuf::from(format!("/var/lib/bricklayer/mounts/vg_1/brick_{n}")));
            prop_assert_eq!(found.file_system, "xfs");
        }
    }
}
