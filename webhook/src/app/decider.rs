//! The command line → what decides about pods.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_identity::{
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};

use super::{Decider, Parts};
use crate::{
    admit::Admission,
    args::{AcrIdentityKind, ImageArgs, OptOut, ServeArgs, Unresolved},
    image::{AcrIdentity, Images, ImagesConfig, ImagesError},
    metrics::ImageFigures,
    mutate::{self, Injection},
};

/// Why there is nothing that decides.
#[derive(Debug, thiserror::Error)]
pub enum DeciderError {
    /// How images are looked up.
    #[error(transparent)]
    Images(#[from] ImagesError),
    /// The identity towards Azure Container Registry.
    #[error("--acr-identity: {0}")]
    Identity(#[from] azure_core::Error),
}

/// What decides, made from these.
pub(super) fn decider(args: &ServeArgs, parts: Parts) -> Result<Decider, DeciderError> {
    let Parts { cluster, broker, address } = parts;
    let images = Images::new(settings(&args.images), Arc::new(cluster.clone()), identity(&args.images)?)?;
    let figures = {
        let images = images.clone();
        Box::new(move || {
            let figures = images.figures();
            ImageFigures { outcomes: figures.outcomes, entries: figures.entries, bytes: figures.bytes }
        })
    };
    let may_opt_out = args.opt_out == OptOut::Allow;
    let admission = Admission { injection: injection(args), may_opt_out, cluster, images, broker, address };
    Ok(Decider { admit: Arc::new(admission), images: figures })
}

fn injection(args: &ServeArgs) -> Injection {
    Injection {
        broker: args.broker_for_pods(),
        image: args.launcher.launcher_image.clone(),
        pull_policy: args.launcher.launcher_image_pull_policy.to_string(),
        cpu: args.launcher.copier_cpu.clone(),
        memory: args.launcher.copier_memory.clone(),
        // As the launcher reads it.
        deadline: args.launcher.launcher_deadline.map(|deadline| format!("{}ms", deadline.as_millis())),
        unresolved: match args.unresolved {
            Unresolved::Warn => mutate::Unresolved::Warn,
            Unresolved::Deny => mutate::Unresolved::Deny,
        },
    }
}

fn settings(args: &ImageArgs) -> ImagesConfig {
    ImagesConfig {
        default_architecture: args.default_architecture.clone(),
        plain_http: args.plain_http_registry.clone(),
        extra_ca: args.registry_ca_file.clone(),
        acr_suffixes: args.acr_domain.clone(),
        deadline: args.image_deadline,
        cache_bytes: args.image_cache_bytes,
        ..ImagesConfig::default()
    }
}

/// Nothing is asked of it before a registry of Azure's wants a token.
fn identity(args: &ImageArgs) -> azure_core::Result<Option<AcrIdentity>> {
    let client_id = args.acr_client_id.clone();
    let credential: Arc<dyn TokenCredential> = match args.acr_identity {
        AcrIdentityKind::None => return Ok(None),
        AcrIdentityKind::WorkloadIdentity => {
            let options = WorkloadIdentityCredentialOptions { client_id, ..Default::default() };
            WorkloadIdentityCredential::new(Some(options))?
        }
        AcrIdentityKind::ManagedIdentity => {
            let user_assigned_id = client_id.map(UserAssignedId::ClientId);
            let options = ManagedIdentityCredentialOptions { user_assigned_id, ..Default::default() };
            ManagedIdentityCredential::new(Some(options))?
        }
    };
    Ok(Some(AcrIdentity::new(credential)))
}
