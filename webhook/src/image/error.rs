//! Why nobody knows what an image starts: one message a person can act on, short enough for a denial of admission.
//!
//! A registry is a stranger. Of what it says, its status and its error's code are passed on (capital letters, as
//! `MANIFEST_UNKNOWN`), never its prose: that could be made of the credentials it was just sent.

use std::{fmt, time::Duration};

use super::{config::ConfigError, manifest::ManifestError, reference::ReferenceError, transport::TransportError};

/// Of a whole message; the API server shows a denial in one line.
const MAX_MESSAGE: usize = 1_000;
const MAX_IMAGE: usize = 200;
/// Credentials and secrets that a message lists.
const MAX_LISTED: usize = 6;

/// An image's configuration cannot be had. Its message names image and registry, what was tried, and what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", self.0.message())]
pub struct ImageError(Box<Failure>);

#[derive(Clone, Debug)]
struct Failure {
    image: String,
    registry: Option<String>,
    cause: Cause,
    tried: Tried,
}

/// What happened to a lookup.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Cause {
    /// The image's name.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// No credential may read it, or it does not exist: registries do not tell these apart.
    #[error("it answers {0}: there is no such image, or none of the credentials may pull it")]
    Denied(Said),
    /// The registry asks for a kind of proof that is not known.
    #[error("it asks for authentication other than Basic or Bearer")]
    Challenge,
    /// The registry has a fault, or enough of us.
    #[error("it answers {0}")]
    Status(Said),
    /// No answer, or one that is not read.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Content that is not what its digest says.
    #[error("it sent a {what} that does not have the digest {digest}")]
    Digest {
        /// Manifest or configuration.
        what: &'static str,
        /// The digest it was asked for, or claimed.
        digest: String,
    },
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Time is up.
    #[error("there was no answer within {}s{}", after.as_secs_f32(), during(*step))]
    Deadline {
        /// How long was waited.
        after: Duration,
        /// What was under way; `None` where another review's lookup was waited for.
        step: Option<&'static str>,
    },
}

/// A status, and the code of the error that came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub(super) status: u16,
    pub(super) code: Option<String>,
}

/// What a lookup went through: which credentials were refused how, and which secrets could not be used.
#[derive(Clone, Debug, Default)]
pub(super) struct Tried {
    /// Each as `WHO: WHAT IT SAID`.
    pub(super) refused: Vec<String>,
    /// Each as `secret NAME: WHY NOT`.
    pub(super) skipped: Vec<String>,
    pub(super) step: Option<&'static str>,
}

impl ImageError {
    pub(super) fn new(image: &str, registry: Option<&str>, cause: Cause, tried: Tried) -> Self {
        let registry = registry.map(|it| line(it, MAX_IMAGE));
        Self(Box::new(Failure { image: line(image, MAX_IMAGE), registry, cause, tried }))
    }

    /// What happened.
    pub fn cause(&self) -> &Cause {
        &self.0.cause
    }
}

impl Failure {
    fn message(&self) -> String {
        let Self { image, registry, cause, tried } = self;
        let asked = registry.as_ref().map(|registry| format!(": registry {registry}")).unwrap_or_default();
        let mut what = format!("cannot find out what image `{image}` starts{asked}: {cause}");
        what.push_str(&list(". Tried: ", &tried.refused));
        what.push_str(&list(". Not used: ", &tried.skipped));
        let fix = format!(". Set `command` (and `args`) in the container{}", cause.remedy());
        line(&what, MAX_MESSAGE - fix.len()) + &fix
    }
}

impl Cause {
    /// What else helps, besides saying what to start.
    fn remedy(&self) -> &'static str {
        match self {
            Self::Reference(_) => ", or correct the image's name",
            Self::Denied(_) => {
                ", or correct the image's name, or give the pod or its service account an imagePullSecret that may pull it"
            }
            Self::Transport(TransportError::Unreachable { .. }) => {
                ", or make the registry reachable for the webhook (network policy, its CA, the list of plain-HTTP registries)"
            }
            Self::Manifest(ManifestError::Platform { .. }) => ", or select nodes of an architecture that the image has",
            Self::Status(_) | Self::Deadline { .. } => ", or try again later",
            _ => "",
        }
    }

    /// Its label in metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Reference(_) => "reference",
            Self::Denied(_) | Self::Challenge => "denied",
            Self::Status(_) => "status",
            Self::Transport(_) => "transport",
            Self::Digest { .. } | Self::Manifest(_) | Self::Config(_) => "content",
            Self::Deadline { .. } => "deadline",
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        self.code.as_ref().map_or(Ok(()), |code| write!(f, " {code}"))
    }
}

fn during(step: Option<&'static str>) -> String {
    step.map_or_else(|| ", to another review that asks the same".to_owned(), |step| format!(" while {step}"))
}

fn list(title: &str, items: &[String]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let more = items.len().saturating_sub(MAX_LISTED);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    format!("{title}{}{more}", items[..items.len().min(MAX_LISTED)].join("; "))
}

/// A stranger's text in one line of at most `max` bytes: control characters become spaces.
pub(super) fn line(text: &str, max: usize) -> String {
    let clean = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.len() <= max {
        return clean(text);
    }
    let end = text.floor_char_boundary(max.saturating_sub('…'.len_utf8()));
    let mut cut: String = clean(&text[..end]);
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied() -> Cause {
        Cause::Denied(Said { status: 401, code: Some("UNAUTHORIZED".into()) })
    }

    #[test]
    fn a_message_names_image_registry_what_was_tried_and_the_fix() {
        let tried = Tried {
            refused: vec!["secret regcred: 401".into(), "anonymous: 401 UNAUTHORIZED".into()],
            skipped: vec!["secret gone: does not exist".into()],
            step: None,
        };
        assert_eq!(
            ImageError::new("r.example/app", Some("r.example"), denied(), tried).to_string(),
            "cannot find out what image `r.example/app` starts: registry r.example: it answers 401 UNAUTHORIZED: there is \
             no such image, or none of the credentials may pull it. Tried: secret regcred: 401; anonymous: 401 \
             UNAUTHORIZED. Not used: secret gone: does not exist. Set `command` (and `args`) in the container, or correct \
             the image's name, or give the pod or its service account an imagePullSecret that may pull it"
        );
    }

    #[test]
    fn the_longest_message_fits_an_admission_response_and_keeps_the_fix() {
        let many = |what: &str| (0..40).map(|number| format!("secret {what}{number}{}", "x".repeat(253))).collect();
        let tried = Tried { refused: many("r"), skipped: many("s"), step: None };
        let said = ImageError::new(&"ü\n".repeat(3_000), Some(&"r".repeat(3_000)), denied(), tried).to_string();
        assert!(said.len() <= MAX_MESSAGE, "{}", said.len());
        assert!(said.ends_with("that may pull it") && said.contains("Set `command`"), "{said}");
        assert!(!said.contains('\n'));
    }

    #[test]
    fn a_strangers_text_becomes_one_short_line() {
        assert_eq!(line("a\r\nb\x1b[1m", 40), "a  b [1m");
        assert_eq!(line("exactly ten", 11), "exactly ten");
        assert_eq!(line("eleven chars", 11), "eleven c…");
        assert!(line(&"ü".repeat(100), 21).len() <= 21);
    }

    #[test]
    fn a_deadline_says_what_was_under_way() {
        let after = Duration::from_secs(8);
        let said = |step| Cause::Deadline { after, step }.to_string();
        assert_eq!(said(Some("reading the manifest")), "there was no answer within 8s while reading the manifest");
        assert!(said(None).contains("another review"));
    }
}
