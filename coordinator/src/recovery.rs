//! The files that make a machine the coordinator of an installation: made, sealed, and made again elsewhere.
//!
//! Owns what `init`, `recovery-key` and `recover` do. Must never write a recovery key, nor overwrite an authority or a
//! key that is there. [`crate::pki::Bundle`] says how keys are sealed.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::Context as _;
use bricklayer_proto::ids::InstallationId;
use bricklayer_store::Store;

use crate::keys::{self, RestKeys};
use crate::pki::{Authority, Bundle, Clock, RecoveryKey, Secrets, Trust, TrustError};
use crate::service::Layout;
use crate::state::SCHEMA;

/// Makes a new installation in a data directory: its authority, its store, its users' keys. Not its recovery key: that is
/// [`new_key`]'s, where somebody is there to note it.
///
/// Refuses wherever there is anything of an installation, as an empty store would pass for the one that is lost; but for what an
/// earlier try has left that was cut off.
pub fn found(data_dir: &Path) -> anyhow::Result<InstallationId> {
    let layout = Layout(data_dir);
    if !was_cut_off(&layout) {
        match (Authority::exists(&layout.authority()), layout.has_store()) {
            (false, false) if !layout.bundle().exists() => {}
            (false, _) => return Err(layout.no_authority()),
            (true, false) => return Err(layout.no_store()),
            (true, true) => anyhow::bail!(
                "{} holds an installation already. If its store is lost or empty, `bricklayer-coordinator rebuild` makes it again of \
                 what the hosts keep",
                data_dir.display()
            ),
        }
    }
    make_dirs(&layout)?;
    let (mark, failed) =
        (layout.unfinished_init(), || format!("{} cannot be written", layout.unfinished_init().display()));
    std::fs::File::create(&mark).and_then(|mark| mark.sync_all()).with_context(failed)?;
    let store = Store::open(&layout.store(), SCHEMA)?;
    let installation = match Trust::found(&store, &layout.authority(), &Clock::system()) {
        // All that it lacks is keys.
        Err(TrustError::Founded(installation)) => installation,
        other => other?,
    };
    store.close();
    RestKeys::make(&layout.keys())?;
    // Before anybody is told of the installation: a mark that came back with the power would let a lost store be made anew.
    std::fs::remove_file(&mark).and_then(|()| std::fs::File::open(data_dir)?.sync_all()).with_context(failed)?;
    Ok(installation)
}

/// Whether the making of the installation ended before anybody was told of it.
#[must_use]
pub fn was_cut_off(layout: &Layout<'_>) -> bool {
    layout.unfinished_init().exists()
}

/// Seals what is there under a new recovery key. The older one opens older bundles only.
pub fn new_key(data_dir: &Path) -> anyhow::Result<RecoveryKey> {
    let layout = Layout(data_dir);
    let installation = Authority::load(&layout.authority())?.installation();
    let key = RecoveryKey::random();
    let mut made = Clock::system().now();
    // Hosts take no older bundle than they have, whatever the clock says.
    if let Some(before) = Bundle::read(&layout.bundle())? {
        made = made.max(before.made() + std::time::Duration::from_millis(1));
    }
    Bundle::seal(&key, installation, &secrets(&layout)?, made)?.write(&layout.bundle())?;
    Ok(key)
}

/// The bundle, sealed anew where a key has changed since; `None` where the installation has none.
pub fn bundle(data_dir: &Path) -> anyhow::Result<Option<Bundle>> {
    let layout = Layout(data_dir);
    let Some(bundle) = Bundle::read(&layout.bundle())? else { return Ok(None) };
    match bundle.renewed(&secrets(&layout)?, Clock::system().now())? {
        Some(renewed) => {
            renewed.write(&layout.bundle())?;
            tracing::info!("A key has changed; the bundle that hosts keep was sealed anew.");
            Ok(Some(renewed))
        }
        None => Ok(Some(bundle)),
    }
}

/// Makes the authority and the keys of a sealed bundle in a data directory that has none. Nothing is written where the
/// key does not open the bundle. The store is rebuilt afterwards.
pub fn recover(data_dir: &Path, bundle: &Bundle, key: &RecoveryKey) -> anyhow::Result<InstallationId> {
    let layout = Layout(data_dir);
    anyhow::ensure!(
        !Authority::exists(&layout.authority()),
        "{} has the authority of an installation already; give another --data-dir, or move it away",
        layout.0.display()
    );
    let secrets = bundle.open(key)?;
    make_dirs(&layout)?;
    keys::restore(&layout.keys(), [secrets.admin_key.as_deref(), secrets.user_key.as_deref()])?;
    bundle.write(&layout.bundle())?;
    // Last, as it is what makes the directory an installation: a recovery that was cut off is simply done again.
    let authority = Authority::restore(&layout.authority(), &secrets.authority_certificate, &secrets.authority_key)?;
    Ok(authority.installation())
}

fn secrets(layout: &Layout<'_>) -> anyhow::Result<Secrets> {
    let (authority_certificate, authority_key) = Authority::to_pem(&layout.authority())?;
    let [admin_key, user_key] = keys::files(&layout.keys())?;
    Ok(Secrets { authority_certificate, authority_key, admin_key, user_key })
}

