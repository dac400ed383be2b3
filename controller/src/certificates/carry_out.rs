//! Doing one step: the revision that was looked at is replaced, and none other.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use keyward_kit::tls::{TlsError, client::ClientFiles};
use keyward_types::SecretBytes;
use tokio::time::timeout;

use super::{
    Keeper, hooks,
    issue::{self, IssueError, Issued},
    leaf::{self, KEYS, Leaf},
    look::{DEADLINE, Look, late},
    plan::{Step, lost},
    seen::{Authority, Dated},
    settings::Wanted,
    state,
};
use crate::{
    backoff::Cause,
    manifest::{Manifest, texts},
    objects::{CONTROLLER, ObjectError},
    plan::Observed,
};

/// What all Secrets written here carry.
const LABEL: (&str, &str) = ("app.kubernetes.io/part-of", "keyward");
/// For all requests of one step.
const LONGEST: Duration = Duration::from_secs(15);

/// Why a step was not done. It is planned anew.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    /// The API server's answer.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// Making a certificate.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The controller's own, once made, cannot be used.
    #[error("the controller's own certificate: {0}")]
    Own(#[from] TlsError),
    /// It was planned from something that is not there: a mistake here.
    #[error("nothing to do it with")]
    Nothing,
}

impl StepError {
    /// For the counter.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Object(_) => "write",
            Self::Issue(_) | Self::Own(_) | Self::Nothing => "issue",
        }
    }

    /// Whether the API server merely knows something newer.
    pub(super) fn is_outdated(&self) -> bool {
        matches!(self, Self::Object(ObjectError::Conflict { .. } | ObjectError::Missing { .. }))
    }

    /// How long it is left alone.
    pub(super) fn cause(&self) -> Cause {
        match self {
            // So is a JSON patch of something newer.
            Self::Object(ObjectError::Refused { code: 422, .. }) => Cause::Passing,
            Self::Object(ObjectError::Refused { .. }) => Cause::Standing,
            _ => Cause::Passing,
        }
    }
}

impl Keeper {
    /// Does it, as of `look`.
    pub(super) async fn carry_out(&mut self, step: Step, look: &Look, now: SystemTime) -> Result<(), StepError> {
        match timeout(LONGEST, self.step(step, look, now)).await {
            Ok(done) => done,
            Err(_) => Err(late(format_args!("step {step:?}")).into()),
        }
    }

    async fn step(&mut self, step: Step, look: &Look, now: SystemTime) -> Result<(), StepError> {
        let lifetime = self.settings.lifetimes.authority;
        match step {
            Step::Issue(leaf) => self.issue(leaf, look, now).await,
            Step::WriteBundle(leaf) => self.write_bundle(leaf, look).await,
            Step::WriteHooks => {
                let (Some(name), Some(read), Some(bundle)) = (&self.settings.hooks, &look.hooks, look.bundle()) else {
                    return Err(StepError::Nothing);
                };
                let written = timeout(DEADLINE, hooks::write(&self.objects, name, read, &bundle)).await;
                Ok(written.unwrap_or_else(|_| Err(late(name)))?)
            }
            Step::MakeAuthority => self.write_authority(Dated::first(Vec::new(), now, lifetime)?, look).await,
            Step::Recover => self.write_authority(Dated::first(lost(&look.seen, now), now, lifetime)?, look).await,
            Step::Restore => {
                let Some(remembered) = self.remembered.clone() else { return Err(StepError::Nothing) };
                self.write_authority(remembered, look).await
            }
            step => {
                let Authority::Held(dated) = &look.seen.authority else { return Err(StepError::Nothing) };
                let after = dated.after(step, now, lifetime).ok_or(StepError::Nothing)??;
                self.write_authority(after, look).await
            }
        }
    }

