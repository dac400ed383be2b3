//! One lookup: prove the right to read the image, then get what is not known of it yet.

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderValue, StatusCode};

use super::{
    ImageConfig, Wanted,
    acr::Acr,
    challenge::{Challenge, challenge},
    config::parse_image_config,
    credentials,
    digest::Digest,
    error::{Cause, Said, Tried},
    keyring::Credential,
    manifest::{Manifest, ManifestError, parse_manifest, pick},
    reference::{Target, Version},
    registry::Registry,
    secrets::PullSecrets,
    token::{self, TokenError},
    transport::Answer,
};

const CONTENT_DIGEST: &str = "docker-content-digest";

/// What a lookup has gone through so far; whoever waits for it may look when time is up.
#[derive(Clone, Default)]
pub(super) struct Notes(Arc<Mutex<Tried>>);

impl Notes {
    fn step(&self, step: &'static str) {
        self.write(|tried| tried.step = Some(step));
    }

    fn refused(&self, who: &str, what: &impl ToString) {
        self.write(|tried| tried.refused.push(format!("{who}: {}", what.to_string())));
    }

    pub(super) fn skipped(&self, what: String) {
        self.write(|tried| tried.skipped.push(what));
    }

    pub(super) fn read(&self) -> Tried {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, change: impl FnOnce(&mut Tried)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What one lookup needs.
pub(super) struct Lookup<'a> {
    pub(super) registry: Registry<'a>,
    pub(super) target: &'a Target,
    pub(super) wanted: &'a Wanted,
    pub(super) secrets: &'a dyn PullSecrets,
    pub(super) acr: Option<&'a Acr>,
    pub(super) notes: &'a Notes,
}

/// The right to read an image.
pub(super) struct Right {
    authorization: Option<HeaderValue>,
    /// Which manifest it is, where the registry said so.
    pub(super) digest: Option<Digest>,
}

enum Probe {
    Granted(Option<Digest>),
    Refused(Said, Option<Challenge>),
}

impl Lookup<'_> {
    /// Proves the right to read the image, with the first credential that has it: none where none is asked for, else
    /// the pull secrets', the webhook's own, and anybody's.
    pub(super) async fn right(&self) -> Result<Right, Cause> {
        self.notes.step("asking for the manifest");
        let (said, challenge) = match self.probe(None).await? {
            Probe::Granted(digest) => return Ok(Right { authorization: None, digest }),
            Probe::Refused(said, challenge) => (said, challenge),
        };
        // Some registries hide what they have from strangers, and say only here that they know others.
        let challenge = match challenge {
            Some(challenge) => Some(challenge),
            None => self.greeting().await?,
        };
        let Some(challenge) = challenge else {
            self.notes.refused("anonymous", &said);
            return Err(if said.status == 401 { Cause::Challenge } else { Cause::Denied(said) });
        };
        let mut last = said;
        if let Some(right) = self.with_secrets(&challenge, &mut last).await? {
            return Ok(right);
        }
        if let Some(right) = self.with_identity(&mut last).await? {
            return Ok(right);
        }
        if let Some(right) = self.as_anybody(&challenge, &mut last).await? {
            return Ok(right);
        }
        Err(Cause::Denied(last))
    }

    async fn with_secrets(&self, challenge: &Challenge, last: &mut Said) -> Result<Option<Right>, Cause> {
        self.notes.step("reading pull secrets");
        let keyring = credentials::keyring(self.secrets, self.wanted, self.notes).await;
        for key in keyring.matching(&self.target.registry, &self.target.repository) {
            let who = format!("secret {}", key.secret);
            self.notes.step("trying pull secrets");
            match self.answer_to(challenge, Some(&key.credential)).await {
                Ok(Some(authorization)) => {
                    if let Some(right) = self.attempt(&who, authorization, last).await? {
                        return Ok(Some(right));
                    }
                }
                Ok(None) => self.notes.refused(&who, &"an identity token, but the registry asks for a password"),
                Err(TokenError::Transport(error)) => return Err(error.into()),
                Err(error) => self.notes.refused(&who, &error),
            }
        }
        Ok(None)
    }

    async fn with_identity(&self, last: &mut Said) -> Result<Option<Right>, Cause> {
        let Some(acr) = self.acr.filter(|acr| acr.serves(&self.registry)) else { return Ok(None) };
        self.notes.step("trying the webhook's own identity");
        let who = "the webhook's own identity";
        match acr.bearer(&self.registry).await {
            Ok(authorization) => self.attempt(who, authorization, last).await,
            Err(error) => {
                self.notes.refused(who, &error);
                Ok(None)
            }
        }
    }

