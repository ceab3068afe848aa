//! Who is trusted, and why: the authority, invitations, enrolment, renewal, revocation.
//!
//! Owns the authority's key and the records of agents and invitations. Authorisation looks at a certificate's one URI
//! and its number, never at host names or addresses. Must never answer anybody before the store has what it answers,
//! and never keep a secret that it can do without. Read [`Trust`] first; `docs/security.md` has the why.

mod authority;
mod clock;
mod files;
mod records;
mod recovery;
mod tls;
mod trust;

pub use authority::{Authority, AuthorityError, BACK_DATED, Issued, LIFETIME, RequestError};
pub use clock::Clock;
pub use files::FileError;
pub use records::{AgentRecord, InstallationRecord};
pub use recovery::{BadKey, Bundle, BundleError, RecoveryKey, Secrets};
pub use tls::{ServerTls, TlsError};
pub use trust::{
    Caller, DEFAULT_INVITATION_LIFE, EnrolError, GRACE, Invitation, InviteError, NewInvitation, OpenInvitation,
    REPEAT_WINDOW, RevokeError, Start, Trust, TrustError, Unwelcome, epoch_above_all,
};