    async fn write_authority(&mut self, dated: Dated, look: &Look) -> Result<(), StepError> {
        let mut annotations = look.authority.as_ref().map(|secret| secret.annotations.clone()).unwrap_or_default();
        dated.annotate(&mut annotations);
        let data = dated.slots.render();
        let data = data.iter().map(|(key, value)| (*key, value)).collect();
        let name = self.settings.authority.clone();
        self.write(&name, state::SECRET_TYPE, look.authority.as_ref(), &annotations, data).await?;
        self.remembered = Some(dated);
        Ok(())
    }

    async fn issue(&self, leaf: Leaf, look: &Look, now: SystemTime) -> Result<(), StepError> {
        let (Authority::Held(dated), Some(wanted)) = (&look.seen.authority, self.settings.wanted(leaf)) else {
            return Err(StepError::Nothing);
        };
        let signer = dated.slots.signer().ok_or(StepError::Nothing)?;
        let Issued { certificate, key } = issue::leaf(signer, &wanted.identity, now, self.settings.lifetimes.leaf)?;
        self.give(wanted, &SecretBytes::from(certificate), &key, look).await
    }

    /// The same certificate, and another bundle.
    async fn write_bundle(&self, leaf: Leaf, look: &Look) -> Result<(), StepError> {
        let wanted = self.settings.wanted(leaf).ok_or(StepError::Nothing)?;
        if wanted.secret.is_none() {
            let files = self.outlets.own.borrow().clone().ok_or(StepError::Nothing)?;
            let [certificate, key] = [files.certificate(), files.key()].map(SecretBytes::new);
            return self.give(wanted, &certificate, &key, look).await;
        }
        let data = &look.secrets.get(&leaf).ok_or(StepError::Nothing)?.data;
        let [certificate, key, _] = KEYS.map(|name| data.get(name).ok_or(StepError::Nothing));
        self.give(wanted, certificate?, key?, look).await
    }

    /// To its owner: the controller in memory, everybody else by a Secret.
    async fn give(
        &self,
        wanted: &Wanted,
        certificate: &SecretBytes,
        key: &SecretBytes,
        look: &Look,
    ) -> Result<(), StepError> {
        let bundle = look.bundle().ok_or(StepError::Nothing)?;
        let Some(name) = &wanted.secret else {
            let [certificate, key] = [certificate, key].map(|content| content.expose().to_vec());
            let files = ClientFiles::made(certificate, key, bundle.as_str().into())?;
            self.outlets.own.send_replace(Some(Arc::new(files)));
            return Ok(());
        };
        let authorities = SecretBytes::from(bundle.as_str());
        let found = look.secrets.get(&wanted.leaf);
        let annotations = found.map(|secret| secret.annotations.clone()).unwrap_or_default();
        let mut data: BTreeMap<&str, &SecretBytes> =
            found.iter().flat_map(|secret| &secret.data).map(|(key, value)| (key.as_str(), value)).collect();
        data.extend(KEYS.into_iter().zip([certificate, key, &authorities]));
        Ok(self.write(name, leaf::SECRET_TYPE, found, &annotations, data).await?)
    }

    /// Makes a Secret that must not exist, or replaces the one that was found. Other people's labels and annotations stay.
    async fn write(
        &self,
        name: &str,
        secret_type: &str,
        found: Option<&Observed>,
        annotations: &BTreeMap<String, String>,
        data: BTreeMap<&str, &SecretBytes>,
    ) -> Result<(), ObjectError> {
        let target = self.secret(name);
        let mut labels = found.map(|secret| texts(&secret.labels)).unwrap_or_default();
        labels.insert(LABEL.0, LABEL.1);
        let manifest = Manifest {
            target: &target,
            resource_version: found.map(|secret| secret.resource_version.as_str()),
            secret_type: Some(secret_type),
            labels,
            annotations: texts(annotations),
            owners: found.map(|secret| secret.owner_references.clone()).unwrap_or_default(),
            data,
        };
        let written = async {
            match found {
                None => self.objects.create(&target, CONTROLLER, &manifest).await,
                Some(_) => self.objects.replace(&target, CONTROLLER, &manifest).await,
            }
        };
        timeout(DEADLINE, written).await.unwrap_or_else(|_| Err(late(&target))).map(drop)
    }
}
