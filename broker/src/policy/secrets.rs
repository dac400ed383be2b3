//! Every `AzureKeyVaultSecret` by namespace and name, in a map that is cheap to copy and to change.
//!
//! A copy shares everything with its original; a change copies the one small part that it touches. So a snapshot of
//! thousands costs what changed since the one before it, however many come in a burst.

use std::{hash::BuildHasher as _, sync::Arc};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable, hash_table::Entry};

use super::secret::Secret;

/// Secrets of one part, on average, before parts are halved.
const PART: usize = 64;

/// The map. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    namespaces: Arc<HashMap<Arc<str>, Arc<Spread>>>,
}

impl Secrets {
    /// The secret `name` of `namespace`.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Secret> {
        self.namespaces.get(namespace)?.get(name)
    }

    /// Every secret with its name, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, &Secret)> {
        self.namespaces
            .iter()
            .flat_map(|(namespace, parts)| parts.iter().map(move |(name, secret)| (namespace, name, secret)))
    }

    /// Whether there is a secret in that namespace.
    pub fn knows(&self, namespace: &str) -> bool {
        self.namespaces.contains_key(namespace)
    }

    /// The one copy of a namespace's name: thousands of secrets share it.
    pub fn namespace(&self, name: &str) -> Arc<str> {
        self.namespaces.get_key_value(name).map_or_else(|| name.into(), |(known, _)| Arc::clone(known))
    }

    /// Puts a secret in, and returns the one that it replaces.
    pub fn insert(&mut self, namespace: &Arc<str>, name: Arc<str>, secret: Secret) -> Option<Secret> {
        let namespaces = Arc::make_mut(&mut self.namespaces);
        let parts = namespaces.entry(Arc::clone(namespace)).or_default();
        Arc::make_mut(parts).insert(name, secret)
    }

    /// Takes a secret out.
    pub fn remove(&mut self, namespace: &str, name: &str) -> Option<Secret> {
        self.get(namespace, name)?;
        let namespaces = Arc::make_mut(&mut self.namespaces);
        let parts = Arc::make_mut(namespaces.get_mut(namespace)?);
        let removed = parts.remove(name);
        if parts.held == 0 {
            namespaces.remove(namespace);
        }
        removed
    }
}

/// The secrets of one namespace, spread by the hash of their names. Whoever finds names with the same hash slows its own
/// namespace down and no other.
#[derive(Clone, Debug)]
struct Spread {
    hasher: DefaultHashBuilder,
    parts: Vec<Arc<Part>>,
    held: usize,
}

type Part = HashTable<(Arc<str>, Secret)>;

impl Default for Spread {
    fn default() -> Self {
        Self { hasher: DefaultHashBuilder::default(), parts: vec![Arc::default()], held: 0 }
    }
}

impl Spread {
    /// Their number is a power of two. The part is chosen by bits that tell little apart within it: a table takes the lowest
    /// and the highest ones.
    fn place(&self, hash: u64) -> usize {
        usize::try_from(hash >> 32 & (self.parts.len() as u64 - 1)).unwrap_or_default()
    }

    fn get(&self, name: &str) -> Option<&Secret> {
        let hash = self.hasher.hash_one(name);
        let (_, secret) = self.parts.get(self.place(hash))?.find(hash, |(known, _)| **known == *name)?;
        Some(secret)
    }

    fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Secret)> {
        self.parts.iter().flat_map(|part| part.iter()).map(|(name, secret)| (name, secret))
    }

    fn insert(&mut self, name: Arc<str>, secret: Secret) -> Option<Secret> {
        if self.held >= PART * self.parts.len() {
            self.halve();
        }
        let hash = self.hasher.hash_one(&*name);
        let place = self.place(hash);
        let (part, hasher) = (Arc::make_mut(&mut self.parts[place]), &self.hasher);
        match part.entry(hash, |(known, _)| *known == name, |(known, _)| hasher.hash_one(&**known)) {
            Entry::Occupied(mut known) => Some(std::mem::replace(&mut known.get_mut().1, secret)),
            Entry::Vacant(free) => {
                free.insert((name, secret));
                self.held += 1;
                None
            }
        }
    }

    fn remove(&mut self, name: &str) -> Option<Secret> {
        let hash = self.hasher.hash_one(name);
        let place = self.place(hash);
        let part = Arc::make_mut(&mut self.parts[place]);
        let ((_, removed), _) = part.find_entry(hash, |(known, _)| **known == *name).ok()?.remove();
        self.held -= 1;
        Some(removed)
    }

    /// Twice as many parts, each half as large.
    fn halve(&mut self) {
        let parts = vec![Arc::default(); self.parts.len() * 2];
        let before = std::mem::replace(self, Self { hasher: self.hasher.clone(), parts, held: 0 });
        for (name, secret) in before.iter() {
            self.insert(Arc::clone(name), secret.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::secret::RefusedSecret;

    fn secret(reason: &str) -> Secret {
        Err(Arc::new(RefusedSecret { uid: None, generation: None, reason: reason.to_owned() }))
    }

    fn insert(secrets: &mut Secrets, namespace: &str, name: &str, reason: &str) -> Option<Secret> {
        let namespace = secrets.namespace(namespace);
        secrets.insert(&namespace, name.into(), secret(reason))
    }

    #[test]
    fn it_is_a_map_whatever_its_size() {
        let mut secrets = Secrets::default();
        for n in 0..3_000 {
            let namespace = format!("ns-{}", n % 3);
            assert_eq!(insert(&mut secrets, &namespace, &format!("s{n}"), "old"), None);
        }
        for n in (0..3_000).step_by(2) {
            let namespace = format!("ns-{}", n % 3);
            assert_eq!(insert(&mut secrets, &namespace, &format!("s{n}"), "new"), Some(secret("old")));
            assert_eq!(secrets.remove(&namespace, &format!("s{}", n + 3_000)), None);
        }
        assert_eq!(secrets.iter().count(), 3_000);
        for n in 0..3_000 {
            let expected = secret(if n % 2 == 0 { "new" } else { "old" });
            assert_eq!(secrets.get(&format!("ns-{}", n % 3), &format!("s{n}")), Some(&expected));
            assert_eq!(secrets.get(&format!("ns-{}", (n + 1) % 3), &format!("s{n}")), None);
            assert_eq!(secrets.remove(&format!("ns-{}", n % 3), &format!("s{n}")), Some(expected));
        }
        assert!(secrets.namespaces.is_empty(), "a namespace without secrets takes no room");
    }

    #[test]
    fn a_copy_stays_as_it_was_and_shares_what_did_not_change() {
        let mut secrets = Secrets::default();
        for n in 0..10_000 {
            insert(&mut secrets, "shop", &format!("s{n}"), "old");
        }
        let copy = secrets.clone();
        insert(&mut secrets, "shop", "s7", "new");
        secrets.remove("shop", "s8");
        assert_eq!(copy.get("shop", "s7"), Some(&secret("old")));
        assert_eq!(copy.get("shop", "s8"), Some(&secret("old")));
        let (before, after) = (&copy.namespaces["shop"].parts, &secrets.namespaces["shop"].parts);
        let copied = before.iter().zip(after).filter(|(before, after)| !Arc::ptr_eq(before, after)).count();
        assert!(copied <= 2 && before.len() >= 10_000 / PART, "{copied} of {}", before.len());
    }
}
