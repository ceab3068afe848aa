//! The coordinator's own machine: its disk, and the certificate that REST shows.

use std::path::PathBuf;

use bricklayer_proto::size::ByteSize;
use jiff::{SignedDuration, Timestamp};

use super::{Finding, Severity, Subject, World};

/// Sites renew by hand, and somebody has to be found for it. Of a certificate that lives for days it is a third of its life.
const ENDS_SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Warned at this multiple of what has to stay free.
const NEARLY: u64 = 4;

/// What the coordinator knows of its own machine.
#[derive(Clone, Debug, Default)]
pub struct OwnHost {
    /// `None` where nobody can say.
    pub disk: Option<OwnDisk>,
    /// `None` where REST is plain HTTP.
    pub certificate: Option<OwnCertificate>,
}

/// The disk of the data directory.
#[derive(Clone, Debug)]
pub struct OwnDisk {
    pub dir: PathBuf,
    pub free: ByteSize,
    /// With less, changes are refused.
    pub least: ByteSize,
}

/// What REST's clients are shown.
#[derive(Clone, Debug)]
pub struct OwnCertificate {
    pub path: PathBuf,
    pub begins: Timestamp,
    pub ends: Timestamp,
    /// Why what lies in the files now is not shown.
    pub failing: Option<String>,
}

pub fn examine(world: &World, findings: &mut Vec<Finding>) {
    if let Some(disk) = &world.own.disk {
        of_disk(disk, findings);
    }
    if let Some(certificate) = &world.own.certificate {
        of_certificate(certificate, world.now, findings);
    }
}

fn of_disk(OwnDisk { dir, free, least }: &OwnDisk, findings: &mut Vec<Finding>) {
    let dir = dir.display();
    let (severity, code, what) = if free < least {
        let what = format!("{free} are free below {dir}, at least {least} are needed: changes are refused");
        (Severity::Error, "coordinator-disk-full", what)
    } else if free.bytes() < least.bytes().saturating_mul(NEARLY) {
        let what = format!("{free} are free below {dir}: with less than {least} changes are refused");
        (Severity::Warning, "coordinator-disk-fills-up", what)
    } else {
        return;
    };
    let cure = format!("make room on the disk of {dir}; changes are taken again at once");
    findings.push(finding(severity, code, "coordinator-disk", what, cure));
}

fn of_certificate(certificate: &OwnCertificate, now: Timestamp, findings: &mut Vec<Finding>) {
    let OwnCertificate { path, begins, ends, failing } = certificate;
    let path = path.display();
    let renew = format!("put a new certificate with its key into the files; {path} is read again within a minute");
    let mut found = |severity, what| {
        findings.push(finding(severity, "rest-certificate-ends", "rest-certificate", what, renew.clone()));
    };
    let left = ends.duration_since(now);
    if now < *begins {
        found(Severity::Error, format!("the certificate of REST in {path} is valid from {begins:.0} on only"));
    } else if left.is_negative() || left.is_zero() {
        found(Severity::Error, format!("the certificate of REST in {path} has ended at {ends:.0}: clients refuse it"));
    } else if left < ENDS_SOON.min(ends.duration_since(*begins) / 3) {
        let days = left.as_hours() / 24;
        found(Severity::Warning, format!("the certificate of REST in {path} ends in {days} days, at {ends:.0}"));
    }
    if let Some(why) = failing {
        let what = format!("the files were changed, and the certificate before is still shown: {why}");
        let cure = format!("mend {path} and the key that goes with it");
        findings.push(finding(Severity::Warning, "rest-certificate-unusable", "rest-certificate", what, cure));
    }
}

fn finding(severity: Severity, code: &'static str, subject: &str, what: String, cure: String) -> Finding {
    Finding { severity, code, subject: Subject::Unknown(subject.to_owned()), host: String::new(), what, cure }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(day * 86_400).unwrap()
    }

    fn codes(findings: &[Finding]) -> Vec<(&'static str, Severity)> {
        findings.iter().map(|finding| (finding.code, finding.severity)).collect()
    }

    #[test]
    fn a_certificate_of_rest_is_told_before_it_ends_when_it_has_and_before_it_begins() {
        let shown = OwnCertificate { path: "/etc/rest.pem".into(), begins: at(100), ends: at(200), failing: None };
        let found = |day| {
            let mut findings = Vec::new();
            of_certificate(&shown, at(day), &mut findings);
            findings
        };
        assert_eq!(codes(&found(150)), []);
        assert_eq!(codes(&found(190)), [("rest-certificate-ends", Severity::Warning)]);
        assert!(found(190)[0].what.contains("ends in 10 days"), "{:?}", found(190));
        assert_eq!(codes(&found(200)), [("rest-certificate-ends", Severity::Error)]);
        assert_eq!(codes(&found(99)), [("rest-certificate-ends", Severity::Error)]);
    }

    #[test]
    fn a_coordinators_disk_is_told_while_it_fills_and_when_changes_are_refused() {
        let found = |free| {
            let mut findings = Vec::new();
            let (free, least) = (ByteSize::from_bytes(free), ByteSize::from_bytes(100));
            of_disk(&OwnDisk { dir: "/var/lib/x".into(), free, least }, &mut findings);
            codes(&findings)
        };
        assert_eq!(found(400), []);
        assert_eq!(found(399), [("coordinator-disk-fills-up", Severity::Warning)]);
        assert_eq!(found(100), [("coordinator-disk-fills-up", Severity::Warning)]);
        assert_eq!(found(99), [("coordinator-disk-full", Severity::Error)]);
    }

    #[test]
    fn a_certificate_of_rest_that_cannot_be_used_is_told_while_the_one_before_is_shown() {
        let failing = Some("no key goes with it".to_owned());
        let mut findings = Vec::new();
        let shown = OwnCertificate { path: "/etc/rest.pem".into(), begins: at(100), ends: at(200), failing };
        of_certificate(&shown, at(150), &mut findings);
        assert_eq!(codes(&findings), [("rest-certificate-unusable", Severity::Warning)]);
        assert!(findings[0].what.contains("no key goes with it"), "{findings:?}");
    }
}