fn make_dirs(layout: &Layout<'_>) -> anyhow::Result<()> {
    for dir in [layout.0.to_owned(), layout.keys()] {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .with_context(|| format!("{} cannot be made", dir.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Founded {
        installation: InstallationId,
        recovery_key: RecoveryKey,
    }

    fn found(dir: &Path) -> anyhow::Result<Founded> {
        Ok(Founded { installation: super::found(dir)?, recovery_key: new_key(dir)? })
    }

    #[test]
    fn a_store_that_is_lost_is_not_made_anew_and_empty() {
        let dir = tempfile::tempdir().unwrap();
        found(dir.path()).unwrap();
        let sealed = file(dir.path(), "recovery/bundle.json");
        let store = Layout(dir.path()).store();
        std::fs::remove_dir_all(&store).unwrap();
        for mount_point in [false, true] {
            if mount_point {
                std::fs::create_dir(&store).unwrap();
            }
            let error = found(dir.path()).err().unwrap().to_string();
            assert!(error.contains("rebuild") && error.contains("import"), "{error}");
            assert!(!Layout(dir.path()).has_store());
        }
        // What an earlier version made of it.
        Store::open(&store, SCHEMA).unwrap().close();
        let refused = |error: anyhow::Error| {
            let error = error.to_string();
            assert!(error.contains("already") && error.contains("rebuild"), "{error}");
        };
        refused(found(dir.path()).err().unwrap());
        assert_eq!(file(dir.path(), "recovery/bundle.json"), sealed);
        // As where its unit made it, without a recovery key.
        std::fs::remove_dir_all(dir.path().join("recovery")).unwrap();
        refused(super::found(dir.path()).unwrap_err());
    }

    #[test]
    fn an_authority_that_is_lost_is_not_made_anew_beside_its_store_or_its_sealed_keys() {
        let dir = tempfile::tempdir().unwrap();
        found(dir.path()).unwrap();
        std::fs::rename(dir.path().join("authority"), dir.path().join("lost")).unwrap();
        let bundle = dir.path().join("recovery/bundle.json");
        for sealed in [true, false] {
            if !sealed {
                std::fs::remove_file(&bundle).unwrap();
            }
            let error = super::found(dir.path()).unwrap_err().to_string();
            assert!(error.contains("recover"), "{error}");
            assert!(!dir.path().join("authority/ca.key").exists());
        }
    }

    #[test]
    fn a_first_making_that_was_cut_off_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout(dir.path());
        let made = super::found(dir.path()).unwrap();
        assert!(!was_cut_off(&layout));
        for lost in ["keys", "store"] {
            std::fs::write(layout.unfinished_init(), "").unwrap();
            std::fs::remove_dir_all(dir.path().join(lost)).unwrap();
            assert_eq!(super::found(dir.path()).unwrap(), made, "{lost}");
            assert!(keys::admin_file(&layout.keys()).exists() && layout.has_store() && !was_cut_off(&layout));
        }
    }

    fn file(dir: &Path, name: &str) -> String {
        std::fs::read_to_string(dir.join(name)).unwrap()
    }

    #[test]
    fn a_machine_that_is_gone_comes_back_from_the_bundle_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        let founded = found(&old).unwrap();
        let bundle: Bundle = file(&old, "recovery/bundle.json").parse().unwrap();
        assert_eq!(recover(&new, &bundle, &founded.recovery_key).unwrap(), founded.installation);
        for name in ["authority/ca.crt", "authority/ca.key", "keys/admin.key", "keys/user.key"] {
            assert_eq!(file(&old, name), file(&new, name), "{name}");
        }
        assert!(!Layout(&new).store().exists());
        let again = recover(&new, &bundle, &founded.recovery_key).unwrap_err().to_string();
        assert!(again.contains("already"), "{again}");
    }

    #[test]
    fn a_wrong_recovery_key_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        found(&old).unwrap();
        let bundle: Bundle = file(&old, "recovery/bundle.json").parse().unwrap();
        let error = recover(&new, &bundle, &RecoveryKey::random()).unwrap_err().to_string();
        assert!(error.contains("does not open"), "{error}");
        assert!(!new.exists());
    }

    #[test]
    fn a_recovery_that_was_cut_off_is_done_again() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        let founded = found(&old).unwrap();
        let bundle: Bundle = file(&old, "recovery/bundle.json").parse().unwrap();
        recover(&new, &bundle, &founded.recovery_key).unwrap();
        std::fs::remove_file(new.join("authority/ca.key")).unwrap();
        recover(&new, &bundle, &founded.recovery_key).unwrap();
        std::fs::remove_dir_all(new.join("authority")).unwrap();
        std::fs::write(new.join("keys/admin.key"), "another").unwrap();
        let error = recover(&new, &bundle, &founded.recovery_key).unwrap_err().to_string();
        assert!(error.contains("another key"), "{error}");
        assert_eq!(file(&new, "keys/admin.key"), "another");
    }

    #[test]
    fn a_new_recovery_key_takes_the_place_of_the_old_one_and_a_changed_key_is_sealed_without_it() {
        let dir = tempfile::tempdir().unwrap();
        let founded = found(dir.path()).unwrap();
        let first = bundle(dir.path()).unwrap().unwrap();
        let key = new_key(dir.path()).unwrap();
        let second = bundle(dir.path()).unwrap().unwrap();
        assert!(second.made() > first.made());
        assert!(second.open(&founded.recovery_key).is_err() && second.open(&key).is_ok());
        std::fs::write(dir.path().join("keys/admin.key"), "My Secret\n").unwrap();
        let third = bundle(dir.path()).unwrap().unwrap();
        assert_eq!(third.open(&key).unwrap().admin_key.as_deref(), Some("My Secret\n"));
    }
}
