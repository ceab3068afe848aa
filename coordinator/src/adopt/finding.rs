//! Every difference between what is claimed and what is there.

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Nothing is taken over while it stands.
    pub blocks: bool,
    /// A word for programs.
    pub code: &'static str,
    /// The volume, device or node, by the name that people use.
    pub about: String,
    /// A sentence without its subject.
    pub what: String,
    pub cure: Option<String>,
}

impl Finding {
    #[must_use]
    pub fn blocking(code: &'static str, about: impl ToString, what: impl Into<String>) -> Self {
        Self { blocks: true, code, about: about.to_string(), what: what.into(), cure: None }
    }

    #[must_use]
    pub fn note(code: &'static str, about: impl ToString, what: impl Into<String>) -> Self {
        Self { blocks: false, ..Self::blocking(code, about, what) }
    }

    #[must_use]
    pub fn cure(self, cure: impl Into<String>) -> Self {
        Self { cure: Some(cure.into()), ..self }
    }
}
