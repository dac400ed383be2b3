//! What a pod template uses. Pure.

use std::collections::HashSet;

use k8s_openapi::api::core::v1::{Container, EnvVar, PodSpec, Volume};
use keyward_types::Reference;

/// Names, all in the pod's own namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct References {
    /// Secrets, by variables and volumes.
    pub(super) secrets: HashSet<String>,
    /// `ConfigMap`s, by variables and volumes.
    pub(super) config_maps: HashSet<String>,
    /// `AzureKeyVaultSecret`s, by `NAME@azurekeyvault`.
    pub(super) secrets_by_reference: HashSet<String>,
}

impl References {
    /// Of every container that the pod starts with.
    pub(super) fn of(pod: &PodSpec) -> Self {
        let mut found = Self::default();
        for container in pod.init_containers.iter().flatten().chain(&pod.containers) {
            found.add_container(container);
        }
        for volume in pod.volumes.iter().flatten() {
            found.add_volume(volume);
        }
        found
    }

    fn add_container(&mut self, container: &Container) {
        for source in container.env_from.iter().flatten() {
            self.secrets.extend(source.secret_ref.as_ref().map(|secret| secret.name.clone()));
            self.config_maps.extend(source.config_map_ref.as_ref().map(|config_map| config_map.name.clone()));
        }
        for variable in container.env.iter().flatten() {
            self.add_variable(variable);
        }
    }

    fn add_variable(&mut self, variable: &EnvVar) {
        if let Some(Some(Ok(reference))) = variable.value.as_deref().map(Reference::parse) {
            self.secrets_by_reference.insert(reference.name().to_owned());
        }
        let Some(source) = &variable.value_from else { return };
        self.secrets.extend(source.secret_key_ref.as_ref().map(|key| key.name.clone()));
        self.config_maps.extend(source.config_map_key_ref.as_ref().map(|key| key.name.clone()));
    }

    fn add_volume(&mut self, volume: &Volume) {
        self.secrets.extend(volume.secret.as_ref().and_then(|secret| secret.secret_name.clone()));
        self.config_maps.extend(volume.config_map.as_ref().map(|config_map| config_map.name.clone()));
        let projected = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        for source in projected {
            self.secrets.extend(source.secret.as_ref().map(|secret| secret.name.clone()));
            self.config_maps.extend(source.config_map.as_ref().map(|config_map| config_map.name.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_way_to_use_something_is_found() {
        let pod = json!({
            "initContainers": [{"name": "i", "env": [
                {"name": "A", "value": "init@azurekeyvault"},
                {"name": "B", "value": "not@azurekeyvault.example"},
                {"name": "C", "value": "$(A)"},
            ]}],
            "containers": [{
                "name": "c",
                "env": [
                    {"name": "A", "value": "app@azurekeyvault?username"},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s-env", "key": "k"}}},
                    {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "c-env", "key": "k"}}},
                    {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ],
                "envFrom": [{"secretRef": {"name": "s-from"}}, {"configMapRef": {"name": "c-from"}}],
            }],
            "volumes": [
                {"name": "1", "secret": {"secretName": "s-volume"}},
                {"name": "2", "configMap": {"name": "c-volume"}},
                {"name": "3", "projected": {"sources": [{"secret": {"name": "s-projected"}}, {"configMap": {"name": "c-projected"}}]}},
                {"name": "4", "emptyDir": {}},
            ],
        });
        let found = References::of(&serde_json::from_value(pod).unwrap());
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<HashSet<_>>();
        assert_eq!(found.secrets, names(&["s-env", "s-from", "s-volume", "s-projected"]));
        assert_eq!(found.config_maps, names(&["c-env", "c-from", "c-volume", "c-projected"]));
        assert_eq!(found.secrets_by_reference, names(&["init", "app"]));
    }
}
