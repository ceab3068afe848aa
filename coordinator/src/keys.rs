//! The keys with which REST's clients sign their tokens: heketi's two users, `admin` and `user`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rand::RngExt as _;
use secrecy::SecretString;

/// Both keys.
#[derive(Clone, Debug)]
pub struct RestKeys {
    pub admin: SecretString,
    pub user: SecretString,
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{path} cannot be read; `bricklayer-coordinator init` makes it")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} cannot be written")]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} can be read by others (mode {mode:o}): chmod 600 {path}")]
    Loose { path: PathBuf, mode: u32 },
    #[error("{path} is there and is another key than the one that was sealed: move it away")]
    Other { path: PathBuf },
    #[error("{path} is empty: put a key of your own into it, or remove it and run `bricklayer-coordinator init`")]
    Empty { path: PathBuf },
}

/// Where the administrator's key is, for those who have to copy it.
#[must_use]
pub fn admin_file(dir: &Path) -> PathBuf {
    dir.join("admin.key")
}

fn user_file(dir: &Path) -> PathBuf {
    dir.join("user.key")
}

/// Keys that come from elsewhere than the files, as heketi's environment hands them over.
#[derive(Clone, Debug, Default)]
pub struct KeySources {
    pub admin: Option<SecretString>,
    pub user: Option<SecretString>,
}

impl RestKeys {
    pub fn read(dir: &Path) -> Result<Self, KeyError> {
        Self::read_with(dir, KeySources::default())
    }

    /// What is given counts; the file of a key that is given need not be there.
    pub fn read_with(dir: &Path, given: KeySources) -> Result<Self, KeyError> {
        let admin = given.admin.map_or_else(|| read(admin_file(dir)), Ok)?;
        let user = given.user.map_or_else(|| read(user_file(dir)), Ok)?;
        Ok(Self { admin, user })
    }

    /// Makes those that are not there yet.
    pub fn make(dir: &Path) -> Result<(), KeyError> {
        for path in [admin_file(dir), user_file(dir)] {
            if !path.exists() {
                write(path)?;
            }
        }
        Ok(())
    }
}

/// The files as they are, for sealing; `None` for one that is not there.
pub fn files(dir: &Path) -> Result<[Option<String>; 2], KeyError> {
    let text = |path: PathBuf| match path.exists() {
        true => std::fs::read_to_string(&path).map(Some).map_err(|source| KeyError::Read { path, source }),
        false => Ok(None),
    };
    Ok([text(admin_file(dir))?, text(user_file(dir))?])
}

/// Makes the files of what was sealed. One that is there and says otherwise is an error, before anything is written.
pub fn restore(dir: &Path, [admin, user]: [Option<&str>; 2]) -> Result<(), KeyError> {
    let wanted = [(admin_file(dir), admin), (user_file(dir), user)];
    let wanted: Vec<_> = wanted.into_iter().filter_map(|(path, key)| Some((path, key?))).collect();
    for (path, key) in &wanted {
        if path.exists() && std::fs::read_to_string(path).ok().as_deref() != Some(*key) {
            return Err(KeyError::Other { path: path.clone() });
        }
    }
    for (path, key) in wanted {
        if !path.exists() {
            write_text(path, key)?;
        }
    }
    Ok(())
}

fn read(path: PathBuf) -> Result<SecretString, KeyError> {
    let failed = |source| KeyError::Read { path: path.clone(), source };
    let mode = std::fs::metadata(&path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Loose { path, mode });
    }
    let key = std::fs::read_to_string(&path).map_err(failed)?;
    match key.trim() {
        "" => Err(KeyError::Empty { path }),
        key => Ok(key.into()),
    }
}

fn write(path: PathBuf) -> Result<(), KeyError> {
    let key = hex::encode(rand::rng().random::<[u8; 32]>());
    write_text(path, &format!("{key}\n"))
}

fn write_text(path: PathBuf, text: &str) -> Result<(), KeyError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    })
    .map_err(|source| KeyError::Write { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        RestKeys::make(dir.path()).unwrap();
        assert!(RestKeys::read(dir.path()).is_ok());
        std::fs::set_permissions(admin_file(dir.path()), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(RestKeys::read(dir.path()), Err(KeyError::Loose { mode: 0o644, .. })));
    }

    #[test]
    fn a_key_that_is_there_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(admin_file(dir.path()), "My Secret\n").unwrap();
        RestKeys::make(dir.path()).unwrap();
        assert_eq!(std::fs::read_to_string(admin_file(dir.path())).unwrap(), "My Secret\n");
    }
}
