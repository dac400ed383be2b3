//! Every Secret and `ConfigMap` that carries our label: its revision, and which `AzureKeyVaultSecret`s have a part in it.
//! Metadata only, and of that only this: no value is ever watched.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::{
    fields,
    scope::Place,
    target::{Target, TargetKind},
};

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedObject {
    /// `metadata.resourceVersion`
    pub resource_version: String,
    /// UIDs of those that own something of it.
    pub holders: BTreeSet<String>,
    /// UIDs of those that it names as owners.
    pub owners: BTreeSet<String>,
}

impl ManagedObject {
    fn of(metadata: &ObjectMeta) -> Self {
        let parts = fields::parts(metadata.managed_fields.as_deref().unwrap_or_default());
        let holders = parts.iter().filter(|part| !part.is_given_up()).filter_map(fields::Part::uid);
        let owners = metadata.owner_references.iter().flatten();
        Self {
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
            holders: holders.map(str::to_owned).collect(),
            owners: owners
                .filter(|owner| owner.kind == keyward_crds::akvs::KIND)
                .map(|owner| owner.uid.clone())
                .collect(),
        }
    }

    /// Everybody who has to do with it.
    pub fn concerned(&self) -> impl Iterator<Item = &String> {
        self.holders.union(&self.owners)
    }
}

/// All of them. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Managed(Arc<RwLock<Index>>);

#[derive(Debug, Default)]
struct Index {
    objects: HashMap<Target, ManagedObject>,
    by_holder: HashMap<String, HashSet<Target>>,
}

impl Managed {
    /// The object's revision, where it is known.
    pub fn resource_version(&self, target: &Target) -> Option<String> {
        self.read().objects.get(target).map(|object| object.resource_version.clone())
    }

    /// What the `AzureKeyVaultSecret` with this UID owns something of in its own namespace. What names it elsewhere is a
    /// copy, or somebody's trick.
    pub fn held_by(&self, uid: &str, namespace: &str) -> Vec<Target> {
        let index = self.read();
        let held = index.by_holder.get(uid).into_iter().flatten();
        held.filter(|target| target.namespace == namespace).cloned().collect()
    }

    /// What it shares with others: what is its alone is left to the garbage collector.
    pub fn shared_by(&self, uid: &str) -> Vec<Target> {
        let index = self.read();
        let is_shared = |target: &&Target| index.objects.get(*target).is_some_and(|object| object.holders.len() > 1);
        index.by_holder.get(uid).into_iter().flatten().filter(is_shared).cloned().collect()
    }

    /// Those who own something of an object and whom `exists` does not know.
    pub fn vanished(&self, exists: impl Fn(&str) -> bool) -> Vec<String> {
        self.read().by_holder.keys().filter(|uid| !exists(uid)).cloned().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.read().objects.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes in what a watch says of an object, and returns the UIDs of all whom it concerns, before or now.
    pub fn set(&self, target: Target, metadata: &ObjectMeta) -> BTreeSet<String> {
        let object = ManagedObject::of(metadata);
        let mut concerned: BTreeSet<String> = object.concerned().cloned().collect();
        let mut index = self.write();
        concerned.extend(index.remove(&target));
        index.insert(target, object);
        concerned
    }

    /// Forgets an object that is gone or no longer labelled, and returns whom it concerned.
    pub fn remove(&self, target: &Target) -> BTreeSet<String> {
        self.write().remove(target)
    }

    /// Forgets every object of `kind` in a place that is not in `present`: a list has just told all there are.
    pub fn retain(&self, kind: TargetKind, place: &Place, present: &HashSet<Target>) {
        let mut index = self.write();
        let listed = |target: &&Target| target.kind == kind && place.holds(&target.namespace);
        let gone: Vec<Target> =
            index.objects.keys().filter(listed).filter(|target| !present.contains(*target)).cloned().collect();
        for target in gone {
            index.remove(&target);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn insert(&mut self, target: Target, object: ManagedObject) {
        for uid in &object.holders {
            self.by_holder.entry(uid.clone()).or_default().insert(target.clone());
        }
        self.objects.insert(target, object);
    }

    fn remove(&mut self, target: &Target) -> BTreeSet<String> {
        let Some(object) = self.objects.remove(target) else { return BTreeSet::new() };
        for uid in &object.holders {
            if let Some(targets) = self.by_holder.get_mut(uid) {
                targets.remove(target);
                if targets.is_empty() {
                    self.by_holder.remove(uid);
                }
            }
        }
        object.concerned().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ONE: &str = "3f1c2d8e-0000-4000-8000-000000000001";
    const TWO: &str = "3f1c2d8e-0000-4000-8000-000000000002";

    fn target(name: &str) -> Target {
        Target { kind: TargetKind::Secret, namespace: "shop".into(), name: name.into() }
    }

    fn metadata(resource_version: &str, holders: &[&str]) -> ObjectMeta {
        let entry = |uid: &&str| json!({"manager": fields::manager_of(uid), "operation": "Apply", "fieldsV1": {"f:data": {"f:k": {}}}});
        serde_json::from_value(json!({
            "resourceVersion": resource_version, "managedFields": holders.iter().map(entry).collect::<Vec<_>>(),
        }))
        .unwrap()
    }

    #[test]
    fn whoever_gains_or_loses_a_part_is_concerned() {
        let managed = Managed::default();
        assert_eq!(managed.set(target("a"), &metadata("1", &[ONE])), BTreeSet::from([ONE.to_owned()]));
        let both = BTreeSet::from([ONE.to_owned(), TWO.to_owned()]);
        assert_eq!(managed.set(target("a"), &metadata("2", &[TWO])), both);
        assert_eq!(managed.resource_version(&target("a")).as_deref(), Some("2"));
        assert!(managed.held_by(ONE, "shop").is_empty());
        assert_eq!(managed.held_by(TWO, "shop"), [target("a")]);
        assert_eq!(managed.remove(&target("a")), BTreeSet::from([TWO.to_owned()]));
        assert!(managed.is_empty() && managed.held_by(TWO, "shop").is_empty());
    }

    #[test]
    fn a_list_forgets_what_is_not_in_it_and_nothing_of_the_other_kind_or_of_another_place() {
        let managed = Managed::default();
        let config_map = Target { kind: TargetKind::ConfigMap, ..target("a") };
        managed.set(target("a"), &metadata("1", &[ONE]));
        managed.set(target("b"), &metadata("1", &[TWO]));
        managed.set(config_map.clone(), &metadata("1", &[ONE]));
        let bank = Place::Namespace("bank".into());
        managed.retain(TargetKind::Secret, &bank, &HashSet::new());
        assert_eq!(managed.len(), 3);
        managed.retain(TargetKind::Secret, &Place::Namespace("shop".into()), &HashSet::from([target("b")]));
        assert_eq!(managed.resource_version(&target("a")), None);
        assert_eq!(managed.held_by(ONE, "shop"), [config_map]);
        managed.retain(TargetKind::ConfigMap, &Place::Cluster, &HashSet::new());
        assert_eq!(managed.len(), 1);
    }

    #[test]
    fn the_vanished_are_those_whom_nobody_knows() {
        let managed = Managed::default();
        managed.set(target("a"), &metadata("1", &[ONE, TWO]));
        managed.set(target("b"), &metadata("1", &[ONE]));
        assert_eq!(managed.vanished(|uid| uid == TWO), [ONE.to_owned()]);
        assert_eq!(managed.shared_by(ONE), [target("a")], "what is its alone is collected");
        assert!(managed.held_by(ONE, "bank").is_empty(), "another namespace is none of its business");
    }
}