    async fn as_anybody(&self, challenge: &Challenge, last: &mut Said) -> Result<Option<Right>, Cause> {
        self.notes.step("trying without credentials");
        match self.answer_to(challenge, None).await {
            Ok(Some(authorization)) => self.attempt("anonymous", authorization, last).await,
            Ok(None) => {
                self.notes.refused("anonymous", last);
                Ok(None)
            }
            Err(TokenError::Transport(error)) => Err(error.into()),
            Err(error) => {
                self.notes.refused("anonymous", &error);
                Ok(None)
            }
        }
    }

    /// The header that a challenge asks for; `None` where the credential cannot give it.
    async fn answer_to(
        &self,
        challenge: &Challenge,
        credential: Option<&Credential>,
    ) -> Result<Option<HeaderValue>, TokenError> {
        match (challenge, credential) {
            (Challenge::Bearer { realm, service }, credential) => {
                token::bearer(&self.registry, realm, service.as_deref(), credential).await.map(Some)
            }
            (Challenge::Basic, Some(Credential::Password { user, password })) => token::basic(user, password).map(Some),
            (Challenge::Basic, _) => Ok(None),
        }
    }

    async fn attempt(&self, who: &str, authorization: HeaderValue, last: &mut Said) -> Result<Option<Right>, Cause> {
        match self.probe(Some(&authorization)).await? {
            Probe::Granted(digest) => Ok(Some(Right { authorization: Some(authorization), digest })),
            Probe::Refused(said, _) => {
                self.notes.refused(who, &said);
                *last = said;
                Ok(None)
            }
        }
    }

    /// Asks whether the manifest may be read. Docker Hub does not count this as a pull.
    async fn probe(&self, authorization: Option<&HeaderValue>) -> Result<Probe, Cause> {
        let mut answer = self.registry.head(authorization).await?;
        if matches!(answer.status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED) {
            answer = self.registry.manifest(self.target.version.as_str(), authorization).await?;
        }
        match answer.status.as_u16() {
            200 => Ok(Probe::Granted(self.named(&answer.headers))),
            401 | 403 | 404 => Ok(Probe::Refused(Said::of(&answer), taken_up(&answer))),
            _ => Err(Cause::Status(Said::of(&answer))),
        }
    }

    async fn greeting(&self) -> Result<Option<Challenge>, Cause> {
        let answer = self.registry.greeting().await?;
        Ok(if answer.status == StatusCode::UNAUTHORIZED { taken_up(&answer) } else { None })
    }

    /// Which manifest the image's name means.
    fn named(&self, headers: &HeaderMap) -> Option<Digest> {
        match &self.target.version {
            Version::Digest(digest) => Some(digest.clone()),
            Version::Tag(_) => claimed(headers),
        }
    }

    /// Gets the configuration: of the manifest that the right was proven for.
    pub(super) async fn fetch(&self, right: &Right, architecture: &str) -> Result<(Digest, ImageConfig), Cause> {
        let (digest, manifest) = self.manifest(right, right.digest.as_ref()).await?;
        let config = match manifest {
            Manifest::Image(config) => config,
            Manifest::Index(entries) => {
                let of_platform = Digest::parse(&pick(&entries, architecture)?.digest).map_err(ManifestError::from)?;
                match self.manifest(right, Some(&of_platform)).await?.1 {
                    Manifest::Image(config) => config,
                    Manifest::Index(_) => return Err(ManifestError::Nested.into()),
                }
            }
        };
        self.notes.step("reading the configuration");
        let answer = found(self.registry.blob(&config, right.authorization.as_ref()).await?)?;
        verified(&config, &answer, "configuration")?;
        Ok((digest, parse_image_config(&answer.body.bytes)?))
    }

    async fn manifest(&self, right: &Right, digest: Option<&Digest>) -> Result<(Digest, Manifest), Cause> {
        self.notes.step("reading the manifest");
        let version = digest.map_or(self.target.version.as_str(), Digest::as_str);
        let answer = found(self.registry.manifest(version, right.authorization.as_ref()).await?)?;
        let digest = match digest.cloned().or_else(|| claimed(&answer.headers)) {
            Some(digest) => digest,
            None => Digest::of(&answer.body.bytes),
        };
        verified(&digest, &answer, "manifest")?;
        Ok((digest, parse_manifest(&answer.body.bytes)?))
    }
}

/// Challenges count where the image's own registry makes them.
fn taken_up(answer: &Answer) -> Option<Challenge> {
    if answer.at_home { challenge(&answer.headers) } else { None }
}

fn claimed(headers: &HeaderMap) -> Option<Digest> {
    Digest::parse(headers.get(CONTENT_DIGEST)?.to_str().ok()?).ok()
}

fn found(answer: Answer) -> Result<Answer, Cause> {
    if answer.status == StatusCode::OK { Ok(answer) } else { Err(Cause::Status(Said::of(&answer))) }
}

fn verified(digest: &Digest, answer: &Answer, what: &'static str) -> Result<(), Cause> {
    if digest.names(&answer.body.bytes) { Ok(()) } else { Err(Cause::Digest { what, digest: digest.to_string() }) }
}
