//! Flags that many commands share.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::values::duration;

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people
    #[default]
    Table,
    /// More columns
    Wide,
    /// One line, as the server answers
    Json,
    /// As the server answers, for people and for files
    Yaml,
    /// Names alone, a line each: what other commands take
    Name,
}

#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Output {
    /// How to write the answer
    #[arg(short = 'o', long = "output", value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,
    /// The same as -o json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl Output {
    #[must_use]
    pub fn format(self) -> Format {
        if self.json { Format::Json } else { self.format }
    }

    /// Whether it is laid out for reading, with what the server's answer alone does not tell.
    #[must_use]
    pub fn is_for_people(self) -> bool {
        matches!(self.format(), Format::Table | Format::Wide)
    }
}

/// For commands that read.
#[derive(Clone, Copy, Debug, Args)]
pub struct Look {
    /// Look again and again, every 2 seconds or as often as said, such as --watch=10s
    #[arg(long, value_name = "TIME", value_parser = duration, num_args = 0..=1, require_equals = true,
        default_missing_value = "2s")]
    pub watch: Option<Duration>,
    #[command(flatten)]
    pub output: Output,
}

/// For changes that are made at once.
#[derive(Clone, Copy, Debug, Args)]
pub struct Quick {
    /// Change nothing: say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Change nothing: have the coordinator decide and keep the plan, for `bricklayer apply`
    #[arg(long, conflicts_with = "dry_run")]
    pub plan: bool,
    #[command(flatten)]
    pub output: Output,
}

impl Quick {
    /// Neither rehearsed nor planned.
    #[must_use]
    pub const fn in_earnest(output: Output) -> Self {
        Self { dry_run: false, plan: false, output }
    }
}

/// For changes that take their time.
#[derive(Clone, Copy, Debug, Args)]
pub struct Work {
    /// Wait until the work is done; this is what happens anyway
    #[arg(long, conflicts_with = "no_wait")]
    wait: bool,
    /// Do not wait: print the operation's id and leave
    #[arg(long)]
    pub no_wait: bool,
    /// Wait this long at the most, such as 30s, 5m; the work goes on
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "no_wait")]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub quick: Quick,
}

impl Work {
    #[must_use]
    pub fn output(self) -> Output {
        self.quick.output
    }
}

/// Whether bricks are moved while copies of their data are being healed.
#[derive(Clone, Copy, Debug, Args)]
pub struct HealCheck {
    /// Go on although copies of the data are being healed: what was not healed yet is LOST
    #[arg(long, alias = "expert-option-disable-heal-check")]
    pub disable_heal_check: bool,
}

impl HealCheck {
    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> String {
        if self.disable_heal_check { "disable" } else { "" }.to_owned()
    }
}

/// Tags to set.
#[derive(Clone, Debug, Args)]
pub struct SetTags {
    /// Tags, such as rack:r1 or arbiter:required
    #[arg(required = true, value_name = "NAME:VALUE", value_parser = super::values::tag)]
    pub tags: Vec<(String, String)>,
    /// Let these be the only tags
    #[arg(short, long)]
    pub exact: bool,
}

/// Tags to take off.
#[derive(Clone, Debug, Args)]
pub struct RmTags {
    /// Names of tags
    #[arg(required_unless_present = "all", value_name = "NAME")]
    pub names: Vec<String>,
    /// Take all of them off
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
}
