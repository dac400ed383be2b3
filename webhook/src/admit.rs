//! One review, from end to end: reads what decides about the pod, asks the broker, and lets `mutate` do the rest.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use json_patch::Patch;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use keyward_types::Reference;

use crate::{
    broker::{Broker, Checked, Verdict, address::BrokerAddress},
    cluster::{Cluster, ReadError},
    denial::Denial,
    image::{Cause, Images, SharedConfig},
    metrics::Outcome,
    mutate::{Facts, Finding, Injection, Mutation, mutate, references},
    names::{OPT_OUT, OPT_OUT_LABEL},
    review::{self, Request},
    scan::{Scanned, config_maps, scan},
    server::{Admit, Answer, BadReview},
    variables::ConfigMaps,
    wanted::wanted,
};

/// `ConfigMap`s of one pod that are read at a time.
const READS: usize = 8;

/// What decides about pods.
pub struct Admission {
    /// How they are injected.
    pub injection: Injection,
    /// Whether a pod may ask to be left alone.
    pub may_opt_out: bool,
    /// Where `ConfigMap`s are read.
    pub cluster: Cluster,
    /// Where images are looked up.
    pub images: Images,
    /// Who is asked about references.
    pub broker: Broker,
    /// Where pods find it.
    pub address: BrokerAddress,
}

/// Why a pod is not created.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    /// Something about it.
    #[error(transparent)]
    Pod(#[from] Denial),
    /// What decides about it could not be read.
    #[error("what the pod's environment is made from cannot be read: {0}")]
    Read(#[from] ReadError),
}

impl Refusal {
    fn code(&self) -> u16 {
        match self {
            // Who names an image that is not there, or may not be pulled, can mend it.
            Self::Pod(Denial::Image { source, .. }) => match source.cause() {
                Cause::Reference(_) | Cause::Denied(_) => 403,
                _ => 500,
            },
            Self::Pod(_) => 403,
            Self::Read(_) => 500,
        }
    }
}

#[async_trait]
impl Admit for Admission {
    async fn admit(&self, body: &[u8]) -> Result<Answer, BadReview> {
        let request = review::parse(body).map_err(|error| BadReview(error.to_string()))?;
        let (outcome, answer) = match self.decide(&request).await {
            Ok(Mutation { patch, warnings }) => {
                let outcome = if patch.0.is_empty() { Outcome::Unchanged } else { Outcome::Injected };
                (outcome, review::Answer::Allowed { patch, warnings })
            }
            Err(refusal) => {
                let (namespace, pod) = (&request.namespace, name(&request));
                tracing::info!(namespace, pod, reason = %refusal, "a pod is denied");
                let answer = review::Answer::Denied { code: refusal.code(), message: refusal.to_string() };
                (if refusal.code() == 403 { Outcome::Denied } else { Outcome::Failed }, answer)
            }
        };
        let body = review::render(&request.uid, &answer).map_err(|error| BadReview(error.to_string()))?;
        Ok(Answer { outcome, body: body.into() })
    }
}

impl Admission {
    async fn decide(&self, request: &Request) -> Result<Mutation, Refusal> {
        let Some((pod, spec)) = self.concerned(request) else { return Ok(unchanged()) };
        let namespace = request.namespace.as_str();
        let config_maps = self.config_maps(namespace, &config_maps(spec)).await?;
        let scanned = scan(pod, spec, namespace, &config_maps)?;
        if scanned.is_empty() {
            return Ok(unchanged());
        }
        let images = self.images(spec, namespace, &scanned).await?;
        let mut facts = Facts { images, broker_ip: self.address.get(), ..Facts::default() };
        self.check(namespace, &scanned, &mut facts).await;
        let mutation = mutate(spec, &scanned, &facts, &self.injection)?;
        tracing::debug!(namespace, pod = name(request), containers = scanned.len(), "a pod is injected");
        Ok(mutation)
    }

    /// The pod, where it is one that is being created and does not ask to be left alone.
    fn concerned<'a>(&self, request: &'a Request) -> Option<(&'a Pod, &'a PodSpec)> {
        let is_pod = request.resource.group.is_empty() && request.resource.resource == "pods";
        let is_created =
            request.operation == "CREATE" && request.sub_resource.as_deref().unwrap_or_default().is_empty();
        let pod = request.object.as_ref().filter(|_| is_pod && is_created)?;
        let label = pod.metadata.labels.as_ref().and_then(|labels| labels.get(OPT_OUT_LABEL));
        let is_out = self.may_opt_out && label.is_some_and(|value| value == OPT_OUT);
        Some((pod, pod.spec.as_ref()?)).filter(|_| !is_out)
    }

    async fn config_maps(&self, namespace: &str, names: &BTreeSet<&str>) -> Result<ConfigMaps, ReadError> {
        let read = |name: String| async move {
            match self.cluster.config_map(namespace, &name).await {
                Ok(data) => Ok((name, data)),
                // No object ever has that name: the kubelet finds none either.
                Err(ReadError::Name(_)) => Ok((name, None)),
                Err(error) => Err(error),
            }
        };
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        stream::iter(names.into_iter().map(read)).buffer_unordered(READS).try_collect().await
    }

    /// What is started in containers that do not say.
    async fn images(
        &self,
        spec: &PodSpec,
        namespace: &str,
        scanned: &[Scanned<'_>],
    ) -> Result<BTreeMap<String, SharedConfig>, Denial> {
        let mut by_name = BTreeMap::new();
        for one in scanned.iter().filter(|one| one.needs_image()) {
            by_name.entry(one.container.image.as_deref().unwrap_or_default()).or_insert(&one.container.name);
        }
        let looked_up = by_name.into_iter().map(|(image, container)| async move {
            let config = self.images.config(&wanted(spec, namespace, image)).await;
            let config = config.map_err(|source| Denial::Image { container: container.clone(), source })?;
            Ok::<_, Denial>((image.to_owned(), config))
        });
        Ok(try_join_all(looked_up).await?.into_iter().collect())
    }

    /// Asks the broker about each reference once. No answer is no reason to refuse a pod: the launcher fails closed.
    async fn check(&self, namespace: &str, scanned: &[Scanned<'_>], facts: &mut Facts) {
        let of =
            |one: &Scanned<'_>| references(one, facts.images.get(one.container.image.as_deref().unwrap_or_default()));
        let all: BTreeSet<Reference> = scanned.iter().flat_map(of).collect();
        let written: Vec<String> = all.iter().map(ToString::to_string).collect();
        match self.broker.check(namespace, &written).await {
            Ok(checked) => facts.verdicts = all.into_iter().zip(checked.into_iter().map(finding)).collect(),
            Err(error) => {
                tracing::warn!(namespace, %error, "references were not checked");
                facts.unchecked = Some(error.to_string());
            }
        }
    }
}

fn unchanged() -> Mutation {
    Mutation { patch: Patch(Vec::new()), warnings: Vec::new() }
}

fn finding(checked: Checked) -> Finding {
    match checked.verdict {
        Verdict::Known => Finding::Known,
        Verdict::Unknown | Verdict::Forbidden | Verdict::Invalid => Finding::Unresolved(checked.reason),
    }
}

/// For logs: the pod's name, or what it will begin with.
fn name(request: &Request) -> &str {
    let metadata = request.object.as_ref().map(|pod| &pod.metadata);
    metadata.and_then(|metadata| metadata.name.as_deref().or(metadata.generate_name.as_deref())).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "cases are literals")]
mod tests;
